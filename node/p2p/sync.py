"""Catching up: which ranges of blocks to ask of whom, and which of the answers to believe.

Ranges are fetched from several peers at once and verified in order, each block against its parent
and the validator tally, seals included, before anything is executed. So whoever served the first
bad block is known, and is asked no more. Nothing here reads a clock or a socket: the shell carries
requests out, hands back what came, and executes what is ``take_ready``.

Spec: SYNC-RANGE, SYNC-SEALS, SYNC-BLAME.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.consensus.header_rules import check_sealed_header
from node.consensus.parameters import ConsensusParameters
from node.consensus.validators import ValidatorTally
from node.p2p.limits import Offence
from node.primitives.block import Block, decode_block
from node.primitives.errors import InvalidBlock, InvalidInput
from node.primitives.header import Header
from node.primitives.trie import compute_ordered_root
from node.primitives.types import Address, Height

RANGE_LENGTH: Final = 32
"""Blocks asked for at once."""

RANGES_MAX: Final = 8
"""Most ranges asked for or waiting to be verified."""

RANGES_PER_PEER_MAX: Final = 2
"""Most ranges asked of one peer at once."""

READY_MAX: Final = 256
"""Verified blocks waiting to be executed before more is asked for."""

FAILURES_MAX: Final = 3
"""Requests in a row a peer may leave unanswered before it is asked no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeRequest:
    """Blocks to ask of one peer."""

    id: int
    """Names the request to ``receive`` and ``fail``."""
    peer: Address
    """Whom to ask."""
    start: Height
    """First height."""
    count: int
    """How many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What a peer did wrong, for its score."""

    peer: Address
    """Who."""
    offence: Offence
    """What."""
    detail: str
    """The rule it broke, in words."""


@dataclass(slots=True)
class _Source:
    """A peer we may ask."""

    height: Height
    """Highest block it says it has."""
    oldest: Height
    """Lowest block it says it has."""
    failures: int = 0
    """Unanswered requests in a row."""


@dataclass(slots=True)
class _Range:
    """A run of heights on its way."""

    start: Height
    """First height."""
    count: int
    """How many."""
    peer: Address | None = None
    """Who was asked, or who answered."""
    request_id: int = 0
    """Of the request in flight; 0 when none is."""
    blocks: tuple[bytes, ...] | None = None
    """The answer, until it is verified."""
    avoid: set[Address] = field(default_factory=set)
    """Peers that failed on it."""


