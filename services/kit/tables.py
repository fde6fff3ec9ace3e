"""The kit's tables, in every service's own database: names, keys and what each column means.

Every table has a tenant. Instants are milliseconds since 1970 in UTC. Columns of bytes hold what
is hashed or signed exactly as it was. A change here comes with a migration in ``migrations``.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of constraints, the same on both databases so that migrations can find them."""

METADATA: Final = MetaData(naming_convention=NAMING)
"""The kit's tables; a service keeps its own in its own ``MetaData``."""

Counter = BigInteger().with_variant(Integer, "sqlite")
"""A number the database counts up; SQLite does so only for its own integer."""

OUTBOX_EVENTS: Final = Table(
    "outbox_events",
    METADATA,
    Column("sequence", Counter, nullable=False, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("sequence"),
    UniqueConstraint("tenant", "source", "id"),
    Index(None, "tenant", "time_ms"),
    sqlite_autoincrement=True,
)
"""What this service told others; kept for replay until pruned."""

OUTBOX_SUBSCRIBERS: Final = Table(
    "outbox_subscribers",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("types", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("is_paused", Boolean(create_constraint=False), nullable=False),
    PrimaryKeyConstraint("tenant", "name"),
)
"""Who is told; ``types`` holds prefixes of event types separated by spaces."""

OUTBOX_DELIVERIES: Final = Table(
    "outbox_deliveries",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("subscriber", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    Column("lease", Text, nullable=True),
    Column("reason", Text, nullable=True),
    PrimaryKeyConstraint("tenant", "subscriber", "sequence"),
    ForeignKeyConstraint(["sequence"], ["outbox_events.sequence"]),
    CheckConstraint("state in ('pending', 'delivered', 'dead', 'discarded')", name="state"),
    Index(None, "tenant", "subscriber", "state", "due_ms"),
    Index(None, "tenant", "subscriber", "source", "subject", "sequence"),
    Index(None, "sequence"),
)
"""One row for each event and subscriber: whose turn it is, and how often it was tried."""

CHAIN_INTENTS: Final = Table(
    "chain_intents",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("operation_id", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("sector", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("transaction_hash", LargeBinary, nullable=True),
    Column("height", BigInteger, nullable=True),
    Column("reason", Text, nullable=True),
    Column("changed_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "operation_id"),
    CheckConstraint(
        "state in ('intended', 'batched', 'sent', 'mined', 'final', 'failed', 'replaced')",
        name="state",
    ),
    Index(None, "tenant", "state"),
)
"""Chain transactions asked of the relay, and how far each has come."""

INBOX_EVENTS: Final = Table(
    "inbox_events",
    METADATA,
    Column("arrival", Counter, nullable=False, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("body", LargeBinary, nullable=True),
    Column("reason", Text, nullable=True),
    PrimaryKeyConstraint("arrival"),
    UniqueConstraint("tenant", "source", "id"),
    CheckConstraint(
        "state in ('trying', 'done', 'quarantined', 'held', 'discarded')", name="state"
    ),
    Index(None, "tenant", "source", "subject", "state"),
    sqlite_autoincrement=True,
)
"""What others told this service; a body is kept only while an event waits in quarantine."""

INBOX_HORIZONS: Final = Table(
    "inbox_horizons",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("before_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant"),
)
"""Events older than this are refused, since their traces may have been pruned."""

IDEMPOTENCY_KEYS: Final = Table(
    "idempotency_keys",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("claim", Text, nullable=True),
    Column("noted_ms", BigInteger, nullable=False),
    Column("status", Integer, nullable=True),
    Column("content_type", Text, nullable=True),
    Column("body", LargeBinary, nullable=True),
    PrimaryKeyConstraint("tenant", "caller", "key"),
    Index(None, "noted_ms"),
)
"""Requests made under an idempotency key: being worked on while ``claim`` is set, then answered."""

AUDIT_ENTRIES: Final = Table(
    "audit_entries",
    METADATA,
    Column("number", Counter, nullable=False, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("sequence", BigInteger, nullable=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("before", LargeBinary, nullable=True),
    Column("after", LargeBinary, nullable=True),
    Column("salt", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=True),
    Column("hash", LargeBinary, nullable=True),
    PrimaryKeyConstraint("number"),
    UniqueConstraint("tenant", "sequence"),
    Index(None, "tenant", "subject", "time_ms"),
    Index(None, "tenant", "action", "after"),
    sqlite_autoincrement=True,
)
"""Who did or read what, and why; ``sequence``, ``previous`` and ``hash`` come with the chaining."""

AUDIT_ROOTS: Final = Table(
    "audit_roots",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("closed_ms", BigInteger, nullable=False),
    Column("transaction_hash", LargeBinary, nullable=True),
    Column("height", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "first"),
    UniqueConstraint("tenant", "last"),
)
"""Merkle roots over runs of audit entries, and where each is anchored."""

SERVICE_KEYS: Final = Table(
    "service_keys",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("master_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "id"),
)
"""Keys that wrap the keys of persons; wrapped by a master key. The newest is in use."""

PERSON_KEYS: Final = Table(
    "person_keys",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("person", Text, nullable=True),
    Column("purpose", Text, nullable=True),
    Column("service_key_id", Text, nullable=True),
    Column("wrapped", LargeBinary, nullable=True),
    Column("salt", LargeBinary, nullable=True),
    Column("shredded_ms", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "id"),
    UniqueConstraint("tenant", "person", "purpose"),
    CheckConstraint(
        "(wrapped is null) = (shredded_ms is not null) and (person is null) = (wrapped is null)",
        name="whole_or_tombstone",
    ),
)
"""A key for each person and purpose; once shredded, a tombstone that holds no key and no name."""

JOBS: Final = Table(
    "jobs",
    METADATA,
    Column("number", Counter, nullable=False, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("retry_ms", BigInteger, nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease", Text, nullable=True),
    Column("reason", Text, nullable=True),
    PrimaryKeyConstraint("number"),
    UniqueConstraint("tenant", "kind", "key"),
    CheckConstraint("state in ('waiting', 'done', 'dead')", name="state"),
    Index(None, "state", "due_ms"),
    sqlite_autoincrement=True,
)
"""Work for later: ``due_ms`` is the matter's own time, ``retry_ms`` the end of a lease or wait."""
