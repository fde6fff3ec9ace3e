"""QBFT-LOCK, QBFT-SIGN-STATE, QBFT-STALE, QBFT-RESUME, QBFT-CATCH-UP: the fault catalogue.

One test for each row that a simulated network can express, named ``row-NN``. Every run is watched
by all checkers (I1 to I7), so a test adds only what its row expects beyond them: that blocks are
decided while the faults last ("live"), or that the network resumes by itself ("resumes").

Rows with real processes, disks and sockets are tests of other suites: 6 (torn and full disks, also
here as far as a model goes), 20 (mixed versions), 21 (RPC overload), 22 (transaction flood), 23
(worst-case blocks), 24 (expired membership and certificates), 25 (audit by another EVM); 4 and 19
are there as well, with kill -9 and a real chain.
"""

from dataclasses import replace

import pytest

from node.consensus.validators import assess_change
from node.primitives.header import ValidatorVote
from node.simulation.faults import Faults, Lie, Partition
from node.simulation.run import Report, Run, run
from node.simulation.scenario import Scenario, count_faults_max, count_quorum
from tests.support.simulation import (
    NEVER_MS,
    check,
    endure,
    endure_live,
    height_of,
    play_for,
    play_until,
    vote_all,
)

SEEDS = (1, 2)

each_seed = pytest.mark.parametrize("seed", SEEDS)


def rejected(report: Report, reason: str) -> int:
    return dict(report.rejects).get(reason, 0)


@each_seed
@pytest.mark.parametrize("validators", [4, 5, 6, 7])
def test_row_01_with_all_but_a_quorum_crashed_the_rest_go_on(seed: int, validators: int) -> None:
    endure_live(seed, validators=validators, lost_count=validators - count_quorum(validators))


@each_seed
def test_row_02_after_an_hour_without_quorum_one_restart_resumes(seed: int) -> None:
    faults = Faults(lost_count=1, dead_count=1, calm_ms=3_600_000)
    scenario = Scenario(seed=seed, transaction_ms=60_000, faults=faults)

    report = check(run(scenario))

    assert report.calm_height == 0
    assert report.resume_ms <= 2 * scenario.parameters.round_timeout_cap_ms


@each_seed
@pytest.mark.parametrize("validators", [4, 7])
def test_row_03_when_all_lose_power_no_final_block_is_lost(seed: int, validators: int) -> None:
    report = endure(
        seed, validators=validators, power_loss_count=5, torn_tail_permille=500, delay_ms=50
    )

    assert report.crash_count >= validators


def test_row_04_a_crash_at_any_boundary_leads_to_no_contradiction() -> None:
    faults = Faults(delay_ms=20, jitter_ms=30, down_ms=200)
    calm = Scenario(seed=4, heights=2, calm_heights=1, faults=faults)
    play = Run(calm)
    check(play.to_end())
    boundaries = play.cluster.boundary_counts[0]

    for boundary in range(1, boundaries + 1):
        crashing = replace(faults, crash_node=0, crash_boundary=boundary)
        report = check(run(replace(calm, faults=crashing)))
        assert report.crash_count == 1 or boundary > boundaries // 2


@each_seed
def test_row_05_a_block_committed_at_one_node_only_is_the_block_all_others_decide(
    seed: int,
) -> None:
    play = Run(Scenario(seed=seed, heights=NEVER_MS, faults=Faults(delay_ms=30, jitter_ms=40)))
    play.begin()
    cluster = play.cluster
    play_until(play, lambda: cluster.checkers.height == 2)
    (first,) = (index for index in range(4) if height_of(play, index) == 2)
    others = [index for index in range(4) if index != first]

    cluster.network.cut_off(first)
    for index in others:
        cluster.crash(index)
    for index in others:
        cluster.boot(index)
    play_until(play, lambda: all(height_of(play, index) == 2 for index in others))

    assert len({cluster.replicas[index].chain[2].hash for index in range(4)}) == 1  # type: ignore[union-attr]


@each_seed
def test_row_06_a_full_disk_stops_the_node_before_it_signs(seed: int) -> None:
    report = endure(seed, disk_full_permille=5, torn_tail_permille=500, down_ms=1_000)

    assert any("the disk refuses" in line for line in report.lines)


