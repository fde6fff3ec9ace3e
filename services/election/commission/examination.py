"""The commission's own look at its restricted store, before an auditor's: what does not agree.

Every number is computed again from what an export holds, the manifest, the batches and the active
lists. It is the list of checks an accredited auditor makes with a program of another author; an
officer runs it first, so that an export is handed out only when it holds.

Spec: ROLL-EXAMINE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from clients.identity.attributes import MalformedAttributes, Sex, decode_attributes
from clients.identity.certificate import MalformedCertificate, decode_certificate
from clients.identity.signature import is_card_signature
from clients.voting.group import decode_point
from clients.voting.manifest import Manifest
from clients.voting.roll import (
    RollEntry,
    check_entry,
    compute_commitment,
    compute_leaf,
    compute_slot,
    decode_entry,
)
from clients.voting.roll_files import (
    ActiveList,
    BatchEntry,
    CancelReason,
    CancelRecord,
    RollBatch,
    RollReceipt,
    check_signer,
)
from node.primitives.errors import InvalidInput
from node.primitives.json_text import decode_json
from node.primitives.merkle import compute_root
from services.election.commission.matching import MatchedAttributes, find_differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that does not agree."""

    check: str
    """Fixed word of the check."""
    place: str
    """Commitment, slot or style it is about, in hex; nothing that names a person."""


