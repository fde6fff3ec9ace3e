"""The ballot relay's tables. A change here comes with a migration in ``migrations``.

Ballots name a key made on a device and nobody else, and when each came is not kept. The queue holds
what waits or waited here; what final blocks recorded, whoever sent it, is the board's.
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
)

from services.kit.tables import NAMING

METADATA: Final = MetaData(naming_convention=NAMING)

QUEUE: Final = Table(
    "ballots_queue",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("core", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("receipt", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("batch", Integer, nullable=True),
    Column("reason", Text, nullable=True),
    PrimaryKeyConstraint("tenant", "eid", "hash"),
    Index(None, "tenant", "eid", "state"),
    Index("ix_ballots_queue_key", "tenant", "eid", "key"),
)
"""Ballots handed in here: pending, sent in a batch, recorded, or refused with the reason."""

BATCHES: Final = Table(
    "ballots_batches",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("number", Integer, nullable=False),
    Column("is_settled", Boolean, nullable=False),
    Column("sent_s", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "eid", "number"),
)
"""Batches handed to the municipality's relay."""

WITHDRAWALS: Final = Table(
    "ballots_withdrawals",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "eid", "key"),
)
"""Withdrawals handed in here: pending, sent, done."""

KEYS: Final = Table(
    "ballots_keys",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("cast_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "eid", "key"),
)
"""Number and time of each key's last ballot in the box."""

ABSORBED: Final = Table(
    "ballots_absorbed",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "eid"),
)
"""How many of the box's ballots ``ballots_keys`` tells of."""
