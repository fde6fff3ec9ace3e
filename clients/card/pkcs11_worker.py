"""One signature through a PKCS#11 module, in a process of its own.

A driver that hangs or falls takes only this process with it. ``pkcs11`` runs this file and talks to
it by pipes; the code arrives on standard input, never as an argument or in the environment. Nothing
of the project is imported, so that no setting of the surroundings decides what is. The certificate
is read before the signature is made: OpenSC gives an empty one, without an error, once the card
forgot the code.

Spec: CARD-PKCS11.
"""

import json
import sys
from typing import Any, Final

import pkcs11

DESCRIPTION_SIZE: Final = 64
"""Bytes of a reader's name that a module repeats."""

REQUEST_SIZE_MAX: Final = 4096

_OUTCOMES: Final = {
    pkcs11.PinIncorrect: "pin-refused",
    pkcs11.PinInvalid: "pin-refused",
    pkcs11.PinLenRange: "pin-refused",
    pkcs11.PinLocked: "pin-locked",
    pkcs11.TokenNotPresent: "no-token",
    pkcs11.DeviceRemoved: "no-token",
    pkcs11.NoSuchToken: "no-token",
    pkcs11.NoSuchKey: "no-key",
}


def sign(request: dict[str, str]) -> dict[str, str]:
    """Return certificate and signature in hexadecimal, or the outcome that takes their place."""
    try:
        module = pkcs11.lib(request["module"])
    except (pkcs11.PKCS11Error, RuntimeError, OSError):
        return {"outcome": "no-module"}
    try:
        return _sign_with(_find_token(module, request), request)
    except pkcs11.PKCS11Error as error:
        return {"outcome": _OUTCOMES.get(type(error), type(error).__name__)}


def _find_token(module: Any, request: dict[str, str]) -> Any:
    """Return the token of the key's PIN in the reader meant; a card has one for each PIN."""
    meant = _cut(request["reader"])
    for slot in module.get_slots(token_present=True):
        if _cut(slot.slot_description) == meant:
            token = slot.get_token()
            if request["token"] in token.label:
                return token
    raise pkcs11.NoSuchToken


def _sign_with(token: Any, request: dict[str, str]) -> dict[str, str]:
    key_id = bytes.fromhex(request["key_id"])
    with token.open(user_pin=request["pin"]) as session:
        certificate = _read_certificate(session, key_id)
        if not certificate:
            return {"outcome": "no-certificate"}
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=key_id)
        is_asked_each_time = bool(key[pkcs11.Attribute.ALWAYS_AUTHENTICATE])
        signature = key.sign(
            bytes.fromhex(request["payload"]),
            mechanism=pkcs11.Mechanism.RSA_PKCS,
            pin=request["pin"] if is_asked_each_time else None,
        )
    return {"outcome": "signed", "certificate": certificate.hex(), "signature": signature.hex()}


def _read_certificate(session: Any, key_id: bytes) -> bytes:
    """Return the certificate of a key in DER, nothing when there is none to read."""
    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE, pkcs11.Attribute.ID: key_id}
    found = list(session.get_objects(wanted))
    return bytes(found[0][pkcs11.Attribute.VALUE]) if found else b""


def _cut(name: str) -> bytes:
    return name.encode(errors="replace")[:DESCRIPTION_SIZE].rstrip()


def main() -> None:
    """Answer one request."""
    request: dict[str, str] = json.loads(sys.stdin.read(REQUEST_SIZE_MAX))
    sys.stdout.write(json.dumps(sign(request)))


if __name__ == "__main__":
    main()
