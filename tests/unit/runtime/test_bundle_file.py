"""AUDIT-EXPORT, AUDIT-STATE, AUDIT-DIGEST: a node's export is whole, repeatable and continuable.

A ledger of four validators writes six blocks; exports are torn at every record and continued.
"""

from pathlib import Path
from typing import Any

import pytest

from node.membership.recovery import build_recovery
from node.primitives.bundle import (
    AncestorRecord,
    BlockRecord,
    BundleHeader,
    EndRecord,
    FilePart,
    FileRecord,
    InvalidBundle,
    RecoveryRecord,
    SnapshotRecord,
    StateChunk,
)
from node.primitives.bundle_stream import BundleReader, Piece
from node.primitives.crypto import sha256
from node.primitives.errors import Misconfigured
from node.primitives.types import Hash32, Height
from node.runtime.bundle_file import BundlePlan, export_bundle
from node.runtime.chain_file import read_chain
from node.storage.kv import MemoryStore
from node.storage.state_chunks import StateLoader, iterate_chunks
from node.storage.state_stream import iterate_flat, iterate_view
from tests.support.ledger import GOVERNOR_KEY, VALIDATOR_KEYS, Ledger

INIT_CODE = bytes.fromhex("600160005360016000f3")


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    made = Ledger()
    for _ in range(6):
        made.make(made.call(GOVERNOR_KEY, None, INIT_CODE))
    return made


def plan_of(ledger: Ledger, **changes: Any) -> BundlePlan:
    return BundlePlan(
        **{
            "profile": ledger.genesis.profile,
            "start": Height(1),
            "stop": ledger.head.height,
            "key": VALIDATOR_KEYS[0],
            **changes,
        }
    )


def export(ledger: Ledger, path: Path, **changes: Any) -> Path:
    export_bundle(ledger.chain, path, plan_of(ledger, **changes), lambda _: None)
    return path


def pieces(path: Path) -> list[Piece]:
    with path.open("rb") as file:
        return list(BundleReader(file).read())


def records(path: Path, *kinds: type) -> list[Any]:
    return [piece.record for piece in pieces(path) if isinstance(piece.record, kinds)]


def test_a_bundle_holds_every_block_with_its_receipts(ledger: Ledger, tmp_path: Path) -> None:
    path = export(ledger, tmp_path / "b")

    blocks = records(path, BlockRecord)
    assert [each.block for each in blocks] == [
        block.encode() for block in ledger.chain.iterate_blocks(Height(1), ledger.head.height)
    ]
    assert blocks[0].receipts == tuple(
        receipt.encode() for receipt in ledger.chain.load_receipts(Height(1))
    )
    assert [block.height for block in read_chain(path)] == [1, 2, 3, 4, 5, 6]


def test_the_end_counts_and_hashes_what_came_before(ledger: Ledger, tmp_path: Path) -> None:
    path = export(ledger, tmp_path / "b")
    end = next(piece for piece in pieces(path) if isinstance(piece.record, EndRecord))

    assert isinstance(end.record, EndRecord)
    assert end.record.digest == sha256(path.read_bytes()[: end.offset])
    assert (end.record.block_count, end.record.transaction_count) == (6, 6)


def test_the_states_asked_for_are_there_and_have_their_roots(
    ledger: Ledger, tmp_path: Path
) -> None:
    path = export(ledger, tmp_path / "b", snapshot_interval=2)

    assert records(path, BundleHeader)[0].snapshots == (2, 4, 6)
    loader: StateLoader | None = None
    found: list[tuple[Height, Hash32, Hash32]] = []
    announced: SnapshotRecord | None = None
    for record in records(path, SnapshotRecord, StateChunk):
        if isinstance(record, SnapshotRecord):
            announced, loader = record, StateLoader(MemoryStore())
            continue
        assert loader is not None
        assert announced is not None
        loader.add(record.entries)
        if record.is_last:
            found.append((announced.height, announced.state_root, loader.finish()))
    assert found == [
        (at, root, root)
        for at in (2, 4, 6)
        for root in [ledger.chain.load_header(Height(at)).state_root]
    ]


