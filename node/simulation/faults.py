"""Every unkindness of a simulated network as a named field.

A failure report is a seed, a commit and these fields. ``Faults()`` is a kind world; ``draw_faults``
draws an unkind one from a seed; ``parse_faults`` reads what an operator typed. Faults act until
``calm_ms``; then the network turns kind, crashed nodes return and clocks are set right, so that
liveness can be asked for. Lying validators go on lying.
"""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final

from node.primitives.errors import Misconfigured
from node.simulation.dice import Dice


class Partition(StrEnum):
    """Which links are cut while a partition lasts."""

    NONE = "none"
    """No link."""
    HALVES = "halves"
    """Between two halves, neither of them a quorum."""
    QUORUM = "quorum"
    """Between a quorum and the rest."""
    ISOLATED = "isolated"
    """Between one node and all others."""
    MAJORITY_RING = "majority-ring"
    """Every node sees a majority of the network, and no two see the same one."""
    ONE_WAY = "one-way"
    """One direction only: a node hears but is not heard, or the reverse."""
    SCATTERED = "scattered"
    """A third of all directed links, drawn at random."""


class Lie(StrEnum):
    """What a Byzantine validator does besides following the protocol."""

    EQUIVOCATE = "equivocate"
    """Proposes different blocks to different validators."""
    WITHHOLD = "withhold"
    """Sends each message to a random part of the network, often to nobody."""
    DOUBLE_VOTE = "double-vote"
    """Prepares and commits every digest it hears of, in one round."""
    WRONG_DIGEST = "wrong-digest"
    """Votes for digests nobody proposed."""
    BAD_SEAL = "bad-seal"
    """Puts a worthless commit seal into an otherwise valid Commit."""
    FORGED_JUSTIFICATION = "forged-justification"
    """Proposes in later rounds on justifications that it patched together."""
    ROUND_SPAM = "round-spam"
    """Floods round changes for huge rounds and votes for far heights."""
    TWIN = "twin"
    """Runs twice: two honest processes with one key and separate disks."""
    CENSOR = "censor"
    """Builds blocks without the transactions that wait."""
    FUTURE_TIMESTAMP = "future-timestamp"
    """Builds blocks whose timestamp lies in the future."""
    INVALID_BLOCK = "invalid-block"
    """Builds blocks that fail validation: wrong state root, gas limit, parent, set or roots."""
    GARBAGE = "garbage"
    """Sends truncated, mutated and nested bytes."""
    REPLAY = "replay"
    """Sends old messages of others again."""
    FORGED_SYNC = "forged-sync"
    """Answers block requests with blocks that carry too few, repeated or foreign seals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong in a run, and until when."""

    loss_permille: int = 0
    """Chance that a message is lost."""
    delay_ms: int = 10
    """Least time a message travels."""
    jitter_ms: int = 0
    """Most time added to the delay at random."""
    reorder_permille: int = 0
    """Chance that a message is held back, so that later ones overtake it."""
    reorder_ms: int = 500
    """Longest that such a message is held back."""
    duplicate_permille: int = 0
    """Chance that a message arrives twice."""
    partition: Partition = Partition.NONE
    """Shape of the cut while a partition lasts."""
    partition_ms: int = 4_000
    """How long a cut lasts; a short one with a short ``whole_ms`` is a flapping network."""
    whole_ms: int = 4_000
    """How long the network is whole between two cuts."""
    dead_count: int = 0
    """How many nodes are off from the start, until the calm."""
    lost_count: int = 0
    """How many nodes are off from the start and never return."""
    crash_permille: int = 0
    """Chance, at every boundary between two effects, that the node crashes there."""
    crash_node: int = -1
    """Node to crash at ``crash_boundary``; -1 for none."""
    crash_boundary: int = 0
    """Which boundary of ``crash_node``, counted from its first."""
    down_max: int = 1
    """Most nodes down at once through ``crash_permille``."""
    down_ms: int = 3_000
    """Longest a crashed node stays down."""
    power_loss_count: int = 0
    """How often all nodes lose power at the same instant."""
    restore_count: int = 0
    """How many nodes lose their disk and return from an older backup, or with an empty disk."""
    torn_tail_permille: int = 0
    """Chance that a crash leaves half of an unsynced write on disk."""
    disk_full_permille: int = 0
    """Chance that a write is refused; the node stops, and restarts with room again."""
    clock_skew_ms: int = 0
    """Largest error of a skewed clock from the start."""
    clock_jump_ms: int = 0
    """Largest jump of a skewed clock, either way, several times in a run."""
    skewed_count: int = 0
    """How many clocks are wrong."""
    slow_execution_ms: int = 0
    """Longest time a slow node takes to build or validate a block."""
    slow_count: int = 0
    """How many nodes execute slowly."""
    lies: tuple[Lie, ...] = ()
    """One lying validator for each; at most f of them for the invariants to hold."""
    calm_ms: int = 40_000
    """When all faults but the liars cease."""