@each_seed
@pytest.mark.parametrize("validators", [4, 7])
def test_row_07_a_node_from_an_old_backup_signs_nothing_it_may_have_signed_before(
    seed: int, validators: int
) -> None:
    report = endure(
        seed, validators=validators, restore_count=count_faults_max(validators), heights=12
    )

    restored = [line for line in report.lines if "is restored from its backup" in line]
    assert restored


def test_row_07_a_restored_node_votes_again_later() -> None:
    report = endure(2, restore_count=1, heights=14)

    at, actor = next(
        (number, line.split()[1])
        for number, line in enumerate(report.lines)
        if "is restored from its backup" in line
    )
    signed = [line.split() for line in report.lines if f" {actor} " in line and " signs " in line]
    before = [
        line.split() for line in report.lines[:at] if f" {actor} " in line and "signs" in line
    ]
    highest = max(int(words[4].split("/")[0]) for words in before)
    after = [int(words[4].split("/")[0]) for words in signed[len(before) :]]
    assert after
    assert min(after) > highest


@each_seed
def test_row_08_twins_with_one_key_break_nothing_and_are_noticed(seed: int) -> None:
    report = endure_live(seed, lies=(Lie.TWIN,), loss_permille=50, jitter_ms=100)

    assert report.own_key_count + report.evidence_count > 0


@each_seed
@pytest.mark.parametrize("validators", [4, 7])
def test_row_08_as_many_twins_as_liars_are_tolerated_break_nothing(
    seed: int, validators: int
) -> None:
    lies = (Lie.TWIN,) * count_faults_max(validators)
    shape = {"partition": Partition.SCATTERED, "partition_ms": 2_000, "whole_ms": 1_000}

    endure(seed, validators=validators, lies=lies, **shape)


@each_seed
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"partition": Partition.ISOLATED, "partition_ms": 20_000}, id="isolated"),
        pytest.param({"partition": Partition.QUORUM, "partition_ms": 20_000}, id="quorum"),
        pytest.param({"partition": Partition.MAJORITY_RING, "partition_ms": 9_000}, id="ring"),
        pytest.param({"partition": Partition.ONE_WAY, "partition_ms": 20_000}, id="one-way"),
        pytest.param(
            {"partition": Partition.SCATTERED, "partition_ms": 300, "whole_ms": 700}, id="flapping"
        ),
    ],
)
def test_row_09_under_a_partition_that_leaves_a_quorum_blocks_go_on(
    seed: int, faults: dict[str, object]
) -> None:
    endure_live(seed, validators=7, **faults)


@each_seed
@pytest.mark.parametrize("validators", [4, 5, 6, 7])
def test_row_09_halves_stall_and_heal(seed: int, validators: int) -> None:
    faults = {"partition": Partition.HALVES, "partition_ms": NEVER_MS, "whole_ms": 0}

    report = endure(seed, validators=validators, **faults)

    assert report.calm_height <= 1


@each_seed
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"loss_permille": 10}, id="loss 1%"),
        pytest.param({"loss_permille": 100}, id="loss 10%"),
        pytest.param({"loss_permille": 300}, id="loss 30%"),
        pytest.param({"delay_ms": 400}, id="delay"),
        pytest.param({"jitter_ms": 1_500}, id="jitter"),
        pytest.param({"reorder_permille": 300, "reorder_ms": 3_000}, id="reorder"),
        pytest.param({"duplicate_permille": 500, "jitter_ms": 200}, id="duplicate"),
    ],
)
def test_row_10_on_a_bad_network_blocks_go_on(seed: int, faults: dict[str, object]) -> None:
    endure_live(seed, **faults)


@each_seed
def test_row_11_rounds_grow_until_slow_execution_fits(seed: int) -> None:
    report = endure_live(seed, slow_execution_ms=6_000, slow_count=4)

    assert report.round_max > 0


