"""How the blocks of a bundle are executed: here and now, or in ranges by other processes.

Both are told of blocks and states in the order of the bundle. A range begins at a state in the
bundle; whoever executes it checks that state against the header before, whose state root the range
before has reached, so that all ranges together are one execution from the first block.

Spec: AUDIT-REPLAY, AUDIT-PARALLEL, AUDIT-STATE.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from clients.auditor import chain_checks as asked
from clients.auditor.checks import Outcome, Worksheet
from clients.auditor.replay import Claim, Replay, ReplayState, state_at_genesis
from node.execution.profile import profile_of_chain
from node.genesis.parse import parse_genesis
from node.genesis.profile import Genesis
from node.primitives.block import decode_block
from node.primitives.bundle import (
    BlockRecord,
    InvalidBundle,
    SnapshotRecord,
    StateChunk,
    decode_record,
)
from node.primitives.bundle_stream import Piece, read_item
from node.primitives.errors import InvalidInput
from node.primitives.header import Header, decode_header
from node.primitives.types import Hash32
from node.storage.kv import MemoryStore
from node.storage.state_chunks import StateLoader

NOT_READABLE: Final = "a block could not be read"
"""Why nothing after it can be executed."""

RANGE_CHECKS: Final = (asked.STATES, *asked.EXECUTION_CHECKS)
"""What executing a range answers."""


class Execution(Protocol):
    """Told of everything in a bundle that concerns execution, in order."""

    def take_block(self, piece: Piece, claim: Claim | None, header: Header | None) -> None:
        """Take a block; without a claim it could not be read."""
        ...

    def take_snapshot(self, piece: Piece, record: SnapshotRecord, header: Header) -> None:
        """Take the announcement of the state after the block with ``header``."""
        ...

    def take_chunk(self, chunk: StateChunk) -> None:
        """Take a piece of that state."""
        ...

    def finish(self, offset: int) -> None:
        """Take the end of blocks, at this byte, and wait for every answer."""
        ...


class InlineExecution:
    """Executes each block when it comes."""

    def __init__(
        self,
        sheet: Worksheet,
        genesis: Genesis,
        *,
        state: ReplayState | None,
        parent: Header,
        hashes: Mapping[int, Hash32],
    ) -> None:
        """Stand at ``parent``; the walk over headers keeps ``hashes`` current."""
        self._sheet = sheet
        self.replay = Replay(
            sheet, profile_of_chain(genesis.profile), state, parent=parent, hashes=hashes
        )
        self._snapshot: _Snapshot | None = None

    def take_block(self, piece: Piece, claim: Claim | None, header: Header | None) -> None:
        """Execute a block.

        Spec: AUDIT-REPLAY.
        """
        del piece
        if claim is None:
            self._sheet.leave_open(NOT_READABLE, asked.BODY)
            self.replay.lose(NOT_READABLE, header)
        else:
            self.replay.take(claim)

    def take_snapshot(self, piece: Piece, record: SnapshotRecord, header: Header) -> None:
        """Begin to check a state, and to load it when ours is lost."""
        del piece
        self.replay.parent = header
        store = MemoryStore() if self.replay.state is None else None
        self._snapshot = _Snapshot(self._sheet, record, header, store)

    def take_chunk(self, chunk: StateChunk) -> None:
        """Go on with it."""
        if self._snapshot is None:
            return
        state = self._snapshot.add(chunk)
        if chunk.is_last:
            self._snapshot = None
            self.replay.state = self.replay.state or state

    def finish(self, offset: int) -> None:
        """Everything is done already."""
        del offset


class _Snapshot:
    """A state in the bundle while it is checked."""

    def __init__(
        self, sheet: Worksheet, record: SnapshotRecord, header: Header, store: MemoryStore | None
    ) -> None:
        self._sheet = sheet
        self._header = header
        self._store = store
        self._loader = StateLoader(store)
        self._is_broken = False
        self._subject = f"state after block {record.height}"
        sheet.compare(
            asked.STATES,
            self._subject,
            expected=(header.height, header.state_root),
            found=(record.height, record.state_root),
        )

    def add(self, chunk: StateChunk) -> ReplayState | None:
        """Add a piece; return the state after its last piece, if it is the header's.

        Spec: AUDIT-STATE.
        """
        if self._is_broken:
            return None
        try:
            self._loader.add(chunk.entries)
            root = self._loader.finish() if chunk.is_last else None
        except InvalidBundle as error:
            self._is_broken = True
            self._ask(is_met=False, found=error.message)
            return None
        if root is None:
            return None
        is_met = root == self._header.state_root
        self._ask(is_met=is_met, found=root)
        if not is_met or self._store is None:
            return None
        return ReplayState(self._store, height=self._header.height, root=root)

    def _ask(self, *, is_met: bool, found: object) -> None:
        self._sheet.ask(
            asked.STATES,
            self._subject,
            is_met=is_met,
            expected=self._header.state_root,
            found=found,
        )


# Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTask:
    """Everything another process needs to execute a range."""

    path: Path
    """The bundle, where that process finds it too."""
    genesis_file: bytes
    """The genesis file."""
    start: int
    """First byte: of the announcement of a state, or of the first block."""
    stop: int
    """First byte after the range."""
    parent: bytes
    """Header before the range."""
    hashes: tuple[tuple[int, Hash32], ...]
    """Hashes of its ancestors, by height."""
    key: str
    """Names the range by its place and by all that comes before its end."""


def audit_range(task: RangeTask) -> tuple[Outcome, ...]:
    """Execute one range and return what was found.

    Spec: AUDIT-PARALLEL.
    """
    genesis = parse_genesis(task.genesis_file)
    parent = decode_header(task.parent)
    sheet = Worksheet(RANGE_CHECKS)
    hashes = dict(task.hashes)
    state = state_at_genesis(genesis) if parent.height == 0 else None
    inline = InlineExecution(sheet, genesis, state=state, parent=parent, hashes=hashes)
    with task.path.open("rb") as file:
        file.seek(task.start)
        offset = task.start
        while offset < task.stop:
            data = read_item(file, offset)
            if data is None:
                raise InvalidBundle(f"bundle: ends at byte {offset}, it was longer before")
            piece = Piece(offset=offset, size=len(data), record=decode_record(data))
            _execute(inline, piece, hashes)
            offset = piece.stop
    return sheet.outcomes()


def _execute(inline: InlineExecution, piece: Piece, hashes: dict[int, Hash32]) -> None:
    match piece.record:
        case SnapshotRecord() as record:
            inline.take_snapshot(piece, record, inline.replay.parent)
        case StateChunk() as chunk:
            inline.take_chunk(chunk)
        case BlockRecord() as record:
            try:
                block = decode_block(record.block)
            except InvalidInput:
                inline.take_block(piece, None, None)
                return
            claim = Claim(block=block, receipts=record.receipts)
            inline.take_block(piece, claim, block.header)
            hashes[block.height] = block.hash
            hashes.pop(block.height - 300, None)
        case _:
            pass


class RangedExecution:
    """Cuts the bundle at its states and hands the ranges to an executor."""

    def __init__(
        self,
        sheet: Worksheet,
        executor: Executor,
        *,
        path: Path,
        genesis_file: bytes,
        hashes: Mapping[int, Hash32],
        digest: Callable[[], bytes],
        known: "RangeStore",
    ) -> None:
        """Hand ranges to ``executor``; ``digest`` is of everything before the present record."""
        self._sheet = sheet
        self._executor = executor
        self._path = path
        self._genesis_file = genesis_file
        self._hashes = hashes
        self._digest = digest
        self._known = known
        self._open: tuple[int, Header, tuple[tuple[int, Hash32], ...]] | None = None
        self._futures: list[tuple[Future[tuple[Outcome, ...]], Event]] = []

    def begin(self, offset: int, parent: Header) -> None:
        """Begin the first range."""
        self._open = (offset, parent, tuple(self._hashes.items()))

    def take_block(self, piece: Piece, claim: Claim | None, header: Header | None) -> None:
        """Leave the block to whoever executes its range."""

    def take_snapshot(self, piece: Piece, record: SnapshotRecord, header: Header) -> None:
        """Close a range and begin the next.

        Spec: AUDIT-PARALLEL.
        """
        del record
        self._close(piece.offset)
        self._open = (piece.offset, header, tuple(self._hashes.items()))

    def take_chunk(self, chunk: StateChunk) -> None:
        """Leave the state to whoever executes the range after it."""

    def finish(self, offset: int) -> None:
        """Close the last range and wait for all.

        Spec: AUDIT-PARALLEL.
        """
        self._close(offset)
        for future, kept in self._futures:
            outcomes = future.result()
            kept.wait()
            self._sheet.merge(outcomes)

    def _close(self, offset: int) -> None:
        if self._open is None or self._open[0] == offset:
            return
        start, parent, hashes = self._open
        task = RangeTask(
            path=self._path,
            genesis_file=self._genesis_file,
            start=start,
            stop=offset,
            parent=parent.encode(),
            hashes=hashes,
            key=f"{start}-{offset}-{self._digest().hex()}",
        )
        self._open = None
        known = self._known.load(task)
        if known is not None:
            self._sheet.merge(known)
            return
        future = self._executor.submit(audit_range, task)
        kept = Event()
        future.add_done_callback(lambda done: self._keep(task, done, kept))
        self._futures.append((future, kept))

    def _keep(self, task: RangeTask, done: Future[tuple[Outcome, ...]], kept: Event) -> None:
        """Keep the answers of a range as soon as they are there, so that none is lost."""
        try:
            if not done.cancelled() and done.exception() is None:
                self._known.save(task, done.result())
        finally:
            kept.set()


class RangeStore(Protocol):
    """Keeps what ranges answered, so that an audit can be continued."""

    def load(self, task: RangeTask) -> tuple[Outcome, ...] | None:
        """Return the answers of a range executed earlier, or None."""
        ...

    def save(self, task: RangeTask, outcomes: tuple[Outcome, ...]) -> None:
        """Keep the answers of a range."""
        ...
