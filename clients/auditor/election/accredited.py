"""What only an accredited auditor can ask: who stands behind the roll.

The export's lines are read once, electors before entries before cancel records. What an entry
claims is checked by workers in parts; what must agree between lines, the ledger and the active
lists is compared here. Findings name the line of the export and never what stands there.

Spec: AUDIT-ACCREDITED.
"""

import hmac
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clients.auditor.checks import Check, Worksheet
from clients.auditor.election import checks
from clients.auditor.election.ballots import is_signed_by
from clients.auditor.election.entries import leaf_of
from clients.auditor.election.lists import CipherRows, Context
from clients.auditor.election.records import (
    ChainList,
    ChainRecord,
    ElectionManifest,
    parse_json,
    point_of,
)
from clients.auditor.election.restricted import (
    CancelLine,
    CountsLine,
    ElectorLine,
    RollLine,
    kind_of,
    read_lines,
    slot_of,
)
from clients.auditor.election.revocations import Authorities
from clients.auditor.election.roll_entries import (
    EntryAnswer,
    EntryJob,
    Numbered,
    Promise,
    answer_entries,
)
from clients.auditor.election.transcripts import CANCEL, CANCEL_CM, InvalidRecord, int_bytes
from node.primitives.merkle import compute_root

JOB_SIZE: Final = 500
"""Entries that a worker checks at once."""

JOBS_WAITING_MAX: Final = 8
"""Parts handed out and not yet answered; more lines wait in the file."""