@each_seed
@pytest.mark.parametrize(
    ("validators", "faults"),
    [
        pytest.param(4, {"clock_skew_ms": 500, "skewed_count": 4}, id="all, half a second"),
        pytest.param(4, {"clock_skew_ms": 1_000, "skewed_count": 1}, id="one, a second"),
        pytest.param(4, {"clock_skew_ms": 60_000, "skewed_count": 1}, id="one, a minute"),
        pytest.param(7, {"clock_skew_ms": 60_000, "skewed_count": 2}, id="two of seven, a minute"),
        pytest.param(
            4, {"clock_skew_ms": 0, "clock_jump_ms": 30_000, "skewed_count": 1}, id="jumps"
        ),
    ],
)
def test_row_12_with_wrong_clocks_on_few_nodes_blocks_go_on(
    seed: int, validators: int, faults: dict[str, object]
) -> None:
    endure_live(seed, validators=validators, **faults)


@each_seed
@pytest.mark.parametrize("validators", [4, 7])
@pytest.mark.parametrize(
    "lie", [Lie.EQUIVOCATE, Lie.INVALID_BLOCK, Lie.FUTURE_TIMESTAMP, Lie.CENSOR]
)
def test_row_13_a_lying_proposer_is_replaced_and_blocks_go_on(
    seed: int, validators: int, lie: Lie
) -> None:
    report = endure_live(seed, validators=validators, lies=(lie,) * count_faults_max(validators))

    bad = sum(rejected(report, why) for why in ("bad_header", "bad_timestamp", "invalid_block"))
    if lie in (Lie.INVALID_BLOCK, Lie.FUTURE_TIMESTAMP):
        assert bad > 0
    if lie is Lie.EQUIVOCATE:
        assert report.evidence_count > 0


@each_seed
@pytest.mark.parametrize("validators", [4, 7])
@pytest.mark.parametrize("lie", [Lie.WITHHOLD, Lie.DOUBLE_VOTE, Lie.WRONG_DIGEST, Lie.BAD_SEAL])
def test_row_14_a_lying_voter_changes_nothing(seed: int, validators: int, lie: Lie) -> None:
    report = endure_live(seed, validators=validators, lies=(lie,) * count_faults_max(validators))

    if lie is Lie.BAD_SEAL:
        assert rejected(report, "bad_seal") > 0


@each_seed
def test_row_14_two_votes_in_one_round_leave_evidence(seed: int) -> None:
    report = endure(seed, validators=7, lies=(Lie.DOUBLE_VOTE, Lie.EQUIVOCATE))

    assert report.evidence_count > 0


@each_seed
@pytest.mark.parametrize("validators", [4, 7])
def test_row_15_forged_justifications_are_refused(seed: int, validators: int) -> None:
    lies = (Lie.FORGED_JUSTIFICATION,) * count_faults_max(validators)

    report = endure_live(seed, validators=validators, lies=lies, loss_permille=100)

    assert rejected(report, "bad_justification") > 0


@each_seed
@pytest.mark.parametrize("lie", [Lie.ROUND_SPAM, Lie.GARBAGE, Lie.REPLAY])
def test_row_16_spam_and_garbage_are_bounded_and_blocks_go_on(seed: int, lie: Lie) -> None:
    endure_live(seed, lies=(lie,))


@each_seed
def test_row_17_a_validator_added_while_offline_joins_when_it_comes_up(seed: int) -> None:
    lasting = Faults(calm_ms=NEVER_MS)
    play = Run(Scenario(seed=seed, joiner_count=1, heights=NEVER_MS, faults=lasting))
    play.begin()
    cluster, joiner = play.cluster, 4
    address = cluster.hosts[joiner].key.address
    cluster.crash(joiner)
    vote_all(play, address, is_add=True)

    play_until(play, lambda: address in cluster.checkers.tally.validators)
    changed = cluster.checkers.height
    play_until(play, lambda: cluster.checkers.height >= changed + 6)
    cluster.boot(joiner)
    play_until(play, lambda: height_of(play, joiner) == cluster.checkers.height)
    came = cluster.checkers.height
    play_until(play, lambda: cluster.checkers.height >= came + 6)

    creators = {block.header.coinbase for block in cluster.checkers.chain[came:]}
    assert address in creators


