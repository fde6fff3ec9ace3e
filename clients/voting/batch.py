"""A relay's batch: how ballots reach the ballot box, and what it says of those it refuses.

The box checks every item by itself, so the order and company of a ballot say nothing about it.

Spec: BOX-BATCH.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from clients.voting.ballot import Ballot
from clients.voting.encoding import encode_i2
from node.primitives.errors import InvalidInput

BATCH_SIZE_MAX: Final = 131_072
BALLOT_COUNT_MAX: Final = 256
V_OFFSET: Final = 27
"""What the precompile adds to the parity of a signature."""


class OversizedBatch(InvalidInput):
    """A batch of more ballots or bytes than the box takes."""

    code = "voting.oversized_batch"


class Refusal(IntEnum):
    """Why the box refused an item."""

    LENGTH = 1
    """Not 107 + 226 R bytes with 1 to 64 races."""
    FOREIGN = 2
    """Another version or another election."""
    KEY = 3
    """The ballot key is no point."""
    WITHDRAWN = 4
    """The ballot key was withdrawn."""
    SEQUENCE = 5
    """Not the next of its key, or more than the election allows."""
    INTERVAL = 6
    """Too soon after the key's last ballot."""
    STYLE = 7
    """Unknown style, or other races than the style's, or in another order."""
    POINT = 8
    """A or B is no point."""
    SCALAR = 9
    """z or A.x is not in [1, n)."""
    PROOF = 10
    """The proof of knowledge does not hold."""
    SIGNATURE = 11
    """Not signed by the ballot key in canonical form."""


def encode_item(core: bytes, signature: bytes) -> bytes:
    """Return one item: the core's size in 2 bytes, the core, r || s || v.

    Args:
        core: A ballot's core.
        signature: 65 bytes with v as the precompile takes it, 27 or 28.

    Spec: BOX-BATCH.
    """
    return encode_i2(len(core)) + core + signature


def encode_batch(ballots: Iterable[Ballot]) -> bytes:
    """Return ballots as the box takes them.

    Raises:
        OversizedBatch: Too many ballots, or too many bytes.

    Spec: BOX-BATCH.
    """
    items = [
        encode_item(
            ballot.core.encode(), ballot.signature[:64] + bytes([ballot.signature[64] + V_OFFSET])
        )
        for ballot in ballots
    ]
    size = sum(map(len, items))
    if len(items) > BALLOT_COUNT_MAX or size > BATCH_SIZE_MAX:
        raise OversizedBatch(
            f"batch of {len(items)} ballots and {size} bytes: at most {BALLOT_COUNT_MAX} and"
            f" {BATCH_SIZE_MAX}; send two",
            rule="BOX-BATCH",
        )
    return b"".join(items)
