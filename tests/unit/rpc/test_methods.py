"""RPC-METHODS, RPC-BLOCK, RPC-BACKEND, RPC-RENDER, RPC-TRACE, RPC-LOGS, RPC-PROOF, RPC-FEES.

Methods on a small real chain: one block that deploys a contract, one that notes two pages in it.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from web3 import Web3

from node.primitives.trie import verify_account_proof
from node.primitives.types import ZERO_ADDRESS, Height
from node.rpc.backend import Backends, StateUnavailable
from node.rpc.errors import (
    ExecutionFailed,
    InvalidParams,
    LimitExceeded,
    NotFound,
    NotSupported,
    RpcError,
)
from node.rpc.filters import FilterRegistry
from node.rpc.limits import RpcLimits
from node.rpc.method import Context
from node.rpc.methods.tables import OPERATOR_METHODS, PUBLIC_METHODS, without_debug
from node.rpc.params import Params
from node.rpc.server import new_id
from node.storage.state_store import StateMode
from tests.support.assembler import assemble
from tests.support.ledger import GOVERNOR_KEY, OUTSIDER_KEY
from tests.support.rpc import QuietConsensus, RpcChain, book

LIMITS = RpcLimits(log_count_max=1, log_block_span_max=2, proof_slot_max=2, trace_step_max=5)
BOOK = Web3().eth.contract(abi=book()["abi"])


def note(text: bytes) -> bytes:
    return bytes.fromhex(BOOK.encode_abi("note", [text])[2:])


class Asker:
    """Asks methods as the operator's port would."""

    def __init__(self, limits: RpcLimits = RpcLimits()) -> None:  # noqa: B008
        """Make the chain."""
        self.chain = RpcChain()
        self.chain.is_mining = False
        creation = bytes.fromhex(book()["bytecode"][2:])
        self.deployment = self.chain.ledger.call(GOVERNOR_KEY, None, creation, gas_limit=2_000_000)
        self.send(self.deployment)
        self.address = self("eth_getTransactionReceipt", self.shown(self.deployment))[
            "contractAddress"
        ]
        self.notes = [
            self.chain.ledger.call(
                GOVERNOR_KEY, self.to, note(text), nonce_ahead=at, gas_limit=200_000
            )
            for at, text in enumerate((b"one", b"two"))
        ]
        self.send(*self.notes)
        self.limits = limits
        self.filters = FilterRegistry(limits, new_id)

    limits = RpcLimits()
    filters = FilterRegistry(RpcLimits(), new_id)

    @property
    def to(self) -> Any:
        """Return the contract's address."""
        return bytes.fromhex(self.address[2:])

    def shown(self, sent: Any) -> str:
        """Return a transaction's hash as RPC shows it."""
        return "0x" + str(sent.hash.hex())

    def send(self, *transactions: Any) -> None:
        """Submit and put into one block."""
        for sent in transactions:
            self.chain.submit(sent.raw, "test")
        self.chain.mine()

    def __call__(self, method: str, *params: Any) -> Any:
        """Ask."""
        context = Context(
            backends=Backends(
                ledger=self.chain.backend,
                consensus=QuietConsensus(self.chain),
                clock_s=lambda: self.chain.now_s,
            ),
            limits=self.limits,
            filters=self.filters,
            source="test",
        )
        return OPERATOR_METHODS[method].run(context, Params(list(params)))


@pytest.fixture(scope="module")
def ask() -> Asker:
    return Asker(LIMITS)


@pytest.mark.parametrize(
    "name",
    ["latest", "safe", "finalized", "pending", "0x2", {"blockNumber": "0x2"}],
    ids=str,
)
def test_every_name_of_the_head_means_the_head(ask: Asker, name: object) -> None:
    assert ask("eth_getBlockByNumber", name, False)["number"] == "0x2"


def test_blocks_are_named_by_hash_as_well(ask: Asker) -> None:
    first = ask("eth_getBlockByNumber", "0x1", False)

    assert ask("eth_getBlockByHash", first["hash"], False) == first
    assert ask("eth_getBlockReceipts", {"blockHash": first["hash"]})[0]["blockNumber"] == "0x1"
    assert ask("eth_getBlockByNumber", "earliest", False)["number"] == "0x0"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("newest", id="unknown tag"),
        pytest.param(2, id="a number"),
        pytest.param({}, id="empty object"),
        pytest.param({"blockNumber": "0x1", "blockHash": "0x" + "00" * 32}, id="both"),
        pytest.param("0x" + "0" * 63, id="short hash"),
    ],
)
def test_what_names_no_block_is_refused(ask: Asker, name: object) -> None:
    with pytest.raises(InvalidParams):
        ask("eth_getBalance", "0x" + "00" * 20, name)


