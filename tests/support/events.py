"""Events with a default for everything but what a test is about."""

from collections.abc import Mapping
from datetime import UTC, datetime

from services.kit.decisions import Operator
from services.kit.events import Event
from services.kit.outbox import Subscriber

MORNING = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)
HUB = "urn:daicho:sakai:hub"
OPERATOR = Operator(actor="operator:tanaka", at=MORNING)


def make_event(
    id: str = "e1",  # noqa: A002
    *,
    subject: str = "person:1",
    type: str = "jp.daicho.hub.person-verified.v1",  # noqa: A002
    tenant: str = "sakai",
    time: datetime = MORNING,
    data: Mapping[str, object] | None = None,
) -> Event:
    """Return an event of the hub."""
    return Event(
        id=id,
        source=HUB,
        type=type,
        subject=subject,
        tenant=tenant,
        time=time,
        data=data if data is not None else {"level": 3},
    )


def make_subscriber(
    name: str = "library", *, types: tuple[str, ...] = ("",), tenant: str = "sakai"
) -> Subscriber:
    """Return a subscriber to everything."""
    return Subscriber(tenant=tenant, name=name, types=types, endpoint=f"http://{name}.test/events")