FAULT_NAMES: Final = tuple(field.name for field in fields(Faults))


def draw_faults(dice: Dice, *, fault_max: int, node_count: int) -> Faults:
    """Draw an unkind world: each kind of fault is present in a third to a half of all runs.

    Args:
        dice: Where to draw from.
        fault_max: f of the network: how many validators may lie.
        node_count: How many nodes take part.
    """
    drawn: dict[str, object] = {"delay_ms": dice.pick((1, 10, 50, 150))}
    drawn |= _draw_links(dice)
    drawn |= _draw_crashes(dice, node_count)
    if dice.has_luck(350):
        drawn["clock_skew_ms"] = dice.pick((500, 1_000, 5_000, 60_000))
        drawn["clock_jump_ms"] = dice.pick((0, 0, 1_000, 30_000))
        drawn["skewed_count"] = dice.between(1, fault_max)
    if dice.has_luck(250):
        drawn["slow_execution_ms"] = dice.pick((200, 1_500, 6_000))
        drawn["slow_count"] = dice.between(1, node_count)
    restored = dice.between(1, fault_max) if dice.has_luck(150) else 0
    if restored:
        drawn["restore_count"] = restored
    if fault_max > restored and dice.has_luck(600):
        drawn["lies"] = dice.sample(tuple(Lie), dice.between(1, fault_max - restored))
    return replace(Faults(), **drawn)  # type: ignore[arg-type]


def _draw_links(dice: Dice) -> dict[str, object]:
    drawn: dict[str, object] = {}
    if dice.has_luck(450):
        drawn["loss_permille"] = dice.pick((10, 50, 100, 200, 300))
    if dice.has_luck(450):
        drawn["jitter_ms"] = dice.pick((20, 100, 400, 1_500))
    if dice.has_luck(350):
        drawn["reorder_permille"] = dice.pick((20, 100, 300))
        drawn["reorder_ms"] = dice.pick((100, 1_000, 6_000))
    if dice.has_luck(350):
        drawn["duplicate_permille"] = dice.pick((20, 100, 500))
    if dice.has_luck(500):
        drawn["partition"] = dice.pick(tuple(Partition)[1:])
        drawn["partition_ms"] = dice.pick((300, 2_000, 8_000, 20_000))
        drawn["whole_ms"] = dice.pick((200, 2_000, 8_000))
    return drawn


def _draw_crashes(dice: Dice, node_count: int) -> dict[str, object]:
    drawn: dict[str, object] = {}
    if dice.has_luck(400):
        drawn["crash_permille"] = dice.pick((2, 10, 40))
        drawn["down_max"] = dice.between(1, node_count)
        drawn["down_ms"] = dice.pick((0, 500, 3_000, 12_000))
        drawn["torn_tail_permille"] = dice.pick((0, 500))
    if dice.has_luck(100):
        drawn["dead_count"] = dice.between(1, node_count - 1)
    if dice.has_luck(200):
        drawn["power_loss_count"] = dice.between(1, 3)
        drawn["torn_tail_permille"] = 500
    if dice.has_luck(100):
        drawn["disk_full_permille"] = dice.pick((2, 10))
    return drawn


def format_faults(faults: Faults) -> str:
    """Return the fields that differ from a kind world, as ``parse_faults`` reads them."""
    kind = Faults()
    return ",".join(
        f"{name}={_format_value(getattr(faults, name))}"
        for name in FAULT_NAMES
        if getattr(faults, name) != getattr(kind, name)
    )


def parse_faults(text: str, base: Faults) -> Faults:
    """Read ``name=value`` pairs, separated by commas, over ``base``.

    Raises:
        Misconfigured: A name is unknown or a value does not fit.
    """
    changed: dict[str, object] = {}
    for pair in filter(None, text.split(",")):
        name, _, value = pair.partition("=")
        if name not in FAULT_NAMES:
            known = ", ".join(FAULT_NAMES)
            raise Misconfigured(f"fault {name!r} is unknown; use one of {known}")
        try:
            changed[name] = _parse_value(name, value)
        except ValueError as error:
            raise Misconfigured(f"fault {name}={value!r}: {error}; correct the value") from error
    return replace(base, **changed)  # type: ignore[arg-type]


def _parse_value(name: str, value: str) -> object:
    match name:
        case "partition":
            return Partition(value)
        case "lies":
            return tuple(Lie(word) for word in value.split("+") if word)
        case _:
            return int(value)


def _format_value(value: int | Partition | tuple[Lie, ...]) -> str:
    return "+".join(value) if isinstance(value, tuple) else str(value)
