"""BALLOT-CHECK, VOTE-CHOICES: a ballot is fixed first, then checked or sent, never both."""

from dataclasses import replace

import pytest

from clients.voter.checking import (
    BallotSpent,
    InvalidChoice,
    PreparedBallot,
    check_on_second_device,
    prepare_ballot,
)
from clients.voting.ballot import InvalidBallot, check_ballot
from clients.voting.manifest import Manifest
from node.primitives.errors import InvalidInput
from tests.support.electorate import Device, make_manifest

MANIFEST = make_manifest()
DEVICE = Device("checking")


def prepare(choices: dict[int, int], manifest: Manifest = MANIFEST) -> PreparedBallot:
    return prepare_ballot(
        manifest, style=7, key=DEVICE.key, sequence=1, choices=choices, source=DEVICE.source
    )


def test_a_second_device_reads_what_was_chosen() -> None:
    prepared = prepare({1: 3, 2: 0})

    shown = check_on_second_device(MANIFEST, prepared.promise, prepared.reveal())

    assert [(each.race_name, each.candidate_name) for each in shown] == [
        ("市長", "千葉"),
        ("庁舎移転", ""),
    ]


def test_a_checked_ballot_is_never_cast() -> None:
    prepared = prepare({1: 1, 2: 1})
    prepared.reveal()

    with pytest.raises(BallotSpent):
        prepared.seal(DEVICE.key)


def test_a_sent_ballot_is_never_opened() -> None:
    prepared = prepare({1: 1, 2: 1})
    ballot = prepared.seal(DEVICE.key)

    check_ballot(ballot, eid=MANIFEST.eid, races=[1, 2])
    with pytest.raises(BallotSpent):
        prepared.reveal()


def test_a_device_that_encrypted_something_else_is_caught() -> None:
    shown, encrypted = prepare({1: 1, 2: 1}), prepare({1: 2, 2: 1})

    with pytest.raises(InvalidBallot, match="promised first"):
        check_on_second_device(MANIFEST, shown.promise, encrypted.reveal())


def test_a_device_that_claims_another_choice_is_caught() -> None:
    prepared = prepare({1: 2, 2: 1})
    assert prepared._openings is not None
    prepared._openings = (replace(prepared._openings[0], candidate=1), prepared._openings[1])

    with pytest.raises(InvalidBallot, match="does not hold the choice"):
        check_on_second_device(MANIFEST, prepared.promise, prepared.reveal())


def test_codes_of_another_election_are_refused() -> None:
    other = make_manifest(title="別の投票")
    prepared = prepare({1: 1, 2: 1}, other)

    with pytest.raises(InvalidBallot, match="another election"):
        check_on_second_device(MANIFEST, prepared.promise, prepared.reveal())


@pytest.mark.parametrize("cut", [0, 1, 20, 100])
def test_damaged_codes_are_refused(cut: int) -> None:
    prepared = prepare({1: 1, 2: 1})
    promise, opening = prepared.promise, prepared.reveal()

    for pair in ((promise[:cut], opening), (promise, opening[:cut])):
        with pytest.raises(InvalidInput):
            check_on_second_device(MANIFEST, *pair)


@pytest.mark.parametrize(
    "choices",
    [
        pytest.param({1: 1}, id="a race left out"),
        pytest.param({1: 1, 2: 1, 3: 1}, id="a race too many"),
        pytest.param({1: 4, 2: 1}, id="no such candidate"),
        pytest.param({1: -1, 2: 1}, id="a negative candidate"),
    ],
)
def test_only_the_choices_of_the_ballot_are_encrypted(choices: dict[int, int]) -> None:
    with pytest.raises(InvalidChoice):
        prepare(choices)


def test_what_opens_a_ballot_is_not_shown_by_accident() -> None:
    prepared = prepare({1: 3, 2: 2})
    assert prepared._openings is not None

    for opening in prepared._openings:
        assert str(opening.randomness) not in repr(prepared) + repr(opening)
