"""Which pending ballots go to the box next, in an order that says nothing.

One ballot of a key goes at a time, because the next one counts on it. A batch is shuffled, so that
its order does not tell who came when.

Spec: CAST-BATCH, BOX-BATCH.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from clients.voting.ballot import compute_ballot_hash
from clients.voting.batch import BALLOT_COUNT_MAX, encode_item
from clients.voting.randomness import NonceSource, draw_permutation
from node.primitives.abi import encode
from node.primitives.crypto import keccak256
from services.kit.outbox import CALLDATA_BYTES_MAX

CAST: Final = keccak256(b"cast(bytes32,bytes)")[:4]
HEAD_SIZE: Final = 4 + 3 * 32
"""Bytes of call data before the batch."""

PADDING_MAX: Final = 31
BATCH_BYTES_MAX: Final = CALLDATA_BYTES_MAX - HEAD_SIZE - PADDING_MAX
"""Most bytes of a batch that one intent carries."""

GAS_BASE: Final = 200_000
GAS_PER_BALLOT: Final = 70_000
GAS_PER_RACE: Final = 45_000
"""Above what contracts/gas-report.json measures; unused gas costs nothing."""

_CORE_HEAD: Final = 107
_RACE_SIZE: Final = 226


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A ballot that waits."""

    key: bytes
    """P64 of its key."""
    sequence: int
    """Its number."""
    core: bytes
    """The core."""
    signature: bytes
    """r, s, v with v 27 or 28."""
    deadline: int
    """Height that was promised."""

    @property
    def item(self) -> bytes:
        """Return the ballot as the box takes it."""
        return encode_item(self.core, self.signature)

    @property
    def hash(self) -> bytes:
        """Return d."""
        return compute_ballot_hash(self.core)

    @property
    def gas(self) -> int:
        """Return the gas to allow for it."""
        races = (len(self.core) - _CORE_HEAD) // _RACE_SIZE
        return GAS_PER_BALLOT + GAS_PER_RACE * races


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the box has of a key."""

    sequence: int
    """Number of its last ballot."""
    cast_at: int
    """Time of that ballot's block."""


def choose_batch(
    pending: Sequence[Pending],
    recorded: Mapping[bytes, Recorded],
    *,
    now_s: int,
    min_interval_s: int,
    gas_max: int,
    source: NonceSource,
) -> tuple[Pending, ...]:
    """Return the next batch in random order: nearest deadlines, one for each key, within bounds.

    Args:
        pending: All that waits.
        recorded: What the box has, by key.
        now_s: Time that the next block may have.
        min_interval_s: Least seconds between two ballots of a key.
        gas_max: Most gas of one transaction.
        source: Randomness of the order.

    Spec: CAST-BATCH.
    """
    due = [each for each in pending if _is_due(each, recorded, now_s, min_interval_s)]
    chosen: list[Pending] = []
    size, gas = 0, GAS_BASE
    for each in sorted(due, key=lambda one: (one.deadline, one.key)):
        size += len(each.item)
        gas += each.gas
        if len(chosen) == BALLOT_COUNT_MAX or size > BATCH_BYTES_MAX or gas > gas_max:
            break
        chosen.append(each)
    return tuple(chosen[at] for at in draw_permutation(source, len(chosen)))


def _is_due(
    ballot: Pending, recorded: Mapping[bytes, Recorded], now_s: int, min_interval_s: int
) -> bool:
    known = recorded.get(ballot.key)
    if known is None:
        return ballot.sequence == 1
    return ballot.sequence == known.sequence + 1 and now_s >= known.cast_at + min_interval_s


def encode_cast(eid: bytes, batch: Iterable[Pending]) -> bytes:
    """Return the call that hands a batch to the box.

    Spec: BOX-BATCH.
    """
    items = b"".join(each.item for each in batch)
    return CAST + encode(["bytes32", "bytes"], [eid, items])


def gas_of(batch: Iterable[Pending]) -> int:
    """Return the gas to allow for a batch."""
    return GAS_BASE + sum(each.gas for each in batch)
