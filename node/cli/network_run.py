"""`daicho network run`: the local network in the foreground, shown to work, until Ctrl-C.

What it shows it also checks: a transaction is sent over JSON-RPC, and its receipt is proven
against a header whose seals a quorum of the validators made; then a resident posts a notice to a
service and binds a card at the hub, and a light client finds both on the ledger.
"""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from node.cli.client import NodeUnreachable, RpcClient
from node.cli.network import (
    DIRECTORY_DEFAULT,
    HEARTBEAT_S,
    RPC_PORT_DEFAULT,
    describe,
    open_network,
    start_services,
    wait_for_block,
)
from node.cli.network_elections import PRELOADED, hold_election, lay_out_elections
from node.cli.network_services import RECEIPT_TIMEOUT_S, try_services, wait_for_receipt
from node.cli.output import Output
from node.consensus.seals import check_commit_seals
from node.primitives.errors import Misconfigured, Unavailable
from node.primitives.header import Header, decode_header
from node.primitives.receipt import decode_receipt
from node.primitives.transaction import sign_transaction
from node.primitives.trie import ordered_key, verify_proof
from node.runtime.localnet import CHAIN_ID, LocalNetwork, LocalNode, LocalPlan
from node.runtime.localprocess import LocalProcess, stop_all
from node.runtime.localservices import find_companions, find_services
from node.runtime.nursery import nursery

TRIALS: Final = {
    "notice": "a resident's notice, on the ledger and proven",
    "identity": "a resident's card, bound, and the status on the ledger, proven",
}
"""What each trial of the services shows."""

PRELOADED_TRIALS: Final = (
    "services.example.service",
    "services.hub.service",
    "services.sim.pki.service",
    "services.local_identity",
    "services.local_trial",
    "services.election_localnet",
    "services.election_trial",
)
"""What the other services and the trials import."""

VOTERS_DEFAULT: Final = 6

DEMONSTRATION_CODE: Final = bytes.fromhex("600a600c600039600a6000f3602a60005260206000f3")
"""Init code of a contract of ten bytes that answers every call with 42."""


@click.command("run")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DIRECTORY_DEFAULT,
    show_default=True,
    help="Where the network lives.",
)
@click.option("--period", type=click.IntRange(1, 60), default=2, help="Seconds between blocks.")
@click.option(
    "--rpc-port",
    type=click.IntRange(0, 65_000),
    default=RPC_PORT_DEFAULT,
    show_default=True,
    help="First JSON-RPC port; taken ports are replaced by free ones.",
)
@click.option(
    "--voters",
    type=click.IntRange(0, 200),
    default=VOTERS_DEFAULT,
    show_default=True,
    help="Hold a mock election with so many voters; 0 holds none.",
)
@click.option("--exit", "is_check", is_flag=True, help="End after the check.")
@click.pass_obj
def command(
    output: Output, directory: Path, period: int, rpc_port: int, voters: int, is_check: bool
) -> None:
    """Start the network, send a transaction, prove it, and stay until Ctrl-C."""
    if voters == 1:
        raise Misconfigured("--voters: 0, or 2 at least: one votes on paper in the end")
    plan = LocalPlan(block_period_s=period, heartbeat_s=max(HEARTBEAT_S, period), rpc_port=rpc_port)
    network = open_network(directory, plan)
    with _interruptible() as stopped, nursery((*PRELOADED, *PRELOADED_TRIALS)):
        try:
            for node in network.nodes:
                network.start(node)
            wait_for_block(output, network, above=-1)
            output.result(_demonstrate(network), title="a transaction, final and proven")
            output.rows([describe(network, node) for node in network.nodes])
            _show_endpoints(output, network)
            services = start_services(output, network)
            if services:
                for name, shown in try_services(network).items():
                    output.result(shown, title=TRIALS[name])
            if services and voters:
                services = _hold_election(output, network, voters)
            if not is_check:
                _watch(output, network, services, stopped)
        finally:
            output.say("stopping")
            stop_all((*find_services(network.root), *find_companions(network.root)))
            network.stop_all()
    output.say("stopped")


