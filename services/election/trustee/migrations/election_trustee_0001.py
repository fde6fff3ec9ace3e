"""The trustee: ceremonies, acts, findings."""

import sqlalchemy as sa
from alembic import op

revision = "election_trustee_0001"
down_revision = None
branch_labels = ("election_trustee",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "trustee_ceremonies",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft_id", sa.LargeBinary(), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("guilty", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "draft_id", name=op.f("pk_trustee_ceremonies")),
    )
    op.create_table(
        "trustee_acts",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("contract", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "act", name=op.f("pk_trustee_acts")),
    )
    op.create_table(
        "trustee_findings",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "subject", "about", "digest", name=op.f("pk_trustee_findings")
        ),
    )
