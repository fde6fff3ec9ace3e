"""EXEC-BUILD: a proposer takes what fits, in order, and says why it left out the rest."""

from node.execution.profile import ExecutionProfile
from node.execution.proposal import BODY_SIZE_MAX, TRANSACTION_FRAMING
from node.primitives.block import BLOCK_SIZE_MAX, decode_block
from node.primitives.header import EXTRA_DATA_SIZE_MAX
from node.primitives.transaction import TRANSACTION_SIZE_MAX
from node.primitives.types import Address
from tests.support.execution import (
    CHAIN_ID,
    OTHER_KEY,
    PreAccount,
    build,
    execute,
    make_transaction,
    make_view,
)

SINK = Address(b"\x51" * 20)
VIEW = make_view({SINK: PreAccount(nonce=1)})
SMALL = ExecutionProfile(chain_id=CHAIN_ID, block_gas_limit=70_000)


def test_candidates_keep_their_order() -> None:
    others = [make_transaction(nonce=n, to=SINK, key=OTHER_KEY) for n in range(2)]
    ours = [make_transaction(nonce=n, to=SINK) for n in range(2)]
    mixed = [ours[0], others[0], others[1], ours[1]]

    assert build(VIEW, mixed).block.transactions == tuple(mixed)


def test_one_that_asks_for_too_much_gas_makes_room_for_a_smaller_one() -> None:
    first, smaller = (
        make_transaction(to=SINK, gas_limit=21_000),
        make_transaction(to=SINK, nonce=0, key=OTHER_KEY, gas_limit=21_000),
    )
    greedy = make_transaction(to=SINK, nonce=1, gas_limit=60_000)
    built = build(VIEW, [first, greedy, smaller], profile=SMALL)

    assert built.block.transactions == (first, smaller)
    assert [(skip.hash, skip.is_waiting) for skip in built.skipped] == [(greedy.hash, True)]


def test_a_full_block_tries_no_more_candidates() -> None:
    profile = ExecutionProfile(chain_id=CHAIN_ID, block_gas_limit=41_999)
    first = make_transaction(to=SINK, gas_limit=21_000)
    second = make_transaction(to=SINK, nonce=1, gas_limit=21_000)
    built = build(VIEW, [first, second], profile=profile)

    assert built.block.transactions == (first,)
    assert built.skipped == ()


def test_time_up_ends_the_block_where_it_stands() -> None:
    answers = iter([False, False, True])
    candidates = [make_transaction(nonce=n, to=SINK) for n in range(5)]
    built = build(VIEW, candidates, is_time_up=lambda: next(answers))

    assert built.block.transactions == tuple(candidates[:2])
    assert execute(VIEW, built.block).state_root == built.block.header.state_root


def test_what_may_fit_later_is_told_from_what_never_will() -> None:
    gap = make_transaction(nonce=3, to=SINK)
    foreign = make_transaction(to=SINK, chain_id=CHAIN_ID + 1)
    skipped = build(VIEW, [gap, foreign]).skipped

    assert [skip.is_waiting for skip in skipped] == [True, False]


def test_a_body_stops_at_its_bytes() -> None:
    profile = ExecutionProfile(chain_id=CHAIN_ID, block_gas_limit=10**9, transaction_gas_cap=10**8)
    data = bytes(TRANSACTION_SIZE_MAX - 200)
    size = len(make_transaction(to=SINK, data=data).raw) + TRANSACTION_FRAMING
    count = BODY_SIZE_MAX // size
    candidates = [
        make_transaction(nonce=n, to=SINK, data=data, gas_limit=600_000) for n in range(count + 1)
    ]
    built = build(VIEW, candidates, profile=profile)

    assert len(built.block.transactions) == count
    assert [skip.reason.rule for skip in built.skipped] == ["EXEC-BUILD"]
    assert len(built.block.encode()) + EXTRA_DATA_SIZE_MAX < BLOCK_SIZE_MAX
    assert decode_block(built.block.encode()) == built.block
