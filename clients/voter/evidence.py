"""Evidence that a relay broke its promise, which anyone can check without the voter's secrets.

The file holds the ballot as sent and the relay's signed receipt. Whoever checks it looks at the box
themselves: the standing of the ballot's key at or after the deadline, or all ballots of the record.

Spec: VOTE-EVIDENCE, RECEIPT-BALLOT.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from clients.voter.box import Standing
from clients.voter.checking import races_of
from clients.voter.record import BallotReceipt, SentBallot, check_ballot_receipt
from clients.voting.ballot import check_ballot
from clients.voting.manifest import Manifest
from node.primitives.canonical import encode_canonical
from node.primitives.errors import InvalidInput
from node.primitives.json_text import decode_json

VERSION: Final = 1
KIND: Final = "suppressed-ballot"
EVIDENCE_SIZE_MAX: Final = 65_536


class InvalidEvidence(InvalidInput):
    """A file that is no evidence of this election; the message says why."""

    code = "voter.invalid_evidence"


class Judgement(StrEnum):
    """What evidence amounts to."""

    BROKEN = "the relay did not keep its promise"
    KEPT = "the ballot is in the box"
    TOO_EARLY = "the deadline has not passed"
    UNDECIDED = "the key has later ballots; look for the ballot in the record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A ballot and the promise for it, both checked."""

    eid: bytes
    """The election."""
    sent: SentBallot
    """The ballot, with one receipt."""

    @property
    def receipt(self) -> BallotReceipt:
        """Return the promise."""
        return self.sent.receipts[0]


def encode_evidence(manifest: Manifest, sent: SentBallot, receipt: BallotReceipt) -> bytes:
    """Return the file for one broken promise.

    Spec: VOTE-EVIDENCE.
    """
    return encode_canonical(
        {
            "version": VERSION,
            "kind": KIND,
            "eid": manifest.eid.hex(),
            "core": sent.core.hex(),
            "signature": sent.signature.hex(),
            "relay": receipt.relay,
            "deadline": receipt.deadline,
            "receipt": receipt.signature.hex(),
        }
    )


def decode_evidence(manifest: Manifest, data: bytes) -> Evidence:
    """Read evidence and check ballot and promise, everything but the box.

    Raises:
        InvalidEvidence: Malformed, or of another election.
        InvalidBallot: The ballot is none that a relay may accept.
        InvalidReceipt: The relay did not sign the promise.

    Spec: VOTE-EVIDENCE, RECEIPT-BALLOT.
    """
    if len(data) > EVIDENCE_SIZE_MAX:
        raise InvalidEvidence("evidence: too long", rule="VOTE-EVIDENCE")
    try:
        shown: Any = decode_json(data)
        if shown["version"] != VERSION or shown["kind"] != KIND:
            raise InvalidEvidence("evidence: of another kind", rule="VOTE-EVIDENCE")
        eid = bytes.fromhex(shown["eid"])
        signature = bytes.fromhex(shown["signature"])
        receipt = BallotReceipt(
            relay=str(shown["relay"]),
            deadline=int(shown["deadline"]),
            signature=bytes.fromhex(shown["receipt"]),
        )
        core = bytes.fromhex(shown["core"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidEvidence("evidence: malformed", rule="VOTE-EVIDENCE") from error
    if eid != manifest.eid or len(signature) != 65 or signature[64] not in (27, 28):
        raise InvalidEvidence("evidence: of another election", rule="VOTE-EVIDENCE")
    sent = SentBallot(core=core, signature=signature, sent_at=0, receipts=(receipt,))
    ballot = sent.ballot
    check_ballot(ballot, eid=eid, races=races_of(manifest, ballot.core.style))
    check_ballot_receipt(manifest, sent.hash, receipt)
    return Evidence(eid=eid, sent=sent)


def judge_evidence(
    evidence: Evidence,
    *,
    height: int,
    standing: Standing,
    recorded: Collection[bytes] | None = None,
) -> Judgement:
    """Tell whether the relay broke its promise.

    Args:
        evidence: Checked evidence.
        height: Height at which ``standing`` is proven.
        standing: Of the ballot's key.
        recorded: Hashes of all accepted ballots, when the judge has the record.

    Spec: VOTE-EVIDENCE.
    """
    sent = evidence.sent
    if height <= evidence.receipt.deadline:
        return Judgement.TOO_EARLY
    if recorded is not None:
        return Judgement.KEPT if sent.hash in recorded else Judgement.BROKEN
    if standing.sequence < sent.sequence:
        return Judgement.BROKEN
    if standing.sequence > sent.sequence:
        return Judgement.UNDECIDED
    return Judgement.KEPT if standing.digest == sent.hash else Judgement.BROKEN
