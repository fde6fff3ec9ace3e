"""The commission's roll, codes, enrolments, cancel records and acts; what witnesses keep."""

import sqlalchemy as sa
from alembic import op

revision = "election_commission_0001"
down_revision = None
branch_labels = ("election_commission",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_rolls()
    _create_invitations()
    _create_enrolments()
    _create_published()
    _create_desk()
    _create_witness()


def _create_rolls() -> None:
    op.create_table(
        "commission_electors",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("slot", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.LargeBinary(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("style", sa.Integer(), nullable=False),
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("band", sa.Text(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("reopened_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "slot", name=op.f("pk_commission_electors")),
    )
    op.create_index(
        op.f("ix_commission_electors_tenant_draft_person"),
        "commission_electors",
        ["tenant", "draft", "person"],
        unique=False,
    )
    op.create_table(
        "commission_rolls",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reference_day", sa.Text(), nullable=False),
        sa.Column("styles", sa.Text(), nullable=False),
        sa.Column("root_key", sa.LargeBinary(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=True),
        sa.Column("manifest", sa.LargeBinary(), nullable=True),
        sa.Column("eligible_root", sa.LargeBinary(), nullable=True),
        sa.Column("eligible_size", sa.BigInteger(), nullable=True),
        sa.Column("eligible_digest", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_at_attestor", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", name=op.f("pk_commission_rolls")),
        sa.UniqueConstraint("eid", name=op.f("uq_commission_rolls_eid")),
    )
    op.create_table(
        "commission_uploads",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "part", name=op.f("pk_commission_uploads")),
    )


def _create_invitations() -> None:
    op.create_table(
        "commission_code_requests",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("resident", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "draft", "request", name=op.f("pk_commission_code_requests")
        ),
        sa.UniqueConstraint(
            "tenant",
            "draft",
            "resident",
            name=op.f("uq_commission_code_requests_tenant_draft_resident"),
        ),
    )
    op.create_table(
        "commission_codes",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("slot", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "hash", name=op.f("pk_commission_codes")),
    )
    op.create_index(
        op.f("ix_commission_codes_tenant_draft_slot"),
        "commission_codes",
        ["tenant", "draft", "slot"],
        unique=False,
    )
    op.create_table(
        "commission_guesses",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.Column("window", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "window", name=op.f("pk_commission_guesses")),
    )
    op.create_table(
        "commission_residents",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("resident", sa.Text(), nullable=False),
        sa.Column("slot", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "draft", "resident", name=op.f("pk_commission_residents")
        ),
        sa.UniqueConstraint(
            "tenant", "draft", "slot", name=op.f("uq_commission_residents_tenant_draft_slot")
        ),
    )
    op.create_table(
        "commission_sessions",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("slot", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=True),
        sa.Column("is_counter", sa.Boolean(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "hash", name=op.f("pk_commission_sessions")),
        sa.UniqueConstraint(
            "tenant", "draft", "slot", name=op.f("uq_commission_sessions_tenant_draft_slot")
        ),
    )


def _create_enrolments() -> None:
    op.create_table(
        "commission_cancels",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slot", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("registrar_signature", sa.LargeBinary(), nullable=True),
        sa.Column("attestor_signature", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "draft", "id", name=op.f("pk_commission_cancels")),
        sa.UniqueConstraint("commitment", name=op.f("uq_commission_cancels_commitment")),
    )
    op.create_index(
        op.f("ix_commission_cancels_tenant_draft_slot"),
        "commission_cancels",
        ["tenant", "draft", "slot"],
        unique=False,
    )
    op.create_table(
        "commission_enrolments",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slot", sa.LargeBinary(), nullable=False),
        sa.Column("style", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=True),
        sa.Column("is_counter", sa.Boolean(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=True),
        sa.Column("commitment", sa.LargeBinary(), nullable=True),
        sa.Column("a", sa.LargeBinary(), nullable=True),
        sa.Column("b", sa.LargeBinary(), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("time_s", sa.BigInteger(), nullable=True),
        sa.Column("registrar_signature", sa.LargeBinary(), nullable=True),
        sa.Column("attestor_signature", sa.LargeBinary(), nullable=True),
        sa.Column("token_signature", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "draft", "id", name=op.f("pk_commission_enrolments")),
        sa.UniqueConstraint("commitment", name=op.f("uq_commission_enrolments_commitment")),
    )
    op.create_index(
        op.f("ix_commission_enrolments_tenant_draft_slot"),
        "commission_enrolments",
        ["tenant", "draft", "slot"],
        unique=False,
    )
    op.create_index(
        op.f("ix_commission_enrolments_tenant_draft_state_batch"),
        "commission_enrolments",
        ["tenant", "draft", "state", "batch"],
        unique=False,
    )


def _create_published() -> None:
    op.create_table(
        "commission_active",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("style", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("file_digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "style", name=op.f("pk_commission_active")),
    )
    op.create_table(
        "commission_batches",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("cancels", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "number", name=op.f("pk_commission_batches")),
    )


def _create_desk() -> None:
    op.create_table(
        "commission_acts",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("second", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_commission_acts")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_commission_acts_tenant_draft"),
        "commission_acts",
        ["tenant", "draft"],
        unique=False,
    )
    op.create_table(
        "commission_exports",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("auditor", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "id", name=op.f("pk_commission_exports")),
    )
    op.create_table(
        "commission_proposals",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("proposed_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "draft", "id", name=op.f("pk_commission_proposals")),
    )


def _create_witness() -> None:
    op.create_table(
        "witness_batches",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("cancels", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "eid", "number", name=op.f("pk_witness_batches")),
    )
    op.create_table(
        "witness_entries",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("eid", sa.LargeBinary(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("style", sa.Integer(), nullable=False),
        sa.Column("a", sa.LargeBinary(), nullable=False),
        sa.Column("b", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "eid", "commitment", name=op.f("pk_witness_entries")),
    )
