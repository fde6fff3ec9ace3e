"""QBFT-CATCH-UP, QBFT-RESEND: the simulated links are as bad as the faults say, and no worse.

Seven nodes, so that a quorum is five.
"""

from collections.abc import Callable

import pytest

from node.simulation.faults import Faults, Partition
from node.simulation.network import CALM_DELAY_MS, Link, Network

NODES = range(7)


def make_network(**faults: object) -> Network:
    return Network(seed=1, node_count=7, quorum=5, faults=Faults(**faults))  # type: ignore[arg-type]


def reach(cut: tuple[Link, ...], node: int) -> set[int]:
    """Return whom a node can both hear and reach, itself included."""
    return {o for o in NODES if o == node or not {(node, o), (o, node)} & set(cut)}


def test_a_kind_network_delivers_once_after_the_delay() -> None:
    assert make_network(delay_ms=25).travel(0, 1) == (25,)


def test_loss_duplicates_and_jitter_come_as_often_as_asked() -> None:
    network = make_network(loss_permille=200, duplicate_permille=300, delay_ms=5, jitter_ms=10)
    trips = [network.travel(0, 1) for _ in range(4_000)]

    assert 700 < sum(trip == () for trip in trips) < 900
    assert 850 < sum(len(trip) == 2 for trip in trips) < 1_070
    assert {delay for trip in trips for delay in trip} == set(range(5, 16))


@pytest.mark.parametrize(
    ("shape", "is_shaped"),
    [
        pytest.param(
            Partition.HALVES,
            lambda cut: sorted({len(reach(cut, n)) for n in NODES}) == [3, 4],
            id="halves",
        ),
        pytest.param(
            Partition.QUORUM,
            lambda cut: sorted({len(reach(cut, n)) for n in NODES}) == [2, 5],
            id="quorum",
        ),
        pytest.param(
            Partition.ISOLATED,
            lambda cut: sorted(len(reach(cut, n)) for n in NODES) == [1] + [6] * 6,
            id="isolated",
        ),
        pytest.param(
            Partition.MAJORITY_RING,
            lambda cut: (
                all(len(reach(cut, n)) == 5 for n in NODES)
                and len({frozenset(reach(cut, n)) for n in NODES}) == 7
            ),
            id="majority ring",
        ),
        pytest.param(
            Partition.ONE_WAY,
            lambda cut: len(cut) == 6 and not any((b, a) in cut for a, b in cut),
            id="one way",
        ),
        pytest.param(Partition.SCATTERED, lambda cut: 5 <= len(cut) <= 25, id="scattered"),
        pytest.param(Partition.NONE, lambda cut: cut == (), id="none"),
    ],
)
def test_a_cut_has_the_shape_asked_for(
    shape: Partition, is_shaped: Callable[[tuple[Link, ...]], bool]
) -> None:
    network = make_network(partition=shape)
    for _ in range(10):
        assert is_shaped(network.cut())


def test_a_cut_link_carries_nothing_until_it_heals() -> None:
    network = make_network(partition=Partition.ISOLATED, delay_ms=1)
    a, b = network.cut()[0]
    assert network.travel(a, b) == ()

    network.heal()

    assert network.travel(a, b) == (1,)


def test_calm_ends_everything_for_good() -> None:
    network = make_network(partition=Partition.HALVES, loss_permille=1000)
    network.cut()
    network.calm()

    assert network.cut() == ()
    assert all(network.travel(a, b) == (CALM_DELAY_MS,) for a in NODES for b in NODES)