_FINAL_REASONS: Final = (1, 2, 3)
_ORDER: Final = ("roll", "elector", "entry", "cancel", "counts")
_CHECK_OF_KIND: Final = {
    "roll": checks.ELECTORS,
    "elector": checks.ELECTORS,
    "entry": checks.ENTRIES,
    "cancel": checks.CANCELS,
    "counts": checks.TOKENS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictedInput:
    """What the commission and the authorities gave an accredited auditor."""

    path: Path
    """The export."""
    key: X25519PrivateKey = field(repr=False)
    """The auditor's, to which it is encrypted."""
    authorities: Authorities
    """Trusted authorities of signing certificates, with their revocation lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cancel:
    """What is remembered of a cancel record."""

    line: int
    slot: bytes
    reason: int
    time: int
    batch: int
    commitment: bytes


class RollAudit:
    """Reads the export to its end, asking the seven questions."""

    def __init__(
        self,
        *,
        manifest: ElectionManifest,
        eid: bytes,
        chain: ChainRecord,
        leaves: Collection[bytes],
        active: Mapping[int, Sequence[bytes]],
        sheet: Worksheet,
        executor: Executor,
    ) -> None:
        """Take what is public; ``leaves`` and ``active`` are the published lists."""
        self._manifest, self._eid, self._chain = manifest, eid, chain
        self._leaves, self._active, self._sheet = leaves, active, sheet
        self._executor = executor
        commission = manifest.registrars[0]
        self._commission = (commission.municipality,)
        self._signers = tuple(
            point_of(key).encode_xy() for key in (commission.receipt_key, commission.attestor_key)
        )
        self._slot_key = b""
        self._electors: dict[bytes, bytes] = {}
        self._found_leaves: list[bytes] = []
        self._entries: list[EntryAnswer] = []
        self._entry_count = 0
        self._cancels: list[_Cancel] = []
        self._counts: CountsLine | None = None
        self._jobs: deque[Future[list[EntryAnswer]]] = deque()
        self._job: list[Numbered] = []
        self._authorities: Authorities | None = None
        self.commitments: set[bytes] = set()
        """Of every entry of the export."""
        self.rows: dict[int, bytes] = {}
        """Per style, what must have gone into the roll's first mix, where it did."""

    def run(self, given: RestrictedInput) -> None:
        """Read and ask.

        Raises:
            Misconfigured: The export cannot be read, or is for another auditor or election.

        Spec: AUDIT-ACCREDITED.
        """
        self._authorities = given.authorities
        if not given.authorities.store_ders:
            self._sheet.leave_open(
                "no authority of signing certificates was given; paths were not checked",
                checks.CARDS,
            )
        try:
            self._read(read_lines(given.path, given.key, self._eid))
        except InvalidRecord as error:
            self._sheet.leave_open(error.message, *checks.ACCREDITED)
            return
        self._check_electors()
        self._check_batches()
        self._check_slots()
        self._check_inputs()
        self._check_counts()

    def _read(self, lines: Iterator[bytes]) -> None:
        stage = 0
        for number, line in enumerate(lines, 1):
            kind = kind_of(line)
            place = _ORDER.index(kind) if kind in _ORDER else -1
            is_in_order = (place == 0) == (number == 1) and place >= stage and self._counts is None
            if not is_in_order:
                self._fault(
                    _CHECK_OF_KIND.get(kind, checks.TOKENS),
                    number,
                    "roll, electors, entries, cancel records, counts",
                    "a line out of order, or of no known kind",
                )
                continue
            stage = place
            try:
                self._take(kind, number, line)
            except InvalidRecord as error:
                self._fault(_CHECK_OF_KIND[kind], number, "a line in its form", error.message)
        self._hand_out()
        while self._jobs:
            self._collect()

    def _fault(self, check: Check, number: int, expected: str, found: object) -> None:
        self._sheet.ask(
            check,
            f"line {number} of the export",
            is_met=False,
            expected=expected,
            found=found,
            blame=self._commission,
        )

    def _take(self, kind: str, number: int, line: bytes) -> None:
        name = "export"
        match kind:
            case "roll":
                self._take_roll(parse_json(line, RollLine, name))
            case "elector":
                self._take_elector(parse_json(line, ElectorLine, name), number, line)
            case "entry":
                self._take_entry(number, line)
            case "cancel":
                self._take_cancel(parse_json(line, CancelLine, name), number)
            case _:
                self._counts = parse_json(line, CountsLine, name)

    def _take_roll(self, head: RollLine) -> None:
        manifest, commission = self._manifest, self._manifest.registrars[0]
        self._slot_key = bytes.fromhex(head.slot_key)
        self._sheet.compare(
            checks.ELECTORS,
            "the export's head",
            expected=(
                self._eid.hex(),
                manifest.draft_id,
                commission.receipt_key,
                commission.attestor_key,
            ),
            found=(head.eid, head.draft_id, head.registrar, head.attestor),
            blame=self._commission,
        )

    def _take_elector(self, elector: ElectorLine, number: int, line: bytes) -> None:
        """Hold an elector's slot against the number, and its leaf against the list."""
        slot = bytes.fromhex(elector.slot)
        text = b"JMEV1/slot" + bytes.fromhex(self._manifest.draft_id) + elector.number.encode()
        leaf = leaf_of(slot, elector.style)
        faults = {
            "another slot than the number's": slot == hmac.digest(self._slot_key, text, "sha256"),
            "a slot that an elector before has": slot not in self._electors,
            "a slot and style that are not on the eligible list": leaf in self._leaves,
        }
        found = [what for what, holds in faults.items() if not holds]
        if found:
            self._fault(checks.ELECTORS, number, "an elector with a slot of its own", found)
            return
        self._sheet.count(checks.ELECTORS, 1)
        self._electors[slot] = line
        self._found_leaves.append(leaf)

    def _take_entry(self, number: int, line: bytes) -> None:
        self._entry_count += 1
        if self._entry_count > sum(batch.entry_count for batch in self._chain.batches):
            self._fault(checks.ENTRIES, number, "no more entries than were posted", "one more")
            return
        self._job.append(Numbered(number=number, line=line))
        if len(self._job) >= JOB_SIZE:
            self._hand_out()
        while len(self._jobs) > JOBS_WAITING_MAX:
            self._collect()

    def _hand_out(self) -> None:
        if not self._job:
            return
        assert self._authorities is not None
        job = EntryJob(
            eid=self._eid,
            signers=self._signers,
            authorities=self._authorities.store_ders,
            lines=tuple(self._job),
            electors=self._electors_of(self._job),
        )
        self._jobs.append(self._executor.submit(answer_entries, job))
        self._job = []

    def _electors_of(self, lines: Sequence[Numbered]) -> dict[bytes, bytes]:
        """Return the electors that entries speak of, by slot."""
        slots = {slot_of(each.line) for each in lines}
        return {slot: self._electors[slot] for slot in slots if slot in self._electors}

    def _collect(self) -> None:
        for answer in self._jobs.popleft().result():
            self._note_entry(answer)

    def _note_entry(self, answer: EntryAnswer) -> None:
        faults = [*answer.entry_faults]
        promise = answer.promise
        if promise is not None and promise.commitment in self.commitments:
            faults.append("a commitment that an entry before has")
        if promise is not None and promise.batch >= len(self._chain.batches):
            faults.append("promised to a batch that was never posted")
        if faults:
            self._fault(checks.ENTRIES, answer.number, "an entry that holds", faults)
        else:
            self._sheet.count(checks.ENTRIES, 1)
        cards = [*answer.card_faults]
        assert self._authorities is not None
        if promise is not None and self._authorities.is_revoked(answer.issued, promise.time):
            cards.append("a certificate that was revoked by then")
        if cards:
            self._fault(checks.CARDS, answer.number, "signed by the elector's card", cards)
        else:
            self._sheet.count(checks.CARDS, 1)
        if promise is not None:
            self.commitments.add(promise.commitment)
            self._entries.append(answer)

    def _take_cancel(self, record: CancelLine, number: int) -> None:
        """Open a cancel record and check both signatures."""
        if len(self._cancels) >= sum(batch.cancel_count for batch in self._chain.batches):
            self._fault(checks.CANCELS, number, "no more records than were posted", "one more")
            return
        slot, commitment = bytes.fromhex(record.slot), bytes.fromhex(record.commitment)
        body = b"".join(
            (
                self._eid,
                slot,
                int_bytes(record.reason, 1),
                bytes.fromhex(record.evidence),
                int_bytes(record.time, 8),
            )
        )
        digest = CANCEL.digest(body)
        signatures = (record.registrar_signature, record.attestor_signature)
        by_registrar, by_attestor = (
            is_signed_by(signer, digest, bytes.fromhex(text))
            for signer, text in zip(self._signers, signatures, strict=True)
        )
        holds = {
            "another commitment": CANCEL_CM.digest(body, bytes.fromhex(record.salt)) == commitment,
            "not signed by the registrar": by_registrar,
            "not signed by the attestor": by_attestor,
            "of no elector's slot": slot in self._electors,
            "promised to a batch that was never posted": record.batch < len(self._chain.batches),
        }
        faults = [what for what, is_met in holds.items() if not is_met]
        if faults:
            self._fault(checks.CANCELS, number, "a cancel record that holds", faults)
        else:
            self._sheet.count(checks.CANCELS, 1)
        self._cancels.append(
            _Cancel(
                line=number,
                slot=slot,
                reason=record.reason,
                time=record.time,
                batch=record.batch,
                commitment=commitment,
            )
        )

    def _check_electors(self) -> None:
        """Compare all slots with the eligible list as a whole."""
        eligible = self._manifest.eligible
        self._sheet.compare(
            checks.ELECTORS,
            "all electors",
            expected=(eligible.root, eligible.size),
            found=(compute_root(sorted(self._found_leaves)).hex(), len(self._found_leaves)),
            blame=self._commission,
        )

    def _check_batches(self) -> None:
        """Build every batch from the lines, and compare it with the one on the ledger."""
        entries: dict[int, list[bytes]] = {}
        cancels: dict[int, list[bytes]] = {}
        for promise in self._promises:
            entries.setdefault(promise.batch, []).append(promise.commitment)
        for record in self._cancels:
            cancels.setdefault(record.batch, []).append(record.commitment)
        for batch in self._chain.batches:
            added = sorted(entries.get(batch.number, ()))
            ended = sorted(cancels.get(batch.number, ()))
            found = (len(added), len(ended), compute_root([*added, *ended]).hex())
            asked = [checks.ENTRIES] + [checks.CANCELS] * bool(ended or batch.cancel_count)
            for check in asked:
                self._sheet.compare(
                    check,
                    f"batch {batch.number}: entries, cancel records, root",
                    expected=(batch.entry_count, batch.cancel_count, batch.root),
                    found=found,
                    blame=self._commission,
                )

    @property
    def _promises(self) -> Iterator[Promise]:
        return (each.promise for each in self._entries if each.promise is not None)

    def _check_slots(self) -> None:
        """Find what each slot's entries and cancel records lead to, and compare active lists.

        Spec: ROLL-ACTIVE, ROLL-CANCEL.
        """
        by_slot: dict[bytes, list[tuple[int, Promise]]] = {}
        for answer in self._entries:
            if answer.promise is not None:
                by_slot.setdefault(answer.promise.slot, []).append((answer.number, answer.promise))
        ended = self._ends()
        expected: dict[int, set[bytes]] = {style.style: set() for style in self._manifest.styles}
        for slot, promises in by_slot.items():
            promises.sort(key=lambda each: (each[1].version, each[0]))
            last = promises[-1][1]
            is_active = last.time > ended.get(slot, -1)
            if is_active:
                expected.setdefault(last.style, set()).add(last.commitment)
            self._check_versions(promises, is_active=is_active)
        for style, commitments in sorted(expected.items()):
            self._check_active(style, commitments)
        self._check_obeyed(by_slot)

    def _ends(self) -> dict[bytes, int]:
        """Return per slot the time of its last cancel record."""
        ends: dict[bytes, int] = {}
        for record in self._cancels:
            ends[record.slot] = max(record.time, ends.get(record.slot, -1))
        return ends

    def _check_versions(self, promises: Sequence[tuple[int, Promise]], *, is_active: bool) -> None:
        """Check that no version comes twice, and that each entry's state is the derived one."""
        before = 0
        for at, (number, promise) in enumerate(promises, 1):
            if promise.version == before:
                self._fault(checks.ACTIVE, number, "one entry of each version", "a second one")
            before = promise.version
            is_accepted = is_active and at == len(promises)
            if (promise.state == "accepted") != is_accepted:
                self._fault(
                    checks.ACTIVE,
                    number,
                    "accepted" if is_accepted else "superseded or cancelled",
                    promise.state,
                )

    def _check_active(self, style: int, expected: set[bytes]) -> None:
        if style not in self._active:
            self._sheet.leave_open(f"style {style}: the active list is absent", checks.ACTIVE)
            return
        found = set(self._active[style])
        for commitment in sorted(found ^ expected):
            self._sheet.ask(
                checks.ACTIVE,
                f"style {style}, entry {commitment.hex()}",
                is_met=False,
                expected="on the active list" if commitment in expected else "not on it",
                found="absent" if commitment in expected else "present",
                blame=self._commission,
            )
        self._sheet.count(checks.ACTIVE, len(found & expected))

    def _check_obeyed(self, by_slot: Mapping[bytes, Sequence[tuple[int, Promise]]]) -> None:
        """Check that what a record ended is nowhere active, and that a final one is final."""
        active = {commitment for found in self._active.values() for commitment in found}
        for record in self._cancels:
            for _, promise in by_slot.get(record.slot, ()):
                is_ended = promise.time <= record.time
                is_later = not is_ended and record.reason in _FINAL_REASONS
                if (is_ended and promise.commitment in active) or is_later:
                    self._fault(
                        checks.CANCELS,
                        record.line,
                        "no entry of the slot that counts",
                        "an entry after it" if is_later else "an ended entry that is active",
                    )

    def _check_inputs(self) -> None:
        """Build every style's roll list, and compare it with the one that was mixed.

        Spec: TALLY-LIST.
        """
        rows = {each.commitment: each.row for each in self._promises}
        listed = {each.number: each for each in self._chain.lists if each.kind == "roll"}
        for style, commitments in sorted(self._active.items()):
            if not commitments:
                continue
            missing = sum(commitment not in rows for commitment in commitments)
            if missing or style not in listed:
                self._sheet.ask(
                    checks.ROLL_INPUT,
                    f"style {style}",
                    is_met=False,
                    expected="a mixed list of entries that the export has",
                    found=f"{missing} entries that it has not" if missing else "no list",
                    blame=self._commission if missing else (),
                )
                continue
            data = b"".join(rows[commitment] for commitment in commitments)
            if self._is_input(listed[style], data):
                self.rows[style] = data

    def _is_input(self, listed: ChainList, data: bytes) -> bool:
        rows = CipherRows(data)
        context = Context(eid=self._eid, kind=b"R", number=listed.number)
        return self._sheet.compare(
            checks.ROLL_INPUT,
            f"{listed.label}, before the first mix",
            expected=(len(rows), rows.digest(context).hex()),
            found=(listed.row_count, listed.digest),
            blame=(*self._commission, "the trustees that started the list"),
        )

    def _check_counts(self) -> None:
        """Compare the counts with the lines, and tokens with entries.

        Spec: TOKEN-BLIND.
        """
        lines = (
            len(self._found_leaves),
            self._entry_count,
            len(self._cancels),
            self._entry_count,
        )
        counts = self._counts
        found: object = "no line of counts"
        if counts is not None:
            found = (counts.electors, counts.entries, counts.cancels, counts.tokens)
        self._sheet.compare(
            checks.TOKENS,
            "electors, entries, cancel records, tokens",
            expected=lines,
            found=found,
            blame=self._commission,
        )
