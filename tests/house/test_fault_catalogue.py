"""All 25 rows of the fault catalogue have a test by name, in the simulator or with real parts.

The rows of the simulator carry their number in their names; the others are listed here, and a test
that is renamed or removed is noticed.
"""

import re

import pytest

from tests.support.source import ROOT

ELSEWHERE = {
    4: ("e2e/test_storage_kill.py", "test_a_killed_node_restarts_with_everything"),
    6: ("e2e/test_machines.py", "test_a_full_disk_stops_the_node_with_a_clear_error"),
    19: ("adversarial/test_malicious_sync_peer.py", "test_a_late_joiner_reaches_the_honest_head"),
    20: ("e2e/test_joining.py", "test_another_protocol_version_is_refused_with_the_reason_named"),
    21: ("e2e/test_machines.py", "test_a_flood_of_requests_leaves_consensus_undisturbed"),
    22: ("adversarial/test_pool_flood.py", "test_a_flood_by_one_sender_delays_another_by_one_turn"),
    23: ("unit/execution/test_proposal.py", "test_time_up_ends_the_block_where_it_stands"),
    24: ("e2e/test_joining.py", "test_an_expired_certificate_is_renewed_by_its_own_node"),
    25: ("e2e/test_ethereumjs_network.py", "test_an_export_of_a_network_that_lost_a_node_replays"),
}


def test_every_row_is_covered() -> None:
    simulated = (ROOT / "tests" / "simulation" / "test_fault_catalogue.py").read_text()
    rows = {int(row) for row in re.findall(r"def test_row_(\d\d)_", simulated)}

    assert sorted(rows | set(ELSEWHERE)) == list(range(1, 26))


@pytest.mark.parametrize("row", sorted(ELSEWHERE))
def test_a_row_tried_with_real_parts_names_a_test_that_is_there(row: int) -> None:
    path, name = ELSEWHERE[row]

    assert f"def {name}" in (ROOT / "tests" / path).read_text()
