"""Programs of residents and auditors: they reach the ledger over RPC and trust no node's word."""