class BlockSync:
    """One catch-up from a head towards what peers have."""

    def __init__(
        self,
        *,
        head: Header,
        tally: ValidatorTally,
        parameters: ConsensusParameters,
        advance: Callable[[ValidatorTally, Header], ValidatorTally],
    ) -> None:
        """Start after ``head``.

        Args:
            head: Our newest final block.
            tally: The validators after it.
            parameters: Of the network.
            advance: Takes the tally over one header, as the chain does.
        """
        self._tip = head
        self._tally = tally
        self._parameters = parameters
        self._advance = advance
        self._sources: dict[Address, _Source] = {}
        self._banned: set[Address] = set()
        self._ranges: deque[_Range] = deque()
        self._ready: deque[Block] = deque()
        self._last_id = 0

    @property
    def verified(self) -> Height:
        """Return the height of the last verified block."""
        return self._tip.height

    @property
    def target(self) -> Height:
        """Return the highest block any usable peer says it has."""
        return max((source.height for source in self._sources.values()), default=Height(0))

    @property
    def is_done(self) -> bool:
        """Tell whether nothing is left to ask, to verify or to execute."""
        return not self._ready and not self._ranges and self.target <= self.verified

    def update_peer(self, peer: Address, *, height: Height, oldest: Height) -> None:
        """Learn what a peer says it has. Peers that forged are not listened to."""
        if peer in self._banned:
            return
        source = self._sources.setdefault(peer, _Source(height=height, oldest=oldest))
        source.height, source.oldest = height, oldest

    def lose_peer(self, peer: Address) -> None:
        """Ask others for what the peer had been asked; what it sent stays."""
        self._sources.pop(peer, None)
        for each in self._ranges:
            if each.peer == peer and each.blocks is None:
                self._free(each)

    def next_requests(self) -> tuple[RangeRequest, ...]:
        """Return requests to carry out now; each must end in ``receive`` or ``fail``.

        Spec: SYNC-RANGE.
        """
        self._plan()
        requests = []
        for each in self._ranges:
            if each.request_id or each.blocks is not None:
                continue
            peer = self._choose(each)
            if peer is None:
                continue
            self._last_id += 1
            each.peer, each.request_id = peer, self._last_id
            requests.append(
                RangeRequest(id=self._last_id, peer=peer, start=each.start, count=each.count)
            )
        return tuple(requests)

    def receive(self, request: RangeRequest, blocks: Sequence[bytes]) -> tuple[Blame, ...]:
        """Take an answer, verify all that is now in order, and say who did wrong.

        Spec: SYNC-SEALS, SYNC-BLAME.
        """
        found = self._find(request)
        if found is None:
            return ()
        found.request_id = 0
        source = self._sources.get(request.peer)
        if not blocks:
            if source is not None:
                source.height = min(source.height, Height(request.start - 1))
            self._free(found)
            detail = f"said to have height {request.start} and sent nothing"
            return (Blame(peer=request.peer, offence=Offence.SHORT_RESPONSE, detail=detail),)
        if source is not None:
            source.failures = 0
        found.blocks = tuple(blocks)
        return self._verify_in_order()

    def fail(self, request: RangeRequest) -> None:
        """Hear that a request was not answered; another peer is asked.

        Spec: SYNC-BLAME.
        """
        found = self._find(request)
        if found is not None:
            self._free(found)
        source = self._sources.get(request.peer)
        if source is not None:
            source.failures += 1
            if source.failures >= FAILURES_MAX:
                self._sources.pop(request.peer)

    def take_ready(self, count_max: int = READY_MAX) -> tuple[Block, ...]:
        """Take verified blocks in order of height, for execution."""
        count = min(count_max, len(self._ready))
        return tuple(self._ready.popleft() for _ in range(count))

    # Planning

    def _plan(self) -> None:
        """Extend the window of ranges towards the target."""
        last = self._ranges[-1] if self._ranges else None
        start = last.start + last.count if last is not None else self.verified + 1
        while (
            len(self._ranges) < RANGES_MAX
            and start <= self.target
            and len(self._ready) + RANGE_LENGTH * len(self._ranges) < READY_MAX
        ):
            count = min(RANGE_LENGTH, self.target - start + 1)
            self._ranges.append(_Range(start=Height(start), count=count))
            start += count
        while self._ranges and self._is_out_of_reach(self._ranges[-1]):
            self._ranges.pop()

    def _is_out_of_reach(self, each: _Range) -> bool:
        return each.start > self.target and not each.request_id and each.blocks is None

    def _choose(self, wanted: _Range) -> Address | None:
        """Return the least busy peer that has the range, or None."""
        busy = dict.fromkeys(self._sources, 0)
        for each in self._ranges:
            if each.request_id and each.peer in busy:
                busy[each.peer] += 1
        able = [
            peer
            for peer, source in self._sources.items()
            if source.oldest <= wanted.start <= source.height and busy[peer] < RANGES_PER_PEER_MAX
        ]
        fresh = [peer for peer in able if peer not in wanted.avoid] or able
        return min(fresh, key=lambda peer: (busy[peer], peer), default=None)

    def _find(self, request: RangeRequest) -> _Range | None:
        return next((each for each in self._ranges if each.request_id == request.id), None)

    def _free(self, each: _Range) -> None:
        """Let a range be asked of another peer."""
        if each.peer is not None:
            each.avoid.add(each.peer)
        each.peer, each.request_id, each.blocks = None, 0, None

    # Believing

    def _verify_in_order(self) -> tuple[Blame, ...]:
        blames: list[Blame] = []
        while self._ranges and self._ranges[0].blocks is not None:
            blame = self._verify_first()
            if blame is not None:
                blames.append(blame)
        return tuple(blames)

    def _verify_first(self) -> Blame | None:
        """Verify the lowest range block by block; keep what is good.

        Spec: SYNC-SEALS.
        """
        first = self._ranges[0]
        peer, blocks = first.peer, first.blocks
        assert peer is not None
        assert blocks is not None
        blame = None
        good = 0
        for data in blocks[: first.count]:
            try:
                self._accept(self._check(data))
            except InvalidInput as error:
                blame = Blame(peer=peer, offence=Offence.FORGED_BLOCK, detail=str(error))
                self._ban(peer)
                break
            good += 1
        if good == first.count:
            self._ranges.popleft()
            return blame
        first.start, first.count = Height(first.start + good), first.count - good
        self._free(first)
        if blame is None:
            first.avoid.clear()
        return blame

    def _check(self, data: bytes) -> Block:
        """Return the block after the tip, or refuse what is no such block.

        Raises:
            InvalidInput: Malformed, not sealed by a quorum, or its body is not its header's.

        Spec: SYNC-SEALS.
        """
        block = decode_block(data)
        check_sealed_header(
            block.header, parent=self._tip, tally=self._tally, parameters=self._parameters
        )
        root = compute_ordered_root([transaction.raw for transaction in block.transactions])
        if root != block.header.transactions_root:
            raise InvalidBlock(
                f"transactions at height {block.height} hash to 0x{root.hex()}, "
                f"header says 0x{block.header.transactions_root.hex()}",
                rule="SYNC-SEALS",
            )
        return block

    def _accept(self, block: Block) -> None:
        self._tally = self._advance(self._tally, block.header)
        self._tip = block.header
        self._ready.append(block)

    def _ban(self, peer: Address) -> None:
        """Forget a peer that forged, with everything it sent that is not verified.

        Spec: SYNC-BLAME.
        """
        self._banned.add(peer)
        self._sources.pop(peer, None)
        for each in list(self._ranges)[1:]:
            if each.peer == peer:
                self._free(each)
