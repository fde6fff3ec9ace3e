"""ElGamal ciphertexts and lists of them: what is mixed and decrypted.

A list has N rows of w ciphertexts (w = 1 in Profile P); column l is encrypted under key Y_l. Its
digest binds election, kind, race or style, width, length and every point in order.

Spec: BALLOT-ELGAMAL, MIX-CONTEXT.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from clients.voting.encoding import encode_i2, encode_i8, tagged_hash
from clients.voting.group import (
    GENERATOR,
    Point,
    PointVector,
    combine_fixed,
    decode_vector,
    fixed_base,
    generator_multiple,
    multiple_secret,
)
from node.primitives.errors import InvalidInput


class InvalidCiphertextList(InvalidInput):
    """Columns of different length, or bytes that are no list."""

    code = "voting.invalid_list"


class ListKind(Enum):
    """What the rows of a list are."""

    BALLOTS = b"B"
    ROLL = b"R"
    ROWS = b"T"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListContext:
    """Which list of which election a proof is about."""

    eid: bytes
    """32 bytes: the election."""
    kind: ListKind
    """Ballots, roll, or rows of both."""
    list_id: int
    """Race, or style for a roll."""
    round: int
    """The mixer's 1-based place in the manifest; 0 for decryption."""

    def encode(self) -> bytes:
        """Return ctx = eid || kind || I2(race or style) || I2(round).

        Spec: MIX-CONTEXT.
        """
        return self.eid + self.kind.value + encode_i2(self.list_id) + encode_i2(self.round)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Column:
    """One ciphertext of every row."""

    a: PointVector
    """First components, A = [r]G."""
    b: PointVector
    """Second components, B = M + [r]Y."""


@dataclass(frozen=True, slots=True, eq=False)
class CiphertextList:
    """N rows of w ciphertexts."""

    columns: tuple[Column, ...]
    """w columns of equal length."""

    def __post_init__(self) -> None:
        """Refuse columns of different length.

        Raises:
            InvalidCiphertextList: No column, or lengths that differ.
        """
        lengths = {len(part) for column in self.columns for part in (column.a, column.b)}
        if len(lengths) != 1:
            raise InvalidCiphertextList(f"list: columns of lengths {sorted(lengths)}")

    def __len__(self) -> int:
        """Return N."""
        return len(self.columns[0].a)

    @property
    def width(self) -> int:
        """Return w."""
        return len(self.columns)

    def encode(self) -> bytes:
        """Return P33(A) || P33(B) of every ciphertext, row by row."""
        parts = [part for column in self.columns for part in (column.a, column.b)]
        rows = [np.frombuffer(part.encode(), dtype=np.uint8).reshape(-1, 33) for part in parts]
        return np.concatenate(rows, axis=1).tobytes()

    def take(self, order: Sequence[int]) -> "CiphertextList":
        """Return the rows in ``order``."""
        return CiphertextList(
            tuple(Column(a=column.a.take(order), b=column.b.take(order)) for column in self.columns)
        )


def decode_list(data: bytes, width: int) -> CiphertextList:
    """Decode the rows of a list of ``width`` ciphertexts a row.

    Raises:
        InvalidCiphertextList: The length is no whole number of rows.
        InvalidPoint: Some encoding is none of a point.
    """
    if width < 1 or len(data) % (66 * width):
        raise InvalidCiphertextList(f"list: {len(data)} bytes is no number of {66 * width}")
    grid = np.frombuffer(data, dtype=np.uint8).reshape(-1, 2 * width, 33)
    parts = [decode_vector(grid[:, at].tobytes()) for at in range(2 * width)]
    return CiphertextList(
        tuple(Column(a=parts[at], b=parts[at + 1]) for at in range(0, 2 * width, 2))
    )


def compute_list_digest(context: ListContext, rows: CiphertextList) -> bytes:
    """Return hL: the digest of a list; the round does not enter.

    Spec: MIX-CONTEXT.
    """
    head = context.eid + context.kind.value + encode_i2(context.list_id)
    shape = encode_i2(rows.width) + encode_i8(len(rows))
    return tagged_hash("JMEV1/list", head + shape + rows.encode())


def encrypt(message: Point, key: Point, randomness: int) -> tuple[Point, Point]:
    """Encrypt one point in constant time: A = [r]G, B = M + [r]Y.

    Spec: BALLOT-ELGAMAL.
    """
    return generator_multiple(randomness), message + multiple_secret(key, randomness)


def encrypt_column(messages: PointVector, key: Point, randomness: Sequence[int]) -> Column:
    """Encrypt many points in variable time, for rehearsals, tests and benchmarks."""
    return Column(
        a=combine_fixed([(fixed_base(GENERATOR), randomness)]),
        b=combine_fixed([(fixed_base(key), randomness)], addend=messages),
    )


def reencrypt_column(column: Column, key: Point, randomness: Sequence[int]) -> Column:
    """Return (A + [rho]G, B + [rho]Y) of every row."""
    return Column(
        a=combine_fixed([(fixed_base(GENERATOR), randomness)], addend=column.a),
        b=combine_fixed([(fixed_base(key), randomness)], addend=column.b),
    )
