"""`daicho network`: validators and services on this machine, and simulated networks."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Final

import click

from node.cli.client import NodeUnreachable, RpcClient, fetch_json
from node.cli.lazy import Attachment, LazyGroup
from node.cli.network_services import lay_out_services
from node.cli.output import Output
from node.primitives.errors import Unavailable
from node.runtime.localnet import NAMES, RECORD_FILE, LocalNetwork, LocalNode, LocalPlan
from node.runtime.localprocess import LocalProcess, stop_all
from node.runtime.localservices import (
    find_address,
    find_companions,
    find_services,
    start_service,
)

DIRECTORY_DEFAULT: Final = Path(".daicho") / "network"
RPC_PORT_DEFAULT: Final = 8_545
START_TIMEOUT_S: Final = 180.0
STARTED_AT_ONCE: Final = 8
"""Services brought to their schema and started at once."""


HEARTBEAT_S: Final = 5
"""Longest time without a block; a relay that starts waits for a block from after its start."""

EXAMPLES: Final = """\b
Examples:
  daicho network up                      four validators under .daicho/network
  daicho network status
  daicho network logs --follow
  daicho network down
  daicho network simulate --seeds 100
"""

_DIRECTORY = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DIRECTORY_DEFAULT,
    show_default=True,
    help="Where the network lives.",
)


@click.group(
    "network",
    cls=LazyGroup,
    table={
        "run": Attachment(
            target="node.cli.network_run:command",
            help="Run the network in the foreground, shown to work, until Ctrl-C.",
        ),
        "logs": Attachment(
            target="node.cli.network_logs:command",
            help="Show what every node and service says, in one view.",
        ),
        "simulate": Attachment(
            target="node.cli.network_simulate:command",
            help="Run a campaign of simulated networks with faults.",
        ),
    },
    epilog=EXAMPLES,
)
def group() -> None:
    """Run a local trial network; simulate faults."""


@group.command("up")
@_DIRECTORY
@click.option("--period", type=click.IntRange(1, 60), default=2, help="Seconds between blocks.")
@click.option(
    "--rpc-port",
    type=click.IntRange(0, 65_000),
    default=RPC_PORT_DEFAULT,
    show_default=True,
    help="First JSON-RPC port; taken ports are replaced by free ones.",
)
@click.option("--node", "names", multiple=True, help="Name of a node; give it once for each.")
@click.pass_obj
def up(output: Output, directory: Path, period: int, rpc_port: int, names: tuple[str, ...]) -> None:
    """Make the network if it is new, start every node and service, and wait until they work."""
    network = open_network(
        directory,
        LocalPlan(
            names=names or NAMES,
            block_period_s=period,
            heartbeat_s=max(HEARTBEAT_S, period),
            rpc_port=rpc_port,
        ),
    )
    for node in network.nodes:
        network.start(node)
    wait_for_block(output, network)
    output.rows([describe(network, node) for node in network.nodes])
    start_services(output, network)


@group.command("down")
@_DIRECTORY
@click.pass_obj
def down(output: Output, directory: Path) -> None:
    """Stop every service and node; the chain stays and `up` continues it."""
    network = LocalNetwork.load(directory)
    services = find_services(network.root)
    stop_all((*services, *find_companions(network.root)))
    network.stop_all()
    and_services = f" and {len(services)} services" if services else ""
    output.say(f"stopped {len(network.nodes)} nodes{and_services}; data stays in {directory}")


@group.command("status")
@_DIRECTORY
@click.pass_obj
def status(output: Output, directory: Path) -> None:
    """Show each node's process, head and peers, and each service's process and readiness."""
    network = LocalNetwork.load(directory)
    output.rows([describe(network, node) for node in network.nodes])
    show_services(output, find_services(network.root))


def open_network(directory: Path, plan: LocalPlan) -> LocalNetwork:
    """Return the network under ``directory``, making it when there is none."""
    if (directory / RECORD_FILE).exists():
        return LocalNetwork.load(directory)
    return LocalNetwork.create(directory, plan)


def describe(network: LocalNetwork, node: LocalNode) -> dict[str, object]:
    """Return one node's line of the status table."""
    pid = network.process_id(node)
    row: dict[str, object] = {
        "node": node.name,
        "process": pid or "stopped",
        "height": "-",
        "peers": "-",
        "rpc": node.rpc_url,
    }
    if pid is not None:
        client = RpcClient(node.rpc_url, timeout_s=3)
        try:
            row["height"] = int(client.call("eth_blockNumber"), 16)
            row["peers"] = int(client.call("net_peerCount"), 16)
        except NodeUnreachable:
            row["height"] = "not answering"
    return row


def start_services(output: Output, network: LocalNetwork) -> tuple[LocalProcess, ...]:
    """Lay services out beside the nodes, start all, wait until each is ready, and show them.

    Raises:
        Misconfigured: One does not start; the message names its log.
        Unavailable: One ended, or is not ready in time; the message names its log.
    """
    lay_out_services(output, network)
    for companion in find_companions(network.root):
        companion.start()
    services = find_services(network.root)
    # Each takes a while to come to its schema, most of it waiting for its program to load.
    with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
        list(pool.map(start_service, services))
    deadline = time.monotonic() + START_TIMEOUT_S
    for service in services:
        while not is_ready(service):
            if service.id is None:
                raise Unavailable(f"{service.program.name} ended; read {service.program.log_path}")
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{service.program.name} is not ready after {START_TIMEOUT_S:.0f} s; read "
                    f"{service.program.log_path}"
                )
            time.sleep(0.2)
    show_services(output, services)
    return services


def show_services(output: Output, services: Sequence[LocalProcess]) -> None:
    """Print a line for each service, and nothing when there are none."""
    if services:
        output.rows([describe_service(service) for service in services])


def describe_service(service: LocalProcess) -> dict[str, object]:
    """Return one service's line of the status table."""
    pid = service.id
    return {
        "service": service.program.name,
        "process": pid or "stopped",
        "ready": "-" if pid is None else "yes" if is_ready(service) else "NO",
        "address": find_address(service),
    }


def is_ready(service: LocalProcess) -> bool:
    """Tell whether a service says that it is ready."""
    try:
        status, _ = fetch_json(f"{find_address(service)}/readiness")
    except NodeUnreachable:
        return False
    return status == HTTPStatus.OK


def wait_for_block(
    output: Output,
    network: LocalNetwork,
    *,
    above: int | None = None,
    timeout_s: float = START_TIMEOUT_S,
) -> int:
    """Wait until every node's head is above where the network stood, and return the height.

    Raises:
        Unavailable: A node ended, or no block came in time; the message names its log.
    """
    deadline = time.monotonic() + timeout_s
    start = above
    while time.monotonic() < deadline:
        heights = [height_of(node) for node in network.nodes]
        for node in network.nodes:
            if network.process_id(node) is None:
                raise Unavailable(f"{node.name} ended; read {node.log_path}")
        known = [height for height in heights if height is not None]
        shown = " ".join("-" if height is None else str(height) for height in heights)
        output.progress(f"waiting for a final block; heights: {shown}")
        if len(known) == len(heights):
            start = max(known) if start is None else start
            if min(known) > start:
                output.progress_done()
                return min(known)
        time.sleep(0.2)
    logs = ", ".join(str(node.log_path) for node in network.nodes)
    raise Unavailable(f"no final block after {timeout_s:.0f} s; read {logs}")


def height_of(node: LocalNode) -> int | None:
    """Return a node's head, or None while it does not answer."""
    try:
        return int(RpcClient(node.rpc_url, timeout_s=3).call("eth_blockNumber"), 16)
    except NodeUnreachable:
        return None
