"""When the ledger first showed an address; where a confirmed name with birth date is found."""

import sqlalchemy as sa
from alembic import op

revision = "hub_0002"
down_revision = "hub_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; addresses that stand on the ledger already count as shown long ago."""
    op.add_column("sector_addresses", sa.Column("shown_s", sa.BigInteger(), nullable=True))
    op.execute("UPDATE sector_addresses SET shown_s = 0 WHERE written_status IS NOT NULL")
    op.create_index(
        op.f("ix_sector_addresses_tenant_shown_s"),
        "sector_addresses",
        ["tenant", "shown_s"],
        unique=False,
    )
    op.add_column("residents", sa.Column("attributes_place", sa.LargeBinary(), nullable=True))
    op.create_index(
        op.f("ix_residents_tenant_attributes_place"),
        "residents",
        ["tenant", "attributes_place"],
        unique=False,
    )
