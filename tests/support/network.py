"""A local network of real processes for the end-to-end tests: started, disturbed and compared.

It is `daicho network` itself with a period of one second, plus questions that tests ask.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from node.cli.client import CallFailed, NodeUnreachable, RpcClient, fetch_json
from node.primitives.crypto import PrivateKey
from node.primitives.transaction import Transaction, sign_transaction
from node.runtime.localnet import CHAIN_ID, LocalNetwork, LocalNode, LocalPlan

PLAN: Final = LocalPlan(
    block_period_s=1, heartbeat_s=2, request_timeout_s=2, request_timeout_cap_s=6
)
"""As quick as whole seconds allow."""

PATIENCE_S: Final = 45.0
"""Longest wait for anything that must happen; two slow cores included."""

EMPTY_CONTRACT: Final = bytes.fromhex("600160005360016000f3")
"""Init code of the shortest contract."""


class TrialNetwork:
    """The four nodes of one test."""

    def __init__(self, root: Path, plan: LocalPlan = PLAN) -> None:
        self.local = LocalNetwork.create(root, plan)
        self.nodes = self.local.nodes

    def start_with(self, node: LocalNode, prelude: str) -> None:
        """Start one node after running ``prelude`` in its interpreter: a bent node."""
        self.local.start(node, prelude)

    def start(self, *nodes: LocalNode) -> None:
        """Start the nodes given, or all, and wait until each answers."""
        chosen = nodes or self.nodes
        for node in chosen:
            self.local.start(node)
        for node in chosen:
            wait_until(partial(self.is_answering, node), f"{node.name} to answer")

    def wait_for_mesh(self) -> None:
        """Wait until every node is connected to every other."""
        all_but_one = hex(len(self.nodes) - 1)
        for node in self.nodes:
            wait_until(
                lambda at=node: self.call(at, "net_peerCount") == all_but_one,  # type: ignore[misc]
                f"{node.name} to be connected to all",
            )

    def kill(self, *nodes: LocalNode) -> None:
        """Kill -9, all at once."""
        for node in nodes:
            self.local.send_signal(node, signal.SIGKILL)
        for node in nodes:
            self.local.stop(node, signal.SIGKILL)

    def height(self, node: LocalNode) -> int | None:
        """Return a node's head, or None when it does not answer."""
        try:
            return int(self.call(node, "eth_blockNumber"), 16)
        except NodeUnreachable:
            return None

    def is_answering(self, node: LocalNode) -> bool:
        """Tell whether a node answers."""
        return self.height(node) is not None

    def heights(self, *nodes: LocalNode) -> list[int]:
        """Return the heads of the nodes given, or all; -1 for one that does not answer."""
        found = [self.height(node) for node in nodes or self.nodes]
        return [-1 if height is None else height for height in found]

    def call(self, node: LocalNode, method: str, *params: object) -> Any:
        """Call the public port of a node."""
        return RpcClient(node.rpc_url, timeout_s=10).call(method, *params)

    def admin(self, node: LocalNode, method: str, *params: object) -> Any:
        """Call the operator's port of a node."""
        url = f"http://127.0.0.1:{node.admin_port}"
        return RpcClient(url, timeout_s=10).call(method, *params)

    def health(self, node: LocalNode, path: str) -> tuple[int, Any]:
        """Ask `/liveness` or `/readiness`."""
        return fetch_json(f"http://127.0.0.1:{node.metrics_port}/{path}")

    def wait_for_height(self, height: int, *nodes: LocalNode) -> None:
        """Wait until the nodes given, or all, have a block at ``height``."""
        chosen = nodes or self.nodes
        wait_until(
            lambda: min(self.heights(*chosen)) >= height,
            f"height {height} at {', '.join(node.name for node in chosen)}",
            lambda: f"heights {self.heights(*chosen)}",
        )

    def wait_for_progress(self, *nodes: LocalNode, blocks: int = 2) -> int:
        """Wait until the nodes given, or all, make ``blocks`` more; return the height."""
        height = max(self.heights(*nodes)) + blocks
        self.wait_for_height(height, *nodes)
        return height

    def hashes(self, node: LocalNode, stop: int) -> list[str]:
        """Return the block hashes of a node from genesis to ``stop``."""
        return [
            self.call(node, "eth_getBlockByNumber", hex(at), False)["hash"]
            for at in range(stop + 1)
        ]

    def assert_same_chain(self, *nodes: LocalNode) -> None:
        """Check that the nodes agree on every block up to the lowest head."""
        chosen = nodes or self.nodes
        stop = min(self.heights(*chosen))
        chains = [self.hashes(node, stop) for node in chosen]
        assert all(chain == chains[0] for chain in chains)

    def log_of(self, node: LocalNode) -> str:
        """Return everything a node has logged."""
        return node.log_path.read_text(encoding="utf-8", errors="replace")

    def governor(self, node: LocalNode) -> PrivateKey:
        """Return the key of a municipality's governor."""
        return self.local.governor_key(node)

    def close(self) -> None:
        """Stop whatever still runs."""
        for node in self.nodes:
            if self.local.process_id(node) is not None:
                self.local.stop(node, signal.SIGKILL)