def test_state_of_a_block_that_does_not_exist_is_not_found(ask: Asker) -> None:
    with pytest.raises(NotFound, match="header not found"):
        ask("eth_getBalance", "0x" + "00" * 20, "0x3")
    assert ask("eth_getBlockByNumber", "0x3", False) is None


def test_a_header_shows_our_profile(ask: Asker) -> None:
    block = ask("eth_getBlockByNumber", "latest", True)

    assert block["baseFeePerGas"] == "0x0"
    assert block["difficulty"] == "0x1"
    assert block["withdrawals"] == block["uncles"] == []
    assert [tx["hash"] for tx in block["transactions"]] == [ask.shown(tx) for tx in ask.notes]
    assert block["transactions"][0]["gasPrice"] == "0x0"


def test_a_block_is_there_only_once_it_is_the_head(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = ask.shown(ask.notes[0])
    head_hash = ask("eth_getBlockByNumber", "latest", False)["hash"]
    chain = ask.chain.ledger.chain

    # The batch is written, the head not yet moved: what another thread may see in between.
    monkeypatch.setattr(chain, "_head", chain.load_header(Height(1)))

    assert ask("eth_getTransactionReceipt", sent) is None
    assert ask("eth_getTransactionByHash", sent) is None
    assert ask("eth_getBlockByHash", head_hash, False) is None


def test_one_receipt_equals_the_same_in_its_block(ask: Asker) -> None:
    receipts = ask("eth_getBlockReceipts", "latest")

    assert [ask("eth_getTransactionReceipt", ask.shown(tx)) for tx in ask.notes] == receipts
    assert [log["logIndex"] for each in receipts for log in each["logs"]] == ["0x0", "0x1"]
    assert receipts[1]["cumulativeGasUsed"] == hex(
        sum(int(each["gasUsed"], 16) for each in receipts)
    )


def test_a_call_reads_any_state_and_estimates_suffice(ask: Asker) -> None:
    pages = {"to": ask.address, "data": BOOK.encode_abi("pages", [])}
    governor = "0x" + GOVERNOR_KEY.address.hex()
    write = {"from": governor, "to": ask.address, "data": "0x" + note(b"three").hex()}
    gas = ask("eth_estimateGas", write)

    assert int(ask("eth_call", pages), 16) == 2
    assert int(ask("eth_call", pages, "0x1"), 16) == 0
    assert int(ask("eth_call", {**write, "gas": gas}), 16) == 2
    with pytest.raises(ExecutionFailed):
        ask("eth_call", {**write, "gas": hex(int(gas, 16) - 1)})


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"authorizationList": []}, NotSupported, id="set code"),
        pytest.param({"blobVersionedHashes": []}, NotSupported, id="blobs"),
        pytest.param({"gasPrice": "0x0", "maxFeePerGas": "0x0"}, InvalidParams, id="two fees"),
        pytest.param({"data": "0x00", "input": "0x01"}, InvalidParams, id="two inputs"),
        pytest.param({"chainId": "0x1"}, InvalidParams, id="another chain"),
        pytest.param({"to": "0x00"}, InvalidParams, id="short address"),
        pytest.param(
            {"maxFeePerGas": "0x0", "maxPriorityFeePerGas": "0x1"}, InvalidParams, id="tip"
        ),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(
    ask: Asker, fields: dict[str, object], error: type[RpcError]
) -> None:
    with pytest.raises(error):
        ask("eth_call", {"to": ask.address, **fields})


def test_the_access_list_of_a_call_that_reverts_is_told_all_the_same(ask: Asker) -> None:
    code = assemble("5 SLOAD POP 0 0 REVERT")

    shown = ask("eth_createAccessList", {"data": "0x" + code.hex()})

    assert shown["error"] == "execution reverted"
    assert [entry["storageKeys"] for entry in shown["accessList"]] == [["0x" + "0" * 63 + "5"]]


def test_state_overrides_are_refused_rather_than_ignored(ask: Asker) -> None:
    with pytest.raises(NotSupported):
        ask("eth_call", {"to": ask.address}, "latest", {ask.address: {"code": "0x00"}})


def test_logs_are_found_by_address_topic_and_block(ask: Asker) -> None:
    first = ask("eth_getBlockReceipts", "latest")[0]["logs"][0]

    found = ask("eth_getLogs", {"fromBlock": "0x1", "topics": [None, None, first["topics"][2]]})

    assert found == [first]
    assert ask("eth_getLogs", {"address": "0x" + "11" * 20, "fromBlock": "0x1"}) == []


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        pytest.param({"fromBlock": "0x0"}, LimitExceeded, id="over the span"),
        pytest.param({}, LimitExceeded, id="over the count"),
        pytest.param({"fromBlock": "0x2", "toBlock": "0x1"}, InvalidParams, id="reversed"),
        pytest.param({"toBlock": "0x3"}, InvalidParams, id="beyond the head"),
        pytest.param({"blockHash": "0x" + "00" * 32}, NotFound, id="unknown block"),
        pytest.param({"topics": [None] * 5}, InvalidParams, id="five topics"),
        pytest.param({"address": ["0x" + "00" * 20] * 1_001}, LimitExceeded, id="addresses"),
    ],
)
def test_a_search_beyond_its_bounds_is_refused(
    ask: Asker, wanted: object, error: type[RpcError]
) -> None:
    with pytest.raises(error):
        ask("eth_getLogs", wanted)


