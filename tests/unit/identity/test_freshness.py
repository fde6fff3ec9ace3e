"""ID-FRESHNESS: revocation data has an age, and beyond it nothing is known."""

from datetime import timedelta

import pytest
from cryptography import x509

from clients.identity.revocation import (
    OFFLINE_SHELTER,
    ONLINE,
    REASON_FLAGS,
    Freshness,
    RevocationReason,
    find_staleness,
    reason_of,
)
from tests.support.identity import NOW


@pytest.mark.parametrize(
    ("age", "why"),
    [
        pytest.param(timedelta(minutes=-5), None, id="a clock ahead, within the skew"),
        pytest.param(timedelta(minutes=-5, seconds=-1), "from the future", id="from the future"),
        pytest.param(timedelta(hours=36), None, id="as old as allowed"),
        pytest.param(timedelta(hours=36, seconds=1), "129601 s old, at most 129600", id="older"),
    ],
)
def test_age_is_bounded_on_both_sides(age: timedelta, why: str | None) -> None:
    found = find_staleness(
        NOW - age, age_max=ONLINE.list_age_max, skew_max=ONLINE.clock_skew_max, now=NOW
    )

    assert found == why


def test_a_shelter_may_use_older_lists_than_a_service() -> None:
    assert OFFLINE_SHELTER.list_age_max > Freshness().list_age_max


def test_the_seven_reasons_have_their_numbers() -> None:
    assert [int(reason) for reason in RevocationReason] == [0, 1, 2, 3, 4, 5, 6]
    assert {reason_of(flag) for flag in REASON_FLAGS.values()} == set(RevocationReason)
    assert reason_of(None) is RevocationReason.DESTROYED_BEFORE_DELIVERY
    assert reason_of(x509.ReasonFlags.remove_from_crl) is None
