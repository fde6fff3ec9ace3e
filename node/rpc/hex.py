"""Quantities and data as Ethereum's JSON writes them: strict on the way in, minimal on the way out.

A quantity is 0x and hex digits without leading zeros; data is 0x and an even number of digits.
Errors carry geth's words, which client libraries look for.

Spec: RPC-HEX.
"""

from typing import Final

from node.primitives.crypto import keccak256
from node.primitives.types import Address, Hash32
from node.rpc.errors import InvalidParams

DIGITS: Final = frozenset("0123456789abcdefABCDEF")


def parse_quantity(value: object, bits: int = 64) -> int:
    """Return an unsigned integer of at most ``bits``.

    Raises:
        InvalidParams: Not a string, no prefix, empty, leading zeros, or too large.

    Spec: RPC-HEX.
    """
    digits = _digits(value)
    if not digits:
        raise InvalidParams('hex string "0x"')
    if len(digits) > 1 and digits[0] == "0":
        raise InvalidParams("hex number with leading zero digits")
    if len(digits) * 4 > bits + 3 or int(digits, 16).bit_length() > bits:
        raise InvalidParams(f"hex number > {bits} bits")
    return int(digits, 16)


def parse_data(value: object, size: int | None = None, size_max: int | None = None) -> bytes:
    """Return bytes, of ``size`` or at most ``size_max`` when given.

    Raises:
        InvalidParams: Not a string, no prefix, odd, no hex, or of another size.

    Spec: RPC-HEX.
    """
    digits = _unprefixed(value)
    if len(digits) % 2:
        raise InvalidParams("hex string of odd length")
    if size is not None and len(digits) != 2 * size:
        raise InvalidParams(f"hex string has length {len(digits)}, want {2 * size}")
    if size_max is not None and len(digits) > 2 * size_max:
        raise InvalidParams(f"hex string has length {len(digits)}, want at most {2 * size_max}")
    try:
        found = bytes.fromhex(digits)
    except ValueError as error:
        raise InvalidParams("invalid hex string") from error
    if 2 * len(found) != len(digits):
        raise InvalidParams("invalid hex string: it holds spaces")
    return found


def parse_address(value: object) -> Address:
    """Return a 20-byte address; capitals are not checked.

    Raises:
        InvalidParams: Not 20 bytes of hex.

    Spec: RPC-HEX.
    """
    return Address(parse_data(value, 20))


def parse_hash(value: object) -> Hash32:
    """Return 32 bytes.

    Raises:
        InvalidParams: Not 32 bytes of hex.

    Spec: RPC-HEX.
    """
    return Hash32(parse_data(value, 32))


def parse_slot(value: object) -> int:
    """Return a storage slot, written as a quantity or as data of at most 32 bytes.

    Raises:
        InvalidParams: No hex, or longer.

    Spec: RPC-HEX.
    """
    digits = _digits(value)
    if len(digits) > 64:
        raise InvalidParams(f'storage key too long (want at most 32 bytes): "{value}"')
    return int(digits or "0", 16)


def quantity(value: int) -> str:
    """Write a quantity."""
    return hex(value)


def data(value: bytes) -> str:
    """Write data."""
    return "0x" + value.hex()


def word(value: int) -> str:
    """Write a 32-byte word."""
    return f"0x{value:064x}"


def checksum_address(address: Address) -> str:
    """Write an address with EIP-55 capitals."""
    digits = address.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= 8 else digit
        for digit, mark in zip(digits, marks, strict=False)
    )


def _digits(value: object) -> str:
    digits = _unprefixed(value)
    if not DIGITS.issuperset(digits):
        raise InvalidParams("invalid hex string")
    return digits


def _unprefixed(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidParams(f"non-string {type(value).__name__} where hex was expected")
    if not value.startswith(("0x", "0X")):
        raise InvalidParams("hex string without 0x prefix" if value else "empty hex string")
    return value[2:]
