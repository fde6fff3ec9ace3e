"""The precompiled contracts we compute ourselves: 0x01 to 0x05. Pure.

py-evm's MODEXP answers 0 where an empty base must give 1 (0 to the power 0), and spends 37 ms
where GMP spends 2; its ECRECOVER goes through three wrappers. The others (0x06 to 0x09) stay
py-evm's and are refused on our own chain, see ``execution.profile``.

Spec: EXEC-MODEXP.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

import gmpy2

from node.primitives.crypto import CURVE_ORDER, HALF_CURVE_ORDER, InvalidSignature, recover_address
from node.primitives.types import Address

RECOVERED_KEPT: Final = 8_192
"""Inputs of ECRECOVER whose answer is kept."""

GAS_ECRECOVER: Final = 3_000
GAS_SHA256: Final = 60
GAS_SHA256_WORD: Final = 12
GAS_RIPEMD160: Final = 600
GAS_RIPEMD160_WORD: Final = 120
GAS_IDENTITY: Final = 15
GAS_IDENTITY_WORD: Final = 3
GAS_MODEXP_MIN: Final = 200

Data: TypeAlias = bytes | memoryview
"""Input: only what is paid for may be copied of it."""

Precompile: TypeAlias = tuple[Callable[[Data], int], Callable[[Data], bytes]]
"""Gas of an input, then its output; the output is computed only when the gas is paid."""


def count_words(size_bytes: int) -> int:
    """Return how many 32-byte words hold ``size_bytes``."""
    return (size_bytes + 31) // 32


def ecrecover(data: Data) -> bytes:
    """Recover the signer of a hash, padded to 32 bytes; empty when there is none.

    High s is accepted here, unlike in transactions: (r, s, v) and (r, n - s, not v) name one key.
    """
    return _recover(bytes(data[:128]).ljust(128, b"\x00"))


@lru_cache(maxsize=RECOVERED_KEPT)
def _recover(data: bytes) -> bytes:
    """Recover once what a trial run, the block's builder and its check ask one after the other."""
    v = int.from_bytes(data[32:64], "big")
    r = int.from_bytes(data[64:96], "big")
    s = int.from_bytes(data[96:128], "big")
    if v not in (27, 28) or not 0 < r < CURVE_ORDER or not 0 < s < CURVE_ORDER:
        return b""
    y_parity = v - 27
    if s > HALF_CURVE_ORDER:
        s, y_parity = CURVE_ORDER - s, 1 - y_parity
    signature = data[64:96] + s.to_bytes(32, "big") + bytes((y_parity,))
    try:
        return bytes(12) + recover_address(data[:32], signature)
    except InvalidSignature:
        return b""


def sha256(data: Data) -> bytes:
    """Hash with SHA-256."""
    return hashlib.sha256(data).digest()


def ripemd160(data: Data) -> bytes:
    """Hash with RIPEMD-160, padded to 32 bytes."""
    return bytes(12) + hashlib.new("ripemd160", data).digest()


def identity(data: Data) -> bytes:
    """Return the input."""
    return bytes(data)


def compute_modexp_gas(data: Data) -> int:
    """Compute the price of a modular exponentiation (EIP-2565)."""
    base_size, exponent_size, modulus_size = _modexp_sizes(data)
    head_size = min(exponent_size, 32)
    head_start = 96 + base_size
    head = bytes(data[head_start : head_start + head_size]).ljust(head_size, b"\x00")
    head_bits = max(int.from_bytes(head, "big").bit_length() - 1, 0)
    iterations = max(head_bits + 8 * max(exponent_size - 32, 0), 1)
    words = (max(base_size, modulus_size) + 7) // 8
    return max(GAS_MODEXP_MIN, words * words * iterations // 3)


def modexp(data: Data) -> bytes:
    """Raise a base to an exponent under a modulus; anything under modulus 0 is 0.

    Spec: EXEC-MODEXP.
    """
    base_size, exponent_size, modulus_size = _modexp_sizes(data)
    if modulus_size == 0:
        return b""
    base_end = 96 + base_size
    exponent_end = base_end + exponent_size
    modulus = _padded_int(data, exponent_end, modulus_size)
    if modulus == 0:
        return bytes(modulus_size)
    base = _padded_int(data, 96, base_size)
    exponent = _padded_int(data, base_end, exponent_size)
    return int(gmpy2.powmod(base, exponent, modulus)).to_bytes(modulus_size, "big")


def _modexp_sizes(data: Data) -> tuple[int, int, int]:
    head = bytes(data[:96]).ljust(96, b"\x00")
    return (
        int.from_bytes(head[:32], "big"),
        int.from_bytes(head[32:64], "big"),
        int.from_bytes(head[64:], "big"),
    )


def _padded_int(data: Data, start: int, size: int) -> int:
    return int.from_bytes(bytes(data[start : start + size]).ljust(size, b"\x00"), "big")


OWN_PRECOMPILES: Final[dict[Address, Precompile]] = {
    Address(bytes(19) + b"\x01"): (lambda data: GAS_ECRECOVER, ecrecover),
    Address(bytes(19) + b"\x02"): (
        lambda data: GAS_SHA256 + GAS_SHA256_WORD * count_words(len(data)),
        sha256,
    ),
    Address(bytes(19) + b"\x03"): (
        lambda data: GAS_RIPEMD160 + GAS_RIPEMD160_WORD * count_words(len(data)),
        ripemd160,
    ),
    Address(bytes(19) + b"\x04"): (
        lambda data: GAS_IDENTITY + GAS_IDENTITY_WORD * count_words(len(data)),
        identity,
    ),
    Address(bytes(19) + b"\x05"): (compute_modexp_gas, modexp),
}
"""By address."""
