"""A chain as one file: blocks in RLP, one after the other, as Besu and geth export them.

An audit bundle is read as well: its blocks are taken, the rest is passed over.

Every block carries its round and the seals of the node that wrote it; two nodes' files may differ
in seals and are the same chain when their blocks' hashes (b) agree. Reading trusts nothing: links,
seals and validators are checked block by block, and on import every block is executed.

Spec: QBFT-HASH, SYNC-SEALS, EXEC-ONCE.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from node.consensus.header_rules import check_sealed_header
from node.consensus.parameters import ConsensusParameters
from node.consensus.validators import ValidatorTally, tally_at_base
from node.execution.executor import execute_block
from node.execution.permissions import PermissionRule
from node.execution.profile import ExecutionProfile
from node.execution.rules import check_body
from node.membership.recovery import Recovery, apply_recoveries, follow_header
from node.primitives.block import BLOCK_SIZE_MAX, Block, decode_block
from node.primitives.bundle import MAGIC, BlockRecord, InvalidBundle
from node.primitives.bundle_stream import BundleReader
from node.primitives.errors import InvalidBlock, InvalidInput, Unavailable
from node.primitives.header import Header
from node.primitives.types import BlockHash, Height
from node.storage.chain import ChainStore

PROGRESS_STEP: Final = 100
"""Blocks between two reports of progress."""

PREFIX_SIZE_MAX: Final = 9
"""Longest RLP prefix."""

Progress = Callable[[int], None]
"""Told the height reached."""


class InvalidChainFile(InvalidInput):
    """A chain file that is torn, or holds a block that breaks a rule."""

    code = "chain_file.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRules:
    """What a chain's blocks are checked by."""

    parameters: ConsensusParameters
    """Of consensus."""
    profile: ExecutionProfile
    """Of execution."""
    recoveries: tuple[Recovery, ...] = ()
    """Recovery documents in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """How far a file was good."""

    start: Height
    """First height in it."""
    stop: Height
    """Last height that is good."""
    head_hash: BlockHash
    """Hash (b) of that block."""
    transaction_count: int
    """Transactions in the blocks checked."""


def export_chain(
    chain: ChainStore, path: Path, *, start: Height, stop: Height, progress: Progress
) -> int:
    """Write the blocks of [start, stop] to ``path``; continue a file begun earlier.

    Args:
        chain: The chain.
        path: File to write or continue.
        start: First height, when the file is new.
        stop: Last height.
        progress: Told the height reached.

    Returns:
        How many blocks were written.

    Raises:
        InvalidChainFile: The file holds blocks of another chain.
        NotStored: A block is not kept by this node.
        Unavailable: The disk refused; what was written stays and can be continued.

    Spec: QBFT-HASH.
    """
    last = _trim(path)
    if last is not None:
        if chain.load_header(last.height).hash != last.hash:
            raise InvalidChainFile(
                f"{path}: block {last.height} in it is not of this chain; name another file"
            )
        start = Height(last.height + 1)
    count = 0
    try:
        with path.open("ab") as file:
            for block in chain.iterate_blocks(start, stop):
                file.write(block.encode())
                count += 1
                if block.height % PROGRESS_STEP == 0:
                    progress(block.height)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}; free space and run it again") from error
    return count


def read_chain(path: Path) -> Iterator[Block]:
    """Yield the blocks of a file in order, be it a row of blocks or an audit bundle.

    Raises:
        InvalidChainFile: It is torn, or a block does not decode.
        Unavailable: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            is_bundle = file.read(len(MAGIC)) == MAGIC
            file.seek(0)
            for offset, encoded in _read_bundle(file, path) if is_bundle else _read_row(file, path):
                try:
                    yield decode_block(encoded)
                except InvalidInput as error:
                    raise InvalidChainFile(f"{path}: at byte {offset}: {error.message}") from error
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read ({error.strerror})") from error


