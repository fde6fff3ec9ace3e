"""TALLY-CLEANSE, TALLY-LIST, TALLY-RESULT: which ballots count, and a whole small count.

Five keys: an ordinary voter, one who voted twice, one who withdrew, one not on the roll, and one on
the roll of another style.
"""

from dataclasses import replace

import pytest

from clients.voting.ballot import BallotCore, build_core, candidate_point
from clients.voting.ciphertexts import ListContext, ListKind
from clients.voting.decryption import (
    DecryptionStatement,
    build_share,
    combine_shares,
    is_share_valid,
)
from clients.voting.group import GENERATOR, Point, generator_multiple
from clients.voting.roll import roll_pointer
from clients.voting.shuffle import prove_shuffle, shuffle
from clients.voting.shuffle_check import is_shuffle_valid
from clients.voting.shuffle_proof import ShuffleStatement
from clients.voting.tally import (
    EmptyList,
    Removal,
    build_race_list,
    cleanse,
    compute_result_hash,
    count_race,
)
from tests.support.voting import EID, SeededNonces, key_generation

SOURCE = SeededNonces("tally")
TRUSTEES = key_generation()
ORDINARY, TWICE, WITHDRAWN, STRANGER, MISPLACED = (generator_multiple(k) for k in range(2, 7))


def ballot(key: Point, candidate: int, sequence: int = 1, style: int = 1) -> BallotCore:
    core, _ = build_core(
        eid=EID,
        style=style,
        key=key,
        sequence=sequence,
        choices=[(1, candidate)],
        election_key=TRUSTEES.key,
        source=SOURCE,
    )
    return core


ACCEPTED = [
    ballot(TWICE, 1),
    ballot(ORDINARY, 2),
    ballot(WITHDRAWN, 2),
    ballot(STRANGER, 2),
    ballot(TWICE, 0, sequence=2),
    ballot(MISPLACED, 2),
]
ROLL = {
    1: [roll_pointer(EID, key) for key in (ORDINARY, TWICE, WITHDRAWN, ORDINARY, GENERATOR)],
    2: [roll_pointer(EID, MISPLACED)],
}


def test_the_last_ballot_of_every_key_on_the_roll_is_kept() -> None:
    cleansing = cleanse(ACCEPTED, {WITHDRAWN}, ROLL)

    assert {(core.key, core.sequence) for core in cleansing.kept} == {(ORDINARY, 1), (TWICE, 2)}
    assert [(core.key, reason) for core, reason in cleansing.removed] == [
        (TWICE, Removal.SUPERSEDED),
        (WITHDRAWN, Removal.WITHDRAWN),
        (STRANGER, Removal.NOT_ON_ROLL),
        (MISPLACED, Removal.NOT_ON_ROLL),
    ]
    assert cleansing.unmatched_pointers == {1: 2, 2: 1}
    assert cleansing.duplicate_pointers == {1: 1, 2: 0}


def test_kept_ballots_are_ordered_by_key_whatever_order_they_came_in() -> None:
    forward = cleanse(ACCEPTED, (), ROLL).kept

    assert cleanse(ACCEPTED[::-1], (), ROLL).kept == forward
    assert [core.key.encode_xy() for core in forward] == sorted(
        core.key.encode_xy() for core in forward
    )


def test_a_race_nobody_voted_in_has_no_list() -> None:
    with pytest.raises(EmptyList):
        build_race_list(ACCEPTED, 9)


def test_a_whole_count_equals_the_plain_one() -> None:
    """Cleanse, mix twice, decrypt with three of four trustees, count."""
    kept = cleanse(ACCEPTED, {WITHDRAWN}, ROLL).kept
    rows = build_race_list(kept, 1)
    for at_round in (1, 2):
        outputs, secret = shuffle(rows, (TRUSTEES.key,), SOURCE)
        statement = ShuffleStatement(
            context=ListContext(eid=EID, kind=ListKind.BALLOTS, list_id=1, round=at_round),
            keys=(TRUSTEES.key,),
            inputs=rows,
            outputs=outputs,
        )
        assert is_shuffle_valid(statement, prove_shuffle(statement, secret, SOURCE), SOURCE)
        rows = outputs
    final = ListContext(eid=EID, kind=ListKind.BALLOTS, list_id=1, round=0)
    shares = {}
    for trustee in (4, 1, 3):
        asked = DecryptionStatement(
            context=final,
            rows=rows,
            column=0,
            trustee=trustee,
            share_key=TRUSTEES.share_keys[trustee - 1],
        )
        share = build_share(asked, TRUSTEES.shares[trustee - 1], SOURCE)
        assert is_share_valid(asked, share)
        shares[trustee] = share.shares

    result = count_race(EID, 1, 3, combine_shares(rows, 0, shares, 3))

    assert result.counts == (1, 0, 1, 0)
    assert result.invalid == 0
    assert result.total == 2


def test_87_a_candidate_of_another_race_counts_as_invalid() -> None:
    messages = [candidate_point(EID, 2, 1), candidate_point(EID, 1, 1), GENERATOR]

    result = count_race(EID, 1, 2, messages)

    assert result.counts == (0, 1, 0)
    assert result.invalid == 2


def test_85_a_result_hash_binds_every_number() -> None:
    result = count_race(EID, 1, 2, [candidate_point(EID, 1, 1)])
    others = [
        replace(result, counts=(1, 0, 0)),
        replace(result, counts=(0, 0, 1)),
        replace(result, counts=(0, 0, 0), invalid=1),
        replace(result, race=2),
    ]

    hashes = {compute_result_hash(EID, other) for other in (result, *others)}

    assert len(hashes) == 5
