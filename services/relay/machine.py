"""The relay's decisions: which operation gets which nonce, what is sent, when it is settled. Pure.

``step(lane, event) -> Transition(lane, effects)``. The shell stores the effects in one database
transaction and sends afterwards, so a crash at any point leaves a lane from which the same bytes
are sent again.

What stays true:

- An operation stands at one nonce at a time, and leaves it only when a final block holds another
  transaction of that nonce.
- At most ``WINDOW`` nonces from the lowest unsettled one on were ever signed. A process that starts
  may know less than one before it signed (it runs on an old backup). So it first settles a whole
  window, with its own transactions where it has some and with fences elsewhere, and signs
  nothing new before that. Whatever an earlier process left in some node's pool is then either in a
  final block, and read from there, or void for ever.

Spec: RELAY-ONE-NONCE, RELAY-WINDOW, RELAY-FENCE, RELAY-REPLACE, RELAY-ONE-SIGNER.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from node.primitives.errors import InvariantViolation, Misconfigured
from node.primitives.types import Height
from services.relay.operations import FENCE, Word, compute_void

WINDOW: Final = 32
"""Most nonces signed and not settled. Never lowered: an older process may have used it all."""

RESEND_MS: Final = 6_000
"""How long an accepted transaction may wait before it is sent again, to another node."""

BACKOFF_MS: Final = 1_000
"""First wait after a node could not take a transaction; doubles up to ``BACKOFF_MS_MAX``."""

BACKOFF_MS_MAX: Final = 60_000


_BACKOFF_DOUBLINGS_MAX: Final = 16


class ForeignSigner(Misconfigured):
    """Somebody else signs with this relay's key."""

    code = "relay.foreign_signer"


class Stage(StrEnum):
    """How far a slot's transaction has come; the names of the states services are told."""

    BATCHED = "batched"
    SENT = "sent"
    MINED = "mined"


class Loss(StrEnum):
    """What becomes of an operation when another transaction takes its nonce."""

    REQUEUE = "requeue"
    REPLACED = "replaced"
    FAILED = "failed"


class Answer(StrEnum):
    """What a node said about a transaction."""

    ACCEPTED = "accepted"
    MINED = "mined"
    BUSY = "busy"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A signed transaction for a nonce."""

    word: Word
    """What its tail says: an operation, ``FENCE``, or the void of an operation."""
    is_filler: bool = False
    """It carries no operation."""
    loss: Loss = Loss.REQUEUE
    """What becomes of the operation if the nonce goes to another."""
    reason: str = ""
    """Why it was given up, if it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A nonce that no final block holds yet."""

    nonce: int
    """The nonce."""
    candidates: tuple[Candidate, ...]
    """At most two, oldest first; the last one is sent, any may win."""
    stage: Stage = Stage.BATCHED
    """How far the last one has come, by the word of nodes."""
    attempts: int = 0
    """How often it was sent; chooses the node."""
    refusals: int = 0
    """How many nodes in a row refused it for good."""
    due_ms: int = 0
    """When it is to be sent next."""

    @property
    def current(self) -> Candidate:
        """Return the one to send."""
        return self.candidates[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The relay's account as far as this process knows it."""

    next_nonce: int
    """Lowest nonce that no final block holds."""
    slots: tuple[Slot, ...] = ()
    """Signed nonces from ``next_nonce`` on, without a gap."""
    fence_end: int | None = None
    """New operations are signed once ``next_nonce`` is here; None until the lane is opened."""

    @property
    def is_open(self) -> bool:
        """Tell whether new operations may be signed."""
        return self.fence_end is not None and self.next_nonce >= self.fence_end


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The process has read every final block up to one made after it started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """Operations wait, in the order in which they should go."""

    words: tuple[Word, ...]
    """Their words."""
    voids: tuple[Word, ...] = ()
    """Voids of operations that were withdrawn while they waited; these go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A service no longer wants an operation that stands at a nonce."""

    word: Word
    """Its word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Time has passed."""

    now_ms: int
    """The present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A node answered, or did not."""

    nonce: int
    """Nonce of what was sent."""
    word: Word
    """Operation of what was sent."""
    answer: Answer
    """What it said."""
    reason: str
    """The node's stable code, when it refused."""
    node_count: int
    """How many nodes there are to ask."""
    now_ms: int
    """The present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A final block holds a transaction of the relay's account."""

    nonce: int
    """Its nonce."""
    word: Word | None
    """Operation it names, None when it has no tail."""
    is_success: bool
    """False when the call reverted."""
    height: Height
    """The block's height."""