def import_chain(
    chain: ChainStore, path: Path, rules: ChainRules, tally: ValidatorTally, progress: Progress
) -> ChainReport:
    """Check, execute and commit the blocks of a file that this chain does not have yet.

    It can be stopped at any block and run again.

    Args:
        chain: The chain to extend; no node may have it open.
        path: File written by ``export_chain``.
        rules: What blocks are checked by.
        tally: The tally after the chain's head.
        progress: Told the height reached.

    Raises:
        InvalidChainFile: A block breaks a rule, or the file does not continue this chain.
        Unavailable: Disk or file refused.

    Spec: SYNC-SEALS, EXEC-ONCE.
    """
    rule = PermissionRule()
    first: Height | None = None
    count = 0
    for block in read_chain(path):
        first = block.height if first is None else first
        if block.height <= chain.head.height:
            _check_known(chain, block, path)
            continue
        _check(block, chain.head, tally, rules, path)
        try:
            result = execute_block(
                parent=chain.head,
                block=block,
                view=chain.head_view(),
                profile=rules.profile,
                rule=rule,
                ancestor_hash=chain.load_hash,
            )
        except InvalidBlock as error:
            raise InvalidChainFile(f"{path}: block {block.height}: {error.message}") from error
        chain.commit_block(block, result.receipts, result.overlay)
        tally = _follow(tally, block.header, rules)
        count += len(block.transactions)
        if block.height % PROGRESS_STEP == 0:
            progress(block.height)
    head = chain.head
    return ChainReport(
        start=first or head.height,
        stop=head.height,
        head_hash=head.hash,
        transaction_count=count,
    )


def verify_chain(path: Path, rules: ChainRules, genesis: Header, progress: Progress) -> ChainReport:
    """Check links, seals and validators of a file that begins after genesis; execute nothing.

    Raises:
        InvalidChainFile: A block breaks a rule.
        Unavailable: The file cannot be read.

    Spec: SYNC-SEALS.
    """
    parent = genesis
    tally = apply_recoveries(tally_at_base(genesis), genesis.hash, rules.recoveries)
    count = 0
    for block in read_chain(path):
        if block.height == 0:
            if block.hash != genesis.hash:
                raise InvalidChainFile(f"{path}: its genesis is another one")
            continue
        _check(block, parent, tally, rules, path)
        tally = _follow(tally, block.header, rules)
        parent = block.header
        count += len(block.transactions)
        if block.height % PROGRESS_STEP == 0:
            progress(block.height)
    return ChainReport(
        start=Height(1), stop=parent.height, head_hash=parent.hash, transaction_count=count
    )


def _check(
    block: Block, parent: Header, tally: ValidatorTally, rules: ChainRules, path: Path
) -> None:
    try:
        check_sealed_header(block.header, parent=parent, tally=tally, parameters=rules.parameters)
        check_body(block)
    except InvalidInput as error:
        raise InvalidChainFile(
            f"{path}: block {block.height}: {error.message}", rule=error.rule
        ) from error


def _check_known(chain: ChainStore, block: Block, path: Path) -> None:
    if block.height >= chain.base and chain.load_header(block.height).hash != block.hash:
        raise InvalidChainFile(
            f"{path}: block {block.height} is 0x{block.hash.hex()}, this chain has "
            f"0x{chain.load_header(block.height).hash.hex()}"
        )


def _follow(tally: ValidatorTally, header: Header, rules: ChainRules) -> ValidatorTally:
    return follow_header(tally, header, rules.parameters.epoch_length, rules.recoveries)


def _trim(path: Path) -> Header | None:
    """Cut a torn last block off a file begun earlier; return the last whole block's header."""
    if not path.exists():
        return None
    last: Block | None = None
    whole = 0
    with path.open("rb") as file:
        while True:
            try:
                encoded = _read_item(file, path)
            except InvalidChainFile:
                break
            if encoded is None:
                break
            whole = file.tell()
            last = decode_block(encoded)
    os.truncate(path, whole)
    return None if last is None else last.header


def _read_row(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while (encoded := _read_item(file, path)) is not None:
        yield offset, encoded
        offset += len(encoded)


def _read_bundle(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the blocks of a bundle.

    Raises:
        InvalidChainFile: It is torn or out of order.
    """
    try:
        for piece in BundleReader(file).read():
            if isinstance(piece.record, BlockRecord):
                yield piece.offset, piece.record.block
    except InvalidBundle as error:
        raise InvalidChainFile(f"{path}: {error.message}") from error


def _read_item(file: BinaryIO, path: Path) -> bytes | None:
    """Read one RLP list, or None at the end of the file.

    Raises:
        InvalidChainFile: It is torn, no list, or longer than a block may be.
    """
    head = file.read(1)
    if not head:
        return None
    if head[0] < 0xC0:
        raise InvalidChainFile(f"{path}: at byte {file.tell() - 1}: no block begins here")
    if head[0] < 0xF8:
        size = head[0] - 0xC0
    else:
        extra = file.read(head[0] - 0xF7)
        head += extra
        size = int.from_bytes(extra, "big")
    if size > BLOCK_SIZE_MAX:
        raise InvalidChainFile(f"{path}: a block of {size} bytes, at most {BLOCK_SIZE_MAX}")
    body = file.read(size)
    if len(body) != size:
        raise InvalidChainFile(f"{path}: the last block is torn; export it again")
    return head + body
