"""One simulated node: the shell around the real consensus core, as ``runtime`` is around it too.

Everything a replica does comes out of its methods as a stream of actions, and the cluster carries
them out one by one. Between any two of them the process may die: the cluster drops the stream, and
what had not been synced is gone. So every boundary between persisting, signing, sending and
importing is a point where a run can crash a node, without a word about crashes in here.

Block sync is a model of ``p2p.sync``: nodes tell each other their height, ask whoever is ahead, and
check seals and execution of what they get.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from node.consensus.effects import (
    Broadcast,
    BuildBlock,
    Decide,
    Effect,
    Persist,
    PersistAndSign,
    RecordEvidence,
    Reject,
    Relay,
    ReportOwnKeyElsewhere,
    RequestSync,
    Send,
    StartTimer,
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
    PeerConnected,
    PendingVotesChanged,
    Started,
    SyncChanged,
    TimerExpired,
)
from node.consensus.header_rules import check_sealed_header
from node.consensus.machine import start, step
from node.consensus.messages import Message, sign_draft
from node.consensus.parameters import ConsensusParameters
from node.consensus.sign_state import SignState, decode_sign_state, encode_sign_state
from node.consensus.state import State, Transition
from node.consensus.validators import ValidatorTally, apply_header, tally_at_base
from node.primitives.block import Block
from node.primitives.errors import InvalidInput, InvariantViolation
from node.primitives.header import ValidatorVote
from node.primitives.transaction import Transaction
from node.primitives.types import Address, BlockHash, Height, TransactionHash
from node.simulation.actions import (
    Action,
    Boundary,
    Imported,
    Later,
    Persisted,
    SignedOwn,
    Transmit,
)
from node.simulation.frames import (
    BLOCKS_PER_ANSWER_MAX,
    BlockAnswer,
    BlockRequest,
    Frame,
    Gossip,
    Said,
    Status,
    decode_frame,
    encode_frame,
    load_block,
)
from node.simulation.host import Host
from node.simulation.toyexecution import TRANSACTIONS_PER_BLOCK_MAX, check_execution, fill_block

SIGN_STATE_KEY: Final = b"S"
BLOCK_PREFIX: Final = b"B"

SYNC_PATIENCE_MS: Final = 2_000
"""How long a node waits for the rest of the blocks before it calls itself in sync again."""


class Replica:
    """A process on a host, from boot to death."""

    def __init__(
        self,
        host: Host,
        *,
        parameters: ConsensusParameters,
        genesis: Block,
        peers: tuple[tuple[int, Address], ...],
        draw_execution_ms: Callable[[], int],
    ) -> None:
        """Hold what the process needs; ``boot`` starts it.

        Args:
            host: The machine it runs on.
            parameters: Numbers of the core.
            genesis: The first block.
            peers: Index and address of every other node.
            draw_execution_ms: Says how long building or validating the next block takes.
        """
        self.host = host
        self.chain: list[Block] = [genesis]
        self.tally: ValidatorTally = tally_at_base(genesis.header)
        self.included: set[TransactionHash] = set()
        self._state: State | None = None
        self.reject_counts: dict[str, int] = {}
        self._parameters = parameters
        self._peers = peers
        self._everyone = tuple(index for index, _ in peers)
        self._address_of = dict(peers)
        self._draw_execution_ms = draw_execution_ms
        self._now_ms = 0
        self._executed: dict[BlockHash, bool] = {}
        self._heard: tuple[Message, bytes] | None = None
        self._distrusted: set[int] = set()
        self._sync_until_ms = 0

    @property
    def state(self) -> State:
        """Return what the core knows; it knows nothing before ``boot``."""
        assert self._state is not None
        return self._state

    @property
    def head(self) -> Block:
        """Return the newest final block."""
        return self.chain[-1]

    def boot(self, now_ms: int) -> Iterator[Action]:
        """Load chain and sign-state and start the core."""
        self._now_ms = now_ms
        stop = BLOCK_PREFIX + b"\xff" * 8
        for _, data in self.host.disk.iterate(start=BLOCK_PREFIX, stop=stop):
            self._append(load_block(data))
        yield Imported(self.head)
        record = self.host.disk.get(SIGN_STATE_KEY)
        started = Started(
            head=self.head.header,
            tally=self.tally,
            sign_state=None if record is None else decode_sign_state(record),
            is_restored=self.host.is_restored,
            pending_votes=self._open_votes(),
            now_ms=self._wall_ms(),
        )
        yield from self._settle(start(self._parameters, self.host.key.address, started))
        yield from self._feed(self._content())
        for peer in self._everyone:
            yield from self.connect(peer, now_ms)

    def connect(self, peer: int, now_ms: int) -> Iterator[Action]:
        """Greet a peer that can be reached again."""
        self._now_ms = now_ms
        yield from self._feed(PeerConnected(peer=self._address_of[peer], now_ms=self._wall_ms()))
        yield self._transmit((peer,), Status(height=self.head.height))

    def wake(self, event: Event, now_ms: int) -> Iterator[Action]:
        """Hand over an event that had been put off."""
        self._now_ms = now_ms
        if isinstance(event, SyncChanged) and now_ms < self._sync_until_ms:
            return
        yield from self._feed(replace(event, now_ms=self._wall_ms()))

    def announce(self, now_ms: int) -> Iterator[Action]:
        """Tell everyone how far this node is."""
        self._now_ms = now_ms
        yield self._transmit(self._everyone, Status(height=self.head.height))

    def admit(self, transaction: Transaction, now_ms: int) -> Iterator[Action]:
        """Take a transaction from a client and pass it on."""
        yield from self._pool(transaction, now_ms)
        yield self._transmit(self._everyone, Gossip(transaction=transaction))

    def want(self, now_ms: int) -> Iterator[Action]:
        """Tell the core that the operator's wishes, kept on the host, have changed."""
        self._now_ms = now_ms
        yield from self._feed(PendingVotesChanged(votes=self._open_votes(), now_ms=self._wall_ms()))

    def hear(self, sender: int, data: bytes, now_ms: int) -> Iterator[Action]:
        """Take a frame from the wire; bytes that are none are dropped."""
        self._now_ms = now_ms
        try:
            frame = decode_frame(data)
        except InvalidInput as error:
            self._count(error.code)
            return
        match frame:
            case Said():
                self._heard = (frame.message, data)
                source = self._address_of[sender]
                event = MessageReceived(
                    message=frame.message, source=source, now_ms=self._wall_ms()
                )
                yield from self._feed(event)
            case Status():
                if frame.height > self.head.height and sender not in self._distrusted:
                    yield self._ask(sender)
            case BlockRequest():
                yield from self._answer(sender, frame.first)
            case BlockAnswer():
                yield from self._take_blocks(sender, frame.blocks)
            case Gossip():
                yield from self._pool(frame.transaction, now_ms)

    def _feed(self, *events: Event) -> Iterator[Action]:
        """Step the core through ``events`` and what they cause at once, effects in order."""
        for event in events:
            yield from self._settle(step(self.state, event))

    def _settle(self, transition: Transition) -> Iterator[Action]:
        """Take a transition over and carry out its effects, in order."""
        self._state = transition.state
        caused: list[Event] = []
        for effect in transition.effects:
            yield from self._carry_out(effect, caused)
        yield from self._feed(*caused)

    def _carry_out(  # noqa: C901, PLR0912 - one case for each effect
        self, effect: Effect, caused: list[Event]
    ) -> Iterator[Action]:
        match effect:
            case StartTimer():
                expired = TimerExpired(
                    kind=effect.kind,
                    height=effect.height,
                    round=effect.round,
                    now_ms=self._wall_ms(),
                )
                yield Later(effect.delay_ms, expired)
            case BuildBlock():
                yield self._build(effect)
            case ValidateBlock():
                yield self._validate(effect)
            case PersistAndSign():
                yield from self._persist_and_sign(effect)
            case Persist():
                yield from self._persist(effect.sign_state)
            case Broadcast():
                yield self._transmit(self._everyone, Said(message=effect.message))
            case Send():
                peers = tuple(index for index, peer in self._peers if peer == effect.peer)
                yield self._transmit(peers, Said(message=effect.message))
            case Relay():
                yield self._relay(effect)
            case Decide():
                yield from self._import(effect.block)
                caused.extend((self._new_head(), self._content()))
            case RecordEvidence():
                yield Boundary(f"evidence {effect.evidence.contradiction}")
            case RequestSync():
                yield self._transmit(self._everyone, BlockRequest(first=self._next_height()))
            case ReportOwnKeyElsewhere():
                self._count("own_key_elsewhere")
                yield Boundary("own key elsewhere")
            case Reject():
                self._count(effect.reason)

    def _persist_and_sign(self, effect: PersistAndSign) -> Iterator[Action]:
        yield from self._persist(effect.sign_state)
        key = self.host.key
        message = sign_draft(effect.draft, key.sign, key.address)
        yield SignedOwn(message)
        yield Later(0, MessageSigned(message=message, now_ms=self._wall_ms()))

    def _persist(self, record: SignState) -> Iterator[Action]:
        self.host.disk.write({SIGN_STATE_KEY: encode_sign_state(record)}, sync=False)
        yield Boundary("sign-state written")
        self.host.disk.write({}, sync=True)
        yield Persisted(record)

    def _build(self, effect: BuildBlock) -> Action:
        waiting = tuple(self.host.pool.values())[:TRANSACTIONS_PER_BLOCK_MAX]
        block = None
        if waiting or effect.may_be_empty:
            block = fill_block(
                effect.parent,
                waiting,
                coinbase=effect.coinbase,
                timestamp_s=effect.timestamp_s,
                extra_data=effect.extra_data,
            )
            self._executed[block.hash] = True
        answer = BlockBuilt(
            height=effect.height, round=effect.round, block=block, now_ms=self._wall_ms()
        )
        return Later(self._draw_execution_ms(), answer)

    def _validate(self, effect: ValidateBlock) -> Action:
        block = effect.block
        is_known = block.hash in self._executed
        is_valid = self._executed.setdefault(block.hash, self._is_valid(block))
        answer = BlockValidated(block_hash=block.hash, is_valid=is_valid, now_ms=self._wall_ms())
        return Later(0 if is_known else self._draw_execution_ms(), answer)

    def _is_valid(self, block: Block) -> bool:
        try:
            check_execution(self.head.header, block, self.included)
        except InvalidInput:
            return False
        return True

    def _relay(self, effect: Relay) -> Action:
        receivers = tuple(index for index, peer in self._peers if peer not in effect.except_for)
        return self._transmit(receivers, Said(message=effect.message))

    def _import(self, block: Block) -> Iterator[Action]:
        """Make a decided block durable, in one batch."""
        if block.header.parent_hash != self.head.hash or not self._is_valid(block):
            raise InvariantViolation(f"decided block {block.height} cannot be imported")
        key = BLOCK_PREFIX + block.height.to_bytes(8, "big")
        self.host.disk.write({key: block.encode()}, sync=False)
        yield Boundary("block written")
        self.host.disk.write({}, sync=True)
        self._append(block)
        yield Imported(block)

    def _append(self, block: Block) -> None:
        self.tally = apply_header(
            self.tally, block.header, epoch_length=self._parameters.epoch_length
        )
        self.chain.append(block)
        self._executed.clear()
        for transaction in block.transactions:
            self.included.add(transaction.hash)
            self.host.pool.pop(transaction.hash, None)

    def _pool(self, transaction: Transaction, now_ms: int) -> Iterator[Action]:
        self._now_ms = now_ms
        if transaction.hash not in self.included and transaction.hash not in self.host.pool:
            self.host.pool[transaction.hash] = transaction
            yield from self._feed(self._content())

    def _take_blocks(self, sender: int, blocks: tuple[Block, ...]) -> Iterator[Action]:
        """Import what a peer sent, as far as seals and execution hold; then ask for more."""
        head = self.head
        for block in blocks:
            if block.height <= self.head.height:
                continue
            try:
                check_sealed_header(
                    block.header,
                    parent=self.head.header,
                    tally=self.tally,
                    parameters=self._parameters,
                )
                check_execution(self.head.header, block, self.included)
            except InvalidInput as error:
                self._count(error.code)
                self._distrusted.add(sender)
                break
            yield from self._import(block)
        if self.head is head:
            return
        is_more = len(blocks) == BLOCKS_PER_ANSWER_MAX
        yield from self._feed(
            SyncChanged(is_syncing=is_more, now_ms=self._wall_ms()),
            self._new_head(),
            self._content(),
        )
        if is_more:
            self._sync_until_ms = self._now_ms + SYNC_PATIENCE_MS
            yield Later(SYNC_PATIENCE_MS, SyncChanged(is_syncing=False, now_ms=self._wall_ms()))
            yield self._ask(sender)

    def _ask(self, peer: int) -> Action:
        return self._transmit((peer,), BlockRequest(first=self._next_height()))

    def _answer(self, peer: int, first: Height) -> Iterator[Action]:
        blocks = tuple(self.chain[first : first + BLOCKS_PER_ANSWER_MAX]) if first else ()
        if blocks:
            yield self._transmit((peer,), BlockAnswer(blocks=blocks))

    def _next_height(self) -> Height:
        return Height(self.head.height + 1)

    def _new_head(self) -> Event:
        return NewHead(head=self.head.header, tally=self.tally, now_ms=self._wall_ms())

    def _content(self) -> Event:
        return ContentChanged(has_content=bool(self.host.pool), now_ms=self._wall_ms())

    def _open_votes(self) -> tuple[ValidatorVote, ...]:
        """Return the operator's votes that have not come true."""
        return tuple(
            vote
            for vote in self.host.pending_votes
            if vote.is_add != (vote.recipient in self.tally.validators)
        )

    def _transmit(self, receivers: tuple[int, ...], frame: Frame) -> Transmit:
        heard = self._heard
        if isinstance(frame, Said) and heard is not None and heard[0] is frame.message:
            return Transmit(receivers, frame, heard[1])
        return Transmit(receivers, frame, encode_frame(frame))

    def _wall_ms(self) -> int:
        return self.host.clock.read_ms(self._now_ms)

    def _count(self, reason: str) -> None:
        self.reject_counts[reason] = self.reject_counts.get(reason, 0) + 1
