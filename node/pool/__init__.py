"""Transactions waiting for a block: admission rules and the queue; pure."""
