"""POOL-BOUNDS, POOL-REPLACE, POOL-EVICT, POOL-EXPIRE, POOL-HEAD, POOL-NONCE, POOL-FAIR.

Cast: a service, a resident, and a flooder who sends all there is room for.
"""

import pytest

from node.pool.pool import Pool
from node.pool.refusals import (
    AlreadyKnown,
    DroppedByOperator,
    Evicted,
    Expired,
    NonceTooLow,
    Paused,
    PoolFull,
    Replaced,
    ReplacedTooOften,
    SenderFull,
    SourceFull,
)
from node.primitives.crypto import PrivateKey
from tests.support.pool import (
    FLOODER,
    NOW_S,
    PEER,
    RESIDENT,
    RPC,
    SERVICE,
    key_of,
    pool,
    put,
    transaction,
)


def flood(into: Pool, count: int, key: PrivateKey = FLOODER, source: str = RPC) -> None:
    for nonce in range(count):
        put(into, transaction(key, nonce), source=source)


def test_transactions_behind_a_gap_are_queued_until_it_closes() -> None:
    waiting = pool()

    assert not put(waiting, transaction(nonce=1)).is_pending
    assert waiting.candidates(10) == ()
    assert put(waiting, transaction(nonce=0)).is_pending
    assert [each.nonce for each in waiting.candidates(10)] == [0, 1]


def test_the_same_transaction_is_known() -> None:
    waiting = pool()
    put(waiting, transaction())

    with pytest.raises(AlreadyKnown):
        put(waiting, transaction())


def test_a_replacement_costs_nothing_and_keeps_one_per_nonce() -> None:
    waiting = pool()
    put(waiting, transaction(data=b"old"))

    added = put(waiting, transaction(data=b"new"))

    assert added.replaced == transaction(data=b"old").hash
    assert [each.data for each in waiting.candidates(10)] == [b"new"]
    drop = waiting.find_drop(transaction(data=b"old").hash)
    assert drop is not None
    assert isinstance(drop.reason, Replaced)


def test_a_nonce_is_replaced_a_bounded_number_of_times() -> None:
    waiting = pool(replacement_max=2)
    for at in range(3):
        put(waiting, transaction(data=bytes((at,))))

    with pytest.raises(ReplacedTooOften):
        put(waiting, transaction(data=b"\x09"))

    assert len(waiting) == 1


def test_replacing_keeps_the_place_in_turns() -> None:
    waiting = pool()
    put(waiting, transaction(SERVICE, data=b"old"))
    put(waiting, transaction(RESIDENT))

    put(waiting, transaction(SERVICE, data=b"new"))

    assert [each.sender for each in waiting.candidates(2)] == [SERVICE.address, RESIDENT.address]


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        pytest.param({"per_sender_max": 3}, SenderFull, id="of one sender"),
        pytest.param({"per_source_max": 3}, SourceFull, id="of one source"),
        pytest.param({"count_max": 3}, PoolFull, id="in all"),
        pytest.param({"size_max_bytes": 3 * len(transaction().raw)}, PoolFull, id="bytes"),
    ],
)
def test_each_bound_is_reached_and_not_passed(limits: dict[str, int], refusal: type) -> None:
    waiting = pool(**limits)
    flood(waiting, 3)

    with pytest.raises(refusal):
        put(waiting, transaction(FLOODER, 3))

    assert len(waiting) == 3


def test_another_source_has_its_own_share() -> None:
    waiting = pool(per_source_max=3)
    flood(waiting, 3, source=RPC)

    put(waiting, transaction(SERVICE), source=PEER)

    assert waiting.source_counts() == ((RPC, 3), (PEER, 1))


def test_a_full_pool_makes_room_for_whoever_has_fewer() -> None:
    waiting = pool(count_max=4)
    flood(waiting, 4)

    added = put(waiting, transaction(SERVICE))

    assert added.evicted == (transaction(FLOODER, 3).hash,)
    drop = waiting.find_drop(added.evicted[0])
    assert drop is not None
    assert isinstance(drop.reason, Evicted)
    assert len(waiting) == 4


def test_a_full_pool_of_equals_refuses_the_newcomer() -> None:
    waiting = pool(count_max=3)
    for role in ("one", "two", "three"):
        put(waiting, transaction(key_of(role)))

    with pytest.raises(PoolFull):
        put(waiting, transaction(SERVICE))


