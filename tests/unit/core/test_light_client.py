"""One client over several nodes: whom it believes, and what it says of the others.

LIGHT-WITNESS, LIGHT-FORK, LIGHT-READ, LIGHT-ANCESTOR, LIGHT-BOUNDS.
"""

import asyncio
from dataclasses import replace

import pytest

from clients.core import light_client
from clients.core.headers import ForkDetected, StaleHead, TrustExpired
from clients.core.light_client import LightClient, NoVerifiedAnswer, Verdict
from clients.core.transport import Node
from clients.core.trust import Trust
from node.primitives.errors import InvalidInput
from node.primitives.header import Header
from tests.support.consensus import GENESIS, KEYS
from tests.support.light import (
    LIMITS,
    HeaderNode,
    SilentNode,
    chain_with_sets,
    header_after,
    height,
    raw,
    trust_in,
)

CHAIN = chain_with_sets([KEYS] * 40)
NOW_S = CHAIN[-1].timestamp_s + 5


def client_of(*nodes: Node, trust: Trust | None = None, now_s: int = NOW_S) -> LightClient:
    return LightClient(nodes, trust or trust_in(GENESIS), limits=LIMITS, now_s=lambda: now_s)


def honest(name: str, head: int = 40) -> HeaderNode:
    return HeaderNode(name, CHAIN[: head + 1])


async def test_the_newest_verified_head_is_trusted() -> None:
    client = client_of(honest("one", 38), honest("two"), honest("three", 39))

    report = await client.sync()

    assert client.trust.head == report.head == CHAIN[40]
    assert client.trust.origin == GENESIS
    assert [each.verdict for each in report.observations] == [Verdict.AGREES] * 3
    assert [each.height for each in report.observations] == [38, 40, 39]
    assert not report.has_disagreement


async def test_syncing_again_without_a_new_block_agrees() -> None:
    client = client_of(honest("one"), honest("two"))
    await client.sync()

    report = await client.sync()

    assert not report.has_disagreement


async def test_silent_nodes_are_reported_beside_the_head() -> None:
    report = await client_of(SilentNode("away", []), honest("two")).sync()

    assert [each.verdict for each in report.observations] == [
        Verdict.UNAVAILABLE,
        Verdict.AGREES,
    ]


async def test_nothing_is_trusted_when_no_node_answers() -> None:
    client = client_of(SilentNode("away", []), SilentNode("gone", []))

    with pytest.raises(NoVerifiedAnswer, match=r"away.*gone"):
        await client.sync()
    assert client.trust.head == GENESIS


async def test_a_node_that_lost_blocks_is_behind() -> None:
    client = client_of(honest("one", 20), honest("two"), trust=trust_in(CHAIN[30]))

    report = await client.sync()

    assert report.observations[0].verdict is Verdict.BEHIND


async def test_a_verified_head_that_is_too_old_is_stale() -> None:
    late_s = CHAIN[-1].timestamp_s + LIMITS.staleness_s + 1

    with pytest.raises(StaleHead):
        await client_of(honest("one"), honest("two"), now_s=late_s).sync()


async def test_expired_trust_asks_nobody() -> None:
    node = honest("one")
    late_s = GENESIS.timestamp_s + LIMITS.trusting_period_s

    with pytest.raises(TrustExpired):
        await client_of(node, now_s=late_s).sync()
    assert node.call_count == 0


def other_chain(length: int = 10, at: int = 30) -> list[Header]:
    """Make a chain that leaves ours after ``at``, sealed by the same validators."""
    headers = CHAIN[: at + 1]
    for _ in range(length):
        headers.append(header_after(headers[-1], KEYS, label="other"))
    return headers


@pytest.mark.parametrize(
    "length", [pytest.param(10, id="equal heights"), pytest.param(8, id="another height")]
)
async def test_two_sealed_chains_stop_the_client_with_evidence(length: int) -> None:
    fork = other_chain(length)
    client = client_of(honest("one"), HeaderNode("two", fork))

    with pytest.raises(ForkDetected, match="LIGHT-FORK") as caught:
        await client.sync()

    assert client.trust.head == GENESIS
    assert set(caught.value.values["headers"]) == {raw(CHAIN[30 + length]), raw(fork[-1])}  # type: ignore[call-overload]
    assert caught.value.values["both_sealed"] == ["0x" + key.address.hex() for key in KEYS]


async def test_another_sealed_block_at_the_height_we_trust_is_a_fork_too() -> None:
    client = client_of(honest("one"), HeaderNode("two", other_chain()), trust=trust_in(CHAIN[40]))

    with pytest.raises(ForkDetected):
        await client.sync()


async def test_an_unsealed_block_at_the_height_we_trust_is_refused() -> None:
    forged = [*CHAIN[:40], replace(CHAIN[40], state_root=CHAIN[3].hash)]
    client = client_of(honest("one"), HeaderNode("two", forged), trust=trust_in(CHAIN[40]))

    report = await client.sync()

    assert report.observations[1].verdict is Verdict.REFUSED
    assert report.observations[1].header == raw(forged[40])


