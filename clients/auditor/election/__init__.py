"""The election auditor: every proof and every number of an election, recomputed from its record."""
