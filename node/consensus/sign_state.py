"""What a validator must remember of its own votes, whatever happens to the machine it runs on.

The record is made durable before each vote is signed (``PersistAndSign``). It moves forward only:
a vote for an earlier (height, round), or a second, different vote for the same one, is never
signed. ``storage`` keeps the bytes and knows nothing of what they mean.

Spec: QBFT-SIGN-STATE, QBFT-LOCK.
"""

from dataclasses import dataclass, replace
from typing import Final, assert_never

from node.consensus.codec import (
    decode_prepared_metadata,
    decode_prepares,
    decode_round,
    encode_signed_list,
)
from node.consensus.messages import (
    CommitDraft,
    Draft,
    PreparedCertificate,
    PreparedMetadata,
    PreparePayload,
    ProposalDraft,
    RoundChangeDraft,
)
from node.primitives import rlp
from node.primitives.block import block_from_items
from node.primitives.errors import InvariantViolation, MalformedMessage
from node.primitives.types import Digest, Hash32, Height, Round

FORMAT: Final = 1
"""Version of the record's bytes, their first item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignState:
    """Our votes in the newest (height, round) we voted in, and our lock at that height."""

    height: Height
    """Height of the newest vote."""
    round: Round
    """Highest round entered at that height; no vote below it is signed again."""
    proposal: Digest | None = None
    """Digest of the block we proposed in this round."""
    prepare: Digest | None = None
    """Digest we prepared in this round."""
    commit: Digest | None = None
    """Digest we committed (and sealed) in this round."""
    has_round_change: bool = False
    """Whether we asked for this round."""
    round_change_prepared: PreparedMetadata | None = None
    """What that round change said we had prepared."""
    certificate: PreparedCertificate | None = None
    """Highest prepared certificate at this height."""
    is_silent: bool = False
    """We may have forgotten votes and do not yet know how far the others are: sign nothing."""
    silent_through: Height = Height(0)
    """We sign nothing at heights up to here: votes of ours may exist that we forgot."""


def follow(
    sign_state: SignState, draft: Draft, certificate: PreparedCertificate | None
) -> SignState | None:
    """Return the record that allows ``draft``, or None when it would contradict the last one.

    A vote equal to one already made is allowed: signatures are deterministic, so that signing it
    again after a crash gives the same bytes.

    Args:
        sign_state: The last record.
        draft: The vote wanted.
        certificate: Our lock at the draft's height.

    Spec: QBFT-SIGN-STATE.
    """
    height, at = position_of(draft)
    if height <= sign_state.silent_through or sign_state.is_silent:
        return None
    if (height, at) < (sign_state.height, sign_state.round):
        return None
    record = sign_state
    if (height, at) > (sign_state.height, sign_state.round):
        record = SignState(height=height, round=at, silent_through=sign_state.silent_through)
    match draft:
        case ProposalDraft():
            digest = draft.payload.block.digest
            after = replace(record, proposal=digest)
            is_free = record.proposal in (None, digest)
        case PreparePayload():
            after = replace(record, prepare=draft.digest)
            is_free = {record.prepare, record.commit} <= {None, draft.digest}
        case CommitDraft():
            after = replace(record, commit=draft.digest)
            is_free = {record.prepare, record.commit} <= {None, draft.digest}
        case RoundChangeDraft():
            after = replace(
                record, has_round_change=True, round_change_prepared=draft.payload.prepared
            )
            is_free = (
                record.round_change_prepared == draft.payload.prepared
                if record.has_round_change
                else {record.proposal, record.prepare, record.commit} == {None}
            )
        case _:
            assert_never(draft)
    return replace(after, certificate=certificate) if is_free else None


def check_follows(before: SignState | None, after: SignState) -> None:
    """Check that a record may replace the one before it; a remote signer's own guard.

    Raises:
        InvariantViolation: It goes back in time, changes a vote, or drops the lock.

    Spec: QBFT-SIGN-STATE, QBFT-LOCK.
    """
    if before is None:
        return
    was, now = (before.height, before.round), (after.height, after.round)
    if now < was:
        raise InvariantViolation(f"sign-state: {now} would follow {was}", rule="QBFT-SIGN-STATE")
    held, holds = before.certificate, after.certificate
    if (
        held is not None
        and before.height == after.height
        and (holds is None or holds.round < held.round)
    ):
        raise InvariantViolation("sign-state: prepared certificate dropped", rule="QBFT-LOCK")
    if now > was:
        return
    for name in ("proposal", "prepare", "commit"):
        if getattr(before, name) not in (None, getattr(after, name)):
            raise InvariantViolation(
                f"sign-state: second {name} at height {now[0]}, round {now[1]}",
                rule="QBFT-SIGN-STATE",
            )
    if before.has_round_change and (
        not after.has_round_change or before.round_change_prepared != after.round_change_prepared
    ):
        raise InvariantViolation("sign-state: second round change", rule="QBFT-SIGN-STATE")


def position_of(draft: Draft) -> tuple[Height, Round]:
    """Return the height and round a draft votes in."""
    match draft:
        case ProposalDraft() | RoundChangeDraft():
            return draft.payload.height, draft.payload.round
        case PreparePayload() | CommitDraft():
            return draft.height, draft.round


def encode_sign_state(record: SignState) -> bytes:
    """Encode the record for ``storage``.

    Spec: QBFT-SIGN-STATE.
    """
    held = record.certificate
    certificate = (
        rlp.encode([])
        if held is None
        else rlp.wrap_list(held.block.encode() + encode_signed_list(held.prepares))
    )
    prepared = record.round_change_prepared
    items: list[rlp.Item] = [
        rlp.encode_uint(FORMAT),
        rlp.encode_uint(record.height),
        rlp.encode_uint(record.round),
        record.proposal or b"",
        record.prepare or b"",
        record.commit or b"",
        rlp.encode_uint(record.has_round_change),
        [] if prepared is None else [rlp.encode_uint(prepared.round), prepared.digest],
        rlp.encode_uint(record.is_silent),
        rlp.encode_uint(record.silent_through),
    ]
    return rlp.wrap_list(b"".join(rlp.encode(item) for item in items) + certificate)


def decode_sign_state(data: bytes) -> SignState:
    """Decode a record; one that does not decode must stop the node, never be taken for none.

    Raises:
        InvalidInput: Not a record of this version.

    Spec: QBFT-SIGN-STATE.
    """
    items = rlp.as_list(rlp.decode(data), 11, "sign-state")
    version = rlp.as_uint(items[0], 1, "sign-state.format")
    if version != FORMAT:
        raise MalformedMessage(f"sign-state: expected format {FORMAT}, found {version}")
    return SignState(
        height=Height(rlp.as_uint(items[1], 8, "sign-state.height")),
        round=decode_round(items[2]),
        proposal=_digest_or_none(items[3]),
        prepare=_digest_or_none(items[4]),
        commit=_digest_or_none(items[5]),
        has_round_change=_flag(items[6]),
        round_change_prepared=decode_prepared_metadata(items[7]),
        is_silent=_flag(items[8]),
        silent_through=Height(rlp.as_uint(items[9], 8, "sign-state.silent_through")),
        certificate=_decode_certificate(rlp.as_list(items[10], what="sign-state.certificate")),
    )


def _decode_certificate(items: list[rlp.Decoded]) -> PreparedCertificate | None:
    if not items:
        return None
    block, prepares = rlp.as_list(items, 2, "sign-state.certificate")
    return PreparedCertificate(
        block=block_from_items(rlp.as_list(block, what="sign-state.block")),
        prepares=decode_prepares(prepares),
    )


def _digest_or_none(item: rlp.Decoded) -> Digest | None:
    if not rlp.as_bytes(item, what="sign-state.digest"):
        return None
    return Digest(Hash32(rlp.as_bytes(item, 32, "sign-state.digest")))


def _flag(item: rlp.Decoded) -> bool:
    value = rlp.as_uint(item, 1, "sign-state.flag")
    if value > 1:
        raise MalformedMessage(f"sign-state: expected a flag, found {value}")
    return bool(value)