async def test_a_node_that_hides_its_past_is_set_aside() -> None:
    def hide(method: str, _params: tuple[object, ...], answer: object) -> object:
        return raw(CHAIN[7]) if method == "debug_getRawHeader" else answer

    hiding = HeaderNode("hiding", [*CHAIN, header_after(CHAIN[40], KEYS)], alter=hide)
    client = client_of(hiding, honest("two", 38))

    report = await client.sync()

    assert report.head == CHAIN[38]
    assert [each.verdict for each in report.observations] == [Verdict.REFUSED, Verdict.AGREES]


async def test_headers_between_origin_and_head_are_verified_forwards() -> None:
    client = client_of(SilentNode("away", []), honest("two"))
    await client.sync()

    found = await client.header(height(17))

    assert found.value == CHAIN[17]
    assert found.node == "two"
    assert [each.node for each in found.observations] == ["away"]


async def test_headers_below_the_origin_are_reached_by_their_hashes() -> None:
    client = client_of(honest("one"), trust=trust_in(CHAIN[35]))
    await client.sync()

    assert (await client.header(height(3))).value == CHAIN[3]


async def test_an_altered_ancestor_is_refused() -> None:
    headers = [*CHAIN[:20], replace(CHAIN[20], state_root=CHAIN[3].hash), *CHAIN[21:]]
    client = client_of(HeaderNode("liar", headers), trust=trust_in(CHAIN[35]))

    with pytest.raises(NoVerifiedAnswer, match="LIGHT-ANCESTOR"):
        await client.header(height(3))


async def test_ancestors_are_walked_back_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(honest("one"), trust=trust_in(CHAIN[35]))
    monkeypatch.setattr(light_client, "ANCESTOR_DISTANCE_MAX", 10)

    assert (await client.header(height(25))).value == CHAIN[25]
    with pytest.raises(NoVerifiedAnswer, match="older checkpoint"):
        await client.header(height(24))


async def test_nothing_above_the_verified_head_is_answered() -> None:
    client = client_of(honest("one"))

    with pytest.raises(NoVerifiedAnswer, match="LIGHT-READ"):
        await client.header(height(1))


async def test_headers_after_a_verified_one_come_in_order_to_the_head() -> None:
    client = client_of(honest("one"))
    await client.sync()

    assert (await client.headers_after(CHAIN[10], 5)).value == tuple(CHAIN[11:16])
    assert (await client.headers_after(CHAIN[38], 50)).value == tuple(CHAIN[39:])
    assert (await client.headers_after(CHAIN[40], 50)).value == ()


async def test_a_forged_header_among_those_after_is_refused() -> None:
    headers = [*CHAIN[:12], replace(CHAIN[12], receipts_root=CHAIN[3].hash), *CHAIN[13:]]
    client = client_of(HeaderNode("liar", headers), honest("two"))
    await client.sync()

    found = await client.headers_after(CHAIN[10], 5)

    assert found.node == "two"
    assert found.observations[0].verdict is Verdict.REFUSED


def test_a_client_needs_a_node_and_takes_a_bounded_number() -> None:
    assert client_of(*[honest("one")] * light_client.NODE_COUNT_MAX)
    for nodes in ([], [honest("one")] * (light_client.NODE_COUNT_MAX + 1)):
        with pytest.raises(InvalidInput):
            client_of(*nodes)


class StallingNode(HeaderNode):
    """A node that never finishes an answer to one method."""

    def __init__(self, method: str, headers: list[Header]) -> None:
        super().__init__("stalling", headers)
        self.method = method

    async def call(self, method: str, *params: object) -> object:
        if method == self.method:
            await asyncio.Event().wait()
        return await super().call(method, *params)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("daicho_getFinality", id="its head"),
        pytest.param("debug_getRawHeader", id="its past"),
    ],
)
async def test_a_node_that_stalls_holds_up_nobody(method: str) -> None:
    longer = [*CHAIN, header_after(CHAIN[40], KEYS)]
    client = LightClient(
        [StallingNode(method, longer), honest("two", 38)],
        trust_in(GENESIS),
        limits=LIMITS,
        now_s=lambda: NOW_S,
        node_time_s=0.05,
    )

    report = await client.sync()

    assert report.head == CHAIN[38]
    assert [each.verdict for each in report.observations] == [
        Verdict.UNAVAILABLE,
        Verdict.AGREES,
    ]


async def test_a_node_that_stalls_over_one_answer_is_passed_by() -> None:
    client = LightClient(
        [StallingNode("debug_getRawHeader", CHAIN), honest("two")],
        trust_in(GENESIS),
        limits=LIMITS,
        now_s=lambda: NOW_S,
        node_time_s=0.05,
    )
    await client.sync()

    found = await client.header(height(7))

    assert found.node == "two"
    assert "LIGHT-BOUNDS" in found.observations[0].detail
