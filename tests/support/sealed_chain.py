"""Chains of empty sealed blocks, honest and forged, for tests of sync."""

from collections.abc import Sequence
from dataclasses import replace

from node.consensus.parameters import ConsensusParameters
from node.consensus.validators import ValidatorTally, apply_header
from node.p2p.sync import BlockSync
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey
from node.primitives.header import Header
from node.primitives.types import Height
from tests.support.consensus import GENESIS, KEYS, PARAMETERS, TALLY, block_by, sealed


def chain_of(
    count: int,
    *,
    parent: Header = GENESIS,
    keys: Sequence[PrivateKey] = KEYS,
    by: Sequence[PrivateKey] | None = None,
    label: str = "",
) -> list[Block]:
    """Make ``count`` blocks after ``parent``, proposed in turn and sealed by ``by``."""
    blocks: list[Block] = []
    for _ in range(count):
        proposer = keys[parent.height % len(keys)]
        block = sealed(block_by(proposer, parent=parent, label=label), keys if by is None else by)
        blocks.append(block)
        parent = block.header
    return blocks


def encoded(blocks: Sequence[Block]) -> list[bytes]:
    """Return blocks as they are served, genesis first so that index and height agree."""
    return [Block(header=GENESIS).encode(), *(block.encode() for block in blocks)]


def advance(tally: ValidatorTally, header: Header) -> ValidatorTally:
    """Take the tally over one header."""
    return apply_header(tally, header, epoch_length=PARAMETERS.epoch_length)


def new_sync(parameters: ConsensusParameters = PARAMETERS) -> BlockSync:
    """Stand at genesis."""
    return BlockSync(head=GENESIS, tally=TALLY, parameters=parameters, advance=advance)


def with_other_state(block: Block) -> Block:
    """Change a sealed block's state root and keep its seals: a forgery."""
    header = replace(block.header, state_root=block.header.parent_hash)
    return Block(header=header, transactions=block.transactions)


def height(number: int) -> Height:
    """Name a height."""
    return Height(number)
