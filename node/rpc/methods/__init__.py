"""One module per RPC namespace."""
