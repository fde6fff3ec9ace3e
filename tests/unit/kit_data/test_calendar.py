"""Calendar and schedules: the law's holidays, substitutes included, in Japan's time.

Dates are those the Cabinet Office published for 2019 and 2024 to 2027.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from node.primitives.errors import InvalidInput
from services.kit.calendar import (
    BUSINESS_DAYS_MAX,
    BusinessCalendar,
    day_in_japan,
    fiscal_year,
    is_holiday,
)
from services.kit.clock import JAPAN
from services.kit.schedules import Daily, Every

OFFICE = BusinessCalendar()


@pytest.mark.parametrize(
    "day",
    [
        pytest.param(date(2024, 2, 12), id="substitute for a Sunday"),
        pytest.param(date(2024, 5, 6), id="substitute for Children's Day"),
        pytest.param(date(2025, 2, 24), id="substitute for the Emperor's Birthday"),
        pytest.param(date(2026, 5, 6), id="substitute two days later"),
        pytest.param(date(2026, 9, 22), id="a day between two holidays"),
        pytest.param(date(2026, 3, 20), id="spring equinox"),
        pytest.param(date(2026, 9, 23), id="autumn equinox"),
        pytest.param(date(2027, 3, 22), id="substitute for the equinox"),
        pytest.param(date(2019, 4, 30), id="between accession and Showa Day"),
        pytest.param(date(2026, 8, 11), id="Mountain Day"),
    ],
)
def test_a_holiday_of_the_law_is_closed(day: date) -> None:
    assert is_holiday(day)
    assert not OFFICE.is_business_day(day)


def test_the_year_2026_has_the_holidays_that_were_published() -> None:
    year = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]

    assert [f"{day:%m-%d}" for day in year if is_holiday(day)] == [
        "01-01", "01-12", "02-11", "02-23", "03-20", "04-29", "05-03", "05-04", "05-05", "05-06",
        "07-20", "08-11", "09-21", "09-22", "09-23", "10-12", "11-03", "11-23",
    ]  # fmt: skip


def test_new_year_weekends_and_a_municipalitys_own_days_are_closed() -> None:
    own = BusinessCalendar(closures=frozenset({date(2026, 6, 1)}))

    assert OFFICE.is_business_day(date(2026, 12, 28))
    assert OFFICE.next_business_day(date(2026, 12, 28)) == date(2027, 1, 4)
    assert not OFFICE.is_business_day(date(2026, 4, 4))
    assert OFFICE.is_business_day(date(2026, 6, 1))
    assert not own.is_business_day(date(2026, 6, 1))


def test_a_period_that_ends_on_a_closed_day_ends_on_the_next_open_one() -> None:
    assert OFFICE.end_of_period(date(2026, 5, 2)) == date(2026, 5, 7)
    assert OFFICE.end_of_period(date(2026, 5, 7)) == date(2026, 5, 7)


def test_business_days_are_counted_over_closed_ones_and_bounded() -> None:
    assert OFFICE.add_business_days(date(2026, 4, 30), 3) == date(2026, 5, 8)
    assert OFFICE.add_business_days(date(2026, 4, 30), 0) == date(2026, 4, 30)
    for count in (-1, BUSINESS_DAYS_MAX + 1):
        with pytest.raises(InvalidInput):
            OFFICE.add_business_days(date(2026, 4, 30), count)
    every_day = [date(2026, 1, 1) + timedelta(days=number) for number in range(800)]
    never_open = BusinessCalendar(closures=frozenset(every_day))
    with pytest.raises(InvalidInput):
        never_open.next_business_day(date(2026, 1, 1))


def test_a_day_and_a_fiscal_year_are_japans() -> None:
    assert day_in_japan(datetime(2026, 3, 31, 15, 0, tzinfo=UTC)) == date(2026, 4, 1)
    assert fiscal_year(date(2026, 3, 31)) == 2025
    assert fiscal_year(date(2026, 4, 1)) == 2026


def japan(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=JAPAN)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("when", "now", "expected"),
    [
        pytest.param(
            Every(seconds=3_600), japan(2026, 4, 1, 9, 0), japan(2026, 4, 1, 10, 0), id="hourly"
        ),
        pytest.param(
            Daily(hour=3, minute=30), japan(2026, 4, 1, 3, 29), japan(2026, 4, 1, 3, 30), id="today"
        ),
        pytest.param(
            Daily(hour=3), japan(2026, 4, 1, 3, 0), japan(2026, 4, 2, 3, 0), id="tomorrow"
        ),
        pytest.param(
            Daily(hour=9, calendar=OFFICE),
            japan(2026, 5, 1, 10, 0),
            japan(2026, 5, 7, 9, 0),
            id="after the holidays",
        ),
    ],
)
def test_recurring_work_is_due_by_japans_clock(
    when: Every | Daily, now: datetime, expected: datetime
) -> None:
    assert when.next_after(now) == expected
