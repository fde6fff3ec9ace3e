"""The board's tables. A change here comes with a migration in ``migrations``."""

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

from services.kit.follower import define_cursors
from services.kit.tables import NAMING

METADATA: Final = MetaData(naming_convention=NAMING)

CURSORS: Final = define_cursors(METADATA)
"""How far the chain was read."""

FACTS: Final = Table(
    "board_facts",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("time_s", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("topics", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "subject", "position"),
)
"""Events about a draft or an election (``subject``), besides single ballots; ``position`` is height
and place in the block."""

BALLOTS: Final = Table(
    "board_ballots",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("time_s", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("transaction_hash", LargeBinary, nullable=False),
    Column("core", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "eid", "number"),
    Index("ix_board_ballots_digest", "tenant", "eid", "digest"),
)
"""Accepted ballots; ``number`` is the index in the box."""

REFUSALS: Final = Table(
    "board_refusals",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("transaction_hash", LargeBinary, nullable=False),
    Column("item", Integer, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("reason", Integer, nullable=False),
    PrimaryKeyConstraint("tenant", "eid", "transaction_hash", "item"),
    Index("ix_board_refusals_digest", "tenant", "eid", "digest"),
)
"""Items of batches that the box refused."""

WITHDRAWALS: Final = Table(
    "board_withdrawals",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "eid", "key"),
)
"""Ballot keys withdrawn."""

FILES: Final = Table(
    "board_files",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("is_restricted", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant", "subject", "digest"),
)
"""Which files of a draft or an election are in the store."""
