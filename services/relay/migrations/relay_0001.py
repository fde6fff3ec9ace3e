"""The relay's operations, signed transactions, and what final blocks held."""

import sqlalchemy as sa
from alembic import op

revision = "relay_0001"
down_revision = None
branch_labels = ("relay",)
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
        "relay_candidates",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("word", sa.LargeBinary(), nullable=False),
        sa.Column("is_filler", sa.Boolean(), nullable=False),
        sa.Column("loss", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "loss in ('requeue', 'replaced', 'failed')", name=op.f("ck_relay_candidates_loss")
        ),
        sa.PrimaryKeyConstraint("tenant", "nonce", "position", name=op.f("pk_relay_candidates")),
    )
    op.create_table(
        "relay_lanes",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("next_nonce", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_relay_lanes")),
    )
    op.create_table(
        "relay_operations",
        sa.Column(
            "arrival",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("word", sa.LargeBinary(), nullable=False),
        sa.Column("void", sa.LargeBinary(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("to", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("gas_limit", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state in ('intended', 'batched', 'sent', 'mined', 'final', 'failed', 'replaced')",
            name=op.f("ck_relay_operations_state"),
        ),
        sa.PrimaryKeyConstraint("arrival", name=op.f("pk_relay_operations")),
        sa.UniqueConstraint("tenant", "void", name=op.f("uq_relay_operations_tenant_void")),
        sa.UniqueConstraint("tenant", "word", name=op.f("uq_relay_operations_tenant_word")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_relay_operations_tenant_state_arrival"),
        "relay_operations",
        ["tenant", "state", "arrival"],
        unique=False,
    )
    op.create_table(
        "relay_settled",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("word", sa.LargeBinary(), nullable=True),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("is_success", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "nonce", name=op.f("pk_relay_settled")),
    )
    op.create_index(
        op.f("ix_relay_settled_tenant_word"), "relay_settled", ["tenant", "word"], unique=False
    )