def test_a_replacement_that_does_not_fit_leaves_the_old_one() -> None:
    waiting = pool(size_max_bytes=len(transaction().raw) + 10)
    put(waiting, transaction())

    with pytest.raises(PoolFull):
        put(waiting, transaction(data=bytes(100)))

    assert transaction().hash in waiting
    assert waiting.size_bytes == len(transaction().raw)


def test_what_waited_too_long_is_dropped() -> None:
    waiting = pool(age_max_s=60)
    put(waiting, transaction(SERVICE), now_s=NOW_S)
    put(waiting, transaction(RESIDENT), now_s=NOW_S + 1)

    assert waiting.expire(NOW_S + 60) == ()
    assert waiting.expire(NOW_S + 61) == (transaction(SERVICE).hash,)
    drop = waiting.find_drop(transaction(SERVICE).hash)
    assert drop is not None
    assert isinstance(drop.reason, Expired)


def test_a_new_head_takes_what_it_holds_and_drops_what_it_made_stale() -> None:
    waiting = pool()
    mined, stale, next_one = (transaction(nonce=nonce) for nonce in range(3))
    for each in (mined, stale, next_one):
        put(waiting, each)
    other = transaction(nonce=1, data=b"sent elsewhere")

    dropped = waiting.upon_head([mined, other], lambda _: 2, now_s=NOW_S)

    assert dropped == (stale.hash,)
    assert waiting.find_drop(mined.hash) is None
    drop = waiting.find_drop(stale.hash)
    assert drop is not None
    assert isinstance(drop.reason, NonceTooLow)
    assert waiting.candidates(10) == (next_one,)


def test_a_transaction_dropped_in_the_middle_leaves_a_gap_until_it_comes_again() -> None:
    waiting = pool()
    sent = [transaction(nonce=nonce) for nonce in range(3)]
    for each in sent:
        put(waiting, each)

    assert waiting.drop(sent[1].hash, DroppedByOperator("out"), now_s=NOW_S)
    assert waiting.candidates(10) == (sent[0],)
    assert waiting.next_nonce(SERVICE.address) == 1
    assert [entry.transaction for entry in waiting.queued_of(SERVICE.address)] == [sent[2]]

    put(waiting, sent[1])
    assert waiting.candidates(10) == tuple(sent)


def test_a_jump_drops_what_is_stale_of_every_sender() -> None:
    waiting = pool()
    put(waiting, transaction(SERVICE))
    put(waiting, transaction(RESIDENT, 5))

    waiting.upon_jump(lambda _: 5, now_s=NOW_S)

    assert waiting.candidates(10) == (transaction(RESIDENT, 5),)


def test_senders_take_turns() -> None:
    waiting = pool()
    flood(waiting, 100)
    put(waiting, transaction(SERVICE))
    put(waiting, transaction(RESIDENT))

    first = [each.sender for each in waiting.candidates(4)]

    assert first == [FLOODER.address, SERVICE.address, RESIDENT.address, FLOODER.address]


def test_sources_take_turns_before_their_senders() -> None:
    waiting = pool()
    for at in range(50):
        put(waiting, transaction(key_of(f"one-time {at}")), source=RPC)
    put(waiting, transaction(SERVICE), source=PEER)

    second = waiting.candidates(2)[1]

    assert second.sender == SERVICE.address


def test_who_was_served_comes_last_in_the_next_block() -> None:
    waiting = pool()
    flood(waiting, 3)
    put(waiting, transaction(SERVICE))

    waiting.upon_head([transaction(FLOODER, 0)], lambda _: 1, now_s=NOW_S)

    assert [each.sender for each in waiting.candidates(2)] == [SERVICE.address, FLOODER.address]


def test_a_sender_keeps_the_order_of_its_nonces() -> None:
    waiting = pool()
    for nonce in (2, 0, 1):
        put(waiting, transaction(SERVICE, nonce))
        put(waiting, transaction(RESIDENT, nonce))

    nonces = [each.nonce for each in waiting.candidates(10) if each.sender == SERVICE.address]

    assert nonces == [0, 1, 2]


def test_a_paused_pool_takes_nothing() -> None:
    waiting = pool()
    waiting.is_paused = True

    with pytest.raises(Paused):
        put(waiting, transaction())


def test_remembered_refusals_are_bounded() -> None:
    waiting = pool(refusal_history_max=2)
    flood(waiting, 3)

    assert waiting.clear(now_s=NOW_S) == 3
    assert waiting.find_drop(transaction(FLOODER, 0).hash) is None
    assert waiting.find_drop(transaction(FLOODER, 2).hash) is not None
