"""The board: events, ballots, refusals, withdrawals, files, and how far the chain was read."""

import sqlalchemy as sa
from alembic import op

revision = "election_board_0001"
down_revision = None
branch_labels = ("election_board",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "follower_cursors",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_follower_cursors")),
    )
    op.create_table(
        "board_facts",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("topics", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "position", name=op.f("pk_board_facts")),
    )
    op.create_table(
        "board_ballots",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=False),
        sa.Column("core", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "eid", "number", name=op.f("pk_board_ballots")),
    )
    op.create_index("ix_board_ballots_digest", "board_ballots", ["tenant", "eid", "digest"])
    op.create_table(
        "board_refusals",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "eid", "transaction_hash", "item", name=op.f("pk_board_refusals")
        ),
    )
    op.create_index("ix_board_refusals_digest", "board_refusals", ["tenant", "eid", "digest"])
    op.create_table(
        "board_withdrawals",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "eid", "key", name=op.f("pk_board_withdrawals")),
    )
    op.create_table(
        "board_files",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("is_restricted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "digest", name=op.f("pk_board_files")),
    )
