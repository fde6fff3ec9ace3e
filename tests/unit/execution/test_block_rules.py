"""EXEC-ROOT: a block that says anything but the truth is refused.

So are the drifts py-evm's own headers make. EXEC-PARENT, EXEC-TIMESTAMP, EXEC-GAS-LIMIT,
EXEC-BASE-FEE, EXEC-EMPTY, EXEC-BODY, EXEC-RECEIPT, EXEC-BLOCK-GAS, EXEC-ONCE, EXEC-TYPES,
EXEC-GENESIS-PARAMETERS.
"""

from dataclasses import replace
from typing import Any

import pytest

from node.execution.admission import admit_all
from node.execution.profile import ExecutionProfile
from node.execution.proposal import BlockDraft, build_block
from node.primitives import rlp
from node.primitives.block import Block, decode_block
from node.primitives.errors import InvalidBlock, InvalidTransaction, MalformedMessage
from node.primitives.header import ExtraData
from node.primitives.types import BlockHash, Hash32, Height
from tests.support.assembler import assemble
from tests.support.execution import (
    COINBASE,
    CONTRACT,
    PARENT_TIMESTAMP,
    PROFILE,
    ancestor_hash,
    build,
    execute,
    make_contract,
    make_transaction,
)

WRONG = Hash32(b"\x66" * 32)
VIEW = make_contract(assemble("7 0 SSTORE 0 0 LOG0"))
BLOCK = build(VIEW, [make_transaction()]).block


def with_header(**fields: Any) -> Block:
    return Block(header=replace(BLOCK.header, **fields), transactions=BLOCK.transactions)


def test_what_a_proposer_builds_validates_to_the_same_result() -> None:
    built = build(VIEW, [make_transaction()])
    result = execute(VIEW, built.block)

    assert result.state_root == built.result.state_root == built.block.header.state_root
    assert result.receipts == built.result.receipts
    assert result.changes == built.result.changes


@pytest.mark.parametrize(
    ("block", "rule"),
    [
        pytest.param(with_header(parent_hash=BlockHash(WRONG)), "EXEC-PARENT", id="other parent"),
        pytest.param(with_header(height=Height(9)), "EXEC-PARENT", id="height skipped"),
        pytest.param(
            with_header(timestamp_s=PARENT_TIMESTAMP), "EXEC-TIMESTAMP", id="not later than parent"
        ),
        pytest.param(
            with_header(gas_limit=PROFILE.block_gas_limit - 1), "EXEC-GAS-LIMIT", id="limit down"
        ),
        pytest.param(
            with_header(gas_limit=PROFILE.block_gas_limit * 1025 // 1024),
            "EXEC-GAS-LIMIT",
            id="limit up within Ethereum's bound",
        ),
        pytest.param(
            with_header(gas_used=PROFILE.block_gas_limit + 1), "EXEC-BLOCK-GAS", id="over the limit"
        ),
        pytest.param(with_header(base_fee_wei=1), "EXEC-BASE-FEE", id="base fee"),
        pytest.param(with_header(ommers_hash=WRONG), "EXEC-EMPTY", id="ommers"),
        pytest.param(with_header(withdrawals_root=WRONG), "EXEC-EMPTY", id="withdrawals"),
        pytest.param(with_header(transactions_root=WRONG), "EXEC-BODY", id="transactions root"),
        pytest.param(Block(header=BLOCK.header), "EXEC-BODY", id="a transaction missing"),
        pytest.param(with_header(gas_used=21_000), "EXEC-RECEIPT", id="gas used"),
        pytest.param(with_header(receipts_root=WRONG), "EXEC-RECEIPT", id="receipts root"),
        pytest.param(with_header(bloom=b"\xff" * 256), "EXEC-RECEIPT", id="bloom"),
        pytest.param(with_header(state_root=WRONG), "EXEC-ROOT", id="state root"),
    ],
)
def test_a_false_header_is_refused_by_its_rule(block: Block, rule: str) -> None:
    with pytest.raises(InvalidBlock) as refusal:
        execute(VIEW, block)

    assert refusal.value.rule == rule


def test_the_child_of_a_full_block_still_has_base_fee_zero() -> None:
    profile = ExecutionProfile(chain_id=PROFILE.chain_id, block_gas_limit=30_000)
    full = build(VIEW, [make_transaction(gas_limit=21_000, to=COINBASE)], profile=profile)
    child = build_block(
        parent=full.block.header,
        draft=BlockDraft(
            timestamp_s=PARENT_TIMESTAMP + 4, coinbase=COINBASE, extra_data=ExtraData()
        ),
        candidates=[make_transaction(gas_limit=21_000, to=COINBASE, nonce=1)],
        view=full.result.overlay,
        profile=profile,
        rule=admit_all,
        ancestor_hash=ancestor_hash,
        is_time_up=lambda: False,
    )

    assert full.block.header.gas_used * 2 > full.block.header.gas_limit
    assert child.block.header.base_fee_wei == 0
    assert child.skipped == ()


def test_an_empty_block_changes_nothing_and_touches_nobody() -> None:
    built = build(VIEW, [])

    assert built.block.header.state_root == VIEW.root
    assert built.result.changes.accounts == {}


def test_the_coinbase_gets_nothing() -> None:
    result = build(VIEW, [make_transaction()]).result

    assert result.overlay.load_account(COINBASE) is None


def test_executing_leaves_the_parents_view_as_it_was() -> None:
    build(VIEW, [make_transaction()])

    assert VIEW.load_slot(CONTRACT, 0) == 0


@pytest.mark.parametrize("kind", [3, 4], ids=["blob", "set code"])
def test_a_block_with_a_refused_type_does_not_decode(kind: int) -> None:
    items = rlp.decode_list(BLOCK.encode())
    items[1] = [bytes((kind,)) + rlp.encode([b"\x01"])]

    with pytest.raises(InvalidTransaction):
        decode_block(rlp.encode(items))


@pytest.mark.parametrize("at", [2, 3], ids=["ommers", "withdrawals"])
def test_a_body_with_ommers_or_withdrawals_does_not_decode(at: int) -> None:
    items = rlp.decode_list(BLOCK.encode())
    items[at] = [[b"\x01", b"\x01", COINBASE, b"\x7f"]]

    with pytest.raises(MalformedMessage) as refusal:
        decode_block(rlp.encode(items))

    assert refusal.value.rule == "EXEC-EMPTY"
