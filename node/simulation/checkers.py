"""The invariants, as named checkers that watch a run and compute apart from the core.

I1 agreement: no two honest nodes import different blocks at one height, and none loses one.
I2 validity: every imported block carries a quorum of seals of the set of its height, lists that
   set, and was created by somebody whose turn it had been.
I3 one word: an honest key never signs two different things for one height, round and kind, also
   across restarts.
I4 lock: what an honest node has prepared is given up only for something prepared later, also
   across restarts.
I5 bounds: what one validator can make another keep is bounded.
I6 state: replaying the chain from genesis leads every node to the same roots.
I7 liveness: once faults have ceased and a quorum is honest, blocks follow within a computable time
   and every admitted transaction is included.

They use no arithmetic of the core (quorum, seals), since a broken core is what they are for; only
``apply_header`` is shared.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from node.consensus.messages import (
    Commit,
    CommitPayload,
    Message,
    PreparePayload,
    ProposalPayload,
    RoundChange,
    RoundChangePayload,
)
from node.consensus.state import State
from node.consensus.validators import ValidatorTally, apply_header, tally_at_base
from node.primitives.block import Block
from node.primitives.crypto import InvalidSignature, recover_address
from node.primitives.errors import InvalidBlock
from node.primitives.header import Header
from node.primitives.types import Address, BlockHash, Digest, Height, Round, TransactionHash
from node.simulation.scenario import count_quorum
from node.simulation.toyexecution import check_execution

PER_AUTHOR_MAX: Final = 64
"""Most messages of one author a node may hold for later; ten heights of four kinds, and slack."""

Vote: TypeAlias = tuple[Address, Height, Round, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    """I1 to I7, or ``crash`` when the core raised."""
    detail: str
    """What was found."""


class Broken(Exception):
    """Carries a violation up to the cluster, which ends the run."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.violation = Violation(invariant=invariant, detail=detail)


