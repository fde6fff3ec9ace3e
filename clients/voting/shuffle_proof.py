"""What a mixer publishes, its bytes, and the hashes over it.

A proof file holds 163 bytes a row besides the output list (66 bytes a row for w = 1). Decoding is
strict: every point parses, every scalar is below n, and no byte is left over.

Spec: MIX-TRANSCRIPT, MIX-FORMAT.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from clients.voting.ciphertexts import CiphertextList, ListContext, compute_list_digest
from clients.voting.encoding import (
    decode_scalar,
    encode_i2,
    encode_i8,
    encode_scalar,
    hash_to_scalar,
    tagged_hash,
)
from clients.voting.group import Point, PointVector, decode_point, decode_vector
from node.primitives.errors import InvalidInput

ROW_SIZE = 3 * 33 + 2 * 32
"""Bytes of a proof per row: commitment, link, t-hat, z-hat, z-prime."""


class InvalidShuffleProof(InvalidInput):
    """Bytes that are no shuffle proof for the list at hand."""

    code = "voting.invalid_shuffle_proof"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShuffleStatement:
    """What a shuffle claims: outputs are inputs, permuted and re-encrypted under the keys."""

    context: ListContext
    """Election, list and round."""
    keys: tuple[Point, ...]
    """Y_1..Y_w, the key of each column."""
    inputs: CiphertextList
    """The list before."""
    outputs: CiphertextList
    """The list after."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShuffleProof:
    """Commitments, announcements and responses of one shuffle, named as in the protocol text."""

    commitments: PointVector
    """c_1..c_N: the committed permutation."""
    links: PointVector
    """c-hat_1..c-hat_N: the commitment chain."""
    t1: Point
    """Announcement of the sum of commitment randomness."""
    t2: Point
    """Announcement of the chain's end."""
    t3: Point
    """Announcement of the weighted commitments."""
    t4: tuple[tuple[Point, Point], ...]
    """(t4a, t4b) per column: announcement of the re-encryption."""
    t_hat: PointVector
    """t-hat_1..t-hat_N: announcements of the links."""
    z1: int
    """Response to t1."""
    z2: int
    """Response to t2."""
    z3: int
    """Response to t3."""
    z4: tuple[int, ...]
    """Responses to t4, per column."""
    z_hat: tuple[int, ...]
    """Responses for the chain randomness."""
    z_prime: tuple[int, ...]
    """Responses for the permuted weights."""

    def encode(self) -> bytes:
        """Return the proof file: constants first, then one column after the other.

        Spec: MIX-FORMAT.
        """
        pairs = b"".join(point.encode() for pair in self.t4 for point in pair)
        scalars = b"".join(map(encode_scalar, (self.z1, self.z2, self.z3, *self.z4)))
        return b"".join(
            (
                self.t1.encode() + self.t2.encode() + self.t3.encode() + pairs + scalars,
                self.commitments.encode() + self.links.encode() + self.t_hat.encode(),
                b"".join(map(encode_scalar, self.z_hat)),
                b"".join(map(encode_scalar, self.z_prime)),
            )
        )


Announcement = tuple[Point, Point, Point, tuple[tuple[Point, Point], ...], PointVector]
"""(t1, t2, t3, ((t4a, t4b) per column), t-hat)."""


def decode_shuffle_proof(data: bytes, *, count: int, width: int) -> ShuffleProof:
    """Decode the proof of a shuffle of ``count`` rows of ``width`` ciphertexts.

    Raises:
        InvalidShuffleProof: The length is not that of such a proof.
        InvalidPoint: Some encoding is none of a point.
        InvalidScalar: Some scalar is not below n.

    Spec: MIX-FORMAT.
    """
    points = 3 + 2 * width
    head = 33 * points + 32 * (3 + width)
    if len(data) != head + ROW_SIZE * count:
        raise InvalidShuffleProof(
            f"shuffle proof: expected {head + ROW_SIZE * count} bytes, found {len(data)}",
            rule="MIX-FORMAT",
        )
    fixed = [decode_point(data[at : at + 33]) for at in range(0, 33 * points, 33)]
    z = _scalars(data[33 * points : head])
    starts = np.cumsum([head, *[33 * count] * 3, *[32 * count] * 2]).tolist()
    parts = [data[start:stop] for start, stop in pairwise(starts)]
    return ShuffleProof(
        t1=fixed[0],
        t2=fixed[1],
        t3=fixed[2],
        t4=tuple((fixed[at], fixed[at + 1]) for at in range(3, points, 2)),
        z1=z[0],
        z2=z[1],
        z3=z[2],
        z4=z[3:],
        commitments=decode_vector(parts[0]),
        links=decode_vector(parts[1]),
        t_hat=decode_vector(parts[2]),
        z_hat=_scalars(parts[3]),
        z_prime=_scalars(parts[4]),
    )


def _scalars(data: bytes) -> tuple[int, ...]:
    return tuple(decode_scalar(data[at : at + 32]) for at in range(0, len(data), 32))


def compute_seed(statement: ShuffleStatement, commitments: PointVector) -> bytes:
    """Hash the statement and the committed permutation.

    Spec: MIX-TRANSCRIPT.
    """
    context = statement.context
    return tagged_hash(
        "JMEV1/shuf-seed",
        context.encode()
        + encode_i2(len(statement.keys))
        + b"".join(key.encode() for key in statement.keys)
        + encode_i8(len(statement.inputs))
        + compute_list_digest(context, statement.inputs)
        + compute_list_digest(context, statement.outputs)
        + commitments.encode(),
    )


def compute_weights(seed: bytes, count: int) -> list[int]:
    """Return the batching vector u_1..u_N.

    Spec: MIX-TRANSCRIPT.
    """
    return [hash_to_scalar("JMEV1/shuf-u", seed + encode_i8(at)) for at in range(1, count + 1)]


def compute_challenge(seed: bytes, links: PointVector, announcement: Announcement) -> int:
    """Return the challenge over the chain and every announcement.

    Spec: MIX-TRANSCRIPT.
    """
    t1, t2, t3, t4, t_hat = announcement
    return hash_to_scalar(
        "JMEV1/shuf-chal",
        seed
        + links.encode()
        + t1.encode()
        + t2.encode()
        + t3.encode()
        + b"".join(point.encode() for pair in t4 for point in pair)
        + t_hat.encode(),
    )
