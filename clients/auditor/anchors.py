"""The roots that services anchored, read from the receipts in a bundle.

Receipts count when their root is the header's; whether the headers are right is the audit of the
chain, which comes first.

Spec: AUDIT-SERVICES, RELAY-ANCHOR.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.auditor.checks import Worksheet
from clients.auditor.service_checks import ANCHOR_ORDER, ANCHOR_RECEIPTS
from node.primitives import rlp
from node.primitives.block import decode_block
from node.primitives.bundle import BlockRecord
from node.primitives.bundle_stream import BundleReader
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.receipt import Log, decode_receipt
from node.primitives.trie import compute_ordered_root
from node.primitives.types import Address, Hash32

ANCHORED: Final = keccak256(b"Anchored(uint256,bytes32,bytes32,uint256,bytes32,uint256)")
"""Topic of the event."""

TAIL_MARK: Final = keccak256(b"daicho relay tail v1")
"""What the words of the relay begin with (RELAY-TAIL)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One anchored root."""

    municipality: int
    """Id of the municipality whose service anchored it."""
    stream: Hash32
    """Its stream."""
    place: int
    """Its place in the stream, from 0."""
    root: Hash32
    """The root."""
    leaf_count: int
    """Leaves under it."""
    height: int
    """Block that holds it."""


def compute_stream(tenant: str, service: str, subject: str) -> Hash32:
    """Return the stream of a service's roots about one subject.

    Spec: RELAY-ROOTS.
    """
    names = [part.encode() for part in (tenant, service, f"stream:{subject}")]
    return keccak256(TAIL_MARK + rlp.encode(names))


def load_anchors(bundle: Path, contract: Address, sheet: Worksheet) -> list[Anchor]:
    """Return every root anchored in a bundle's blocks, in the order of the chain.

    Raises:
        InvalidBundle: The bundle cannot be read.

    Spec: AUDIT-SERVICES.
    """
    found: list[Anchor] = []
    lengths: dict[tuple[int, Hash32], int] = {}
    with bundle.open("rb") as file:
        for piece in BundleReader(file).read():
            if isinstance(piece.record, BlockRecord):
                for anchor in _anchors_of(piece.record, contract, sheet):
                    stream = (anchor.municipality, anchor.stream)
                    sheet.compare(
                        ANCHOR_ORDER,
                        f"stream 0x{anchor.stream.hex()} of municipality {anchor.municipality}",
                        expected=lengths.get(stream, 0),
                        found=anchor.place,
                    )
                    lengths[stream] = anchor.place + 1
                    found.append(anchor)
    return found


def _anchors_of(record: BlockRecord, contract: Address, sheet: Worksheet) -> list[Anchor]:
    try:
        header = decode_block(record.block).header
        logs = [log for raw in record.receipts for log in decode_receipt(raw).logs]
    except InvalidInput as error:
        sheet.ask(ANCHOR_RECEIPTS, "a block", is_met=False, expected="a block", found=error.message)
        return []
    is_good = sheet.compare(
        ANCHOR_RECEIPTS,
        f"block {header.height}",
        expected=header.receipts_root,
        found=compute_ordered_root(record.receipts),
    )
    if not is_good:
        return []
    return [
        _anchor_of(log, header.height)
        for log in logs
        if log.address == contract and len(log.topics) == 4 and log.topics[0] == ANCHORED
    ]


def _anchor_of(log: Log, height: int) -> Anchor:
    return Anchor(
        municipality=int.from_bytes(log.topics[1], "big"),
        stream=log.topics[2],
        place=int.from_bytes(log.data[:32], "big"),
        root=Hash32(log.data[32:64]),
        leaf_count=int.from_bytes(log.data[64:96], "big"),
        height=height,
    )
