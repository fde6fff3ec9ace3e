"""The ledger node: consensus, execution, storage, peers and RPC of one municipality."""
