"""Peers: frames, handshake, gossip and block sync."""
