"""Watches several nodes at once: follows each by itself, compares them, and keeps what convicts.

Every node's headers are verified one by one, coming from what is trusted, as a light client does.
Two verified headers of one height, a past that a node shows otherwise than before, evidence that a
validator contradicted itself, a checkpoint that names another block: each is an alarm with its
proof. A node that does not answer is noted and asked again; it stops nothing.

Spec: AUDIT-WATCH, AUDIT-ALARM.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from clients.core.answers import data_of, header_of, raw_header_of
from clients.core.headers import ForkEvidence, HeaderRefused, TrustLimits, check_next
from clients.core.transport import BATCH_COUNT_MAX, CallRefused, Node, NodeUnavailable
from node.consensus.checkpoint import Checkpoint, verify_checkpoint_header
from node.consensus.evidence import EVIDENCE_SIZE_MAX, decode_evidence, verify_evidence
from node.consensus.seals import verify_commit_seals
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from node.primitives.header import Header
from node.primitives.json_text import is_list, is_object
from node.primitives.types import Height

REMEMBERED_MAX: Final = 20_000
"""Headers remembered of the chain, and hashes remembered of each node."""

HEADERS_PER_ROUND_MAX: Final = 5_000
"""Most headers taken from one node in a round, so that no node holds up the others."""

EVIDENCE_PER_ROUND_MAX: Final = 100
"""Most pieces of evidence looked at of one node in a round."""

ALARMS_MAX: Final = 10_000
"""Most different alarms remembered; more are not raised again either."""

Value = TypeVar("Value")

_STRIDE: Final = 7_919
"""A prime, so that looking back comes to every height in time."""


class AlarmKind(StrEnum):
    """What was seen."""

    FORK = "fork"
    """Two blocks of one height, both sealed by a quorum."""
    REWRITE = "rewrite"
    """A node shows another block than it showed before at that height."""
    EQUIVOCATION = "equivocation"
    """A validator contradicted itself."""
    REFUSED = "refused"
    """A node gave a header that does not verify."""
    CHECKPOINT = "checkpoint"
    """A checkpoint names another block than the chain has."""
    EXECUTION = "execution"
    """A block does not do what it claims, or breaks a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that must not be, and what proves it to others."""

    kind: AlarmKind
    """What was seen."""
    node: str
    """Which node showed it."""
    height: int
    """Height it is about."""
    detail: str
    """In a sentence."""
    proof: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers or evidence in hex: verifiable by anyone with the validator set."""

    @property
    def key(self) -> bytes:
        """Return what makes it another alarm: its kind, height and proof."""
        parts = [self.kind.value, str(self.height), *(f"{k}={v}" for k, v in self.proof.items())]
        return sha256("\n".join(parts).encode())


@dataclass(slots=True)
class _Followed:
    """How far one node is verified, and what it showed."""

    head: Header
    shown: OrderedDict[int, bytes] = field(default_factory=OrderedDict[int, bytes])
    is_apart: bool = False
    """On another branch than the chain watched; compared no more."""
    state: str = "not asked yet"


