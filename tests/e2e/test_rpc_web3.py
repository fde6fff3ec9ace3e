"""RPC-METHODS, RPC-FEES, RPC-CALL, RPC-REVERT, RPC-LOGS, RPC-PROOF, RPC-SUBSCRIBE: web3.py.

The library is used unchanged over HTTP and WebSocket against a real port on a small real chain.
The only thing it needs is its own middleware for the long extra data of proof-of-authority chains.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from eth_account import Account
from trie import HexaryTrie
from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import ContractLogicError, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware

from node.primitives.crypto import keccak256
from tests.support.ledger import CHAIN_ID, GOVERNOR_KEY, OUTSIDER_KEY
from tests.support.rpc import RpcChain, ServerThread, book, serving

GOVERNOR = Account.from_key(GOVERNOR_KEY.export_secret())
OUTSIDER = Account.from_key(OUTSIDER_KEY.export_secret())


@pytest.fixture(scope="module")
def chain() -> RpcChain:
    return RpcChain()


@pytest.fixture(scope="module")
def served(chain: RpcChain) -> Iterator[ServerThread]:
    with serving(chain) as thread:
        yield thread


@pytest.fixture(scope="module")
def web3(served: ServerThread) -> Web3:
    connected = Web3(Web3.HTTPProvider(f"http://127.0.0.1:{served.port}"))
    connected.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    return connected


@pytest.fixture(scope="module")
def contract(web3: Web3) -> Any:
    factory = web3.eth.contract(abi=book()["abi"], bytecode=book()["bytecode"])
    receipt = send(web3, factory.constructor())
    return web3.eth.contract(address=receipt["contractAddress"], abi=book()["abi"])


def send(web3: Web3, call: Any, account: Any = GOVERNOR) -> Any:
    """Fill in, sign, send, and wait for the receipt, as an application does."""
    sent = call.build_transaction(
        {
            "from": account.address,
            "nonce": web3.eth.get_transaction_count(account.address, "pending"),
            "chainId": web3.eth.chain_id,
        }
    )
    signed = account.sign_transaction(sent)
    transaction_hash = web3.eth.send_raw_transaction(signed.raw_transaction)
    return web3.eth.wait_for_transaction_receipt(transaction_hash, timeout=10)


def test_it_learns_that_there_are_no_fees(web3: Web3) -> None:
    assert web3.eth.chain_id == CHAIN_ID
    assert web3.eth.gas_price == 0
    assert web3.eth.max_priority_fee == 0
    assert web3.eth.get_block("latest")["baseFeePerGas"] == 0
    assert web3.eth.fee_history(1, "latest", [50])["reward"] == [[0]]


def test_it_sends_calls_and_finds_logs(web3: Web3, contract: Any) -> None:
    receipt = send(web3, contract.functions.note(b"first page"))

    (event,) = contract.events.Noted().process_receipt(receipt)
    found = contract.events.Noted().get_logs(
        from_block=0, argument_filters={"author": GOVERNOR.address}
    )
    assert receipt["status"] == 1
    assert event["args"]["text"] == b"first page"
    assert contract.functions.texts(event["args"]["page"]).call() == b"first page"
    assert event["transactionHash"] in [each["transactionHash"] for each in found]


def test_a_revert_carries_its_reason(contract: Any) -> None:
    with pytest.raises(ContractLogicError, match="book: nothing to note"):
        contract.functions.note(b"").call({"from": GOVERNOR.address})


def test_a_refusal_carries_our_code(web3: Web3, contract: Any) -> None:
    call = contract.functions.note(b"who?").build_transaction(
        {"from": OUTSIDER.address, "nonce": 0, "chainId": CHAIN_ID, "gas": 200_000}
    )
    signed = OUTSIDER.sign_transaction(call)

    with pytest.raises(Web3RPCError) as refused:
        web3.eth.send_raw_transaction(signed.raw_transaction)

    assert refused.value.rpc_response is not None
    assert refused.value.rpc_response["error"]["data"]["code"] == "pool.not_permitted"


def test_old_states_are_served(web3: Web3, contract: Any) -> None:
    before = web3.eth.block_number
    pages = contract.functions.pages().call()
    send(web3, contract.functions.note(b"another"))

    assert contract.functions.pages().call(block_identifier=before) == pages
    assert contract.functions.pages().call() == pages + 1


def test_a_proof_verifies_with_py_trie(web3: Web3, contract: Any) -> None:
    slot = book()["layout"]["storage_layout"]["pages"]["slot"]
    proof = web3.eth.get_proof(contract.address, [slot, 5], "latest")
    root = web3.eth.get_block("latest")["stateRoot"]

    leaf = rlp.decode(
        HexaryTrie.get_from_proof(
            root,
            keccak256(bytes.fromhex(contract.address[2:])),
            [rlp.decode(node) for node in proof["accountProof"]],
        )
    )
    stored = HexaryTrie.get_from_proof(
        leaf[2],
        keccak256(slot.to_bytes(32, "big")),
        [rlp.decode(node) for node in proof["storageProof"][0]["proof"]],
    )

    assert leaf[2] == proof["storageHash"]
    assert int.from_bytes(rlp.decode(stored), "big") == contract.functions.pages().call()


def test_filters_give_what_is_new(web3: Web3, contract: Any) -> None:
    logs = contract.events.Noted.create_filter(from_block="latest")
    blocks = web3.eth.filter("latest")
    pending = web3.eth.filter("pending")
    receipt = send(web3, contract.functions.note(b"filtered"))

    assert [each["args"]["text"] for each in logs.get_new_entries()] == [b"filtered"]
    assert blocks.get_new_entries() == [receipt["blockHash"]]
    assert pending.get_new_entries() == [receipt["transactionHash"]]
    assert logs.get_new_entries() == []
    assert web3.eth.uninstall_filter(logs.filter_id)


async def test_subscriptions_give_heads_logs_and_waiting_transactions(
    served: ServerThread, web3: Web3, contract: Any
) -> None:
    provider = WebSocketProvider(f"ws://127.0.0.1:{served.port}")
    async with AsyncWeb3(provider) as subscriber:
        subscriber.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        names = {
            await subscriber.eth.subscribe("newHeads"): "head",
            await subscriber.eth.subscribe("logs", {"address": contract.address}): "log",
            await subscriber.eth.subscribe("newPendingTransactions"): "pending",
        }
        receipt = await asyncio.to_thread(send, web3, contract.functions.note(b"live"))

        heard: dict[str, Any] = {}
        async for message in subscriber.socket.process_subscriptions():
            heard[names[message["subscription"]]] = message["result"]
            if len(heard) == len(names):
                break

    assert heard["head"]["hash"] == receipt["blockHash"]
    assert heard["log"]["transactionHash"] == receipt["transactionHash"]
    assert heard["pending"] == receipt["transactionHash"]


def test_traces_show_the_call(web3: Web3, contract: Any) -> None:
    receipt = send(web3, contract.functions.note(b"traced"))
    transaction_hash = receipt["transactionHash"].to_0x_hex()

    steps = web3.manager.request_blocking("debug_traceTransaction", [transaction_hash])
    frame = web3.manager.request_blocking(
        "debug_traceTransaction", [transaction_hash, {"tracer": "callTracer"}]
    )

    assert steps["gas"] == receipt["gasUsed"]
    assert {"SSTORE", "LOG3", "RETURN"} <= {step["op"] for step in steps["structLogs"]}
    assert frame["to"] == contract.address.lower()
    assert int(frame["gasUsed"], 16) == receipt["gasUsed"]


def test_a_receipt_is_proved_to_whoever_has_the_header(web3: Web3, contract: Any) -> None:
    receipt = send(web3, contract.functions.note(b"proved"))

    proof = web3.manager.request_blocking(
        "daicho_getReceiptProof", [receipt["transactionHash"].to_0x_hex()]
    )

    header = rlp.decode(bytes.fromhex(proof["header"][2:]))
    nodes = [rlp.decode(bytes.fromhex(node[2:])) for node in proof["receiptProof"]]
    key = rlp.encode(int(proof["transactionIndex"], 16))
    assert HexaryTrie.get_from_proof(header[5], key, nodes) == bytes.fromhex(proof["receipt"][2:])
