"""The attestor's own memory, in a file of its own that no registrar writes.

What it signed for each slot, and the roll as it was when it was fixed: so that a registrar whose
database is changed, or set back, gets no second signature for a version and none for an elector who
was put in later. Nothing here names a person: electors stand as digests salted by their slot.

Spec: ROLL-ATTESTOR.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.primitives.errors import Misconfigured

_SCHEMA: Final = """
create table if not exists rolls (draft blob primary key, root blob) strict;
create table if not exists electors (
  draft blob not null, slot blob not null, style integer not null, elector blob not null,
  primary key (draft, slot)
) strict;
create table if not exists elections (
  eid blob primary key, draft blob not null, manifest blob not null
) strict;
create table if not exists entries (
  eid blob not null, slot blob not null, version integer not null, commitment blob not null,
  time_s integer not null, primary key (eid, slot, version)
) strict;
create table if not exists cancels (
  eid blob not null, slot blob not null, record blob not null, reason integer not null,
  time_s integer not null, primary key (eid, slot, record)
) strict;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotMemory:
    """What the attestor knows of a slot."""

    style: int
    """Its style when the roll was fixed."""
    elector: bytes
    """Digest of who it was then."""
    version: int
    """Highest version signed, 0 before the first."""
    commitment: bytes | None
    """Commitment signed under it."""
    signed_s: int
    """When it was signed first, or 0."""
    closed: int
    """Final reason of a cancel record, or 0."""
    cancelled_s: int
    """Time of the last cancel record, or 0."""


class AttestorStore:
    """The file. One process uses it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file, its owner's alone.

        Raises:
            Misconfigured: It cannot be.
        """
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._database = sqlite3.connect(path, isolation_level=None)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._database.execute(f"pragma {pragma}")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise Misconfigured(f"{path}: the attestor cannot open its file; check it") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def root_of(self, draft: bytes) -> bytes | None:
        """Return the eligible root of a roll that was taken over whole."""
        row = self._database.execute("select root from rolls where draft = ?", (draft,)).fetchone()
        return None if row is None else row[0]

    def add_rows(self, draft: bytes, rows: Iterable[tuple[bytes, int, bytes]]) -> None:
        """Add slots of a roll that is not closed; the same row again changes nothing."""
        self._database.execute("begin immediate")
        try:
            self._database.executemany(
                "insert or replace into electors values (?, ?, ?, ?)",
                [(draft, slot, style, elector) for slot, style, elector in rows],
            )
        except sqlite3.Error:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def leaves_of(self, draft: bytes) -> list[tuple[bytes, int]]:
        """Return slots and styles of a roll."""
        rows = self._database.execute("select slot, style from electors where draft = ?", (draft,))
        return [(row[0], row[1]) for row in rows]

    def close_roll(self, draft: bytes, root: bytes) -> None:
        """Take no more rows of a roll."""
        self._database.execute("insert into rolls values (?, ?)", (draft, root))

    def forget_rows(self, draft: bytes) -> None:
        """Drop the rows of a roll that was not closed, so that it can be sent again."""
        self._database.execute("delete from electors where draft = ?", (draft,))

    def forget_electors(self, draft: bytes) -> None:
        """Remove who the electors of a roll were, and what the file still holds of them."""
        self.forget_rows(draft)
        for statement in (
            "pragma secure_delete = ON",
            "vacuum",
            "pragma wal_checkpoint(TRUNCATE)",
        ):
            self._database.execute(statement)

    def add_election(self, eid: bytes, draft: bytes, manifest: bytes) -> None:
        """Take an election's manifest."""
        values = (eid, draft, manifest)
        self._database.execute("insert or ignore into elections values (?, ?, ?)", values)

    def election(self, eid: bytes) -> tuple[bytes, bytes] | None:
        """Return draft id and manifest of an election."""
        query = "select draft, manifest from elections where eid = ?"
        row = self._database.execute(query, (eid,)).fetchone()
        return None if row is None else (row[0], row[1])

    def slot(self, eid: bytes, draft: bytes, slot: bytes) -> SlotMemory | None:
        """Return what is known of a slot, None when the roll never had it."""
        known = self._database.execute(
            "select style, elector from electors where draft = ? and slot = ?", (draft, slot)
        ).fetchone()
        if known is None:
            return None
        last = self._database.execute(
            "select version, commitment, time_s from entries where eid = ? and slot = ?"
            " order by version desc limit 1",
            (eid, slot),
        ).fetchone()
        final, latest = self._database.execute(
            "select coalesce(max(case when reason < 4 then reason end), 0),"
            " coalesce(max(time_s), 0) from cancels where eid = ? and slot = ?",
            (eid, slot),
        ).fetchone()
        version, commitment, signed_s = last or (0, None, 0)
        return SlotMemory(
            style=known[0],
            elector=known[1],
            version=version,
            commitment=commitment,
            signed_s=signed_s,
            closed=final,
            cancelled_s=latest,
        )

    def add_entry(
        self, eid: bytes, slot: bytes, version: int, commitment: bytes, time_s: int
    ) -> None:
        """Remember an entry before its receipt is signed."""
        values = (eid, slot, version, commitment, time_s)
        self._database.execute("insert or ignore into entries values (?, ?, ?, ?, ?)", values)

    def add_cancel(self, eid: bytes, slot: bytes, record: bytes, reason: int, time_s: int) -> None:
        """Remember a cancel record before it is signed."""
        values = (eid, slot, record, reason, time_s)
        self._database.execute("insert or ignore into cancels values (?, ?, ?, ?, ?)", values)
