"""Shell two: one thread, one seed, any network."""
