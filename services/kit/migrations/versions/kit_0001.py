"""Events out and in, and what was asked of the chain."""

import sqlalchemy as sa
from alembic import op

revision = "kit_0001"
down_revision = None
branch_labels = ("kit",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "chain_intents",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("sector", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state in ('intended', 'batched', 'sent', 'mined', 'final', 'failed', 'replaced')",
            name=op.f("ck_chain_intents_state"),
        ),
        sa.PrimaryKeyConstraint("tenant", "operation_id", name=op.f("pk_chain_intents")),
    )
    op.create_index(
        op.f("ix_chain_intents_tenant_state"), "chain_intents", ["tenant", "state"], unique=False
    )
    op.create_table(
        "inbox_events",
        sa.Column(
            "arrival",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('trying', 'done', 'quarantined', 'held', 'discarded')",
            name=op.f("ck_inbox_events_state"),
        ),
        sa.PrimaryKeyConstraint("arrival", name=op.f("pk_inbox_events")),
        sa.UniqueConstraint(
            "tenant", "source", "id", name=op.f("uq_inbox_events_tenant_source_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_inbox_events_tenant_source_subject_state"),
        "inbox_events",
        ["tenant", "source", "subject", "state"],
        unique=False,
    )
    op.create_table(
        "inbox_horizons",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("before_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_inbox_horizons")),
    )
    op.create_table(
        "outbox_events",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_outbox_events")),
        sa.UniqueConstraint(
            "tenant", "source", "id", name=op.f("uq_outbox_events_tenant_source_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_outbox_events_tenant_time_ms"),
        "outbox_events",
        ["tenant", "time_ms"],
        unique=False,
    )
    op.create_table(
        "outbox_subscribers",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_outbox_subscribers")),
    )
    op.create_table(
        "outbox_deliveries",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subscriber", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('pending', 'delivered', 'dead', 'discarded')",
            name=op.f("ck_outbox_deliveries_state"),
        ),
        sa.ForeignKeyConstraint(
            ["sequence"], ["outbox_events.sequence"], name=op.f("fk_outbox_deliveries_sequence")
        ),
        sa.PrimaryKeyConstraint(
            "tenant", "subscriber", "sequence", name=op.f("pk_outbox_deliveries")
        ),
    )
    op.create_index(
        op.f("ix_outbox_deliveries_sequence"), "outbox_deliveries", ["sequence"], unique=False
    )
    op.create_index(
        op.f("ix_outbox_deliveries_tenant_subscriber_source_subject_sequence"),
        "outbox_deliveries",
        ["tenant", "subscriber", "source", "subject", "sequence"],
        unique=False,
    )
    op.create_index(
        op.f("ix_outbox_deliveries_tenant_subscriber_state_due_ms"),
        "outbox_deliveries",
        ["tenant", "subscriber", "state", "due_ms"],
        unique=False,
    )
