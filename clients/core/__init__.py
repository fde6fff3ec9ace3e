"""Light client: verified headers, proofs and reads from nodes that nobody has to trust."""
