"""Hash to curve for the auditor: generators, candidate points, roll pointers, recomputed.

RFC 9380's secp256k1_XMD:SHA-256_SSWU_RO_ with the square root of a fraction as in its appendix F.2,
where the producers divide first. Inputs are public.

Spec: BALLOT-H2C.
"""

# gmpy2 ships no types.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from functools import cache
from hashlib import sha256
from typing import Final

import gmpy2
from gmpy2 import mpz

from clients.voting.group import (
    FIELD,
    Point,
    PointVector,
    decode_point_xy,
    decode_vector,
    sum_points,
)

_P: Final = mpz(FIELD)
_SUITE: Final = b"secp256k1_XMD:SHA-256_SSWU_RO_"
_CHUNK: Final = 4_096

# The curve that is isogenous to secp256k1 (RFC 9380, section 8.7).
_A: Final = mpz(0x3F8731ABDD661ADCA08A5558F0F5D272E953D363CB6F0E5D405447C01A444533)
_B: Final = mpz(1771)
_Z: Final = mpz(-11) % _P
_C1: Final = (_P - 3) // 4
_C2: Final = gmpy2.powmod(-_Z, (_P + 1) // 4, _P)
"""Square root of -Z."""

# The map from there to secp256k1 (RFC 9380, appendix E.1), highest degree first.
_K1: Final = (
    mpz(0x8E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38DAAAAA88C),
    mpz(0x534C328D23F234E6E2A413DECA25CAECE4506144037C40314ECBD0B53D9DD262),
    mpz(0x07D3D4C80BC321D5B9F315CEA7FD44C5D595D2FC0BF63B92DFFF1044F17C6581),
    mpz(0x8E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38DAAAAA8C7),
)
_K2: Final = (
    mpz(1),
    mpz(0xEDADC6F64383DC1DF7C4B2D51B54225406D36B641F5E41BBC52A56612A8C6D14),
    mpz(0xD35771193D94918A9CA34CCBB7B640DD86CD409542F8487D9FE6B745781EB49B),
)
_K3: Final = (
    mpz(0x2F684BDA12F684BDA12F684BDA12F684BDA12F684BDA12F684BDA12F38E38D84),
    mpz(0x29A6194691F91A73715209EF6512E576722830A201BE2018A765E85A9ECEE931),
    mpz(0xC75E0C32D5CB7C0FA9D0A54B12A0A6D5647AB046D686DA6FDFFC90FC201D71A3),
    mpz(0x4BDA12F684BDA12F684BDA12F684BDA12F684BDA12F684BDA12F684B8E38E23C),
)
_K4: Final = (
    mpz(1),
    mpz(0x6484AA716545CA2CF3A70C3FA8FE337E0A3D21162F0D6299A7BF8192BFD2A76F),
    mpz(0x7A06534BB8BDB49FD5E9E6632722C2989467C1BFC8E8D978DFB425D2685C2573),
    mpz(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFF93B),
)


def _expand(message: bytes, domain: bytes) -> bytes:
    """Return 96 uniform bytes (RFC 9380, section 5.3.1)."""
    tail = domain + bytes([len(domain)])
    zero = sha256(bytes(64) + message + b"\x00\x60\x00" + tail).digest()
    first = sha256(zero + b"\x01" + tail).digest()
    output = previous = first
    for index in (2, 3):
        mixed = (int.from_bytes(zero, "big") ^ int.from_bytes(previous, "big")).to_bytes(32, "big")
        previous = sha256(mixed + bytes([index]) + tail).digest()
        output += previous
    return output


def _horner(coefficients: Sequence[mpz], x: mpz) -> mpz:
    value = mpz(0)
    for coefficient in coefficients:
        value = (value * x + coefficient) % _P
    return value


def _map(u: mpz) -> Point:
    """Map one field element to secp256k1 (RFC 9380, appendix F.2, then appendix E.1)."""
    tv1 = _Z * u * u % _P
    tv2 = (tv1 * tv1 + tv1) % _P
    numerator = _B * (tv2 + 1) % _P
    denominator = _A * (-tv2 if tv2 else _Z) % _P
    square = denominator * denominator % _P
    cube = square * denominator % _P
    gx = (numerator * numerator * numerator + _A * numerator * square + _B * cube) % _P
    # y = sqrt(gx / cube): p = 3 mod 4, so the exponent (p - 3) / 4 does it without dividing.
    product = gx * cube % _P
    y = product * gmpy2.powmod(product * cube * cube % _P, _C1, _P) % _P
    if y * y * cube % _P != gx:
        numerator = tv1 * numerator % _P
        y = tv1 * u * _C2 * y % _P
    if gmpy2.is_odd(y) != gmpy2.is_odd(u):
        y = -y % _P
    x = numerator * gmpy2.invert(denominator, _P) % _P
    below_x, below_y = _horner(_K2, x), _horner(_K4, x)
    inverse = gmpy2.invert(below_x * below_y, _P)
    image_x = _horner(_K1, x) * below_y * inverse % _P
    image_y = y * _horner(_K3, x) * below_x * inverse % _P
    return decode_point_xy(int(image_x).to_bytes(32, "big") + int(image_y).to_bytes(32, "big"))


def hash_to_curve(label: str, message: bytes) -> Point:
    """Return H2C(label, message).

    Spec: BALLOT-H2C.
    """
    uniform = _expand(message, b"JMEV1/" + label.encode("ascii") + b"/" + _SUITE)
    halves = (mpz(int.from_bytes(uniform[at : at + 48], "big")) % _P for at in (0, 48))
    return sum_points(_map(half) for half in halves)


def candidate_point(eid: bytes, race: int, candidate: int) -> Point:
    """Return C(race, candidate)."""
    return hash_to_curve("cand", eid + race.to_bytes(2, "big") + candidate.to_bytes(2, "big"))


@cache
def chain_base() -> Point:
    """Return H."""
    return hash_to_curve("gen", bytes(8))


def generators_of(start: int, stop: int) -> bytes:
    """Return h_start .. h_(stop-1) as joined P33."""
    return b"".join(
        hash_to_curve("gen", at.to_bytes(8, "big")).encode() for at in range(start, stop)
    )


def pointers_of(eid: bytes, keys: bytes) -> bytes:
    """Return M(K) of joined P64 keys, as joined P33."""
    return b"".join(
        hash_to_curve("roll", eid + keys[at : at + 64]).encode() for at in range(0, len(keys), 64)
    )


def compute_generators(count: int, executor: Executor) -> PointVector:
    """Return h_1..h_count.

    Spec: BALLOT-H2C.
    """
    starts = range(1, count + 1, _CHUNK)
    stops = [min(start + _CHUNK, count + 1) for start in starts]
    return decode_vector(b"".join(executor.map(generators_of, starts, stops)))


def compute_pointers(eid: bytes, keys: Iterable[bytes], executor: Executor) -> list[bytes]:
    """Return M(K) as P33 of every key given as P64, in order.

    Spec: BALLOT-H2C.
    """
    joined = b"".join(keys)
    size = 64 * _CHUNK
    chunks = [joined[at : at + size] for at in range(0, len(joined), size)]
    data = b"".join(executor.map(pointers_of, [eid] * len(chunks), chunks))
    return [data[at : at + 33] for at in range(0, len(data), 33)]
