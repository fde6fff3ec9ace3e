"""A mock election on real processes, disturbed in every way we can, counted exactly as voted.

Four municipalities; three races; some vote again, some lose their device, some vote on paper in the
end. One relay takes ballots, signs for them and forgets them; one mixer replaces a row; one trustee
is killed after voting and stays away. Then auditors recompute the record, with the chain and in
another language, and refuse a manipulated copy.

CAST-RECEIPT, VOTE-EVIDENCE, TALLY-ROUND, TALLY-SHARE, ELECTION-PUBLISH, AUDIT-ELECTION (cases 54,
55, 62, 88).
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from node.cli.network_elections import PRELOADED, create_election_contracts
from node.cli.network_services import create_contracts
from node.primitives.canonical import encode_canonical
from node.runtime.localprocess import LocalProcess, stop_all
from node.runtime.localservices import find_companions, find_services
from node.runtime.nursery import Nursery, nursery
from services.election_localnet import (
    ElectionNetwork,
    find_network,
    lay_out_elections,
    migrate_elections,
)
from services.election_trial import Trial
from services.election_trial_cast import TrialPlan
from tests.support.javascript import verify_election
from tests.support.network import PLAN, TrialNetwork, running

VOTERS = 12
VOTERS_NIGHTLY = int(os.environ.get("DAICHO_MOCK_VOTERS", "60"))

RACES = (
    (1, "市長", ("青木", "馬場", "千葉")),
    (2, "図書館の新設", ("賛成", "反対")),
    (5, "公園の名前", ("松", "竹", "梅", "桜")),
)
STYLES = ((1, "本区", (1, 2, 5)), (2, "分区", (1, 5)))

LYING_RELAY = """
import services.election.ballots.store as store
async def forget(tx, scope, ballot_hash, ballot, receipt):
    return None
store.add_queued = forget
"""
"""A relay that promises and forgets."""

CHEATING_MIXER = """
import services.election.trustee.tally as tally
kinds = [each for each in vars(tally).values() if isinstance(each, type)]
kind = next(each for each in kinds if "_mix" in vars(each))
honest = kind._heavy
async def bent(self, name, work, *arguments):
    found = await honest(self, name, work, *arguments)
    if work is not tally.work.mix:
        return found
    output, proof = found
    return output[-66:] + output[66:], proof
kind._heavy = bent
"""
"""A mixer that puts the last row in the place of the first."""

PRELUDES = {2: CHEATING_MIXER, 3: LYING_RELAY}
CRASHED = 4

COMMAND_TIMEOUT_S = 600.0

MANIPULATED = {"election.results.counts", "election.results.hashes"}
"""Checks that notice numbers which are not those of the votes."""


def plan_of(voters: int) -> TrialPlan:
    return TrialPlan(
        voters=voters,
        revotes=max(2, voters // 5),
        papers=max(1, voters // 10),
        reenrolled=max(1, voters // 10),
        races=RACES,
        styles=STYLES,
        mixers=(2, 1, 3, 4),
        min_mixes=2,
        mix_time_s=15,
        cast_blocks=20,
    )


@contextmanager
def elections(network: TrialNetwork) -> Iterator[ElectionNetwork]:
    """Run every municipality's election services, some of them bent."""
    create_contracts(network.local)
    create_election_contracts(network.local)
    laid_out = find_network(network.local.root)
    lay_out_elections(laid_out)
    with ThreadPoolExecutor(1) as pool:
        # A loop of its own: the test runs in one.
        pool.submit(lambda: asyncio.run(migrate_elections(laid_out))).result()
    processes: list[LocalProcess] = []
    try:
        for companion in find_companions(network.local.root):
            companion.start()
            processes.append(companion)
        bent = {
            f"election@{laid_out.towns[number - 1].town.tenant}": prelude
            for number, prelude in PRELUDES.items()
        }
        for service in find_services(network.local.root):
            service.start(bent.get(service.program.name, ""))
            processes.append(service)
        yield laid_out
    except BaseException:
        for process in processes:
            log = process.program.log_path.read_text(encoding="utf-8", errors="replace")
            print(f"--- {process.program.name}\n" + "\n".join(log.splitlines()[-12:]))
        raise
    finally:
        stop_all(processes)


def kill_trustee(network: TrialNetwork, tenant: str) -> None:
    """Kill -9 a municipality's election service and its custodian."""
    root = network.local.root
    for process in (*find_services(root), *find_companions(root)):
        if process.program.name.startswith(f"election@{tenant}"):
            process.stop(signal.SIGKILL)


