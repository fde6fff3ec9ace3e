"""What a local network's services need before they start, and how they are shown to work.

The contracts that services write to are created once, by the first municipality's governor, and
recorded with the network. Settings and keys of services, and their trials, are the services'
business: they stand above the node and are run here as commands.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from contracts.artifact import load_artifact
from node.cli.client import CallFailed, RpcClient
from node.cli.output import Output
from node.primitives.errors import Misconfigured, Unavailable
from node.primitives.transaction import sign_transaction
from node.runtime.localnet import CHAIN_ID, LocalNetwork, LocalNode
from node.runtime.nursery import current_nursery

ANCHORS: Final = "Anchors"
IDENTITY_STATUS: Final = "IdentityStatus"
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
    create_contracts(network)
    where = ("--network", str(network.root.absolute()), "--municipality", node.name)
    run_command("lay-out", *where)


def try_services(network: LocalNetwork) -> dict[str, Any]:
    """Post a notice and bind a card as a resident, prove both, and return what was shown of each.

    Raises:
        Misconfigured: It does not come to that; the message says where.
    """
    node = network.nodes[0]
    where = ("--network", str(network.root.absolute()), "--municipality", node.name)
    shown: dict[str, Any] = json.loads(run_command("try-out", *where))
    return shown


def create_contracts(network: LocalNetwork) -> None:
    """Create Anchors and IdentityStatus, together, when none are recorded.

    A network made before there was an IdentityStatus goes on without: nobody there may attest.

    Raises:
        Misconfigured: One recorded is not on this chain.
        Unavailable: They are not final in time.
    """
    node = network.nodes[0]
    client = RpcClient(node.rpc_url)
    if ANCHORS not in network.contracts:
        network.contracts.update(_create(client, network, node, (ANCHORS, IDENTITY_STATUS)))
        network.save()
    for name, recorded in sorted(network.contracts.items()):
        if client.call("eth_getCode", recorded, "latest") == "0x":
            raise Misconfigured(
                f"{network.root}: the chain holds no {name} at {recorded}; its data was replaced, "
                "so remove the network and make it anew"
            )


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


def _create(
    client: RpcClient, network: LocalNetwork, node: LocalNode, names: Sequence[str]
) -> dict[str, str]:
    """Create contracts; interrupted before they were recorded, the next try makes others."""
    key = network.governor_key(node)
    nonce = int(client.call("eth_getTransactionCount", f"0x{key.address.hex()}", "latest"), 16)
    sent: dict[str, str] = {}
    for name in names:
        transaction = sign_transaction(
            key,
            chain_id=CHAIN_ID,
            nonce=nonce + len(sent),
            gas_limit=CREATE_GAS,
            to=None,
            data=load_artifact(name).bytecode,
        )
        sent[name] = f"0x{transaction.hash.hex()}"
        try:
            client.call("eth_sendRawTransaction", f"0x{transaction.raw.hex()}")
        except CallFailed as error:
            # Signing is deterministic: a run that was interrupted sent this very transaction.
            if "already known" not in error.message:
                raise
    receipts = {name: wait_for_receipt(client, at) for name, at in sent.items()}
    for name, receipt in receipts.items():
        if receipt["status"] != "0x1":
            raise Misconfigured(f"{name} was not created; read {node.log_path}")
    return {name: receipt["contractAddress"] for name, receipt in receipts.items()}


def run_command(*words: str, timeout_s: float = COMMAND_TIMEOUT_S, is_heard: bool = False) -> str:
    """Run a `daicho service` command and return what it prints; what it says is shown if heard.

    Raises:
        Misconfigured: It fails; the message is its own.
        Unavailable: It takes too long.
    """
    everything = ("--json", "service", *words)
    nursery = current_nursery()
    if nursery is not None:
        with TemporaryDirectory(prefix="daicho-") as folder:
            output, errors = Path(folder) / "output", Path(folder) / "errors"
            output.touch()
            errors.touch()
            failed = nursery.run(
                everything,
                output=output,
                errors=None if is_heard else errors,
                timeout_s=timeout_s,
            )
            return _output_of(
                words[0], failed, output.read_text("utf-8"), errors.read_text("utf-8")
            )
    code = "import sys\nfrom node.cli.main import main\nsys.exit(main())"
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-c", code, *everything],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if is_heard else subprocess.PIPE,
            timeout=timeout_s,
            cwd=Path(__file__).parents[2],
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"daicho service {words[0]}: not done after {timeout_s:.0f} s; read the logs "
            "with daicho network logs"
        ) from error
    return _output_of(words[0], done.returncode, done.stdout, done.stderr or "")


def _output_of(command: str, code: int, output: str, errors: str) -> str:
    """Return what a command printed.

    Raises:
        Misconfigured: It failed.
    """
    if code:
        raise Misconfigured(
            f"daicho service {command}: {errors.strip() or 'failed; it says why above'}"
        )
    return output
