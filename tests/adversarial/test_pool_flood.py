"""POOL-FAIR, POOL-BOUNDS, POOL-EVICT: one admitted account floods; everyone else is served.

The flooder sends all its limits allow, and replaces what it sent. A second flooder uses many
one-time keys from one source. An honest service sends one transaction at a time.
"""

from node.execution.admission import AdmissionKind
from node.pool.refusals import Refused
from tests.support.pool import (
    FLOODER,
    NOW_S,
    PEER,
    RPC,
    SERVICE,
    admit_as,
    head,
    key_of,
    pool,
    transaction,
)


def test_a_flood_by_one_sender_delays_another_by_one_turn() -> None:
    waiting = pool(per_sender_max=256)
    refused = 0
    for nonce in range(400):
        try:
            waiting.submit(transaction(FLOODER, nonce).raw, head(), source=RPC, now_s=NOW_S)
        except Refused:
            refused += 1

    waiting.submit(transaction(SERVICE).raw, head(), source=RPC, now_s=NOW_S)

    assert refused == 400 - 256
    assert SERVICE.address in [each.sender for each in waiting.candidates(2)]


def test_a_flood_that_filled_the_pool_gives_way() -> None:
    waiting = pool(count_max=200)
    for nonce in range(200):
        waiting.submit(transaction(FLOODER, nonce).raw, head(), source=RPC, now_s=NOW_S)

    for at in range(50):
        waiting.submit(transaction(key_of(f"town {at}")).raw, head(), source=PEER, now_s=NOW_S)

    assert len(waiting) == 200
    assert len(waiting.pending_of(FLOODER.address)) == 150


def test_a_flood_of_one_time_keys_has_one_sources_share_of_a_block() -> None:
    waiting = pool(per_source_max=500)
    open_calls = head(rule=admit_as(AdmissionKind.OPEN_CALL))
    for at in range(500):
        sent = transaction(key_of(f"one-time {at}"))
        waiting.submit(sent.raw, open_calls, source="flooding gateway", now_s=NOW_S)
    for at in range(10):
        sent = transaction(key_of(f"resident {at}"))
        waiting.submit(sent.raw, open_calls, source="honest gateway", now_s=NOW_S)

    block = waiting.candidates(20)

    residents = {key_of(f"resident {at}").address for at in range(10)}
    assert sum(each.sender in residents for each in block) == 10


def test_replacing_for_ever_stops_and_costs_one_place() -> None:
    waiting = pool()
    refused = 0
    for at in range(100):
        try:
            sent = transaction(FLOODER, data=at.to_bytes(2, "big"))
            waiting.submit(sent.raw, head(), source=RPC, now_s=NOW_S)
        except Refused:
            refused += 1

    assert len(waiting) == 1
    assert refused == 100 - 1 - waiting.limits.replacement_max
