"""QBFT-HASH, SYNC-SEALS, EXEC-ONCE: a chain file is checked block by block, whoever wrote it.

A ledger of four validators writes five blocks; readers meet torn, forged and foreign files.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from node.consensus.parameters import parameters_of_chain
from node.consensus.validators import tally_at_base
from node.execution.profile import profile_of_chain
from node.primitives.block import Block
from node.primitives.types import Height, Round
from node.runtime.chain_file import (
    ChainReport,
    ChainRules,
    InvalidChainFile,
    export_chain,
    import_chain,
    read_chain,
    verify_chain,
)
from tests.support.ledger import GOVERNOR_KEY, VALIDATOR_KEYS, Ledger, describe, reclaim, seal

INIT_CODE = bytes.fromhex("600160005360016000f3")


@pytest.fixture(scope="module")
def writer() -> Ledger:
    ledger = Ledger()
    for _ in range(5):
        ledger.make(ledger.call(GOVERNOR_KEY, None, INIT_CODE))
    return ledger


@pytest.fixture
def file(writer: Ledger, tmp_path: Path) -> Path:
    path = tmp_path / "chain.rlp"
    export_chain(
        writer.chain, path, start=Height(0), stop=writer.head.height, progress=lambda _: None
    )
    return path


def rules(ledger: Ledger) -> ChainRules:
    profile = ledger.genesis.profile
    return ChainRules(parameters=parameters_of_chain(profile), profile=profile_of_chain(profile))


def imported(reader: Ledger, path: Path) -> ChainReport:
    tally = tally_at_base(reader.genesis.header)
    return import_chain(reader.chain, path, rules(reader), tally, lambda _: None)


def rewrite(path: Path, change: Callable[[Block], Block], at: int) -> None:
    blocks = list(read_chain(path))
    blocks[at] = change(blocks[at])
    path.write_bytes(b"".join(block.encode() for block in blocks))


def test_an_empty_ledger_imports_to_the_same_state(writer: Ledger, file: Path) -> None:
    reader = Ledger()
    report = imported(reader, file)

    assert report.stop == 5
    assert report.transaction_count == 5
    assert reader.head.hash == writer.head.hash
    assert reader.view.root == writer.view.root


def test_an_interrupted_export_is_continued_where_it_stopped(writer: Ledger, file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])

    count = export_chain(
        writer.chain, file, start=Height(0), stop=writer.head.height, progress=lambda _: None
    )

    assert count == 1
    assert file.read_bytes() == whole


def test_an_export_never_continues_another_chains_file(file: Path) -> None:
    other = Ledger()
    for _ in range(5):
        other.make(seconds=3)
    with pytest.raises(InvalidChainFile, match="not of this chain"):
        export_chain(other.chain, file, start=Height(0), stop=Height(5), progress=lambda _: None)


def test_another_quorum_of_seals_is_the_same_chain(writer: Ledger, file: Path) -> None:
    rewrite(file, lambda block: seal(block, VALIDATOR_KEYS[1:]), at=3)
    report = verify_chain(file, rules(writer), writer.genesis.header, lambda _: None)
    assert report.head_hash == writer.head.hash


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda block: seal(block, VALIDATOR_KEYS[:2]), "seals", id="two seals"),
        pytest.param(lambda block: block.with_round(Round(1)), "seals", id="no seals"),
        pytest.param(
            lambda block: seal(reclaim(block, timestamp_s=block.header.timestamp_s + 1)),
            "parent",
            id="sealed, but another parent for the next",
        ),
        pytest.param(
            lambda block: Block(header=block.header), "transactions", id="without its transactions"
        ),
    ],
)
def test_a_forged_block_is_named_by_its_height(
    writer: Ledger, file: Path, change: Callable[[Block], Block], said: str
) -> None:
    rewrite(file, change, at=3)
    with pytest.raises(InvalidChainFile, match=r"block [34]: ") as refused:
        verify_chain(file, rules(writer), writer.genesis.header, lambda _: None)
    assert said in str(refused.value).lower() or "parent" in str(refused.value)


def test_a_state_root_sealed_by_all_is_still_executed(file: Path) -> None:
    rewrite(file, lambda block: seal(reclaim(block, state_root=block.header.parent_hash)), at=5)
    with pytest.raises(InvalidChainFile, match="state root"):
        imported(Ledger(), file)


def test_a_file_of_another_network_is_refused(file: Path) -> None:
    other = Ledger(describe(municipality_count=1))
    with pytest.raises(InvalidChainFile, match="genesis"):
        verify_chain(file, rules(other), other.genesis.header, lambda _: None)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x80", id="no list"),
        pytest.param(b"\xf8", id="ends in a prefix"),
        pytest.param(b"\xfb\xff\xff\xff\xff", id="longer than a block"),
        pytest.param(b"\xc1\x80", id="no block"),
        pytest.param(b"\xc5\x80", id="torn"),
    ],
)
def test_what_is_no_chain_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    with pytest.raises(InvalidChainFile):
        list(read_chain(path))
