"""A kit of lies: takes a good bundle and returns one that claims something else.

A lie is told by whoever profits from it. Some edit the file alone, and close and sign it again;
others are a colluding majority that holds the validators' keys and seals what it changed, so that
only a deeper check can tell. Each lie names every check that must fail, and no other may.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from node.consensus.evidence import Contradiction, Evidence, encode_evidence
from node.consensus.messages import PreparePayload, Signed, recover_signed, signing_hash
from node.primitives.block import Block, decode_block
from node.primitives.bundle import (
    MAGIC,
    BlockRecord,
    EndRecord,
    EvidenceRecord,
    FileRecord,
    Record,
    SignatureRecord,
    sign_bundle,
)
from node.primitives.bundle_stream import BundleReader
from node.primitives.crypto import CURVE_ORDER, PrivateKey
from node.primitives.errors import InvalidInput
from node.primitives.header import Header
from node.primitives.transaction import Transaction
from node.primitives.types import Digest, Hash32, Height, Round, Signature
from tests.support.audit_chain import EXPORTER_KEY, KEYS
from tests.support.ledger import key_of, seal

STRANGER: Final = key_of("stranger")


class Draft:
    """A bundle in the hands of a liar."""

    def __init__(self, records: Sequence[Record]) -> None:
        """Take the records of a good bundle."""
        self.records = list(records)
        self.signer: PrivateKey | None = EXPORTER_KEY
        self.is_closed = True

    # Blocks

    def index(self, height: int) -> int:
        """Return where the block of a height stands."""
        return next(at for at, each in enumerate(self.records) if _height_of(each) == height)

    def block(self, height: int) -> Block:
        """Return the block of a height."""
        record = self.records[self.index(height)]
        assert isinstance(record, BlockRecord)
        return decode_block(record.block)

    def put(self, height: int, block: Block) -> None:
        """Replace the block of a height, and keep its receipts."""
        at = self.index(height)
        record = self.records[at]
        assert isinstance(record, BlockRecord)
        self.records[at] = replace(record, block=block.encode())

    def receipts(self, height: int, change: Callable[[list[bytes]], object]) -> None:
        """Change the receipts claimed at a height, in place."""
        at = self.index(height)
        record = self.records[at]
        assert isinstance(record, BlockRecord)
        receipts = list(record.receipts)
        change(receipts)
        self.records[at] = replace(record, receipts=tuple(receipts))

    def heights(self) -> list[int]:
        """Return the heights of all blocks, in order."""
        found = [_height_of(record) for record in self.records]
        return [height for height in found if height is not None]

    def reforge(self, height: int, change: Callable[[Block], Block]) -> None:
        """Let a majority change a block, seal it, and link and seal all that follows.

        Every block keeps as many seals as it had, of those who sealed it.
        """
        changed = reseal(change(self.block(height)))
        later_heights = [each for each in self.heights() if each > height]
        self.put(height, changed)
        parent = changed.header
        for later in later_heights:
            block = self.block(later)
            linked = replace(block.header, parent_hash=parent.hash)
            self.put(later, reseal(Block(header=linked, transactions=block.transactions)))
            parent = self.block(later).header

    def reclaim(self, at: int, /, **changes: Any) -> None:
        """Let a majority change fields of a header."""
        self.reforge(
            at,
            lambda block: Block(
                header=replace(block.header, **changes), transactions=block.transactions
            ),
        )

    def extra(self, height: int, **changes: Any) -> None:
        """Let a majority change fields of a header's extra data."""
        extra = replace(self.block(height).header.extra_data, **changes)
        self.reclaim(height, extra_data=extra)

    def seals(self, height: int, change: Callable[[Header], tuple[Signature, ...]]) -> None:
        """Change the seals of one block; nothing else changes with them."""
        block = self.block(height)
        self.put(height, block.with_seals(change(block.header)))

    # Records

    def find(self, kind: type) -> int:
        """Return where the first record of a kind stands."""
        return next(at for at, record in enumerate(self.records) if isinstance(record, kind))

    def edit(self, kind: type, **changes: Any) -> None:
        """Change the first record of a kind."""
        at = self.find(kind)
        self.records[at] = replace(self.records[at], **changes)  # type: ignore[type-var]

    def remove(self, kind: type) -> None:
        """Remove every record of a kind."""
        self.records = [record for record in self.records if not isinstance(record, kind)]

    def encode(self) -> bytes:
        """Return the bundle, closed and signed again unless the lie is about just that."""
        data = MAGIC
        for record in self.records:
            closed: Record = record
            if self.is_closed and isinstance(record, EndRecord):
                closed = self._count(record, sha256(data).digest())
            elif self.is_closed and isinstance(record, SignatureRecord):
                closed = sign_bundle(sha256(data).digest(), self.signer)
            data += closed.encode()
        return data

    def _count(self, record: EndRecord, digest: bytes) -> EndRecord:
        blocks = [each for each in self.records if isinstance(each, BlockRecord)]
        return replace(
            record,
            block_count=len(blocks),
            transaction_count=sum(len(_transactions_of(each)) for each in blocks),
            evidence_count=sum(isinstance(each, EvidenceRecord) for each in self.records),
            file_count=sum(isinstance(each, FileRecord) for each in self.records),
            digest=digest,
        )


