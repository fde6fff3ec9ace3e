"""The simulated authorities of a trial network, kept in files: their keys, and one resident's card.

Development only: whoever has the file is every authority. Built again from the same keys, the
authorities have the same trust anchors and know the cards they issued before.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from node.primitives.errors import Misconfigured
from services.sim.card.issue import order_card
from services.sim.card.layout import CardOrder, CardText, Codes, IssuedKey
from services.sim.pki.authority import AuthorityKey, KeyType, make_key
from services.sim.pki.hierarchy import Hierarchy, build_hierarchy
from services.sim.pki.profiles import SimulatedResident

MARK: Final = "development-only"
SERIAL_KEPT: Final = 1_000
"""Certificates below this number count as issued after a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAuthorities:
    """What was written."""

    hierarchy: Hierarchy
    """The authorities."""
    order: CardOrder
    """The card of the one resident."""


def create_authorities(
    keys_file: Path, card_file: Path, *, resident: SimulatedResident, at: datetime
) -> KeptAuthorities:
    """Make authorities and one card, and write both files."""
    keys: list[AuthorityKey] = []

    def draw(key_type: KeyType) -> AuthorityKey:
        keys.append(make_key(key_type))
        return keys[-1]

    hierarchy = build_hierarchy(draw)
    _write(keys_file, {MARK: True, "keys": [_encode_key(key) for key in keys]})
    order = order_card(hierarchy, resident, at=at)
    _write(card_file, {MARK: True, **_encode_order(order)})
    return KeptAuthorities(hierarchy=hierarchy, order=order)


def load_authorities(path: Path, *, now: datetime) -> Hierarchy:
    """Build the authorities again from their keys.

    Raises:
        Misconfigured: The file cannot be read or holds other keys.
    """
    kept = iter(_read(path)["keys"])

    def take(key_type: KeyType) -> AuthorityKey:
        key = _decode_key(next(kept))
        is_rsa = isinstance(key, rsa.RSAPrivateKey)
        if is_rsa is not (key_type is KeyType.RSA_2048):
            raise Misconfigured(f"{path}: keys in another order; make the authorities anew")
        return key

    hierarchy = build_hierarchy(take)
    for authority in hierarchy.authorities.values():
        authority.resume(serial=SERIAL_KEPT, list_number=int(now.timestamp()))
    return hierarchy


def load_card(path: Path) -> CardOrder:
    """Read the card of the one resident.

    Raises:
        Misconfigured: The file cannot be read.
    """
    record = _read(path)
    return CardOrder(
        authentication=_decode_issued(record["authentication"]),
        signing=_decode_issued(record["signing"]),
        text=CardText(**record["text"]),
        codes=Codes(number_b=record["number_b"]),
    )


def write_anchors(hierarchy: Hierarchy, folder: Path) -> Iterator[tuple[str, Path]]:
    """Write every authority's certificate; give kind and file of each."""
    for (kind, generation), authority in hierarchy.authorities.items():
        path = folder / f"{kind.value}-{generation}.{MARK}.der"
        path.write_bytes(authority.der)
        yield kind.value, path


def _encode_order(order: CardOrder) -> dict[str, Any]:
    assert order.signing is not None
    return {
        "authentication": _encode_issued(order.authentication),
        "signing": _encode_issued(order.signing),
        "text": {
            "name": order.text.name,
            "address": order.text.address,
            "birth_date": order.text.birth_date,
            "sex": order.text.sex,
        },
        "number_b": order.codes.number_b,
    }


def _encode_issued(issued: IssuedKey) -> dict[str, str]:
    return {
        "key": _encode_key(issued.key),
        "certificate": base64.b64encode(issued.certificate).decode(),
        "authority": base64.b64encode(issued.authority).decode(),
    }


def _decode_issued(record: dict[str, str]) -> IssuedKey:
    return IssuedKey(
        key=_decode_key(record["key"]),
        certificate=base64.b64decode(record["certificate"]),
        authority=base64.b64decode(record["authority"]),
    )


def _encode_key(key: AuthorityKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _decode_key(text: str) -> AuthorityKey:
    key = serialization.load_pem_private_key(text.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise Misconfigured("authorities: a key of another kind; make them anew")
    return key


def _write(path: Path, record: dict[str, Any]) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="ascii")


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path}: cannot be read; make the authorities anew") from error
    return record
