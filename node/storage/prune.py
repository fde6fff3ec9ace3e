"""Turns an archive into a live database: past states go, blocks stay.

The nodes of the head's trie are written anew under their paths, from the flat state, and only when
their root is the head's are the nodes by hash removed. Interrupted at any point, the same command
completes it; meanwhile the database does not open for anything else.

Spec: STORE-PRUNE.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from node.primitives.errors import InvalidInput
from node.primitives.types import Hash32
from node.storage import schema
from node.storage.chain import load_head, load_mode
from node.storage.errors import DatabaseMismatch
from node.storage.kv import KeyValueStore
from node.storage.schema import Meta, Prefix, meta_key
from node.storage.snapshot import check_root
from node.storage.state_store import StateMode
from node.storage.state_stream import StateRoot, iterate_flat

PRUNE_TASK: Final = b"daicho db prune"

BATCH_COUNT: Final = 10_000
"""Entries written or removed at once."""

Progress: TypeAlias = Callable[[str, int], None]
"""Told the part at work and the entries done."""


def prune_states(store: KeyValueStore, *, progress: Progress | None = None) -> int:
    """Make an archive database a live one; return how many nodes were removed.

    Raises:
        DatabaseMismatch: It is live already, holds no chain, or another task is unfinished.
        InvalidInput: The flat state does not lead to the head's root; the archive stays as it is.
        Unavailable: The disk refused; run it again.

    Spec: STORE-PRUNE.
    """
    report = progress or (lambda _part, _done: None)
    task = store.get(meta_key(Meta.TASK))
    if task not in (None, PRUNE_TASK):
        raise DatabaseMismatch(f"`{(task or b'').decode()}` did not finish; complete that first")
    if load_mode(store) is StateMode.LIVE:
        raise DatabaseMismatch("the database is in live mode already; nothing to prune")
    store.write({meta_key(Meta.TASK): PRUNE_TASK}, sync=True)
    try:
        _remove(store, Prefix.NODE_BY_PATH, report)
        _write_by_path(store, report)
    except InvalidInput:
        store.write({meta_key(Meta.TASK): None}, sync=True)
        raise
    removed = _remove(store, Prefix.NODE_BY_HASH, report)
    store.write(
        {meta_key(Meta.MODE): StateMode.LIVE.value.encode(), meta_key(Meta.TASK): None}, sync=True
    )
    return removed


def _write_by_path(store: KeyValueStore, report: Progress) -> None:
    batch: dict[bytes, bytes | None] = {}
    written = 0

    def keep(owner: bytes, path: str, _node_hash: Hash32, raw: bytes) -> None:
        nonlocal written
        batch[schema.node_path_key(owner, path)] = raw
        written += 1
        if len(batch) >= BATCH_COUNT:
            store.write(batch, sync=True)
            batch.clear()
            report("writing nodes by path", written)

    root = StateRoot(keep)
    for entry in iterate_flat(store):
        root.add(entry)
    check_root(root.finish(), load_head(store))
    store.write(batch, sync=True)


def _remove(store: KeyValueStore, prefix: Prefix, report: Progress) -> int:
    start, stop = schema.range_of(prefix)
    batch: dict[bytes, bytes | None] = {}
    removed = 0
    for key, _ in store.iterate(start=start, stop=stop):
        batch[key] = None
        removed += 1
        if len(batch) >= BATCH_COUNT:
            store.write(batch, sync=True)
            batch = {}
            report("removing nodes", removed)
    store.write(batch, sync=True)
    return removed
