"""The noticeboard's tables. A change here comes with a migration in ``migrations``."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
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

NOTICES: Final = Table(
    "notices",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("contact", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("posted_ms", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "id"),
    UniqueConstraint("commitment"),
)
"""Notices; ``contact`` is sealed for its author, ``height`` is the block with the commitment."""
