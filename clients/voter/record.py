"""What a device keeps of an election: its enrolment, the ballots it sent, the receipts it holds.

Never a choice, never the randomness of a sent ballot: the file tells that its owner voted and when,
not how. The ballot key's seed lies in the wallet. Ballots are kept as sent, so that the same bytes
can be sent again through another relay.

Spec: VOTE-RECORD.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from clients.voter.enrolment import Enrolment, Invitation, PendingEnrolment, RollReceipt
from clients.voting.ballot import Ballot, compute_ballot_hash, decode_core
from clients.voting.blind_signature import BlindedToken
from clients.voting.group import decode_point
from clients.voting.manifest import Manifest
from clients.voting.receipts import V_OFFSET, ballot_receipt_hash, check_receipt
from clients.voting.roll import decode_entry
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.json_text import decode_json
from node.primitives.types import Signature

VERSION: Final = 1
RECORD_SIZE_MAX: Final = 32 * 1024 * 1024
"""Longest record read, in bytes."""

BALLOT_COUNT_MAX: Final = 1_000
RECEIPT_COUNT_MAX: Final = 64
"""Most receipts kept of one ballot."""

Value = TypeVar("Value")


class InvalidRecord(InvalidInput):
    """A device's record that cannot be read back."""

    code = "voter.invalid_record"


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotReceipt:
    """A relay's promise that a ballot will stand in the box by a height."""

    relay: str
    """Account of the relay, as the manifest has it."""
    deadline: int
    """Height by which it stands there."""
    signature: bytes
    """Of the relay's receipt key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBallot:
    """A ballot as it was sent."""

    core: bytes
    """The core."""
    signature: bytes
    """r, s and v, 27 or 28."""
    sent_at: int
    """When it was sealed, by the device's clock."""
    receipts: tuple[BallotReceipt, ...] = ()
    """Promises of relays, checked."""

    @property
    def hash(self) -> bytes:
        """Return d."""
        return compute_ballot_hash(self.core)

    @property
    def sequence(self) -> int:
        """Return its number."""
        return int.from_bytes(self.core[99:107], "big")

    @property
    def ballot(self) -> Ballot:
        """Return the ballot."""
        parity = bytes([self.signature[64] - V_OFFSET])
        return Ballot(
            core=decode_core(self.core), signature=Signature(self.signature[:64] + parity)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """All that a device keeps of one election."""

    eid: bytes
    """The election."""
    enrolment: Enrolment | None = None
    """The accepted entry."""
    pending: PendingEnrolment | None = None
    """An entry that was sent, or is about to be."""
    card_signature: bytes = b""
    """The card's signature over the pending entry."""
    certificate: bytes = b""
    """The card's certificate, with it."""
    ballots: tuple[SentBallot, ...] = ()
    """As sent, ascending by number."""
    is_withdrawn: bool = False
    """The device asked for its key to be withdrawn."""

    def with_ballot(self, sent: SentBallot) -> "DeviceRecord":
        """Return the record with a ballot added, or its receipts renewed."""
        others = [each for each in self.ballots if each.sequence != sent.sequence]
        ballots = sorted([*others, sent], key=lambda each: each.sequence)
        if len(ballots) > BALLOT_COUNT_MAX:
            raise InvalidRecord(f"over {BALLOT_COUNT_MAX} ballots", rule="VOTE-RECORD")
        return replace(self, ballots=tuple(ballots))

    def find(self, sequence: int) -> SentBallot | None:
        """Return the ballot with a number, None when this device sent none."""
        return next((each for each in self.ballots if each.sequence == sequence), None)


def sent_ballot_of(ballot: Ballot, *, at_s: int) -> SentBallot:
    """Return a sealed ballot as it is kept and sent."""
    v = bytes([ballot.signature[64] + V_OFFSET])
    return SentBallot(core=ballot.core.encode(), signature=ballot.signature[:64] + v, sent_at=at_s)


def check_ballot_receipt(manifest: Manifest, ballot_hash: bytes, receipt: BallotReceipt) -> None:
    """Check that a relay of the manifest signed the promise.

    Raises:
        InvalidReceipt: It is no relay, or did not sign this.

    Spec: RECEIPT-BALLOT.
    """
    for relay in manifest.relays:
        if relay.account == receipt.relay:
            digest = ballot_receipt_hash(manifest.eid, ballot_hash, receipt.deadline)
            key = decode_point(bytes.fromhex(relay.receipt_key))
            check_receipt(digest, receipt.signature, key)
            return
    raise InvalidRecord("receipt: of no relay of this election", rule="RECEIPT-BALLOT")


def encode_record(record: DeviceRecord) -> bytes:
    """Return the record's file."""
    shown = {
        "version": VERSION,
        "eid": record.eid.hex(),
        "enrolment": None if record.enrolment is None else _show_enrolment(record.enrolment),
        "pending": None if record.pending is None else _show_pending(record.pending),
        "card_signature": record.card_signature.hex(),
        "certificate": record.certificate.hex(),
        "ballots": [_show_ballot(each) for each in record.ballots],
        "is_withdrawn": record.is_withdrawn,
    }
    return (json.dumps(shown, indent=1) + "\n").encode()


def decode_record(data: bytes) -> DeviceRecord:
    """Read a record's file.

    Raises:
        InvalidRecord: It is too long, malformed, or of another version.

    Spec: VOTE-RECORD.
    """
    if len(data) > RECORD_SIZE_MAX:
        raise InvalidRecord("record: too long", rule="VOTE-RECORD")
    try:
        shown: Any = decode_json(data)
        if shown["version"] != VERSION:
            raise InvalidRecord("record: of another version", rule="VOTE-RECORD")
        return DeviceRecord(
            eid=_bytes(shown["eid"], 32),
            enrolment=_read(shown["enrolment"], _read_enrolment),
            pending=_read(shown["pending"], _read_pending),
            card_signature=_bytes(shown["card_signature"]),
            certificate=_bytes(shown["certificate"]),
            ballots=tuple(_read_ballot(each) for each in shown["ballots"]),
            is_withdrawn=bool(shown["is_withdrawn"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, MalformedMessage) as error:
        raise InvalidRecord("record: malformed", rule="VOTE-RECORD") from error


def _show_enrolment(enrolment: Enrolment) -> dict[str, object]:
    receipt = enrolment.receipt
    return {
        "slot": enrolment.slot.hex(),
        "style": enrolment.style,
        "entry_version": enrolment.version,
        "digest": enrolment.digest.hex(),
        "salt": enrolment.salt.hex(),
        "batch": receipt.batch,
        "time": receipt.time_s,
        "registrar": receipt.registrar.hex(),
        "attestor": receipt.attestor.hex(),
        "token": enrolment.token.hex(),
    }


def _read_enrolment(shown: Mapping[str, Any]) -> Enrolment:
    return Enrolment(
        slot=_bytes(shown["slot"], 32),
        style=int(shown["style"]),
        version=int(shown["entry_version"]),
        digest=_bytes(shown["digest"], 32),
        salt=_bytes(shown["salt"], 32),
        receipt=RollReceipt(
            batch=int(shown["batch"]),
            time_s=int(shown["time"]),
            registrar=_bytes(shown["registrar"], 65),
            attestor=_bytes(shown["attestor"], 65),
        ),
        token=_bytes(shown["token"]),
    )


def _show_pending(pending: PendingEnrolment) -> dict[str, object]:
    invitation = pending.invitation
    return {
        "enrolment": invitation.enrolment,
        "leaf_index": invitation.leaf_index,
        "leaf_proof": [each.hex() for each in invitation.leaf_proof],
        "entry": pending.entry.encode().hex(),
        "salt": pending.salt.hex(),
        "blinded": pending.blinded.message.hex(),
        "inverse": hex(pending.blinded.inverse),
    }


def _read_pending(shown: Mapping[str, Any]) -> PendingEnrolment:
    entry = decode_entry(_bytes(shown["entry"]))
    return PendingEnrolment(
        invitation=Invitation(
            enrolment=str(shown["enrolment"]),
            slot=entry.slot,
            style=entry.style,
            version=entry.version,
            nonce=entry.nonce,
            leaf_index=int(shown["leaf_index"]),
            leaf_proof=tuple(_bytes(each, 32) for each in shown["leaf_proof"]),
        ),
        entry=entry,
        salt=_bytes(shown["salt"], 32),
        blinded=BlindedToken(message=_bytes(shown["blinded"]), inverse=int(shown["inverse"], 16)),
    )


def _show_ballot(sent: SentBallot) -> dict[str, object]:
    return {
        "core": sent.core.hex(),
        "signature": sent.signature.hex(),
        "sent_at": sent.sent_at,
        "receipts": [
            {
                "relay": each.relay,
                "deadline": each.deadline,
                "signature": each.signature.hex(),
            }
            for each in sent.receipts
        ],
    }


def _read_ballot(shown: Mapping[str, Any]) -> SentBallot:
    return SentBallot(
        core=_bytes(shown["core"]),
        signature=_bytes(shown["signature"], 65),
        sent_at=int(shown["sent_at"]),
        receipts=tuple(
            BallotReceipt(
                relay=str(each["relay"]),
                deadline=int(each["deadline"]),
                signature=_bytes(each["signature"], 65),
            )
            for each in shown["receipts"][:RECEIPT_COUNT_MAX]
        ),
    )


def _read(shown: Any, read: Callable[[Mapping[str, Any]], Value]) -> Value | None:
    return None if shown is None else read(shown)


def _bytes(text: Any, size: int | None = None) -> bytes:
    data = bytes.fromhex(text)
    if size is not None and len(data) != size:
        raise ValueError(f"expected {size} bytes")
    return data
