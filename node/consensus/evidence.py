"""Proof that a validator contradicted itself: two signed payloads no honest validator makes.

Evidence is portable: ``verify_evidence`` needs only the payloads and the validator set of the
height. Nothing on chain follows from it; it is stored and served, and people act on it.

Spec: QBFT-EVIDENCE.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from node.consensus.codec import (
    MESSAGE_SIZE_MAX,
    decode_signed_commit,
    decode_signed_prepare,
    decode_signed_proposal,
    decode_signed_round_change,
)
from node.consensus.messages import (
    CommitPayload,
    MessageCode,
    PreparePayload,
    ProposalPayload,
    RoundChangePayload,
    Signed,
    code_of,
    encode_payload,
)
from node.consensus.report import Check, Report
from node.primitives import rlp
from node.primitives.errors import MalformedMessage
from node.primitives.types import Address, Height, Round

SignedPayload: TypeAlias = (
    Signed[ProposalPayload]
    | Signed[PreparePayload]
    | Signed[CommitPayload]
    | Signed[RoundChangePayload]
)

EVIDENCE_SIZE_MAX: Final = 2 * MESSAGE_SIZE_MAX
"""Longest encoded evidence: two proposals with their blocks, in bytes."""


class Contradiction(StrEnum):
    """How two payloads of one author contradict each other."""

    DOUBLE_PROPOSAL = "double_proposal"
    """Two blocks proposed in one round."""
    DOUBLE_VOTE = "double_vote"
    """Prepares or commits for two digests in one round."""
    DOUBLE_ROUND_CHANGE = "double_round_change"
    """Two round changes to one round that say different things were prepared."""
    DROPPED_LOCK = "dropped_lock"
    """A commit, then a round change beyond it that forgets what was committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two payloads by one author, at one height, that cannot both be honest."""

    contradiction: Contradiction
    """What is wrong with them."""
    first: SignedPayload
    """The commit of a dropped lock; else the one seen first."""
    second: SignedPayload
    """The other."""

    @property
    def author(self) -> Address:
        """Return whom it convicts, if a validator at ``height``."""
        return self.first.author

    @property
    def height(self) -> Height:
        """Return the height of both."""
        return self.first.payload.height

    @property
    def round(self) -> Round:
        """Return the round of the first."""
        return self.first.payload.round


def find_contradiction(first: SignedPayload, second: SignedPayload) -> Contradiction | None:
    """Tell how two payloads contradict each other, or None when an honest author may make both.

    Two signatures over one payload, or two seals over one digest, are no contradiction.

    Spec: QBFT-EVIDENCE.
    """
    if first.author != second.author or first.payload.height != second.payload.height:
        return None
    one, two = first.payload, second.payload
    if isinstance(one, CommitPayload) and isinstance(two, RoundChangePayload):
        return Contradiction.DROPPED_LOCK if _forgets(two, one) else None
    if one.round != two.round:
        return None
    match one, two:
        case ProposalPayload(), ProposalPayload():
            is_double = one.block.digest != two.block.digest
            return Contradiction.DOUBLE_PROPOSAL if is_double else None
        case (PreparePayload() | CommitPayload(), PreparePayload() | CommitPayload()):
            return Contradiction.DOUBLE_VOTE if one.digest != two.digest else None
        case RoundChangePayload(), RoundChangePayload():
            return Contradiction.DOUBLE_ROUND_CHANGE if one.prepared != two.prepared else None
        case _:
            return None


def verify_evidence(evidence: Evidence, validators: tuple[Address, ...]) -> Report:
    """Check evidence as a third party: the authors are already recovered by decoding.

    Args:
        evidence: From ``decode_evidence``.
        validators: The set valid at ``evidence.height``.

    Spec: QBFT-EVIDENCE.
    """
    found = find_contradiction(evidence.first, evidence.second)
    return Report(
        checks=(
            Check(
                rule="QBFT-EVIDENCE",
                name="contradiction",
                is_met=found is evidence.contradiction,
                expected=evidence.contradiction.value,
                actual="none" if found is None else found.value,
            ),
            Check(
                rule="QBFT-EVIDENCE",
                name="author",
                is_met=evidence.author in validators,
                expected="a validator at that height",
                actual=evidence.author,
            ),
        )
    )


def encode_evidence(evidence: Evidence) -> bytes:
    """Encode as [contradiction, [code, signed payload], [code, signed payload]].

    Spec: QBFT-EVIDENCE.
    """
    parts = [
        rlp.wrap_list(bytes((code_of(part.payload),)) + _encode_part(part))
        for part in (evidence.first, evidence.second)
    ]
    kind = rlp.encode(evidence.contradiction.value.encode())
    return rlp.wrap_list(kind + b"".join(parts))


def decode_evidence(data: bytes) -> Evidence:
    """Decode evidence and recover the authors of both payloads.

    Raises:
        InvalidInput: Malformed, too long, or a signature does not recover.

    Spec: QBFT-EVIDENCE.
    """
    if len(data) > EVIDENCE_SIZE_MAX:
        raise MalformedMessage(f"evidence: {len(data)} bytes, at most {EVIDENCE_SIZE_MAX}")
    kind, first, second = rlp.as_list(rlp.decode(data), 3, "evidence")
    name = rlp.as_bytes(kind, what="evidence.contradiction")
    known = {item.value.encode(): item for item in Contradiction}
    if name not in known:
        raise MalformedMessage("evidence: unknown contradiction")
    return Evidence(
        contradiction=known[name], first=_decode_part(first), second=_decode_part(second)
    )


def _forgets(later: RoundChangePayload, commit: CommitPayload) -> bool:
    """Tell whether a round change beyond a commit states less than that commit implies."""
    if later.round <= commit.round:
        return False
    if later.prepared is None or later.prepared.round < commit.round:
        return True
    return later.prepared.round == commit.round and later.prepared.digest != commit.digest


def _encode_part(part: SignedPayload) -> bytes:
    return rlp.wrap_list(encode_payload(part.payload) + rlp.encode(part.signature))


_DECODERS: Final[dict[MessageCode, Callable[[rlp.Decoded], SignedPayload]]] = {
    MessageCode.PROPOSAL: decode_signed_proposal,
    MessageCode.PREPARE: decode_signed_prepare,
    MessageCode.COMMIT: decode_signed_commit,
    MessageCode.ROUND_CHANGE: decode_signed_round_change,
}


def _decode_part(item: rlp.Decoded) -> SignedPayload:
    code, signed = rlp.as_list(item, 2, "evidence.part")
    number = rlp.as_uint(code, 1, "evidence.code")
    if number not in _DECODERS:
        raise MalformedMessage(f"evidence: unknown message code {number}")
    return _DECODERS[MessageCode(number)](signed)
