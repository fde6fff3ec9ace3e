"""What a validator must not forget: its sign-state, its pending votes, evidence against others.

Every save is on disk on return. The sign-state's bytes are ``consensus.sign_state``'s; here only
the position they were written at is known, and it never goes back. Keep this store apart from the
chain's, so that restoring a chain does not restore old votes.

Spec: STORE-VOTES.
"""

from typing import Final

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput, InvariantViolation
from node.primitives.types import Address, Height, Round
from node.storage import schema
from node.storage.errors import DatabaseCorrupt
from node.storage.kv import KeyValueStore
from node.storage.schema import Prefix

PENDING_VOTES_MAX: Final = 64
"""Most pending validator votes."""

EVIDENCE_COUNT_MAX: Final = 1_000
"""Most pieces of evidence kept; the oldest height gives way."""


class StaleSignState(InvariantViolation):
    """A sign-state of an earlier position would replace a later one."""

    code = "storage.stale_sign_state"


class VoteStore:
    """Sign-state, pending votes and evidence on a key-value store."""

    def __init__(self, store: KeyValueStore) -> None:
        """Use ``store``."""
        self._store = store

    def load_sign_state(self, validator: Address) -> bytes | None:
        """Return the last sign-state saved, or None when there never was one.

        Raises:
            DatabaseCorrupt: The record is damaged; never to be taken for none.
        """
        found = self._load(validator)
        return None if found is None else found[1]

    def save_sign_state(
        self, validator: Address, record: bytes, *, height: Height, at: Round
    ) -> None:
        """Save a sign-state written at (height, round ``at``); it is on disk on return.

        Raises:
            StaleSignState: A later position was saved before; nothing changed.
            Unavailable: The disk refused; nothing may be signed.

        Spec: STORE-VOTES.
        """
        found = self._load(validator)
        if found is not None and (height, at) < found[0]:
            raise StaleSignState(
                f"sign-state of 0x{validator.hex()}: height {height}, round {at} would replace "
                f"height {found[0][0]}, round {found[0][1]}",
                rule="STORE-VOTES",
            )
        position = schema.encode_height(height) + at.to_bytes(4, "big")
        checksum = keccak256(position + record)[:8]
        self._store.write(
            {schema.sign_state_key(validator): checksum + position + record}, sync=True
        )

    def _load(self, validator: Address) -> tuple[tuple[int, int], bytes] | None:
        raw = self._store.get(schema.sign_state_key(validator))
        if raw is None:
            return None
        if len(raw) < 20 or keccak256(raw[8:])[:8] != raw[:8]:
            raise DatabaseCorrupt(
                f"the sign-state of 0x{validator.hex()} is damaged; do not delete it: restore the "
                "node with `daicho backup restore`, which stays silent until it is safe to vote"
            )
        position = (int.from_bytes(raw[8:16], "big"), int.from_bytes(raw[16:20], "big"))
        return position, raw[20:]

    def load_pending_votes(self) -> dict[Address, bool]:
        """Return the pending votes: True to add the validator, False to drop it."""
        start, stop = schema.range_of(Prefix.PENDING_VOTE)
        entries = self._store.iterate(start=start, stop=stop)
        return {Address(key[1:]): value == b"\x01" for key, value in entries}

    def save_pending_vote(self, recipient: Address, *, is_add: bool) -> None:
        """Save a vote to be cast when this validator next proposes.

        Raises:
            InvalidInput: There are ``PENDING_VOTES_MAX`` already.
        """
        known = self.load_pending_votes()
        if recipient not in known and len(known) >= PENDING_VOTES_MAX:
            raise InvalidInput(f"{len(known)} votes are pending, at most {PENDING_VOTES_MAX}")
        value = b"\x01" if is_add else b"\x00"
        self._store.write({schema.pending_vote_key(recipient): value}, sync=True)

    def discard_pending_vote(self, recipient: Address) -> None:
        """Forget a pending vote."""
        self._store.write({schema.pending_vote_key(recipient): None}, sync=True)

    def save_evidence(self, height: Height, evidence: bytes) -> bool:
        """Keep a piece of evidence; return False when it was known.

        Spec: STORE-VOTES.
        """
        key = schema.evidence_key(height, keccak256(evidence))
        if self._store.get(key) is not None:
            return False
        batch: dict[bytes, bytes | None] = {key: rlp.encode(evidence)}
        start, stop = schema.range_of(Prefix.EVIDENCE)
        known = [at for at, _ in self._store.iterate(start=start, stop=stop)]
        for surplus in known[: max(0, len(known) + 1 - EVIDENCE_COUNT_MAX)]:
            batch[surplus] = None
        self._store.write(batch, sync=True)
        return True

    def load_evidence(self, count_max: int = EVIDENCE_COUNT_MAX) -> list[bytes]:
        """Return the evidence kept, newest height first."""
        start, stop = schema.range_of(Prefix.EVIDENCE)
        found: list[bytes] = []
        for _, value in self._store.iterate(start=start, stop=stop, is_reverse=True):
            if len(found) == count_max:
                break
            found.append(rlp.as_bytes(rlp.decode(value)))
        return found
