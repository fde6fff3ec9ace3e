"""Who may send transactions, read from contract state; pure."""
