"""RPC-RENDER, RPC-ERRORS, RPC-BLOCK, RPC-CALL, RPC-LOGS, RPC-PROOF, RPC-TRACE: execution-apis.

The published cases run against our RPC layer serving their chain. The rules of comparison are
those of ethereum/hive's rpc-compat: answers are compared as JSON values; of an error the message
does not count, and its data only where the case expects data; a case marked ``speconly`` is
compared in shape alone. What cannot apply to this ledger is listed with its reason.
"""

import asyncio
import json
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from node.rpc.backend import Backends
from node.rpc.limits import RpcLimits
from node.rpc.methods.tables import PUBLIC_METHODS
from node.rpc.server import new_id
from node.rpc.service import RpcService
from tests.support.fixture_chain import FixtureChain, load_fixture_chain
from tests.support.vectors import find_vectors, vectors_path

NOT_APPLICABLE = {
    "eth_simulateV1/*": "multi-block simulation with invented headers and moved precompiles",
    "testing_*/*": "an engine interface for test rigs; blocks here come from consensus",
    "eth_config/*": "describes forks and blob schedules; one protocol version is in force here",
    "eth_capabilities/*": "describes history expiry of other clients",
    "eth_blobBaseFee/*": "no blobs on this ledger (EXEC-TYPES)",
    "eth_sendRawTransaction/send-blob-tx*": "no blobs on this ledger (EXEC-TYPES)",
    "eth_sendRawTransaction/*setcode*": "no set-code transactions on this ledger (EXEC-TYPES)",
    "eth_estimateGas/estimate-with-eip7702": "no set-code transactions on this ledger (EXEC-TYPES)",
}
"""Cases, by pattern, that cannot apply; docs/spec/rpc.md lists the same."""


def cases() -> Iterator[Any]:
    """Yield every case there is, as a parameter."""
    root = find_vectors()
    if root is None:
        return
    for path in sorted((root / "execution-apis").glob("*/*.io")):
        name = f"{path.parent.name}/{path.stem}"
        reasons = [why for pattern, why in NOT_APPLICABLE.items() if fnmatch(name, pattern)]
        marks = [pytest.mark.skip(reason=f"cannot apply: {reasons[0]}")] if reasons else []
        yield pytest.param(path, id=name, marks=marks)


@pytest.fixture(scope="module")
def chain() -> FixtureChain:
    return load_fixture_chain(vectors_path() / "execution-apis")


@pytest.fixture(scope="module")
def service(chain: FixtureChain) -> Iterator[RpcService]:
    built = RpcService(
        backends=Backends(ledger=chain),
        table=PUBLIC_METHODS,
        limits=RpcLimits(call_gas_max=50_000_000),
        new_id=new_id,
        monotonic_s=lambda: 0.0,
    )
    yield built
    built.close()


@pytest.mark.parametrize("case", list(cases()))
def test_a_published_case_is_answered_as_published(
    case: Path, service: RpcService, chain: FixtureChain
) -> None:
    if case.parent.name.startswith("txpool"):
        _send_everything(chain, case.parents[1])
    text = case.read_text()

    for request, expected in _exchanges(text):
        answer = asyncio.run(service.answer_body(request, "test"))
        assert answer is not None
        if "speconly:" in text:
            _check_shape(json.loads(answer), json.loads(expected), "")
        else:
            assert _comparable(json.loads(answer), json.loads(expected)) == _comparable(
                json.loads(expected), json.loads(expected)
            )


def _exchanges(text: str) -> Iterator[tuple[str, str]]:
    request = ""
    for line in text.splitlines():
        if line.startswith(">> "):
            request = line[3:]
        elif line.startswith("<< "):
            yield request, line[3:]


def _comparable(answer: Any, expected: Any) -> Any:
    """Return an answer without what does not count."""
    if "error" not in answer:
        return answer
    error = {name: value for name, value in answer["error"].items() if name != "message"}
    if "data" not in expected.get("error", {}):
        error.pop("data", None)
    return {**answer, "error": error}


OPTIONAL = ("returnData", "memory", "storage", "error", "stack")
"""Fields of a trace step that not every step has."""


def _check_shape(answer: Any, expected: Any, where: str) -> None:
    """Compare types, names and forms, not values."""
    assert type(answer) is type(expected), f"{where}: {answer!r} for {expected!r}"
    if isinstance(expected, dict):
        if not _is_map({**expected, **answer}):
            missing = {name for name in set(expected) ^ set(answer) if name not in OPTIONAL}
            assert not missing, f"{where}: fields {sorted(missing)} differ"
            for name in set(expected) & set(answer):
                _check_shape(answer[name], expected[name], f"{where}.{name}")
        else:
            for model, (name, value) in zip(cycle(expected.values()), answer.items(), strict=False):
                _check_shape(value, model, f"{where}.{name}")
    elif isinstance(expected, list):
        if not where.endswith(".stack"):
            assert bool(answer) == bool(expected), f"{where}: {len(answer)} items"
        for item in answer if expected else ():
            _check_shape(item, expected[0], f"{where}[]")
    elif isinstance(expected, str) and expected.startswith("0x"):
        assert answer.startswith("0x"), f"{where}: {answer!r} is no hex"
        assert all(digit in "0123456789abcdefABCDEF" for digit in answer[2:])


def _is_map(value: dict[str, Any]) -> bool:
    """Tell whether the names are data (addresses, nonces, slots) rather than fields."""
    return bool(value) and all(name.startswith("0x") or name.isdigit() for name in value)


def _send_everything(chain: FixtureChain, root: Path) -> None:
    """Send what the sending cases send, so that the pool holds it."""
    with chain.open_pool() as pool:
        pool.clear(now_s=0)
    for path in sorted((root / "eth_sendRawTransaction").glob("*.io")):
        if any(fnmatch(f"{path.parent.name}/{path.stem}", each) for each in NOT_APPLICABLE):
            continue
        for request, _ in _exchanges(path.read_text()):
            chain.submit(bytes.fromhex(json.loads(request)["params"][0][2:]), source="test")


def test_the_published_cases_are_there_and_few_are_left_out() -> None:
    found = list(cases()) if vectors_path() else []
    left_out = [case for case in found if case.marks]

    assert len(found) - len(left_out) >= 80
