"""What a replica does, one thing at a time: the stream between it and the cluster.

The cluster carries actions out in order and may crash the node between any two.
"""

from dataclasses import dataclass
from typing import TypeAlias

from node.consensus.events import Event
from node.consensus.messages import Message
from node.consensus.sign_state import SignState
from node.primitives.block import Block
from node.simulation.frames import Frame


@dataclass(frozen=True, slots=True)
class Transmit:
    """Put a frame on the wire, once to each receiver."""

    receivers: tuple[int, ...]
    """Nodes, by index."""
    frame: Frame | None
    """What it is, for the trace and for liars; None for bytes that are nothing."""
    data: bytes
    """Its bytes."""


@dataclass(frozen=True, slots=True)
class Later:
    """Hand an event to the core after a while, if the process still lives."""

    after_ms: int
    """From now."""
    event: Event
    """Stamped with the node's clock when handed over."""


@dataclass(frozen=True, slots=True)
class Persisted:
    """The sign-state is durable; nothing is signed yet."""

    sign_state: SignState
    """What was written."""


@dataclass(frozen=True, slots=True)
class SignedOwn:
    """A message now carries our signature; nobody has seen it."""

    message: Message
    """The message."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A block is final and durable here."""

    block: Block
    """With the seals this node holds."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """Nothing happened; the process may die here as well."""

    what: str
    """Between which steps, for the trace."""


Action: TypeAlias = Transmit | Later | Persisted | SignedOwn | Imported | Boundary
