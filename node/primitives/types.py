"""Identifiers and quantities of the ledger that must not be swapped for one another.

Values are plain ``int`` and ``bytes`` at run time; the names exist for the type checker. Lengths
are checked where bytes enter (``rlp``, ``header``, ``transaction``, the RPC boundary), not here.
"""

from typing import Final, NewType

Height = NewType("Height", int)
"""Position of a block in the chain; genesis is 0. RPC calls it the block number."""

Round = NewType("Round", int)
"""Attempt at deciding one height, from 0."""

Address = NewType("Address", bytes)
"""20 bytes: the last 20 of the keccak of an uncompressed public key, or a contract's address."""

Hash32 = NewType("Hash32", bytes)
"""32 bytes of keccak-256."""

BlockHash = NewType("BlockHash", Hash32)
"""Hash (b): header with seals emptied and round 0; the block's name on chain."""

Digest = NewType("Digest", Hash32)
"""Hash (a): header with seals emptied, round kept; what votes name and commit seals sign."""

TransactionHash = NewType("TransactionHash", Hash32)
"""Keccak of a transaction's canonical bytes."""

Signature = NewType("Signature", bytes)
"""65 bytes r || s || v, v in {0, 1}, low s."""

ZERO_ADDRESS: Final = Address(b"\x00" * 20)
ZERO_HASH: Final = Hash32(b"\x00" * 32)
