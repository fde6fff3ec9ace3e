"""What a service discloses to an auditor: lines of JSON, a head, records, and roots over them.

The form is the specification's, read here from files alone; no code of any service is used.

Spec: AUDIT-DISCLOSURE, AUDIT-LOG.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.primitives.canonical import encode_canonical
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from node.primitives.json_text import decode_json, is_object
from node.primitives.types import Hash32

LINE_SIZE_MAX: Final = 64 * 1024
"""Longest line read, in bytes."""

ENTRY_DOMAIN: Final = b"daicho audit entry 1"
"""What the hash of an audit entry begins with."""

_ENTRY_FIELDS: Final = (
    "tenant",
    "time_ms",
    "actor",
    "role",
    "purpose",
    "action",
    "subject",
    "detail",
    "before",
    "after",
    "sequence",
    "salt",
    "previous",
)


class InvalidDisclosure(InvalidInput):
    """A disclosure that is malformed."""

    code = "audit.disclosure_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a disclosure is of."""

    kind: str
    """Which audit reads it: ``audit-log`` or ``batch``."""
    tenant: str
    """Municipality, by its id among services."""
    service: str
    """Source of the service's events, which names its streams."""
    subject: str
    """What the roots are about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A root over records ``first`` to ``last``."""

    root: Hash32
    """The root."""
    first: int
    """First record under it, from 1."""
    last: int
    """Last record under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of an audit log."""

    fields: Mapping[str, object]
    """As disclosed."""

    @property
    def sequence(self) -> int:
        """Return its place, from 1."""
        return int(str(self.fields["sequence"]))

    @property
    def previous(self) -> str:
        """Return the hash of the entry before it, in hex."""
        return str(self.fields["previous"])

    @property
    def action(self) -> str:
        """Return what was done."""
        return str(self.fields["action"])

    @property
    def after(self) -> str:
        """Return the commitment to what it led to, in hex; empty without one."""
        return str(self.fields["after"] or "")

    def compute_hash(self) -> Hash32:
        """Return the hash that the next entry and the root stand on.

        Spec: AUDIT-LOG.
        """
        return Hash32(sha256(ENTRY_DOMAIN + encode_canonical(self.fields)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A record of a batch: the bytes under the root."""

    data: bytes
    """Of the leaf."""


Line = Head | Root | Entry | Leaf


def read_disclosure(path: Path) -> Iterator[Line]:
    """Yield the lines of a disclosure; the first is its head.

    Raises:
        InvalidDisclosure: A line is malformed or too long, or the head is missing.

    Spec: AUDIT-DISCLOSURE.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_SIZE_MAX + 1):
            number += 1
            if len(line) > LINE_SIZE_MAX:
                raise InvalidDisclosure(f"line {number}: over {LINE_SIZE_MAX} bytes")
            found = _line_of(line, number)
            if isinstance(found, Head) != (number == 1):
                raise InvalidDisclosure(f"line {number}: a head stands first, and only there")
            yield found


def _line_of(line: bytes, number: int) -> Line:
    """Return what a line says.

    Raises:
        InvalidDisclosure: Nothing known.
    """
    try:
        record = decode_json(line)
        if not is_object(record) or len(record) != 1:
            raise InvalidInput("expected an object with one name")
        name, value = next(iter(record.items()))
        match name:
            case "disclosure" if is_object(value):
                return Head(**{each: _text(value, each) for each in Head.__annotations__})
            case "root" if is_object(value):
                return Root(
                    root=Hash32(_hex(value.get("root"), 32)),
                    first=_count(value.get("first")),
                    last=_count(value.get("last")),
                )
            case "entry" if is_object(value) and set(value) == set(_ENTRY_FIELDS):
                entry = Entry(fields=value)
                _count(value["sequence"])
                _count(value["time_ms"])
                entry.compute_hash()
                return entry
            case "leaf":
                return Leaf(data=_hex(value, None))
            case _:
                raise InvalidInput(f"unknown or malformed: {name[:40]}")
    except InvalidInput as error:
        raise InvalidDisclosure(f"line {number}: {error.message}") from error


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or len(value) > 256:
        raise InvalidInput(f"{name}: expected text of at most 256 characters")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise InvalidInput("expected a whole number")
    return value


def _hex(value: object, size: int | None) -> bytes:
    text = value if isinstance(value, str) and value.startswith("0x") else "0xz"
    try:
        data = bytes.fromhex(text[2:])
    except ValueError as error:
        raise InvalidInput("expected 0x and hexadecimal digits") from error
    if size is not None and len(data) != size:
        raise InvalidInput(f"expected {size} bytes")
    return data
