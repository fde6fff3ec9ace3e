"""QBFT-LOCK, QBFT-RESUME: a commit quorum reaches one node only, then everybody else restarts.

More than f validators restart right after they committed. The one node that saw the quorum has
decided. The others must come to the same block, though the liar proposes another one and claims
that nothing was prepared.
"""

from node.consensus.effects import Decide
from node.consensus.messages import Proposal
from tests.support.consensus import (
    BLOCK,
    FOURTH,
    KEYS,
    PROPOSER,
    SECOND,
    THIRD,
    Driver,
    block_by,
    commit,
    of_kind,
    prepare,
    propose,
    round_change,
)


def committed() -> tuple[Driver, Driver]:
    """Return two honest validators that have committed block A and were killed."""
    drivers = Driver(key=SECOND), Driver(key=THIRD)
    for driver in drivers:
        driver.begin()
        driver.feed(propose(), *(prepare(key) for key in KEYS if key is not driver.key))
        assert commit(driver.key) in driver.signed
    witness = Driver(key=FOURTH)
    witness.begin()
    effects = witness.feed(propose(), *(commit(key) for key in KEYS[:3]))
    assert [effect.block.hash for effect in of_kind(effects, Decide)] == [BLOCK.hash]
    return drivers


def test_the_others_decide_the_same_block_after_their_restart() -> None:
    second, third = committed()
    for driver in (second, third):
        driver.restart()
        driver.time_out()

    liar = round_change(PROPOSER, 1)
    second.feed(liar, third.signed[-1])
    (again,) = [m for m in second.signed if isinstance(m, Proposal)]
    block = again.signed.payload.block
    third.feed(again, prepare(PROPOSER, block), prepare(SECOND, block))
    second.feed(prepare(PROPOSER, block), prepare(THIRD, block))
    assert commit(THIRD, block) in third.signed
    effects = second.feed(commit(THIRD, block), commit(PROPOSER, block))

    assert block.hash == BLOCK.hash
    assert [effect.block.hash for effect in of_kind(effects, Decide)] == [BLOCK.hash]


def test_a_liar_cannot_justify_another_block_with_what_the_others_say() -> None:
    second, third = committed()
    for driver in (second, third):
        driver.restart()
        for _ in range(4):
            driver.time_out()

    fourth_round = block_by(PROPOSER, at=4, label="lie")
    said = [driver.signed[-1] for driver in (second, third)]
    forged = propose(
        fourth_round,
        PROPOSER,
        round_changes=[round_change(PROPOSER, 4), *said],  # type: ignore[list-item]
    )
    third.feed(forged)

    assert third.state.accepted != fourth_round
    assert all(fourth_round.digest not in repr(m).encode() for m in third.signed)


def test_without_their_record_they_could_be_talked_into_another_block() -> None:
    """The attack is real: amnesiacs accept the other block, which is why the record exists."""
    second, third = committed()
    other = block_by(SECOND, at=1, label="lie")
    changes = []
    for driver in (second, third):
        driver.restart(forget=True)
        driver.begin()
        driver.time_out()
        changes.append(driver.signed[-1])

    third.feed(propose(other, SECOND, round_changes=[round_change(PROPOSER, 1), *changes]))  # type: ignore[list-item]

    assert third.state.accepted == other
