"""What was shown once and must not be shown again, remembered for as long as it would be taken.

Bounded: when it is full of what is still valid, new ones are refused rather than old ones
forgotten, because forgetting would let a replay pass. It lives in memory; a service that restarts
forgets, and tokens of at most two minutes bound what that is worth.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Final

from node.primitives.errors import Unavailable

REMEMBERED_MAX: Final = 100_000
"""Identifiers remembered at once."""


class ReplayMemoryFull(Unavailable):
    """More tokens were shown within their lifetime than can be remembered."""

    code = "auth.replay_memory_full"


class ReplayMemory:
    """Identifiers and until when each is remembered."""

    def __init__(self, count_max: int = REMEMBERED_MAX) -> None:
        """Start with nothing remembered."""
        self._count_max = count_max
        self._until: OrderedDict[str, datetime] = OrderedDict()

    def remember(self, identifier: str, *, now: datetime, until: datetime) -> bool:
        """Remember ``identifier`` until then, or return False when it was shown before.

        Raises:
            ReplayMemoryFull: There is no room; nothing may be let pass now.
        """
        self._forget(now)
        if identifier in self._until:
            return False
        if len(self._until) >= self._count_max:
            raise ReplayMemoryFull("too many tokens within their lifetime; try again in a minute")
        self._until[identifier] = until
        return True

    def _forget(self, now: datetime) -> None:
        while self._until:
            identifier, until = next(iter(self._until.items()))
            if until > now:
                return
            del self._until[identifier]
