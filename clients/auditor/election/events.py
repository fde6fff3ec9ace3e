"""What a bundle's receipts say of an election, held against what the record says of the contracts.

The events count as far as the bundle does: ``daicho audit chain`` executes it again.

Spec: AUDIT-ELECTION.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clients.auditor.checks import Worksheet
from clients.auditor.election import checks
from clients.auditor.election.box import read_frames
from clients.auditor.election.records import ChainRecord, ElectionManifest
from clients.auditor.election.transcripts import BALLOT_SIG, InvalidRecord
from node.primitives.abi import MalformedAbi, decode
from node.primitives.block import decode_block
from node.primitives.bundle import BlockRecord
from node.primitives.bundle_stream import BundleReader
from node.primitives.crypto import keccak256
from node.primitives.receipt import Log, decode_receipt

_TERMS: Final = (
    "(bytes32,bool,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,"
    "uint256[],address[],uint256[],address[],address[],(uint256,uint256)[],(uint256,uint256)[])"
)
_TERM_NAMES: Final = (
    "draft_id",
    "is_mock",
    "opens_at",
    "closes_at",
    "freezes_at",
    "max_sequence",
    "min_interval_s",
    "mix_time_s",
    "threshold",
    "attestations",
    "min_mixes",
    "trustees",
    "trustee_accounts",
    "mixers",
    "registrars",
    "relays",
    "races",
    "style_races",
)
_KINDS: Final = {66: "ballots", 82: "roll"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """How an event is written in a log."""

    contract: str
    """Who emits it."""
    name: str
    """Its name."""
    indexed: tuple[str, ...]
    """Types of its topics."""
    data: tuple[str, ...]
    """Types of the rest."""

    @property
    def topic(self) -> bytes:
        """Return the first topic."""
        return keccak256(f"{self.name}({','.join((*self.indexed, *self.data))})".encode())


_EVENTS: Final = (
    _Event(
        contract="bulletin",
        name="Posted",
        indexed=("bytes32", "uint256"),
        data=("uint256", "bytes32"),
    ),
    _Event(contract="elections", name="Announced", indexed=("bytes32", "bytes32"), data=(_TERMS,)),
    _Event(contract="elections", name="Abandoned", indexed=("bytes32",), data=("bytes32",)),
    _Event(
        contract="credentials",
        name="BatchPosted",
        indexed=("bytes32",),
        data=("uint256", "bytes32", "uint256", "uint256"),
    ),
    _Event(
        contract="credentials",
        name="StyleFrozen",
        indexed=("bytes32",),
        data=("uint256", "bytes32", "uint256", "bytes32"),
    ),
    _Event(
        contract="ballot_box",
        name="BallotCast",
        indexed=("bytes32", "bytes32", "bytes32"),
        data=("uint256", "bytes"),
    ),
    _Event(
        contract="ballot_box",
        name="BoxClosed",
        indexed=("bytes32",),
        data=("uint256", "bytes32"),
    ),
    _Event(
        contract="tally_board",
        name="ListStarted",
        indexed=("bytes32", "uint256", "uint256"),
        data=("uint256", "bytes32"),
    ),
    _Event(
        contract="tally_board",
        name="MixPosted",
        indexed=("bytes32", "uint256", "uint256"),
        data=("uint256", "uint256", "bytes32", "bytes32"),
    ),
    _Event(
        contract="tally_board",
        name="MixEnded",
        indexed=("bytes32", "uint256", "uint256"),
        data=("uint256", "uint256", "bool", "bytes32"),
    ),
    _Event(
        contract="tally_board",
        name="SharePosted",
        indexed=("bytes32", "uint256", "uint256"),
        data=("uint256", "bytes32", "bytes32"),
    ),
    _Event(
        contract="tally_board",
        name="ResultPublished",
        indexed=("bytes32", "uint256", "bool"),
        data=("bytes32", "bytes"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """A log and where it stands."""

    height: int
    """Its block."""
    time_s: int
    """That block's time."""
    log: Log
    """As emitted."""


