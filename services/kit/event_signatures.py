"""Detached signatures over events: who sent this body, without asking who carried it.

A JWS (RFC 7515, appendix F) whose content is left out, by Ed25519 or ES256K. The signature travels
in the header ``Daicho-Signature`` beside the body it covers. A key speaks for the sources it is
listed under and for no other.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.json_text import decode_json
from services.kit.events import Event, decode_event

SIGNATURE_HEADER: Final = "Daicho-Signature"
"""HTTP header that carries a signature."""

SIGNATURE_LENGTH_MAX: Final = 512
"""Longest signature looked at."""

ALGORITHMS: Final = {"OKP": "Ed25519", "EC": "ES256K"}
"""Algorithm of each kind of key."""

_DETACHED: Final = re.compile(r"([A-Za-z0-9_-]+)\.\.([A-Za-z0-9_-]+)")

EventKey = OKPKey | ECKey


class InvalidEventSignature(InvalidInput):
    """An event that is not from whom it says it is."""

    code = "event.signature_invalid"


class EventSigner:
    """Signs a service's events."""

    def __init__(self, key: EventKey, *, key_id: str) -> None:
        """Hold a private key.

        Raises:
            Misconfigured: The key is of another curve, or public.
        """
        self._algorithm = _algorithm_of(key)
        if not key.is_private:
            raise Misconfigured("events key: this is a public key; give the private one")
        self._key = key
        self._key_id = key_id

    def sign(self, body: bytes) -> str:
        """Return the detached signature over an encoded event."""
        header = {"alg": self._algorithm, "kid": self._key_id}
        compact = jws.serialize_compact(header, body, self._key, algorithms=[self._algorithm])
        return str(jws.detach_content(compact))


class EventVerifier:
    """Knows which keys speak for which source."""

    def __init__(self, keys: Mapping[str, Mapping[str, EventKey]]) -> None:
        """Hold public keys by source and key id.

        Raises:
            Misconfigured: A key is of another curve.
        """
        for of_source in keys.values():
            for key in of_source.values():
                _algorithm_of(key)
        self._keys = {source: dict(of_source) for source, of_source in keys.items()}

    def verify(self, body: bytes, signature: str) -> Event:
        """Return the event in ``body`` once its signature holds.

        Raises:
            InvalidInput: The body is no event, or its source did not sign it.
        """
        event = decode_event(body)
        header, value = _split(signature)
        key = self._keys.get(event.source, {}).get(_key_id_of(header))
        if key is None:
            raise InvalidEventSignature("signature: no such key for this source")
        content = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
        try:
            jws.deserialize_compact(
                f"{header}.{content}.{value}", key, algorithms=[_algorithm_of(key)]
            )
        except (JoseError, ValueError) as error:
            raise InvalidEventSignature("signature: does not hold") from error
        return event


def _split(signature: str) -> tuple[str, str]:
    parts = _DETACHED.fullmatch(signature) if len(signature) <= SIGNATURE_LENGTH_MAX else None
    if parts is None:
        raise InvalidEventSignature("signature: not a detached JWS")
    return parts[1], parts[2]


def _key_id_of(header: str) -> str:
    try:
        raw = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
    except ValueError as error:
        raise InvalidEventSignature("signature: header is not base64url") from error
    fields = decode_json(raw)
    key_id = fields.get("kid") if isinstance(fields, dict) else None
    if not isinstance(key_id, str):
        raise InvalidEventSignature("signature: names no key")
    return key_id


def _algorithm_of(key: EventKey) -> str:
    shape = json.loads(json.dumps(key.as_dict(private=False)))
    if shape.get("crv") not in ("Ed25519", "secp256k1"):
        raise Misconfigured("events key: use Ed25519 or secp256k1")
    return ALGORITHMS[str(shape["kty"])]
