"""Ethereum JSON-RPC and the daicho namespace."""
