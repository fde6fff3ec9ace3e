"""How much one network address may ask of a ballot relay, so that nobody fills it alone.

Addresses are held in memory as keyed digests for a minute and nowhere else. A polling station or a
household behind one address must still get through, so the limit is generous; a device that meets
it goes to another municipality's relay.

Spec: CAST-QUEUE.
"""

import hmac
import secrets
from datetime import datetime
from typing import Final

from services.kit.problems import TooManyRequests

WINDOW_S: Final = 60
ADDRESSES_MAX: Final = 10_000
"""Addresses counted apart in a window; the rest share one count."""

_REST: Final = b""


class AddressLimited(TooManyRequests):
    """Too many ballots from one address within a minute."""

    code = "election.address_limit"


class AddressLimits:
    """Counts requests by address and minute."""

    def __init__(self, *, count_max: int) -> None:
        """Hold how many requests an address has in a minute."""
        self._count_max = count_max
        self._key = secrets.token_bytes(32)
        self._window = -1
        self._counts: dict[bytes, int] = {}

    def check(self, address: str, now: datetime) -> None:
        """Count a request.

        Raises:
            AddressLimited: The address had as many already.

        Spec: CAST-QUEUE.
        """
        window = int(now.timestamp()) // WINDOW_S
        if window != self._window:
            self._window, self._counts = window, {}
        name = hmac.digest(self._key, address.encode(), "sha256")
        if name not in self._counts and len(self._counts) >= ADDRESSES_MAX:
            name = _REST
        count = self._counts.get(name, 0)
        if count >= self._count_max:
            raise AddressLimited("one address asks too much", rule="CAST-QUEUE")
        self._counts[name] = count + 1
