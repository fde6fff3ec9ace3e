"""Replays a chain of ballots from its file: seals, permissions, execution, roots, LevelDB.

``python -m tests.bench.replay [BALLOTS]`` makes a chain of ballots from senders of their own,
writes it as an auditor would get it, and imports it into an empty database in another process,
which tells its rate and how its memory grows with the chain.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from eth_abi import encode

from node.consensus.parameters import parameters_of_chain
from node.consensus.validators import tally_at_base
from node.execution.evm import compute_contract_address
from node.execution.profile import Interpreter, profile_of_chain
from node.genesis.parse import parse_genesis
from node.genesis.system_contracts import OpenCall
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.runtime.chain_file import ChainRules, import_chain
from node.storage.chain import open_chain
from node.storage.first_state import changes_of
from node.storage.leveldb import LevelDbStore
from node.storage.state_store import StateMode
from tests.bench.record import record
from tests.support.ballots import ELECTION, GAS_LIMIT, REGISTRAR, SOURCE, make_ballot
from tests.support.ledger import CHAIN_ID, GOVERNOR_KEY, Ledger, describe, encode_call

COUNT: Final = 10_000
PER_BLOCK: Final = 100


def main() -> None:
    """Measure both storage modes and record."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        genesis = make_chain(root / "chain.rlp", count)
        figures: dict[str, object] = {"ballots": count}
        for mode in StateMode:
            context = multiprocessing.get_context("spawn")
            queue: multiprocessing.Queue[dict[str, float]] = context.Queue()
            job = context.Process(target=replay, args=(root, genesis, mode.value, queue))
            job.start()
            figures[mode.value] = queue.get()
            job.join()
    record("replay", figures)


def make_chain(path: Path, count: int) -> bytes:
    """Write a chain of ``count`` ballots and return its genesis file."""
    ledger = build_ledger(count)
    path.write_bytes(ledger.export())
    return ledger.genesis_file


def build_ledger(count: int) -> Ledger:
    """Return a ledger whose chain holds ``count`` ballots."""
    import vyper  # noqa: PLC0415 - heavy, and not needed by the replaying process

    out = vyper.compile_code(SOURCE.read_text(), output_formats=["bytecode", "method_identifiers"])
    box = compute_contract_address(GOVERNOR_KEY.address, 0)
    cast = next(item for name, item in out["method_identifiers"].items() if name[:5] == "cast(")
    opened = OpenCall(target=box, selector=bytes.fromhex(cast[2:].zfill(8)), gas_max=GAS_LIMIT)
    ledger = Ledger(describe(open_calls=(opened,)), Interpreter.LOOP)
    init = bytes.fromhex(out["bytecode"][2:]) + encode(["address"], [REGISTRAR.address])
    ledger.make(ledger.call(GOVERNOR_KEY, None, init, gas_limit=3_000_000))
    ledger.make(ledger.call(GOVERNOR_KEY, box, encode_call("open_election(uint256)", ELECTION)))
    for start in range(0, count, PER_BLOCK):
        ballots = [
            make_ballot(at, key=PrivateKey(keccak256(b"%d" % at)), to=box, chain_id=CHAIN_ID)
            for at in range(start, min(start + PER_BLOCK, count))
        ]
        made = ledger.make(*ballots)
        assert len(made.block.transactions) == len(ballots), made.skipped[:1]
    return ledger


def replay(
    root: Path, genesis_file: bytes, mode: str, queue: "multiprocessing.Queue[dict[str, float]]"
) -> None:
    """Import the chain into a new database and report rate and memory."""
    genesis = parse_genesis(genesis_file)
    chain = open_chain(
        LevelDbStore(root / mode),
        genesis=Block(header=genesis.header),
        alloc=changes_of(genesis),
        mode=StateMode(mode),
    )
    rules = ChainRules(
        parameters=parameters_of_chain(genesis.profile), profile=profile_of_chain(genesis.profile)
    )
    began_s, began_cpu_s, before_mib = time.perf_counter(), time.process_time(), _peak_mib()
    report = import_chain(
        chain, root / "chain.rlp", rules, tally_at_base(genesis.header), lambda _height: None
    )
    chain.close()
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    size = sum(path.stat().st_size for path in (root / mode).rglob("*") if path.is_file())
    queue.put(
        {
            "ballots_per_s": round(report.transaction_count / wall_s, 1),
            "ballots_per_cpu_s": round(report.transaction_count / cpu_s, 1),
            "peak_mib_before": before_mib,
            "peak_mib_after": _peak_mib(),
            "bytes_per_ballot": round(size / report.transaction_count),
        }
    )


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
