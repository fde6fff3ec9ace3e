"""Incidents."""

import sqlalchemy as sa
from alembic import op

revision = "election_publication_0001"
down_revision = None
branch_labels = ("election_publication",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "publication_incidents",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("reported_by", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "number", name=op.f("pk_publication_incidents")),
    )
