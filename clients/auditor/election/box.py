"""The recorded ballots: read once from front to back, checked in parallel, remembered in brief.

The file holds frames in the order of the box. What depends on order (index, sequence, times, the
box's value) is followed here; what depends on one ballot alone is checked in chunks by workers that
read the same file.

Spec: BOX-CHAIN, BOX-SEQUENCE, BOX-WINDOW.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from clients.auditor.checks import Outcome, Worksheet
from clients.auditor.election import checks
from clients.auditor.election.ballots import (
    AcceptedBallot,
    Mark,
    are_proofs_right,
    find_wrong_proofs,
    is_signed_by,
    parse_core,
)
from clients.auditor.election.records import ElectionManifest
from clients.auditor.election.transcripts import BALLOT_SIG, Bytes, InvalidRecord
from node.primitives.errors import InvalidInput

HEAD_SIZE: Final = 26
"""Index, height and time in 8 bytes each, size of the core in 2."""
SIGNATURE_SIZE: Final = 65
CHUNK: Final = 4_000
"""Ballots that a worker checks at once."""

_BY_BALLOT: Final = (checks.BALLOT_FORM, checks.BALLOT_PROOFS, checks.BALLOT_SIGNATURES)

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One recorded ballot as the file holds it."""

    index: int
    """Place in the box."""
    height: int
    """Block that recorded it."""
    time_s: int
    """That block's time."""
    start: int
    """Where the core begins."""
    core: bytes
    """The core."""
    signature: bytes
    """r, s, v."""


@dataclass(slots=True)
class BoxContents:
    """What the file of ballots holds."""

    marks: list[Mark] = field(default_factory=list)
    """Every ballot, in order."""
    heights: dict[bytes, int] = field(default_factory=dict)
    """Height by ballot hash."""
    last_sequence: dict[bytes, int] = field(default_factory=dict)
    """Highest sequence number of every key."""
    last_height: dict[bytes, int] = field(default_factory=dict)
    """Height of every key's last ballot."""
    value: bytes = b""
    """The box's value as recomputed."""


