"""EXEC-MODEXP: where stock py-evm is wrong, slow or knows another chain, ours is right.

EXEC-INITCODE, EXEC-BLOCKHASH, EXEC-PREVRANDAO, EXEC-EMPTY-ACCOUNTS.
"""

import sys
import threading

import pytest

from node.execution.evm import find_jump_destinations
from node.execution.precompiles import ecrecover, modexp
from node.primitives.crypto import CURVE_ORDER
from node.primitives.header import MIX_HASH
from node.primitives.types import Address, Height
from tests.support.assembler import assemble, store_results
from tests.support.execution import (
    CONTRACT,
    SENDER_KEY,
    PreAccount,
    ancestor_hash,
    make_contract,
    make_transaction,
    make_view,
    run,
)


def slot_after(source: str) -> int:
    """Return what ``source`` leaves on the stack, as stored by a transaction."""
    return run(make_contract(store_results(source)), make_transaction()).overlay.load_slot(
        CONTRACT, 0
    )


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        pytest.param(words(0, 0, 1) + b"\x05", b"\x01", id="empty base, empty exponent"),
        pytest.param(words(0, 1, 1) + b"\x00\x05", b"\x01", id="empty base, exponent 0"),
        pytest.param(words(0, 1, 1) + b"\x03\x05", b"\x00", id="empty base, exponent 3"),
        pytest.param(words(0, 0, 1) + b"\x01", b"\x00", id="modulus 1"),
        pytest.param(words(1, 1, 2) + b"\x03\x02\x00\x00", b"\x00\x00", id="modulus 0"),
        pytest.param(words(1, 1, 0) + b"\x03\x02", b"", id="no modulus"),
        pytest.param(words(1, 1, 1) + b"\x03\x02\x07", b"\x02", id="3 to the 2 modulo 7"),
        pytest.param(words(1, 1, 2) + b"\x03\x02\x07", b"\x00\x09", id="input cut short"),
    ],
)
def test_modexp(data: bytes, answer: bytes) -> None:
    assert modexp(data) == answer


def test_ecrecover_takes_high_s_and_refuses_what_names_no_key() -> None:
    digest = b"\x11" * 32
    signature = SENDER_KEY.sign(digest)
    r, s = signature[:32], int.from_bytes(signature[32:64], "big")
    low = digest + words(27 + signature[64]) + r + words(s)
    high = digest + words(28 - signature[64]) + r + words(CURVE_ORDER - s)

    assert ecrecover(low) == ecrecover(high) == bytes(12) + SENDER_KEY.address
    assert ecrecover(digest + words(29) + r + words(s)) == b""
    assert ecrecover(digest + words(27) + words(CURVE_ORDER) + words(s)) == b""
    assert ecrecover(b"") == b""


@pytest.mark.parametrize(
    "creation", ["{} 0 1 CREATE", "0 {} 0 1 CREATE2"], ids=["CREATE", "CREATE2"]
)
@pytest.mark.parametrize(
    ("size", "is_success"), [(49_152, True), (49_153, False)], ids=["at the limit", "above"]
)
def test_oversized_init_code_halts_even_when_the_balance_does_not_suffice(
    creation: str, size: int, *, is_success: bool
) -> None:
    view = make_contract(assemble(f"{creation.format(size)} POP"))
    receipt = run(view, make_transaction()).receipts[0]

    assert receipt.is_success is is_success
    assert (receipt.cumulative_gas_used == 500_000) is not is_success


def test_blockhash_is_hash_b_of_the_last_256_ancestors() -> None:
    assert slot_after("7 BLOCKHASH") == int.from_bytes(ancestor_hash(Height(7)), "big")
    assert slot_after("8 BLOCKHASH") == 0
    assert slot_after("9 BLOCKHASH") == 0
    assert slot_after(f"{2**256 - 1} BLOCKHASH") == 0


def test_prevrandao_is_the_constant_mix_hash() -> None:
    assert slot_after("PREVRANDAO") == int.from_bytes(MIX_HASH, "big")


def test_fees_are_zero_to_contracts_too() -> None:
    assert slot_after("GASPRICE BASEFEE ADD 1 ADD") == 1


def test_the_coinbase_is_warm_from_the_start() -> None:
    assert slot_after("GAS COINBASE BALANCE POP GAS SWAP1 SUB") == 2 + 100 + 2 + 2


def test_a_touched_empty_account_does_not_stay() -> None:
    stranger = Address(b"\xee" * 20)
    view = make_contract(assemble(f"0 0 0 0 0 0x{stranger.hex()} GAS CALL POP"))

    assert run(view, make_transaction()).overlay.load_account(stranger) is None


def test_an_empty_account_of_genesis_goes_when_touched() -> None:
    stranger = Address(b"\xee" * 20)
    view = make_view(
        {
            stranger: PreAccount(),
            CONTRACT: PreAccount(
                nonce=1, code=assemble(f"0 0 0 0 0 0x{stranger.hex()} GAS CALL POP")
            ),
        }
    )

    assert view.load_account(stranger) is not None
    assert run(view, make_transaction()).overlay.load_account(stranger) is None


def test_a_contract_that_destroys_itself_is_gone_with_its_storage() -> None:
    view = make_contract(assemble("CALLER SELFDESTRUCT"), {1: 5})
    overlay = run(view, make_transaction()).overlay

    assert overlay.load_account(CONTRACT) is None
    assert overlay.load_slot(CONTRACT, 1) == 0


def test_a_long_run_of_push_bytes_before_a_jump_does_no_harm() -> None:
    code = assemble("0xbffe JUMP")
    code = code + b"\x60" * (0xBFFF - len(code) - 1) + b"\x5b" + b"\x00"
    receipt = run(make_view(), make_transaction(to=None, data=code, gas_limit=2_000_000)).receipts[
        0
    ]

    assert len(code) == 49_152
    assert receipt.is_success is bool(find_jump_destinations(code)[0xBFFE])


def test_calls_as_deep_as_gas_allows_end_in_a_thread_too() -> None:
    view = make_contract(assemble("0 0 0 0 0 ADDRESS GAS CALL"))
    receipts = []

    def execute() -> None:
        receipts.append(run(view, make_transaction(gas_limit=8_000_000)).receipts[0])

    thread = threading.Thread(target=execute)
    thread.start()
    thread.join()

    assert [receipt.is_success for receipt in receipts] == [True]
    assert sys.getrecursionlimit() >= 20_000
