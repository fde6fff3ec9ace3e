"""The audit of a chain: a bundle is read once, and everything in it is asked.

Here records are told apart and handed on: headers to the walk, blocks and states to execution,
files to their digests. A failure is noted and the audit goes on; only bytes that are no record end
it early, and then what could not be asked is said.

Spec: AUDIT-BUNDLE, AUDIT-RANGE, AUDIT-CHECKPOINT, AUDIT-RESUME, AUDIT-WALK.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Final

from clients.auditor import chain_checks as asked
from clients.auditor.checks import Report, Worksheet
from clients.auditor.documents import Documents
from clients.auditor.envelope import Envelope
from clients.auditor.execution import Execution, InlineExecution, RangedExecution
from clients.auditor.header_walk import HeaderWalk, WalkRules
from clients.auditor.progress import Clock, Meter, Progress
from clients.auditor.replay import Claim, state_at_genesis
from clients.auditor.work_folder import Standing, WorkFolder
from node.consensus.evidence import decode_evidence, verify_evidence
from node.consensus.parameters import parameters_of_chain
from node.consensus.validators import ValidatorTally, tally_at_base
from node.genesis.parse import parse_genesis
from node.primitives import rlp
from node.primitives.block import decode_block
from node.primitives.bundle import (
    AncestorRecord,
    BlockRecord,
    BundleHeader,
    EndRecord,
    EvidenceRecord,
    FilePart,
    FileRecord,
    InvalidBundle,
    RecoveryRecord,
    SignatureRecord,
    SnapshotRecord,
    StateChunk,
)
from node.primitives.bundle_stream import BundleReader, Piece
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, InvalidTransaction, Unavailable
from node.primitives.header import Header, decode_header, header_from_items
from node.primitives.types import Address

SAVE_EVERY_S: Final = 60.0
"""Time between two saves of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainInputs:
    """What an audit of a chain rests on."""

    bundle: Path
    """The bundle."""
    genesis_file: bytes
    """The genesis file."""
    documents: Documents
    """Checkpoints and whose signatures count."""
    exporter: Address | None = None
    """Node that must have signed the bundle, when that matters."""
    files: tuple[bytes, ...] = ()
    """SHA-256 of files that must be attached."""
    unpack_to: Path | None = None
    """Folder for the attached files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How an audit is run."""

    tool: str
    """Program and version, for the report."""
    now_s: int
    """Time, for the report."""
    clock: Clock
    """For rates and for when to save."""
    tell: Callable[[Progress], None]
    """Told how far it is."""
    executor: Executor | None = None
    """Where ranges are executed; None for here, block after block."""
    work: WorkFolder
    """Where progress is kept."""
    save_every_s: float = SAVE_EVERY_S
    """Time between two saves."""


def audit_chain(inputs: ChainInputs, running: Running) -> Report:
    """Ask everything of a bundle.

    Raises:
        Misconfigured: The genesis file cannot be used.
        Unavailable: The bundle cannot be read.

    Spec: AUDIT-REPORT, AUDIT-RESUME.
    """
    running.work.open()
    try:
        standing = None if running.executor is not None else running.work.load_standing()
        audit = _ChainAudit(inputs, running, standing)
        if not audit.run():
            running.work.clear()
            audit = _ChainAudit(inputs, running, None)
            audit.run()
    except OSError as error:
        raise Unavailable(
            f"{inputs.bundle}: cannot be read, or progress not written ({error.strerror})"
        ) from error
    report = audit.report()
    running.work.clear()
    return report


