"""Opens connections to other nodes: a WebSocket over mutual TLS, nothing followed, nothing kept.

Spec: WIRE-TLS, WIRE-TIMEOUT.
"""

import asyncio
import ssl
from types import SimpleNamespace

import aiohttp

from node.membership.document import Endpoint
from node.p2p.certificates import PeerCertificate, read_certificate
from node.p2p.listener import PEER_PATH
from node.p2p.wire import FRAME_SIZE_MAX
from node.primitives.errors import InvalidInput, Unavailable


class Dialler:
    """Our side of outgoing connections."""

    def __init__(self, context: ssl.SSLContext, timeout_ms: int) -> None:
        """Hold what ``dial`` needs."""
        self._context = context
        self._timeout_s = timeout_ms / 1_000
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Prepare the client session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse_redirect)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._context, limit=0, force_close=True, ttl_dns_cache=10
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
            trust_env=False,
        )

    async def stop(self) -> None:
        """Close every outgoing connection."""
        if self._session is not None:
            await self._session.close()

    async def dial(
        self, endpoint: Endpoint
    ) -> tuple[aiohttp.ClientWebSocketResponse, PeerCertificate]:
        """Connect to an endpoint and read the certificate found there.

        Raises:
            Unavailable: Nobody answers there, not in time, not with a member's certificate, or
                not as a peer.
        """
        assert self._session is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                socket = await self._session.ws_connect(
                    f"https://{endpoint}{PEER_PATH}",
                    autoping=False,
                    compress=0,
                    max_msg_size=FRAME_SIZE_MAX + 1,
                )
        except TimeoutError as error:
            raise Unavailable(f"{endpoint}: no connection in {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{endpoint}: {_plainly(error)}") from error
        try:
            tls = socket.get_extra_info("ssl_object")
            # The other end may have left already; then there is no certificate to read.
            return socket, read_certificate((tls and tls.getpeercert(True)) or b"")
        except InvalidInput as error:
            await socket.close()
            raise Unavailable(f"{endpoint}: {error}") from error


async def _refuse_redirect(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    params: aiohttp.TraceRequestRedirectParams,
) -> None:
    """Follow nobody: a peer must not choose whom we connect to."""
    raise aiohttp.ClientPayloadError(f"status {params.response.status}: redirects are refused")


def _plainly(error: Exception) -> str:
    """Return the short cause of a failed connection for operators."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not from a member ({error.certificate_error})"
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error.strerror or error.os_error)
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"not a peer (HTTP status {error.status})"
    return str(error) or type(error).__name__
