"""LIGHT-WITNESS, LIGHT-FRESH, LIGHT-FORK: two lying nodes of four cannot move or hold a client.

The two liars collude. They withhold, forge, make up a validator set, or hold the keys of two of the
four validators, which is one more than the ledger tolerates; then the client stops with evidence.
"""

from dataclasses import replace

import pytest

from clients.core.headers import ForkDetected, StaleHead
from clients.core.light_client import LightClient, Verdict
from node.primitives.header import Header
from tests.support.consensus import GENESIS, KEYS, make_keys
from tests.support.light import LIMITS, HeaderNode, chain_with_sets, header_after, trust_in

CHAIN = chain_with_sets([KEYS] * 60)
NOW_S = CHAIN[-1].timestamp_s + 5


def attacked(lie: list[Header], *, honest: int = 2) -> LightClient:
    nodes = [HeaderNode(f"liar {at}", lie) for at in range(4 - honest)]
    nodes += [HeaderNode(f"honest {at}", CHAIN) for at in range(honest)]
    return LightClient(nodes, trust_in(GENESIS), limits=LIMITS, now_s=lambda: NOW_S)


def forged_tip() -> list[Header]:
    head = replace(CHAIN[-1], state_root=CHAIN[1].hash)
    return [*CHAIN[:-1], head]


def sealed_by_one() -> list[Header]:
    return [*CHAIN, header_after(CHAIN[-1], KEYS, by=KEYS[:1], label="lie")]


def made_up_set() -> list[Header]:
    return chain_with_sets([make_keys(4, "stranger")] * 64, label="lie")


@pytest.mark.parametrize(
    ("lie", "verdict"),
    [
        pytest.param(CHAIN[:10], Verdict.BEHIND, id="withhold new blocks"),
        pytest.param(CHAIN[:1], Verdict.BEHIND, id="know genesis only"),
        pytest.param(forged_tip(), Verdict.REFUSED, id="forge the head's state"),
        pytest.param(sealed_by_one(), Verdict.REFUSED, id="seal with one key"),
        pytest.param(made_up_set(), Verdict.REFUSED, id="make up a set"),
    ],
)
async def test_two_liars_of_four_change_nothing_and_are_named(
    lie: list[Header], verdict: Verdict
) -> None:
    client = attacked(lie)

    report = await client.sync()

    assert client.trust.head == CHAIN[-1]
    assert [each.verdict for each in report.observations] == [
        verdict,
        verdict,
        Verdict.AGREES,
        Verdict.AGREES,
    ]
    assert report.has_disagreement


async def test_one_honest_node_of_four_is_enough() -> None:
    client = attacked(CHAIN[:10], honest=1)

    assert (await client.sync()).head == CHAIN[-1]


async def test_four_withholding_nodes_are_not_taken_for_the_present() -> None:
    with pytest.raises(StaleHead, match="withhold"):
        await attacked(CHAIN[:10], honest=0).sync()


async def test_two_stolen_keys_forge_a_set_and_are_shown_up_by_an_honest_node() -> None:
    usurpers = tuple(sorted([*KEYS[:2], make_keys(1, "usurper")[0]], key=lambda key: key.address))
    lie = chain_with_sets([usurpers] * 62, label="lie")
    client = attacked(lie)

    with pytest.raises(ForkDetected) as caught:
        await client.sync()

    assert client.trust.head == GENESIS
    stolen = {"0x" + key.address.hex() for key in KEYS[:2]}
    assert set(caught.value.values["both_sealed"]) == stolen  # type: ignore[call-overload]
