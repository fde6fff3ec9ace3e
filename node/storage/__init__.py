"""Everything that is kept: key-value stores, chain, state, votes."""
