"""ELECTION-PUBLISH, ELECTION-PLAN: a manifest comes of parts that fit, or not at all."""

import pytest

from node.primitives.errors import InvalidInput
from services.election.commands.group import describe_status, read_plan
from services.election.publication.part import ManifestRefused, check_eligible
from tests.support.electorate import leaves, make_manifest

MANIFEST = make_manifest()
LIST = b"".join(leaves())

PLAN = """
title = "模擬投票"
is_mock = true
opens_at = "2026-12-01 09:00"
closes_at = "2026-12-01 20:00"
freezes_at = "2026-12-01 21:00"
attestations = 2
mixers = [1, 2, 3]
min_mixes = 3

[limits]
max_sequence = 50
min_interval_s = 10
max_rekey = 5
mix_time_s = 600
cast_blocks = 90

[[races]]
race = 1
name = "市長"
candidates = ["青木", "馬場"]

[[styles]]
style = 1
name = "全域"
races = [1]
"""


def test_the_eligible_list_of_the_manifest_is_taken() -> None:
    check_eligible(MANIFEST, LIST)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LIST[:-32], id="one left out"),
        pytest.param(LIST[:-1], id="cut off"),
        pytest.param(LIST[32:] + LIST[:32], id="another order"),
        pytest.param(LIST[:-32] + b"\xff" * 32, id="another slot"),
    ],
)
def test_another_eligible_list_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestRefused):
        check_eligible(MANIFEST, data)


def test_a_plan_speaks_japans_time() -> None:
    plan = read_plan(PLAN)

    assert plan.opens_at == 1_796_083_200
    assert plan.closes_at - plan.opens_at == 11 * 3_600
    assert plan.races == [(1, "市長", ["青木", "馬場"])]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("2026-12-01 09:00", "09:00"), id="no day"),
        pytest.param(('title = "模擬投票"', ""), id="no title"),
        pytest.param(("[[races]]", "[races"), id="no TOML"),
    ],
)
def test_a_plan_that_lacks_something_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput):
        read_plan(PLAN.replace(*change))


def test_status_says_what_is_next_and_who_is_missing() -> None:
    shown = describe_status(
        {
            "phase": "tally",
            "is_mock": True,
            "opens_at": 1,
            "closes_at": 2,
            "freezes_at": 3,
            "ballot_count": 5,
            "entry_count": 4,
            "results": [],
            "lists": [
                {"kind": "R", "number": 1, "waits_for": [3]},
                {"kind": "R", "number": 2, "waits_for": []},
            ],
        }
    )

    assert shown["waits_for"] == {"R 1": [3]}
    assert "mix" in str(shown["next"])
