"""Files and signed records of the roll: batches, active lists, receipts, cancel records.

A batch is what the commission adds at one time, without identity: commitments with their sealed
pointers, and commitments to cancel records. An active list is what a style froze to. Registrar and
attestor sign receipts and cancel records; witnesses, devices and auditors check all of them with
these functions.

Spec: ROLL-BATCH, ROLL-ACTIVE, ROLL-RECEIPT, ROLL-CANCEL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from itertools import pairwise
from typing import Final

from clients.voting.encoding import (
    encode_i1,
    encode_i2,
    encode_i4,
    encode_i8,
    tagged_hash,
)
from clients.voting.group import Point, decode_point
from node.primitives.crypto import InvalidSignature, PrivateKey, recover_public_key
from node.primitives.errors import InvalidInput
from node.primitives.merkle import compute_root
from node.primitives.types import Hash32

ENTRY_BYTES: Final = 32 + 2 + 33 + 33
"""cm, style, A, B."""

BATCH_COUNT_MAX: Final = 100_000
"""Entries and cancel records of one batch."""

ACTIVE_COUNT_MAX: Final = 2**21
"""Entries of one style's active list."""

V_BASE: Final = 27
"""Added to the recovery bit in SIG65."""


class InvalidRollFile(InvalidInput):
    """A batch or active list that breaks a rule; the message says which."""

    code = "roll.invalid_file"


class InvalidReceipt(InvalidInput):
    """A receipt or cancel record that was not signed by who must sign it."""

    code = "roll.invalid_receipt"


class CancelReason(IntEnum):
    """Why an elector's entries count no more; the number that is signed."""

    PAPER = 1
    """The elector votes on paper; final."""
    DEATH = 2
    """The elector died; final."""
    STRUCK_OFF = 3
    """Struck off the register; final."""
    REQUEST = 4
    """The elector asked; may enrol again."""

    @property
    def is_final(self) -> bool:
        """Tell whether no entry may follow."""
        return self is not CancelReason.REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEntry:
    """A new entry as mixers and witnesses see it."""

    commitment: bytes
    """cm."""
    style: int
    """Ballot style."""
    a: Point
    """A of the sealed pointer."""
    b: Point
    """B of the sealed pointer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBatch:
    """What is added to the roll at one time; sorted by commitment."""

    entries: tuple[BatchEntry, ...]
    """New entries."""
    cancels: tuple[bytes, ...]
    """Commitments to new cancel records."""

    @property
    def root(self) -> Hash32:
        """Return the Merkle root over commitments, then cancel commitments.

        Spec: ROLL-BATCH.
        """
        return compute_root([*(entry.commitment for entry in self.entries), *self.cancels])

    def encode(self) -> bytes:
        """Return the bytes of the batch's file.

        Spec: ROLL-BATCH.
        """
        rows = [
            entry.commitment + encode_i2(entry.style) + entry.a.encode() + entry.b.encode()
            for entry in self.entries
        ]
        return b"".join((encode_i4(len(rows)), *rows, encode_i4(len(self.cancels)), *self.cancels))


def build_batch(entries: Sequence[BatchEntry], cancels: Sequence[bytes]) -> RollBatch:
    """Sort entries and cancel commitments into a batch."""
    return RollBatch(
        entries=tuple(sorted(entries, key=lambda entry: entry.commitment)),
        cancels=tuple(sorted(cancels)),
    )


def decode_batch(data: bytes) -> RollBatch:
    """Decode a batch's file, strictly.

    Raises:
        InvalidRollFile: Too long, cut short, with bytes left over, unsorted, or a value twice.
        InvalidPoint: A point off the curve.

    Spec: ROLL-BATCH.
    """
    count, at = _read_count(data, 0)
    end = at + count * ENTRY_BYTES
    cancel_count, start = _read_count(data, end)
    if len(data) != start + cancel_count * 32:
        raise InvalidRollFile("batch: not as long as its counts say", rule="ROLL-BATCH")
    entries = tuple(
        BatchEntry(
            commitment=data[place : place + 32],
            style=int.from_bytes(data[place + 32 : place + 34], "big"),
            a=decode_point(data[place + 34 : place + 67]),
            b=decode_point(data[place + 67 : place + 100]),
        )
        for place in range(at, end, ENTRY_BYTES)
    )
    cancels = tuple(data[place : place + 32] for place in range(start, len(data), 32))
    _check_ascending([entry.commitment for entry in entries], "batch entries", "ROLL-BATCH")
    _check_ascending(cancels, "batch cancel records", "ROLL-BATCH")
    return RollBatch(entries=entries, cancels=cancels)


def _read_count(data: bytes, at: int) -> tuple[int, int]:
    if len(data) < at + 4:
        raise InvalidRollFile("batch: cut short", rule="ROLL-BATCH")
    count = int.from_bytes(data[at : at + 4], "big")
    if count > BATCH_COUNT_MAX:
        raise InvalidRollFile(f"batch: {count} rows, at most {BATCH_COUNT_MAX}", rule="ROLL-BATCH")
    return count, at + 4


def _check_ascending(values: Sequence[bytes], what: str, rule: str) -> None:
    if any(a >= b for a, b in pairwise(values)):
        raise InvalidRollFile(f"{what}: unsorted, or one twice", rule=rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveList:
    """The commitments of a style's active entries when the roll froze, ascending."""

    commitments: tuple[bytes, ...]
    """Each 32 bytes."""

    @property
    def root(self) -> Hash32:
        """Return the Merkle root."""
        return compute_root(self.commitments)

    @property
    def file_digest(self) -> bytes:
        """Return the SHA-256 of the file."""
        return sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return b"".join(self.commitments)


