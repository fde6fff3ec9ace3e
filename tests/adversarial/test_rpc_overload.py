"""RPC-OVERLOAD, RPC-BATCH, RPC-RATE, RPC-BOUNDS, RPC-LOGS, RPC-TRACE: one client asks too much.

A greedy client sends huge batches, worst-case calls and traces, searches without a filter, and as
many requests as it can. An honest client's small request must be answered meanwhile.
"""

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from web3 import Web3

from node.execution.evm import compute_contract_address
from node.rpc.limits import RpcLimits
from tests.support.assembler import assemble
from tests.support.ledger import GOVERNOR_KEY
from tests.support.rpc import RpcChain, book, serving

LIMITS = RpcLimits(method_timeout_s=1.0, lane_share_max=4, lane_queue_max=6)
BOOK = Web3().eth.contract(abi=book()["abi"])
HONEST_S = 1.0
"""Longest an honest client waits; far below the greedy one's calls."""


def ask(port: int, body: object) -> Any:
    """POST a body and return the answer."""
    sent = urllib.request.Request(
        f"http://127.0.0.1:{port}/",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(sent, timeout=30) as response:
        return json.loads(response.read())


def request(method: str, *params: object, at: int = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": at, "method": method, "params": list(params)}


@pytest.fixture(scope="module")
def chain() -> RpcChain:
    made = RpcChain()
    creation = bytes.fromhex(book()["bytecode"][2:])
    deployment = made.ledger.call(GOVERNOR_KEY, None, creation, gas_limit=2_000_000)
    made.submit(deployment.raw, "test")
    return made


def spin(chain: RpcChain, rounds: int) -> dict[str, object]:
    (deployment,) = chain.ledger.chain.load_transactions(chain.ledger.head.height)
    address = compute_contract_address(deployment.sender, deployment.nonce)
    return {"to": "0x" + address.hex(), "data": BOOK.encode_abi("spin", [rounds])}


def test_worst_case_calls_end_in_time_and_others_are_served_meanwhile(chain: RpcChain) -> None:
    worst = spin(chain, 1_000_000)
    with serving(chain, limits=LIMITS) as served, ThreadPoolExecutor(16) as crowd:
        greedy = [
            crowd.submit(ask, served.port, request(method, worst, "latest"))
            for method in ("eth_call", "eth_estimateGas", "debug_traceCall", "eth_createAccessList")
            for _ in range(3)
        ]
        waits = []
        for _ in range(10):
            began = time.monotonic()
            assert ask(served.port, request("eth_blockNumber"))["result"]
            assert ask(served.port, request("eth_getBlockByNumber", "latest", True))["result"]
            waits.append(time.monotonic() - began)
        answers = [each.result() for each in greedy]

    codes = {each["error"]["data"]["code"] for each in answers}
    assert max(waits) < HONEST_S
    assert codes <= {
        "rpc.timeout",
        "rpc.too_many_requests",
        "rpc.overloaded",
        "rpc.execution_failed",
        "call.failed",
        "call.too_long",
        "rpc.limit_exceeded",
    }
    assert {"rpc.timeout", "rpc.too_many_requests"} & codes


def test_a_batch_at_the_bound_is_answered_and_one_more_is_refused_whole(chain: RpcChain) -> None:
    limits = RpcLimits(batch_count_max=200)
    with serving(chain, limits=limits) as served:
        full = ask(served.port, [request("eth_chainId", at=at) for at in range(200)])
        over = ask(served.port, [request("eth_chainId", at=at) for at in range(201)])

    assert [each["id"] for each in full] == list(range(200))
    assert over["error"]["data"]["code"] == "rpc.limit_exceeded"


def test_a_batch_of_large_answers_is_cut_at_the_bound(chain: RpcChain) -> None:
    limits = RpcLimits(response_size_max_bytes=100_000)
    with serving(chain, limits=limits) as served:
        answers = ask(
            served.port, [request("debug_getRawBlock", "latest", at=at) for at in range(500)]
        )

    kept = [each for each in answers if "result" in each]
    assert 0 < len(kept) < len(answers) == 500
    assert sum(len(each["result"]) for each in kept) <= 100_000


def test_a_long_batch_does_not_keep_others_waiting(chain: RpcChain) -> None:
    with serving(chain) as served, ThreadPoolExecutor(1) as greedy:
        batch = [request("web3_sha3", "0x" + "00" * 200, at=at) for at in range(1_000)]
        running = [greedy.submit(ask, served.port, batch) for _ in range(3)]
        began = time.monotonic()
        assert ask(served.port, request("eth_chainId"))["result"]
        waited = time.monotonic() - began
        assert all(len(each.result()) == 1_000 for each in running)

    assert waited < HONEST_S


def test_a_client_beyond_its_rate_is_refused_until_time_passes(chain: RpcChain) -> None:
    limits = RpcLimits(rate_per_s=10, rate_burst=10)
    with serving(chain, limits=limits) as served:
        answers = ask(served.port, [request("eth_chainId", at=at) for at in range(30)])
        time.sleep(0.3)
        later = ask(served.port, request("eth_chainId"))

    refused = [each for each in answers if "error" in each]
    assert 15 <= len(refused) <= 20
    assert refused[0]["error"]["data"]["code"] == "rpc.too_many_requests"
    assert "result" in later


def test_a_search_over_everything_is_bounded(chain: RpcChain) -> None:
    with serving(chain, limits=RpcLimits(log_block_span_max=1)) as served:
        answer = ask(served.port, request("eth_getLogs", {"fromBlock": "0x0"}))

    assert answer["error"]["data"] == {"code": "rpc.limit_exceeded", "values": {"limit": 1}}


def test_a_trace_keeps_a_bounded_number_of_steps(chain: RpcChain) -> None:
    with serving(chain, limits=RpcLimits(trace_step_max=1_000)) as served:
        answer = ask(served.port, request("debug_traceCall", spin(chain, 1_000), "latest"))

    assert answer["error"]["data"]["code"] == "rpc.limit_exceeded"


@pytest.mark.parametrize(
    ("code", "options"),
    [
        pytest.param("1 1000000 MSTORE JUMPDEST 1 7 JUMP", {"enableMemory": True}, id="memory"),
        pytest.param(
            "1 1000000 MSTORE JUMPDEST 0 0 1000000 0 4 GAS STATICCALL POP 7 JUMP",
            {"tracer": "callTracer"},
            id="call data",
        ),
    ],
)
def test_a_trace_keeps_a_bounded_number_of_bytes(
    chain: RpcChain, code: str, options: dict[str, object]
) -> None:
    call = {"data": "0x" + assemble(code).hex(), "gas": hex(8_000_000)}
    with serving(chain, limits=RpcLimits(trace_size_max_bytes=2**22)) as served:
        answer = ask(served.port, request("debug_traceCall", call, "latest", options))

    assert answer["error"]["data"]["code"] == "call.too_long"
    assert "bytes" in answer["error"]["message"]
