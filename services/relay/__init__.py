"""The only signer of a municipality's service transactions."""