class _ChainAudit:
    """One pass over a bundle."""

    def __init__(self, inputs: ChainInputs, running: Running, standing: Standing | None) -> None:
        self._inputs = inputs
        self._running = running
        self._standing = standing
        self._genesis = parse_genesis(inputs.genesis_file)
        self._sheet = Worksheet(asked.CHAIN_CHECKS)
        self._documents = inputs.documents
        self._envelope = Envelope(self._sheet, unpack_to=inputs.unpack_to)
        self._walk: HeaderWalk | None = None
        self._execution: Execution | None = None
        self._last_ancestor: Header | None = None
        self._base: Header | None = None
        self._notes: list[str] = []
        self._digest = b""
        self._blocks_stop: int | None = None
        self._saved_s = running.clock()

    def run(self) -> bool:
        """Read the bundle to its end; False when earlier progress is of another bundle."""
        path = self._inputs.bundle
        size = path.stat().st_size
        meter = Meter(self._running.clock, self._running.tell, size)
        with path.open("rb") as file:
            self._reader = BundleReader(file)
            try:
                for piece in self._reader.read():
                    if self._standing is not None:
                        if not self._catch_up(piece, meter):
                            return False
                        continue
                    self._take(piece, meter)
                self._sheet.count(asked.ORDER, 1)
            except InvalidBundle as error:
                if self._standing is not None:
                    return False
                self._note_broken(error)
            self._finish_blocks(self._reader.offset)
            self._digest = self._reader.digest
        with path.open("rb") as file:
            self._digest = file_digest(file, "sha256").digest()
        self._envelope.close(self._inputs.files)
        self._documents.close(self._sheet, walk=self._walk, base=self._base)
        return True

    # Continuing

    def _catch_up(self, piece: Piece, meter: Meter) -> bool:
        """Pass over what an earlier run asked; False when it was another bundle."""
        standing = self._standing
        if standing is None:
            return True
        match piece.record:
            case BundleHeader() as header:
                self._envelope.adopt_header(header)
            case RecoveryRecord() as record:
                self._documents.take_recovery(record.document)
            case _:
                pass
        if piece.offset < standing.offset:
            return True
        if piece.offset > standing.offset or self._reader.digest != standing.digest:
            return False
        self._standing = None
        self._resume(standing)
        meter.begin_at(piece.offset)
        self._take(piece, meter)
        return True

    def _resume(self, standing: Standing) -> None:
        self._sheet.merge(standing.outcomes)
        walk = self._begin_walk(standing.parent, standing.tally)
        walk.sets = list(standing.sets)
        walk.hashes.clear()
        walk.hashes.update(standing.hashes)
        walk.applied = set(standing.applied)
        self._execution = InlineExecution(
            self._sheet,
            self._genesis,
            state=standing.state,
            parent=standing.parent,
            hashes=walk.hashes,
        )
        self._envelope.restore(standing.counts, list(standing.states), standing.sums)
        self._documents.seen = set(standing.checkpoints)
        self._base = standing.base

    def _save(self, piece: Piece) -> None:
        """Keep how far we are, now and then, before a block.

        Spec: AUDIT-RESUME.
        """
        execution, walk = self._execution, self._walk
        if not isinstance(execution, InlineExecution) or walk is None:
            return
        now_s = self._running.clock()
        if self._running.work.path is None or now_s - self._saved_s < self._running.save_every_s:
            return
        self._running.work.save_standing(
            Standing(
                offset=piece.offset,
                digest=self._reader.digest,
                outcomes=self._sheet.outcomes(),
                parent=walk.parent,
                tally=walk.tally,
                sets=tuple(walk.sets),
                hashes=tuple(walk.hashes.items()),
                applied=tuple(sorted(walk.applied)),
                counts=self._envelope.counts(),
                states=tuple(self._envelope.states()),
                sums=self._envelope.sums(),
                checkpoints=tuple(sorted(self._documents.seen)),
                base=self._base,
                state=execution.replay.state,
            )
        )
        self._saved_s = self._running.clock()

    # Records

    def _take(self, piece: Piece, meter: Meter) -> None:
        if isinstance(piece.record, BlockRecord):
            self._save(piece)
        self._sheet.count(asked.FORM, 1)
        match piece.record:
            case RecoveryRecord() as record:
                self._documents.take_recovery(record.document)
            case AncestorRecord() as record:
                self._take_ancestor(record)
            case SnapshotRecord() as record:
                self._take_snapshot(piece, record)
            case StateChunk() as record:
                if self._execution is not None:
                    self._execution.take_chunk(record)
            case BlockRecord() as record:
                self._take_block(piece, record, meter)
            case _:
                self._take_frame(piece)

    def _take_frame(self, piece: Piece) -> None:
        """Take the first record, or what comes after blocks and states."""
        if isinstance(piece.record, BundleHeader):
            self._envelope.take_header(piece.record, self._genesis.profile)
            return
        self._finish_blocks(piece.offset)
        match piece.record:
            case EvidenceRecord() as record:
                self._take_evidence(record)
            case FileRecord() | FilePart() as record:
                self._envelope.take_file(record)
            case EndRecord() as record:
                self._envelope.take_end(record, self._reader.digest)
            case SignatureRecord() as record:
                self._envelope.take_signature(record, self._reader.digest, self._inputs.exporter)
            case _:
                pass

    def _take_ancestor(self, record: AncestorRecord) -> None:
        """Take a header before the range; votes are tallied from the last epoch block on.

        Spec: AUDIT-RANGE.
        """
        try:
            header = decode_header(record.header)
            if header.height % self._genesis.profile.epoch_length == 0:
                known = {} if self._walk is None else dict(self._walk.hashes)
                walk = self._begin_walk(header, tally_at_base(header))
                walk.hashes.clear()
                walk.hashes.update({**known, header.height: header.hash})
            elif self._walk is not None:
                self._walk.skip_to(header)
        except InvalidInput as error:
            self._ask_base(is_met=False, found=error.message)
            return
        before = self._last_ancestor
        if before is not None:
            self._sheet.compare(
                asked.BASE,
                f"header {header.height}",
                expected=(before.height + 1, before.hash),
                found=(header.height, header.parent_hash),
            )
        self._last_ancestor = header
        self._documents.take_header(header, self._sheet)

    def _take_snapshot(self, piece: Piece, record: SnapshotRecord) -> None:
        self._envelope.take_state(record.height)
        if self._execution is None and self._last_ancestor is not None:
            self._base = self._last_ancestor
            if self._walk is None or self._walk.parent is not self._base:
                self._ask_base(is_met=False, found="headers do not reach back to an epoch block")
                return
            self._begin_execution(piece.offset)
        if self._execution is not None and self._walk is not None:
            self._execution.take_snapshot(piece, record, self._walk.parent)

    def _take_block(self, piece: Piece, record: BlockRecord, meter: Meter) -> None:
        if self._execution is None:
            self._begin(piece.offset)
        header, claim = self._read(record)
        transactions = 0 if claim is None else len(claim.block.transactions)
        self._envelope.take_block(header, transactions)
        if header is not None and self._walk is not None:
            self._walk.take(header)
            self._documents.take_header(header, self._sheet)
        if self._execution is not None:
            self._execution.take_block(piece, claim, header)
        meter.take(
            height=self._envelope.last_height or 0, done_bytes=piece.stop, transactions=transactions
        )

    def _read(self, record: BlockRecord) -> tuple[Header | None, Claim | None]:
        """Read a block, or at least its header; what is unreadable is noted."""
        subject = f"block record {self._envelope.block_count + 1}"
        try:
            block = decode_block(record.block)
        except InvalidInput as error:
            check = asked.FORM
            if isinstance(error, InvalidTransaction):
                check = asked.TRANSACTION
            elif error.rule == "EXEC-EMPTY":
                check = asked.BODY
            self._sheet.ask(check, subject, is_met=False, expected="a block", found=error.message)
            return _header_alone(record.block), None
        return block.header, Claim(block=block, receipts=record.receipts)

    def _take_evidence(self, record: EvidenceRecord) -> None:
        """Judge a piece of evidence by the set of its height.

        Spec: QBFT-EVIDENCE.
        """
        self._envelope.evidence_count += 1
        subject = f"evidence {self._envelope.evidence_count}"
        try:
            evidence = decode_evidence(record.evidence)
        except InvalidInput as error:
            self._sheet.ask(
                asked.EVIDENCE, subject, is_met=False, expected="evidence", found=error.message
            )
            return
        members = () if self._walk is None else self._walk.validators_at(evidence.height)
        for check in verify_evidence(evidence, members).checks:
            self._sheet.ask(
                asked.EVIDENCE,
                subject,
                is_met=check.is_met,
                expected=check.expected,
                found=check.actual,
            )
        if verify_evidence(evidence, members).is_met:
            self._notes.append(
                f"validator 0x{evidence.author.hex()} contradicted itself at height "
                f"{evidence.height}: {evidence.contradiction.value}"
            )

    # Beginnings and ends

    def _begin(self, offset: int) -> None:
        """Begin with the first block after genesis, unless ancestors came before."""
        if self._last_ancestor is None:
            header = self._genesis.header
            self._begin_walk(header, tally_at_base(header))
            self._documents.take_header(header, self._sheet)
        if self._walk is not None:
            self._begin_execution(offset)

    def _begin_walk(self, parent: Header, tally: ValidatorTally) -> HeaderWalk:
        profile = self._genesis.profile
        rules = WalkRules(
            parameters=parameters_of_chain(profile),
            block_gas_limit=profile.block_gas_limit,
            recoveries=self._documents.recoveries,
        )
        self._walk = HeaderWalk(self._sheet, rules, parent=parent, tally=tally)
        return self._walk

    def _begin_execution(self, offset: int) -> None:
        walk = self._walk
        if walk is None:
            return
        executor = self._running.executor
        if executor is None:
            is_first = walk.parent.height == 0
            self._execution = InlineExecution(
                self._sheet,
                self._genesis,
                state=state_at_genesis(self._genesis) if is_first else None,
                parent=walk.parent,
                hashes=walk.hashes,
            )
            return
        ranged = RangedExecution(
            self._sheet,
            executor,
            path=self._inputs.bundle.absolute(),
            genesis_file=self._inputs.genesis_file,
            hashes=walk.hashes,
            digest=lambda: self._reader.digest,
            known=self._running.work,
        )
        ranged.begin(offset, walk.parent)
        self._execution = ranged

    def _finish_blocks(self, offset: int) -> None:
        """Take the end of blocks and states, once."""
        if self._blocks_stop is not None:
            return
        self._blocks_stop = offset
        if self._execution is None:
            self._begin(offset)
        if self._execution is not None:
            self._execution.finish(offset)

    def _note_broken(self, error: InvalidBundle) -> None:
        self._sheet.ask(
            asked.ORDER if error.rule == "AUDIT-ORDER" else asked.FORM,
            f"byte {self._reader.offset}",
            is_met=False,
            expected="the next record",
            found=error.message,
        )
        self._sheet.leave_open(
            f"the bundle cannot be read from byte {self._reader.offset} on",
            *asked.CHAIN_CHECKS[2:],
        )

    def _ask_base(self, *, is_met: bool, found: object) -> None:
        self._sheet.ask(
            asked.BASE,
            "headers before the range",
            is_met=is_met,
            expected="headers that lead from an epoch block to the range",
            found=found,
        )

    def report(self) -> Report:
        """Return the report of the whole pass."""
        walk = self._walk
        subject = {
            "genesis hash": "0x" + self._genesis.profile.genesis_hash.hex(),
            **self._envelope.subject(),
        }
        if walk is not None:
            subject |= {
                "last block": f"{walk.parent.height}: 0x{walk.parent.hash.hex()}",
                "last state root": "0x" + walk.parent.state_root.hex(),
            }
        return Report(
            kind="chain",
            tool=self._running.tool,
            made_at_s=self._running.now_s,
            subject=subject,
            inputs={
                "bundle": self._digest.hex(),
                "genesis": sha256(self._inputs.genesis_file).hex(),
                **self._documents.digests,
            },
            outcomes=self._sheet.outcomes(),
            notes=(*self._notes, *self._documents.notes),
            charts=self._envelope.charts(),
        )


def _header_alone(data: bytes) -> Header | None:
    """Return the header of a block whose body cannot be read, if that can be."""
    try:
        items = rlp.decode_list(data)
        return header_from_items(rlp.as_list(items[0], what="header")) if items else None
    except InvalidInput:
        return None
