"""Snapshots a running node takes of its state, keeps and serves to peers that join.

They are taken at the heights that ``storage.snapshot_interval`` divides, so that several nodes
have snapshots of the same blocks and their hashes can be compared. The two newest are kept.

Spec: STORE-SNAPSHOT, SYNC-SERVE.
"""

import asyncio
import re
from pathlib import Path
from typing import Final

from node.log import Log
from node.primitives.errors import InvalidInput, LedgerError
from node.primitives.types import Height
from node.storage.chain import ChainStore
from node.storage.snapshot import SnapshotFile, write_snapshot

LOG = Log("snapshot")

KEPT: Final = 2
"""Snapshots kept; older ones are removed."""

HEADERS_LEAST: Final = 256
"""Headers that come along at least: what BLOCKHASH can ask for."""

_NAME: Final = re.compile(r"state-(\d{1,18})\.snapshot")


class Snapshots:
    """The snapshots in one directory."""

    def __init__(
        self, directory: Path, chain: ChainStore, *, interval: int, epoch_length: int
    ) -> None:
        """Look at what is there.

        Args:
            directory: Where they are kept; made when the first is taken.
            chain: What they are taken of.
            interval: Blocks between two; 0 takes none.
            epoch_length: Of the network; a snapshot brings the headers of its epoch.
        """
        self._directory = directory
        self._chain = chain
        self._interval = interval
        self._epoch_length = epoch_length
        self._due = asyncio.Event()
        self.newest = max(self._heights(), default=Height(0))

    def upon_head(self, height: Height) -> None:
        """Take a snapshot when one is due at this height."""
        if self._interval and height % self._interval == 0:
            self._due.set()

    async def run(self) -> None:
        """Take snapshots when they are due, for ever; one that fails is told and left out."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await asyncio.to_thread(self._take)
            except LedgerError as error:
                LOG.error("no snapshot was taken", reason=str(error))

    def load_manifest(self, height: Height) -> bytes:
        """Return the manifest of the snapshot at ``height``; empty when there is none."""
        path = self._path(height)
        if not path.exists():
            return b""
        with SnapshotFile(path) as file:
            return file.manifest_bytes

    def load_chunk(self, height: Height, index: int) -> bytes:
        """Return one chunk of the snapshot at ``height``; empty when there is none."""
        path = self._path(height)
        if not path.exists():
            return b""
        try:
            with SnapshotFile(path) as file:
                return file.read_chunk(index)
        except InvalidInput as error:
            LOG.warning("a chunk cannot be served", height=height, reason=str(error))
            return b""

    def _take(self) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        head = self._chain.head.height
        epoch_start = head - head % self._epoch_length
        lowest = max(self._chain.base, min(epoch_start, max(0, head - HEADERS_LEAST)))
        draft = self._directory / "draft"
        manifest = write_snapshot(self._chain, draft, headers_from=Height(lowest))
        draft.replace(self._path(manifest.height))
        self.newest = manifest.height
        for old in sorted(self._heights())[:-KEPT]:
            self._path(old).unlink()
        LOG.info(
            "snapshot taken",
            height=manifest.height,
            block=manifest.header.hash,
            chunks=len(manifest.chunks),
        )

    def _heights(self) -> list[Height]:
        if not self._directory.exists():
            return []
        names = (_NAME.fullmatch(path.name) for path in self._directory.iterdir())
        return [Height(int(found.group(1))) for found in names if found]

    def _path(self, height: Height) -> Path:
        return self._directory / f"state-{height}.snapshot"
