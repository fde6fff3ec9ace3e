"""AUDIT-WATCH, AUDIT-ALARM: a watch of real nodes is quiet while all are honest, and loud when not.

Four real nodes of one network. Before the last stands a liar, as its operator could put one: it
passes every question on and answers some otherwise. Its forged block is sealed by three of the real
validators' keys, its evidence signed by one.
"""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import decode_header
from node.runtime.keystore import load_keystore
from node.runtime.localnet import CHAIN_ID, LocalNode
from node.settings import read_secret
from tests.support.network import TrialNetwork, running
from tests.support.tampering import evidence_against

FORGED_HEIGHT = 2
pytestmark = pytest.mark.slow

Answer = Callable[[str, list[Any], Any], Any]
"""Given a method, its parameters and the honest result, what to answer."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialNetwork]:
    with running(tmp_path_factory.mktemp("watched")) as made:
        made.wait_for_mesh()
        made.wait_for_height(FORGED_HEIGHT + 1)
        yield made


@contextmanager
def standing_before(node: LocalNode, answer: Answer) -> Iterator[str]:
    """Serve a node's answers as ``answer`` has them; yield the address."""

    class Liar(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = urllib.request.Request(node.rpc_url, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(asked, timeout=30) as response:
                honest = json.loads(response.read())
            questions, answers = json.loads(body), honest
            pairs = (
                zip(questions, answers, strict=True)
                if isinstance(questions, list)
                else [(questions, answers)]
            )
            for question, each in pairs:
                if "result" in each:
                    each["result"] = answer(question["method"], question["params"], each["result"])
            data = json.dumps(honest).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


def describe(network: TrialNetwork, path: Path, last_url: str) -> Path:
    """Write the network's description, the last node under another address."""
    genesis = network.call(network.nodes[0], "eth_getBlockByNumber", "0x0", False)["hash"]
    lines = [f"chain_id = {CHAIN_ID}", f'genesis_hash = "{genesis}"']
    for node in network.nodes:
        url = last_url if node is network.nodes[-1] else node.rpc_url
        lines += [
            "[[municipalities]]",
            f'name = "{node.name}"',
            f'governors = ["0x{network.governor(node).address.hex()}"]',
            f'node = "{url}"',
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def watch(network: TrialNetwork, folder: Path, last_url: str) -> tuple[int, list[dict[str, Any]]]:
    """Run `daicho audit watch` for two rounds; return its exit code and its alarms."""
    description = describe(network, folder / "network.toml", last_url)
    words = ["--json", "audit", "watch", "--network", str(description)]
    words += ["--genesis", str(network.local.root / "genesis.json")]
    words += ["--folder", str(folder / "watch"), "--execute", "--rounds", "2", "--interval", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "node", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    alarms = folder / "watch" / "alarms.jsonl"
    lines = alarms.read_text().splitlines() if alarms.exists() else []
    assert json.loads(done.stdout)["alarms"] == len(lines), done.stderr
    return done.returncode, [json.loads(line) for line in lines]


def validator_key(node: LocalNode) -> PrivateKey:
    """Open a validator's key."""
    return load_keystore(
        node.path / "node.development-only.key.json", read_secret(node.path / "password")
    )


def test_a_watch_of_honest_nodes_is_quiet(network: TrialNetwork, tmp_path: Path) -> None:
    last = network.nodes[-1]
    with standing_before(last, lambda _method, _params, honest: honest) as url:
        assert watch(network, tmp_path, url) == (0, [])


def forge(raw: str, *keys: PrivateKey) -> str:
    """Return a header with another state, sealed by these keys."""
    header = decode_header(bytes.fromhex(raw[2:]))
    other = replace(header, state_root=keccak256(b"another state"))
    seals = tuple(key.sign(other.seal_hash) for key in keys)
    sealed = replace(other, extra_data=replace(other.extra_data, seals=seals))
    return "0x" + sealed.encode().hex()


@pytest.mark.parametrize(("seal_count", "kind"), [(3, "fork"), (2, "refused")])
def test_a_forged_block_of_one_node_is_an_alarm(
    seal_count: int, kind: str, network: TrialNetwork, tmp_path: Path
) -> None:
    """Sealed by a quorum it is a fork, which names who sealed both; else it is refused."""
    keys = [validator_key(node) for node in network.nodes[:seal_count]]

    def lie(method: str, params: list[Any], honest: Any) -> Any:
        is_forged = method == "debug_getRawHeader" and params == [hex(FORGED_HEIGHT)]
        return forge(honest, *keys) if is_forged else honest

    with standing_before(network.nodes[-1], lie) as url:
        code, alarms = watch(network, tmp_path, url)

    found = [each for each in alarms if each["kind"] == kind and each["height"] == FORGED_HEIGHT]
    assert code == 1
    assert {each["node"] for each in alarms} == {network.nodes[-1].name}
    assert len(found) == 1
    assert (tmp_path / "watch" / "proofs" / f"{found[0]['proof']}.json").is_file()
    if kind == "fork":
        both = [key.address.hex() for key in keys if key.address.hex() in found[0]["detail"]]
        assert len(both) >= 2


def test_a_validator_that_contradicted_itself_is_an_alarm(
    network: TrialNetwork, tmp_path: Path
) -> None:
    evidence = evidence_against(validator_key(network.nodes[1]), height=FORGED_HEIGHT)

    def tell(method: str, _params: list[Any], honest: Any) -> Any:
        return [{"evidence": "0x" + evidence.hex()}] if method == "daicho_getEvidence" else honest

    with standing_before(network.nodes[-1], tell) as url:
        code, alarms = watch(network, tmp_path, url)

    assert code == 1
    assert [each["kind"] for each in alarms] == ["equivocation"]
    assert network.nodes[1].address.removeprefix("0x") in alarms[0]["detail"]