def read_frames(path: Path, start: int = 0, count: int | None = None) -> Iterator[Frame]:
    """Yield frames from byte ``start``, all or ``count`` of them.

    Raises:
        InvalidRecord: The file ends within a frame.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        while count is None or count > 0:
            head = stream.read(HEAD_SIZE)
            if not head and count is None:
                return
            read = Bytes(head, "ballots.bin")
            index, height, time_s, size = (read.number(width) for width in (8, 8, 8, 2))
            at = stream.tell()
            body = stream.read(size + SIGNATURE_SIZE)
            if len(body) != size + SIGNATURE_SIZE:
                raise InvalidRecord("ballots.bin: ends within a ballot", rule="BALLOT-CORE")
            yield Frame(
                index=index,
                height=height,
                time_s=time_s,
                start=at,
                core=body[:size],
                signature=body[size:],
            )
            count = None if count is None else count - 1


def check_chunk(
    path: Path,
    start: int,
    count: int,
    eid: bytes,
    races_by_style: Mapping[int, Sequence[int]],
) -> tuple[Outcome, ...]:
    """Check what each of ``count`` ballots says by itself; runs in a worker.

    Spec: BALLOT-CORE, BALLOT-POK, BALLOT-SIGNATURE.
    """
    sheet = Worksheet(_BY_BALLOT)
    parsed: list[tuple[int, AcceptedBallot]] = []
    for frame in read_frames(path, start, count):
        subject = f"ballot {frame.index}"
        try:
            ballot = parse_core(frame.core)
        except InvalidInput as error:
            sheet.ask(
                checks.BALLOT_FORM,
                subject,
                is_met=False,
                expected="a ballot",
                found=error.message,
            )
            continue
        parsed.append((frame.index, ballot))
        expected = (eid, tuple(races_by_style.get(ballot.style, ())))
        sheet.ask(
            checks.BALLOT_FORM,
            subject,
            is_met=(ballot.eid, ballot.races) == expected,
            expected=f"races {list(expected[1])} of style {ballot.style}, this election",
            found=f"races {list(ballot.races)} of election {ballot.eid.hex()[:8]}…",
        )
        sheet.ask(
            checks.BALLOT_SIGNATURES,
            subject,
            is_met=is_signed_by(ballot.key, ballot.digest, frame.signature),
            expected="a signature by the ballot's key",
            found="none",
        )
    if are_proofs_right([ballot for _, ballot in parsed], os.urandom):
        sheet.count(checks.BALLOT_PROOFS, len(parsed))
        return sheet.outcomes()
    for index, ballot in parsed:
        wrong = find_wrong_proofs(ballot)
        sheet.ask(
            checks.BALLOT_PROOFS,
            f"ballot {index}",
            is_met=not wrong,
            expected="a proof for every race",
            found=f"none that holds for races {wrong}",
        )
    return sheet.outcomes()


class BoxReader:
    """Follows the order of the recorded ballots."""

    def __init__(self, manifest: ElectionManifest, eid: bytes, sheet: Worksheet) -> None:
        """Start at an empty box."""
        self._manifest, self._eid, self._sheet = manifest, eid, sheet
        self._times: dict[bytes, int] = {}
        self._before = (0, 0)
        self.contents = BoxContents(value=eid)

    def take(self, frame: Frame) -> None:
        """Follow one ballot.

        Spec: BOX-CHAIN, BOX-SEQUENCE, BOX-WINDOW.
        """
        contents, subject = self.contents, f"ballot {frame.index}"
        digest = BALLOT_SIG.digest(frame.core)
        place = len(contents.marks)
        self._sheet.compare(checks.BOX, subject, expected=place, found=frame.index)
        contents.value = sha256(contents.value + digest + place.to_bytes(8, "big")).digest()
        key = frame.core[35:99]
        style = int.from_bytes(frame.core[33:35], "big")
        sequence = int.from_bytes(frame.core[99:107], "big")
        self._check_window(subject, frame)
        self._check_sequence(subject, frame, key, sequence)
        contents.marks.append(
            Mark(
                key=key,
                style=style,
                sequence=sequence,
                start=frame.start,
                size=len(frame.core),
            )
        )
        contents.heights.setdefault(digest, frame.height)
        contents.last_sequence[key] = sequence
        contents.last_height[key] = frame.height
        self._times[key] = frame.time_s

    def _check_window(self, subject: str, frame: Frame) -> None:
        manifest = self._manifest
        now = (frame.height, frame.time_s)
        is_later = now[0] >= self._before[0] and now[1] >= self._before[1]
        is_same_block = now[0] == self._before[0]
        self._sheet.ask(
            checks.BALLOT_WINDOW,
            subject,
            is_met=manifest.opens_at <= frame.time_s < manifest.closes_at
            and is_later
            and (not is_same_block or now[1] == self._before[1]),
            expected=f"a time from {manifest.opens_at} to {manifest.closes_at} - 1, in order",
            found=f"time {frame.time_s} at height {frame.height}, after {self._before[1]} at"
            f" {self._before[0]}",
        )
        self._before = now

    def _check_sequence(self, subject: str, frame: Frame, key: bytes, sequence: int) -> None:
        limits = self._manifest.limits
        last = self.contents.last_sequence.get(key, 0)
        earliest = self._times[key] + limits.min_interval_s if key in self._times else 0
        self._sheet.ask(
            checks.BALLOT_SEQUENCE,
            subject,
            is_met=sequence == last + 1 <= limits.max_sequence and frame.time_s >= earliest,
            expected=f"number {last + 1} of at most {limits.max_sequence}, not before {earliest}",
            found=f"number {sequence} at {frame.time_s}",
        )


def audit_box(
    path: Path,
    manifest: ElectionManifest,
    eid: bytes,
    sheet: Worksheet,
    executor: Executor,
    progress: Progress,
) -> BoxContents:
    """Check every recorded ballot and return what they are."""
    reader = BoxReader(manifest, eid, sheet)
    starts: list[int] = []
    try:
        for at, frame in enumerate(read_frames(path)):
            if at % CHUNK == 0:
                starts.append(frame.start - HEAD_SIZE)
            reader.take(frame)
    except InvalidInput as error:
        sheet.ask(
            checks.BALLOT_FORM,
            f"ballot {len(reader.contents.marks)}",
            is_met=False,
            expected="a ballot",
            found=error.message,
        )
    total = len(reader.contents.marks)
    jobs = [
        executor.submit(
            check_chunk,
            path,
            start,
            min(CHUNK, total - at * CHUNK),
            eid,
            manifest.races_by_style,
        )
        for at, start in enumerate(starts)
    ]
    for at, job in enumerate(jobs, 1):
        sheet.merge(job.result())
        progress("ballots", min(at * CHUNK, total), total)
    return reader.contents


def read_cores(path: Path, marks: Sequence[Mark]) -> Iterator[bytes]:
    """Yield the cores of some ballots, in the order given."""
    with path.open("rb") as stream:
        for mark in marks:
            stream.seek(mark.start)
            yield stream.read(mark.size)
