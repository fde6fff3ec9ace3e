"""QBFT-NEW-HEIGHT, QBFT-SYNC-GATE: a new head starts the next height, whoever decided it."""

from node.consensus.effects import Decide, RejectReason, StartTimer
from node.consensus.events import NewHead, SyncChanged, TimerKind
from node.consensus.state import Step
from node.primitives.header import ValidatorVote
from tests.support.consensus import (
    BLOCK,
    DUE_MS,
    FOURTH,
    GENESIS,
    KEYS,
    OUTSIDER,
    PROPOSER,
    SECOND,
    TALLY,
    THIRD,
    Driver,
    addresses,
    block_by,
    commit,
    genesis_header,
    of_kind,
    prepare,
    propose,
    reasons,
    round_change,
    sealed,
)


def test_a_decided_block_leads_to_the_next_height() -> None:
    driver = Driver()
    driver.begin()
    driver.feed(propose(), prepare(PROPOSER), prepare(THIRD))
    (decide,) = of_kind(driver.feed(commit(PROPOSER), commit(THIRD)), Decide)

    effects = driver.import_block(decide.block)

    assert [timer.kind for timer in of_kind(effects, StartTimer)] == [TimerKind.BLOCK]
    assert (driver.state.height, driver.state.round, driver.state.step) == (2, 0, Step.WAITING)
    assert driver.state.certificate is None


def test_a_block_from_sync_ends_the_round_we_were_in() -> None:
    driver = Driver()
    driver.begin()
    driver.time_out()

    driver.import_block(sealed(BLOCK))

    assert (driver.state.height, driver.state.round) == (2, 0)
    assert dict(driver.state.round_changes) == {}


def test_an_echo_of_the_head_changes_nothing() -> None:
    driver = Driver()
    driver.begin()

    assert driver.feed(NewHead(head=GENESIS, tally=TALLY, now_ms=DUE_MS)) == ()
    assert driver.state.step is Step.PROPOSING


def test_messages_kept_for_the_next_height_count_when_it_comes() -> None:
    second = block_by(SECOND, parent=BLOCK.header)
    driver = Driver(key=FOURTH, now_ms=DUE_MS + 2_000)
    driver.begin()
    driver.feed(propose(second, SECOND), prepare(PROPOSER, second), prepare(SECOND, second))

    driver.import_block(sealed(BLOCK))

    assert driver.state.step is Step.COMMITTING
    assert driver.signed == [prepare(FOURTH, second), commit(FOURTH, second)]


def test_a_former_outsider_takes_part_from_the_height_it_belongs_to() -> None:
    three = KEYS[:3]
    base = genesis_header(three)
    vote = ValidatorVote(recipient=FOURTH.address, is_add=True)
    driver = Driver(
        key=FOURTH,
        head=base,
        tally=Driver().tally.__class__(height=base.height, validators=addresses(three)),
    )
    assert driver.state.step is Step.IDLE
    first = block_by(PROPOSER, parent=base, vote=vote)
    second = block_by(SECOND, parent=first.header, vote=vote)

    driver.import_block(first)
    assert driver.state.step is Step.IDLE
    driver.import_block(second)

    assert driver.state.validators == addresses(KEYS)
    assert driver.state.step is Step.WAITING


def test_a_syncing_node_neither_proposes_nor_votes() -> None:
    driver = Driver(key=PROPOSER, is_syncing=True)

    driver.begin()
    driver.feed(*(round_change(key, 4) for key in (SECOND, THIRD, FOURTH)))

    assert driver.signed == []
    assert of_kind(driver.effects, StartTimer) == []


def test_the_height_starts_when_sync_ends() -> None:
    driver = Driver(is_syncing=True)

    effects = driver.feed(SyncChanged(is_syncing=False, now_ms=DUE_MS))

    assert [timer.kind for timer in of_kind(effects, StartTimer)] == [TimerKind.BLOCK]


def test_a_node_that_falls_behind_stops_taking_part() -> None:
    driver = Driver()
    driver.begin()

    driver.feed(SyncChanged(is_syncing=True, now_ms=DUE_MS))

    assert driver.time_out() == ()
    assert driver.feed(propose()) == ()


def test_old_heights_are_refused() -> None:
    driver = Driver()
    driver.import_block(sealed(BLOCK))

    assert reasons(driver.feed(prepare(PROPOSER))) == [RejectReason.OLD_HEIGHT]
    assert reasons(driver.feed(prepare(OUTSIDER))) == [RejectReason.NOT_A_VALIDATOR]
