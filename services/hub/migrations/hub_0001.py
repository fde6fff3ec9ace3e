"""The hub's tables."""

import sqlalchemy as sa
from alembic import op

revision = "hub_0001"
down_revision = None
branch_labels = ("hub",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_cards()
    _create_follower_cursors()
    _create_residents()


def _create_cards() -> None:
    op.create_table(
        "cards",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("place", sa.LargeBinary(), nullable=False),
        sa.Column("resident", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=True),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "place", name=op.f("pk_cards")),
    )
    op.create_index(op.f("ix_cards_tenant_resident"), "cards", ["tenant", "resident"], unique=False)
    op.create_table(
        "challenges",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_challenges")),
    )
    op.create_index(
        op.f("ix_challenges_tenant_expires_ms"),
        "challenges",
        ["tenant", "expires_ms"],
        unique=False,
    )
    op.create_table(
        "codes",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("resident", sa.Text(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_codes")),
    )
    op.create_table(
        "devices",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("binding", sa.Text(), nullable=False),
        sa.Column("resident", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("record_key_hash", sa.LargeBinary(), nullable=True),
        sa.Column("label", sa.LargeBinary(), nullable=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("bound_ms", sa.BigInteger(), nullable=False),
        sa.Column("grace_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "binding", name=op.f("pk_devices")),
        sa.UniqueConstraint("tenant", "address", name=op.f("uq_devices_tenant_address")),
    )
    op.create_index(
        op.f("ix_devices_tenant_resident"), "devices", ["tenant", "resident"], unique=False
    )


def _create_follower_cursors() -> None:
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
        "grants",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("delegate", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("place", sa.LargeBinary(), nullable=True),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("entered_by", sa.Text(), nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("granted_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_grants")),
    )
    op.create_index(
        op.f("ix_grants_tenant_delegate"), "grants", ["tenant", "delegate"], unique=False
    )
    op.create_index(
        op.f("ix_grants_tenant_principal"), "grants", ["tenant", "principal"], unique=False
    )
    op.create_table(
        "queries",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("resident", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_queries")),
    )
    op.create_index(
        op.f("ix_queries_tenant_resident_at_ms"),
        "queries",
        ["tenant", "resident", "at_ms"],
        unique=False,
    )


def _create_residents() -> None:
    op.create_table(
        "residents",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("devices", sa.Integer(), nullable=False),
        sa.Column("attribute_action", sa.Integer(), nullable=False),
        sa.Column("as_of_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=True),
        sa.Column("grace_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("event", sa.Text(), nullable=True),
        sa.Column("attributes", sa.LargeBinary(), nullable=True),
        sa.Column("attributes_source", sa.Text(), nullable=True),
        sa.Column("attributes_ms", sa.BigInteger(), nullable=True),
        sa.Column("attributes_expire_ms", sa.BigInteger(), nullable=True),
        sa.Column("attributes_stale_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_residents")),
        sa.UniqueConstraint("tenant", "name", name=op.f("uq_residents_tenant_name")),
    )
    op.create_table(
        "sector_addresses",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("sector", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.LargeBinary(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("checked_s", sa.BigInteger(), nullable=False),
        sa.Column("not_before_s", sa.BigInteger(), nullable=False),
        sa.Column("settle_s", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("written_status", sa.Integer(), nullable=True),
        sa.Column("written_level", sa.Integer(), nullable=True),
        sa.Column("written_checked_s", sa.BigInteger(), nullable=True),
        sa.Column("sends_until_s", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "address", name=op.f("pk_sector_addresses")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_sector_addresses_tenant_sector_pseudonym"),
        "sector_addresses",
        ["tenant", "sector", "pseudonym"],
        unique=False,
    )
