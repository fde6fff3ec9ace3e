"""Files as the service uses them: from the store, else from the other municipalities' services.

What a peer sends is worth nothing until its digest is computed; a peer that lies or is silent is
passed over and the next one asked.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import aiohttp

from clients.core.bodies import read_bounded
from node.log import Log
from services.election.board.files import FileRef, FileStore, WrongFile
from services.election.board.store import BoardStore
from services.election.settings import PeerSettings
from services.kit.auth import TenantId
from services.kit.clock import Clock
from services.kit.keys import Key
from services.kit.tokens import sign_service_token

FETCH_TIMEOUT_S: Final = 300.0

_log = Log("election-files")


class Peers(Protocol):
    """The other municipalities' services."""

    @property
    def municipalities(self) -> Sequence[int]:
        """Return whose services can be asked."""
        ...

    async def fetch(self, municipality: int, ref: FileRef) -> bytes | None:
        """Return what a peer sends under a file's name, unchecked; None when it has nothing."""
        ...


class HttpPeers:
    """Peers over HTTP."""

    def __init__(
        self, peers: Sequence[PeerSettings], *, name: str, key: Key | None, clock: Clock
    ) -> None:
        """Hold who they are; ``key`` signs the calls for restricted files."""
        self._peers = {peer.municipality: peer for peer in peers}
        self._name = name
        self._key = key
        self._clock = clock

    @property
    def municipalities(self) -> Sequence[int]:
        """Return whose services can be asked."""
        return tuple(self._peers)

    async def fetch(self, municipality: int, ref: FileRef) -> bytes | None:
        """Return what a peer sends under a file's name, unchecked; None when it has nothing."""
        peer = self._peers[municipality]
        address = f"{peer.url}/elections/{ref.subject.hex()}/files/{ref.digest.hex()}"
        headers = {"Daicho-Tenant": peer.tenant}
        if ref.is_restricted and self._key is not None:
            token = sign_service_token(
                self._key,
                name=self._name,
                audience=peer.name,
                tenant=TenantId(peer.tenant),
                now=self._clock.now(),
            )
            headers["Authorization"] = f"Bearer {token}"
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S, sock_connect=5, sock_read=30)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(address, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    return None
                return await read_bounded(response, ref.size_max)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None


class Library:
    """The store and the peers together."""

    def __init__(self, store: FileStore, board: BoardStore, peers: Peers) -> None:
        """Hold them."""
        self.store = store
        self._board = board
        self._peers = peers

    async def read(self, ref: FileRef, *, first: int | None = None) -> bytes | None:
        """Return a file, fetched if it is not here; None when nobody has it.

        Args:
            ref: The file.
            first: The municipality that should have it, asked before the others.
        """
        if self.store.has(ref.digest):
            try:
                data = self.store.read(ref)
            except WrongFile as error:
                _log.warning("a file is damaged", path=ref.path, code=error.code)
            else:
                await self._note(ref, len(data))
                return data
        order = sorted(self._peers.municipalities, key=lambda each: each != first)
        for municipality in order:
            data_or_none = await self._peers.fetch(municipality, ref)
            if data_or_none is None:
                continue
            try:
                await self.keep(ref, data_or_none)
            except WrongFile:
                _log.warning("a peer sent another file", peer=municipality, path=ref.path)
                continue
            return data_or_none
        return None

    async def keep(self, ref: FileRef, data: bytes) -> None:
        """Keep a file, if it is the one that is named.

        Raises:
            WrongFile: It is not.
        """
        self.store.add(ref, data)
        await self._note(ref, len(data))

    async def _note(self, ref: FileRef, size: int) -> None:
        async with self._board.database.read() as tx:
            known = await self._board.find_file(tx, ref.subject, ref.digest)
        if known is None:
            await self._board.database.transact(
                lambda tx: self._board.note_file(
                    tx, ref.subject, ref.digest, size=size, is_restricted=ref.is_restricted
                )
            )
