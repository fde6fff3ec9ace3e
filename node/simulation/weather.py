"""When faults strike: partitions, clocks, power, backups, and at last the calm.

Faults that strike at a moment are put on the cluster's agenda here. Those that accompany every
message or boundary (loss, delay, crashes) act in ``network`` and ``cluster``.
"""

from functools import partial
from typing import Final

from node.simulation.cluster import Cluster
from node.simulation.dice import Dice
from node.simulation.disk import Image
from node.simulation.faults import Partition
from node.simulation.network import Link

JUMP_MS: Final = 5_000
"""Time between two jumps of a wrong clock."""


class Weather:
    """What befalls one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        """Draw who has which clock; ``begin`` puts the rest on the agenda."""
        self._cluster = cluster
        self._faults = cluster.scenario.faults
        self._dice = Dice(cluster.scenario.seed, "weather")
        self._cut: tuple[Link, ...] = ()
        off = self._dice.sample(cluster.honest, self._faults.dead_count + self._faults.lost_count)
        self._dead = off[: self._faults.dead_count]
        cluster.lost = off[self._faults.dead_count :]

    def begin(self) -> None:
        """Start the nodes, but for the dead ones, and put on the agenda what will go wrong."""
        cluster, faults, dice = self._cluster, self._faults, self._dice
        if faults.partition is not Partition.NONE:
            cluster.agenda.add(dice.below(faults.whole_ms + 1), self._cut_links)
        for index in dice.sample(cluster.honest, faults.skewed_count):
            skew = faults.clock_skew_ms
            cluster.hosts[index].clock.jump(dice.pick((-skew, skew, dice.between(-skew, skew))))
            if faults.clock_jump_ms:
                cluster.agenda.add(JUMP_MS, partial(self._jump, index))
        for _ in range(faults.power_loss_count):
            cluster.agenda.add(dice.between(1, self._soon()), self._lose_power)
        for index in dice.sample(cluster.honest, faults.restore_count):
            saved_ms, lost_ms = sorted((dice.between(1, self._soon()), dice.below(self._soon())))
            cluster.agenda.add(saved_ms, partial(self._back_up, index, lost_ms - saved_ms))
        for host in cluster.hosts:
            if host.index not in self._dead:
                cluster.boot(host.index)

    def calm(self) -> None:
        """End all faults: whole network, right clocks, everyone up."""
        cluster = self._cluster
        cluster.is_calm = True
        cluster.network.calm()
        for host in cluster.hosts:
            host.clock.offset_ms = 0
            cluster.boot(host.index)
        self._reconnect()

    def _soon(self) -> int:
        """Return the time by which faults of one moment strike: most runs are calm soon after."""
        return min(self._faults.calm_ms, 12_000)

    def _cut_links(self) -> None:
        cluster = self._cluster
        if cluster.is_calm:
            return
        self._cut = cluster.network.cut()
        cluster.note(0, "cut " + " ".join(f"{a}>{b}" for a, b in self._cut))
        cluster.agenda.add(self._faults.partition_ms, self._heal_links)

    def _heal_links(self) -> None:
        cluster = self._cluster
        if cluster.is_calm:
            return
        cluster.network.heal()
        cluster.note(0, "healed")
        self._reconnect()
        cluster.agenda.add(self._faults.whole_ms, self._cut_links)

    def _reconnect(self) -> None:
        """Let both ends of every link that was cut notice that it works again."""
        for a, b in sorted({(a, b) for a, b in self._cut} | {(b, a) for a, b in self._cut}):
            self._cluster.greet(a, b)
        self._cut = ()

    def _jump(self, index: int) -> None:
        cluster, far = self._cluster, self._faults.clock_jump_ms
        if cluster.is_calm:
            return
        by_ms = self._dice.between(-far, far)
        cluster.hosts[index].clock.jump(by_ms)
        cluster.note(index, f"clock jumps by {by_ms} ms")
        cluster.agenda.add(JUMP_MS, partial(self._jump, index))

    def _lose_power(self) -> None:
        cluster = self._cluster
        if cluster.is_calm:
            return
        for host in cluster.hosts:
            if cluster.replicas[host.index] is not None:
                cluster.crash(host.index)
                cluster.restart_later(host.index, self._faults.down_ms)

    def _back_up(self, index: int, until_lost_ms: int) -> None:
        is_kept = self._dice.has_luck(700)
        image = self._cluster.hosts[index].disk.read_image() if is_kept else ()
        self._cluster.note(index, "is backed up")
        self._cluster.agenda.add(until_lost_ms, partial(self._restore, index, image))

    def _restore(self, index: int, image: Image) -> None:
        cluster = self._cluster
        if cluster.is_calm:
            return
        host = cluster.hosts[index]
        if cluster.replicas[index] is None:
            return
        cluster.crash(index)
        host.disk.restore(image)
        host.is_restored = True
        cluster.checkers.on_restore(index)
        cluster.note(index, "is restored from its backup")
        cluster.restart_later(index, self._faults.down_ms)
