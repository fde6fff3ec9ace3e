"""QBFT-PROPOSAL, QBFT-PROPOSE: taking a proposal, executing it, and making one.

We are the second validator; the first proposes in round 0, we in round 1, the third in round 2.
"""

from dataclasses import replace

import pytest

from node.consensus.effects import (
    Broadcast,
    BuildBlock,
    PersistAndSign,
    Reject,
    RejectReason,
    Relay,
    StartTimer,
    ValidateBlock,
)
from node.consensus.events import BlockBuilt, BlockValidated
from node.consensus.messages import Proposal
from node.consensus.state import Step
from node.primitives.types import Height, Round, Signature
from tests.support.consensus import (
    BLOCK,
    DUE_MS,
    FOURTH,
    GENESIS,
    KEYS,
    OTHER_BLOCK,
    OUTSIDER,
    PROPOSER,
    SECOND,
    THIRD,
    Driver,
    block_by,
    certificate,
    of_kind,
    prepare,
    propose,
    reasons,
    round_change,
)

HELD = certificate()
CHANGES = [round_change(key, 1) for key in (PROPOSER, THIRD, FOURTH)]


def begun(**options: object) -> Driver:
    driver = Driver(**options)  # type: ignore[arg-type]
    driver.begin()
    return driver


def test_a_good_proposal_is_passed_on_executed_and_prepared() -> None:
    effects = begun().feed(propose())

    assert effects == (
        Relay(message=propose(), except_for=(PROPOSER.address,)),
        ValidateBlock(parent=GENESIS, block=BLOCK),
        *of_kind(effects, PersistAndSign),
        Broadcast(message=prepare(SECOND)),
    )


def test_nothing_is_voted_before_the_block_is_found_valid() -> None:
    driver = begun(answers=False)

    assert of_kind(driver.feed(propose()), PersistAndSign) == []
    answer = BlockValidated(block_hash=BLOCK.hash, is_valid=True, now_ms=DUE_MS)
    assert [effect.draft for effect in of_kind(driver.feed(answer), PersistAndSign)] == [
        prepare(SECOND).signed.payload
    ]


def test_an_invalid_block_gets_no_vote_and_no_second_chance() -> None:
    driver = begun(is_valid=False)

    assert reasons(driver.feed(propose())) == [RejectReason.INVALID_BLOCK]
    driver.is_valid = True
    assert RejectReason.SLOT_TAKEN in reasons(driver.feed(propose(OTHER_BLOCK)))
    assert driver.signed == []


def test_an_answer_about_another_block_means_nothing() -> None:
    driver = begun(answers=False)
    driver.feed(propose())
    answer = BlockValidated(block_hash=OTHER_BLOCK.hash, is_valid=True, now_ms=DUE_MS)

    assert driver.feed(answer) == ()


def test_a_proposal_may_come_before_our_own_block_timer() -> None:
    driver = Driver(now_ms=DUE_MS - 500)

    effects = driver.feed(propose())

    assert [timer.delay_ms for timer in of_kind(effects, StartTimer)] == [4_000]
    assert driver.state.step is Step.PREPARING


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(propose(BLOCK, THIRD), RejectReason.WRONG_PROPOSER, id="not the proposer"),
        pytest.param(
            propose(block_by(SECOND), SECOND),
            RejectReason.WRONG_PROPOSER,
            id="our own turn is later",
        ),
        pytest.param(
            propose(block_by(OUTSIDER)), RejectReason.BAD_HEADER, id="a stranger's coinbase"
        ),
        pytest.param(
            propose(BLOCK.with_seals((Signature(b"\x01" * 65),))),
            RejectReason.BAD_HEADER,
            id="seals",
        ),
        pytest.param(
            propose(block_by(timestamp_s=1_004)), RejectReason.BAD_TIMESTAMP, id="from the future"
        ),
        pytest.param(
            propose(block_by(timestamp_s=1_001)), RejectReason.BAD_TIMESTAMP, id="before the period"
        ),
        pytest.param(
            propose(block_by(SECOND, at=1), SECOND),
            RejectReason.BAD_JUSTIFICATION,
            id="round 1 bare",
        ),
    ],
)
def test_a_proposal_against_the_rules_is_refused(bad: Proposal, reason: RejectReason) -> None:
    driver = begun(key=FOURTH)

    assert driver.feed(bad) == (
        Reject(reason=reason, author=bad.signed.author, source=bad.signed.author),
    )
    assert driver.state.round == 0


