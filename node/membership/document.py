"""The membership document: which node keys may connect, for whom, in which role.

It is a local file that every operator holds, signed by a majority of the municipalities'
governors. The chain never decides who may connect, so that a halted chain can still be repaired.
This module holds the records and their bytes; ``signatures`` judges who signed; reading the file
and acting on it is left to the shell. A node is its secp256k1 key; endpoints are hints.

Spec: WIRE-MEMBERSHIP.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.primitives import rlp
from node.primitives.crypto import address_of_public_key, keccak256
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.json_text import check_nesting
from node.primitives.once import once
from node.primitives.types import Address, BlockHash, Hash32, Signature

MEMBERSHIP_SIZE_MAX: Final = 262_144
"""Longest membership file read, in bytes."""

MEMBER_COUNT_MAX: Final = 128
"""Most nodes in one document."""

GOVERNOR_COUNT_MAX: Final = 64
"""Most governors, and most signatures, in one document."""

ENDPOINT_COUNT_MAX: Final = 4
"""Most endpoint hints of one node."""

NAME_SIZE_MAX: Final = 64
"""Longest name, in bytes of UTF-8."""

ENDPOINT_SIZE_MAX: Final = 259
"""Longest endpoint: a DNS name of 253 bytes, a colon and a port."""

SIGNING_DOMAIN: Final = b"daicho membership v1"
"""Separates these signatures from every other use of the same keys."""

FIELD_PRIME: Final = 2**256 - 2**32 - 977
"""Prime p of the secp256k1 field."""


class InvalidMembership(InvalidInput):
    """A membership document that cannot be used."""

    code = "membership.invalid"


class Role(StrEnum):
    """What a node does in the network."""

    VALIDATOR = "validator"
    ARCHIVE = "archive"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a node may be reached: a hint, never an identity."""

    host: str
    """DNS name or IP address, without brackets."""
    port: int
    """TCP port."""

    def __str__(self) -> str:
        """Return ``host:port``, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One node that may connect."""

    name: str
    """What operators call it; unique in the document."""
    municipality: str
    """Whose node it is."""
    public_key: bytes
    """64 bytes: the uncompressed node key without its first byte."""
    address: Address
    """Address of the node key: the node's identity among peers and validators."""
    role: Role
    """What it does."""
    endpoints: tuple[Endpoint, ...]
    """Where to find it; none for a node that only dials out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Governor:
    """A municipality's key that signs membership documents."""

    municipality: str
    """Whose key it is; one per municipality."""
    address: Address
    """Address of the key."""


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A membership document and its signatures."""

    version: int
    """Counts up with every change; a node never goes back."""
    genesis_hash: BlockHash
    """The network it is for."""
    issued_at_s: int
    """When it was made."""
    valid_until_s: int
    """When it should have been replaced; passing it warns and cuts nobody off."""
    governors: tuple[Governor, ...]
    """Who signs this document and the next, ascending by address."""
    members: tuple[Member, ...]
    """The nodes, ascending by address."""
    signatures: tuple[Signature, ...] = ()
    """Governors' signatures over ``hash``."""

    @once
    def hash(self) -> Hash32:
        """Hash of everything but the signatures: what is signed and compared among peers."""
        return keccak256(SIGNING_DOMAIN + rlp.encode(_items(self)))

    @once
    def by_address(self) -> dict[Address, Member]:
        """Members by the address of their key."""
        return {member.address: member for member in self.members}

    def find(self, address: Address) -> Member | None:
        """Return the member with that node key, or None for a stranger."""
        return self.by_address.get(address)

    def days_left(self, now_s: int) -> int:
        """Return whole days until the document should be replaced; negative when overdue."""
        return (self.valid_until_s - now_s) // 86_400