_FENCE: Final = Candidate(word=FENCE, is_filler=True)

Event: TypeAlias = Opened | Offered | Withdrawn | Ticked | Answered | Landed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Sign and store a transaction before anything else happens to it."""

    nonce: int
    """Its nonce."""
    candidate: Candidate
    """What it carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send a stored transaction to one node."""

    nonce: int
    """Its nonce."""
    word: Word
    """Operation it carries."""
    attempt: int
    """Chooses the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Store what becomes of a candidate that lost its turn."""

    nonce: int
    """Its nonce."""
    candidate: Candidate
    """The candidate with its fate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Tell the service how far its operation has come, by the word of a node."""

    word: Word
    """The operation."""
    stage: Stage
    """How far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """A nonce is settled: forget its slot and tell every service concerned."""

    landed: Landed
    """What the block holds."""
    losers: tuple[Candidate, ...]
    """Other transactions of that nonce, void now."""


Effect: TypeAlias = Sign | Send | GiveUp | Note | Settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What an event changes."""

    lane: Lane
    """The lane after it."""
    effects: tuple[Effect, ...] = ()
    """What the shell does, in this order."""


def step(lane: Lane, event: Event) -> Transition:
    """Decide what one event changes.

    Raises:
        ForeignSigner: A final block holds a transaction of our key that we did not sign.
        InvariantViolation: Nonces of one account came out of order.
    """
    match event:
        case Opened():
            return _upon_opened(lane)
        case Offered():
            return _upon_offered(lane, event)
        case Withdrawn():
            return _upon_withdrawn(lane, event.word)
        case Ticked():
            return _upon_ticked(lane, event.now_ms)
        case Answered():
            return _upon_answered(lane, event)
        case Landed():
            return _upon_landed(lane, event)
        case _:
            assert_never(event)


def _upon_opened(lane: Lane) -> Transition:
    """Fill the window with fences behind what is signed already.

    Spec: RELAY-FENCE.
    """
    if lane.fence_end is not None:
        return Transition(lane=lane)
    end = lane.next_nonce + WINDOW
    opened = replace(lane, fence_end=end)
    return _bind(opened, (_FENCE,) * (WINDOW - len(lane.slots)))


def _upon_offered(lane: Lane, offered: Offered) -> Transition:
    """Give waiting operations the next free nonces.

    Spec: RELAY-WINDOW, RELAY-ONE-NONCE.
    """
    if not lane.is_open:
        return Transition(lane=lane)
    held = {candidate.word for slot in lane.slots for candidate in slot.candidates}
    candidates = (
        *(Candidate(word=word, is_filler=True) for word in dict.fromkeys(offered.voids)),
        *(Candidate(word=word) for word in dict.fromkeys(offered.words)),
    )
    new = tuple(candidate for candidate in candidates if candidate.word not in held)
    return _bind(lane, new[: WINDOW - len(lane.slots)])


def _bind(lane: Lane, candidates: tuple[Candidate, ...]) -> Transition:
    first = lane.next_nonce + len(lane.slots)
    bound = tuple(
        Slot(nonce=first + at, candidates=(candidate,)) for at, candidate in enumerate(candidates)
    )
    effects: list[Effect] = []
    for slot in bound:
        effects.append(Sign(nonce=slot.nonce, candidate=slot.current))
        if not slot.current.is_filler:
            effects.append(Note(word=slot.current.word, stage=Stage.BATCHED))
    return Transition(lane=replace(lane, slots=lane.slots + bound), effects=tuple(effects))


def _upon_withdrawn(lane: Lane, word: Word) -> Transition:
    """Put a void beside an operation that is no longer wanted; the chain decides who wins.

    Spec: RELAY-REPLACE.
    """
    for slot in lane.slots:
        if slot.current.word == word and not slot.current.is_filler:
            return _replace(lane, slot, Loss.REPLACED, "withdrawn")
    return Transition(lane=lane)


def _replace(lane: Lane, slot: Slot, loss: Loss, reason: str) -> Transition:
    """Sign a void for the same nonce; without prices a newer transaction takes the older's place.

    Spec: RELAY-REPLACE.
    """
    given_up = replace(slot.current, loss=loss, reason=reason)
    void = Candidate(word=compute_void(slot.current.word), is_filler=True)
    replaced = Slot(nonce=slot.nonce, candidates=(given_up, void))
    return Transition(
        lane=_with_slot(lane, replaced),
        effects=(
            GiveUp(nonce=slot.nonce, candidate=given_up),
            Sign(nonce=slot.nonce, candidate=void),
        ),
    )


def _upon_ticked(lane: Lane, now_ms: int) -> Transition:
    """Send what is due; a clock that went back makes everything due at most ``RESEND_MS`` late."""
    effects: list[Effect] = []
    slots: list[Slot] = []
    for slot in lane.slots:
        if slot.due_ms <= now_ms or slot.due_ms > now_ms + BACKOFF_MS_MAX:
            effects.append(Send(nonce=slot.nonce, word=slot.current.word, attempt=slot.attempts))
            slots.append(replace(slot, attempts=slot.attempts + 1, due_ms=now_ms + RESEND_MS))
        else:
            slots.append(slot)
    return Transition(lane=replace(lane, slots=tuple(slots)), effects=tuple(effects))


def _upon_answered(lane: Lane, event: Answered) -> Transition:
    """Note what a node said; nothing it says settles anything but a refusal by all of them.

    Spec: RELAY-FINAL, RELAY-REPLACE.
    """
    slot = _slot_of(lane, event.nonce)
    if slot is None or slot.current.word != event.word:
        return Transition(lane=lane)
    match event.answer:
        case Answer.ACCEPTED:
            calm = replace(slot, refusals=0)
            return _advance(lane, calm, Stage.SENT)
        case Answer.MINED:
            return _advance(lane, slot, Stage.MINED)
        case Answer.BUSY:
            wait_ms = min(BACKOFF_MS << min(slot.attempts, _BACKOFF_DOUBLINGS_MAX), BACKOFF_MS_MAX)
            return Transition(lane=_with_slot(lane, replace(slot, due_ms=event.now_ms + wait_ms)))
        case Answer.REFUSED:
            refused = replace(slot, refusals=slot.refusals + 1, due_ms=event.now_ms + BACKOFF_MS)
            if refused.refusals < event.node_count or slot.current.is_filler:
                return Transition(lane=_with_slot(lane, refused))
            return _replace(lane, refused, Loss.FAILED, event.reason)
        case _:
            assert_never(event.answer)


def _advance(lane: Lane, slot: Slot, stage: Stage) -> Transition:
    order = tuple(Stage)
    if order.index(stage) <= order.index(slot.stage):
        return Transition(lane=_with_slot(lane, slot))
    current = slot.current
    effects = () if current.is_filler else (Note(word=current.word, stage=stage),)
    return Transition(lane=_with_slot(lane, replace(slot, stage=stage)), effects=effects)


def _upon_landed(lane: Lane, landed: Landed) -> Transition:
    """Settle a nonce by what a final block holds.

    Spec: RELAY-FINAL, RELAY-ONE-NONCE, RELAY-ONE-SIGNER.
    """
    if landed.nonce < lane.next_nonce:
        return Transition(lane=lane)
    if landed.nonce > lane.next_nonce:
        raise InvariantViolation(
            f"nonce {landed.nonce} is final before {lane.next_nonce}", rule="RELAY-ONE-NONCE"
        )
    candidates = lane.slots[0].candidates if lane.slots else ()
    if lane.is_open and landed.word not in {candidate.word for candidate in candidates}:
        raise ForeignSigner(
            f"block {landed.height} holds a transaction with nonce {landed.nonce} of this relay's "
            "key that it did not sign; stop the other process that uses the key, then start again",
            rule="RELAY-ONE-SIGNER",
        )
    losers = tuple(
        candidate
        for candidate in candidates
        if candidate.word != landed.word and not candidate.is_filler
    )
    return Transition(
        lane=replace(lane, next_nonce=lane.next_nonce + 1, slots=lane.slots[1:]),
        effects=(Settle(landed=landed, losers=losers),),
    )


def settled_to(lane: Lane, next_nonce: int) -> Lane:
    """Return the lane with every nonce below ``next_nonce`` settled."""
    count = next_nonce - lane.next_nonce
    return replace(lane, next_nonce=next_nonce, slots=lane.slots[count:])


def _slot_of(lane: Lane, nonce: int) -> Slot | None:
    at = nonce - lane.next_nonce
    return lane.slots[at] if 0 <= at < len(lane.slots) else None


def _with_slot(lane: Lane, slot: Slot) -> Lane:
    at = slot.nonce - lane.next_nonce
    return replace(lane, slots=(*lane.slots[:at], slot, *lane.slots[at + 1 :]))
