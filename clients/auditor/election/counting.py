"""From accepted ballots and the opened roll to the mixed lists, and from messages to counts.

Spec: TALLY-CLEANSE, TALLY-LIST, TALLY-RESULT.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from clients.auditor.election.ballots import Mark, ciphertexts_of
from clients.auditor.election.curve import candidate_point, compute_pointers
from clients.auditor.election.lists import CipherRows
from clients.auditor.election.transcripts import RESULT, int_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleansed:
    """What is left to count, and what was left out."""

    kept: tuple[Mark, ...]
    """Ordered by key."""
    superseded: int
    """Ballots followed by a later one of the same key."""
    withdrawn: int
    """Last ballots of keys that were withdrawn."""
    off_roll: int
    """Last ballots of keys that are not on the opened roll of their style."""
    unmatched: Mapping[int, int]
    """Per style, opened pointers that no ballot's key matches."""
    repeated: Mapping[int, int]
    """Per style, opened pointers beyond the first of equal ones."""


def cleanse(
    eid: bytes,
    accepted: Iterable[Mark],
    withdrawn: Collection[bytes],
    opened: Mapping[int, Sequence[bytes | None]],
    executor: Executor,
) -> Cleansed:
    """Apply the four steps to ballots in the order in which they were accepted.

    Args:
        eid: The election.
        accepted: All ballots recorded before closing.
        withdrawn: P64 of withdrawn keys.
        opened: Per style, the decrypted roll as P33; None for the identity.
        executor: Hashes the pointers.

    Spec: TALLY-CLEANSE.
    """
    last: dict[bytes, Mark] = {}
    total = 0
    for ballot in accepted:
        total += 1
        held = last.get(ballot.key)
        if held is None or held.sequence < ballot.sequence:
            last[ballot.key] = ballot
    standing = {key: ballot for key, ballot in last.items() if key not in withdrawn}
    pointers = compute_pointers(eid, standing, executor)
    roll = {style: Counter(messages) for style, messages in opened.items()}
    kept, hits = [], Counter[int]()
    for ballot, pointer in zip(standing.values(), pointers, strict=True):
        if pointer in roll.get(ballot.style, ()):
            kept.append(ballot)
            hits[ballot.style] += 1
    return Cleansed(
        kept=tuple(sorted(kept, key=lambda ballot: ballot.key)),
        superseded=total - len(last),
        withdrawn=len(last) - len(standing),
        off_roll=len(standing) - len(kept),
        unmatched={style: len(found) - hits[style] for style, found in sorted(roll.items())},
        repeated={style: found.total() - len(found) for style, found in sorted(roll.items())},
    )


def list_races(cores: Iterable[bytes], races: Collection[int]) -> tuple[dict[int, CipherRows], int]:
    """Return the list of every race, and how many ciphertexts repeat one of another key.

    Args:
        cores: The cores of the kept ballots, in the order of their keys.
        races: All races.

    Spec: TALLY-LIST.
    """
    wanted = set(races)
    rows: dict[int, list[bytes]] = {race: [] for race in races}
    for core in cores:
        for race, row in ciphertexts_of(core, wanted):
            rows[race].append(row)
    copies = sum(len(found) - len(set(found)) for found in rows.values())
    return {race: CipherRows(b"".join(found)) for race, found in rows.items()}, copies


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One race's numbers."""

    votes: tuple[int, ...]
    """Of blank and of each candidate."""
    invalid: int
    """Messages that are no candidate of this race."""

    @property
    def total(self) -> int:
        """Return all."""
        return sum(self.votes) + self.invalid


def count_messages(
    eid: bytes, race: int, candidates: int, messages: Sequence[bytes | None]
) -> Count:
    """Count messages given as P33.

    Spec: TALLY-RESULT.
    """
    found = Counter(messages)
    points = [candidate_point(eid, race, at).encode() for at in range(candidates + 1)]
    votes = tuple(found[point] for point in points)
    return Count(votes=votes, invalid=len(messages) - sum(votes))


def result_digest(eid: bytes, race: int, count: Count) -> bytes:
    """Return the result hash.

    Spec: TALLY-RESULT.
    """
    return RESULT.digest(
        eid,
        int_bytes(race, 2),
        int_bytes(count.total, 8),
        int_bytes(len(count.votes) - 1, 2),
        *(int_bytes(number, 8) for number in (*count.votes, count.invalid)),
    )
