"""What the ballot box holds, read through a proven view: no node's word counts.

Spec: BOX-CHAIN, BOX-CLOSE, LIGHT-PROOF.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from clients.voting.group import Point
from contracts.artifact import load_artifact
from node.genesis.system_contracts import mapping_slot
from node.primitives.crypto import keccak256
from node.primitives.types import Address
from node.storage.view import StateView

_WITHDRAWN: Final = 1 << 255
_WORD: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A ballot key's last recorded ballot; all zero for a key unseen."""

    digest: bytes
    """d of the last ballot."""
    sequence: int
    """Its number, 0 when there is none."""
    cast_at: int
    """Time of its block."""
    height: int
    """Its block."""
    index: int
    """Its place in the box."""
    is_withdrawn: bool
    """The key is out for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What was frozen of a style; zeros before."""

    root: bytes
    """Root over the active commitments."""
    count: int
    """How many."""
    file_digest: bytes
    """SHA-256 of the file that lists them."""
    frozen_at: int
    """Time of the block, 0 before."""


def read_key_standing(view: StateView, box: Address, eid: bytes, key: Point) -> Standing:
    """Read the last ballot that the box recorded for a key.

    Spec: BOX-CHAIN.
    """
    base = mapping_slot(_slot("BallotBox", "records"), eid, keccak256(key.encode_xy()))
    digest, word = view.load_slot(box, base), view.load_slot(box, base + 1)
    return Standing(
        digest=digest.to_bytes(32, "big"),
        sequence=(word & ~_WITHDRAWN) >> 192,
        cast_at=word >> 128 & _WORD,
        height=word >> 64 & _WORD,
        index=word & _WORD,
        is_withdrawn=bool(word & _WITHDRAWN),
    )


def read_frozen(view: StateView, credentials: Address, eid: bytes, style: int) -> Frozen:
    """Read what was frozen of a style.

    Spec: ROLLC-FREEZE.
    """
    base = mapping_slot(_slot("Credentials", "frozen"), eid, style.to_bytes(32, "big"))
    root, count, digest, at = (view.load_slot(credentials, base + place) for place in range(4))
    return Frozen(
        root=root.to_bytes(32, "big"),
        count=count,
        file_digest=digest.to_bytes(32, "big"),
        frozen_at=at,
    )


@lru_cache(maxsize=16)
def _slot(contract: str, variable: str) -> int:
    return load_artifact(contract).layout[variable].slot
