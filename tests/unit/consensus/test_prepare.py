"""QBFT-PREPARE, QBFT-LOCK, QBFT-OWN-VOTE: a quorum of prepares locks and commits.

Four validators, so a quorum is three; our own prepare counts once it is signed and durable.
"""

import pytest

from node.consensus.effects import Broadcast, PersistAndSign, RecordEvidence
from node.consensus.events import MessageSigned
from node.consensus.messages import CommitDraft, Message
from node.consensus.sign_state import decode_sign_state
from node.consensus.state import Step
from node.primitives.types import Height, Round
from tests.support.consensus import (
    BLOCK,
    DUE_MS,
    FOURTH,
    OTHER_BLOCK,
    OUTSIDER,
    PROPOSER,
    SECOND,
    THIRD,
    Driver,
    certificate,
    commit,
    of_kind,
    prepare,
    propose,
)


def accepted(**options: object) -> Driver:
    driver = Driver(**options)  # type: ignore[arg-type]
    driver.begin()
    driver.feed(propose())
    return driver


def test_a_quorum_of_prepares_persists_then_broadcasts_a_commit() -> None:
    driver = accepted()
    driver.feed(prepare(PROPOSER))

    effects = driver.feed(prepare(THIRD))[1:]

    (persisted,) = of_kind(effects, PersistAndSign)
    assert persisted.draft == CommitDraft(height=Height(1), round=Round(0), digest=BLOCK.digest)
    assert effects == (persisted, Broadcast(message=commit(SECOND)))


def test_the_lock_is_durable_with_the_commit() -> None:
    driver = accepted()
    driver.feed(prepare(PROPOSER), prepare(THIRD))

    record = decode_sign_state(driver.stored[-1])

    assert record.commit == BLOCK.digest
    assert record.certificate == certificate(by=(PROPOSER, SECOND, THIRD))
    assert driver.state.certificate == record.certificate


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(prepare(PROPOSER), id="same author twice"),
        pytest.param(prepare(THIRD, OTHER_BLOCK), id="another digest"),
        pytest.param(prepare(THIRD, at=1), id="another round"),
        pytest.param(prepare(THIRD, height=2), id="another height"),
        pytest.param(prepare(OUTSIDER), id="not a validator"),
        pytest.param(prepare(SECOND), id="our own, from elsewhere"),
        pytest.param(commit(THIRD), id="a commit is no prepare"),
    ],
)
def test_a_prepare_that_does_not_count_leaves_the_quorum_short(stray: Message) -> None:
    driver = accepted()

    driver.feed(prepare(PROPOSER), stray)

    assert driver.state.step is Step.PREPARING
    assert driver.signed == [prepare(SECOND)]


def test_the_first_prepare_of_an_author_stands() -> None:
    driver = accepted()

    driver.feed(prepare(PROPOSER, OTHER_BLOCK), prepare(PROPOSER), prepare(THIRD))

    assert driver.state.step is Step.PREPARING


def test_prepares_before_the_proposal_count_when_it_comes() -> None:
    driver = Driver()
    driver.begin()

    driver.feed(prepare(THIRD), prepare(FOURTH), propose())

    assert driver.signed == [prepare(SECOND), commit(SECOND)]


def test_our_own_prepare_counts_only_when_it_is_durable_and_signed() -> None:
    driver = accepted(answers=False)
    driver.answers = True
    driver.feed()
    assert driver.state.step is Step.PROPOSING

    silent = accepted()
    silent.answers = False
    silent.feed(prepare(PROPOSER))
    assert silent.state.step is Step.PREPARING
    silent.feed(prepare(THIRD))
    assert silent.state.step is Step.COMMITTING


def test_an_answer_for_a_round_that_is_over_is_not_sent() -> None:
    driver = Driver()
    driver.begin()
    driver.answers = False
    driver.time_out()

    effects = driver.feed(MessageSigned(message=prepare(SECOND), now_ms=DUE_MS))

    assert effects == ()


def test_two_prepares_of_one_author_are_evidence() -> None:
    driver = accepted()
    driver.feed(prepare(PROPOSER))

    (record,) = of_kind(driver.feed(prepare(PROPOSER, OTHER_BLOCK)), RecordEvidence)

    assert record.evidence.author == PROPOSER.address
    assert of_kind(driver.feed(prepare(PROPOSER, OTHER_BLOCK)), RecordEvidence) == []
