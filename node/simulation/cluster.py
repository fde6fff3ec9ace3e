"""The nodes of a simulated network, and the one thread that carries out what they do.

The cluster delivers frames, wakes processes, crashes and restarts them, and shows every signature,
import and step to the checkers. When a process is about to do the next thing, the cluster may let
it die there instead. What else goes wrong, and when, is ``weather``; what people do is ``people``.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final, TypeAlias

from node.consensus.events import Event
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.errors import InvalidInput, LedgerError, Unavailable
from node.simulation.actions import (
    Action,
    Boundary,
    Imported,
    Later,
    Persisted,
    SignedOwn,
    Transmit,
)
from node.simulation.checkers import Broken, Checkers
from node.simulation.clock import Agenda, LocalClock
from node.simulation.dice import Dice
from node.simulation.disk import SimulatedDisk
from node.simulation.faults import Lie
from node.simulation.frames import decode_frame
from node.simulation.host import Host
from node.simulation.liars import Liar
from node.simulation.network import Network
from node.simulation.replica import Replica
from node.simulation.scenario import Scenario, count_quorum
from node.simulation.toyexecution import EPOCH_S, build_genesis
from node.simulation.trace import Trace, describe_frame, describe_message

Task: TypeAlias = Callable[[], None]

EXECUTION_MS: Final = 5
"""How long a block takes on a node that is not slow."""

BUGS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What a broken core raises; a run reports it as a violation."""


@lru_cache(maxsize=64)
def make_key(number: int) -> PrivateKey:
    """Return the key of simulated validator ``number``."""
    return PrivateKey(keccak256(f"simulated validator {number}".encode()))


