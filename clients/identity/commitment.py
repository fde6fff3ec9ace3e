"""A device key bound through an OpenID provider that knows nothing of keys.

The nonce of the log-in is a hash of the device key, a random value and the audience. The ID token
repeats the nonce, so the provider's signature commits to the key; the device opens the commitment
and proves that it holds the key. The ID token itself is the identity service's to verify.

Spec: ID-COMMITMENT.
"""

import base64
import hmac
from dataclasses import dataclass, field
from typing import Final

from clients.identity.statement import is_audience
from node.primitives.crypto import InvalidSignature, keccak256, recover_address, sha256
from node.primitives.errors import InvalidInput
from node.primitives.types import Address, Hash32, Signature

RANDOM_SIZE: Final = 16
"""Random bytes of a commitment."""

_TAG: Final = b"daicho/identity/oidc-commitment/1\x00"
_POSSESSION_TAG: Final = b"daicho/identity/oidc-possession/1\x00"


class InvalidCommitment(InvalidInput):
    """A commitment whose fields are out of form."""

    code = "identity.invalid_commitment"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCommitment:
    """What the nonce of a log-in commits to."""

    audience: str
    """The identity service's name."""
    device: Address
    """Address of the device key."""
    record_key_hash: bytes
    """SHA-256 of the device's public key for sealed records."""
    random: bytes = field(repr=False)
    """16 random bytes of the device, so that the nonce tells nothing about the key."""

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            InvalidCommitment: One is out of form.
        """
        sizes = (len(self.device), len(self.record_key_hash), len(self.random))
        if sizes != (20, 32, RANDOM_SIZE) or not is_audience(self.audience):
            raise InvalidCommitment("oidc commitment: a field is out of form", rule="ID-COMMITMENT")

    def _encode(self) -> bytes:
        audience = self.audience.encode()
        return bytes([len(audience)]) + audience + self.device + self.record_key_hash + self.random

    def compute_nonce(self) -> str:
        """Return the nonce for the log-in request, 43 characters.

        Spec: ID-COMMITMENT.
        """
        digest = sha256(_TAG + self._encode())
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def compute_possession_hash(self) -> Hash32:
        """Return the hash the device signs to prove that it holds the key."""
        return keccak256(_POSSESSION_TAG + self._encode())


def is_opening(commitment: DeviceCommitment, *, nonce: str, signature: Signature) -> bool:
    """Return whether a commitment opens the nonce of an ID token, by the holder of its key.

    Spec: ID-COMMITMENT.
    """
    if not hmac.compare_digest(commitment.compute_nonce().encode(), nonce.encode()):
        return False
    try:
        return recover_address(commitment.compute_possession_hash(), signature) == commitment.device
    except InvalidSignature:
        return False