@dataclass(frozen=True)
class Held:
    """An election that is over."""

    eid: str
    shown: Mapping[str, Any]
    state: Mapping[str, Any]
    blamed: set[str]
    record: Path
    bundle: Path


async def hold(
    network: TrialNetwork, laid_out: ElectionNetwork, forked: Nursery, plan: TrialPlan
) -> Held:
    """Hold the election, kill a trustee when the box is closed, and export the chain."""
    async with AsyncExitStack() as stack:
        trial = Trial(laid_out, plan, print)
        await trial.open(stack)
        await trial.prepare()
        await trial.vote()
        await trial.wait_for_phase("closed", "tally", "done")
        kill_trustee(network, laid_out.towns[CRASHED - 1].town.tenant)
        shown = await trial.count()
        eid = trial.manifest.eid.hex()
        state = await trial.get(laid_out.towns[0], f"/elections/{eid}")
    node = network.nodes[1]
    network.local.stop(node)
    bundle = network.local.root / "chain.bundle"
    words = ("chain", "export", str(bundle), "--config", str(node.settings_path), "--unsigned")
    assert run(forked, *words)[0] == 0
    return Held(eid, shown, state, trial.blamed, Path(str(shown["record"])), bundle)


def run(forked: Nursery, *words: str) -> tuple[int, str]:
    """Run a `daicho` command; return its exit code and what it printed."""
    with TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        code = forked.run(words, output=output, errors=errors, timeout_s=COMMAND_TIMEOUT_S)
        print(errors.read_text(encoding="utf-8"))
        return code, output.read_text(encoding="utf-8")


def audit(forked: Nursery, held: Held, record: Path) -> tuple[int, set[str]]:
    """Audit a record against the chain, as auditors do; return the exit code and what failed."""
    where = ("--record", str(record), "--chain", str(held.bundle))
    code, told = run(forked, "--json", "audit", "election", held.eid, *where)
    return code, failed({each["name"]: each for each in json.loads(told)["checks"]})


def manipulate(record: Path, copy: Path) -> None:
    """Copy a record and move one vote to another candidate, with every digest made to fit."""
    shutil.copytree(record, copy)
    chain = json.loads((copy / "chain.json").read_bytes())
    numbers = next(each for each in chain["results"] if each["race"] == 1)["numbers"]
    at = next(place for place, number in enumerate(numbers) if number)
    numbers[at] -= 1
    numbers[(at + 1) % 4] += 1
    data = encode_canonical(chain)
    (copy / "chain.json").write_bytes(data)
    index = json.loads((copy / "record.json").read_bytes())
    listed = next(each for each in index["files"] if each["path"] == "chain.json")
    listed.update(size=len(data), sha256=sha256(data).hexdigest())
    (copy / "record.json").write_bytes(encode_canonical(index))


@pytest.mark.slow
@pytest.mark.parametrize(
    "voters",
    [
        pytest.param(VOTERS, id="small"),
        pytest.param(VOTERS_NIGHTLY, id="large", marks=pytest.mark.nightly),
    ],
)
async def test_a_disturbed_election_is_counted_exactly_as_voted(voters: int) -> None:
    # Paths of Unix sockets are short, shorter than pytest's own folders.
    with (
        TemporaryDirectory(prefix="daicho-") as folder,
        nursery(PRELOADED) as forked,
        running(Path(folder), PLAN) as network,
        elections(network) as laid_out,
    ):
        held = await hold(network, laid_out, forked, plan_of(voters))

        assert held.blamed == {laid_out.towns[2].town.name}
        rounds = [each for tally in held.state["lists"] for each in tally["rounds"]]
        assert any(each["mixer"] == 2 and each["is_valid"] is False for each in rounds)
        assert all(CRASHED not in tally["shares"] for tally in held.state["lists"])
        assert "equal to the choices" in str(held.shown["verified"])

        bent = Path(folder) / "bent"
        manipulate(held.record, bent)
        assert audit(forked, held, held.record) == (0, set())
        code, found = audit(forked, held, bent)
        assert (code, found) == (1, {"election.chain", *MANIPULATED})
        # The one in TypeScript replays no chain, and says so.
        code, answers = verify_election(held.record)
        assert (code, failed(answers)) == (2, set())
        assert named(answers, "undecided") == {"election.chain"}
        code, answers = verify_election(bent)
        assert (code, failed(answers)) == (1, MANIPULATED)


def failed(answers: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the checks that an auditor's program found unmet."""
    return named(answers, "failed")


def named(answers: Mapping[str, Mapping[str, Any]], verdict: str) -> set[str]:
    """Return the checks with a verdict."""
    return {name for name, each in answers.items() if each["verdict"] == verdict}
