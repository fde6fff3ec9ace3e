"""AUDIT-BUNDLE, AUDIT-HEADER, AUDIT-ORDER, AUDIT-SIGNATURE: records, their bounds and their order.

Bundles are put together record by record here; what they hold makes no sense and need not.
"""

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.primitives import rlp
from node.primitives.bundle import (
    CHUNK_SIZE_MAX,
    EVIDENCE_COUNT_MAX,
    MAGIC,
    RECORD_SIZE_MAX,
    AncestorRecord,
    BlockRecord,
    BundleHeader,
    EndRecord,
    EvidenceRecord,
    FilePart,
    FileRecord,
    InvalidBundle,
    Record,
    RecoveryRecord,
    SignatureRecord,
    SnapshotRecord,
    StateChunk,
    compute_bundle_hash,
    decode_record,
    sign_bundle,
)
from node.primitives.bundle_stream import BundleReader
from node.primitives.crypto import recover_address, sha256
from node.primitives.types import Address, BlockHash, Hash32, Height
from tests.support.ledger import key_of

ROOT = Hash32(b"\x07" * 32)
HEADER = BundleHeader(
    chain_id=5,
    genesis_hash=BlockHash(ROOT),
    first=Height(3),
    last=Height(4),
    tool="daicho",
    exporter=Address(b"\x01" * 20),
    snapshots=(Height(2), Height(4)),
)
RECOVERY = RecoveryRecord(document=b"{}")
ANCESTOR = AncestorRecord(header=b"\xc0")
SNAPSHOT = SnapshotRecord(height=Height(2), state_root=ROOT)
CHUNK = StateChunk(is_last=False, entries=b"\xc0")
LAST_CHUNK = StateChunk(is_last=True, entries=b"\xc0")
BLOCK = BlockRecord(block=b"\xc0", receipts=(b"\x01", b"\x02"))
EVIDENCE = EvidenceRecord(evidence=b"\xc0")
FILE = FileRecord(digest=bytes(32), size_bytes=2, name="結果.json")
PART = FilePart(is_last=False, data=b"1")
LAST_PART = FilePart(is_last=True, data=b"2")
END = EndRecord(
    block_count=1, transaction_count=2, evidence_count=3, file_count=4, digest=bytes(32)
)
SIGNATURE = SignatureRecord(signature=b"")
WHOLE: tuple[Record, ...] = (
    HEADER,
    RECOVERY,
    ANCESTOR,
    ANCESTOR,
    SNAPSHOT,
    CHUNK,
    LAST_CHUNK,
    BLOCK,
    BLOCK,
    SNAPSHOT,
    LAST_CHUNK,
    EVIDENCE,
    FILE,
    PART,
    LAST_PART,
    END,
    SIGNATURE,
)


def stream(records: Sequence[Record]) -> bytes:
    return MAGIC + b"".join(record.encode() for record in records)


def read(data: bytes) -> list[Record]:
    return [piece.record for piece in BundleReader(io.BytesIO(data)).read()]


def test_a_bundle_is_read_as_it_was_written() -> None:
    assert read(stream(WHOLE)) == list(WHOLE)


def test_pieces_tell_where_they_stand_and_the_digest_what_came_before() -> None:
    data = stream(WHOLE)
    reader = BundleReader(io.BytesIO(data))

    for piece in reader.read():
        assert data[piece.offset : piece.stop] == piece.record.encode()
        assert reader.digest == sha256(data[: piece.offset])

    assert reader.digest == sha256(data)


@pytest.mark.parametrize("missing", range(len(WHOLE)))
def test_what_may_not_be_missing_is_missed(missing: int) -> None:
    """Every record but those there may be none or one less of."""
    records = WHOLE[:missing] + WHOLE[missing + 1 :]
    optional = (RECOVERY, ANCESTOR, CHUNK, BLOCK, EVIDENCE, PART)
    if WHOLE[missing] in optional:
        assert read(stream(records)) == list(records)
        return
    with pytest.raises(InvalidBundle) as caught:
        read(stream(records))
    assert caught.value.rule == "AUDIT-ORDER"


@pytest.mark.parametrize(
    "records",
    [
        pytest.param((HEADER, HEADER), id="two headers"),
        pytest.param((HEADER, BLOCK, RECOVERY), id="a document after blocks"),
        pytest.param((HEADER, BLOCK, ANCESTOR), id="an ancestor after blocks"),
        pytest.param((HEADER, EVIDENCE, BLOCK), id="a block after evidence"),
        pytest.param((HEADER, SNAPSHOT), id="a state without ancestors or block"),
        pytest.param((HEADER, FILE, LAST_PART, PART), id="a part after the last"),
        pytest.param((HEADER, END, SIGNATURE, SIGNATURE), id="something after the signature"),
        pytest.param((HEADER, *[EVIDENCE] * (EVIDENCE_COUNT_MAX + 1)), id="too much evidence"),
    ],
)
def test_another_order_is_refused(records: Sequence[Record]) -> None:
    with pytest.raises(InvalidBundle) as caught:
        read(stream(records))
    assert caught.value.rule == "AUDIT-ORDER"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(MAGIC[:-1], id="half a magic line"),
        pytest.param(MAGIC + b"\x80", id="no list"),
        pytest.param(stream(WHOLE)[:-1], id="torn"),
        pytest.param(stream(WHOLE) + b"\x00", id="trailing garbage"),
        pytest.param(MAGIC + b"\xfb\xff\xff\xff\xff", id="too long"),
        pytest.param(MAGIC + rlp.encode([b"nothing"]), id="unknown kind"),
        pytest.param(MAGIC + rlp.encode([]), id="no kind"),
        pytest.param(MAGIC + rlp.encode([b"end"]), id="items missing"),
        pytest.param(MAGIC + rlp.encode([b"state", b"\x02", b""]), id="half a flag"),
        pytest.param(
            MAGIC + rlp.encode([b"part", b"", bytes(CHUNK_SIZE_MAX + 1)]), id="piece too long"
        ),
        pytest.param(MAGIC + rlp.encode([b"file", bytes(32), b"", b"\xff"]), id="no text"),
        pytest.param(MAGIC + rlp.encode([b"file", bytes(32), b"", b"x" * 256]), id="long name"),
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidBundle) as caught:
        read(data)
    assert caught.value.rule == "AUDIT-BUNDLE"


def test_a_huge_record_is_refused_before_it_is_read() -> None:
    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.taken = 0
            self.head = MAGIC + b"\xfb" + (RECORD_SIZE_MAX + 1).to_bytes(4, "big")

        def read(self, size: int = -1) -> bytes:
            found, self.head = self.head[:size], self.head[size:]
            self.taken += size
            return found.ljust(size, b"\x00")

    file = Endless()
    with pytest.raises(InvalidBundle, match="at most"):
        list(BundleReader(file).read())  # type: ignore[arg-type]
    assert file.taken < 100


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        read(MAGIC + data)
    except InvalidBundle:
        return


@pytest.mark.parametrize("record", WHOLE, ids=lambda record: type(record).__name__)
def test_every_record_survives_its_bytes(record: Record) -> None:
    assert decode_record(record.encode()) == record


def test_the_exporter_signs_everything_before() -> None:
    key = key_of("exporter")
    record = sign_bundle(b"\x05" * 32, key)

    assert recover_address(compute_bundle_hash(b"\x05" * 32), record.signature) == key.address
    assert compute_bundle_hash(b"\x05" * 32) != compute_bundle_hash(b"\x06" * 32)
    assert sign_bundle(b"\x05" * 32, None).signature == b""
