"""ID-CHAIN-APART: which place an address has among a sector's windows, and how far apart."""

from itertools import pairwise

import pytest

from services.hub.addresses import APART_WINDOWS, Windows

WINDOWS = Windows(window_s=600, apart_max=6)
NOW_S = 1_790_000_000


def test_a_first_address_goes_with_the_next_window() -> None:
    start = WINDOWS.place("library", NOW_S, ())

    assert NOW_S < start <= NOW_S + 600
    assert WINDOWS.next_start("library", start - 1) == start
    assert WINDOWS.next_start("library", start) == start + 600


def test_sectors_start_at_different_times() -> None:
    starts = {WINDOWS.next_start(sector, NOW_S) for sector in ("library", "election", "bus")}

    assert len(starts) == 3


@pytest.mark.parametrize("ago_s", [-6_000, -600, 0, 600, 3_000])
def test_a_further_sector_is_put_off_by_a_random_number_of_windows(ago_s: int) -> None:
    other = WINDOWS.next_start("election", NOW_S) - ago_s
    starts = {WINDOWS.place("library", NOW_S, (other,)) for _ in range(200)}

    assert min(starts) - other > APART_WINDOWS * 600
    assert max(starts) - other <= (APART_WINDOWS + 6) * 600
    assert len(starts) > 3


def test_a_sector_registered_long_ago_puts_nothing_off() -> None:
    assert WINDOWS.place("library", NOW_S, (NOW_S - 86_400,)) <= NOW_S + 600


@pytest.mark.parametrize("_", range(50))
def test_many_sectors_registered_at_once_all_lie_apart(_: int) -> None:
    places: list[int] = []
    for sector in ("library", "election", "bus", "nursery", "tax"):
        places.append(WINDOWS.place(sector, NOW_S, places))

    ordered = sorted(places)
    steps = [later - earlier for earlier, later in pairwise(ordered)]
    assert min(steps) > APART_WINDOWS * 600
