"""Audits a bundle of ballots: rate against the node's import and @ethereumjs, seals, processes.

``python -m tests.bench audit`` makes a chain of ballots, exports it with states, and audits the
same bundle with one process and with two, imports it as a node does, and has @ethereumjs execute
it. Rates include the start of each program; they are of one machine and one run.
"""

import tempfile
import time
from pathlib import Path
from typing import Final

from clients.auditor.chain_audit import ChainInputs, Running, audit_chain
from clients.auditor.chain_checks import CHAIN_CHECKS
from clients.auditor.checks import Conclusion, Worksheet
from clients.auditor.documents import Documents
from clients.auditor.executors import open_executor
from clients.auditor.header_walk import HeaderWalk, WalkRules
from clients.auditor.work_folder import WorkFolder
from node.consensus.parameters import parameters_of_chain
from node.consensus.validators import tally_at_base
from node.execution.profile import profile_of_chain
from node.genesis.parse import parse_genesis
from node.genesis.profile import Genesis
from node.primitives.block import Block
from node.primitives.types import Height
from node.runtime.bundle_file import BundlePlan, export_bundle
from node.runtime.chain_file import ChainRules, import_chain, read_chain
from node.storage.chain import open_chain
from node.storage.first_state import changes_of
from node.storage.leveldb import LevelDbStore
from node.storage.state_store import StateMode
from tests.bench.record import record
from tests.bench.replay import build_ledger
from tests.support.javascript import run_peer

COUNT: Final = 2_000
STATES_EVERY: Final = 10


def main() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ledger = build_ledger(COUNT)
        genesis_file, genesis = ledger.genesis_file, ledger.genesis
        bundle = root / "bundle"
        plan = BundlePlan(
            profile=genesis.profile,
            start=Height(1),
            stop=ledger.head.height,
            snapshot_interval=STATES_EVERY,
        )
        export_bundle(ledger.chain, bundle, plan, lambda _height: None)
        (root / "genesis.json").write_bytes(genesis_file)
        one_s = audit(bundle, genesis_file, processes=1)
        two_s = audit(bundle, genesis_file, processes=2)
        own_s = import_bundle(root, bundle, genesis)
        began_s = time.perf_counter()
        run_peer("replay.mjs", str(root / "genesis.json"), str(bundle), timeout_s=600)
        peer_s = time.perf_counter() - began_s
        record(
            "audit",
            {
                "ballots": COUNT,
                "bundle_mib": round(bundle.stat().st_size / 2**20, 1),
                "auditor_tx_per_s": round(COUNT / one_s),
                "auditor_two_processes_tx_per_s": round(COUNT / two_s),
                "node_import_tx_per_s": round(COUNT / own_s),
                "ethereumjs_tx_per_s": round(COUNT / peer_s),
                "seals_per_s": round(walk(bundle, genesis)),
            },
        )


def audit(bundle: Path, genesis_file: bytes, *, processes: int) -> float:
    """Return how long an audit takes."""
    began_s = time.perf_counter()
    genesis_hash = parse_genesis(genesis_file).profile.genesis_hash
    with open_executor(processes, None) as executor:
        report = audit_chain(
            ChainInputs(
                bundle=bundle,
                genesis_file=genesis_file,
                documents=Documents(genesis_hash=genesis_hash),
            ),
            Running(
                tool="bench",
                now_s=0,
                clock=time.monotonic,
                tell=lambda _progress: None,
                executor=executor,
                work=WorkFolder(None),
            ),
        )
    assert report.conclusion is Conclusion.CONFIRMED, report.failed
    return time.perf_counter() - began_s


def import_bundle(root: Path, bundle: Path, genesis: Genesis) -> float:
    """Return how long a node takes to import the same bundle into LevelDB."""
    began_s = time.perf_counter()
    chain = open_chain(
        LevelDbStore(root / "chain"),
        genesis=Block(header=genesis.header),
        alloc=changes_of(genesis),
        mode=StateMode.LIVE,
    )
    rules = ChainRules(
        parameters=parameters_of_chain(genesis.profile), profile=profile_of_chain(genesis.profile)
    )
    import_chain(chain, bundle, rules, tally_at_base(genesis.header), lambda _height: None)
    chain.close()
    return time.perf_counter() - began_s


def walk(bundle: Path, genesis: Genesis) -> float:
    """Return the seals checked in a second, every other check of a header included."""
    headers = [block.header for block in read_chain(bundle)]
    rules = WalkRules(
        parameters=parameters_of_chain(genesis.profile),
        block_gas_limit=genesis.profile.block_gas_limit,
    )
    began_s = time.perf_counter()
    tally = tally_at_base(genesis.header)
    walked = HeaderWalk(Worksheet(CHAIN_CHECKS), rules, parent=genesis.header, tally=tally)
    for header in headers:
        walked.take(header)
    seals = sum(len(header.extra_data.seals) for header in headers)
    return seals / (time.perf_counter() - began_s)


if __name__ == "__main__":
    main()