class Watch:
    """Follows nodes round after round."""

    def __init__(
        self,
        nodes: Sequence[Node],
        start: Header,
        *,
        limits: TrustLimits,
        now_s: Callable[[], int],
        raise_alarm: Callable[[Alarm], None],
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        """Trust ``start``, which the caller has verified.

        Args:
            nodes: Each of another municipality, best.
            start: Genesis, the block of a checkpoint, or where an earlier watch stood.
            limits: How far clocks may differ.
            now_s: The auditor's clock.
            raise_alarm: Told of each alarm once.
            checkpoints: Signed by two municipalities; compared when their height is reached.
        """
        self._nodes = {node.name: node for node in nodes}
        self._followed = {node.name: _Followed(head=start) for node in nodes}
        self._limits = limits
        self._now_s = now_s
        self._raise = raise_alarm
        self._checkpoints = {each.height: each for each in checkpoints}
        self._raised: set[bytes] = set()
        self._rounds = 0
        self.headers: OrderedDict[int, Header] = OrderedDict({start.height: start})
        self.alarm_count = 0

    @property
    def head(self) -> Header:
        """Return the newest header verified."""
        return next(reversed(self.headers.values()))

    def states(self) -> dict[str, str]:
        """Return where each node stands, for people."""
        return {name: each.state for name, each in self._followed.items()}

    async def round(self) -> None:
        """Ask every node once, and compare.

        Spec: AUDIT-WATCH.
        """
        self._rounds += 1
        for name, node in self._nodes.items():
            followed = self._followed[name]
            try:
                await self._follow(node, followed)
                await self._look_back(node, followed)
                await self._take_evidence(node)
                followed.state = f"height {followed.head.height}"
            except (NodeUnavailable, CallRefused) as error:
                followed.state = f"away: {error.message}"
            except InvalidInput as error:
                followed.state = f"refused: {error.message}"
                self.alarm(AlarmKind.REFUSED, name, followed.head.height, error.message, {})

    async def _follow(self, node: Node, followed: _Followed) -> None:
        """Verify what a node shows above what we verified of it."""
        latest = header_of(await node.call("daicho_getFinality", "latest"))
        if latest.height <= followed.head.height:
            self._compare_shown(node.name, followed, latest)
        stop = min(latest.height, followed.head.height + HEADERS_PER_ROUND_MAX)
        while followed.head.height < stop:
            first = followed.head.height + 1
            heights = range(first, min(first + BATCH_COUNT_MAX, stop + 1))
            answers = await node.batch([("debug_getRawHeader", [hex(at)]) for at in heights])
            for answer in answers:
                if not self._take(node.name, followed, raw_header_of(answer)):
                    return

    def _take(self, name: str, followed: _Followed, header: Header) -> bool:
        """Verify the next header of a node; tell whether to go on.

        Spec: AUDIT-WATCH, LIGHT-STEP.
        """
        try:
            check_next(header, trusted=followed.head, now_s=self._now_s(), limits=self._limits)
        except HeaderRefused as error:
            self.alarm(AlarmKind.REFUSED, name, header.height, error.message, _proof(header=header))
            followed.state = f"refused: {error.message}"
            return False
        followed.head = header
        _remember(followed.shown, header.height, bytes(header.hash))
        if not followed.is_apart:
            self._compare(name, followed, header)
        return True

    def _compare(self, name: str, followed: _Followed, header: Header) -> None:
        """Hold a verified header against the chain as other nodes have it.

        Spec: AUDIT-ALARM, LIGHT-FORK.
        """
        known = self.headers.get(header.height)
        if known is None:
            if header.height > self.head.height:
                _remember(self.headers, header.height, header)
                self._compare_checkpoint(name, header)
            return
        if known.hash == header.hash:
            return
        followed.is_apart = True
        both = ForkEvidence(first=known, second=header).both_sealed
        self.alarm(
            AlarmKind.FORK,
            name,
            header.height,
            f"two sealed blocks; {len(both)} validators sealed both: "
            + ", ".join("0x" + each.hex() for each in both),
            _proof(first=known, second=header),
        )

    def _compare_checkpoint(self, name: str, header: Header) -> None:
        checkpoint = self._checkpoints.get(header.height)
        if checkpoint is None:
            return
        for check in verify_checkpoint_header(checkpoint, header).failures[:1]:
            self.alarm(
                AlarmKind.CHECKPOINT,
                name,
                header.height,
                f"the checkpoint of this height: {check}",
                _proof(header=header),
            )

    async def _look_back(self, node: Node, followed: _Followed) -> None:
        """Ask a node for one block it showed before; its past must not have changed.

        Spec: AUDIT-WATCH.
        """
        if not followed.shown:
            return
        heights = list(followed.shown)
        height = heights[self._rounds * _STRIDE % len(heights)]
        answer = await node.call("debug_getRawHeader", hex(height))
        self._compare_shown(node.name, followed, raw_header_of(answer))

    def _compare_shown(self, name: str, followed: _Followed, header: Header) -> None:
        before = followed.shown.get(header.height)
        if before is None or before == header.hash:
            return
        known = self.headers.get(header.height)
        is_sealed = (
            known is not None and verify_commit_seals(header, known.extra_data.validators).is_met
        )
        proof = _proof(second=header) if known is None else _proof(first=known, second=header)
        self.alarm(
            AlarmKind.FORK if is_sealed else AlarmKind.REWRITE,
            name,
            header.height,
            f"it showed block 0x{before.hex()} before, and shows 0x{header.hash.hex()} now, "
            f"{'sealed by a quorum' if is_sealed else 'without a quorum of seals'}",
            proof,
        )

    async def _take_evidence(self, node: Node) -> None:
        """Take evidence a node keeps; what convicts a validator is an alarm.

        Spec: AUDIT-ALARM, QBFT-EVIDENCE.
        """
        answer = await node.call("daicho_getEvidence")
        items = answer[:EVIDENCE_PER_ROUND_MAX] if is_list(answer) else []
        for item in items:
            if not is_object(item):
                continue
            raw = data_of(item.get("evidence"), "evidence", size_max=EVIDENCE_SIZE_MAX)
            evidence = decode_evidence(raw)
            header = self.headers.get(evidence.height)
            if header is None:
                continue
            if verify_evidence(evidence, header.extra_data.validators).is_met:
                self.alarm(
                    AlarmKind.EQUIVOCATION,
                    node.name,
                    evidence.height,
                    f"validator 0x{evidence.author.hex()}: {evidence.contradiction.value}",
                    {"evidence": "0x" + raw.hex()},
                )

    def alarm(
        self, kind: AlarmKind, node: str, height: int, detail: str, proof: Mapping[str, str]
    ) -> None:
        """Raise an alarm, once for each proof.

        Spec: AUDIT-ALARM.
        """
        found = Alarm(kind=kind, node=node, height=height, detail=detail, proof=proof)
        if found.key in self._raised or len(self._raised) >= ALARMS_MAX:
            return
        self._raised.add(found.key)
        self.alarm_count += 1
        self._raise(found)


def _remember(found: OrderedDict[int, Value], height: Height, value: Value) -> None:
    found[height] = value
    while len(found) > REMEMBERED_MAX:
        found.popitem(last=False)


def _proof(**headers: Header) -> dict[str, str]:
    return {name: "0x" + header.encode().hex() for name, header in headers.items()}