@contextmanager
def running(root: Path, plan: LocalPlan = PLAN) -> Iterator[TrialNetwork]:
    """Run four nodes for the length of a ``with`` block; show their logs' ends when it fails."""
    network = TrialNetwork(root, plan)
    try:
        network.start()
        yield network
    except BaseException:
        for node in network.nodes:
            if node.log_path.exists():
                print(f"--- {node.name}\n" + "\n".join(network.log_of(node).splitlines()[-15:]))
        raise
    finally:
        network.close()


def wait_until(
    condition: Callable[[], bool],
    what: str,
    describe: Callable[[], str] = lambda: "",
    timeout_s: float = PATIENCE_S,
) -> None:
    """Wait until ``condition`` holds, or fail naming what did not happen."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s for {what}; {describe()}"
        time.sleep(0.1)


class Load:
    """A steady stream of transactions from one governor, sent again until they are final."""

    def __init__(self, network: TrialNetwork, sender: LocalNode, per_second: int = 10) -> None:
        self.sent: dict[str, str] = {}
        self._network = network
        self._key = network.governor(sender)
        self._pause_s = 1 / per_second
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def wait_until_final(self, node: LocalNode) -> None:
        """Wait until every transaction sent has a receipt at ``node``.

        What a killed node had taken and not yet passed on is sent again, as a client must.
        """
        for name, raw in self.sent.items():
            wait_until(partial(self._is_final, node, name, raw), f"{name} to be final")

    def _is_final(self, node: LocalNode, name: str, raw: str) -> bool:
        if self._network.call(node, "eth_getTransactionReceipt", name) is not None:
            return True
        self._submit(node, raw)
        return False

    def _run(self) -> None:
        account = f"0x{self._key.address.hex()}"
        nonce: int | None = None
        while not self._stopped.wait(self._pause_s):
            if nonce is None:
                nonce = self._next_nonce(account)
                continue
            transaction = transaction_of(self._key, nonce)
            raw = f"0x{transaction.raw.hex()}"
            if any(self._submit(node, raw) for node in self._network.nodes):
                self.sent[f"0x{transaction.hash.hex()}"] = raw
                nonce += 1

    def _next_nonce(self, account: str) -> int | None:
        for node in self._network.nodes:
            try:
                text = self._network.call(node, "eth_getTransactionCount", account, "pending")
            except NodeUnreachable:
                continue
            return int(text, 16)
        return None

    def _submit(self, node: LocalNode, raw: str) -> bool:
        try:
            self._network.call(node, "eth_sendRawTransaction", raw)
        except (NodeUnreachable, CallFailed):
            return False
        return True


def transaction_of(key: PrivateKey, nonce: int, data: bytes = EMPTY_CONTRACT) -> Transaction:
    """Return a governor's transaction that creates a small contract."""
    return sign_transaction(
        key, chain_id=CHAIN_ID, nonce=nonce, gas_limit=100_000, to=None, data=data
    )


def others(network: TrialNetwork, *left_out: LocalNode) -> Sequence[LocalNode]:
    """Return the nodes but those left out."""
    return [node for node in network.nodes if node not in left_out]