class Cluster:
    """Nodes, the wire between them, and what they do to each other."""

    def __init__(self, scenario: Scenario, trace: Trace) -> None:
        """Set up the nodes; ``boot`` starts one."""
        self.scenario = scenario
        self.agenda: Agenda[Task] = Agenda()
        self.is_calm = False
        self.liars = _draw_liars(scenario)
        keys = [make_key(i) for i in range(scenario.validator_count + scenario.joiner_count)]
        keys += [keys[index] for index, lie in sorted(self.liars.items()) if lie is Lie.TWIN]
        founders = sorted(key.address for key in keys[: scenario.validator_count])
        self.genesis = build_genesis(tuple(founders))
        self.hosts = tuple(_make_host(scenario.seed, index, key) for index, key in enumerate(keys))
        self.replicas: list[Replica | None] = [None] * len(keys)
        dishonest = {keys[index].address for index in self.liars}
        self.honest = tuple(h.index for h in self.hosts if h.key.address not in dishonest)
        self.network = Network(
            seed=scenario.seed,
            node_count=len(keys),
            quorum=count_quorum(scenario.validator_count),
            faults=scenario.faults,
        )
        self.checkers = Checkers(
            self.genesis,
            scenario.parameters.epoch_length,
            frozenset(keys[index].address for index in self.honest),
        )
        self.lost: tuple[int, ...] = ()
        self.crash_count = 0
        self.evidence_count = 0
        self.own_key_count = 0
        self.boundary_counts = [0] * len(keys)
        self._trace = trace
        self._crash_dice = Dice(scenario.seed, "crash")
        self._slow_dice = Dice(scenario.seed, "slow")
        self._slow = self._slow_dice.sample(range(len(keys)), scenario.faults.slow_count)
        self._twisters = {
            index: self._make_liar(index, lie)
            for index, lie in self.liars.items()
            if lie is not Lie.TWIN
        }

    def boot(self, index: int) -> None:
        """Start a process on a host that has none, unless the host is lost."""
        if self.replicas[index] is not None or index in self.lost:
            return
        host = self.hosts[index]
        peers = tuple((h.index, h.key.address) for h in self.hosts if h is not host)
        replica = Replica(
            host,
            parameters=self.scenario.parameters,
            genesis=self.genesis,
            peers=peers,
            draw_execution_ms=partial(self._draw_execution_ms, index),
        )
        self.replicas[index] = replica
        self.note(index, "boots from a backup" if host.is_restored else "boots")
        self.act(index, replica.boot)
        if self.replicas[index] is replica:
            self.checkers.on_boot(index, replica.head.height)
        for peer, _ in peers:
            self.greet(peer, index)

    def greet(self, index: int, peer: int) -> None:
        """Let a live node notice that it can reach a live peer."""
        replica = self.replicas[index]
        if replica is not None and self.replicas[peer] is not None:
            self.act(index, partial(replica.connect, peer))

    def crash(self, index: int) -> None:
        """Let a process die; its host keeps what was synced."""
        if self.replicas[index] is None:
            return
        self.replicas[index] = None
        self.crash_count += 1
        self.hosts[index].disk.crash(self.scenario.faults.torn_tail_permille)
        self.note(index, "crashes")

    def restart_later(self, index: int, down_ms_max: int) -> None:
        """Start a dead process again after a while."""
        down_ms = 1 + self._crash_dice.below(down_ms_max + 1)
        self.agenda.add(down_ms, partial(self.boot, index))

    def act(self, index: int, start: Callable[[int], Iterator[Action]]) -> None:
        """Carry out, one by one, what a process does when ``start`` is called with the time.

        Raises:
            Broken: An invariant does not hold any more.
        """
        replica = self.replicas[index]
        if replica is None:
            return
        actions = start(self.agenda.now_ms)
        twister = self._twisters.get(index)
        if twister is not None:
            actions = twister.distort(actions, replica)
        try:
            self._carry_out(index, replica, actions)
        except Unavailable:
            self.note(index, "stops: the disk refuses")
            self._fall(index)
        except LedgerError as error:
            raise Broken("crash", f"{error.code}: {error}") from error
        except BUGS as error:
            raise Broken("crash", f"{type(error).__name__}: {error}") from error
        if self.replicas[index] is replica:
            self.checkers.on_step(replica.state)

    def agitate(self, index: int) -> None:
        """Let a liar speak up."""
        replica, twister = self.replicas[index], self._twisters.get(index)
        if replica is not None and twister is not None:
            self.act(index, lambda now_ms: twister.agitate(replica))

    def note(self, index: int, what: str) -> None:
        """Put a line about a node on the trace."""
        self._trace.note(self.agenda.now_ms, f"n{index}", what)

    def live_honest(self) -> tuple[Replica, ...]:
        """Return the honest processes that live."""
        alive = (self.replicas[index] for index in self.honest)
        return tuple(replica for replica in alive if replica is not None)

    def _carry_out(self, index: int, replica: Replica, actions: Iterator[Action]) -> None:
        for action in actions:
            if self._dies_here(index):
                self._fall(index)
                return
            match action:
                case Transmit():
                    self._transmit(index, action)
                case Later():
                    self.agenda.add(action.after_ms, partial(self._wake, replica, action.event))
                case SignedOwn():
                    self.note(index, f"signs {describe_message(action.message)}")
                    self.checkers.on_sign(action.message)
                case Imported():
                    self._imported(index, action)
                case Persisted():
                    self.hosts[index].is_restored = False
                case Boundary():
                    self._count(index, action.what)

    def _transmit(self, sender: int, action: Transmit) -> None:
        """Send to the processes that live now: a connection does not outlive its ends."""
        for receiver in action.receivers:
            replica = self.replicas[receiver]
            if replica is not None:
                for delay_ms in self.network.travel(sender, receiver):
                    self.agenda.add(delay_ms, partial(self._deliver, sender, replica, action.data))

    def _deliver(self, sender: int, replica: Replica, data: bytes) -> None:
        receiver = replica.host.index
        if self.replicas[receiver] is not replica:
            return
        try:
            frame = decode_frame(data)
        except InvalidInput:
            frame = None
        self.note(receiver, f"<- n{sender} {describe_frame(frame)}")
        twister = self._twisters.get(receiver)
        if twister is not None and frame is not None:
            self.act(receiver, lambda now_ms: twister.overhear(frame, data))
            if twister.is_own(frame):
                return
        self.act(receiver, partial(replica.hear, sender, data))

    def _wake(self, replica: Replica, event: Event) -> None:
        index = replica.host.index
        if self.replicas[index] is replica:
            self.act(index, partial(replica.wake, event))

    def _imported(self, index: int, action: Imported) -> None:
        block = action.block
        decided_in = block.header.extra_data.round
        self.note(index, f"imports {block.height} {block.hash[:3].hex()} of round {decided_in}")
        self.checkers.on_import(index, block)

    def _count(self, index: int, what: str) -> None:
        if what.startswith("evidence") and index in self.honest:
            self.note(index, what)
            self.evidence_count += 1
        elif what == "own key elsewhere":
            self.note(index, what)
            self.own_key_count += 1

    def _dies_here(self, index: int) -> bool:
        """Tell whether the process dies before its next action, or its disk fills up."""
        self.boundary_counts[index] += 1
        faults = self.scenario.faults
        if self.is_calm:
            return False
        if faults.crash_node == index and self.boundary_counts[index] == faults.crash_boundary:
            return True
        dice = self._crash_dice
        if dice.has_luck(faults.disk_full_permille):
            self.hosts[index].disk.fill_up()
        down = sum(replica is None for replica in self.replicas)
        return down < faults.down_max and dice.has_luck(faults.crash_permille)

    def _fall(self, index: int) -> None:
        self.crash(index)
        self.restart_later(index, self.scenario.faults.down_ms)

    def _draw_execution_ms(self, index: int) -> int:
        if index not in self._slow or self.is_calm:
            return EXECUTION_MS
        return EXECUTION_MS + self._slow_dice.below(self.scenario.faults.slow_execution_ms + 1)

    def _make_liar(self, index: int, lie: Lie) -> Liar:
        others = tuple(host.index for host in self.hosts if host.index != index)
        dice = Dice(self.scenario.seed, f"liar {index}")
        return Liar(lie, key=self.hosts[index].key, receivers=others, dice=dice)


def _draw_liars(scenario: Scenario) -> dict[int, Lie]:
    lies = scenario.faults.lies
    dice = Dice(scenario.seed, "liars")
    return dict(zip(dice.sample(range(scenario.validator_count), len(lies)), lies, strict=True))


def _make_host(seed: int, index: int, key: PrivateKey) -> Host:
    disk = SimulatedDisk(Dice(seed, f"disk {index}"))
    return Host(index=index, key=key, disk=disk, clock=LocalClock(EPOCH_S, 0))
