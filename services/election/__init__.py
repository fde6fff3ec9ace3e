"""Elections: what every municipality of an election runs, each of its roles in a sub-package."""
