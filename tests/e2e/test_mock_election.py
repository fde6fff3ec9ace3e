"""A mock election on real processes, disturbed in every way we can, counted exactly as voted.

Four municipalities; three races; some vote again, some lose their device, some vote on paper in the
end. One relay takes ballots, signs for them and forgets them; one mixer replaces a row; one trustee
is killed after the freeze and stays away. The record is recomputed by the auditors' program.

CAST-RECEIPT, VOTE-EVIDENCE, TALLY-ROUND, TALLY-SHARE, ELECTION-PUBLISH (cases 54, 55, 62, 88).
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from node.cli.network_elections import create_election_contracts
from node.cli.network_services import create_contracts
from node.runtime.localprocess import LocalProcess, stop_all
from node.runtime.localservices import find_companions, find_services
from services.election_localnet import (
    ElectionNetwork,
    find_network,
    lay_out_elections,
    migrate_elections,
)
from services.election_trial import Trial
from services.election_trial_cast import TrialPlan
from tests.support.network import PLAN, TrialNetwork, running

VOTERS = int(os.environ.get("DAICHO_MOCK_VOTERS", "12"))
"""How many take part."""

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


@pytest.mark.nightly
async def test_a_disturbed_election_is_counted_exactly_as_voted() -> None:
    plan = TrialPlan(
        voters=VOTERS,
        revotes=max(2, VOTERS // 5),
        papers=max(1, VOTERS // 10),
        reenrolled=max(1, VOTERS // 10),
        races=RACES,
        styles=STYLES,
        mixers=(2, 1, 3, 4),
        min_mixes=2,
        mix_time_s=45,
        window_s=150,
        cast_blocks=30,
    )
    # Paths of Unix sockets are short, shorter than pytest's own folders.
    with (
        TemporaryDirectory(prefix="daicho-") as folder,
        running(Path(folder), PLAN) as network,
        elections(network) as laid_out,
    ):
        async with AsyncExitStack() as stack:
            trial = Trial(laid_out, plan, print)
            await trial.open(stack)
            await trial.prepare()
            await trial.vote()
            crashed = laid_out.towns[CRASHED - 1]
            await trial.wait_for_phase("closed", "tally", "done")
            kill_trustee(network, crashed.town.tenant)
            shown = await trial.count()
            state = await trial.get(laid_out.towns[0], f"/elections/{trial.manifest.eid.hex()}")

    assert trial.blamed == {laid_out.towns[2].town.name}
    rounds = [each for tally in state["lists"] for each in tally["rounds"]]
    assert any(each["mixer"] == 2 and each["is_valid"] is False for each in rounds)
    assert all(CRASHED not in tally["shares"] for tally in state["lists"])
    assert "equal to the choices" in str(shown["verified"])
