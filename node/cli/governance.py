"""`daicho governance`: how a municipality votes on chain, and what stands there.

A vote is the call it is about: every municipality sends the same one, and the one that completes
the majority takes effect. The same command serves what a municipality or its service does alone.
"""

import time
from pathlib import Path
from typing import Any, Final

import click

from contracts.artifact import Artifact, load_artifact
from node.cli.client import RpcClient
from node.cli.contract import Function, UnknownCall, functions_of, read_events
from node.cli.output import Output
from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS
from node.genesis.system_contracts import MUNICIPALITIES_NAME, PERMISSIONS_NAME
from node.primitives.crypto import PrivateKey
from node.primitives.errors import Unavailable
from node.primitives.transaction import sign_transaction
from node.primitives.types import Address
from node.runtime.keystore import load_key
from node.settings import KeySettings

WAIT_S: Final = 120
"""Longest wait for a transaction to be final."""

POLL_S: Final = 0.2

EXAMPLES: Final = """\b
Examples:
  daicho governance show
  daicho governance calls
  daicho governance who 0x5b38…ddc4
  daicho governance send add_governor 0x5b38…ddc4 --keystore municipality.key.json
  daicho governance send set_role 3 2 --keystore municipality.key.json --dry-run
"""

_RPC = click.option(
    "--rpc", default="http://127.0.0.1:8545", show_default=True, help="RPC port of a node."
)
_FILE = click.Path(dir_okay=False, path_type=Path)


class NotFinalYet(Unavailable):
    """A transaction that was sent but is in no block yet."""

    code = "cli.not_final_yet"


@click.group("governance", epilog=EXAMPLES)
def group() -> None:
    """Vote on municipalities, governors, services and open calls."""


@group.command("calls")
@click.pass_obj
def calls(output: Output) -> None:
    """List every call and its arguments."""
    output.rows(
        [
            {
                "contract": artifact.name,
                "call": name,
                "arguments": " ".join(f"<{part}: {kind}>" for part, kind in function.inputs),
            }
            for artifact, _ in _contracts()
            for name, function in functions_of(artifact).items()
            if function.changes_state
        ]
    )


@group.command("show")
@_RPC
@click.pass_obj
def show_municipalities(output: Output, rpc: str) -> None:
    """List the municipalities and how many votes carry a proposal."""
    client = RpcClient(rpc)
    (count,) = _ask(client, "municipality_count")
    rows = []
    for number in range(1, count + 1):
        name, account, validator, role, endpoint = _ask(client, "municipality", str(number))[0]
        (is_active,) = _ask(client, "is_active", str(number))
        rows.append(
            {
                "id": number,
                "name": name,
                "active": "yes" if is_active else "NO",
                "role": "validator" if role == 1 else "observer",
                "account": account,
                "validator": validator,
                "endpoint": endpoint,
            }
        )
    output.rows(rows)
    if not output.is_json:
        output.result({"votes needed": _ask(client, "needed")[0]})


@group.command("who")
@click.argument("address")
@_RPC
@click.pass_obj
def who(output: Output, address: str, rpc: str) -> None:
    """Say what ADDRESS may send now."""
    client = RpcClient(rpc)
    by, until_s = _ask(client, "resident", address)
    output.result(
        {
            "governor": _ask(client, "is_governor", address)[0],
            "votes for municipality": _ask(client, "id_of", address)[0] or "none",
            "service": _ask(client, "is_service", address)[0],
            "may attest residents": _ask(client, "is_attester", address)[0],
            "resident": _ask(client, "is_resident", address)[0],
            "attested by municipality": by or "none",
            "attested until (seconds)": until_s or "never",
        },
        title=address,
    )


@group.command("send")
@click.argument("call")
@click.argument("arguments", nargs=-1)
@click.option("--keystore", type=_FILE, required=True, help="Key of the municipality or service.")
@click.option("--password-file", type=_FILE, help="File with the password (mode 0600).")
@click.option("--dry-run", is_flag=True, help="Only tell what the call would do.")
@_RPC
@click.pass_obj
def send(
    output: Output,
    call: str,
    arguments: tuple[str, ...],
    keystore: Path,
    password_file: Path | None,
    dry_run: bool,
    rpc: str,
) -> None:
    """Send CALL with ARGUMENTS, wait until it is final, and tell what it did.

    The call is tried first; one that would fail is not sent, and the reason is shown. Lists are
    written with commas between their items.
    """
    artifact, to, function = _find(call)
    data = function.encode(arguments)
    client = RpcClient(rpc)
    key = load_key(KeySettings(keystore=keystore, password_file=password_file))
    tried = {"from": _hex(key.address), "to": _hex(to), "data": _hex(data)}
    answer = function.decode(bytes.fromhex(client.call("eth_call", tried, "latest")[2:]))
    if answer:
        output.say("this vote completes the majority" if answer[0] else "a majority lacks votes")
    if dry_run:
        output.say("dry run: nothing was sent")
        return
    receipt = _send(client, key, to, data, gas=int(client.call("eth_estimateGas", tried), 16))
    output.result(
        {
            "transaction": receipt["transactionHash"],
            "height": int(receipt["blockNumber"], 16),
            "succeeded": receipt["status"] == "0x1",
            "events": list(read_events(artifact, receipt["logs"])),
        }
    )


def _send(
    client: RpcClient, key: PrivateKey, to: Address, data: bytes, *, gas: int
) -> dict[str, Any]:
    """Send the transaction and wait for its receipt, in a block that is final."""
    transaction = sign_transaction(
        key,
        chain_id=int(client.call("eth_chainId"), 16),
        nonce=int(client.call("eth_getTransactionCount", _hex(key.address), "pending"), 16),
        gas_limit=gas + gas // 4,
        to=to,
        data=data,
    )
    sent = client.call("eth_sendRawTransaction", _hex(transaction.raw))
    for _ in range(int(WAIT_S / POLL_S)):
        receipt: dict[str, Any] | None = client.call("eth_getTransactionReceipt", sent)
        if receipt is not None:
            return receipt
        time.sleep(POLL_S)
    raise NotFinalYet(
        f"{sent} is in no block after {WAIT_S} s; it stays in the pool. Is the chain moving? "
        "See: daicho node status"
    )


def _ask(client: RpcClient, call: str, *words: str) -> tuple[Any, ...]:
    """Call a view function."""
    _, to, function = _find(call)
    request = {"to": _hex(to), "data": _hex(function.encode(words))}
    return function.decode(bytes.fromhex(client.call("eth_call", request, "latest")[2:]))


def _find(call: str) -> tuple[Artifact, Address, Function]:
    """Find a call by its name, with ``Contract.`` in front where both contracts have it.

    Raises:
        UnknownCall: No contract has it, or both do.
    """
    contract, _, name = call.rpartition(".")
    found = [
        (artifact, to, functions_of(artifact)[name])
        for artifact, to in _contracts()
        if name in functions_of(artifact) and contract in ("", artifact.name)
    ]
    if len(found) != 1:
        hint = "name the contract, as in Municipalities.withdraw_vote" if found else "list them"
        raise UnknownCall(f"{call}: {len(found)} calls of that name; {hint} (governance calls)")
    return found[0]


def _contracts() -> tuple[tuple[Artifact, Address], ...]:
    return (
        (load_artifact(PERMISSIONS_NAME), PERMISSIONS_ADDRESS),
        (load_artifact(MUNICIPALITIES_NAME), MUNICIPALITIES_ADDRESS),
    )


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
