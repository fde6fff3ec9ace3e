"""The state that a genesis file begins with, as changes of the empty one.

Spec: EXEC-GENESIS-STATE.
"""

from node.genesis.profile import Genesis
from node.primitives.crypto import keccak256
from node.storage.view import Account, StateChanges


def changes_of(genesis: Genesis) -> StateChanges:
    """Return the first state as changes of the empty one."""
    changes = StateChanges()
    for address, entry in genesis.alloc.items():
        code_hash = keccak256(entry.code)
        changes.accounts[address] = Account(entry.nonce, entry.balance_wei, code_hash)
        if entry.code:
            changes.codes[code_hash] = entry.code
        if entry.storage:
            changes.slots[address] = dict(entry.storage)
    return changes
