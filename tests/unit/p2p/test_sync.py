"""SYNC-RANGE, SYNC-SEALS, SYNC-BLAME: blocks are believed in order, and liars are named.

Four validators; blocks are empty and sealed by all or some of them.
"""

from collections.abc import Callable, Sequence

import pytest

from node.p2p import sync as sync_module
from node.p2p.limits import Offence
from node.p2p.sync import BlockSync, RangeRequest
from node.primitives.block import Block
from node.primitives.crypto import keccak256
from node.primitives.transaction import sign_transaction
from node.primitives.types import Address, Height
from tests.support.consensus import KEYS, OUTSIDER
from tests.support.sealed_chain import chain_of, encoded, new_sync, with_other_state

CHAIN = chain_of(150)
SERVED = encoded(CHAIN)
HONEST, OTHER, LIAR = (Address(bytes((mark,)) * 20) for mark in (1, 2, 3))


def serve(request: RangeRequest, chain: Sequence[bytes] = SERVED) -> Sequence[bytes]:
    return chain[request.start : request.start + request.count]


def know(sync: BlockSync, *peers: Address, height: int = 150, oldest: int = 1) -> None:
    for peer in peers:
        sync.update_peer(peer, height=Height(height), oldest=Height(oldest))


def drain(sync: BlockSync, answers: dict[Address, Callable[[RangeRequest], Sequence[bytes]]]):
    """Run the sync to a standstill; return the blocks executed and who was blamed."""
    blocks, blames = [], []
    for _ in range(200):
        requests = sync.next_requests()
        for request in requests:
            blames += sync.receive(request, answers[request.peer](request))
        ready = sync.take_ready()
        blocks += ready
        if not requests and not ready:
            return blocks, blames
    raise AssertionError("the sync does not come to rest")


def test_a_chain_is_fetched_verified_and_handed_out_in_order() -> None:
    sync = new_sync()
    know(sync, HONEST, OTHER)
    blocks, blames = drain(sync, {HONEST: serve, OTHER: serve})

    assert [block.hash for block in blocks] == [block.hash for block in CHAIN]
    assert blames == []
    assert sync.is_done


def test_ranges_ahead_and_per_peer_are_bounded() -> None:
    sync = new_sync()
    know(sync, HONEST, OTHER, height=100_000)
    requests = sync.next_requests()

    assert [request.count for request in requests] == [sync_module.RANGE_LENGTH] * 4
    assert sorted(request.peer for request in requests) == [HONEST, HONEST, OTHER, OTHER]
    know(sync, *(Address(bytes((mark,)) * 20) for mark in range(4, 20)), height=100_000)
    assert len(requests) + len(sync.next_requests()) == sync_module.RANGES_MAX


def test_nothing_more_is_asked_while_verified_blocks_wait() -> None:
    long_chain = chain_of(sync_module.READY_MAX + sync_module.RANGE_LENGTH)
    served = encoded(long_chain)
    sync = new_sync()
    know(sync, HONEST, height=len(long_chain))
    taken = 0
    while requests := sync.next_requests():
        for request in requests:
            taken += len(serve(request, served))
            sync.receive(request, serve(request, served))

    assert taken == sync_module.READY_MAX
    assert len(sync.take_ready()) == sync_module.READY_MAX
    assert sync.next_requests()


def test_ranges_that_arrive_out_of_order_wait_for_the_first() -> None:
    sync = new_sync()
    know(sync, HONEST, OTHER)
    first, *later = sync.next_requests()
    for request in reversed(later):
        sync.receive(request, serve(request))
    assert sync.take_ready() == ()

    sync.receive(first, serve(first))

    assert len(sync.take_ready()) == 32 * (1 + len(later))


FORGERIES = [
    pytest.param(lambda raw: with_other_state(CHAIN[9]).encode(), id="state root changed"),
    pytest.param(lambda raw: CHAIN[9].with_seals(()).encode(), id="no seals"),
    pytest.param(
        lambda raw: CHAIN[9].with_seals(CHAIN[9].header.extra_data.seals[:2]).encode(),
        id="seals below quorum",
    ),
    pytest.param(
        lambda raw: CHAIN[9]
        .with_seals((CHAIN[9].header.extra_data.seals[0],) * 3)
        .encode(),
        id="one seal three times",
    ),
    pytest.param(
        lambda raw: CHAIN[9]
        .with_seals(tuple(OUTSIDER.sign(CHAIN[9].header.seal_hash) for _ in range(3)))
        .encode(),
        id="seals of a stranger",
    ),
    pytest.param(lambda raw: CHAIN[10].encode(), id="a later block"),
    pytest.param(lambda raw: CHAIN[8].encode(), id="an older block"),
    pytest.param(lambda raw: raw[:-1], id="cut off"),
    pytest.param(lambda raw: b"", id="nothing in its place"),
    pytest.param(
        lambda raw: Block(
            header=CHAIN[9].header,
            transactions=(
                sign_transaction(OUTSIDER, chain_id=1, nonce=0, gas_limit=21_000, to=HONEST),
            ),
        ).encode(),
        id="a transaction slipped in",
    ),
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES)
def test_who_served_a_forged_block_is_blamed_and_asked_no_more(
    forge: Callable[[bytes], bytes],
) -> None:
    def lie(request: RangeRequest) -> Sequence[bytes]:
        blocks = list(serve(request))
        if request.start <= 10 < request.start + request.count:
            blocks[10 - request.start] = forge(blocks[10 - request.start])
        return blocks

    sync = new_sync()
    know(sync, LIAR)
    requests = sync.next_requests()
    know(sync, HONEST)
    blames = [blame for request in requests for blame in sync.receive(request, lie(request))]
    assert [(blame.peer, blame.offence) for blame in blames] == [(LIAR, Offence.FORGED_BLOCK)]
    know(sync, LIAR)

    blocks, more = drain(sync, {HONEST: serve})

    assert [block.hash for block in blocks] == [block.hash for block in CHAIN]
    assert more == []


