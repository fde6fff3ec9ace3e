"""Validators, blocks, messages and a driver for the consensus core, with a default for everything.

``Driver`` plays the shell for one validator: it answers what the core asks at once (signs, builds,
finds blocks valid) unless told not to, and keeps every effect. Four validators unless said
otherwise, so that a quorum is three; ``PROPOSER`` has the first turn at height 1.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from node.consensus.effects import (
    BuildBlock,
    Effect,
    Persist,
    PersistAndSign,
    Reject,
    RejectReason,
    ValidateBlock,
)
from node.consensus.events import (
    BlockBuilt,
    BlockValidated,
    ContentChanged,
    Event,
    MessageReceived,
    MessageSigned,
    NewHead,
    Started,
    TimerExpired,
    TimerKind,
)
from node.consensus.machine import start, step
from node.consensus.messages import (
    Commit,
    CommitDraft,
    Message,
    Prepare,
    PreparedCertificate,
    PreparePayload,
    Proposal,
    ProposalDraft,
    ProposalPayload,
    RoundChange,
    RoundChangeDraft,
    RoundChangePayload,
    sign_draft,
)
from node.consensus.parameters import ConsensusParameters
from node.consensus.sign_state import SignState, decode_sign_state, encode_sign_state
from node.consensus.state import State
from node.consensus.validators import ValidatorTally, apply_header, tally_at_base
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import EMPTY_ROOT, ExtraData, Header, ValidatorVote
from node.primitives.types import (
    ZERO_ADDRESS,
    ZERO_HASH,
    Address,
    BlockHash,
    Digest,
    Height,
    Round,
)

E = TypeVar("E")

GENESIS_TIME_S: Final = 1_000
PARAMETERS: Final = ConsensusParameters()
DUE_MS: Final = (GENESIS_TIME_S + PARAMETERS.period_s) * 1000


def make_keys(count: int, label: str = "validator") -> tuple[PrivateKey, ...]:
    """Make development keys, ascending by address."""
    keys = [PrivateKey(keccak256(f"test {label} {at}".encode())) for at in range(count)]
    return tuple(sorted(keys, key=lambda key: key.address))


KEYS: Final = make_keys(4)
PROPOSER, SECOND, THIRD, FOURTH = KEYS
OUTSIDER: Final = make_keys(1, "outsider")[0]


def addresses(keys: Iterable[PrivateKey]) -> tuple[Address, ...]:
    return tuple(sorted(key.address for key in keys))


def genesis_header(keys: Iterable[PrivateKey] = KEYS) -> Header:
    return Header(
        parent_hash=BlockHash(ZERO_HASH),
        coinbase=ZERO_ADDRESS,
        state_root=EMPTY_ROOT,
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        height=Height(0),
        gas_limit=30_000_000,
        gas_used=0,
        timestamp_s=GENESIS_TIME_S,
        extra_data=ExtraData(validators=addresses(keys)),
    )


GENESIS: Final = genesis_header()
TALLY: Final = tally_at_base(GENESIS)


def block_by(
    creator: PrivateKey = PROPOSER,
    *,
    parent: Header = GENESIS,
    at: int = 0,
    label: str = "",
    timestamp_s: int | None = None,
    validators: tuple[Address, ...] | None = None,
    vote: ValidatorVote | None = None,
) -> Block:
    """Make a block; ``label`` tells blocks of one height apart."""
    extra = ExtraData(
        validators=validators or parent.extra_data.validators, vote=vote, round=Round(at)
    )
    return Block(
        header=Header(
            parent_hash=parent.hash,
            coinbase=creator.address,
            state_root=keccak256(label.encode()),
            transactions_root=EMPTY_ROOT,
            receipts_root=EMPTY_ROOT,
            height=Height(parent.height + 1),
            gas_limit=30_000_000,
            gas_used=0,
            timestamp_s=timestamp_s or parent.timestamp_s + PARAMETERS.period_s,
            extra_data=extra,
        )
    )


BLOCK: Final = block_by()
OTHER_BLOCK: Final = block_by(label="other")


def propose(
    block: Block = BLOCK,
    key: PrivateKey = PROPOSER,
    *,
    round_changes: Iterable[RoundChange] = (),
    prepares: Iterable[Prepare] = (),
) -> Proposal:
    """Sign a proposal of ``block`` in the round it carries."""
    payload = ProposalPayload(height=block.height, round=block.header.extra_data.round, block=block)
    draft = ProposalDraft(
        payload=payload,
        round_changes=tuple(message.signed for message in round_changes),
        prepares=tuple(message.signed for message in prepares),
    )
    message = sign_draft(draft, key.sign, key.address)
    assert isinstance(message, Proposal)
    return message


def prepare(
    key: PrivateKey, block: Block = BLOCK, *, at: int | None = None, height: int | None = None
) -> Prepare:
    payload = PreparePayload(
        height=block.height if height is None else Height(height),
        round=block.header.extra_data.round if at is None else Round(at),
        digest=block.digest,
    )
    message = sign_draft(payload, key.sign, key.address)
    assert isinstance(message, Prepare)
    return message


def commit(
    key: PrivateKey, block: Block = BLOCK, *, at: int | None = None, height: int | None = None
) -> Commit:
    draft = CommitDraft(
        height=block.height if height is None else Height(height),
        round=block.header.extra_data.round if at is None else Round(at),
        digest=block.digest,
    )
    message = sign_draft(draft, key.sign, key.address)
    assert isinstance(message, Commit)
    return message


def certificate(block: Block = BLOCK, by: Iterable[PrivateKey] = KEYS[:3]) -> PreparedCertificate:
    signed = sorted((prepare(key, block).signed for key in by), key=lambda part: part.author)
    return PreparedCertificate(block=block, prepares=tuple(signed))


def round_change(
    key: PrivateKey, at: int = 1, *, held: PreparedCertificate | None = None, height: int = 1
) -> RoundChange:
    payload = RoundChangePayload(
        height=Height(height),
        round=Round(at),
        prepared=None if held is None else held.metadata,
    )
    draft = RoundChangeDraft(payload=payload, certificate=held)
    message = sign_draft(draft, key.sign, key.address)
    assert isinstance(message, RoundChange)
    return message


def sealed(block: Block, by: Iterable[PrivateKey] = KEYS) -> Block:
    """Return the block with the seals of ``by``."""
    return block.with_seals(tuple(key.sign(block.header.seal_hash) for key in by))


@dataclass
class Driver:
    """The shell of one validator, answering at once."""

    key: PrivateKey = SECOND
    """Our validator key; the proposer of round 0 is another unless told so."""
    parameters: ConsensusParameters = PARAMETERS
    head: Header = GENESIS
    tally: ValidatorTally = TALLY
    sign_state: SignState | None = None
    is_restored: bool = False
    is_syncing: bool = False
    has_content: bool = True
    is_valid: bool = True
    """What validation says of every block."""
    answers: bool = True
    """Whether signing, building and validating are answered."""
    now_ms: int = DUE_MS
    pending_votes: tuple[ValidatorVote, ...] = ()
    state: State = field(init=False)
    effects: list[Effect] = field(default_factory=list)
    """All so far, in order."""
    signed: list[Message] = field(default_factory=list)
    """Every message signed, in order."""
    stored: list[bytes] = field(default_factory=list)
    """Sign-state records made durable, in order."""

    def __post_init__(self) -> None:
        self._start(self.sign_state)

    def restart(self, *, forget: bool = False, is_restored: bool = False) -> tuple[Effect, ...]:
        """Come up again from what is on disk: the chain's head and the last record."""
        record = None if forget or not self.stored else decode_sign_state(self.stored[-1])
        self.is_restored = is_restored
        return self._start(record)

    def feed(self, *events: Event | Message) -> tuple[Effect, ...]:
        """Feed events or messages, answer what the core asks, return all effects they led to."""
        before = len(self.effects)
        for event in events:
            self._run(event)
        return tuple(self.effects[before:])

    def begin(self) -> tuple[Effect, ...]:
        """Let the block timer fire with something to include."""
        return self.feed(
            ContentChanged(has_content=self.has_content, now_ms=self.now_ms),
            TimerExpired(
                kind=TimerKind.BLOCK,
                height=self.state.height,
                round=Round(0),
                now_ms=self.now_ms,
            ),
        )

    def time_out(self) -> tuple[Effect, ...]:
        """Let the timer of the current round fire."""
        return self.feed(self.round_timeout())

    def round_timeout(self) -> TimerExpired:
        return TimerExpired(
            kind=TimerKind.ROUND,
            height=self.state.height,
            round=self.state.round,
            now_ms=self.now_ms,
        )

    def import_block(self, block: Block) -> tuple[Effect, ...]:
        """Make ``block`` the head, as after a decision or sync."""
        self.head = block.header
        self.tally = apply_header(
            self.tally, block.header, epoch_length=self.parameters.epoch_length
        )
        return self.feed(NewHead(head=self.head, tally=self.tally, now_ms=self.now_ms))

    def _start(self, record: SignState | None) -> tuple[Effect, ...]:
        event = Started(
            head=self.head,
            tally=self.tally,
            sign_state=record,
            is_restored=self.is_restored,
            pending_votes=self.pending_votes,
            is_syncing=self.is_syncing,
            now_ms=self.now_ms,
        )
        transition = start(self.parameters, self.key.address, event)
        self.state = transition.state
        before = len(self.effects)
        queue: deque[Event] = deque()
        self._carry_out(queue, transition.effects)
        self._drain(queue)
        return tuple(self.effects[before:])

    def _run(self, event: Event | Message) -> None:
        if isinstance(event, Proposal | Prepare | Commit | RoundChange):
            event = MessageReceived(message=event, source=event.signed.author, now_ms=self.now_ms)
        self._drain(deque([event]))

    def _drain(self, queue: deque[Event]) -> None:
        while queue:
            transition = step(self.state, queue.popleft())
            self.state = transition.state
            self._carry_out(queue, transition.effects)

    def _carry_out(self, queue: deque[Event], effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            self.effects.append(effect)
            if isinstance(effect, Persist | PersistAndSign):
                self.stored.append(encode_sign_state(effect.sign_state))
            if self.answers:
                queue.extend(self._answer(effect))

    def _answer(self, effect: Effect) -> list[Event]:
        match effect:
            case PersistAndSign(draft=draft):
                message = sign_draft(draft, self.key.sign, self.key.address)
                self.signed.append(message)
                return [MessageSigned(message=message, now_ms=self.now_ms)]
            case ValidateBlock(block=block):
                answer = BlockValidated(
                    block_hash=block.hash, is_valid=self.is_valid, now_ms=self.now_ms
                )
                return [answer]
            case BuildBlock():
                return [
                    BlockBuilt(
                        height=effect.height,
                        round=effect.round,
                        block=self._build(effect),
                        now_ms=self.now_ms,
                    )
                ]
            case _:
                return []

    def _build(self, effect: BuildBlock) -> Block | None:
        if not self.has_content and not effect.may_be_empty:
            return None
        header = replace(
            block_by(self.key, parent=effect.parent).header,
            timestamp_s=effect.timestamp_s,
            extra_data=effect.extra_data,
        )
        return Block(header=header)


def of_kind(effects: Iterable[Effect], kind: type[E]) -> list[E]:
    """Return the effects of one kind, in order."""
    return [effect for effect in effects if isinstance(effect, kind)]


def reasons(effects: Iterable[Effect]) -> list[RejectReason]:
    """Return why messages were refused."""
    return [effect.reason for effect in of_kind(effects, Reject)]


def digests(messages: Iterable[Message], kind: type[Prepare] | type[Commit]) -> list[Digest]:
    """Return the digests voted for by messages of one kind."""
    return [message.signed.payload.digest for message in messages if isinstance(message, kind)]
