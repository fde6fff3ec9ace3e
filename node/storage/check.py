"""Checks a database from the inside: every check is named, has a verdict, and none stops the rest.

Blocks never change, so a check that was interrupted can go on at the height it had reached.

Spec: STORE-CHECK.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from node.primitives.errors import LedgerError
from node.primitives.header import Header, decode_header
from node.primitives.trie import Leaf, compute_ordered_root
from node.primitives.types import Hash32, Height
from node.storage import schema
from node.storage.chain import ChainStore
from node.storage.errors import DatabaseCorrupt, NotStored
from node.storage.kv import KeyValueStore
from node.storage.logs import stage_logs
from node.storage.schema import STATE_OWNER, Meta, Prefix, meta_key
from node.storage.state_store import record_of_leaf
from node.storage.state_stream import StateRoot, iterate_flat
from node.storage.trie_update import iterate_nodes
from node.storage.view import EMPTY_CODE_HASH

PROGRESS_STEP: Final = 1_000
"""Heights or entries between two reports of progress."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told the part being checked, and how many of how many; the total is 0 when it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One verdict on a database."""

    name: str
    """What was checked."""
    rule: str
    """Rule in ``docs/spec/storage.md``."""
    is_passed: bool
    """Whether it holds."""
    expected: str
    """What should be there."""
    actual: str
    """What is there, or the first thing that is wrong."""


def verify_database(
    chain: ChainStore,
    *,
    start: Height | None = None,
    progress: Progress | None = None,
) -> Iterator[Check]:
    """Yield every check of ``chain``, each as soon as it is done.

    Args:
        chain: The opened chain; nothing may commit meanwhile.
        start: First height whose block is checked; the lowest stored when left out.
        progress: Told how far each part is.

    Spec: STORE-CHECK.
    """
    report = progress or (lambda _part, _done, _total: None)
    first = chain.base if start is None else Height(max(start, chain.base))
    yield _check_schema(chain.store)
    yield _run("headers link", "STORE-COMMIT", partial(_headers, chain, first, report))
    yield _run("blocks match headers", "STORE-COMMIT", partial(_blocks, chain, first, report))
    yield _run("indexes lead to blocks", "STORE-COMMIT", partial(_indexes, chain, first, report))
    yield _run("flat state leads to root", "STORE-STREAM", partial(_flat_state, chain, report))
    yield _run("trie is whole", "STORE-TRIE", partial(_trie, chain, report))


def _run(name: str, rule: str, check: Callable[[], str]) -> Check:
    """Turn what ``check`` returns, or the error it ends with, into a verdict."""
    try:
        actual = check()
    except LedgerError as error:
        return Check(
            name=name, rule=rule, is_passed=False, expected="no contradiction", actual=error.message
        )
    return Check(name=name, rule=rule, is_passed=True, expected="no contradiction", actual=actual)


def _check_schema(store: KeyValueStore) -> Check:
    found = int.from_bytes(store.get(meta_key(Meta.SCHEMA)) or b"", "big")
    return Check(
        name="schema",
        rule="STORE-SCHEMA",
        is_passed=found == schema.SCHEMA_VERSION,
        expected=str(schema.SCHEMA_VERSION),
        actual=str(found),
    )


def _headers(chain: ChainStore, first: Height, report: Progress) -> str:
    parent: Header | None = None
    for height in _heights(chain, first, "headers", report):
        raw = chain.store.get(schema.header_key(height))
        if raw is None:
            raise DatabaseCorrupt(f"the header at height {height} is missing")
        header = decode_header(raw)
        if header.height != height:
            raise DatabaseCorrupt(f"at height {height} stands the header of {header.height}")
        if parent is not None and header.parent_hash != parent.hash:
            raise DatabaseCorrupt(f"the header at height {height} does not name its parent")
        if chain.find_height(header.hash) != height:
            raise DatabaseCorrupt(f"the hash of the header at height {height} is not indexed")
        parent = header
    if parent is not None and parent.hash != chain.head.hash:
        raise DatabaseCorrupt("the last header is not the one the head pointer names")
    return f"{chain.head.height - first + 1} headers"


