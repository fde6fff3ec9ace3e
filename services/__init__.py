"""Off-chain daemons of a municipality: clients of the ledger with duties."""
