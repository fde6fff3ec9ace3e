"""Byzantine validators: an honest process whose words are twisted on their way out.

A liar runs the real core like everyone else, and so keeps up with the chain; what it says passes
through ``distort``, what it hears through ``overhear``, and now and then it speaks up by itself
(``agitate``). It holds one key and can sign anything with it; it cannot sign for others. Twins
need nothing from here: they are two honest processes with one key.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from node.consensus.messages import (
    Commit,
    CommitDraft,
    Message,
    P,
    Prepare,
    PreparedCertificate,
    PreparedMetadata,
    PreparePayload,
    Proposal,
    ProposalDraft,
    ProposalPayload,
    RoundChange,
    RoundChangeDraft,
    RoundChangePayload,
    Signed,
    sign_draft,
    signing_hash,
)
from node.consensus.proposer import select_proposer
from node.primitives.block import Block
from node.primitives.crypto import CURVE_ORDER, PrivateKey, keccak256
from node.primitives.header import ExtraData, Header
from node.primitives.types import Digest, Height, Round, Signature
from node.simulation.actions import Action, Transmit
from node.simulation.dice import Dice
from node.simulation.faults import Lie
from node.simulation.frames import BlockAnswer, Frame, Said, Status, encode_frame
from node.simulation.replica import Replica
from node.simulation.toyexecution import fill_block

MEMORY_MAX: Final = 64
"""How many things of one kind a liar remembers."""

FORGED_ROUNDS: Final = (1, 2, 5, 1_000, 1 << 24, (1 << 32) - 1)


class Liar:
    """Twists what one replica says."""

    def __init__(
        self, lie: Lie, *, key: PrivateKey, receivers: tuple[int, ...], dice: Dice
    ) -> None:
        """Take the trade of ``lie`` for the holder of ``key``."""
        self.lie = lie
        self._key = key
        self._receivers = receivers
        self._dice = dice
        self._sides: dict[Digest, tuple[int, ...]] = {}
        self._answered: set[Digest] = set()
        self._round_changes: deque[Signed[RoundChangePayload]] = deque(maxlen=MEMORY_MAX)
        self._prepares: deque[Signed[PreparePayload]] = deque(maxlen=MEMORY_MAX)
        self._seals: deque[Signature] = deque(maxlen=MEMORY_MAX)
        self._frames: deque[bytes] = deque(maxlen=MEMORY_MAX)

    def distort(self, actions: Iterator[Action], replica: Replica) -> Iterator[Action]:
        """Pass on what the replica does, with this liar's twist."""
        for action in actions:
            if isinstance(action, Transmit):
                yield from self._twist(action, replica)
            else:
                yield action

    def overhear(self, frame: Frame, data: bytes) -> Iterator[Action]:
        """Remember what others say, and answer it when that is the trade."""
        self._frames.append(data)
        if not isinstance(frame, Said):
            return
        match frame.message:
            case RoundChange(signed=signed, prepares=prepares):
                self._round_changes.append(signed)
                self._prepares.extend(prepares)
            case Prepare(signed=vote):
                self._prepares.append(vote)
            case Commit(signed=commit):
                self._seals.append(commit.payload.seal)
            case Proposal():
                pass
        if self.lie is Lie.DOUBLE_VOTE:
            yield from self._vote_for_everything(frame.message)

    def is_own(self, frame: Frame) -> bool:
        """Tell whether a frame is something this liar said, come back to it.

        Its honest half must not hear it: it would notice that its key lies, and fall silent.
        """
        return isinstance(frame, Said) and frame.message.signed.author == self._key.address

    def agitate(self, replica: Replica) -> Iterator[Action]:
        """Speak up without being asked."""
        match self.lie:
            case Lie.ROUND_SPAM:
                yield from self._spam_rounds(replica)
            case Lie.WRONG_DIGEST:
                digest = Digest(keccak256(bytes((self._dice.below(256),))))
                yield from self._vote(replica.state.height, replica.state.round, digest)
            case Lie.FORGED_JUSTIFICATION:
                yield from self._forge(replica)
            case Lie.GARBAGE:
                yield self._to_all_bytes(self._draw_garbage())
            case Lie.REPLAY if self._frames:
                yield self._to_all_bytes(self._dice.pick(self._frames))
            case Lie.FORGED_SYNC:
                yield self._to(self._receivers, Status(height=Height(replica.head.height + 100)))
            case _:
                pass

    def _twist(self, action: Transmit, replica: Replica) -> Iterator[Action]:
        frame = action.frame
        if isinstance(frame, BlockAnswer) and self.lie is Lie.FORGED_SYNC:
            yield self._to(action.receivers, self._forge_answer(frame))
        elif self.lie is Lie.WITHHOLD:
            count = self._dice.below(len(action.receivers) + 1)
            receivers = self._dice.sample(action.receivers, count)
            yield Transmit(receivers, frame, action.data)
        elif isinstance(frame, Said) and frame.message.signed.author == self._key.address:
            yield from self._twist_own(action, frame.message, replica)
        else:
            yield action

    def _twist_own(self, action: Transmit, message: Message, replica: Replica) -> Iterator[Action]:
        match self.lie, message:
            case Lie.EQUIVOCATE, Proposal() if len(action.receivers) > 1:
                yield from self._equivocate(action, message)
            case Lie.EQUIVOCATE, Prepare() | Commit():
                yield from self._keep_sides(action, message)
            case Lie.BAD_SEAL, Commit():
                yield self._to(action.receivers, Said(message=self._spoil_seal(message)))
            case Lie.CENSOR, Proposal():
                block = message.signed.payload.block
                empty = self._rebuild(block, replica, transactions=())
                yield self._to(action.receivers, Said(message=self._repropose(message, empty)))
            case ((Lie.FUTURE_TIMESTAMP | Lie.INVALID_BLOCK), Proposal()):
                bad = self._spoil_block(message.signed.payload.block)
                yield self._to(action.receivers, Said(message=self._repropose(message, bad)))
            case _:
                yield action

    def _equivocate(self, action: Transmit, message: Proposal) -> Iterator[Action]:
        """Propose one block to some and its twin to the others, and vote for both."""
        payload = message.signed.payload
        extra = payload.block.header.extra_data
        vanity = keccak256(bytes((self._dice.below(256),)))
        other = _with_header(payload.block, extra_data=replace(extra, vanity=vanity))
        side = self._dice.sample(action.receivers, self._dice.between(1, len(action.receivers) - 1))
        rest = tuple(index for index in action.receivers if index not in side)
        self._sides[payload.block.digest] = side
        yield Transmit(side, action.frame, action.data)
        yield self._to(rest, Said(message=self._repropose(message, other)))
        yield from self._vote(payload.height, payload.round, other.digest, rest)

    def _keep_sides(self, action: Transmit, message: Prepare | Commit) -> Iterator[Action]:
        side = self._sides.get(message.signed.payload.digest)
        yield action if side is None else Transmit(side, action.frame, action.data)

    def _vote_for_everything(self, message: Message) -> Iterator[Action]:
        digest = _digest_of(message)
        if digest is not None and digest not in self._answered:
            self._answered.add(digest)
            payload = message.signed.payload
            yield from self._vote(payload.height, payload.round, digest)

    def _vote(
        self, height: Height, at: Round, digest: Digest, receivers: tuple[int, ...] | None = None
    ) -> Iterator[Action]:
        """Prepare and commit a digest in one breath."""
        to = self._receivers if receivers is None else receivers
        for draft in (
            PreparePayload(height=height, round=at, digest=digest),
            CommitDraft(height=height, round=at, digest=digest),
        ):
            yield self._to(to, Said(message=self._sign(draft)))

    def _spoil_seal(self, message: Commit) -> Commit:
        """Keep the vote and its signature valid; only the seal is worthless."""
        payload = message.signed.payload
        seal = self._dice.pick(
            (
                Signature(bytes(65)),
                self._key.sign(keccak256(payload.digest)),
                _raise_s(payload.seal),
                self._dice.pick(self._seals) if self._seals else Signature(b"\x01" * 65),
            )
        )
        return Commit(signed=self._sign_payload(replace(payload, seal=seal)))

    def _spoil_block(self, block: Block) -> Block:
        header = block.header
        if self.lie is Lie.FUTURE_TIMESTAMP:
            late = self._dice.pick((3, 60, 86_400))
            return _with_header(block, timestamp_s=header.timestamp_s + late)
        extra, wrong = header.extra_data, keccak256(header.state_root)
        own, strangers = self._key.address, extra.validators[1:]
        changes: tuple[dict[str, object], ...] = (
            {"state_root": wrong},
            {"transactions_root": wrong},
            {"parent_hash": wrong},
            {"gas_limit": header.gas_limit + 1},
            {"gas_used": header.gas_used + 1},
            {"timestamp_s": header.timestamp_s - 10},
            {"height": header.height + 1},
            {"difficulty": 2},
            {"nonce": b"\x01" * 8},
            {"mix_hash": wrong},
            {"ommers_hash": wrong},
            {"withdrawals_root": wrong},
            {"base_fee_wei": 7},
            {"coinbase": next((who for who in extra.validators if who != own), own)},
            {"extra_data": replace(extra, validators=strangers)},
            {"extra_data": replace(extra, validators=extra.validators[::-1])},
            {"extra_data": replace(extra, round=Round(extra.round + 1))},
            {"extra_data": replace(extra, seals=(Signature(b"\x02" * 65),))},
        )
        return _with_header(block, **self._dice.pick(changes))

    def _repropose(self, message: Proposal, block: Block) -> Proposal:
        payload = replace(message.signed.payload, block=block)
        return replace(message, signed=self._sign_payload(payload))

    def _rebuild(self, block: Block, replica: Replica, *, transactions: tuple[()]) -> Block:
        header = block.header
        return fill_block(
            replica.head.header,
            transactions,
            coinbase=header.coinbase,
            timestamp_s=header.timestamp_s,
            extra_data=header.extra_data,
        )

    def _spam_rounds(self, replica: Replica) -> Iterator[Action]:
        height, dice = replica.state.height, self._dice
        for at in FORGED_ROUNDS:
            payload = RoundChangePayload(height=height, round=Round(at), prepared=None)
            draft = RoundChangeDraft(payload=payload, certificate=None)
            yield self._to(self._receivers, Said(message=self._sign(draft)))
        far = Height(height + dice.between(1, 20))
        yield from self._vote(far, Round(dice.below(5)), Digest(keccak256(b"far")))

    def _forge(self, replica: Replica) -> Iterator[Action]:
        """Propose, and ask for rounds, on patched-together justifications."""
        state, dice = replica.state, self._dice
        if self._key.address not in state.validators:
            return
        at = self._next_turn(replica)
        certificate = self._draw_certificate(replica, at)
        prepared = None
        if certificate is not None:
            prepared = dice.pick((certificate.metadata, _raised(certificate.metadata, at), None))
        request = RoundChangePayload(height=state.height, round=at, prepared=prepared)
        own = self._sign(RoundChangeDraft(payload=request, certificate=certificate))
        assert isinstance(own, RoundChange)
        yield self._to(self._receivers, Said(message=own))
        block = self._draw_block(replica, at)
        heard = tuple(self._round_changes)
        payload = ProposalPayload(height=state.height, round=at, block=block)
        draft = ProposalDraft(
            payload=payload,
            round_changes=dice.pick(
                (
                    (own.signed,) * len(state.validators),
                    heard[: len(state.validators)],
                    (*dice.sample(heard, len(state.validators) - 1), own.signed),
                    tuple(rc for rc in heard if rc.payload.round == at),
                    (),
                )
            ),
            prepares=dice.pick(((), own.prepares, tuple(self._prepares)[: len(state.validators)])),
        )
        yield self._to(self._receivers, Said(message=self._sign(draft)))

    def _next_turn(self, replica: Replica) -> Round:
        """Return a round, now or soon, in which this liar may propose."""
        state = replica.state
        parent = replica.head.header.coinbase
        for step in range(len(state.validators)):
            at = Round(state.round + step)
            turn = select_proposer(state.validators, parent_coinbase=parent, at=at)
            if turn == self._key.address and at > 0:
                return at
        return Round(state.round + 1)

    def _draw_block(self, replica: Replica, at: Round) -> Block:
        state = replica.state
        head = replica.head.header
        period_s = state.parameters.period_s
        return fill_block(
            head,
            (),
            coinbase=self._dice.pick((self._key.address, self._dice.pick(state.validators))),
            timestamp_s=head.timestamp_s + period_s + self._dice.below(2),
            extra_data=ExtraData(validators=state.validators, round=at),
        )

    def _draw_certificate(self, replica: Replica, at: Round) -> PreparedCertificate | None:
        """Claim a prepared block: our own lock, or prepares that do not belong to the block."""
        dice = self._dice
        if dice.has_luck(300):
            return replica.state.certificate
        if dice.has_luck(300):
            return None
        prepared_in = Round(dice.below(at + 2))
        block = self._draw_block(replica, prepared_in)
        vote = PreparePayload(height=block.height, round=prepared_in, digest=block.digest)
        own = self._sign_payload(vote)
        count = len(replica.state.validators)
        borrowed = tuple(self._prepares)[:count]
        return PreparedCertificate(block=block, prepares=dice.pick((borrowed, (own,) * count)))

    def _forge_answer(self, answer: BlockAnswer) -> BlockAnswer:
        """Replace the first block by one that its seals do not make final."""
        first = answer.blocks[0]
        seals = first.header.extra_data.seals
        other = _with_header(first, state_root=keccak256(first.header.state_root))
        own = self._key.sign(other.header.seal_hash)
        forged = self._dice.pick(
            (
                first.with_seals(seals[:-1]) if len(seals) < 4 else first.with_seals(seals[:2]),
                first.with_seals(seals[:1] * len(seals)),
                first.with_seals(()),
                other.with_seals(seals),
                other.with_seals((own,) * len(seals)),
                first.with_seals((*seals[:-1], self._key.sign(keccak256(b"x")))),
            )
        )
        return BlockAnswer(blocks=(forged, *answer.blocks[1:]))

    def _draw_garbage(self) -> bytes:
        """Mutate, cut or nest something that was heard."""
        dice = self._dice
        data = bytearray(dice.pick(self._frames)) if self._frames else bytearray(b"\x01\x12")
        match dice.below(4):
            case 0:
                return bytes(data[: dice.below(len(data)) + 1])
            case 1:
                data[dice.below(len(data))] ^= 1 << dice.below(8)
                return bytes(data)
            case 2:
                return bytes((1, dice.between(0x11, 0x16))) + b"\xc1" * dice.between(1, 400)
            case _:
                return bytes(dice.below(256) for _ in range(dice.between(1, 64)))

    def _sign(
        self, draft: ProposalDraft | PreparePayload | CommitDraft | RoundChangeDraft
    ) -> Message:
        return sign_draft(draft, self._key.sign, self._key.address)

    def _sign_payload(self, payload: P) -> Signed[P]:
        signature = self._key.sign(signing_hash(payload))
        return Signed(payload=payload, signature=signature, author=self._key.address)

    def _to(self, receivers: tuple[int, ...], frame: Frame) -> Transmit:
        return Transmit(receivers, frame, encode_frame(frame))

    def _to_all_bytes(self, data: bytes) -> Transmit:
        return Transmit(self._receivers, None, data)


def _digest_of(message: Message) -> Digest | None:
    """Return the digest a message is about; a round change is about none."""
    match message:
        case Proposal():
            return message.signed.payload.block.digest
        case Prepare() | Commit():
            return message.signed.payload.digest
        case RoundChange():
            return None


def _with_header(block: Block, **changes: object) -> Block:
    header: Header = replace(block.header, **changes)  # type: ignore[arg-type]
    return replace(block, header=header)


def _raised(metadata: PreparedMetadata, at: Round) -> PreparedMetadata:
    """Claim that the block was prepared in the target round itself, which cannot be."""
    return replace(metadata, round=at)


def _raise_s(seal: Signature) -> Signature:
    """Return the same signature in its high-s form."""
    s = CURVE_ORDER - int.from_bytes(seal[32:64], "big")
    return Signature(seal[:32] + s.to_bytes(32, "big") + bytes((seal[64] ^ 1,)))
