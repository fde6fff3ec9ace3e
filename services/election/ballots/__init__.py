"""The ballot relay: takes ballots, checks them, gives receipts, sends batches."""