def _height_of(record: Record) -> int | None:
    """Return the height of a block, if it is one that can be read."""
    try:
        return decode_block(record.block).height if isinstance(record, BlockRecord) else None
    except InvalidInput:
        return None


def _transactions_of(record: BlockRecord) -> tuple[Transaction, ...]:
    try:
        return decode_block(record.block).transactions
    except InvalidInput:
        return ()


def load_draft(path: Path) -> Draft:
    """Return a bundle as a draft."""
    with path.open("rb") as file:
        return Draft([piece.record for piece in BundleReader(file).read()])


def reseal(block: Block) -> Block:
    """Let those whom the block lists seal it, as many as sealed it before."""
    count = len(block.header.extra_data.seals)
    listed = [KEYS[each] for each in block.header.extra_data.validators if each in KEYS]
    return seal(block, listed[:count])


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """One lie about a good bundle."""

    name: str
    """What is done, in a few words."""
    caught_by: tuple[str, ...]
    """Every check that fails, in the order of the report."""
    change: Callable[[Draft], object] = lambda _draft: None
    """Changes the draft."""
    rewrite: Callable[[bytes], bytes] = lambda data: data
    """Changes the bytes of the file."""


def at_record(data: bytes, kind: type, *, nth: int = 0) -> int:
    """Return the first byte of the n-th record of a kind in a good bundle."""
    import io  # noqa: PLC0415 - only here

    pieces = [
        piece for piece in BundleReader(io.BytesIO(data)).read() if isinstance(piece.record, kind)
    ]
    return pieces[nth].offset


def flip_high_s(signature: Signature) -> Signature:
    """Return the other form of a signature, which also recovers its signer."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return Signature(signature[:32] + s.to_bytes(32, "big") + bytes((signature[64] ^ 1,)))


def evidence_against(key: PrivateKey, *, height: int, is_honest: bool = False) -> bytes:
    """Return two prepares by one key for one round; of one digest when it is honest."""
    first, second = (
        _signed_prepare(key, height, digest) for digest in ((1, 1) if is_honest else (1, 2))
    )
    return encode_evidence(
        Evidence(contradiction=Contradiction.DOUBLE_VOTE, first=first, second=second)
    )


def _signed_prepare(key: PrivateKey, height: int, digest: int) -> Signed[PreparePayload]:
    payload = PreparePayload(
        height=Height(height), round=Round(0), digest=Digest(Hash32(bytes((digest,)) * 32))
    )
    return recover_signed(payload, key.sign(signing_hash(payload)))
