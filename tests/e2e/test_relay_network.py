"""RELAY-FINAL, RELAY-FENCE, RELAY-ONE-NONCE: a relay on four real nodes, one of which dies.

The relay asks the node that is killed first. Everything asked for is final once, by what another
node shows.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.core.answers import raw_header_of
from clients.core.headers import TrustLimits
from clients.core.transport import Node, http_nodes
from clients.core.trust import Trust
from contracts.artifact import load_artifact
from node.execution.evm import compute_contract_address
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.primitives.crypto import PrivateKey
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address
from node.runtime.localnet import CHAIN_ID
from services.kit.clock import SystemClock
from services.kit.intents import IntentState
from services.relay.relay import Relay
from services.relay.signer import KeystoreSigner
from tests.support import relay as joined
from tests.support.ledger import encode_call, key_of
from tests.support.network import TrialNetwork, running, wait_until

pytestmark = pytest.mark.slow

RELAY_KEY = key_of("relay of a real network")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialNetwork]:
    with running(tmp_path_factory.mktemp("relay")) as made:
        made.wait_for_mesh()
        yield made


@dataclass
class LiveTown:
    """What a pair needs to know of a chain."""

    anchors: Address
    trust: Trust
    clock: SystemClock


def send(network: TrialNetwork, transaction: Transaction) -> None:
    """Send a transaction and wait until it succeeded."""
    node = network.nodes[3]
    network.call(node, "eth_sendRawTransaction", "0x" + transaction.raw.hex())
    name = "0x" + transaction.hash.hex()
    wait_until(
        lambda: network.call(node, "eth_getTransactionReceipt", name) is not None, "a receipt"
    )
    assert network.call(node, "eth_getTransactionReceipt", name)["status"] == "0x1"


def found(network: TrialNetwork) -> LiveTown:
    """Make the relay's account a service and create the contract."""
    governor: PrivateKey = network.governor(network.nodes[0])
    add = encode_call("add_service(address)", RELAY_KEY.address)
    calls = [(PERMISSIONS_ADDRESS, add), (None, load_artifact("Anchors").bytecode)]
    for nonce, (to, data) in enumerate(calls):
        send(
            network,
            sign_transaction(
                governor, chain_id=CHAIN_ID, nonce=nonce, gas_limit=4_000_000, to=to, data=data
            ),
        )
    genesis = raw_header_of(network.call(network.nodes[0], "debug_getRawHeader", "0x0"))
    return LiveTown(
        anchors=compute_contract_address(governor.address, 1),
        trust=Trust(genesis_hash=genesis.hash, origin=genesis, head=genesis),
        clock=SystemClock(),
    )


async def pass_until_final(pair: joined.Pair, relay: Relay, numbers: range) -> None:
    """Let the relay pass and events be carried until all is final."""
    async with asyncio.timeout(120):
        while True:
            await relay.run_once()
            await pair.carry()
            states = [(await pair.state(number)).state for number in numbers]
            if all(state is IntentState.FINAL for state in states):
                return
            await asyncio.sleep(0.3)


def anchored(network: TrialNetwork, town: LiveTown) -> list[int]:
    """Return the operations in the contract's events, as another node shows them."""
    logs = network.call(
        network.nodes[2],
        "eth_getLogs",
        {"fromBlock": "0x0", "toBlock": "latest", "address": "0x" + town.anchors.hex()},
    )
    return sorted(int(log["topics"][3], 16) for log in logs)


async def test_everything_asked_for_is_final_once_though_a_node_dies_and_the_relay_restarts(
    network: TrialNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        joined, "LIMITS", TrustLimits(trusting_period_s=86_400, drift_s=10, staleness_s=30)
    )
    town = await asyncio.to_thread(found, network)
    addresses = [(node.name, node.rpc_url) for node in network.nodes[:2]]
    async with joined.pair_of(town, tmp_path) as pair:  # type: ignore[arg-type]
        pair.signer = KeystoreSigner(RELAY_KEY, chain_id=CHAIN_ID)
        async with http_nodes(addresses) as nodes:
            relay = await open_and_start(pair, nodes)
            for number in range(10):
                await pair.ask(number)
            await pair.carry()
            await relay.run_once()
            await asyncio.to_thread(network.kill, network.nodes[0])
            await pass_until_final(pair, relay, range(10))

            again = await open_and_start(pair, nodes)
            for number in range(10, 15):
                await pair.ask(number)
            await pass_until_final(pair, again, range(15))

    assert anchored(network, town) == list(range(15))


async def open_and_start(pair: joined.Pair, nodes: tuple[Node, ...]) -> Relay:
    """Open a relay and let it come to sign."""
    relay = await pair.open(nodes)
    async with asyncio.timeout(90):
        while not (await relay.status()).is_open:
            await relay.run_once()
            await asyncio.sleep(0.3)
    return relay