def read_events(bundle: Path, addresses: Iterable[str]) -> Iterator[LoggedEvent]:
    """Yield the logs of some contracts from a bundle, in order.

    Raises:
        InvalidBundle: The file is no bundle.
    """
    wanted = {bytes.fromhex(address[2:]) for address in addresses}
    with bundle.open("rb") as file:
        for piece in BundleReader(file).read():
            if not isinstance(piece.record, BlockRecord):
                continue
            header = decode_block(piece.record.block).header
            for data in piece.record.receipts:
                for log in decode_receipt(data).logs:
                    if bytes(log.address) in wanted:
                        yield LoggedEvent(height=header.height, time_s=header.timestamp_s, log=log)


@dataclass(slots=True)
class _Told:
    """What the events tell, in the form of ``chain.json`` without heights."""

    terms: list[object] = field(default_factory=list)
    batches: list[tuple[object, ...]] = field(default_factory=list)
    frozen: list[tuple[object, ...]] = field(default_factory=list)
    frozen_times: list[int] = field(default_factory=list)
    box: list[tuple[object, ...]] = field(default_factory=list)
    starts: list[tuple[object, ...]] = field(default_factory=list)
    rounds: dict[tuple[str, int, int], list[object]] = field(default_factory=dict)
    shares: list[tuple[object, ...]] = field(default_factory=list)
    results: list[tuple[object, ...]] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    posts: list[tuple[int, int, str, int]] = field(default_factory=list)
    casts: list[tuple[int, str, int, int]] = field(default_factory=list)

    def take(
        self, name: str, topics: tuple[Any, ...], values: tuple[Any, ...], at: LoggedEvent
    ) -> None:
        """Take one event; ``topics`` without the election."""
        match name:
            case "Posted":
                self.posts.append((topics[0], values[0], values[1].hex(), at.height))
            case "Announced":
                self.terms.append(values[0])
            case "Abandoned":
                self.abandoned.append(values[0].hex())
            case "BatchPosted":
                number, root, entries, cancels = values
                self.batches.append((number, root.hex(), entries, cancels))
            case "StyleFrozen":
                style, root, count, digest = values
                self.frozen.append((style, root.hex(), count, digest.hex()))
                self.frozen_times.append(at.time_s)
            case "BallotCast":
                self.casts.append((values[0], topics[1].hex(), at.height, at.time_s))
            case "BoxClosed":
                self.box.append((values[0], values[1].hex(), at.height))
            case "ResultPublished":
                data = values[1]
                numbers = [int.from_bytes(data[i : i + 8], "big") for i in range(0, len(data), 8)]
                self.results.append((topics[0], topics[1], values[0].hex(), numbers))
            case _:
                self._take_list(name, (_KINDS.get(topics[0], "?"), topics[1]), values)

    def _take_list(self, name: str, key: tuple[str, int], values: tuple[Any, ...]) -> None:
        match name:
            case "ListStarted":
                self.starts.append((*key, values[0], values[1].hex()))
            case "MixPosted":
                at, mixer, output, proof = values
                self.rounds[*key, at] = [mixer, output.hex(), proof.hex(), None]
            case "MixEnded":
                at, mixer, is_valid, _ = values
                held = self.rounds.setdefault((*key, at), [mixer, "", "", None])
                # A round that another ended than posted in it agrees with no record.
                held[0], held[3] = mixer if held[0] == mixer else None, is_valid
            case "SharePosted":
                trustee, shares, proof = values
                self.shares.append((*key, trustee, shares.hex(), proof.hex()))
            case _:
                pass