class _Examiner:
    """Goes through an export and collects what does not agree."""

    def __init__(
        self,
        manifest: Manifest,
        batches: Sequence[RollBatch],
        active: Mapping[int, ActiveList],
    ) -> None:
        self.manifest = manifest
        self.batches = batches
        self.active = active
        self.findings: list[Finding] = []
        self.electors: dict[bytes, Any] = {}
        self.entries: dict[bytes, list[Any]] = {}
        self.cancels: dict[bytes, list[Any]] = {}
        self.signers = tuple(
            decode_point(bytes.fromhex(key))
            for key in (
                manifest.registrars[0].receipt_key,
                manifest.registrars[0].attestor_key,
            )
        )

    def hold(self, is_met: bool, check: str, place: bytes) -> None:
        """Note a finding unless the check is met."""
        if not is_met:
            self.findings.append(Finding(check=check, place=place.hex()))

    def take_elector(self, line: Any, slot_key: bytes) -> None:
        slot = bytes.fromhex(line["slot"])
        draft = bytes.fromhex(self.manifest.draft_id)
        expected = compute_slot(slot_key, draft, line["number"].encode())
        self.hold(slot == expected, "slot", slot)
        self.hold(slot not in self.electors, "slot-twice", slot)
        self.electors[slot] = line

    def take_entry(self, line: Any) -> None:
        commitment = bytes.fromhex(line["commitment"])
        try:
            entry = decode_entry(bytes.fromhex(line["entry"]))
            check_entry(entry)
        except InvalidInput:
            self.hold(False, "proof", commitment)
            return
        salt = bytes.fromhex(line["salt"])
        self.hold(compute_commitment(entry.digest, salt) == commitment, "opening", commitment)
        is_same = (entry.eid, entry.slot.hex(), entry.version) == (
            self.manifest.eid,
            line["slot"],
            line["entry_version"],
        )
        self.hold(is_same, "entry", commitment)
        self.hold(self._is_signed(line, entry), "card", commitment)
        receipt = RollReceipt(
            eid=self.manifest.eid,
            commitment=commitment,
            batch=line["batch"],
            time_s=line["time"],
        )
        self._check_signatures(line, receipt.digest, commitment)
        self._check_place(line["batch"], commitment, entry)
        self.entries.setdefault(entry.slot, []).append(line)

    def _is_signed(self, line: Any, entry: RollEntry) -> bool:
        """Tell whether the elector's own card signed the entry."""
        elector = self.electors.get(entry.slot)
        try:
            certificate = decode_certificate(bytes.fromhex(line["certificate"]))
            attributes = decode_attributes(certificate)
        except (MalformedCertificate, MalformedAttributes):
            return False
        if elector is None or elector["style"] != entry.style:
            return False
        matched = MatchedAttributes(
            name=elector["certificate_name"] or elector["name"],
            address=elector["certificate_address"] or elector["address"],
            birth_date=date.fromisoformat(elector["birth_date"]),
            sex=None if elector["sex"] is None else Sex(elector["sex"]),
        )
        signature = bytes.fromhex(line["signature"])
        is_by_card = is_card_signature(certificate.key, entry.card_text, signature)
        return is_by_card and not find_differences(matched, attributes)

    def _check_signatures(self, line: Any, digest: bytes, place: bytes) -> None:
        names = ("registrar_signature", "attestor_signature")
        for name, signer in zip(names, self.signers, strict=True):
            try:
                check_signer(digest, bytes.fromhex(line[name]), signer)
            except InvalidInput:
                self.hold(False, name, place)

    def _check_place(self, number: int, commitment: bytes, entry: RollEntry) -> None:
        """Check that the batch promised has the commitment with the entry's own pointer."""
        expected = BatchEntry(commitment=commitment, style=entry.style, a=entry.a, b=entry.b)
        is_there = number < len(self.batches) and expected in self.batches[number].entries
        self.hold(is_there, "batch", commitment)

    def take_cancel(self, line: Any) -> None:
        commitment, slot = bytes.fromhex(line["commitment"]), bytes.fromhex(line["slot"])
        record = CancelRecord(
            eid=self.manifest.eid,
            slot=slot,
            reason=CancelReason(line["reason"]),
            evidence=bytes.fromhex(line["evidence"]),
            time_s=line["time"],
        )
        opened = record.compute_commitment(bytes.fromhex(line["salt"]))
        self.hold(opened == commitment, "cancel-opening", commitment)
        self._check_signatures(line, record.digest, commitment)
        number = line["batch"]
        is_there = number < len(self.batches) and commitment in self.batches[number].cancels
        self.hold(is_there, "cancel-batch", commitment)
        self.cancels.setdefault(slot, []).append(line)

    def finish(self, counts: Any) -> None:
        leaves = sorted(compute_leaf(slot, line["style"]) for slot, line in self.electors.items())
        root = bytes.fromhex(self.manifest.eligible.root)
        self.hold(compute_root(leaves) == root, "eligible", root)
        total = sum(map(len, self.entries.values()))
        self.hold(counts["tokens"] == counts["entries"] == total, "tokens", b"")
        shown = [entry.commitment for batch in self.batches for entry in batch.entries]
        explained = {line["commitment"] for lines in self.entries.values() for line in lines}
        for commitment in shown:
            self.hold(commitment.hex() in explained, "unexplained", commitment)
        for style, expected in self._expected_active().items():
            found = self.active.get(style, ActiveList(commitments=()))
            for commitment in set(found.commitments) ^ expected:
                self.hold(False, "active", commitment)

    def _expected_active(self) -> dict[int, set[bytes]]:
        """Return who must be on the active lists: latest version, no later cancel record."""
        styles: dict[int, set[bytes]] = {style.style: set() for style in self.manifest.styles}
        for slot, lines in self.entries.items():
            last = max(lines, key=lambda line: line["entry_version"])
            cancelled = max((line["time"] for line in self.cancels.get(slot, ())), default=-1)
            if last["time"] > cancelled and slot in self.electors:
                style = self.electors[slot]["style"]
                styles[style].add(bytes.fromhex(last["commitment"]))
        return styles


def examine_export(
    lines: Sequence[bytes],
    manifest: Manifest,
    batches: Sequence[RollBatch],
    active: Mapping[int, ActiveList],
) -> tuple[Finding, ...]:
    """Return everything in an export that does not agree; empty when all does.

    Spec: ROLL-EXAMINE.
    """
    examiner = _Examiner(manifest, batches, active)
    slot_key = b""
    for data in lines:
        line: Any = decode_json(data)
        match line["kind"]:
            case "roll":
                slot_key = bytes.fromhex(line["slot_key"])
                examiner.hold(line["eid"] == manifest.eid.hex(), "election", manifest.eid)
            case "elector":
                examiner.take_elector(line, slot_key)
            case "entry":
                examiner.take_entry(line)
            case "cancel":
                examiner.take_cancel(line)
            case "counts":
                examiner.finish(line)
            case _:
                examiner.hold(False, "line", manifest.eid)
    return tuple(examiner.findings)
