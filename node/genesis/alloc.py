"""The root of the first state.

Spec: EXEC-GENESIS-STATE.
"""

from collections.abc import Mapping

from node.genesis.profile import GenesisAccount
from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.trie import AccountLeaf, TrieBuilder
from node.primitives.types import Address, Hash32


def compute_state_root(alloc: Mapping[Address, GenesisAccount]) -> Hash32:
    """Compute the root of the state that holds exactly the accounts of ``alloc``.

    Spec: EXEC-GENESIS-STATE.
    """
    return _compute_root(
        {keccak256(address): _leaf_of(account).encode() for address, account in alloc.items()}
    )


def _leaf_of(account: GenesisAccount) -> AccountLeaf:
    entries = {
        keccak256(slot.to_bytes(32, "big")): rlp.encode(rlp.encode_uint(value))
        for slot, value in account.storage
        if value
    }
    return AccountLeaf(
        nonce=account.nonce,
        balance_wei=account.balance_wei,
        storage_root=_compute_root(entries),
        code_hash=keccak256(account.code),
    )


def _compute_root(entries: Mapping[Hash32, bytes]) -> Hash32:
    builder = TrieBuilder()
    for key in sorted(entries):
        builder.add(key, entries[key])
    return builder.finish()
