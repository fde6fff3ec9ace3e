"""The pool's contents as bytes, to survive a restart.

The shell stores them and, at start, submits what they hold again: a stored transaction passes
every check anew against the head it meets.

Spec: POOL-RESTART.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from node.pool.queue import Entry
from node.primitives import rlp
from node.primitives.errors import MalformedMessage

FORMAT: Final = 1
"""Version of the form."""

SOURCE_SIZE_MAX: Final = 128
"""Longest name of a source kept, in bytes."""

COUNT_MAX: Final = 1_000_000
"""Most transactions decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """A transaction that waited when the node stopped."""

    raw: bytes
    """Its bytes, not yet checked."""
    source: str
    """Who had brought it."""
    arrived_s: int
    """When."""


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """Return the entries as bytes, in the order given.

    Spec: POOL-RESTART.
    """
    items: list[rlp.Item] = [
        [
            entry.transaction.raw,
            entry.source.encode()[:SOURCE_SIZE_MAX],
            rlp.encode_uint(entry.arrived_s),
        ]
        for entry in entries
    ]
    return rlp.encode([rlp.encode_uint(FORMAT), items])


def decode_entries(data: bytes) -> tuple[StoredEntry, ...]:
    """Decode what ``encode_entries`` made.

    Raises:
        MalformedMessage: The bytes are of another form.

    Spec: POOL-RESTART.
    """
    version, items = rlp.as_list(rlp.decode(data), 2, "pool")
    if rlp.as_uint(version, 4, "pool.format") != FORMAT:
        raise MalformedMessage(f"pool: stored in a form other than {FORMAT}; delete it")
    entries = rlp.as_list(items, what="pool.entries")
    if len(entries) > COUNT_MAX:
        raise MalformedMessage(f"pool: {len(entries)} entries, at most {COUNT_MAX}")
    return tuple(_decode_entry(item) for item in entries)


def _decode_entry(item: rlp.Decoded) -> StoredEntry:
    raw, source, arrived = rlp.as_list(item, 3, "pool.entry")
    try:
        name = rlp.as_bytes(source, what="pool.source").decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage("pool.source: not UTF-8") from error
    return StoredEntry(
        raw=rlp.as_bytes(raw, what="pool.transaction"),
        source=name[:SOURCE_SIZE_MAX],
        arrived_s=rlp.as_uint(arrived, 8, "pool.arrived"),
    )