def decode_active_list(data: bytes) -> ActiveList:
    """Decode a style's active list, strictly.

    Raises:
        InvalidRollFile: No whole number of commitments, too many, unsorted, or one twice.

    Spec: ROLL-ACTIVE.
    """
    if len(data) % 32 or len(data) > 32 * ACTIVE_COUNT_MAX:
        raise InvalidRollFile("active list: no whole number of rows", rule="ROLL-ACTIVE")
    rows = tuple(data[at : at + 32] for at in range(0, len(data), 32))
    _check_ascending(rows, "active list", "ROLL-ACTIVE")
    return ActiveList(commitments=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollReceipt:
    """What registrar and attestor promise: this commitment is in that batch."""

    eid: bytes
    """The election."""
    commitment: bytes
    """cm."""
    batch: int
    """Number of the batch, from 0."""
    time_s: int
    """When it was taken."""

    @property
    def digest(self) -> bytes:
        """Return what is signed.

        Spec: ROLL-RECEIPT.
        """
        body = self.eid + self.commitment + encode_i4(self.batch) + encode_i8(self.time_s)
        return tagged_hash("JMEV1/roll-receipt", body)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRecord:
    """That an elector's entries up to now count no more."""

    eid: bytes
    """The election."""
    slot: bytes
    """The elector's slot; known to the commission and accredited auditors."""
    reason: CancelReason
    """Why."""
    evidence: bytes
    """32 bytes: digest of the paper behind it."""
    time_s: int
    """When. Entries taken later are not meant."""

    def encode(self) -> bytes:
        """Return the record's bytes.

        Spec: ROLL-CANCEL.
        """
        reason = encode_i1(self.reason)
        return self.eid + self.slot + reason + self.evidence + encode_i8(self.time_s)

    @property
    def digest(self) -> bytes:
        """Return what registrar and attestor sign.

        Spec: ROLL-CANCEL.
        """
        return tagged_hash("JMEV1/cancel", self.encode())

    def compute_commitment(self, salt: bytes) -> bytes:
        """Return the salted commitment that goes into a batch.

        Spec: ROLL-CANCEL.
        """
        return tagged_hash("JMEV1/cancel-cm", self.encode() + salt)


def sign_record(key: PrivateKey, digest: bytes) -> bytes:
    """Return SIG65 of a digest, v 27 or 28."""
    signature = key.sign(digest)
    return signature[:64] + bytes([signature[64] + V_BASE])


def check_signer(digest: bytes, signature: bytes, signer: Point) -> None:
    """Check that SIG65 over a digest is by a key of the manifest.

    Raises:
        InvalidReceipt: It is not, or not in its one form.

    Spec: ROLL-RECEIPT.
    """
    found = None
    if len(signature) == 65 and signature[64] >= V_BASE:
        try:
            plain = signature[:64] + bytes([signature[64] - V_BASE])
            found = recover_public_key(digest, plain)[1:]
        except InvalidSignature:
            found = None
    if found != signer.encode_xy():
        raise InvalidReceipt("record: not signed by the key of the manifest", rule="ROLL-RECEIPT")


def check_listed(active: ActiveList, receipt: RollReceipt) -> None:
    """Check that a frozen list has the entry that a receipt promised, as a voter's device does.

    Raises:
        InvalidRollFile: It is not there; with the receipt it is a complaint that anyone can check.

    Spec: ROLL-ACTIVE.
    """
    if receipt.commitment not in active.commitments:
        raise InvalidRollFile("active list: the entry of a receipt is missing", rule="ROLL-ACTIVE")
