"""Growth and cost of storage for ballots: ``python -m tests.bench.storage [COUNT ...]``.

Each ballot comes from its own sender with 420 bytes of calldata, sets two new slots, changes two
old ones and emits a log of three topics, as in the performance reference; blocks of 100. No EVM
runs: timed, in processor time, are the overlay (flat changes, tries, root) and the synced commit.
A count of 200000 takes some minutes.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import ExtraData, Header
from node.primitives.receipt import Log, Receipt, compute_bloom, merge_blooms
from node.primitives.transaction import Transaction, TransactionType
from node.primitives.trie import compute_ordered_root
from node.primitives.types import Address, Hash32, Height, Signature
from node.storage.chain import ChainStore
from node.storage.leveldb import LevelDbStore
from node.storage.logs import LogFilter
from node.storage.snapshot import restore_snapshot, write_snapshot
from node.storage.state import build_overlay
from node.storage.state_store import StateMode
from node.storage.view import Account, StateChanges
from tests.bench.record import record
from tests.support.stores import CONTRACT, KEY, open_made_up

BLOCK_SIZE = 100
EVENT = Hash32(keccak256(b"BallotCast(uint256,bytes32,bytes)"))
ELECTION = Hash32((1).to_bytes(32, "big"))
VALIDATORS = tuple(PrivateKey(bytes((number,)) * 32) for number in range(1, 5))


def word(*parts: object) -> bytes:
    """Return 32 bytes that look random and are always the same."""
    return keccak256(repr(parts).encode())


def make_ballots(height: int) -> tuple[list[Transaction], StateChanges, list[Receipt]]:
    """Return the transactions of a block, what they change and what they leave behind."""
    transactions, receipts = [], []
    changes = StateChanges()
    changes.slots[CONTRACT] = {0: height * BLOCK_SIZE, 1: height}
    for at in range(BLOCK_SIZE):
        sender = Address(word("sender", height, at)[:20])
        nullifier = word("nullifier", height, at)
        changes.accounts[sender] = Account(1, 0)
        changes.slots[CONTRACT][int.from_bytes(word("used", nullifier), "big")] = 1
        digest = int.from_bytes(word("digest", nullifier), "big")
        changes.slots[CONTRACT][int.from_bytes(word("box", nullifier), "big")] = digest
        noise = b"".join(word(height, at, part) for part in range(14))[:420]
        transactions.append(
            Transaction(
                type=TransactionType.DYNAMIC_FEE,
                chain_id=20_261,
                nonce=0,
                max_priority_fee_wei=0,
                max_fee_wei=0,
                gas_limit=120_000,
                to=CONTRACT,
                value_wei=0,
                data=noise,
                signature=Signature(word("r", height, at) + word("s", height, at) + b"\x00"),
            )
        )
        logs = (
            Log(
                address=CONTRACT,
                topics=(EVENT, ELECTION, Hash32(nullifier)),
                data=noise[:224],
            ),
        )
        receipts.append(
            Receipt(
                type=2,
                is_success=True,
                cumulative_gas_used=91_500 * (at + 1),
                bloom=compute_bloom(logs),
                logs=logs,
            )
        )
    return transactions, changes, receipts


def add_block(chain: ChainStore) -> tuple[float, float]:
    """Commit a block of ballots; return the processor seconds its overlay and its commit took."""
    parent = chain.head
    transactions, changes, receipts = make_ballots(parent.height + 1)
    started = time.process_time()
    overlay = build_overlay(chain.head_view(), changes)
    overlay_s = time.process_time() - started
    header = Header(
        parent_hash=parent.hash,
        coinbase=KEY.address,
        state_root=overlay.root,
        transactions_root=compute_ordered_root([tx.raw for tx in transactions]),
        receipts_root=compute_ordered_root([receipt.encode() for receipt in receipts]),
        bloom=merge_blooms(receipt.bloom for receipt in receipts),
        height=Height(parent.height + 1),
        gas_limit=parent.gas_limit,
        gas_used=91_500 * BLOCK_SIZE,
        timestamp_s=parent.timestamp_s + 2,
        extra_data=ExtraData(validators=tuple(key.address for key in VALIDATORS)),
    )
    header = header.with_seals(tuple(key.sign(header.seal_hash) for key in VALIDATORS[:3]))
    block = Block(header=header, transactions=tuple(transactions))
    for transaction in transactions:
        assert transaction.hash
    started = time.process_time()
    chain.commit_block(block, receipts, overlay)
    return overlay_s, time.process_time() - started


def resident_bytes() -> int:
    """Return the memory the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def grow(mode: StateMode, counts: list[int], directory: Path) -> list[dict[str, object]]:
    """Grow one chain through ``counts`` ballots and measure at each."""
    store = LevelDbStore(directory / mode.value)
    chain = open_made_up(store, mode=mode, node_cache_size=64 * 1024 * 1024)
    rows: list[dict[str, object]] = []
    done = 0
    for count in counts:
        overlay_s, commit_s = [], []
        while done < count:
            one, other = add_block(chain)
            overlay_s.append(one)
            commit_s.append(other)
            done += BLOCK_SIZE
        recent = slice(-max(5, min(50, len(overlay_s))), None)
        resident = resident_bytes()
        store.compact()
        size = store.measure_size_bytes()
        rows.append(
            {
                "mode": mode.value,
                "ballots": count,
                "bytes_per_ballot": round(size / count),
                "overlay_cpu_us_per_ballot": median_us(overlay_s[recent]),
                "commit_cpu_us_per_ballot": median_us(commit_s[recent]),
                "commit_cpu_ms_slowest": round(max(commit_s) * 1_000, 1),
                "overlay_cpu_ms_slowest": round(max(overlay_s) * 1_000, 1),
                "resident_mb": round(resident / 1e6),
                **measure_reads(chain, directory),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    chain.close()
    return rows


def measure_reads(chain: ChainStore, directory: Path) -> dict[str, object]:
    """Measure a log search, a proof, and writing and restoring a snapshot."""
    head = chain.head.height
    nullifier = Hash32(word("nullifier", head // 2, 7))
    rare = LogFilter(addresses=(CONTRACT,), topics=((EVENT,), (), (nullifier,)))
    started = time.perf_counter()
    found = chain.find_logs(rare, start=Height(0), stop=head, count_max=10)
    search_s = time.perf_counter() - started
    assert len(found) == 1
    started = time.perf_counter()
    for number in range(20):
        sender = Address(word("sender", 1 + number % head, number)[:20])
        assert chain.build_account_proof(head, sender).account is not None
    proof_s = (time.perf_counter() - started) / 20
    path = directory / "snapshot"
    started = time.perf_counter()
    write_snapshot(chain, path)
    write_s = time.perf_counter() - started
    store = LevelDbStore(directory / f"restored-{chain.mode}-{head}")
    started = time.perf_counter()
    genesis_hash = chain.load_header(Height(0)).hash
    restore_snapshot(store, path, trusted=chain.head, genesis_hash=genesis_hash, mode=chain.mode)
    restore_s = time.perf_counter() - started
    store.close()
    return {
        "find_one_log_ms": round(search_s * 1_000, 2),
        "account_proof_us": round(proof_s * 1e6),
        "snapshot_mb": round(path.stat().st_size / 1e6, 1),
        "snapshot_write_s": round(write_s, 2),
        "snapshot_restore_s": round(restore_s, 2),
    }


def median_us(seconds: list[float]) -> int:
    """Return the median time of a block as microseconds for each of its ballots."""
    return round(sorted(seconds)[len(seconds) // 2] / BLOCK_SIZE * 1e6)


def main() -> None:
    """Measure both modes at the counts given, or at 1,000 and 10,000 ballots, and record."""
    counts = [int(count) for count in sys.argv[1:]] or [1_000, 10_000]
    with tempfile.TemporaryDirectory() as directory:
        rows = [row for mode in StateMode for row in grow(mode, counts, Path(directory))]
    record("storage", {"rows": rows})


if __name__ == "__main__":
    main()
