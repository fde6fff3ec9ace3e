"""Hash to curve: RFC 9380's suite secp256k1_XMD:SHA-256_SSWU_RO_.

Generators, candidate points and roll pointers come from here, so that nobody knows a discrete
logarithm between them. Inputs are public; the arithmetic is variable-time.

Spec: BALLOT-H2C.
"""

# gmpy2 ships no types.
# pyright: reportAttributeAccessIssue=false

import hashlib
from functools import cache
from typing import Final

import gmpy2
from gmpy2 import mpz

from clients.voting.encoding import encode_i8
from clients.voting.group import FIELD, Point, PointVector, decode_point_xy, vector_of

SUITE: Final = "secp256k1_XMD:SHA-256_SSWU_RO_"

_P: Final = mpz(FIELD)
_A: Final = mpz(0x3F8731ABDD661ADCA08A5558F0F5D272E953D363CB6F0E5D405447C01A444533)
_B: Final = mpz(1771)
_Z: Final = mpz(FIELD - 11)
_HALF: Final = (_P - 1) // 2
_ROOT_EXPONENT: Final = (_P + 1) // 4

# Coefficients of the 3-isogeny, RFC 9380 appendix E.1, lowest degree first.
_X_NUMERATOR: Final = (
    mpz(0x8E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38DAAAAA8C7),
    mpz(0x07D3D4C80BC321D5B9F315CEA7FD44C5D595D2FC0BF63B92DFFF1044F17C6581),
    mpz(0x534C328D23F234E6E2A413DECA25CAECE4506144037C40314ECBD0B53D9DD262),
    mpz(0x8E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38E38DAAAAA88C),
)
_X_DENOMINATOR: Final = (
    mpz(0xD35771193D94918A9CA34CCBB7B640DD86CD409542F8487D9FE6B745781EB49B),
    mpz(0xEDADC6F64383DC1DF7C4B2D51B54225406D36B641F5E41BBC52A56612A8C6D14),
    mpz(1),
)
_Y_NUMERATOR: Final = (
    mpz(0x4BDA12F684BDA12F684BDA12F684BDA12F684BDA12F684BDA12F684B8E38E23C),
    mpz(0xC75E0C32D5CB7C0FA9D0A54B12A0A6D5647AB046D686DA6FDFFC90FC201D71A3),
    mpz(0x29A6194691F91A73715209EF6512E576722830A201BE2018A765E85A9ECEE931),
    mpz(0x2F684BDA12F684BDA12F684BDA12F684BDA12F684BDA12F684BDA12F38E38D84),
)
_Y_DENOMINATOR: Final = (
    mpz(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFF93B),
    mpz(0x7A06534BB8BDB49FD5E9E6632722C2989467C1BFC8E8D978DFB425D2685C2573),
    mpz(0x6484AA716545CA2CF3A70C3FA8FE337E0A3D21162F0D6299A7BF8192BFD2A76F),
    mpz(1),
)


def hash_to_curve(label: str, message: bytes) -> Point:
    """Return H2C(label, message), a point nobody knows the logarithm of.

    Spec: BALLOT-H2C.
    """
    return hash_with_domain(message, f"JMEV1/{label}/{SUITE}".encode("ascii"))


def hash_with_domain(message: bytes, domain: bytes) -> Point:
    """Hash under an explicit domain separation tag (RFC 9380, section 3, RO variant)."""
    uniform = expand_message(message, domain, 96)
    first, second = (
        map_to_curve(int.from_bytes(uniform[at : at + 48], "big") % FIELD) for at in (0, 48)
    )
    return first + second


def expand_message(message: bytes, domain: bytes, size: int) -> bytes:
    """Expand ``message`` to ``size`` bytes (expand_message_xmd with SHA-256, RFC 9380 5.3.1)."""
    if len(domain) > 255:
        domain = hashlib.sha256(b"H2C-OVERSIZE-DST-" + domain).digest()
    suffix = domain + bytes((len(domain),))
    blocks = -(-size // 32)
    if blocks > 255 or size > 65_535:
        raise ValueError(f"expand_message: {size} bytes is too long")
    head = hashlib.sha256(b"\x00" * 64 + message + size.to_bytes(2, "big") + b"\x00" + suffix)
    seed = head.digest()
    block = hashlib.sha256(seed + b"\x01" + suffix).digest()
    output = [block]
    for index in range(2, blocks + 1):
        mixed = bytes(a ^ b for a, b in zip(seed, block, strict=True))
        block = hashlib.sha256(mixed + bytes((index,)) + suffix).digest()
        output.append(block)
    return b"".join(output)[:size]


def map_to_curve(element: int) -> Point:
    """Map a field element to secp256k1 through the isogenous curve (SSWU, RFC 9380 6.6.3)."""
    u = mpz(element)
    tv1 = _Z * u * u % _P
    tv2 = (tv1 * tv1 + tv1) % _P
    if tv2 == 0:
        x = _B * gmpy2.invert(_Z * _A % _P, _P) % _P
    else:
        x = -_B * gmpy2.invert(_A, _P) * (1 + gmpy2.invert(tv2, _P)) % _P
    y_squared = (x * x * x + _A * x + _B) % _P
    if gmpy2.jacobi(y_squared, _P) < 0:
        x = tv1 * x % _P
        y_squared = (x * x * x + _A * x + _B) % _P
    y = gmpy2.powmod(y_squared, _ROOT_EXPONENT, _P)
    if (y & 1) != (u & 1):
        y = _P - y
    return _apply_isogeny(x, y)


def _apply_isogeny(x: mpz, y: mpz) -> Point:
    x_numerator, x_denominator = _evaluate(_X_NUMERATOR, x), _evaluate(_X_DENOMINATOR, x)
    y_numerator, y_denominator = _evaluate(_Y_NUMERATOR, x), _evaluate(_Y_DENOMINATOR, x)
    inverse = gmpy2.invert(x_denominator * y_denominator, _P)
    image_x = x_numerator * y_denominator % _P * inverse % _P
    image_y = y * y_numerator % _P * x_denominator % _P * inverse % _P
    return decode_point_xy(int(image_x).to_bytes(32, "big") + int(image_y).to_bytes(32, "big"))


def _evaluate(coefficients: tuple[mpz, ...], x: mpz) -> mpz:
    value = mpz(0)
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % _P
    return value


@cache
def commitment_base() -> Point:
    """Return H, the base of the shuffle's commitment chain.

    Spec: BALLOT-H2C.
    """
    return hash_to_curve("gen", encode_i8(0))


_generators: list[Point] = []


def commitment_generators(count: int) -> PointVector:
    """Return h_1..h_count; independent of any election, computed once per process.

    Spec: BALLOT-H2C.
    """
    while len(_generators) < count:
        _generators.append(hash_to_curve("gen", encode_i8(len(_generators) + 1)))
    return vector_of(_generators[:count])
