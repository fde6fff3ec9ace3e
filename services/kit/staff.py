"""The staff table: which key is which member of staff, of which municipality, in which roles.

A TOML file that the operator keeps, one ``[[staff]]`` table for each. Roles come from here and
never from a token. A leaver is removed, or dated out by ``valid_until``; the file is read again on
SIGHUP, and a file that is wrong leaves the table as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from node.primitives.errors import Misconfigured
from node.settings import check_bounds, load_record
from services.kit.auth import LEVEL_MAX, TenantId
from services.kit.keys import Key, load_public_key
from services.kit.settings import NAME

STAFF_MAX: Final = 10_000
"""Members of staff in one table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffMember:
    """A member of staff and what the table says."""

    id: str
    """Name in tokens and audit entries, never a person's name."""
    tenant: TenantId
    """Municipality."""
    roles: frozenset[str]
    """What the member may do."""
    key: Key
    """Registered public key."""
    authentication_level: int
    """What that key is worth: 3 in hardware behind a PIN, 1 in a file."""
    valid_until: datetime
    """End of the registration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffEntry:
    """A ``[[staff]]`` table as it is written."""

    id: str
    """Name in tokens."""
    tenant: str
    """Municipality."""
    roles: tuple[str, ...]
    """Roles."""
    key_file: Path
    """Public key, a JWK."""
    valid_until: str
    """Last day, as ``2027-03-31``; in UTC."""
    authentication_level: int = 2
    """What the key is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffFile:
    """The file as it is written."""

    staff: tuple[StaffEntry, ...]
    """Everyone."""


class StaffTable:
    """The members of staff by id; replaced as a whole."""

    def __init__(self, members: Mapping[str, StaffMember] | None = None) -> None:
        """Hold the members."""
        self._members = dict(members or {})

    def find(self, id: str) -> StaffMember | None:  # noqa: A002  (the record's own word)
        """Return the member of that id, or None."""
        return self._members.get(id)

    def replace(self, members: Mapping[str, StaffMember]) -> None:
        """Put other members in the place of all."""
        self._members = dict(members)

    def list_all(self) -> tuple[StaffMember, ...]:
        """Return every member."""
        return tuple(self._members.values())

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self._members)


def load_staff(path: Path, tenants: Sequence[TenantId]) -> dict[str, StaffMember]:
    """Read the staff table and every key it names.

    Raises:
        Misconfigured: The file or a key cannot be read, or an entry is wrong.
    """
    file = load_record(StaffFile, path)
    check_bounds(path, (("staff", len(file.staff), 0, STAFF_MAX),))
    members: dict[str, StaffMember] = {}
    for entry in file.staff:
        if entry.id in members:
            raise Misconfigured(f"{path}: staff {entry.id!r} is listed twice; remove one")
        members[entry.id] = _load_member(entry, path, tenants)
    return members


def _load_member(entry: StaffEntry, path: Path, tenants: Sequence[TenantId]) -> StaffMember:
    for word in (entry.id, *entry.roles):
        if not NAME.fullmatch(word):
            raise Misconfigured(
                f"{path}: staff {word!r}: use up to 40 small letters, digits and hyphens"
            )
    if entry.tenant not in tenants:
        raise Misconfigured(
            f"{path}: staff {entry.id}: {entry.tenant!r} is no tenant; add it to kit.tenants"
        )
    level = ("authentication_level", entry.authentication_level, 1, LEVEL_MAX)
    check_bounds(path, (level,))
    try:
        valid_until = datetime.strptime(entry.valid_until, "%Y-%m-%d").replace(
            hour=23, minute=59, second=59, tzinfo=UTC
        )
    except ValueError as error:
        raise Misconfigured(
            f"{path}: staff {entry.id}: valid_until: write a day as 2027-03-31"
        ) from error
    return StaffMember(
        id=entry.id,
        tenant=TenantId(entry.tenant),
        roles=frozenset(entry.roles),
        key=load_public_key(entry.key_file),
        authentication_level=entry.authentication_level,
        valid_until=valid_until,
    )
