"""What a local network needs to hold elections, and a small mock election held on it.

Five contracts are created once by a governor. Their addresses follow from the governor's account
and nonce, so that all are sent at once. What is recorded with the network stays; an interrupted try
makes all of them again. Services and the election itself are the services' business: they stand
above the node and are run here as commands.
"""

import json
from typing import Any, Final

from contracts.artifact import load_artifact
from node.cli.client import RpcClient
from node.cli.network_services import run_command, wait_for_receipt
from node.cli.output import Output
from node.execution.evm import compute_contract_address
from node.primitives.errors import Misconfigured
from node.primitives.transaction import sign_transaction
from node.primitives.types import Address
from node.runtime.localnet import CHAIN_ID, LocalNetwork
from node.runtime.localservices import find_companions, find_services

ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "Elections": (),
    "Credentials": ("Elections",),
    "BallotBox": ("Elections",),
    "TallyBoard": ("Elections", "Credentials", "BallotBox"),
    "Bulletin": ("Elections",),
}
"""The contracts, and which addresses each is created with."""

PRELOADED: Final = (
    "node.cli.main",
    "node.cli.node",
    "node.cli.chain",
    "services.cli",
    "services.relay.service",
    "services.election.service",
    "services.election.trustee.custodian_command",
    "services.election.commission.attestor_server",
)
"""What processes of an election import; loaded once for all of them."""

CREATE_GAS: Final = 8_000_000
HOLD_TIMEOUT_S: Final = 1_200.0
"""Longest a small election may take, on a machine that does much else."""


def lay_out_elections(output: Output, network: LocalNetwork) -> None:
    """Give every municipality an election service; relays that must know of it are stopped.

    Raises:
        Misconfigured: Files or contracts are not as the network's record says.
        Unavailable: The contracts are not final in time.
    """
    if not network.nodes[0].relay_path.exists():
        output.say(f"no elections: {network.root} was made without services' keys")
        return
    create_election_contracts(network)
    before = {service.program.name for service in find_services(network.root)}
    run_command("lay-out-elections", "--network", str(network.root.absolute()))
    after = {service.program.name for service in find_services(network.root)}
    if after != before:
        for service in find_services(network.root):
            if service.program.name.startswith("relay@"):
                service.stop()
    for process in (*find_companions(network.root), *find_services(network.root)):
        # Their databases are at their schema: laying out brought them there.
        process.start()


def hold_election(network: LocalNetwork, *, voters: int) -> dict[str, Any]:
    """Hold a small mock election, verify its record, and return what was shown.

    Raises:
        Misconfigured: It does not come to that; the message says where.
    """
    where = ("--network", str(network.root.absolute()), "--voters", str(voters))
    shown: dict[str, Any] = json.loads(
        run_command("hold-election", *where, timeout_s=HOLD_TIMEOUT_S, is_heard=True)
    )
    return shown


def create_election_contracts(network: LocalNetwork) -> dict[str, str]:
    """Return the addresses of the election contracts, creating them when none is recorded.

    Raises:
        Misconfigured: The recorded ones are not on this chain, or one was not created.
        Unavailable: They are not final in time.
    """
    client = RpcClient(network.nodes[0].rpc_url)
    if all(name in network.contracts for name in ARGUMENTS):
        found = {name: network.contracts[name] for name in ARGUMENTS}
        for name, address in found.items():
            if client.call("eth_getCode", address, "latest") == "0x":
                raise Misconfigured(
                    f"{network.root}: the chain holds no {name} at {address}; its data was "
                    "replaced, so remove the network and make it anew"
                )
        return found
    made = _create_all(client, network)
    network.contracts.update(made)
    network.save()
    return made


def _create_all(client: RpcClient, network: LocalNetwork) -> dict[str, str]:
    key = network.governor_key(network.nodes[0])
    nonce = int(client.call("eth_getTransactionCount", f"0x{key.address.hex()}", "pending"), 16)
    addresses: dict[str, Address] = {}
    sent = []
    for at, (name, arguments) in enumerate(ARGUMENTS.items(), nonce):
        data = load_artifact(name).bytecode
        data += b"".join(addresses[argument].rjust(32, b"\x00") for argument in arguments)
        transaction = sign_transaction(
            key, chain_id=CHAIN_ID, nonce=at, gas_limit=CREATE_GAS, to=None, data=data
        )
        sent.append(client.call("eth_sendRawTransaction", f"0x{transaction.raw.hex()}"))
        addresses[name] = compute_contract_address(key.address, at)
    for name, transaction_hash in zip(ARGUMENTS, sent, strict=True):
        receipt = wait_for_receipt(client, transaction_hash)
        if receipt["status"] != "0x1":
            raise Misconfigured(f"{name} was not created; read {network.nodes[0].log_path}")
    return {name: f"0x{address.hex()}" for name, address in addresses.items()}
