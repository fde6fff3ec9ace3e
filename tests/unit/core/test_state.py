"""LIGHT-READ, LIGHT-PROOF, LIGHT-PRESENT: a reader of roles, on proven values only."""

from collections.abc import AsyncIterator

import pytest

from clients.core.headers import TrustLimits
from clients.core.light_client import LightClient, NoVerifiedAnswer
from clients.core.state import ROUNDS_MAX, ProvenView, read_proven
from clients.core.transport import http_nodes
from clients.core.trust import Trust
from node.execution.permissions import read_open_call_gas_max, read_standing
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.primitives.crypto import PrivateKey
from node.primitives.trie import InvalidProof
from node.primitives.types import ZERO_HASH
from node.storage.view import StateView
from tests.support.ledger import GOVERNOR_KEY, MUNICIPALITY_KEYS, OUTSIDER_KEY, SERVICE_KEYS
from tests.support.light import Altered
from tests.support.rpc import RpcChain, serving

CHAIN = RpcChain()


@pytest.fixture
async def client() -> AsyncIterator[LightClient]:
    CHAIN.mine()
    genesis = CHAIN.ledger.genesis.header
    trust = Trust(genesis_hash=genesis.hash, origin=genesis, head=genesis)
    with serving(CHAIN) as thread:
        async with http_nodes([("port", f"http://127.0.0.1:{thread.port}")]) as nodes:
            made = LightClient(nodes, trust, limits=TrustLimits(), now_s=lambda: CHAIN.now_s)
            await made.sync()
            yield made


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(GOVERNOR_KEY, id="governor"),
        pytest.param(MUNICIPALITY_KEYS[2], id="municipality"),
        pytest.param(SERVICE_KEYS[1], id="service"),
        pytest.param(OUTSIDER_KEY, id="outsider"),
    ],
)
async def test_a_role_read_through_proofs_is_the_nodes_own(
    client: LightClient, key: PrivateKey
) -> None:
    found = await read_proven(client, lambda view: read_standing(view, key.address))

    assert found.value == read_standing(CHAIN.ledger.view, key.address)
    assert found.header == CHAIN.ledger.head


async def test_accounts_are_read_through_proofs(client: LightClient) -> None:
    found = await read_proven(
        client,
        lambda view: [
            view.load_account(address) for address in (PERMISSIONS_ADDRESS, OUTSIDER_KEY.address)
        ],
    )

    assert found.value == [CHAIN.ledger.view.load_account(PERMISSIONS_ADDRESS), None]


async def test_slots_that_depend_on_slots_are_read_in_rounds(client: LightClient) -> None:
    def chase(view: StateView) -> int:
        return view.load_slot(PERMISSIONS_ADDRESS, 1 + view.load_slot(PERMISSIONS_ADDRESS, 0))

    found = await read_proven(client, chase)

    assert found.value == chase(CHAIN.ledger.view)
    assert read_open_call_gas_max(CHAIN.ledger.view, PERMISSIONS_ADDRESS, b"1234") == 0


async def test_a_reader_without_end_is_stopped(client: LightClient) -> None:
    slots = iter(range(ROUNDS_MAX + 1))

    with pytest.raises(InvalidProof, match="rounds"):
        await read_proven(client, lambda view: view.load_slot(PERMISSIONS_ADDRESS, next(slots)))


async def test_a_liars_role_is_not_believed(client: LightClient) -> None:
    def lie(method: str, _params: tuple[object, ...], answer: object) -> object:
        return {"accountProof": [], "storageProof": []} if method == "eth_getProof" else answer

    port = client._nodes[0]
    liar = LightClient(
        [Altered(port, lie)], client.trust, limits=TrustLimits(), now_s=lambda: CHAIN.now_s
    )

    with pytest.raises(NoVerifiedAnswer):
        await read_proven(liar, lambda view: read_standing(view, GOVERNOR_KEY.address))


async def test_a_read_overtaken_by_a_block_begins_anew_at_the_new_head(client: LightClient) -> None:
    """A node that proves its head alone, and makes a block under the reader's hands."""
    under: list[int] = []

    def prove_head_alone(method: str, params: tuple[object, ...], answer: object) -> object:
        if method != "eth_getProof":
            return answer
        under.append(int(str(params[2]), 16))
        if len(under) == 2:
            CHAIN.mine()
        is_head = under[-1] == CHAIN.ledger.head.height
        return answer if is_head else {"accountProof": [], "storageProof": []}

    moving = LightClient(
        [Altered(client._nodes[0], prove_head_alone)],
        client.trust,
        limits=TrustLimits(),
        now_s=lambda: CHAIN.now_s,
    )

    found = await read_proven(moving, lambda view: read_standing(view, GOVERNOR_KEY.address))

    assert found.value == read_standing(CHAIN.ledger.view, GOVERNOR_KEY.address)
    assert found.header == CHAIN.ledger.head
    assert len(set(under)) == 2
    assert under == sorted(under)


def test_code_is_not_read_through_a_proven_view() -> None:
    with pytest.raises(InvalidProof):
        ProvenView(ZERO_HASH).load_code(ZERO_HASH)
