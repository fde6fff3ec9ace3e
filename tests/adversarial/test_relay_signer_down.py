"""RELAY-SIGNER: a signer that is down delays, one that refuses fails an operation, none is lost."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.kit.intents import IntentState
from services.kit.sockets import listening
from services.relay.remote_signer import SignerDown, open_remote_signer
from services.relay.signer_server import SignerServer
from tests.support.followed import Town, town_nodes
from tests.support.ledger import CHAIN_ID, SERVICE_KEYS
from tests.support.relay import Pair, pair_of, settle, start


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="daicho-", dir="/tmp") as folder:
        yield Path(folder) / "relay.sock"


@pytest.fixture
async def pair(town: Town, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(town, tmp_path) as pair:
        yield pair


def server(*targets: bytes) -> SignerServer:
    return SignerServer(SERVICE_KEYS[0], chain_id=CHAIN_ID, targets=frozenset(targets))  # type: ignore[arg-type]


async def test_operations_wait_while_the_signer_is_down(town: Town, pair: Pair, path: Path) -> None:
    async with town_nodes(town) as nodes:
        async with listening(server(town.anchors).answer_one, path):
            pair.signer = await open_remote_signer(path, chain_id=CHAIN_ID)
            relay = await pair.open(nodes)
            await start(town, relay)
        await pair.ask(1)
        await pair.ask(2)
        await pair.carry()
        for _ in range(3):
            with pytest.raises(SignerDown, match="signer runs"):
                await relay.run_once()
            town.heartbeat()
        assert (await pair.state(1)).state is IntentState.INTENDED

        async with listening(server(town.anchors).answer_one, path):
            await settle(town, relay)
            await pair.carry()

    assert pair.anchored() == [1, 2]
    for number in (1, 2):
        assert (await pair.state(number)).state is IntentState.FINAL


async def test_an_operation_the_signer_refuses_fails_and_holds_no_other_up(
    town: Town, pair: Pair, path: Path
) -> None:
    elsewhere = SERVICE_KEYS[2].address
    async with town_nodes(town) as nodes, listening(server(town.anchors).answer_one, path):
        pair.signer = await open_remote_signer(path, chain_id=CHAIN_ID)
        relay = await pair.open(nodes)
        await start(town, relay)
        await pair.ask(1)
        anchors, town.anchors = town.anchors, elsewhere
        await pair.ask(2)
        town.anchors = anchors
        await pair.ask(3)
        await pair.carry()
        await settle(town, relay)
        await pair.carry()

    assert pair.anchored() == [1, 3]
    refused = await pair.state(2)
    assert refused.state is IntentState.FAILED
    assert refused.reason == "relay.signer_refused"