class Checkers:
    """What all nodes of a run have done so far, checked as it happens."""

    def __init__(self, genesis: Block, epoch_length: int, honest_keys: frozenset[Address]) -> None:
        """Start with the genesis block, which needs no seals."""
        self._epoch_length = epoch_length
        self._honest_keys = honest_keys
        self._genesis = genesis
        self.chain: list[Block] = [genesis]
        self._tallies: list[ValidatorTally] = [tally_at_base(genesis.header)]
        self.included: set[TransactionHash] = set()
        self._votes: dict[Vote, object] = {}
        self._locks: dict[tuple[Address, Height], tuple[Round, Digest]] = {}
        self._durable: dict[int, Height] = {}
        self._sealed: set[tuple[BlockHash, bytes]] = set()

    @property
    def tally(self) -> ValidatorTally:
        """Return the tally at the highest block any node has."""
        return self._tallies[-1]

    @property
    def height(self) -> Height:
        """Return the height of the highest block any node has."""
        return self.chain[-1].height

    def on_boot(self, index: int, height: Height) -> None:
        """Check that a node still has what it held to be final (I1)."""
        if height < self._durable.get(index, 0):
            raise Broken("I1", f"node {index} lost final blocks above {height}")
        self._durable[index] = height

    def on_restore(self, index: int) -> None:
        """Take note that a node's disk was replaced: it may have lost anything."""
        self._durable.pop(index, None)

    def on_import(self, index: int, block: Block) -> None:
        """Check a block that a node holds to be final (I1, I2, I6)."""
        height = block.height
        self._durable[index] = max(height, self._durable.get(index, height))
        if height < len(self.chain):
            if self.chain[height].hash != block.hash:
                raise Broken("I1", f"two blocks at height {height}")
        elif height > len(self.chain):
            raise Broken("I1", f"a block at height {height} without its parent")
        else:
            self._extend(block)
        if height:
            self._check_seals(block.header, self._tallies[height - 1].validators)

    def on_sign(self, message: Message) -> None:
        """Check what an honest key has just signed (I3, I4)."""
        author = message.signed.author
        if author not in self._honest_keys:
            return
        payload = message.signed.payload
        vote = (author, payload.height, payload.round, type(payload).__name__)
        said = _content_of(payload)
        if self._votes.setdefault(vote, said) != said:
            raise Broken("I3", f"two of {vote[3]} at {payload.height}/{payload.round}")
        self._check_lock(author, message)

    def on_step(self, state: State) -> None:
        """Check what a node keeps (I5)."""
        kept: dict[Address, int] = {}
        for author, _ in state.later:
            kept[author] = kept.get(author, 0) + 1
        for _, author, _ in state.future:
            kept[author] = kept.get(author, 0) + 1
        if any(count > PER_AUTHOR_MAX for count in kept.values()):
            raise Broken("I5", f"{max(kept.values())} messages kept for one author")
        known = set(state.validators)
        for slots in (state.prepares, state.commits, state.round_changes):
            if not known.issuperset(slots):
                raise Broken("I5", "a slot for somebody outside the set")

    def on_end(self, chains: tuple[tuple[Block, ...], ...]) -> None:
        """Replay every honest node's chain from genesis (I6)."""
        for chain in chains:
            if chain[0].hash != self._genesis.hash:
                raise Broken("I6", "another genesis block")
            included: set[TransactionHash] = set()
            for parent, block in pairwise(chain):
                self._replay(parent, block, included)
                included.update(tx.hash for tx in block.transactions)

    def _replay(self, parent: Block, block: Block, included: set[TransactionHash]) -> None:
        if block.header.parent_hash != parent.hash or block.height != parent.height + 1:
            raise Broken("I6", f"block {block.height} does not follow its parent")
        try:
            check_execution(parent.header, block, included)
        except InvalidBlock as error:
            raise Broken("I6", str(error)) from error

    def _extend(self, block: Block) -> None:
        self._replay(self.chain[-1], block, self.included)
        if block.header.extra_data.validators != self.tally.validators:
            raise Broken("I2", f"block {block.height} lists another set of validators")
        self._check_turn(block.header)
        self.chain.append(block)
        self.included.update(tx.hash for tx in block.transactions)
        self._tallies.append(
            apply_header(self.tally, block.header, epoch_length=self._epoch_length)
        )

    def _check_turn(self, header: Header) -> None:
        """Check that the creator had its turn in the deciding round or before."""
        parent, validators = self.chain[-1].header.coinbase, self.tally.validators
        first = sum(member <= parent for member in validators)
        turns = range(min(header.extra_data.round + 1, len(validators)))
        creators = {validators[(first + turn) % len(validators)] for turn in turns}
        if header.coinbase not in creators:
            raise Broken("I2", f"block {header.height}: its creator never had a turn")

    def _check_seals(self, header: Header, validators: tuple[Address, ...]) -> None:
        seals = header.extra_data.seals
        form = (header.hash, b"".join(seals))
        if form in self._sealed:
            return
        self._sealed.add(form)
        try:
            signers = {recover_address(header.seal_hash, seal) for seal in seals}
        except InvalidSignature as error:
            raise Broken("I2", f"block {header.height}: a seal names nobody") from error
        needed = count_quorum(len(validators))
        if len(signers) != len(seals) or not signers.issubset(validators):
            raise Broken("I2", f"block {header.height}: a seal is repeated or foreign")
        if len(signers) < needed:
            raise Broken("I2", f"block {header.height}: {len(signers)} of {needed} seals")

    def _check_lock(self, author: Address, message: Message) -> None:
        payload = message.signed.payload
        at = (author, payload.height)
        if isinstance(message, Commit) and isinstance(payload, CommitPayload):
            held = self._locks.get(at)
            if held is not None and held[0] > payload.round:
                raise Broken("I4", f"committed in {payload.round}, prepared in {held[0]}")
            self._locks[at] = (payload.round, payload.digest)
        elif isinstance(message, RoundChange) and isinstance(payload, RoundChangePayload):
            held = self._locks.get(at)
            stated = payload.prepared
            if held is None:
                return
            if stated is None or stated.round < held[0]:
                raise Broken("I4", f"lock of round {held[0]} at height {at[1]} was given up")
            if stated.round == held[0] and stated.digest != held[1]:
                raise Broken("I4", f"lock of round {held[0]} at height {at[1]} was exchanged")


def _content_of(payload: object) -> object:
    """Return what two payloads of one kind must agree on to be the same word."""
    match payload:
        case ProposalPayload():
            return payload.block.digest
        case PreparePayload() | CommitPayload():
            return payload.digest
        case _:
            return payload
