"""The auditor: recomputes what the ledger claims from files, and believes nobody."""
