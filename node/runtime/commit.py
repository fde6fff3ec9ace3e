"""Makes blocks final on this node, one after the other, and tells everyone of the new head.

Decided blocks come from the core, fetched ones from sync; both pass through here, so that a height
has one block whatever the order in which they arrive. The validator tally moves with the head.

Spec: STORE-BATCH, QBFT-VOTE-TALLY, REC-APPLY.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from node.consensus.validators import ValidatorTally
from node.membership.recovery import Recovery, follow_header
from node.primitives.block import Block
from node.primitives.errors import InvariantViolation
from node.primitives.header import Header
from node.primitives.types import Address
from node.runtime.blocks import Blocks


class Origin(StrEnum):
    """Where a final block came from."""

    DECIDED = "decided"
    FETCHED = "fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlock:
    """A block just made final here."""

    block: Block
    """It, with the seals this node holds."""
    tally: ValidatorTally
    """The tally after it."""
    validators: tuple[Address, ...]
    """The set that decided it."""
    origin: Origin
    """Where it came from."""


class Importer:
    """The only writer of the chain."""

    def __init__(
        self,
        blocks: Blocks,
        *,
        head: Header,
        tally: ValidatorTally,
        epoch_length: int,
        recoveries: tuple[Recovery, ...],
        announce: Callable[[NewBlock], None],
    ) -> None:
        """Stand at ``head``.

        Args:
            blocks: Executes and writes.
            head: Newest block of the chain on disk.
            tally: The tally after it, recoveries applied.
            epoch_length: Of the network.
            recoveries: Recovery documents in force.
            announce: Told of each block, once it is durable.
        """
        self.head = head
        self.tally = tally
        self._blocks = blocks
        self._epoch_length = epoch_length
        self._recoveries = recoveries
        self._announce = announce
        self._turn = asyncio.Lock()

    async def import_decided(self, block: Block) -> None:
        """Write a block the core decided, and tell everyone.

        Raises:
            InvariantViolation: Another block is final at its height, or it breaks a rule.
            Unavailable: The disk refused; nothing changed.
        """
        async with self._turn:
            await self._import(block, Origin.DECIDED)

    async def import_fetched(self, block: Block) -> bool:
        """Write a block whose seals sync has checked; False when it is here already.

        Raises:
            InvalidBlock: It breaks a rule; a quorum sealed it all the same.
            InvariantViolation: Another block is final at its height.
            Unavailable: The disk refused; nothing changed.
        """
        async with self._turn:
            return await self._import(block, Origin.FETCHED)

    def reset(self, head: Header, tally: ValidatorTally) -> None:
        """Stand at another head, after a snapshot was restored."""
        self.head, self.tally = head, tally

    async def _import(self, block: Block, origin: Origin) -> bool:
        if block.height <= self.head.height:
            self._check_same(block)
            return False
        await self._blocks.commit(block)
        validators = self.tally.validators
        self.head = block.header
        self.tally = follow_header(self.tally, block.header, self._epoch_length, self._recoveries)
        self._announce(
            NewBlock(block=block, tally=self.tally, validators=validators, origin=origin)
        )
        return True

    def _check_same(self, block: Block) -> None:
        ours = self._blocks.load_hash(block.height)
        if ours is not None and ours != block.hash:
            raise InvariantViolation(
                f"two blocks with a quorum of seals at height {block.height}: 0x{ours.hex()} and "
                f"0x{block.hash.hex()}"
            )
