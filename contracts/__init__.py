"""Vyper contracts of the ledger, their committed artifacts, and the loader that verifies them."""
