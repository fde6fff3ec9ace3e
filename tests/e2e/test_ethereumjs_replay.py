"""EXEC-ROOT, EXEC-RECEIPT, AUDIT-BUNDLE: @ethereumjs executes our chain and finds the same.

A chain of every kind of transaction we admit (deployments, permission changes, calls that read all
a contract can read, failures, refunds, all three transaction types) is exported as a stream of
blocks. The peer knows nothing of ours but the genesis file and the stream. QBFT-HASH and the seals
are recomputed there too.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils import to_checksum_address
from vyper import compile_code

from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS, GenesisAccount
from node.genesis.system_contracts import OpenCall
from node.primitives import rlp
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.transaction import Transaction, decode_transaction
from node.primitives.types import Address, Height, Round
from node.runtime.bundle_file import BundlePlan, export_bundle
from node.runtime.chain_file import export_chain
from tests.support.javascript import run_peer
from tests.support.ledger import (
    CHAIN_ID,
    GOVERNOR_KEY,
    MUNICIPALITY_KEYS,
    OUTSIDER_KEY,
    SERVICE_KEYS,
    VALIDATOR_KEYS,
    Ledger,
    describe,
    encode_call,
    key_of,
    seal,
)

RECORDER_SOURCE = Path(__file__).resolve().parents[1] / "support" / "Recorder.vy"
RESIDENT_KEY = key_of("resident")


def sign_with_eth_account(key: PrivateKey, **fields: Any) -> Transaction:
    """Sign as wallets do, with types our own signing function does not make."""
    signed = Account.sign_transaction(
        {"chainId": CHAIN_ID, "value": 0, "gas": 1_000_000, **fields}, key.export_secret()
    )
    return decode_transaction(bytes(signed.raw_transaction))


def address_of_creation(creator: Address, nonce: int) -> Address:
    return Address(keccak256(rlp.encode([creator, rlp.encode_uint(nonce)]))[12:])


def make_chain() -> Ledger:
    """Make the chain; every block holds what was sent for it."""
    init_code = bytes.fromhex(
        compile_code(RECORDER_SOURCE.read_text("utf-8"), output_formats=["bytecode"])["bytecode"][
            2:
        ]
    )
    description = describe(
        open_calls=(
            OpenCall(
                target=MUNICIPALITIES_ADDRESS,
                selector=encode_call("needed()")[:4],
                gas_max=100_000,
            ),
        )
    )
    ledger = Ledger(
        replace(
            description,
            accounts={GOVERNOR_KEY.address: GenesisAccount(balance_wei=10**18)},
        )
    )
    recorder = address_of_creation(GOVERNOR_KEY.address, 0)
    deploy(ledger, init_code, recorder)
    govern(ledger)
    record(ledger, recorder)
    use_every_type(ledger, recorder)
    for _ in range(3):
        ledger.make(ledger.call(SERVICE_KEYS[0], recorder, encode_call("keep_context()")))
    return ledger


def send(ledger: Ledger, *transactions: Transaction) -> list[bool]:
    made = ledger.make(*transactions)
    assert made.block.transactions == transactions, made.skipped
    return [receipt.is_success for receipt in made.result.receipts]


def deploy(ledger: Ledger, init_code: bytes, recorder: Address) -> None:
    creation = ledger.call(GOVERNOR_KEY, None, init_code, gas_limit=5_000_000, value_wei=12_345)
    failing = ledger.call(GOVERNOR_KEY, None, b"\xfe", gas_limit=100_000, nonce_ahead=1)
    assert send(ledger, creation, failing) == [True, False]
    account = ledger.view.load_account(recorder)
    assert account is not None
    assert account.balance_wei == 12_345


def govern(ledger: Ledger) -> None:
    add = encode_call("add_governor(address)", key_of("second governor").address)
    votes = [ledger.call(key, PERMISSIONS_ADDRESS, add) for key in MUNICIPALITY_KEYS[:3]]
    assert send(ledger, *votes) == [True, True, True]
    until_s = ledger.head.timestamp_s + 1_000
    attest = encode_call(
        "attest_residents(address[],uint256)", [RESIDENT_KEY.address, OUTSIDER_KEY.address], until_s
    )
    needed = encode_call("needed()")
    assert send(
        ledger,
        ledger.call(SERVICE_KEYS[0], PERMISSIONS_ADDRESS, attest),
        ledger.call(key_of("passer-by"), MUNICIPALITIES_ADDRESS, needed, gas_limit=100_000),
    ) == [True, True]


def record(ledger: Ledger, recorder: Address) -> None:
    height = ledger.head.height + 1
    calls = [
        encode_call("keep_hash(uint256)", height - 1),
        encode_call("keep_hash(uint256)", 0),
        encode_call("keep_digests(bytes)", b"daicho" * 100),
        encode_call("fill()"),
        encode_call("spawn(bytes32)", b"\x07" * 32),
        encode_call("fail_after_writing()"),
        encode_call("clear()"),
        encode_call("spawn(bytes32)", b"\x07" * 32),
    ]
    outcomes = send(
        ledger,
        *(
            ledger.call(RESIDENT_KEY, recorder, data, gas_limit=2_000_000, nonce_ahead=at)
            for at, data in enumerate(calls)
        ),
        ledger.call(OUTSIDER_KEY, recorder, encode_call("burn_all_gas()"), gas_limit=200_000),
    )
    assert outcomes == [True, True, True, True, True, False, True, False, False]


def use_every_type(ledger: Ledger, recorder: Address) -> None:
    to = to_checksum_address(recorder)
    warm = [{"address": to, "storageKeys": ["0x" + "00" * 32, "0x" + "00" * 31 + "01"]}]
    nonce = ledger.nonce_of(GOVERNOR_KEY.address)
    data = encode_call("pass_on(address)", b"\x99" * 20)
    fees = {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
    forms: list[dict[str, Any]] = [
        {"gasPrice": 0},
        {"gasPrice": 0, "accessList": warm},
        {**fees, "accessList": warm},
    ]
    assert send(
        ledger,
        *(
            sign_with_eth_account(
                GOVERNOR_KEY, nonce=nonce + at, to=to, data=data, value=1_001, **form
            )
            for at, form in enumerate(forms)
        ),
        sign_with_eth_account(
            GOVERNOR_KEY, nonce=nonce + 3, to=to_checksum_address(b"\xaa" * 20), value=5, gasPrice=0
        ),
    ) == [True, True, True, True]


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return make_chain()


def replay(ledger: Ledger, stream: bytes, folder: Path) -> dict[str, Any]:
    (folder / "genesis.json").write_bytes(ledger.genesis_file)
    (folder / "chain.rlp").write_bytes(stream)
    report = run_peer("replay.mjs", str(folder / "genesis.json"), str(folder / "chain.rlp"))
    assert isinstance(report, dict)
    return report


def write_blocks(ledger: Ledger, path: Path) -> None:
    export_chain(
        ledger.chain,
        path,
        start=Height(0),
        stop=ledger.head.height,
        progress=lambda height: None,
    )


def write_bundle(ledger: Ledger, path: Path) -> None:
    plan = BundlePlan(
        profile=ledger.genesis.profile,
        start=Height(1),
        stop=ledger.head.height,
        snapshot_interval=3,
        key=VALIDATOR_KEYS[0],
    )
    export_bundle(ledger.chain, path, plan, lambda _height: None)


@pytest.mark.parametrize("write", [write_blocks, write_bundle])
def test_ethereumjs_finds_every_root_receipt_hash_and_seal(
    ledger: Ledger, tmp_path: Path, write: Callable[[Ledger, Path], None]
) -> None:
    exported = tmp_path / "exported"
    write(ledger, exported)

    report = replay(ledger, exported.read_bytes(), tmp_path)

    assert report["failure"] is None
    assert report["passed"]
    assert report["genesis_hash"] == "0x" + ledger.genesis.header.hash.hex()
    blocks = list(ledger.chain.iterate_blocks(ledger.chain.base, ledger.head.height))[1:]
    assert len(report["blocks"]) == len(blocks) >= 8
    for block, found in zip(blocks, report["blocks"], strict=True):
        receipts = ledger.chain.load_receipts(block.height)
        assert found == {
            "height": block.height,
            "hash": "0x" + block.hash.hex(),
            "state_root": "0x" + block.header.state_root.hex(),
            "receipts_root": "0x" + block.header.receipts_root.hex(),
            "gas_used": block.header.gas_used,
            "receipts": ["0x" + receipt.encode().hex() for receipt in receipts],
            "validatorCount": 4,
            "sealCount": 4,
        }


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param("state_root", id="state root"),
        pytest.param("receipts_root", id="receipts root"),
        pytest.param("transactions_root", id="transactions root"),
        pytest.param("parent_hash", id="parent hash"),
    ],
)
def test_and_catches_a_chain_that_claims_otherwise(
    ledger: Ledger, tmp_path: Path, lie: str
) -> None:
    blocks = list(ledger.chain.iterate_blocks(ledger.chain.base, ledger.head.height))[1:]
    wrong = blocks[2]
    header = replace(wrong.header, **{lie: b"\x11" * 32})  # type: ignore[arg-type]
    blocks[2] = seal(Block(header=header, transactions=wrong.transactions))

    report = replay(ledger, b"".join(block.encode() for block in blocks), tmp_path)

    assert not report["passed"]
    assert report["failure"]["height"] == 3
    assert json.dumps(report["failure"]["reason"])


def test_the_same_seals_in_another_round_do_not_change_the_chain(
    ledger: Ledger, tmp_path: Path
) -> None:
    """QBFT-HASH: two honest nodes may store different bytes of one block."""
    blocks = list(ledger.chain.iterate_blocks(ledger.chain.base, ledger.head.height))[1:]
    other = [seal(blocks[0].with_round(Round(3))), *blocks[1:]]
    assert other[0].encode() != blocks[0].encode()

    report = replay(ledger, b"".join(block.encode() for block in other), tmp_path)

    assert report["passed"]
    assert [one["hash"] for one in report["blocks"]] == ["0x" + one.hash.hex() for one in blocks]
