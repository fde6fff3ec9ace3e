"""Simulated things on their real protocols, for development and tests only."""
