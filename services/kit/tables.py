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
