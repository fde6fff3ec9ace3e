"""The relay's tables. Each has a tenant; instants are milliseconds since 1970 in UTC.

A change here comes with a migration in ``migrations``.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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
from services.kit.tables import NAMING, Counter

METADATA: Final = MetaData(naming_convention=NAMING)

CURSORS: Final = define_cursors(METADATA)
"""How far the chain was read."""

LANES: Final = Table(
    "relay_lanes",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("account", LargeBinary, nullable=False),
    Column("next_nonce", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant"),
)
"""The relay's account and the lowest nonce that no final block holds."""

OPERATIONS: Final = Table(
    "relay_operations",
    METADATA,
    Column("arrival", Counter, nullable=False, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("word", LargeBinary, nullable=False),
    Column("void", LargeBinary, nullable=False),
    Column("service", Text, nullable=False),
    Column("operation_id", Text, nullable=False),
    Column("to", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("gas_limit", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_withdrawn", Boolean(create_constraint=False), nullable=False),
    Column("transaction_hash", LargeBinary, nullable=True),
    Column("height", BigInteger, nullable=True),
    Column("reason", Text, nullable=True),
    Column("received_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("arrival"),
    UniqueConstraint("tenant", "word"),
    UniqueConstraint("tenant", "void"),
    CheckConstraint(
        "state in ('intended', 'batched', 'sent', 'mined', 'final', 'failed', 'replaced')",
        name="state",
    ),
    Index(None, "tenant", "state", "arrival"),
    sqlite_autoincrement=True,
)
"""What services asked for, and how far it has come."""

CANDIDATES: Final = Table(
    "relay_candidates",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("word", LargeBinary, nullable=False),
    Column("is_filler", Boolean(create_constraint=False), nullable=False),
    Column("loss", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "nonce", "position"),
    CheckConstraint("loss in ('requeue', 'replaced', 'failed')", name="loss"),
)
"""Signed transactions of nonces that no final block holds; stored before they are sent."""

SETTLED: Final = Table(
    "relay_settled",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("word", LargeBinary, nullable=True),
    Column("transaction_hash", LargeBinary, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("is_success", Boolean(create_constraint=False), nullable=False),
    PrimaryKeyConstraint("tenant", "nonce"),
    Index(None, "tenant", "word"),
)
"""Every transaction of the account in a final block: the relay's memory of what happened."""
