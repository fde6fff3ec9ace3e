"""A whole state as a row of chunks for an audit bundle, and back into a store.

A chunk is an RLP list of entries in trie order: an account, each of its slots after it, and before
an account the code that no account before it had. Loading believes nothing: codes are hashed, and
the root of everything is returned to be compared with a header's.

Spec: AUDIT-STATE.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from node.primitives import rlp
from node.primitives.bundle import CHUNK_SIZE_MAX, InvalidBundle, StateChunk
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.types import Hash32
from node.storage import schema
from node.storage.kv import KeyValueStore
from node.storage.state_store import decode_record, encode_record
from node.storage.state_stream import AccountEntry, SlotEntry, StateEntry, StateRoot
from node.storage.view import EMPTY_CODE_HASH

CHUNK_SIZE: Final = 512 * 1024
"""A chunk is closed once it has this many bytes; the largest entry still fits after that."""


def iterate_chunks(
    entries: Iterable[StateEntry], load_code: Callable[[Hash32], bytes]
) -> Iterator[StateChunk]:
    """Yield a state as chunks, at least one.

    Args:
        entries: Of the state, in trie order.
        load_code: Returns the code with a hash.

    Spec: AUDIT-STATE.
    """
    parts: list[bytes] = []
    size = 0
    for entry in _encode_entries(entries, load_code):
        if size >= CHUNK_SIZE:
            yield StateChunk(is_last=False, entries=rlp.wrap_list(b"".join(parts)))
            parts, size = [], 0
        parts.append(entry)
        size += len(entry)
    yield StateChunk(is_last=True, entries=rlp.wrap_list(b"".join(parts)))


def _encode_entries(
    entries: Iterable[StateEntry], load_code: Callable[[Hash32], bytes]
) -> Iterator[bytes]:
    known = {EMPTY_CODE_HASH}
    for entry in entries:
        match entry:
            case AccountEntry(address_hash, record):
                code_hash = record.account.code_hash
                if code_hash not in known:
                    known.add(code_hash)
                    yield rlp.encode([b"c", load_code(code_hash)])
                yield rlp.encode([b"a", address_hash, encode_record(record)])
            case SlotEntry(slot_hash, value):
                yield rlp.encode([b"s", slot_hash, value])


class StateLoader:
    """Fills an empty store with the state that chunks hold, and computes its root."""

    def __init__(self, store: KeyValueStore | None) -> None:
        """Fill ``store``, as a live node keeps a state; or only compute when it is None."""
        self._store = store
        self._root = StateRoot(None if store is None else self._keep_node)
        self._batch: dict[bytes, bytes | None] = {}
        self._codes: set[bytes] = {EMPTY_CODE_HASH}
        self._owner = b""

    def add(self, entries: bytes) -> None:
        """Add the next chunk.

        Raises:
            InvalidBundle: It holds what is no state, or not in trie order.

        Spec: AUDIT-STATE.
        """
        if len(entries) > CHUNK_SIZE_MAX:
            raise _invalid(f"chunk of {len(entries)} bytes")
        try:
            for item in rlp.decode_list(entries):
                self._add([rlp.as_bytes(part) for part in rlp.as_list(item)])
        except InvalidBundle:
            raise
        except InvalidInput as error:
            raise _invalid(error.message) from error
        self._flush()

    def finish(self) -> Hash32:
        """Return the state's root, with everything stored.

        Raises:
            InvalidBundle: The last account's slots are not those of its storage root.

        Spec: AUDIT-STATE.
        """
        try:
            root = self._root.finish()
        except InvalidInput as error:
            raise _invalid(error.message) from error
        self._flush()
        return root

    def _add(self, parts: list[bytes]) -> None:
        match parts:
            case [b"c", code]:
                code_hash = keccak256(code)
                self._codes.add(code_hash)
                self._batch[schema.code_key(code_hash)] = code
            case [b"a", address_hash, raw] if len(address_hash) == 32:
                record = decode_record(raw)
                if record.account.code_hash not in self._codes:
                    raise _invalid(f"code 0x{record.account.code_hash.hex()} is missing")
                self._owner = address_hash
                self._root.add(AccountEntry(address_hash, record))
                self._batch[schema.account_key(address_hash)] = encode_record(record)
            case [b"s", slot_hash, value] if len(slot_hash) == 32 and 0 < len(value) <= 32:
                self._root.add(SlotEntry(slot_hash, value))
                self._batch[schema.slot_key(self._owner, slot_hash)] = value
            case _:
                raise _invalid("an entry of unknown form")

    def _keep_node(self, owner: bytes, path: str, _node_hash: Hash32, raw: bytes) -> None:
        self._batch[schema.node_path_key(owner, path)] = raw

    def _flush(self) -> None:
        if self._store is not None:
            self._store.write(self._batch, sync=False)
        self._batch = {}


def _invalid(message: str) -> InvalidBundle:
    return InvalidBundle(f"state: {message}", rule="AUDIT-STATE")
