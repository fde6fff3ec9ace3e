"""Every key of the database on one page.

A key is one prefix byte and then fixed-width binary parts, heights big endian so that they sort.
Hashed keys (keccak of the address or slot) stand in trie order, which lets the state be checked,
copied and restored in one pass. Only trie paths vary in width; their length stands in front.

Spec: STORE-SCHEMA.
"""

import hashlib
from enum import Enum
from functools import lru_cache
from typing import Final

from node.primitives.crypto import keccak256
from node.primitives.types import Address, BlockHash, Hash32, Height, TransactionHash

SCHEMA_VERSION: Final = 1
"""Raised when keys or values change their form; another version is refused at opening."""


class Prefix(bytes, Enum):
    """First byte of every key, and what follows it -> what it leads to."""

    META = b"m"
    """name -> see ``Meta``."""
    HEADER = b"h"
    """height -> header bytes with the seals this node collected."""
    HEIGHT_BY_HASH = b"H"
    """block hash -> height."""
    BODY = b"b"
    """height -> list of transaction bytes."""
    RECEIPTS = b"r"
    """height -> list of compact receipts."""
    TRANSACTION = b"t"
    """transaction hash -> height, index."""
    LOG_TERM = b"l"
    """log term (8 bytes), height -> nothing."""
    ACCOUNT = b"a"
    """keccak of address -> flat account."""
    SLOT = b"s"
    """keccak of address, keccak of slot -> value."""
    CODE = b"c"
    """keccak of code -> code."""
    NODE_BY_HASH = b"n"
    """node hash -> trie node (archive mode)."""
    NODE_BY_PATH = b"p"
    """owner, path -> trie node (live mode). The owner of the state trie is 32 zero bytes."""
    REVERSE_DIFF = b"d"
    """height -> flat entries as they were before that block (live mode, recent heights)."""
    SIGN_STATE = b"v"
    """validator address -> last position signed at and its record."""
    PENDING_VOTE = b"w"
    """validator address -> pending vote to add or drop it."""
    EVIDENCE = b"e"
    """height, digest of the evidence -> evidence of equivocation."""


class Meta(bytes, Enum):
    """Names under ``Prefix.META``."""

    SCHEMA = b"schema"
    """Schema version, 4 bytes."""
    MODE = b"mode"
    """State mode."""
    GENESIS = b"genesis"
    """Hash of block 0."""
    HEAD = b"head"
    """Height and hash of the last block committed."""
    BASE = b"base"
    """Lowest height whose block is stored; above 0 after a restored snapshot."""
    RESTORED = b"restored"
    """Height of the snapshot the chain was restored from; bodies begin above it."""
    TASK = b"task"
    """Name and cursor of a rewrite that must finish before the database is used."""


STATE_OWNER: Final = bytes(32)
"""Stands for the state trie where a storage trie has the keccak of its address."""


def meta_key(name: Meta) -> bytes:
    """Return the key of a metadata record."""
    return Prefix.META + name


def encode_height(height: int) -> bytes:
    """Return a height as 8 bytes."""
    return height.to_bytes(8, "big")


def decode_height(data: bytes) -> Height:
    """Return the height in 8 bytes."""
    return Height(int.from_bytes(data, "big"))


def header_key(height: int) -> bytes:
    """Return the key of a header."""
    return Prefix.HEADER + height.to_bytes(8, "big")


def block_hash_key(block_hash: BlockHash) -> bytes:
    """Return the key of the height of a block."""
    return Prefix.HEIGHT_BY_HASH + block_hash


def body_key(height: int) -> bytes:
    """Return the key of a block's transactions."""
    return Prefix.BODY + height.to_bytes(8, "big")


def receipts_key(height: int) -> bytes:
    """Return the key of a block's receipts."""
    return Prefix.RECEIPTS + height.to_bytes(8, "big")


def transaction_key(transaction_hash: TransactionHash) -> bytes:
    """Return the key of a transaction's place."""
    return Prefix.TRANSACTION + transaction_hash


def log_term(position: int, value: bytes) -> bytes:
    """Return the 8-byte term under which logs are indexed.

    Args:
        position: 0 for any log at all, 1 for the address, 2 to 5 for the topics.
        value: Address or topic; empty for position 0.
    """
    return hashlib.blake2b(value, digest_size=8, salt=bytes((position,))).digest()


def log_key(term: bytes, height: int) -> bytes:
    """Return the key that says a block holds a log with a term."""
    return Prefix.LOG_TERM + term + height.to_bytes(8, "big")


@lru_cache(maxsize=16_384)
def hash_address(address: Address) -> Hash32:
    """Return the key of an address in the state trie."""
    return keccak256(address)


def hash_slot(slot: int) -> Hash32:
    """Return the key of a slot in its storage trie."""
    return keccak256(slot.to_bytes(32, "big"))


def account_key(address_hash: bytes) -> bytes:
    """Return the key of a flat account."""
    return Prefix.ACCOUNT + address_hash


def slot_key(address_hash: bytes, slot_hash: bytes) -> bytes:
    """Return the key of a flat slot."""
    return Prefix.SLOT + address_hash + slot_hash


def code_key(code_hash: bytes) -> bytes:
    """Return the key of a code."""
    return Prefix.CODE + code_hash


def node_hash_key(node_hash: bytes) -> bytes:
    """Return the key of a trie node in archive mode."""
    return Prefix.NODE_BY_HASH + node_hash


def node_path_key(owner: bytes, path: str) -> bytes:
    """Return the key of a trie node in live mode."""
    digits = path if len(path) % 2 == 0 else path + "0"
    return Prefix.NODE_BY_PATH + owner + bytes((len(path),)) + bytes.fromhex(digits)


def reverse_diff_key(height: int) -> bytes:
    """Return the key of a block's reverse diff."""
    return Prefix.REVERSE_DIFF + height.to_bytes(8, "big")


def sign_state_key(validator: Address) -> bytes:
    """Return the key of a validator's sign-state."""
    return Prefix.SIGN_STATE + validator


def pending_vote_key(recipient: Address) -> bytes:
    """Return the key of a pending validator vote."""
    return Prefix.PENDING_VOTE + recipient


def evidence_key(height: int, digest: bytes) -> bytes:
    """Return the key of a piece of evidence."""
    return Prefix.EVIDENCE + height.to_bytes(8, "big") + digest


def range_of(start: bytes) -> tuple[bytes, bytes]:
    """Return the bounds of all keys that begin with ``start``, which does not end in 0xff."""
    return bytes(start), start[:-1] + bytes((start[-1] + 1,))


def range_of_owner(prefix: Prefix, owner: bytes) -> tuple[bytes, bytes]:
    """Return the bounds of all keys of one owner under ``prefix``."""
    after = int.from_bytes(prefix + owner, "big") + 1
    return prefix + owner, after.to_bytes(len(owner) + 1, "big")
