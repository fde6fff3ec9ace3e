"""EXEC-INTRINSIC: what py-evm accepts, or notices too late, is refused before anything changes.

EXEC-CHAIN-ID, EXEC-FEES, EXEC-GAS-CAP, EXEC-INITCODE, EXEC-NONCE, EXEC-SENDER, EXEC-FUNDS.
"""

from dataclasses import replace

import pytest

from node.execution.rules import compute_transactions_root
from node.execution.validity import INITCODE_SIZE_MAX, NONCE_MAX, compute_intrinsic_gas
from node.primitives.errors import InvalidBlock
from node.primitives.transaction import AccessListEntry, Transaction
from node.primitives.types import Address, Hash32
from tests.support.execution import (
    FUNDS,
    OTHER_KEY,
    PROFILE,
    SENDER,
    PreAccount,
    build,
    execute,
    make_transaction,
    make_view,
)

RICH = make_view()


def signed_again(transaction: Transaction, **fields: object) -> Transaction:
    """Return the transaction with other fields, its sender forced: the signature is not asked."""
    changed = replace(transaction, **fields)  # type: ignore[arg-type]
    changed.__dict__["sender"] = SENDER
    return changed


def refusal_of(transaction: Transaction, view: object = RICH) -> str | None:
    """Return the rule by which a proposer leaves ``transaction`` out."""
    skipped = build(view, [transaction]).skipped  # type: ignore[arg-type]
    assert len(skipped) == 1
    return skipped[0].reason.rule


@pytest.mark.parametrize(
    ("transaction", "rule"),
    [
        pytest.param(make_transaction(chain_id=1), "EXEC-CHAIN-ID", id="another chain"),
        pytest.param(
            signed_again(make_transaction(), max_fee_wei=1), "EXEC-FEES", id="a positive fee"
        ),
        pytest.param(
            signed_again(make_transaction(), max_fee_wei=1, max_priority_fee_wei=1),
            "EXEC-FEES",
            id="a positive tip",
        ),
        pytest.param(
            signed_again(make_transaction(), max_priority_fee_wei=1),
            "EXEC-FEES",
            id="a tip above the fee",
        ),
        pytest.param(
            make_transaction(gas_limit=PROFILE.transaction_gas_cap + 1), "EXEC-GAS-CAP", id="cap"
        ),
        pytest.param(make_transaction(gas_limit=20_999), "EXEC-INTRINSIC", id="too little gas"),
        pytest.param(
            make_transaction(to=None, data=bytes(64), gas_limit=53_000 + 64 * 4 + 3),
            "EXEC-INTRINSIC",
            id="init code words unpaid",
        ),
        pytest.param(
            make_transaction(to=None, data=bytes(INITCODE_SIZE_MAX + 1)),
            "EXEC-INITCODE",
            id="init code too long",
        ),
        pytest.param(make_transaction(nonce=1), "EXEC-NONCE", id="nonce too high"),
        pytest.param(make_transaction(nonce=NONCE_MAX + 1), "EXEC-NONCE", id="past the last nonce"),
        pytest.param(make_transaction(value_wei=FUNDS + 1), "EXEC-FUNDS", id="value not covered"),
    ],
)
def test_an_invalid_transaction_is_left_out_by_its_rule(
    transaction: Transaction, rule: str
) -> None:
    assert refusal_of(transaction) == rule


def test_a_used_nonce_is_refused() -> None:
    view = make_view({SENDER: PreAccount(nonce=3)})

    assert refusal_of(make_transaction(nonce=2), view) == "EXEC-NONCE"


def test_a_contract_cannot_send() -> None:
    view = make_view({SENDER: PreAccount(code=b"\x00")})

    assert refusal_of(make_transaction(), view) == "EXEC-SENDER"


def test_a_block_that_holds_an_invalid_transaction_is_refused_by_the_same_rule() -> None:
    valid = build(RICH, [make_transaction()]).block
    smuggled = replace(valid, transactions=(make_transaction(chain_id=1),))
    header = replace(
        valid.header, transactions_root=compute_transactions_root(smuggled.transactions)
    )

    with pytest.raises(InvalidBlock) as refusal:
        execute(RICH, replace(smuggled, header=header))

    assert refusal.value.rule == "EXEC-CHAIN-ID"


def test_limits_themselves_are_allowed() -> None:
    at_cap = make_transaction(gas_limit=PROFILE.transaction_gas_cap)
    whole_purse = make_transaction(value_wei=FUNDS, nonce=1, to=OTHER_KEY.address)
    longest = make_transaction(to=None, data=bytes(INITCODE_SIZE_MAX), gas_limit=300_000, nonce=2)

    assert build(RICH, [at_cap, whole_purse, longest]).skipped == ()


def test_intrinsic_gas_counts_bytes_words_and_the_access_list() -> None:
    entry = AccessListEntry(address=Address(b"\x01" * 20), storage_keys=(Hash32(b"\x00" * 32),) * 2)
    creation = signed_again(
        make_transaction(to=None, data=b"\x00\x01" * 20), access_list=(entry, entry)
    )

    assert compute_intrinsic_gas(creation) == (
        21_000 + 32_000 + 20 * 4 + 20 * 16 + 2 * 2 + 2 * 2_400 + 4 * 1_900
    )