def test_a_chain_sealed_by_too_few_is_refused_from_its_first_block() -> None:
    forged = encoded(chain_of(150, by=KEYS[:2], label="forged"))
    sync = new_sync()
    know(sync, LIAR)
    blocks, blames = drain(sync, {LIAR: lambda request: serve(request, forged)})

    assert blocks == []
    assert [blame.peer for blame in blames] == [LIAR]
    assert "quorum" in blames[0].detail or "QBFT-SEALS" in blames[0].detail


def test_a_forger_does_not_spoil_what_honest_peers_sent_for_later_ranges() -> None:
    sync = new_sync()
    know(sync, LIAR, HONEST)
    requests = sync.next_requests()
    blames = []
    for request in sorted(requests, key=lambda each: each.peer == LIAR):
        if request.peer == LIAR:
            blames += sync.receive(request, [b"\xc0"] * request.count)
        else:
            blames += sync.receive(request, serve(request))

    assert {blame.peer for blame in blames} <= {LIAR}
    blocks, more = drain(sync, {HONEST: serve})
    assert [block.height for block in blocks] == list(range(1, 151))
    assert more == []


def test_a_short_answer_is_kept_and_the_rest_is_asked_again() -> None:
    sync = new_sync()
    know(sync, HONEST)
    blocks, blames = drain(sync, {HONEST: lambda request: serve(request)[:5]})

    assert len(blocks) == 150
    assert blames == []


def test_a_peer_that_claims_too_much_is_believed_no_further_than_it_delivers() -> None:
    sync = new_sync()
    know(sync, HONEST)
    know(sync, LIAR, height=2**62)
    blocks, blames = drain(sync, {HONEST: serve, LIAR: serve})

    assert len(blocks) == 150
    assert {(blame.peer, blame.offence) for blame in blames} == {(LIAR, Offence.SHORT_RESPONSE)}
    assert sync.target == 150


def test_an_unanswered_range_goes_to_another_peer_and_three_set_a_peer_aside() -> None:
    sync = new_sync()
    know(sync, LIAR)
    know(sync, HONEST)
    blocks: list[Block] = []
    unanswered = 0
    for _ in range(50):
        for request in sync.next_requests():
            if request.peer == LIAR:
                unanswered += 1
                sync.fail(request)
            else:
                sync.receive(request, serve(request))
        blocks += sync.take_ready()

    assert len(blocks) == 150
    assert unanswered == sync_module.FAILURES_MAX


def test_a_peer_that_leaves_frees_its_ranges_and_its_late_answer_is_ignored() -> None:
    sync = new_sync()
    know(sync, LIAR)
    requests = sync.next_requests()
    sync.lose_peer(LIAR)
    know(sync, HONEST)
    again = sync.next_requests()

    assert {request.peer for request in again} == {HONEST}
    assert sync.receive(requests[0], serve(requests[0])) == ()
    assert sync.take_ready() == ()


def test_a_peer_is_not_asked_below_what_it_keeps() -> None:
    sync = new_sync()
    know(sync, OTHER, oldest=100)
    assert all(request.start >= 100 for request in sync.next_requests())
    know(sync, HONEST)
    requests = sync.next_requests()

    assert requests
    assert {request.peer for request in requests if request.start < 100} == {HONEST}


def test_a_swapped_body_is_refused_although_its_header_is_sealed() -> None:
    tx = sign_transaction(OUTSIDER, chain_id=1, nonce=0, gas_limit=21_000, to=HONEST)
    forged = Block(header=CHAIN[0].header, transactions=(tx,)).encode()
    sync = new_sync()
    know(sync, LIAR, height=1)
    (request,) = sync.next_requests()
    (blame,) = sync.receive(request, [forged])

    assert "SYNC-SEALS" in blame.detail
    assert sync.verified == 0
    assert keccak256(forged) != keccak256(SERVED[1])
