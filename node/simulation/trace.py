"""The record of a run: one line per thing that happened, and a digest over all of them.

Two runs are the same run exactly when their digests agree. Lines hold integers, names and short
hexadecimal only, never a ``repr`` of a set or a mapping, so that the digest does not depend on the
process that computed it. A campaign keeps no lines; a replay keeps and prints them.
"""

import hashlib


class Trace:
    """Lines of one run, counted and hashed, and kept when asked for."""

    def __init__(self, *, is_kept: bool) -> None:
        """Start empty."""
        self._hash = hashlib.sha256()
        self._is_kept = is_kept
        self.lines: list[str] = []
        self.line_count = 0

    def note(self, now_ms: int, actor: str, what: str) -> None:
        """Record that ``actor`` did or met ``what`` at ``now_ms``."""
        line = f"{now_ms / 1000:>9.3f} {actor:<4} {what}"
        self._hash.update(line.encode())
        self.line_count += 1
        if self._is_kept:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        """Return the digest over all lines so far, in hexadecimal."""
        return self._hash.hexdigest()
