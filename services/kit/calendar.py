"""Japan's business calendar: public holidays, days an office is closed, periods counted by law.

Holidays are ``jpholiday``'s, computed from the holiday act with its substitute days. The days
around New Year are closed by the act on holidays of administrative bodies. A municipality adds its
own closures.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

import jpholiday

from node.primitives.errors import InvalidInput
from services.kit.clock import JAPAN

SEARCH_DAYS_MAX: Final = 366
"""Days looked ahead for an open one."""

BUSINESS_DAYS_MAX: Final = 2_500
"""Business days counted at once, about ten years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessCalendar:
    """The days on which an office is open."""

    closures: Collection[date] = field(default_factory=frozenset)
    """Days this municipality is closed beyond those of the law."""

    def is_business_day(self, day: date) -> bool:
        """Tell whether the office is open on ``day``."""
        return not (
            day.weekday() >= 5 or is_holiday(day) or is_new_year(day) or day in self.closures
        )

    def next_business_day(self, day: date) -> date:
        """Return the first open day after ``day``.

        Raises:
            InvalidInput: There is none within a year.
        """
        return self._first_open(day + timedelta(days=1))

    def end_of_period(self, last_day: date) -> date:
        """Return when a period ends whose last day is ``last_day`` (Civil Code, article 142).

        Raises:
            InvalidInput: No day within a year is open.
        """
        return self._first_open(last_day)

    def add_business_days(self, day: date, count: int) -> date:
        """Return the open day that lies ``count`` open days after ``day``.

        Raises:
            InvalidInput: ``count`` is negative or beyond ``BUSINESS_DAYS_MAX``.
        """
        if not 0 <= count <= BUSINESS_DAYS_MAX:
            raise InvalidInput(f"business days: expected 0 to {BUSINESS_DAYS_MAX}")
        for _ in range(count):
            day = self.next_business_day(day)
        return day

    def _first_open(self, day: date) -> date:
        for ahead in range(SEARCH_DAYS_MAX):
            candidate = day + timedelta(days=ahead)
            if self.is_business_day(candidate):
                return candidate
        raise InvalidInput(f"calendar: no open day within {SEARCH_DAYS_MAX} days of {day}")


def is_holiday(day: date) -> bool:
    """Tell whether ``day`` is a public holiday or a substitute for one."""
    return bool(jpholiday.is_holiday(day))


def is_new_year(day: date) -> bool:
    """Tell whether ``day`` is from 29 December to 3 January."""
    return (day.month, day.day) >= (12, 29) or (day.month, day.day) <= (1, 3)


def day_in_japan(at: datetime) -> date:
    """Return the date in Japan at an instant."""
    return at.astimezone(JAPAN).date()


def fiscal_year(day: date) -> int:
    """Return the fiscal year of ``day``, which begins on 1 April."""
    return day.year if day.month >= 4 else day.year - 1
