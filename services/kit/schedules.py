"""When recurring work is due next, in Japan's time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.kit.calendar import BusinessCalendar
from services.kit.clock import JAPAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Again and again, at whole multiples of a period since 1970."""

    seconds: int
    """The period."""

    def next_after(self, now: datetime) -> datetime:
        """Return the first instant after ``now``."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        period = timedelta(seconds=self.seconds)
        return epoch + ((now - epoch) // period + 1) * period


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """Every day, or every business day, at a time of day in Japan."""

    hour: int
    """Hour in Japan."""
    minute: int = 0
    """Minute."""
    calendar: BusinessCalendar | None = field(default=None)
    """Only on its business days, if given."""

    def next_after(self, now: datetime) -> datetime:
        """Return the first instant after ``now``."""
        local = now.astimezone(JAPAN)
        at = local.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        if at <= local:
            at += timedelta(days=1)
        if self.calendar is not None:
            day = self.calendar.end_of_period(at.date())
            at = at.replace(year=day.year, month=day.month, day=day.day)
        return at.astimezone(UTC)


Schedule = Every | Daily
"""When recurring work is due."""
