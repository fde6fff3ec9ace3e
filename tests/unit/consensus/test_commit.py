"""QBFT-COMMIT, QBFT-CLOSED: a quorum of commits with good seals decides and closes the height."""

from dataclasses import replace

import pytest

from node.consensus.effects import Decide, RecordEvidence, RejectReason
from node.consensus.messages import Commit, CommitPayload, Message, recover_signed, signing_hash
from node.consensus.seals import verify_commit_seals
from node.consensus.state import Step
from tests.support.consensus import (
    BLOCK,
    FOURTH,
    OTHER_BLOCK,
    OUTSIDER,
    PROPOSER,
    SECOND,
    TALLY,
    THIRD,
    Driver,
    commit,
    of_kind,
    prepare,
    propose,
    reasons,
    round_change,
)


def prepared() -> Driver:
    driver = Driver()
    driver.begin()
    driver.feed(propose(), prepare(PROPOSER), prepare(THIRD))
    return driver


def with_bad_seal() -> Commit:
    """Return a well-signed commit whose seal is another validator's."""
    payload = replace(commit(THIRD).signed.payload, seal=commit(FOURTH).signed.payload.seal)
    assert isinstance(payload, CommitPayload)
    return Commit(signed=recover_signed(payload, THIRD.sign(signing_hash(payload))))


def test_a_quorum_of_commits_decides_with_their_seals() -> None:
    driver = prepared()
    driver.feed(commit(PROPOSER))

    (decide,) = of_kind(driver.feed(commit(THIRD)), Decide)

    assert decide.block.hash == BLOCK.hash
    assert verify_commit_seals(decide.block.header, TALLY.validators).is_met
    assert len(decide.block.header.extra_data.seals) == 3
    assert driver.state.step is Step.DECIDED


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(commit(PROPOSER), id="same author twice"),
        pytest.param(commit(THIRD, OTHER_BLOCK), id="another digest"),
        pytest.param(commit(THIRD, at=1), id="another round"),
        pytest.param(commit(THIRD, height=2), id="another height"),
        pytest.param(commit(OUTSIDER), id="not a validator"),
        pytest.param(with_bad_seal(), id="another's seal"),
        pytest.param(prepare(FOURTH), id="a prepare is no commit"),
    ],
)
def test_a_commit_that_does_not_count_leaves_the_quorum_short(stray: Message) -> None:
    driver = prepared()

    effects = driver.feed(commit(PROPOSER), stray)

    assert of_kind(effects, Decide) == []
    assert driver.state.step is Step.COMMITTING


def test_the_first_commit_of_an_author_stands() -> None:
    driver = prepared()

    effects = driver.feed(commit(PROPOSER, OTHER_BLOCK), commit(PROPOSER), commit(THIRD))

    assert of_kind(effects, Decide) == []


def test_a_commit_with_a_bad_seal_is_named() -> None:
    assert reasons(prepared().feed(with_bad_seal())) == [RejectReason.BAD_SEAL]


def test_three_others_decide_what_we_have_accepted_without_our_vote() -> None:
    driver = Driver()
    driver.begin()
    driver.feed(propose())

    effects = driver.feed(commit(PROPOSER), commit(THIRD), commit(FOURTH))

    assert len(of_kind(effects, Decide)) == 1
    assert commit(SECOND) not in driver.signed


def test_commits_before_the_proposal_count_when_it_comes() -> None:
    driver = Driver()
    driver.begin()

    effects = driver.feed(commit(PROPOSER), commit(THIRD), commit(FOURTH), propose())

    assert len(of_kind(effects, Decide)) == 1


def test_nothing_of_a_decided_height_is_processed() -> None:
    driver = prepared()
    driver.feed(commit(PROPOSER), commit(THIRD))
    signed = list(driver.signed)

    effects = driver.feed(
        driver.round_timeout(),
        commit(FOURTH),
        propose(OTHER_BLOCK),
        *(round_change(key, 1) for key in (PROPOSER, THIRD, FOURTH)),
    )

    assert effects == ()
    assert driver.signed == signed


def test_a_commit_for_another_block_than_prepared_is_evidence() -> None:
    driver = prepared()

    (record,) = of_kind(driver.feed(commit(PROPOSER, OTHER_BLOCK)), RecordEvidence)

    assert record.evidence.author == PROPOSER.address


def test_our_commit_is_over_the_digest_with_its_round() -> None:
    driver = prepared()

    assert driver.signed[-1] == commit(SECOND)
    assert commit(SECOND).signed.payload.seal == SECOND.sign(BLOCK.header.seal_hash)
