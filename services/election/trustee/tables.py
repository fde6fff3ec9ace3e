"""The trustee's tables. A change here comes with a migration in ``migrations``."""

from typing import Final

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from services.kit.tables import NAMING

METADATA: Final = MetaData(naming_convention=NAMING)

CEREMONIES: Final = Table(
    "trustee_ceremonies",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("draft_id", LargeBinary, nullable=False),
    Column("threshold", Integer, nullable=False),
    Column("members", Text, nullable=False),
    Column("fault", Text, nullable=True),
    Column("guilty", Integer, nullable=True),
    PrimaryKeyConstraint("tenant", "draft_id"),
)
"""Drafts whose keys this municipality helps to make: ``members`` are the municipalities' numbers in
order, ``fault`` ends a run and ``guilty`` is the place of whoever is at fault."""

ACTS: Final = Table(
    "trustee_acts",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("act", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("contract", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "subject", "act"),
)
"""What this trustee did for a draft or an election: each act once, with the call it asked for."""

FINDINGS: Final = Table(
    "trustee_findings",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("about", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("why", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "subject", "about", "digest"),
)
"""What this trustee found when it checked: ``why`` is empty for what holds."""
