"""Threshold decryption: each trustee's shares with one proof, and their combination.

A trustee publishes D_i = [x_j]A_i for every row and proves all of them at once over weights that
depend on all of them. Any t valid trustees give the messages; which t makes no difference.

Spec: DEC-SHARE, DEC-COMBINE.
"""

# gmpy2 ships no types.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmpy2 import mpz

from clients.voting.ciphertexts import CiphertextList, ListContext, compute_list_digest
from clients.voting.encoding import encode_i2, encode_i8, hash_to_scalar, tagged_hash
from clients.voting.group import (
    IDENTITY,
    ORDER,
    Point,
    PointVector,
    msm,
    multiple,
    multiples,
    sum_points,
)
from clients.voting.randomness import NonceSource
from clients.voting.schnorr import EqualityProof, is_equality_proven, prove_equality
from node.primitives.errors import InvalidInput


class NotEnoughShares(InvalidInput):
    """Fewer than t valid shares, or trustees named twice or out of range."""

    code = "voting.not_enough_shares"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecryptionStatement:
    """Whose share of which list."""

    context: ListContext
    """Election, kind and race; round 0."""
    rows: CiphertextList
    """The final mixed list."""
    column: int
    """Which ciphertext of each row."""
    trustee: int
    """1-based index j."""
    share_key: Point
    """P_j = [x_j]G, from the manifest."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DecryptionShare:
    """One trustee's partial decryption of a list."""

    shares: PointVector
    """D_1..D_N."""
    proof: EqualityProof
    """That all of them are [x_j]A_i."""


def build_share(
    statement: DecryptionStatement, secret: int, source: NonceSource
) -> DecryptionShare:
    """Decrypt partially and prove it.

    The secret multiplies public points that are published with the result; the variable-time path
    is taken on the trustee's own machine, the proof's nonce on the constant-time one.

    Spec: DEC-SHARE.
    """
    first = statement.rows.columns[statement.column].a
    shares = multiples(first, secret)
    transcript = _Transcript(statement, shares)
    base = transcript.weigh(first)
    image = transcript.weigh(shares)
    proof = prove_equality(
        secret, base, lambda t1, t2: transcript.hash(base, image, t1, t2), source
    )
    return DecryptionShare(shares=shares, proof=proof)


def is_share_valid(statement: DecryptionStatement, share: DecryptionShare) -> bool:
    """Tell whether a trustee's share is right, recomputing weights and sums.

    Spec: DEC-SHARE.
    """
    first = statement.rows.columns[statement.column].a
    if len(share.shares) != len(first):
        return False
    transcript = _Transcript(statement, share.shares)
    base, image = transcript.weigh(first), transcript.weigh(share.shares)
    if base.is_identity or image.is_identity:
        return False
    return is_equality_proven(
        statement.share_key,
        base,
        image,
        share.proof,
        lambda t1, t2: transcript.hash(base, image, t1, t2),
    )


class _Transcript:
    """The hashes of one share: weights over all D_i, then the challenge."""

    def __init__(self, statement: DecryptionStatement, shares: PointVector) -> None:
        context = statement.context.encode()
        shares_digest = tagged_hash(
            "JMEV1/dec-list",
            context + encode_i2(statement.trustee) + encode_i8(len(shares)) + shares.encode(),
        )
        self.head = (
            context
            + encode_i2(statement.trustee)
            + statement.share_key.encode()
            + compute_list_digest(statement.context, statement.rows)
            + shares_digest
        )
        self.weights = [
            int.from_bytes(tagged_hash("JMEV1/dec-w", self.head + encode_i8(at))[:16], "big")
            for at in range(1, len(shares) + 1)
        ]

    def weigh(self, points: PointVector) -> Point:
        return msm(points, self.weights, 128)

    def hash(self, base: Point, image: Point, t1: Point, t2: Point) -> int:
        points = b"".join(point.encode() for point in (base, image, t1, t2))
        return hash_to_scalar("JMEV1/dec-dleq", self.head + points)


def compute_lagrange(indices: Sequence[int]) -> dict[int, int]:
    """Return the coefficient at 0 of every trustee index.

    Raises:
        NotEnoughShares: An index below 1 or named twice.

    Spec: DEC-COMBINE.
    """
    if len(set(indices)) != len(indices) or any(index < 1 for index in indices):
        raise NotEnoughShares(f"trustee indices {list(indices)}: expected distinct, from 1")
    coefficients = {}
    for index in indices:
        numerator = denominator = mpz(1)
        for other in indices:
            if other != index:
                numerator = numerator * other % ORDER
                denominator = denominator * (other - index) % ORDER
        coefficients[index] = int(numerator * pow(denominator, -1, ORDER) % ORDER)
    return coefficients


def combine_shares(
    rows: CiphertextList, column: int, shares: Mapping[int, PointVector], threshold: int
) -> list[Point]:
    """Return the message of every row from the valid shares of the ``threshold`` lowest indices.

    Raises:
        NotEnoughShares: Fewer than ``threshold`` shares.

    Spec: DEC-COMBINE.
    """
    chosen = sorted(shares)[:threshold]
    if len(chosen) < threshold:
        raise NotEnoughShares(f"{len(shares)} valid shares, {threshold} needed", rule="DEC-COMBINE")
    coefficients = compute_lagrange(chosen)
    scaled = [multiples(shares[index], coefficients[index]) for index in chosen]
    second = rows.columns[column].b
    return [second[at] - sum_points([part[at] for part in scaled]) for at in range(len(rows))]


def compute_share_key(commitments: Sequence[Sequence[Point]], index: int) -> Point:
    """Return P_j = sum over dealers and powers of [j^k]A_ik."""
    total = IDENTITY
    for dealer in commitments:
        power = 1
        for commitment in dealer:
            total = total + multiple(commitment, power)
            power = power * index % ORDER
    return total