def build_membership(
    *,
    version: int,
    genesis_hash: BlockHash,
    issued_at_s: int,
    valid_until_s: int,
    governors: tuple[Governor, ...],
    members: tuple[Member, ...],
    signatures: tuple[Signature, ...] = (),
) -> Membership:
    """Build a document in its canonical order.

    Raises:
        InvalidMembership: A bound is passed, a key, name or municipality appears twice, or it
            expires before it was made.

    Spec: WIRE-MEMBERSHIP.
    """
    _check_count("members", len(members), MEMBER_COUNT_MAX)
    _check_count("governors", len(governors), GOVERNOR_COUNT_MAX)
    _check_count("signatures", len(signatures), GOVERNOR_COUNT_MAX, least=0)
    _check_unique("node key", [member.address for member in members])
    _check_unique("node name", [member.name for member in members])
    _check_unique("governor key", [governor.address for governor in governors])
    _check_unique("governing municipality", [governor.municipality for governor in governors])
    if version < 1:
        raise _invalid(f"version {version}: counts from 1")
    if valid_until_s <= issued_at_s:
        raise _invalid("valid_until_s must lie after issued_at_s")
    return Membership(
        version=version,
        genesis_hash=genesis_hash,
        issued_at_s=issued_at_s,
        valid_until_s=valid_until_s,
        governors=tuple(sorted(governors, key=lambda governor: governor.address)),
        members=tuple(sorted(members, key=lambda member: member.address)),
        signatures=signatures,
    )


def build_member(
    *,
    name: str,
    municipality: str,
    public_key: bytes,
    role: Role,
    endpoints: tuple[Endpoint, ...] = (),
) -> Member:
    """Build a member, deriving its address from its key (64 or 65 bytes).

    Raises:
        InvalidMembership: The key is no curve point, or a name or list is beyond its bound.
    """
    point = public_key[1:] if len(public_key) == 65 and public_key[0] == 4 else public_key
    _check_point(point)
    _check_name("name", name)
    _check_name("municipality", municipality)
    _check_count(f"endpoints of {name}", len(endpoints), ENDPOINT_COUNT_MAX, least=0)
    return Member(
        name=name,
        municipality=municipality,
        public_key=point,
        address=address_of_public_key(b"\x04" + point),
        role=role,
        endpoints=endpoints,
    )


def parse_endpoint(text: str) -> Endpoint:
    """Parse ``host:port``.

    Raises:
        InvalidMembership: No host, or the port is not in 1..65535.
    """
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65_536
    if not separator or not host or not is_port or len(text) > ENDPOINT_SIZE_MAX:
        raise _invalid(f"endpoint {text[:80]!r}: expected host:port")
    if not all(mark.isalnum() or mark in ".-_:%" for mark in host) or not host.isascii():
        raise _invalid(f"endpoint {text[:80]!r}: host holds a character no host name has")
    return Endpoint(host=host, port=int(port))


def encode_membership(document: Membership) -> str:
    """Return the document as the text of its file."""
    record = {
        "version": document.version,
        "genesis_hash": _hex(document.genesis_hash),
        "issued_at_s": document.issued_at_s,
        "valid_until_s": document.valid_until_s,
        "governors": [
            {"municipality": governor.municipality, "address": _hex(governor.address)}
            for governor in document.governors
        ],
        "members": [
            {
                "name": member.name,
                "municipality": member.municipality,
                "node_key": _hex(member.public_key),
                "role": member.role.value,
                "endpoints": [str(endpoint) for endpoint in member.endpoints],
            }
            for member in document.members
        ],
        "signatures": [_hex(signature) for signature in document.signatures],
    }
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def decode_membership(data: bytes) -> Membership:
    """Decode the bytes of a membership file; who signed it is not judged here.

    Raises:
        InvalidMembership: Not JSON, a key missing or unknown, or a value out of its domain.

    Spec: WIRE-MEMBERSHIP.
    """
    if len(data) > MEMBERSHIP_SIZE_MAX:
        raise _invalid(f"{len(data)} bytes, at most {MEMBERSHIP_SIZE_MAX}")
    try:
        check_nesting(data)
        parsed = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_pairs)
    except (MalformedMessage, ValueError, RecursionError) as error:
        raise _invalid("not UTF-8 JSON") from error
    names = ("version", "genesis_hash", "issued_at_s", "valid_until_s", "governors", "members")
    record = _record(parsed, (*names, "signatures"), "document")
    governors = _list(record["governors"], "governors", GOVERNOR_COUNT_MAX)
    members = _list(record["members"], "members", MEMBER_COUNT_MAX)
    signatures = _list(record["signatures"], "signatures", GOVERNOR_COUNT_MAX)
    return build_membership(
        version=_integer(record["version"], "version"),
        genesis_hash=BlockHash(Hash32(_bytes(record["genesis_hash"], 32, "genesis_hash"))),
        issued_at_s=_integer(record["issued_at_s"], "issued_at_s"),
        valid_until_s=_integer(record["valid_until_s"], "valid_until_s"),
        governors=tuple(parse_governor(item) for item in governors),
        members=tuple(parse_member(item) for item in members),
        signatures=tuple(Signature(_bytes(item, 65, "signature")) for item in signatures),
    )


