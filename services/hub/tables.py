"""The hub's tables. A change here comes with a migration in ``migrations``.

No row connects a sector's address with a resident: it is found by the pseudonym, which needs the
keyring to compute. Tables of addresses have no hidden order in SQLite either.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from services.kit.follower import define_cursors
from services.kit.tables import NAMING

METADATA: Final = MetaData(naming_convention=NAMING)

CURSORS: Final = define_cursors(METADATA)
"""How far the chain was read."""

CHALLENGES: Final = Table(
    "challenges",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("text", LargeBinary, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "id"),
    Index(None, "tenant", "expires_ms"),
)
"""Statements asked for; gone a day after they expire."""

RESIDENTS: Final = Table(
    "residents",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("devices", Integer, nullable=False),
    Column("attribute_action", Integer, nullable=False),
    Column("as_of_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=True),
    Column("grace_until_ms", BigInteger, nullable=True),
    Column("event", Text, nullable=True),
    Column("attributes", LargeBinary, nullable=True),
    Column("attributes_source", Text, nullable=True),
    Column("attributes_ms", BigInteger, nullable=True),
    Column("attributes_expire_ms", BigInteger, nullable=True),
    Column("attributes_stale_ms", BigInteger, nullable=True),
    Column("attributes_place", LargeBinary, nullable=True),
    PrimaryKeyConstraint("tenant", "id"),
    UniqueConstraint("tenant", "name"),
    Index(None, "tenant", "attributes_place"),
)
"""People: a random id, the hub's own pseudonym, and the flag with what became of devices."""

CARDS: Final = Table(
    "cards",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("place", LargeBinary, nullable=False),
    Column("resident", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reference", LargeBinary, nullable=True),
    Column("is_current", Boolean(create_constraint=False), nullable=False),
    Column("reason", Integer, nullable=True),
    Column("revoked_ms", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "place"),
    Index(None, "tenant", "resident"),
)
"""Certificates by their keyed index; ``reference`` is sealed. Providers' subjects too, without."""

DEVICES: Final = Table(
    "devices",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("binding", Text, nullable=False),
    Column("resident", Text, nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("record_key_hash", LargeBinary, nullable=True),
    Column("label", LargeBinary, nullable=True),
    Column("evidence", LargeBinary, nullable=False),
    Column("method", Text, nullable=False),
    Column("bound_ms", BigInteger, nullable=False),
    Column("grace_until_ms", BigInteger, nullable=True),
    Column("revoked_ms", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "binding"),
    UniqueConstraint("tenant", "address"),
    Index(None, "tenant", "resident"),
)
"""Device keys; ``label`` and ``evidence`` are sealed."""

SECTOR_ADDRESSES: Final = Table(
    "sector_addresses",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("sector", Text, nullable=False),
    Column("pseudonym", LargeBinary, nullable=False),
    Column("is_current", Boolean(create_constraint=False), nullable=False),
    Column("status", Integer, nullable=False),
    Column("level", Integer, nullable=False),
    Column("checked_s", BigInteger, nullable=False),
    Column("not_before_s", BigInteger, nullable=False),
    Column("settle_s", BigInteger, nullable=False),
    Column("batch", Text, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("written_status", Integer, nullable=True),
    Column("written_level", Integer, nullable=True),
    Column("written_checked_s", BigInteger, nullable=True),
    Column("sends_until_s", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=True),
    Column("shown_s", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "address"),
    Index(None, "tenant", "sector", "pseudonym"),
    Index(None, "tenant", "shown_s"),
    sqlite_with_rowid=False,
)
"""Addresses on the ledger: what is to stand there, and what the follower has read that stands.
``shown_s`` is the time of the block that first showed one, the same for its whole batch."""

QUERIES: Final = Table(
    "queries",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("resident", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("service", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("what", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "id"),
    Index(None, "tenant", "resident", "at_ms"),
)
"""Who asked the hub about whom; the resident sees it."""

GRANTS: Final = Table(
    "grants",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("delegate", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("place", LargeBinary, nullable=True),
    Column("basis", Text, nullable=False),
    Column("entered_by", Text, nullable=False),
    Column("confirmed_by", Text, nullable=True),
    Column("granted_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "id"),
    Index(None, "tenant", "principal"),
    Index(None, "tenant", "delegate"),
)
"""Who may act for whom; ``place`` is sealed."""

CODES: Final = Table(
    "codes",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("resident", Text, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "digest"),
)
"""Codes by which a delegate, or a person at the counter, is named for ten minutes."""