def _hold_election(output: Output, network: LocalNetwork, voters: int) -> tuple[LocalProcess, ...]:
    """Start every municipality's election service and hold a mock election."""
    output.say(f"a mock election of four municipalities with {voters} voters; takes a few minutes")
    lay_out_elections(output, network)
    services = start_services(output, network)
    shown = hold_election(network, voters=voters)
    output.result(shown, title="a mock election: counted, and verified from its published record")
    return services


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event, so that everything is always stopped."""
    stopped = threading.Event()
    previous: dict[signal.Signals, Any] = {}

    def stop(number: int, frame: object) -> None:
        del frame
        stopped.set()
        signal.signal(number, previous[signal.Signals(number)])
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _demonstrate(network: LocalNetwork) -> dict[str, object]:
    """Send a transaction at the first node and prove at the last that it is final."""
    first, last = network.nodes[0], network.nodes[-1]
    key = network.governor_key(first)
    client = RpcClient(first.rpc_url)
    nonce = int(client.call("eth_getTransactionCount", f"0x{key.address.hex()}", "latest"), 16)
    transaction = sign_transaction(
        key, chain_id=CHAIN_ID, nonce=nonce, gas_limit=100_000, to=None, data=DEMONSTRATION_CODE
    )
    started = time.monotonic()
    sent = client.call("eth_sendRawTransaction", f"0x{transaction.raw.hex()}")
    receipt = wait_for_receipt(client, sent)
    waited = time.monotonic() - started
    proof = _fetch_proof(last, sent)
    header = decode_header(_data(proof["header"]))
    validators = header.extra_data.validators
    check_commit_seals(header, validators)
    _check_receipt(header, proof)
    return {
        "transaction": sent,
        "sent by": f"governor of {first.name}, 0x{key.address.hex()}",
        "block": int(receipt["blockNumber"], 16),
        "status": "success" if receipt["status"] == "0x1" else "failed",
        "gas used": int(receipt["gasUsed"], 16),
        "contract": receipt["contractAddress"],
        "final after": f"{waited:.2f} s",
        "proven at": f"{last.name}: {len(header.extra_data.seals)} of {len(validators)} seals, "
        f"receipt in 0x{header.receipts_root.hex()[:16]}…",
    }


def _fetch_proof(node: LocalNode, transaction_hash: str) -> dict[str, Any]:
    """Return a receipt's proof from a node that may be a block behind the one asked first."""
    client = RpcClient(node.rpc_url)
    deadline = time.monotonic() + RECEIPT_TIMEOUT_S
    while client.call("eth_getTransactionReceipt", transaction_hash) is None:
        if time.monotonic() > deadline:
            raise Unavailable(f"{node.name} does not follow; read {node.log_path}")
        time.sleep(0.05)
    proof: dict[str, Any] = client.call("daicho_getReceiptProof", transaction_hash)
    return proof


def _check_receipt(header: Header, proof: dict[str, Any]) -> None:
    key = ordered_key(int(proof["transactionIndex"], 16))
    nodes = [_data(node) for node in proof["receiptProof"]]
    proven = verify_proof(header.receipts_root, key, nodes)
    if proven is None or not decode_receipt(proven).is_success:
        raise Unavailable("the receipt is not proven by its header")


def _show_endpoints(output: Output, network: LocalNetwork) -> None:
    for node in network.nodes:
        output.say(
            f"{node.name:<8} JSON-RPC {node.rpc_url} (ws too)  "
            f"health http://127.0.0.1:{node.metrics_port}/readiness  log {node.log_path}"
        )
    output.say(f"chain id {CHAIN_ID}; development keys under {network.root}/nodes")


def _watch(
    output: Output,
    network: LocalNetwork,
    services: Sequence[LocalProcess],
    stopped: threading.Event,
) -> None:
    """Show a status line until Ctrl-C, and say so when a node or service ends."""
    output.say("running; Ctrl-C stops services and nodes; see also: daicho network logs -f")
    ended: set[str] = set()
    try:
        while not stopped.wait(1.0):
            for node in network.nodes:
                if network.process_id(node) is None and node.name not in ended:
                    ended.add(node.name)
                    output.say(f"{node.name} ended; read {node.log_path}")
            for service in services:
                name = service.program.name
                if service.id is None and name not in ended:
                    ended.add(name)
                    output.say(f"{name} ended; read {service.program.log_path}")
            output.progress(_status_line(network))
            if ended >= {node.name for node in network.nodes}:
                raise Unavailable("every node ended")
    except KeyboardInterrupt:
        return
    finally:
        output.progress_done()


def _status_line(network: LocalNetwork) -> str:
    for node in network.nodes:
        try:
            status = RpcClient(node.rpc_url, timeout_s=2).call("daicho_consensusStatus")
        except NodeUnreachable:
            continue
        return (
            f"height {int(status['height'], 16) - 1} final, round {int(status['round'], 16)} of "
            f"the next; waits for {status['waitsFor']}"
        )
    return "no node answers"


def _data(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