def _blocks(chain: ChainStore, first: Height, report: Progress) -> str:
    count = 0
    for height in _heights(chain, first, "blocks", report):
        if not _has_body(chain, height):
            continue
        header = chain.load_header(height)
        raws = [transaction.raw for transaction in chain.load_transactions(height)]
        receipts = [receipt.encode() for receipt in chain.load_receipts(height)]
        _compare("transactions root", height, compute_ordered_root(raws), header.transactions_root)
        _compare("receipts root", height, compute_ordered_root(receipts), header.receipts_root)
        count += 1
    return f"{count} blocks"


def _indexes(chain: ChainStore, first: Height, report: Progress) -> str:
    count = 0
    for height in _heights(chain, first, "indexes", report):
        if not _has_body(chain, height):
            continue
        for index, transaction in enumerate(chain.load_transactions(height)):
            if chain.find_transaction(transaction.hash) != (height, index):
                raise DatabaseCorrupt(
                    f"transaction 0x{transaction.hash.hex()} at height {height} is not indexed"
                )
            count += 1
        terms: dict[bytes, bytes | None] = {}
        stage_logs(chain.load_receipts(height), height, terms)
        for key in terms:
            if chain.store.get(key) is None:
                raise DatabaseCorrupt(f"a log at height {height} is not indexed")
    return f"{count} transactions"


def _flat_state(chain: ChainStore, report: Progress) -> str:
    root = StateRoot()
    count = 0
    for count, entry in enumerate(iterate_flat(chain.store), 1):
        root.add(entry)
        if count % PROGRESS_STEP == 0:
            report("flat state", count, 0)
    _compare("state root", chain.head.height, root.finish(), chain.head.state_root)
    return f"{count} accounts and slots"


def _trie(chain: ChainStore, report: Progress) -> str:
    view = chain.head_view()

    def load_from(owner: bytes, node_hash: Hash32, path: str) -> bytes:
        return view.load_node(node_hash, owner, path)

    count = 0
    for path, node in iterate_nodes(view.root, partial(load_from, STATE_OWNER)):
        count += 1
        if not isinstance(node, Leaf):
            continue
        record = record_of_leaf(node.value)
        if record.account.code_hash != EMPTY_CODE_HASH:
            _check_code(chain.store, record.account.code_hash)
        owner = bytes.fromhex(path + node.path)
        for _ in iterate_nodes(record.storage_root, partial(load_from, owner)):
            count += 1
            if count % PROGRESS_STEP == 0:
                report("trie", count, 0)
    return f"{count} nodes"


def _check_code(store: KeyValueStore, code_hash: Hash32) -> None:
    if store.get(Prefix.CODE + code_hash) is None:
        raise DatabaseCorrupt(f"the code 0x{code_hash.hex()} of an account is missing")


def _heights(chain: ChainStore, first: Height, part: str, report: Progress) -> Iterator[Height]:
    total = chain.head.height - first + 1
    for height in range(first, chain.head.height + 1):
        yield Height(height)
        if height % PROGRESS_STEP == 0:
            report(part, height - first + 1, total)


def _has_body(chain: ChainStore, height: Height) -> bool:
    """Tell whether a block is more than its header, as it is not below a restored snapshot.

    Raises:
        NotStored: The body is missing where it should be.
    """
    if chain.store.get(schema.body_key(height)) is not None:
        return True
    if height > chain.restored_at or not chain.restored_at:
        raise NotStored(f"the body at height {height} is missing")
    return False


def _compare(what: str, height: int, found: Hash32, expected: Hash32) -> None:
    if found != expected:
        raise DatabaseCorrupt(
            f"{what} at height {height} is 0x{found.hex()}, the header says 0x{expected.hex()}"
        )
