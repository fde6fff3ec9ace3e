"""The restricted store of one roll: a root key that the kit's envelope holds, and what it seals.

Everything that names an elector, and the key of their slots, is encrypted under keys derived from
one root of 32 bytes. The root is a record of the kit's envelope with an owner of its own, so that
destroying the store is one shredding that auditors can follow: no row, index or slot can be opened
or computed again, in whatever copy it stands.

Spec: ROLL-STORE.
"""

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clients.voting.roll import compute_slot
from services.election.commission.codes import hash_code
from services.kit.envelope import Owner, SealBroken

PURPOSE: Final = "election.restricted"
ROOT_BYTES: Final = 32
NONCE_BYTES: Final = 12


def owner_of(tenant: str, draft_id: bytes) -> Owner:
    """Return whose record the root of a roll is in the kit's envelope."""
    return Owner(tenant=tenant, person=f"roll:{draft_id.hex()}", purpose=PURPOSE)


def context_of(draft_id: bytes) -> str:
    """Return where the sealed root stands."""
    return f"commission_rolls.root:{draft_id.hex()}"


def draw_root() -> bytes:
    """Return a new root key."""
    return secrets.token_bytes(ROOT_BYTES)


class Vault:
    """The opened store of one roll. Its keys never appear in ``repr``."""

    __slots__ = ("_code_key", "_index_key", "_seal_key", "_slot_key", "draft_id")

    def __init__(self, root: bytes, draft_id: bytes) -> None:
        """Derive the keys."""
        self.draft_id = draft_id
        self._seal_key = _derive(root, draft_id, b"seal")
        self._slot_key = _derive(root, draft_id, b"slot")
        self._index_key = _derive(root, draft_id, b"index")
        self._code_key = _derive(root, draft_id, b"code")

    def __repr__(self) -> str:
        """Name the roll only."""
        return f"Vault({self.draft_id.hex()[:8]})"

    @property
    def slot_key(self) -> bytes:
        """Return k_slot, for the accredited export alone."""
        return self._slot_key

    def slot_of(self, number: str) -> bytes:
        """Return the slot of an elector number.

        Spec: ROLL-LEAF.
        """
        return compute_slot(self._slot_key, self.draft_id, number.encode())

    def index_of(self, kind: str, value: str) -> bytes:
        """Return the keyed hash under which a value of some kind is found again."""
        return hmac.digest(self._index_key, f"{kind}\x00{value}".encode(), "sha256")

    def hash_code(self, code: bytes) -> bytes:
        """Return the keyed hash of an invitation code."""
        return hash_code(self._code_key, self.draft_id, code)

    def seal(self, plaintext: bytes, *, place: str) -> bytes:
        """Encrypt a value for one place of the store."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._seal_key).encrypt(nonce, plaintext, place.encode())

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Return a value.

        Raises:
            SealBroken: It was changed, or moved from another place.
        """
        try:
            nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            return AESGCM(self._seal_key).decrypt(nonce, body, place.encode())
        except InvalidTag as error:
            raise SealBroken("restricted store: a value was changed or moved") from error


def _derive(root: bytes, draft_id: bytes, use: bytes) -> bytes:
    info = b"daicho election roll 1 " + use
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=draft_id, info=info).derive(root)
