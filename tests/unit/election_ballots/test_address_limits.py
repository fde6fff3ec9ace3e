"""CAST-QUEUE: one network address does not fill a relay, and its crowd does not stop others."""

from datetime import UTC, datetime, timedelta

import pytest

from services.election.ballots.limits import ADDRESSES_MAX, AddressLimited, AddressLimits

NOW = datetime(2026, 12, 1, 9, 0, 30, tzinfo=UTC)


def test_an_address_is_stopped_until_the_next_minute_and_others_are_not() -> None:
    limits = AddressLimits(count_max=3)
    for _ in range(3):
        limits.check("192.0.2.1", NOW)

    with pytest.raises(AddressLimited):
        limits.check("192.0.2.1", NOW)
    limits.check("192.0.2.2", NOW)
    limits.check("192.0.2.1", NOW + timedelta(seconds=30))


def test_no_address_is_held_as_it_is() -> None:
    limits = AddressLimits(count_max=3)
    limits.check("192.0.2.1", NOW)

    assert b"192.0.2.1" not in b"".join(limits._counts)
    assert set(limits._counts).isdisjoint({b"192.0.2.1"})


def test_many_addresses_share_one_count_in_the_end() -> None:
    limits = AddressLimits(count_max=1)
    for number in range(ADDRESSES_MAX + 1):
        limits.check(f"198.51.100.{number}", NOW)

    with pytest.raises(AddressLimited):
        limits.check("203.0.113.9", NOW)
    assert len(limits._counts) == ADDRESSES_MAX + 1