def test_a_state_fills_a_store_as_a_live_node_keeps_it(ledger: Ledger) -> None:
    view = ledger.view
    store = MemoryStore()
    loader = StateLoader(store)
    for chunk in iterate_chunks(iterate_view(view), view.load_code):
        loader.add(chunk.entries)

    assert loader.finish() == view.root
    assert list(iterate_flat(store)) == list(iterate_view(view))


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(b"\x80", id="no list"),
        pytest.param(b"\xc2\xc1\x73", id="unknown entry"),
        pytest.param(b"\xc0" * 2, id="trailing bytes"),
    ],
)
def test_what_is_no_state_is_refused(entries: bytes) -> None:
    with pytest.raises(InvalidBundle):
        StateLoader(None).add(entries)


def test_a_range_brings_its_ancestors_and_the_state_before_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    path = export(ledger, tmp_path / "b", start=Height(4))

    assert len(records(path, AncestorRecord)) == 4
    assert records(path, SnapshotRecord)[0].height == 3
    assert len(records(path, BlockRecord)) == 3


def test_attached_files_are_named_by_their_digest(ledger: Ledger, tmp_path: Path) -> None:
    big, empty = tmp_path / "big.bin", tmp_path / "empty"
    big.write_bytes(b"x" * 1_300_000)
    empty.write_bytes(b"")
    path = export(ledger, tmp_path / "b", files=(big, empty))

    found = records(path, FileRecord)
    assert [(each.name, each.digest) for each in found] == [
        ("big.bin", sha256(big.read_bytes())),
        ("empty", sha256(b"")),
    ]
    assert b"".join(part.data for part in records(path, FilePart)) == big.read_bytes()


def test_recovery_documents_of_the_range_are_there(ledger: Ledger, tmp_path: Path) -> None:
    documents = tuple(
        build_recovery(
            genesis_hash=ledger.genesis.profile.genesis_hash,
            height=Height(at),
            parent_hash=ledger.genesis.profile.genesis_hash,
            validators=[VALIDATOR_KEYS[0].address],
            lost=[],
            reason="a trial",
        )
        for at in (3, 60)
    )
    path = export(ledger, tmp_path / "b", recoveries=documents)

    assert len(records(path, RecoveryRecord)) == 1


def test_two_exports_are_equal(ledger: Ledger, tmp_path: Path) -> None:
    one, two = (export(ledger, tmp_path / name, snapshot_interval=3).read_bytes() for name in "ab")

    assert one == two


def test_an_interrupted_export_is_continued_to_the_same_bytes(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Torn inside every record in turn, states and files included."""
    file = tmp_path / "file"
    file.write_bytes(b"attached")
    options = {"snapshot_interval": 2, "start": Height(2), "files": (file,)}
    whole = export(ledger, tmp_path / "b", **options).read_bytes()
    for piece in pieces(tmp_path / "b"):
        path = tmp_path / f"at{piece.offset}"
        draft = path.with_name(path.name + ".partial")
        draft.write_bytes(whole[: piece.offset + piece.size // 2])

        assert export(ledger, path, **options).read_bytes() == whole
        assert not draft.exists()


def test_a_draft_of_another_plan_is_begun_anew(ledger: Ledger, tmp_path: Path) -> None:
    whole = export(ledger, tmp_path / "b").read_bytes()
    (tmp_path / "c.partial").write_bytes(whole[:-70])

    again = export(ledger, tmp_path / "c", stop=Height(5))

    assert len(records(again, BlockRecord)) == 5


def test_a_range_that_cannot_be_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        export(ledger, tmp_path / "b", start=Height(9), stop=Height(3))
    with pytest.raises(Misconfigured, match="cannot be read"):
        export(ledger, tmp_path / "b", files=(tmp_path / "nothing",))
