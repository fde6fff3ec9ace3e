"""TALLY-CLEANSE, TALLY-LIST: a list that is not what the accepted ballots give (cases 55-60, 32).

Whoever recomputes the list gets another digest, so it is never started: the ledger takes a list
from as many trustees as the threshold alone, each of whom computed it.
"""

from collections.abc import Callable, Sequence

import pytest

from clients.voting.ballot import BallotCore, build_core
from clients.voting.ciphertexts import ListContext, ListKind, compute_list_digest
from clients.voting.group import Point, generator_multiple
from clients.voting.roll import roll_pointer
from clients.voting.tally import Removal, build_race_list, cleanse
from tests.support.voting import EID, SeededNonces

SOURCE = SeededNonces("tampered lists")
ELECTION_KEY = generator_multiple(99)
ONE, TWO, STRANGER, MISPLACED, LATE = (generator_multiple(k) for k in range(11, 16))
CONTEXT = ListContext(eid=EID, kind=ListKind.BALLOTS, list_id=1, round=0)


def ballot(key: Point, *, sequence: int = 1, style: int = 1) -> BallotCore:
    core, _ = build_core(
        eid=EID,
        style=style,
        key=key,
        sequence=sequence,
        choices=[(1, 1)],
        election_key=ELECTION_KEY,
        source=SOURCE,
    )
    return core


FIRST, SECOND, OTHER = ballot(ONE), ballot(ONE, sequence=2), ballot(TWO)
STRAY, WRONG_STYLE, TOO_LATE = ballot(STRANGER), ballot(MISPLACED), ballot(LATE)
ACCEPTED = [FIRST, OTHER, STRAY, WRONG_STYLE, SECOND]
ROLL = {
    1: [roll_pointer(EID, key) for key in (ONE, TWO, LATE)],
    2: [roll_pointer(EID, MISPLACED)],
}
CLEANSED = cleanse(ACCEPTED, [], ROLL)


def digest_of(kept: Sequence[BallotCore]) -> bytes:
    return compute_list_digest(CONTEXT, build_race_list(kept, 1))


HONEST = digest_of(CLEANSED.kept)


def by_key(ballots: Sequence[BallotCore]) -> list[BallotCore]:
    return sorted(ballots, key=lambda core: core.key.encode_xy())


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda: [SECOND], id="55 an accepted ballot left out"),
        pytest.param(lambda: by_key([SECOND, OTHER, TOO_LATE]), id="56 a late ballot put in"),
        pytest.param(lambda: by_key([FIRST, OTHER]), id="57 not the last of its key"),
        pytest.param(lambda: by_key([SECOND, OTHER, STRAY]), id="58 a key outside the roll"),
        pytest.param(
            lambda: by_key([SECOND, OTHER, WRONG_STYLE]), id="59 a key of another style's roll"
        ),
        pytest.param(lambda: by_key([SECOND, OTHER])[::-1], id="60 another order"),
    ],
)
def test_another_list_has_another_digest(tamper: Callable[[], list[BallotCore]]) -> None:
    assert digest_of(tamper()) != HONEST


def test_57_58_59_what_is_left_out_is_named_with_its_reason() -> None:
    assert list(CLEANSED.kept) == by_key([SECOND, OTHER])
    assert dict(CLEANSED.removed) == {
        FIRST: Removal.SUPERSEDED,
        STRAY: Removal.NOT_ON_ROLL,
        WRONG_STYLE: Removal.NOT_ON_ROLL,
    }


def test_60_whatever_the_order_of_arrival_the_list_is_one() -> None:
    again = cleanse([OTHER, WRONG_STYLE, FIRST, SECOND, STRAY], [], ROLL)

    assert digest_of(again.kept) == HONEST


def test_32_two_entries_that_point_to_one_key_give_one_vote_and_are_counted() -> None:
    twice = cleanse(ACCEPTED, [], {**ROLL, 1: [*ROLL[1], ROLL[1][0]]})

    assert twice.kept == CLEANSED.kept
    assert dict(twice.duplicate_pointers) == {1: 1, 2: 0}
