"""The commission's tables. A change here comes with a migration in ``migrations``.

What names an elector is sealed under the roll's vault; slots, indexes and hashes of codes are
keyed. ``draft`` is the draft id. Instants are milliseconds, except those that are signed, which are
seconds.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from services.kit.tables import NAMING, Counter

METADATA: Final = MetaData(naming_convention=NAMING)

_ROLL: Final = ("tenant", "draft")


def _of_roll() -> tuple[Column[str], Column[bytes]]:
    return (
        Column("tenant", Text, nullable=False),
        Column("draft", LargeBinary, nullable=False),
    )


ROLLS: Final = Table(
    "commission_rolls",
    METADATA,
    *_of_roll(),
    Column("state", Text, nullable=False),
    Column("reference_day", Text, nullable=False),
    Column("styles", Text, nullable=False),
    Column("root_key", LargeBinary, nullable=False),
    Column("eid", LargeBinary, nullable=True),
    Column("manifest", LargeBinary, nullable=True),
    Column("eligible_root", LargeBinary, nullable=True),
    Column("eligible_size", BigInteger, nullable=True),
    Column("eligible_digest", LargeBinary, nullable=True),
    Column("sealed_at_attestor", Boolean, nullable=False),
    PrimaryKeyConstraint(*_ROLL),
    UniqueConstraint("eid"),
)
"""One roll for each draft; ``root_key`` is sealed by the kit's envelope, everything else by it."""

UPLOADS: Final = Table(
    "commission_uploads",
    METADATA,
    *_of_roll(),
    Column("part", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "part"),
)
"""Parts of a file that is being handed in; sealed, gone with the import."""

ELECTORS: Final = Table(
    "commission_electors",
    METADATA,
    *_of_roll(),
    Column("slot", LargeBinary, nullable=False),
    Column("person", LargeBinary, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("style", Integer, nullable=False),
    Column("district", Text, nullable=False),
    Column("band", Text, nullable=False),
    Column("closed", Integer, nullable=False),
    Column("reopened_s", BigInteger, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "slot"),
    Index(None, "tenant", "draft", "person"),
)
"""Electors: ``person`` is the keyed index of name and birth date, ``closed`` the final reason or 0,
``reopened_s`` the time of the last cancel record, which later entries must be after."""

CODES: Final = Table(
    "commission_codes",
    METADATA,
    *_of_roll(),
    Column("hash", LargeBinary, nullable=False),
    Column("slot", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("issued_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "hash"),
    Index(None, "tenant", "draft", "slot"),
)
"""Invitation codes by keyed hash: issued, spent or revoked."""

CODE_REQUESTS: Final = Table(
    "commission_code_requests",
    METADATA,
    *_of_roll(),
    Column("request", Text, nullable=False),
    Column("resident", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "request"),
    UniqueConstraint(*_ROLL, "resident"),
)
"""What residents ask for by the app: sealed, for an officer to decide."""

RESIDENTS: Final = Table(
    "commission_residents",
    METADATA,
    *_of_roll(),
    Column("resident", Text, nullable=False),
    Column("slot", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "resident"),
    UniqueConstraint(*_ROLL, "slot"),
)
"""Which pseudonym of the hub is which elector, as an officer decided."""

SESSIONS: Final = Table(
    "commission_sessions",
    METADATA,
    *_of_roll(),
    Column("hash", LargeBinary, nullable=False),
    Column("slot", LargeBinary, nullable=False),
    Column("code", LargeBinary, nullable=True),
    Column("is_counter", Boolean, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "hash"),
    UniqueConstraint(*_ROLL, "slot"),
)
"""The one open session of a slot, by the hash of its bearer."""

GUESSES: Final = Table(
    "commission_guesses",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("source", LargeBinary, nullable=False),
    Column("window", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("tenant", "source", "window"),
)
"""Wrong codes by hashed source and hour; the empty source counts all."""

ENROLMENTS: Final = Table(
    "commission_enrolments",
    METADATA,
    *_of_roll(),
    Column("id", Text, nullable=False),
    Column("slot", LargeBinary, nullable=False),
    Column("style", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("code", LargeBinary, nullable=True),
    Column("is_counter", Boolean, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("evidence", LargeBinary, nullable=True),
    Column("request_hash", LargeBinary, nullable=True),
    Column("commitment", LargeBinary, nullable=True),
    Column("a", LargeBinary, nullable=True),
    Column("b", LargeBinary, nullable=True),
    Column("batch", Integer, nullable=True),
    Column("time_s", BigInteger, nullable=True),
    Column("registrar_signature", LargeBinary, nullable=True),
    Column("attestor_signature", LargeBinary, nullable=True),
    Column("token_signature", LargeBinary, nullable=True),
    PrimaryKeyConstraint(*_ROLL, "id"),
    UniqueConstraint("commitment"),
    Index(None, "tenant", "draft", "slot"),
    Index(None, "tenant", "draft", "state", "batch"),
)
"""Enrolments and how far they have come; ``evidence`` and ``nonce`` are sealed."""

CANCELS: Final = Table(
    "commission_cancels",
    METADATA,
    *_of_roll(),
    Column("id", Text, nullable=False),
    Column("slot", LargeBinary, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("time_s", BigInteger, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("batch", Integer, nullable=True),
    Column("registrar_signature", LargeBinary, nullable=True),
    Column("attestor_signature", LargeBinary, nullable=True),
    PrimaryKeyConstraint(*_ROLL, "id"),
    UniqueConstraint("commitment"),
    Index(None, "tenant", "draft", "slot"),
)
"""Cancel records: made, then signed by both. ``secret`` is evidence and salt, sealed."""

BATCHES: Final = Table(
    "commission_batches",
    METADATA,
    *_of_roll(),
    Column("number", Integer, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("cancels", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "number"),
)
"""Batches as posted, without identity."""

ACTIVE: Final = Table(
    "commission_active",
    METADATA,
    *_of_roll(),
    Column("style", Integer, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("file_digest", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "style"),
)
"""The frozen list of each style."""

PROPOSALS: Final = Table(
    "commission_proposals",
    METADATA,
    *_of_roll(),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("decided_by", Text, nullable=True),
    Column("proposed_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "id"),
)
"""What waits for a second officer; ``body`` is sealed."""

EXPORTS: Final = Table(
    "commission_exports",
    METADATA,
    *_of_roll(),
    Column("id", Text, nullable=False),
    Column("auditor", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint(*_ROLL, "id"),
)
"""Restricted stores encrypted to an accredited auditor's key."""

ACTS: Final = Table(
    "commission_acts",
    METADATA,
    Column("number", Counter, nullable=False, autoincrement=True),
    *_of_roll(),
    Column("time_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("second", Text, nullable=True),
    Column("detail", Text, nullable=False),
    PrimaryKeyConstraint("number"),
    Index(None, "tenant", "draft"),
    sqlite_autoincrement=True,
)
"""Every act of the commission in order, without a person's name; printed as the record."""

WITNESSED: Final = Table(
    "witness_entries",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("batch", Integer, nullable=False),
    Column("style", Integer, nullable=False),
    Column("a", LargeBinary, nullable=False),
    Column("b", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "eid", "commitment"),
)
"""What a witness has of the roll: commitments and sealed pointers of confirmed batches."""

WITNESSED_BATCHES: Final = Table(
    "witness_batches",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("eid", LargeBinary, nullable=False),
    Column("number", Integer, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("cancels", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "eid", "number"),
)
"""Batches that a witness checked and confirmed; ``cancels`` are their cancel commitments."""
