"""The simulated network: which messages arrive, how often and when.

Links are directed. ``travel`` answers with the delays after which copies of a message arrive; no
delay means that it is lost. Partitions come and go by ``cut`` and ``heal``, which the cluster calls
on its agenda; ``calm`` ends all of it.
"""

from collections.abc import Iterable

from node.simulation.dice import Dice
from node.simulation.faults import Faults, Partition

CALM_DELAY_MS = 10
"""How long a message travels once faults have ceased."""

Link = tuple[int, int]


class Network:
    """The links between ``node_count`` nodes, as the faults have them."""

    def __init__(self, *, seed: int, node_count: int, quorum: int, faults: Faults) -> None:
        """Start whole."""
        self._faults = faults
        self._node_count = node_count
        self._quorum = quorum
        self._travel_dice = Dice(seed, "travel")
        self._cut_dice = Dice(seed, "cut")
        self._cut: frozenset[Link] = frozenset()
        self._is_calm = False

    def travel(self, sender: int, receiver: int) -> tuple[int, ...]:
        """Return the delay in milliseconds of every copy that arrives; none when lost."""
        if self._is_calm:
            return (CALM_DELAY_MS,)
        if (sender, receiver) in self._cut:
            return ()
        faults, dice = self._faults, self._travel_dice
        if dice.has_luck(faults.loss_permille):
            return ()
        copies = 2 if dice.has_luck(faults.duplicate_permille) else 1
        return tuple(self._draw_delay() for _ in range(copies))

    def cut(self) -> tuple[Link, ...]:
        """Cut links in the shape the faults name; return them in order, for the trace."""
        dice, shape, count = self._cut_dice, self._faults.partition, self._node_count
        self._cut = frozenset(() if self._is_calm else _draw_cut(dice, shape, count, self._quorum))
        return tuple(sorted(self._cut))

    def cut_off(self, index: int) -> None:
        """Cut all links of one node, besides those cut already."""
        others = [other for other in range(self._node_count) if other != index]
        self._cut |= {(index, other) for other in others} | {(other, index) for other in others}

    def split(self, group: tuple[int, ...]) -> None:
        """Cut exactly the links between ``group`` and all others."""
        self._cut = frozenset(_between(group, range(self._node_count)))

    def heal(self) -> None:
        """Join all links again."""
        self._cut = frozenset()

    def calm(self) -> None:
        """End all faults of the network for the rest of the run."""
        self._is_calm = True
        self.heal()

    def _draw_delay(self) -> int:
        faults, dice = self._faults, self._travel_dice
        delay = faults.delay_ms
        if faults.jitter_ms:
            delay += dice.below(faults.jitter_ms + 1)
        if dice.has_luck(faults.reorder_permille):
            delay += dice.below(faults.reorder_ms + 1)
        return delay


def _draw_cut(dice: Dice, shape: Partition, count: int, quorum: int) -> Iterable[Link]:
    nodes = range(count)
    match shape:
        case Partition.NONE:
            return ()
        case Partition.HALVES:
            return _between(dice.sample(nodes, count // 2), nodes)
        case Partition.QUORUM:
            return _between(dice.sample(nodes, quorum), nodes)
        case Partition.ISOLATED:
            return _between(dice.sample(nodes, 1), nodes)
        case Partition.MAJORITY_RING:
            return _majority_ring(dice.sample(nodes, count))
        case Partition.ONE_WAY:
            lonely, is_deaf = dice.pick(nodes), dice.has_luck(500)
            others = [node for node in nodes if node != lonely]
            return [(other, lonely) if is_deaf else (lonely, other) for other in others]
        case Partition.SCATTERED:
            return [(a, b) for a in nodes for b in nodes if a != b and dice.has_luck(333)]


def _between(group: tuple[int, ...], nodes: Iterable[int]) -> list[Link]:
    outside = [node for node in nodes if node not in group]
    return [(a, b) for a in group for b in outside] + [(b, a) for a in group for b in outside]


def _majority_ring(ring: tuple[int, ...]) -> list[Link]:
    """Cut all but the nearest neighbours on a ring, so that each node still sees a majority."""
    count = len(ring)
    reach = (count // 2 + 1) // 2
    links: list[Link] = []
    for at, node in enumerate(ring):
        for step in range(1, count):
            distance = min(step, count - step)
            if distance > reach:
                links.append((node, ring[(at + step) % count]))
    return links
