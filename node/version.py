"""The one place the version is written."""

VERSION = "0.1.0"
"""Version of the distribution (semantic versioning)."""

PROTOCOL_VERSION = 1
"""Version of wire format and block rules; nodes that differ in it refuse each other."""
