"""Which nodes may connect: a local, signed file, never chain state; pure."""
