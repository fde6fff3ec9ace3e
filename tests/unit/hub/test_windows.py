"""ID-CHAIN-APART: when a sector's addresses go to the ledger, and how far apart a person's are."""

import pytest

from services.hub.addresses import Windows

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


@pytest.mark.parametrize("ago_s", [-600, 0, 600, 3_000])
def test_a_further_sector_is_put_off_by_a_random_number_of_windows(ago_s: int) -> None:
    other = WINDOWS.next_start("election", NOW_S) - ago_s
    starts = {WINDOWS.place("library", NOW_S, (other,)) for _ in range(200)}

    assert min(starts) - other >= 600
    assert max(starts) - other <= 7 * 600
    assert len(starts) > 3


def test_a_sector_registered_long_ago_puts_nothing_off() -> None:
    assert WINDOWS.place("library", NOW_S, (NOW_S - 86_400,)) <= NOW_S + 600