@each_seed
@pytest.mark.parametrize("is_last", [True, False], ids=["last proposer", "next proposer"])
def test_row_17_a_proposer_is_removed_and_blocks_go_on(seed: int, is_last: bool) -> None:
    play = Run(Scenario(seed=seed, validator_count=5, heights=NEVER_MS))
    play.begin()
    cluster = play.cluster
    play_until(play, lambda: cluster.checkers.height >= 3)
    chain = cluster.checkers.chain
    recipient = (chain[-1] if is_last else chain[-3]).header.coinbase
    vote_all(play, recipient, is_add=False)
    play_until(play, lambda: recipient not in cluster.checkers.tally.validators)
    removed = cluster.checkers.height

    play_until(play, lambda: min(height_of(play, i) for i in range(5)) >= removed + 5)

    creators = {block.header.coinbase for block in cluster.checkers.chain[removed + 1 :]}
    assert recipient not in creators


@each_seed
@pytest.mark.parametrize("epoch_length", [2, 3, 30_000])
def test_row_17_a_vote_that_flips_and_flops_leaves_one_set_everywhere(
    seed: int, epoch_length: int
) -> None:
    scenario = Scenario(seed=seed, validator_count=5, heights=NEVER_MS)
    parameters = replace(scenario.parameters, epoch_length=epoch_length)
    play = Run(replace(scenario, parameters=parameters))
    play.begin()
    cluster = play.cluster
    address = cluster.hosts[0].key.address
    for is_add in (False, True, False, True):
        vote_all(play, address, is_add=is_add)
        play_for(play, 2_500)

    vote_all(play, address, is_add=False)
    play_for(play, 1_500)
    settled = cluster.checkers.height + 4
    play_until(play, lambda: min(height_of(play, i) for i in range(5)) >= settled)

    lists = {
        replica.chain[settled].header.extra_data.validators for replica in cluster.live_honest()
    }
    assert len(lists) == 1


@each_seed
@pytest.mark.parametrize("epoch_length", [3, 5, 30_000])
def test_row_17_changes_under_faults_leave_all_nodes_with_one_set(
    seed: int, epoch_length: int
) -> None:
    scenario = Scenario(
        seed=seed,
        joiner_count=2,
        change_count=4,
        heights=25,
        faults=Faults(loss_permille=50, crash_permille=2, jitter_ms=50, calm_ms=120_000),
    )
    parameters = replace(scenario.parameters, epoch_length=epoch_length)

    report = check(run(replace(scenario, parameters=parameters)))

    assert report.height >= 10


@each_seed
def test_row_18_the_dry_run_foresees_a_set_whose_quorum_is_offline(seed: int) -> None:
    lasting = Faults(calm_ms=NEVER_MS)
    play = Run(Scenario(seed=seed, joiner_count=1, heights=NEVER_MS, faults=lasting))
    play.begin()
    cluster, joiner = play.cluster, 4
    play_until(play, lambda: cluster.checkers.height >= 2)
    validators = cluster.checkers.tally.validators
    address = cluster.hosts[joiner].key.address
    dead = cluster.hosts[0].key.address
    online = [who for who in validators if who != dead]
    dry_run = assess_change(
        validators, ValidatorVote(recipient=address, is_add=True), online=online
    )

    cluster.crash(joiner)
    cluster.crash(0)
    vote_all(play, address, is_add=True)
    play_until(play, lambda: address in cluster.checkers.tally.validators)
    stalled = cluster.checkers.height
    play_for(play, 60_000)

    assert not dry_run.is_live
    assert cluster.checkers.height == stalled


@each_seed
def test_row_19_a_late_joiner_catches_up_past_a_peer_that_serves_forged_blocks(seed: int) -> None:
    play = Run(
        Scenario(
            seed=seed,
            joiner_count=1,
            heights=NEVER_MS,
            faults=Faults(lies=(Lie.FORGED_SYNC,), calm_ms=NEVER_MS),
        )
    )
    play.begin()
    cluster, joiner = play.cluster, 4
    cluster.crash(joiner)
    play_until(play, lambda: cluster.checkers.height >= 30)
    cluster.boot(joiner)

    play_until(play, lambda: height_of(play, joiner) == cluster.checkers.height)

    assert height_of(play, joiner) >= 30