def test_a_timestamp_at_the_drift_is_taken() -> None:
    assert reasons(begun().feed(propose(block_by(timestamp_s=1_003)))) == []


def test_the_round_in_the_block_must_be_the_proposals() -> None:
    wrong = propose(block_by())
    payload = replace(wrong.signed.payload, block=BLOCK.with_round(Round(1)))
    driver = begun()

    effects = driver.feed(replace(wrong, signed=replace(wrong.signed, payload=payload)))

    assert reasons(effects) == [RejectReason.BAD_HEADER]


def test_a_justified_proposal_of_a_later_round_brings_us_there() -> None:
    changes = [round_change(key, 2) for key in (PROPOSER, THIRD, FOURTH)]
    driver = begun()

    driver.feed(propose(block_by(THIRD, at=2), THIRD, round_changes=changes))

    assert (driver.state.round, driver.state.step) == (2, Step.PREPARING)


def test_in_a_later_round_we_propose_a_new_block_when_nothing_is_prepared() -> None:
    driver = begun()

    effects = driver.feed(*CHANGES)

    (build,) = of_kind(effects, BuildBlock)
    assert (build.round, build.may_be_empty, build.extra_data.round) == (1, True, 1)
    (proposal,) = [m for m in driver.signed if isinstance(m, Proposal)]
    assert len(proposal.round_changes) == 3
    assert proposal.prepares == ()


def test_in_a_later_round_we_propose_the_prepared_block_again_with_its_creator() -> None:
    driver = begun()

    effects = driver.feed(round_change(FOURTH, 1, held=HELD), *CHANGES[:2])

    assert of_kind(effects, BuildBlock) == []
    assert of_kind(effects, ValidateBlock) == [
        ValidateBlock(parent=GENESIS, block=BLOCK.with_round(Round(1)))
    ]
    (proposal,) = [m for m in driver.signed if isinstance(m, Proposal)]
    assert proposal.signed.payload.block.header.coinbase == PROPOSER.address
    assert proposal.signed.payload.block.hash == BLOCK.hash
    assert proposal.prepares == HELD.prepares


def test_the_highest_prepared_block_is_proposed_again() -> None:
    changes_to_one = [round_change(key, 1) for key in KEYS[:3]]
    low, high = HELD, certificate(block_by(SECOND, at=1, label="high"))
    assert len(changes_to_one) == 3
    driver = begun(key=THIRD)

    driver.feed(
        round_change(PROPOSER, 2, held=low),
        round_change(SECOND, 2, held=high),
        round_change(FOURTH, 2),
    )

    (proposal,) = [m for m in driver.signed if isinstance(m, Proposal)]
    assert proposal.signed.payload.block == high.block.with_round(Round(2))
    assert proposal.prepares == high.prepares


def test_a_prepared_block_we_find_invalid_is_not_proposed_again() -> None:
    driver = begun(is_valid=False)

    driver.feed(round_change(FOURTH, 1, held=HELD), *CHANGES[:2])

    assert [m for m in driver.signed if isinstance(m, Proposal)] == []


def test_one_proposal_is_made_for_a_round_however_often_the_shell_answers() -> None:
    driver = Driver(key=PROPOSER)
    driver.begin()

    effects = driver.feed(
        BlockBuilt(height=Height(1), round=Round(0), block=OTHER_BLOCK, now_ms=DUE_MS)
    )

    assert effects == ()
    assert len([m for m in driver.signed if isinstance(m, Proposal)]) == 1


def test_a_block_built_for_a_round_that_is_over_is_not_proposed() -> None:
    driver = Driver(key=PROPOSER, answers=False)
    driver.begin()
    driver.time_out()

    effects = driver.feed(BlockBuilt(height=Height(1), round=Round(0), block=BLOCK, now_ms=DUE_MS))

    assert effects == ()
