"""From accepted ballots to a result: cleansing, lists to mix, decoding, counting.

Deterministic: everyone who holds the accepted ballots and the opened roll gets the same lists, the
same counts and the same reasons for what was left out.

Spec: TALLY-CLEANSE, TALLY-LIST, TALLY-RESULT.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clients.voting.ballot import BallotCore, candidate_point
from clients.voting.ciphertexts import CiphertextList, Column
from clients.voting.encoding import encode_i2, encode_i8, tagged_hash
from clients.voting.group import Point, vector_of
from clients.voting.roll import roll_pointer
from node.primitives.errors import InvalidInput


class EmptyList(InvalidInput):
    """A race without a single kept ballot: there is nothing to mix."""

    code = "tally.empty_list"


class Removal(StrEnum):
    """Why an accepted ballot is not counted."""

    SUPERSEDED = "superseded by a later ballot of the same key"
    WITHDRAWN = "its key was withdrawn"
    NOT_ON_ROLL = "its key is not on the opened roll of its style"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleansing:
    """Which ballots count, and why the others do not."""

    kept: tuple[BallotCore, ...]
    """Ordered by P64(K)."""
    removed: tuple[tuple[BallotCore, Removal], ...]
    """In the order accepted."""
    unmatched_pointers: Mapping[int, int]
    """Per style, how many opened pointers match no ballot key."""
    duplicate_pointers: Mapping[int, int]
    """Per style, how many opened pointers are repetitions."""


def cleanse(
    accepted: Sequence[BallotCore],
    withdrawn: Collection[Point],
    roll: Mapping[int, Sequence[Point]],
) -> Cleansing:
    """Keep the last ballot of every key that is on the opened roll of its style.

    Args:
        accepted: Every ballot the contract accepted before closing, in order.
        withdrawn: Keys withdrawn.
        roll: Per style, the decrypted pointers, repetitions included.

    Spec: TALLY-CLEANSE.
    """
    last: dict[Point, BallotCore] = {}
    for core in accepted:
        if core.key not in last or core.sequence > last[core.key].sequence:
            last[core.key] = core
    pointers = {style: Counter(points) for style, points in roll.items()}
    matched: dict[int, set[Point]] = {style: set() for style in roll}
    kept, removed = [], []
    for core in accepted:
        reason = None
        if last[core.key] is not core:
            reason = Removal.SUPERSEDED
        elif core.key in withdrawn:
            reason = Removal.WITHDRAWN
        else:
            pointer = roll_pointer(core.eid, core.key)
            if pointer in pointers.get(core.style, ()):
                matched[core.style].add(pointer)
            else:
                reason = Removal.NOT_ON_ROLL
        if reason is None:
            kept.append(core)
        else:
            removed.append((core, reason))
    return Cleansing(
        kept=tuple(sorted(kept, key=lambda core: core.key.encode_xy())),
        removed=tuple(removed),
        unmatched_pointers={
            style: len(pointers[style]) - len(matched[style]) for style in sorted(roll)
        },
        duplicate_pointers={
            style: pointers[style].total() - len(pointers[style]) for style in sorted(roll)
        },
    )


def build_race_list(kept: Sequence[BallotCore], race: int) -> CiphertextList:
    """Return the list L0 of one race over the kept ballots, in their order.

    Raises:
        EmptyList: No kept ballot holds the race.

    Spec: TALLY-LIST.
    """
    choices = [choice for core in kept for choice in core.choices if choice.race == race]
    if not choices:
        raise EmptyList(f"race {race}: no ballot to count", rule="TALLY-LIST")
    a = vector_of(choice.a for choice in choices)
    b = vector_of(choice.b for choice in choices)
    return CiphertextList((Column(a=a, b=b),))


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceResult:
    """The count of one race."""

    race: int
    """Race id."""
    counts: tuple[int, ...]
    """Votes per candidate; index 0 is blank."""
    invalid: int
    """Plaintexts that are no candidate of this race."""

    @property
    def total(self) -> int:
        """Return the number of ballots in the race."""
        return sum(self.counts) + self.invalid


def count_race(eid: bytes, race: int, candidates: int, messages: Sequence[Point]) -> RaceResult:
    """Count decrypted messages of a race with candidates 1..``candidates`` and blank.

    Spec: TALLY-RESULT.
    """
    known = {candidate_point(eid, race, at): at for at in range(candidates + 1)}
    counts = [0] * (candidates + 1)
    invalid = 0
    for message in messages:
        at = known.get(message)
        if at is None:
            invalid += 1
        else:
            counts[at] += 1
    return RaceResult(race=race, counts=tuple(counts), invalid=invalid)


def compute_result_hash(eid: bytes, result: RaceResult) -> bytes:
    """Return what t municipalities sign to publish a race's result.

    Spec: TALLY-RESULT.
    """
    numbers = b"".join(encode_i8(count) for count in (*result.counts, result.invalid))
    head = eid + encode_i2(result.race) + encode_i8(result.total)
    return tagged_hash("JMEV1/result", head + encode_i2(len(result.counts) - 1) + numbers)
