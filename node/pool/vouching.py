"""Whose word is taken that an open call succeeds: peers', while it proves good.

A peer ran the call before it passed it on, and every block builder runs it again, so running it on
each node in between only costs time. A peer whose calls fail when blocks are built loses this
credit for a while: its calls are run on arrival again, as clients' always are.

Spec: POOL-OPEN-CALL.
"""

from collections import OrderedDict, deque
from typing import Final

FAILURES_MAX: Final = 16
"""Failed calls of one source within ``MEMORY_S`` from which its word is not taken."""

MEMORY_S: Final = 600
"""How long a failed call counts, in seconds."""

SOURCES_MAX: Final = 256
"""Sources remembered; the one that failed longest ago is forgotten first."""


class Vouching:
    """The failures of those who vouch."""

    def __init__(self) -> None:
        """Start with nothing held against anyone."""
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()

    def is_trusted(self, source: str, *, now_s: int) -> bool:
        """Tell whether the word of ``source`` is taken.

        Spec: POOL-OPEN-CALL.
        """
        failures = self._failures.get(source)
        return failures is None or len(failures) < FAILURES_MAX or failures[0] + MEMORY_S <= now_s

    def note_failure(self, source: str, *, now_s: int) -> None:
        """Count a call of ``source`` that failed although it was vouched for."""
        failures = self._failures.setdefault(source, deque(maxlen=FAILURES_MAX))
        failures.append(now_s)
        self._failures.move_to_end(source)
        if len(self._failures) > SOURCES_MAX:
            self._failures.popitem(last=False)
