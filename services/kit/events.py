"""The event that services exchange: CloudEvents 1.0 in structured JSON, bounded and canonical.

An event names its tenant and a subject; events of one subject reach a subscriber in order. Data
holds references and commitments, not personal values: outboxes keep what passes through them for
weeks, out of reach of shredding. Signatures are ``event_signatures``', delivery is the outbox's.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from node.primitives.canonical import encode_canonical
from node.primitives.errors import InvalidInput
from node.primitives.json_text import decode_json

EVENT_BYTES_MAX: Final = 65_536
"""Largest event; what CloudEvents asks every intermediary to forward."""

_TENANT: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_TYPE: Final = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+){1,15}")
_REFERENCE: Final = re.compile(r"[!-~]{1,256}")
_ID: Final = re.compile(r"[!-~]{1,128}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)")


class InvalidEvent(InvalidInput):
    """An event that CloudEvents or our bounds do not allow."""

    code = "event.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, as told to other services."""

    id: str
    """Unique within ``source``; the same when the same operation is told again."""
    source: str
    """Who tells it, as ``urn:daicho:sakai:hub``."""
    type: str
    """What kind, with its version, as ``jp.daicho.hub.person-verified.v1``."""
    subject: str
    """What it is about; the key of ordering. A pairwise reference where that is a person."""
    tenant: str
    """Municipality it belongs to."""
    time: datetime
    """When it happened, aware."""
    data: Mapping[str, object]
    """References and commitments that the type describes."""

    def __post_init__(self) -> None:
        """Refuse what no receiver would take.

        Raises:
            InvalidEvent: A field is malformed.
        """
        checks = (
            ("id", _ID, self.id),
            ("source", _REFERENCE, self.source),
            ("type", _TYPE, self.type),
            ("subject", _REFERENCE, self.subject),
            ("tenant", _TENANT, self.tenant),
        )
        for name, form, value in checks:
            if not form.fullmatch(value) or len(value) > 256:
                raise InvalidEvent(f"event {name}: malformed")
        if self.time.tzinfo is None:
            raise InvalidEvent("event time: give its offset from UTC")


def new_event_id() -> str:
    """Return an id that no other event has.

    Random, not counted: a service restored from a backup must not use an id again.
    """
    return secrets.token_hex(16)


def to_milliseconds(at: datetime) -> int:
    """Return ``at`` as milliseconds since 1970, the form in which the kit's tables keep time."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND


def from_milliseconds(at_ms: int) -> datetime:
    """Return the instant of ``to_milliseconds``."""
    return datetime(1970, 1, 1, tzinfo=UTC) + at_ms * _MILLISECOND


def encode_event(event: Event) -> bytes:
    """Write ``event`` as structured JSON in canonical form.

    Raises:
        InvalidInput: Its data has no canonical form, or it is larger than ``EVENT_BYTES_MAX``.
    """
    body = encode_canonical(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "tenant": event.tenant,
            "time": event.time.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "datacontenttype": "application/json",
            "data": event.data,
        }
    )
    if len(body) > EVENT_BYTES_MAX:
        raise InvalidEvent(f"event of {len(body)} bytes; at most {EVENT_BYTES_MAX}")
    return body


def decode_event(body: bytes) -> Event:
    """Read an event; attributes beyond ours are passed over, as CloudEvents asks.

    Raises:
        InvalidInput: Too large, not JSON, not CloudEvents 1.0, or a field is malformed.
    """
    if len(body) > EVENT_BYTES_MAX:
        raise InvalidEvent(f"event of more than {EVENT_BYTES_MAX} bytes")
    fields = decode_json(body)
    if not isinstance(fields, dict) or fields.get("specversion") != "1.0":
        raise InvalidEvent("not an event of CloudEvents 1.0")
    if fields.get("datacontenttype") != "application/json":
        raise InvalidEvent("event datacontenttype: expected application/json")
    data = fields.get("data")
    if not isinstance(data, dict):
        raise InvalidEvent("event data: expected an object")
    names = ("id", "source", "type", "subject", "tenant", "time")
    texts = {name: fields.get(name) for name in names}
    known = {name: text for name, text in texts.items() if isinstance(text, str)}
    if len(known) < len(names):
        raise InvalidEvent("event: id, source, type, subject, tenant and time are needed as text")
    event = Event(
        id=known["id"],
        source=known["source"],
        type=known["type"],
        subject=known["subject"],
        tenant=known["tenant"],
        time=_parse_time(known["time"]),
        data=data,
    )
    encode_event(event)
    return event


def _parse_time(text: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise InvalidEvent("event time: expected RFC 3339 with an offset")
    try:
        time = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidEvent("event time: no such instant") from error
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


_MILLISECOND: Final = datetime(1970, 1, 1, 0, 0, 0, 1000) - datetime(1970, 1, 1)  # noqa: DTZ001
