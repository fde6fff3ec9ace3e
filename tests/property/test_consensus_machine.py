"""QBFT-SIGN-STATE, QBFT-LOCK, QBFT-EFFECTS, QBFT-BOUNDS: one validator under any order of anything.

A pool of messages, good and bad, from honest validators and from a liar, arrives in any order with
duplicates, timeouts, restarts and slow answers. Whatever comes, this validator never signs two
different things for one (height, round), never forgets its lock, is durable before it speaks,
decides only with a quorum of seals, and keeps no more than its slots.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus.effects import Broadcast, Decide
from node.consensus.messages import (
    Commit,
    Message,
    Prepare,
    Proposal,
    RoundChange,
    code_of,
)
from node.consensus.seals import verify_commit_seals
from node.consensus.sign_state import check_follows, decode_sign_state
from tests.support.consensus import (
    BLOCK,
    FOURTH,
    KEYS,
    OTHER_BLOCK,
    PROPOSER,
    SECOND,
    TALLY,
    THIRD,
    Driver,
    block_by,
    certificate,
    commit,
    of_kind,
    prepare,
    propose,
    round_change,
)

HELD = certificate()
AT_ONE = block_by(SECOND, at=1)
AGAIN = BLOCK.with_round(type(HELD.round)(1))
BARE = [round_change(key, 1) for key in KEYS]
LOCKED = [round_change(key, 1, held=HELD) for key in KEYS]
BLOCKS = (BLOCK, OTHER_BLOCK, AT_ONE, AGAIN)
POOL: list[Message] = [
    propose(BLOCK),
    propose(OTHER_BLOCK),
    propose(AT_ONE, SECOND, round_changes=BARE[:3]),
    propose(
        AGAIN,
        SECOND,
        round_changes=[LOCKED[0], *BARE[1:3]],
        prepares=[prepare(key) for key in KEYS[:3]],
    ),
    propose(AT_ONE, SECOND),
    *(prepare(key, block) for key in KEYS for block in BLOCKS),
    *(commit(key, block) for key in KEYS for block in BLOCKS),
    *BARE,
    *LOCKED,
    *(round_change(key, at) for key in KEYS for at in (2, 3)),
    *(round_change(key, 1, height=2) for key in KEYS),
    *(prepare(key, height=3) for key in KEYS),
]
ACTIONS = st.one_of(
    st.sampled_from(POOL),
    st.sampled_from(["time out", "restart", "begin", "slow", "quick"]),
)


@settings(max_examples=200, deadline=None)
@given(me=st.sampled_from(KEYS), script=st.lists(ACTIONS, max_size=60))
def test_one_validator_keeps_its_word_whatever_arrives(
    me: object, script: list[Message | str]
) -> None:
    driver = Driver(key=me)  # type: ignore[arg-type]
    driver.begin()
    for action in script:
        match action:
            case "time out":
                driver.time_out()
            case "restart":
                driver.restart()
            case "begin":
                driver.begin()
            case "slow":
                driver.answers = False
            case "quick":
                driver.answers = True
            case str():
                raise AssertionError(action)
            case _ if action.signed.author != driver.key.address:
                driver.feed(action)
    check_word(driver)
    check_lock(driver)
    check_durability(driver)
    check_decisions(driver)
    check_slots(driver)


def check_word(driver: Driver) -> None:
    said: dict[tuple[int, int, int], Message] = {}
    for message in driver.signed:
        payload = message.signed.payload
        first = said.setdefault((payload.height, payload.round, code_of(payload)), message)
        assert first.signed == message.signed
    digests: dict[int, set[bytes]] = {}
    for message in driver.signed:
        if isinstance(message, Prepare | Commit):
            payload_ = message.signed.payload
            digests.setdefault(payload_.round, set()).add(payload_.digest)
    assert all(len(found) == 1 for found in digests.values())


def check_lock(driver: Driver) -> None:
    locked: tuple[int, bytes] | None = None
    for message in driver.signed:
        match message:
            case Commit():
                payload = message.signed.payload
                locked = max(locked or (-1, b""), (payload.round, payload.digest))
            case RoundChange() if locked and message.signed.payload.round > locked[0]:
                prepared = message.signed.payload.prepared
                assert prepared is not None
                assert (prepared.round, prepared.digest) == locked
            case Proposal() | Prepare() | RoundChange():
                pass


def check_durability(driver: Driver) -> None:
    records = [decode_sign_state(data) for data in driver.stored]
    for before, after in zip([None, *records], records, strict=False):
        check_follows(before, after)
    broadcast = [effect.message for effect in of_kind(driver.effects, Broadcast)]
    assert all(message in driver.signed for message in broadcast)


def check_decisions(driver: Driver) -> None:
    decided = [effect.block for effect in of_kind(driver.effects, Decide)]
    for block in decided:
        assert verify_commit_seals(block.header, TALLY.validators).is_met


def check_slots(driver: Driver) -> None:
    state = driver.state
    count = len(state.validators)
    for slots in (state.prepares, state.commits, state.round_changes, state.last_commits):
        assert len(slots) <= count
    assert len(state.later) <= 2 * count
    assert len(state.future) <= 4 * count * state.parameters.future_height_distance_max


def deliver_all(drivers: list[Driver], order: st.DataObject) -> None:
    """Deliver every message once to everyone else, in an order hypothesis picks."""
    waiting: list[tuple[Driver, Message]] = []
    seen = [0] * len(drivers)
    while True:
        for at, sender in enumerate(drivers):
            fresh = sender.signed[seen[at] :]
            seen[at] = len(sender.signed)
            waiting += [(peer, m) for m in fresh for peer in drivers if peer is not sender]
        if not waiting:
            return
        receiver, message = waiting.pop(order.draw(st.integers(0, len(waiting) - 1)))
        receiver.feed(message)


@settings(max_examples=60, deadline=None)
@given(order=st.data())
def test_four_honest_validators_decide_in_round_0_whatever_the_order(order: st.DataObject) -> None:
    drivers = [Driver(key=key) for key in (PROPOSER, SECOND, THIRD, FOURTH)]
    for driver in drivers:
        driver.begin()

    deliver_all(drivers, order)

    decided = [effect.block for d in drivers for effect in of_kind(d.effects, Decide)]
    assert len(decided) == 4
    assert {block.digest for block in decided} == {decided[0].digest}


@settings(max_examples=40, deadline=None)
@given(order=st.data(), rounds=st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_three_of_four_decide_from_any_rounds_once_messages_flow(
    order: st.DataObject, rounds: list[int]
) -> None:
    drivers = [Driver(key=key) for key in (PROPOSER, SECOND, THIRD)]
    for driver, count in zip(drivers, rounds, strict=True):
        driver.begin()
        for _ in range(count):
            driver.time_out()
    for _ in range(12):
        deliver_all(drivers, order)
        if all(of_kind(driver.effects, Decide) for driver in drivers):
            break
        slowest = min(driver.state.round for driver in drivers)
        for driver in drivers:
            if driver.state.round == slowest:
                driver.time_out()

    decided = [effect.block for d in drivers for effect in of_kind(d.effects, Decide)]
    assert len({block.hash for block in decided}) == 1
    assert decided
