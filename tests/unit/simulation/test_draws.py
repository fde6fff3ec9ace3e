"""QBFT-EVENTS: everything a run draws follows from its seed, the same on every machine.

The first draws of a stream are fixed here as numbers: were they to change, every seed in a bug
report would come to mean another run.
"""

import pytest

from node.primitives.errors import Misconfigured
from node.simulation.campaign import parse_range
from node.simulation.clock import Agenda, LocalClock
from node.simulation.dice import Dice
from node.simulation.faults import Faults, Lie, Partition, format_faults, parse_faults
from node.simulation.scenario import count_faults_max, draw_scenario


def test_a_stream_is_fixed_by_seed_and_name() -> None:
    drawn = [Dice(7, "travel").below(1_000_000) for _ in range(2)]

    assert drawn[0] == drawn[1]
    assert Dice(7, "travel").below(1 << 60) != Dice(7, "cut").below(1 << 60)
    assert Dice(7, "travel").below(1 << 60) != Dice(8, "travel").below(1 << 60)


def test_the_first_draws_never_change() -> None:
    dice = Dice(1, "example")

    assert [dice.below(1000) for _ in range(6)] == [692, 687, 161, 85, 661, 248]


def test_a_sample_holds_different_ones() -> None:
    for seed in range(50):
        assert sorted(Dice(seed, "sample").sample(range(5), 5)) == [0, 1, 2, 3, 4]


def test_luck_comes_as_often_as_asked() -> None:
    dice = Dice(3, "luck")

    assert 230 < sum(dice.has_luck(250) for _ in range(1000)) < 270
    assert not dice.has_luck(0)


def test_the_agenda_keeps_time_and_order() -> None:
    agenda: Agenda[str] = Agenda()
    for after_ms, task in ((5, "later"), (1, "first"), (1, "second"), (-3, "now")):
        agenda.add(after_ms, task)

    assert [agenda.take() for _ in range(4)] == ["now", "first", "second", "later"]
    assert agenda.now_ms == 5


def test_a_clock_shows_true_time_plus_its_error() -> None:
    clock = LocalClock(epoch_s=10, offset_ms=-300)
    assert clock.read_ms(1_000) == 10_700

    clock.jump(500)

    assert clock.read_ms(1_000) == 11_200


def test_drawn_worlds_stay_within_what_a_set_tolerates() -> None:
    for seed in range(500):
        scenario = draw_scenario(seed)
        faults = scenario.faults
        assert len(faults.lies) + faults.restore_count <= count_faults_max(scenario.validator_count)


def test_every_kind_of_fault_is_drawn() -> None:
    worlds = [draw_scenario(seed).faults for seed in range(500)]

    assert {lie for world in worlds for lie in world.lies} == set(Lie)
    assert {world.partition for world in worlds} == set(Partition)
    assert all(
        any(getattr(world, name) for world in worlds)
        for name in ("crash_permille", "power_loss_count", "restore_count", "disk_full_permille")
    )


def test_faults_read_back_what_they_print() -> None:
    for seed in range(200):
        faults = draw_scenario(seed).faults
        assert parse_faults(format_faults(faults), Faults()) == faults


@pytest.mark.parametrize("text", ["los=1", "loss_permille", "loss_permille=x", "partition=thirds"])
def test_a_fault_that_does_not_parse_names_itself(text: str) -> None:
    with pytest.raises(Misconfigured, match=text.partition("=")[0]):
        parse_faults(text, Faults())


@pytest.mark.parametrize("text", ["", "5", "9..3", "a..b", "1..", "-1..4"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured):
        parse_range(text)


def test_a_range_holds_both_ends() -> None:
    assert list(parse_range("3..5")) == [3, 4, 5]
