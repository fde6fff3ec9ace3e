"""The ballot relay: takes ballots, checks them, gives receipts, brings them to the box in batches."""
