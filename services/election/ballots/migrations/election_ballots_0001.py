"""The ballot relay's queue, batches and withdrawals, and what the box holds of keys."""

import sqlalchemy as sa
from alembic import op

revision = "election_ballots_0001"
down_revision = None
branch_labels = ("election_ballots",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "ballots_queue",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("core", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "eid", "hash", name=op.f("pk_ballots_queue")),
    )
    op.create_index(op.f("ix_ballots_queue_tenant"), "ballots_queue", ["tenant", "eid", "state"])
    op.create_index("ix_ballots_queue_key", "ballots_queue", ["tenant", "eid", "key"])
    op.create_table(
        "ballots_batches",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.Column("sent_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "eid", "number", name=op.f("pk_ballots_batches")),
    )
    op.create_table(
        "ballots_withdrawals",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "eid", "key", name=op.f("pk_ballots_withdrawals")),
    )
    op.create_table(
        "ballots_keys",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("cast_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "eid", "key", name=op.f("pk_ballots_keys")),
    )
    op.create_table(
        "ballots_absorbed",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "eid", name=op.f("pk_ballots_absorbed")),
    )
