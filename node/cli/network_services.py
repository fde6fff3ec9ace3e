"""What a local network's services need before they start, and how they are shown to work.

The contract that keeps anchors is created once, by the first municipality's governor, and recorded
with the network. Settings and keys of services, and the trial of one, are the services' business:
they stand above the node and are run here as commands.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from contracts.artifact import load_artifact
from node.cli.client import CallFailed, RpcClient
from node.cli.output import Output
from node.primitives.errors import Misconfigured, Unavailable
from node.primitives.transaction import sign_transaction
from node.runtime.localnet import CHAIN_ID, LocalNetwork, LocalNode

ANCHORS: Final = "Anchors"
CREATE_GAS: Final = 4_000_000
RECEIPT_TIMEOUT_S: Final = 60.0
COMMAND_TIMEOUT_S: Final = 120.0


def lay_out_services(output: Output, network: LocalNetwork) -> None:
    """Give the first municipality a relay and an example service; what is there already stays.

    Raises:
        Misconfigured: Files or contract are not as the network's record says.
        Unavailable: The contract is not final in time.
    """
    node = network.nodes[0]
    if not node.relay_path.exists():
        output.say(f"no services: {network.root} was made without their keys; remove it for them")
        return
    create_anchors(network)
    where = ("--network", str(network.root.absolute()), "--municipality", node.name)
    _run_command("lay-out", *where)


def try_services(network: LocalNetwork) -> dict[str, Any]:
    """Post a notice as a resident, prove that the ledger holds it, and return what was shown.

    Raises:
        Misconfigured: It does not come to that; the message says where.
    """
    node = network.nodes[0]
    where = ("--network", str(network.root.absolute()), "--municipality", node.name)
    shown: dict[str, Any] = json.loads(_run_command("try-out", *where))
    return shown


def create_anchors(network: LocalNetwork) -> str:
    """Return the address of the contract Anchors, creating it when none is recorded.

    Raises:
        Misconfigured: The one recorded is not on this chain.
        Unavailable: It is not final in time.
    """
    node = network.nodes[0]
    client = RpcClient(node.rpc_url)
    recorded = network.contracts.get(ANCHORS)
    if recorded is None:
        recorded = network.contracts[ANCHORS] = _create(client, network, node)
        network.save()
    elif client.call("eth_getCode", recorded, "latest") == "0x":
        raise Misconfigured(
            f"{network.root}: the chain holds no {ANCHORS} at {recorded}; its data was replaced, "
            "so remove the network and make it anew"
        )
    return recorded


def wait_for_receipt(client: RpcClient, transaction_hash: str) -> dict[str, str]:
    """Return a transaction's receipt once its block is final.

    Raises:
        Unavailable: It is not, in time.
    """
    deadline = time.monotonic() + RECEIPT_TIMEOUT_S
    while time.monotonic() < deadline:
        receipt: dict[str, str] | None = client.call("eth_getTransactionReceipt", transaction_hash)
        if receipt is not None:
            return receipt
        time.sleep(0.05)
    raise Unavailable(f"transaction {transaction_hash} not final after {RECEIPT_TIMEOUT_S:.0f} s")


def _create(client: RpcClient, network: LocalNetwork, node: LocalNode) -> str:
    """Create the contract; interrupted before it was recorded, the next try makes another."""
    key = network.governor_key(node)
    nonce = int(client.call("eth_getTransactionCount", f"0x{key.address.hex()}", "latest"), 16)
    transaction = sign_transaction(
        key,
        chain_id=CHAIN_ID,
        nonce=nonce,
        gas_limit=CREATE_GAS,
        to=None,
        data=load_artifact(ANCHORS).bytecode,
    )
    try:
        client.call("eth_sendRawTransaction", f"0x{transaction.raw.hex()}")
    except CallFailed as error:
        # Signing is deterministic: a run that was interrupted sent this very transaction.
        if "already known" not in error.message:
            raise
    receipt = wait_for_receipt(client, f"0x{transaction.hash.hex()}")
    if receipt["status"] != "0x1":
        raise Misconfigured(f"{ANCHORS} was not created; read {node.log_path}")
    return receipt["contractAddress"]


def _run_command(*words: str) -> str:
    """Run a `daicho service` command and return what it prints.

    Raises:
        Misconfigured: It fails; the message is its own.
        Unavailable: It takes too long.
    """
    code = "import sys\nfrom node.cli.main import main\nsys.exit(main())"
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-c", code, "--json", "service", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            cwd=Path(__file__).parents[2],
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"daicho service {words[0]}: not done after {COMMAND_TIMEOUT_S:.0f} s; read the logs "
            "with daicho network logs"
        ) from error
    if done.returncode:
        raise Misconfigured(f"daicho service {words[0]}: {done.stderr.strip()}")
    return done.stdout
