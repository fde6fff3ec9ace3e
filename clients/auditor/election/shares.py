"""Checking trustees: shares of a decryption, and what several of them decrypt to.

Spec: DEC-SHARE, DEC-COMBINE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clients.auditor.election.lists import CipherRows, Context
from clients.auditor.election.mixes import small_sum
from clients.auditor.election.transcripts import (
    DEC_DLEQ,
    DEC_LIST,
    DEC_W,
    Bytes,
    InvalidRecord,
    int_bytes,
)
from clients.voting.group import (
    GENERATOR,
    ORDER,
    Point,
    PointVector,
    decode_vector,
    msm,
    multiples,
    sum_points,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareClaim:
    """Whose share of which list."""

    context: Context
    """List; round 0."""
    rows: CipherRows
    """The final mixed list."""
    trustee: int
    """j, from 1."""
    share_key: Point
    """P_j of the manifest."""


def check_share(claim: ShareClaim, data: bytes, proof_data: bytes) -> PointVector:
    """Check a trustee's share and return its points.

    Args:
        claim: What the trustee decrypted.
        data: Joined P33 of D_1..D_N.
        proof_data: P33(T1), P33(T2), S32(z).

    Raises:
        InvalidRecord: Another length, or the proof does not hold.
        InvalidPoint: An encoding that is none of a point.

    Spec: DEC-SHARE.
    """
    if len(data) != 33 * len(claim.rows):
        raise InvalidRecord(
            f"{len(data)} bytes of shares for {len(claim.rows)} rows", rule="DEC-SHARE"
        )
    shares = decode_vector(data)
    read = Bytes(proof_data, "share proof")
    t1, t2, z = read.p33(), read.p33(), read.scalar()
    read.end()
    head = b"".join(
        (
            claim.context.encode(),
            int_bytes(claim.trustee, 2),
            claim.share_key.encode(),
            claim.rows.digest(claim.context),
            DEC_LIST.digest(
                claim.context.encode(),
                int_bytes(claim.trustee, 2),
                int_bytes(len(shares), 8),
                data,
            ),
        )
    )
    weights = [
        int.from_bytes(DEC_W.digest(head, int_bytes(at, 8))[:16], "big")
        for at in range(1, len(shares) + 1)
    ]
    first, _ = claim.rows.points()
    x, image = msm(first, weights, 128), msm(shares, weights, 128)
    if x.is_identity or image.is_identity:
        raise InvalidRecord("a weighted sum is the identity", rule="DEC-SHARE")
    c = DEC_DLEQ.scalar(head, x.encode(), image.encode(), t1.encode(), t2.encode())
    on_generator = small_sum([(GENERATOR, z), (t1, -1), (claim.share_key, -c)])
    on_list = small_sum([(x, z), (t2, -1), (image, -c)])
    if not (on_generator.is_identity and on_list.is_identity):
        raise InvalidRecord("the proof of the shares does not hold", rule="DEC-SHARE")
    return shares


def compute_coefficients(indices: Sequence[int]) -> dict[int, int]:
    """Return each trustee's Lagrange coefficient at 0.

    Raises:
        InvalidRecord: An index below 1, or one named twice.

    Spec: DEC-COMBINE.
    """
    if len(set(indices)) < len(indices) or min(indices, default=0) < 1:
        raise InvalidRecord(f"trustees {list(indices)}: not distinct from 1", rule="DEC-COMBINE")
    result = {}
    for index in indices:
        value = 1
        for other in indices:
            if other != index:
                value = value * other * pow(other - index, -1, ORDER) % ORDER
        result[index] = value
    return result


def combine(rows: CipherRows, shares: Mapping[int, PointVector]) -> list[bytes | None]:
    """Return every row's message as P33, None for the identity.

    Spec: DEC-COMBINE.
    """
    coefficients = compute_coefficients(sorted(shares))
    # -lambda, so that one sum gives B minus all parts.
    parts = [multiples(shares[at], ORDER - value) for at, value in coefficients.items()]
    _, second = rows.points()
    messages: list[bytes | None] = []
    for at in range(len(rows)):
        message = sum_points([second[at], *(part[at] for part in parts)])
        messages.append(None if message.is_identity else message.encode())
    return messages
