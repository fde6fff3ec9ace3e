"""The identity hub: who stands behind a device, and what other services and the ledger are told."""
