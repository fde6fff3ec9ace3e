"""The publication's tables. A change here comes with a migration in ``migrations``."""

from typing import Final

from sqlalchemy import (
    BigInteger,
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

INCIDENTS: Final = Table(
    "publication_incidents",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("draft", LargeBinary, nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("time_s", BigInteger, nullable=False),
    Column("reported_by", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    PrimaryKeyConstraint("tenant", "draft", "number"),
)
"""This municipality's incidents; the texts are files, the digests go to the bulletin. ``attempt``
counts the calls asked for."""