def _items(document: Membership) -> rlp.Item:
    """Return the signed part as RLP items."""
    return [
        rlp.encode_uint(document.version),
        document.genesis_hash,
        rlp.encode_uint(document.issued_at_s),
        rlp.encode_uint(document.valid_until_s),
        [[governor.municipality.encode(), governor.address] for governor in document.governors],
        [
            [
                member.name.encode(),
                member.municipality.encode(),
                member.public_key,
                member.role.value.encode(),
                [str(endpoint).encode() for endpoint in member.endpoints],
            ]
            for member in document.members
        ],
    ]


def parse_governor(item: object) -> Governor:
    """Build a governor from its parsed JSON or TOML.

    Raises:
        InvalidMembership: A key is missing or unknown, or a value out of its domain.
    """
    record = _record(item, ("municipality", "address"), "governor")
    municipality = _text(record["municipality"], "governor municipality")
    _check_name("governor municipality", municipality)
    address = Address(_bytes(record["address"], 20, "governor address"))
    return Governor(municipality=municipality, address=address)


def parse_member(item: object) -> Member:
    """Build a member from its parsed JSON or TOML.

    Raises:
        InvalidMembership: A key is missing or unknown, or a value out of its domain.
    """
    names = ("name", "municipality", "node_key", "role", "endpoints")
    record = _record(item, names, "member")
    role = _text(record["role"], "role")
    if role not in tuple(Role):
        raise _invalid(f"role {role[:32]!r}: expected one of {', '.join(Role)}")
    endpoints = _list(record["endpoints"], "endpoints", ENDPOINT_COUNT_MAX)
    return build_member(
        name=_text(record["name"], "member name"),
        municipality=_text(record["municipality"], "member municipality"),
        public_key=_bytes(record["node_key"], 64, "node_key"),
        role=Role(role),
        endpoints=tuple(parse_endpoint(_text(each, "endpoint")) for each in endpoints),
    )


def _check_point(point: bytes) -> None:
    """Refuse a key that is not a point of secp256k1.

    Raises:
        InvalidMembership: Not 64 bytes, a coordinate out of the field, or off the curve.
    """
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    in_field = len(point) == 64 and x < FIELD_PRIME and y < FIELD_PRIME
    if not in_field or (y * y - x * x * x - 7) % FIELD_PRIME:
        raise _invalid("node_key: not an uncompressed secp256k1 key of 64 bytes")


def _check_name(what: str, text: str) -> None:
    if not 0 < len(text.encode(errors="replace")) <= NAME_SIZE_MAX or not text.isprintable():
        raise _invalid(f"{what}: expected 1 to {NAME_SIZE_MAX} bytes of printable text")


def _check_count(what: str, count: int, most: int, *, least: int = 1) -> None:
    if not least <= count <= most:
        raise _invalid(f"{what}: {count}, expected {least} to {most}")


def _check_unique(what: str, values: list[Address] | list[str]) -> None:
    if len(set(values)) != len(values):
        raise _invalid(f"a {what} appears twice")


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key appears twice")
    return record


def _record(value: object, names: tuple[str, ...], what: str) -> dict[str, object]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise _invalid(f"{what}: expected exactly the keys {', '.join(names)}")
    return value


def _list(value: object, what: str, most: int) -> list[object]:
    if not isinstance(value, list):
        raise _invalid(f"{what}: expected a list")
    if len(value) > most:
        raise _invalid(f"{what}: {len(value)}, at most {most}")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise _invalid(f"{what}: expected text")
    return value


def _integer(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise _invalid(f"{what}: expected an integer from 0 to 2^63 - 1")
    return value


def _bytes(value: object, size: int, what: str) -> bytes:
    text = _text(value, what)
    digits = text.removeprefix("0x")
    is_hex = all(mark in "0123456789abcdefABCDEF" for mark in digits)
    if len(digits) != 2 * size or not is_hex or not text.startswith("0x"):
        raise _invalid(f"{what}: expected 0x and {2 * size} hexadecimal digits")
    return bytes.fromhex(digits)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _invalid(message: str) -> InvalidMembership:
    return InvalidMembership(f"membership: {message}", rule="WIRE-MEMBERSHIP")
