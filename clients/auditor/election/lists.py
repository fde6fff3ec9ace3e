"""Lists of ciphertexts and their digests.

Spec: MIX-CONTEXT.
"""

from dataclasses import dataclass

import numpy as np

from clients.auditor.election.transcripts import LIST, InvalidRecord, int_bytes
from clients.voting.group import PointVector, decode_vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Which list a proof speaks of."""

    eid: bytes
    """The election."""
    kind: bytes
    """One byte: B of ballots, R of the roll."""
    number: int
    """Race, or style for the roll."""
    round: int = 0
    """Place of the mixer; 0 for decryption."""

    @property
    def list_head(self) -> bytes:
        """Return what names the list in its digest."""
        return self.eid + self.kind + int_bytes(self.number, 2)

    def encode(self) -> bytes:
        """Return ctx.

        Spec: MIX-CONTEXT.
        """
        return self.list_head + int_bytes(self.round, 2)


@dataclass(frozen=True, slots=True, eq=False)
class CipherRows:
    """N rows of one ciphertext each, as published."""

    data: bytes
    """P33(A) and P33(B), row by row."""

    def __post_init__(self) -> None:
        """Refuse part of a row.

        Raises:
            InvalidRecord: The bytes end within a row.
        """
        if len(self.data) % 66:
            raise InvalidRecord(f"list of {len(self.data)} bytes: no whole rows of 66")

    def __len__(self) -> int:
        """Return N."""
        return len(self.data) // 66

    def points(self) -> tuple[PointVector, PointVector]:
        """Return all A and all B.

        Raises:
            InvalidPoint: Some encoding is none of a point.
        """
        grid = np.frombuffer(self.data, dtype=np.uint8).reshape(-1, 2, 33)
        first, second = (np.ascontiguousarray(grid[:, at]).tobytes() for at in (0, 1))
        return decode_vector(first), decode_vector(second)

    def digest(self, context: Context) -> bytes:
        """Return hL.

        Spec: MIX-CONTEXT.
        """
        shape = int_bytes(1, 2) + int_bytes(len(self), 8)
        return LIST.digest(context.list_head, shape, self.data)