def test_a_proof_holds_under_the_heads_state_root(ask: Asker) -> None:
    proof = ask("eth_getProof", ask.address, ["0x0"], "latest")
    root = bytes.fromhex(ask("eth_getBlockByNumber", "latest", False)["stateRoot"][2:])
    nodes = [bytes.fromhex(node[2:]) for node in proof["accountProof"]]

    leaf = verify_account_proof(root, ask.to, nodes)  # type: ignore[arg-type]

    assert leaf is not None
    assert "0x" + leaf.storage_root.hex() == proof["storageHash"]
    with pytest.raises(InvalidParams):
        ask("eth_getProof", ask.address, ["0x0", "0x1", "0x2"], "latest")


def test_a_trace_beyond_its_steps_says_so_and_the_call_tree_does_not_need_them(
    ask: Asker,
) -> None:
    sent = ask.shown(ask.notes[0])

    with pytest.raises(LimitExceeded):
        ask("debug_traceTransaction", sent)
    frame = ask("debug_traceTransaction", sent, {"tracer": "callTracer"})
    assert frame["type"] == "CALL"
    assert frame["to"] == ask.address


def test_other_tracers_and_scripts_are_refused(ask: Asker) -> None:
    with pytest.raises(NotSupported):
        ask("debug_traceTransaction", ask.shown(ask.notes[0]), {"tracer": "{step: function(){}}"})


def test_a_transfer_has_no_steps() -> None:
    ask = Asker()
    sent = ask.chain.ledger.call(GOVERNOR_KEY, OUTSIDER_KEY.address, gas_limit=21_000)
    ask.send(sent)

    assert ask("debug_traceTransaction", ask.shown(sent)) == {
        "gas": 21_000,
        "failed": False,
        "returnValue": "0x",
        "structLogs": [],
    }
    traced = ask("debug_traceBlockByNumber", "latest", {"tracer": "callTracer"})
    assert [each["txHash"] for each in traced] == [ask.shown(sent)]


def test_genesis_has_no_trace_and_unknown_transactions_neither(ask: Asker) -> None:
    with pytest.raises(RpcError, match="genesis is not traceable"):
        ask("debug_traceBlockByNumber", "0x0")
    with pytest.raises(NotFound):
        ask("debug_traceTransaction", "0x" + "00" * 32)


def test_raw_bytes_are_those_that_were_hashed(ask: Asker) -> None:
    head = ask.chain.ledger.chain.load_block(Height(2))

    assert ask("debug_getRawHeader", "latest") == "0x" + head.header.encode().hex()
    assert ask("debug_getRawBlock", "latest") == "0x" + head.encode().hex()
    assert ask("debug_getRawTransaction", ask.shown(ask.notes[0])) == "0x" + ask.notes[0].raw.hex()
    assert len(ask("debug_getRawReceipts", "latest")) == 2


def test_there_are_no_fees(ask: Asker) -> None:
    history = ask("eth_feeHistory", 2, "latest", [25, 75])

    assert history["baseFeePerGas"] == ["0x0"] * 3
    assert history["reward"] == [["0x0", "0x0"]] * 2
    assert history["oldestBlock"] == "0x1"


@pytest.mark.parametrize(
    "params",
    [
        pytest.param((1, "0x9"), id="beyond the head"),
        pytest.param((1, "latest", [75, 25]), id="descending percentiles"),
        pytest.param((1, "latest", [101]), id="over a hundred"),
        pytest.param((-1, "latest"), id="negative count"),
    ],
)
def test_a_fee_history_that_makes_no_sense_is_refused(ask: Asker, params: Sequence[object]) -> None:
    with pytest.raises(InvalidParams):
        ask("eth_feeHistory", *params)


def test_a_state_that_is_pruned_says_so() -> None:
    ask = Asker()
    pruning = ask.chain.ledger.chain
    assert pruning.mode is StateMode.ARCHIVE

    with pytest.raises(StateUnavailable):
        ask.chain.backend.load_account(Height(9), ZERO_ADDRESS)


def test_the_public_table_changes_nothing_of_the_node() -> None:
    only_operators = set(OPERATOR_METHODS) - set(PUBLIC_METHODS)

    assert not [name for name in PUBLIC_METHODS if name.startswith("admin_")]
    assert {"qbft_proposeValidatorVote", "qbft_discardValidatorVote"} < only_operators
    assert not [name for name in without_debug(PUBLIC_METHODS) if name.startswith("debug_trace")]
