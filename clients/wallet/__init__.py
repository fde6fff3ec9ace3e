"""A resident's keys: one per sector, sealed on the device, backed up, never exported by default."""
