"""Revocation data over HTTP, as the simulated authorities serve it.

J-LIS publishes to notified verifiers only, over their own connections; a municipality puts its
connection behind the same protocol, ``RevocationSource``. What arrives is bounded here and believed
nowhere: ``crl`` and ``ocsp`` check it.

Spec: ID-SOURCE.
"""

from typing import Final

import aiohttp

from clients.core.bodies import read_bounded
from clients.identity.crl import LIST_SIZE_MAX
from clients.identity.ocsp import RESPONSE_SIZE_MAX, OcspQuestion
from clients.identity.path import TrustedAuthority
from node.primitives.errors import Unavailable

TIMEOUT_S: Final = 10
"""Longest a request may take."""


class SourceUnavailable(Unavailable):
    """The authority's server cannot be reached, refuses, or says too much."""

    code = "identity.source_unavailable"


class HttpRevocationSource:
    """Reads lists from ``{base}/{key}/crl`` and asks at ``{base}/{key}/ocsp``."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        """Hold the session, which the caller closes, and the address."""
        self._session = session
        self._base_url = base_url.rstrip("/")

    async def fetch_list(self, authority: TrustedAuthority) -> bytes:
        """Return the newest revocation list.

        Raises:
            SourceUnavailable: It cannot be had now.

        Spec: ID-SOURCE.
        """
        return await self._read("GET", f"{authority.key_hash.hex()}/crl", None, LIST_SIZE_MAX)

    async def ask(self, question: OcspQuestion) -> bytes:
        """Return the OCSP response to a question.

        Raises:
            SourceUnavailable: It cannot be had now.

        Spec: ID-SOURCE.
        """
        path = f"{question.authority.key_hash.hex()}/ocsp"
        return await self._read("POST", path, question.request, RESPONSE_SIZE_MAX)

    async def _read(self, method: str, path: str, body: bytes | None, size_max: int) -> bytes:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with self._session.request(
                method,
                f"{self._base_url}/{path}",
                data=body,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise SourceUnavailable(f"revocation source: answers {response.status}")
                data = await read_bounded(response, size_max)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SourceUnavailable("revocation source: cannot be reached") from error
        if data is None:
            raise SourceUnavailable(f"revocation source: more than {size_max} bytes")
        return data