def audit_events(
    events: Iterable[LoggedEvent],
    *,
    eid: bytes,
    manifest: ElectionManifest,
    chain: ChainRecord,
    height: int,
    ballots: Path | None,
    sheet: Worksheet,
) -> None:
    """Compare ``chain.json`` and the recorded ballots with the events of the chain.

    Args:
        events: Of the election contracts, in order.
        eid: The election.
        manifest: Names the contract of elections.
        chain: What the record says.
        height: The block at which it was written; messages and incidents may follow.
        ballots: The file of recorded ballots, if there is one.
        sheet: Takes the answers.

    Spec: AUDIT-ELECTION.
    """
    told = _tell(events, {eid, bytes.fromhex(manifest.draft_id)}, chain)
    pairs: tuple[tuple[str, object, object], ...] = (
        ("elections contract", manifest.registry, chain.contracts.elections),
        ("announcements", [_terms_of(each) for each in told.terms], [chain.terms]),
        (
            "batches",
            told.batches,
            [(b.number, b.root, b.entry_count, b.cancel_count) for b in chain.batches],
        ),
        (
            "frozen styles",
            sorted(told.frozen, key=str),
            sorted(((f.style, f.root, f.count, f.file_digest) for f in chain.frozen), key=str),
        ),
        ("box", told.box, [(chain.box.count, chain.box.value, chain.box.closed_height)]),
        (
            "lists",
            sorted(told.starts, key=str),
            sorted(((e.kind, e.number, e.row_count, e.digest) for e in chain.lists), key=str),
        ),
        ("rounds", sorted(told.rounds.items()), _rounds_of(chain)),
        (
            "shares",
            sorted(told.shares, key=str),
            sorted(
                (
                    (e.kind, e.number, s.trustee, s.shares, s.proof)
                    for e in chain.lists
                    for s in e.shares
                ),
                key=str,
            ),
        ),
        (
            "results",
            sorted(told.results, key=str),
            sorted(((r.race, r.is_mock, r.result, r.numbers) for r in chain.results), key=str),
        ),
        ("abandoned", told.abandoned, [] if chain.abandoned is None else [chain.abandoned]),
        (
            "bulletin",
            [post for post in told.posts if post[-1] <= height],
            [(p.municipality, p.step, p.digest, p.height) for p in chain.bulletin],
        ),
    )
    for name, expected, found in pairs:
        sheet.compare(checks.CHAIN, name, expected=expected, found=found)
    sheet.ask(
        checks.FROZEN,
        "times",
        is_met=all(time_s >= manifest.freezes_at for time_s in told.frozen_times),
        expected=f"frozen from {manifest.freezes_at} on",
        found=told.frozen_times,
    )
    if ballots is not None:
        _compare_ballots(told, ballots, sheet)


def _tell(events: Iterable[LoggedEvent], subjects: Set[bytes], chain: ChainRecord) -> _Told:
    contracts = chain.contracts
    places = {
        (bytes.fromhex(getattr(contracts, event.contract)[2:]), event.topic): event
        for event in _EVENTS
    }
    told = _Told()
    for each in events:
        topics = each.log.topics
        event = places.get((bytes(each.log.address), bytes(topics[0]) if topics else b""))
        if event is None or len(topics) < 2 or bytes(topics[1]) not in subjects:
            continue
        try:
            indexed = decode(event.indexed, b"".join(topics[1:]))
            values = decode(event.data, each.log.data)
        except MalformedAbi as error:
            raise InvalidRecord(f"event {event.name} at height {each.height}: {error}") from error
        told.take(event.name, tuple(indexed[1:]), tuple(values), each)
    return told


def _terms_of(values: Any) -> dict[str, object]:
    """Return announced terms as ``chain.json`` writes them."""
    return {name: _plain(value) for name, value in zip(_TERM_NAMES, values, strict=True)}


def _plain(value: Any) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _rounds_of(chain: ChainRecord) -> list[tuple[tuple[str, int, int], list[object]]]:
    return sorted(
        ((each.kind, each.number, turn.round), [turn.mixer, turn.output, turn.proof, turn.is_valid])
        for each in chain.lists
        for turn in each.rounds
    )


def _compare_ballots(told: _Told, ballots: Path, sheet: Worksheet) -> None:
    """Hold every recorded ballot against its event (case 91)."""
    for frame, cast in zip(read_frames(ballots), told.casts, strict=False):
        found = (
            frame.index,
            BALLOT_SIG.digest(frame.core).hex(),
            frame.height,
            frame.time_s,
        )
        sheet.compare(checks.CHAIN, f"ballot {frame.index}", expected=cast, found=found)
    count = sum(1 for _ in read_frames(ballots))
    sheet.compare(checks.CHAIN, "ballots", expected=len(told.casts), found=count)
