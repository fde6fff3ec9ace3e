"""The group of the voting protocol: secp256k1, single points and long vectors of them.

Single operations go through libsecp256k1's public functions. Vectors hold N points side by side in
the library's own 64-byte form, so that one call to its N-ary point sum replaces N additions;
multi-scalar multiplication (signed-digit Pippenger) and fixed-base tables are built on that sum.
Both are variable-time: they serve public data and the offline mixer. Secrets of voters and trustees
take ``multiple_secret`` and ``generator_multiple``, which are constant-time.

The identity has no encoding (BALLOT-ENCODING) and cannot stand in a vector. The library's internal
form is never hashed, stored or sent.

Spec: BALLOT-GROUP.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from coincurve._libsecp256k1 import ffi, lib
from numpy.typing import NDArray

from node.primitives.crypto import CURVE_ORDER
from node.primitives.errors import InvalidInput

ORDER: Final = CURVE_ORDER
"""Order n of the group; prime, cofactor 1."""

FIELD: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F
"""Prime p of the coordinate field."""

TABLE_BITS: Final = 12
"""Window of a fixed-base table: 22 windows of 4,096 points, 5.8 MB."""

_SIZE: Final = 64
_CONTEXT: Final = lib.secp256k1_context_create(1)
_COMPRESSED: Final = 258
_UNCOMPRESSED: Final = 2

Bytes2D = NDArray[np.uint8]


class InvalidPoint(InvalidInput):
    """Bytes that encode no point of the group, or the identity where none may be."""

    code = "voting.invalid_point"


class Point:
    """A point of secp256k1, the identity included.

    Immutable; addition and negation are operators.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes | None) -> None:
        """Hold the library's 64-byte form.

        None is the identity. Use the functions below instead.
        """
        self._raw = raw

    @property
    def is_identity(self) -> bool:
        """Tell whether this is the identity."""
        return self._raw is None

    def __add__(self, other: "Point") -> "Point":
        """Add two points."""
        return sum_points((self, other))

    def __neg__(self) -> "Point":
        """Return the inverse."""
        if self._raw is None:
            return self
        buffer = ffi.new("secp256k1_pubkey *")
        ffi.memmove(buffer, self._raw, _SIZE)
        lib.secp256k1_ec_pubkey_negate(_CONTEXT, buffer)
        return Point(bytes(ffi.buffer(buffer)))

    def __sub__(self, other: "Point") -> "Point":
        """Subtract a point."""
        return self + (-other)

    def __eq__(self, other: object) -> bool:
        """Compare as group elements."""
        if not isinstance(other, Point):
            return NotImplemented
        if self._raw is None or other._raw is None:
            return self._raw is other._raw
        return self.encode() == other.encode()

    def __hash__(self) -> int:
        """Hash as a group element."""
        return hash(None if self._raw is None else self.encode())

    def __repr__(self) -> str:
        """Show the compressed form."""
        return "Point(identity)" if self._raw is None else f"Point({self.encode().hex()})"

    def encode(self) -> bytes:
        """Return P33: the 33-byte SEC1 compressed form.

        Raises:
            InvalidPoint: The point is the identity.
        """
        return self._serialize(33, _COMPRESSED)

    def encode_xy(self) -> bytes:
        """Return P64: x || y, 32 bytes each.

        Raises:
            InvalidPoint: The point is the identity.
        """
        return self._serialize(65, _UNCOMPRESSED)[1:]

    def raw(self) -> bytes:
        """Return the library's form, for vectors.

        Raises:
            InvalidPoint: The point is the identity.
        """
        if self._raw is None:
            raise InvalidPoint("the identity has no encoding", rule="BALLOT-ENCODING")
        return self._raw

    def _serialize(self, size: int, flags: int) -> bytes:
        output = ffi.new("unsigned char[]", size)
        length = ffi.new("size_t *", size)
        source = ffi.from_buffer("secp256k1_pubkey *", self.raw())
        lib.secp256k1_ec_pubkey_serialize(_CONTEXT, output, length, source, flags)
        return bytes(ffi.buffer(output))


IDENTITY: Final = Point(None)


def decode_point(data: bytes) -> Point:
    """Decode P33.

    Raises:
        InvalidPoint: Not 33 bytes, a prefix other than 02 or 03, x >= p, or x without a root.

    Spec: BALLOT-ENCODING.
    """
    if len(data) != 33 or data[0] not in (2, 3):
        raise InvalidPoint("point: expected 33 bytes beginning 02 or 03", rule="BALLOT-ENCODING")
    return Point(_parse(data))


def decode_point_xy(data: bytes) -> Point:
    """Decode P64.

    Raises:
        InvalidPoint: Not 64 bytes, a coordinate >= p, or not on the curve.

    Spec: BALLOT-ENCODING.
    """
    if len(data) != 64:
        raise InvalidPoint(f"point: expected 64 bytes, found {len(data)}", rule="BALLOT-ENCODING")
    return Point(_parse(b"\x04" + data))


def generator_multiple(scalar: int) -> Point:
    """Return [scalar]G in constant time; ``scalar`` in [0, n)."""
    if scalar == 0:
        return IDENTITY
    output = ffi.new("secp256k1_pubkey *")
    lib.secp256k1_ec_pubkey_create(_CONTEXT, output, scalar.to_bytes(32, "big"))
    return Point(bytes(ffi.buffer(output)))


GENERATOR: Final = generator_multiple(1)


def multiple(point: Point, scalar: int) -> Point:
    """Return [scalar]point in variable time: for public scalars only."""
    scalar %= ORDER
    if point.is_identity or scalar == 0:
        return IDENTITY
    buffer = ffi.new("secp256k1_pubkey *")
    ffi.memmove(buffer, point.raw(), _SIZE)
    lib.secp256k1_ec_pubkey_tweak_mul(_CONTEXT, buffer, scalar.to_bytes(32, "big"))
    return Point(bytes(ffi.buffer(buffer)))


@ffi.callback("int(unsigned char *, const unsigned char *, const unsigned char *, void *)")  # type: ignore[untyped-decorator]
def _copy_coordinates(output: object, x: object, y: object, _data: object) -> int:
    ffi.memmove(output, x, 32)
    ffi.memmove(ffi.cast("unsigned char *", output) + 32, y, 32)
    return 1


def multiple_secret(point: Point, scalar: int) -> Point:
    """Return [scalar]point in constant time; ``scalar`` in [1, n).

    Goes through the library's Diffie-Hellman function, whose multiplication is the constant-time
    one.

    Raises:
        InvalidPoint: The point is the identity, or the scalar is out of range.
    """
    output = ffi.new("unsigned char[]", _SIZE)
    source = ffi.from_buffer("secp256k1_pubkey *", point.raw())
    is_valid = lib.secp256k1_ecdh(
        _CONTEXT, output, source, scalar.to_bytes(32, "big"), _copy_coordinates, ffi.NULL
    )
    if not is_valid:
        raise InvalidPoint("secret scalar out of range [1, n)")
    return decode_point_xy(bytes(ffi.buffer(output)))


def sum_points(points: Iterable[Point]) -> Point:
    """Return the sum of ``points``; the identity for none."""
    raws = [point.raw() for point in points if not point.is_identity]
    if not raws:
        return IDENTITY
    vector = vector_of_raw(b"".join(raws))  # named, so that it outlives its addresses
    return Point(_combine(vector.addresses()))


@dataclass(frozen=True, slots=True, eq=False)
class PointVector:
    """N points, none the identity, side by side in the library's form."""

    rows: Bytes2D
    """Array of shape (N, 64), C-contiguous."""

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)

    def __getitem__(self, at: int) -> Point:
        """Return one point."""
        return Point(self.rows[at].tobytes())

    def addresses(self) -> NDArray[np.uint64]:
        """Return the memory address of each row; valid while ``rows`` lives."""
        start = self.rows.ctypes.data
        return np.arange(len(self.rows), dtype=np.uint64) * np.uint64(_SIZE) + np.uint64(start)

    def take(self, order: Sequence[int] | NDArray[np.int64]) -> "PointVector":
        """Return the rows in ``order``."""
        return PointVector(np.ascontiguousarray(self.rows[np.asarray(order, dtype=np.int64)]))

    def slice(self, start: int, stop: int) -> "PointVector":
        """Return rows ``start`` to ``stop``, without copying."""
        return PointVector(self.rows[start:stop])

    def encode(self) -> bytes:
        """Return P33 of every point, joined."""
        count = len(self)
        output = bytearray(33 * count)
        target, length = ffi.from_buffer("unsigned char[]", output), ffi.new("size_t *", 33)
        source = ffi.cast("secp256k1_pubkey *", self.rows.ctypes.data)
        serialize = lib.secp256k1_ec_pubkey_serialize
        for at in range(count):
            length[0] = 33
            serialize(_CONTEXT, target + 33 * at, length, source + at, _COMPRESSED)
        return bytes(output)


def vector_of(points: Iterable[Point]) -> PointVector:
    """Build a vector from points.

    Raises:
        InvalidPoint: One of them is the identity.
    """
    return vector_of_raw(b"".join([point.raw() for point in points]))


def vector_of_raw(data: bytes) -> PointVector:
    """Build a vector from joined library forms."""
    return PointVector(np.frombuffer(data, dtype=np.uint8).reshape(-1, _SIZE))


def join_vectors(vectors: Sequence[PointVector]) -> PointVector:
    """Return one vector of all rows."""
    return PointVector(np.concatenate([vector.rows for vector in vectors]))


def decode_vector(data: bytes) -> PointVector:
    """Decode joined P33 encodings.

    Raises:
        InvalidPoint: The length is no multiple of 33, or some encoding is none of a point.

    Spec: BALLOT-ENCODING.
    """
    count, rest = divmod(len(data), 33)
    if rest:
        raise InvalidPoint(f"points: {len(data)} bytes is no multiple of 33")
    rows = np.empty((count, _SIZE), dtype=np.uint8)
    target = ffi.cast("secp256k1_pubkey *", rows.ctypes.data)
    source, parse = ffi.from_buffer("unsigned char[]", data), lib.secp256k1_ec_pubkey_parse
    for at in range(count):
        if not parse(_CONTEXT, target + at, source + 33 * at, 33):
            raise InvalidPoint(f"points: entry {at} is no point", rule="BALLOT-ENCODING")
    return PointVector(rows)


def multiples_secret(points: PointVector, scalar: int) -> PointVector:
    """Return [scalar]P for every P of ``points``, in constant time, for one secret scalar."""
    return vector_of(multiple_secret(points[at], scalar) for at in range(len(points)))


def multiples(points: PointVector, scalar: int) -> PointVector:
    """Return [scalar]P for every P of ``points``, in variable time; ``scalar`` in [1, n)."""
    rows = points.rows.copy()
    target = ffi.cast("secp256k1_pubkey *", rows.ctypes.data)
    tweak, multiply = scalar.to_bytes(32, "big"), lib.secp256k1_ec_pubkey_tweak_mul
    for at in range(len(rows)):
        multiply(_CONTEXT, target + at, tweak)
    return PointVector(rows)


class FixedBase:
    """Multiples of one point by table: about 10 microseconds each after 0.3 s of building."""

    __slots__ = ("_rows", "point")

    WINDOWS: Final = -(-256 // TABLE_BITS)

    def __init__(self, point: Point) -> None:
        """Build the table of [d * 2^(12 w)]point for every window w and digit d."""
        self.point = point
        rows = np.zeros((self.WINDOWS << TABLE_BITS, _SIZE), dtype=np.uint8)
        base = point
        for window in range(self.WINDOWS):
            _fill_window(rows, window << TABLE_BITS, base)
            base = multiple(base, 1 << TABLE_BITS)
        self._rows = rows

    def addresses(self, scalars: Sequence[int]) -> NDArray[np.uint64]:
        """Return, per scalar, the addresses of its window points; 0 where the digit is 0."""
        limbs = _limbs(scalars)
        grid = np.empty((len(limbs), self.WINDOWS), dtype=np.uint64)
        for window in range(self.WINDOWS):
            digits = _digits(limbs, TABLE_BITS, window)
            start = self._rows.ctypes.data + (window << TABLE_BITS) * _SIZE
            grid[:, window] = np.where(digits == 0, 0, digits * np.uint64(_SIZE) + np.uint64(start))
        return grid


def _fill_window(rows: Bytes2D, start: int, base: Point) -> None:
    """Write [1]base .. [2^12 - 1]base from row ``start + 1``, by doubling the filled part."""
    rows[start + 1] = np.frombuffer(base.raw(), dtype=np.uint8)
    pair = np.empty(2, dtype=np.uint64)
    pointers = ffi.cast("secp256k1_pubkey **", pair.ctypes.data)
    first = rows.ctypes.data + start * _SIZE
    target = ffi.cast("secp256k1_pubkey *", first)
    pair[1] = first + _SIZE
    for digit in range(2, 1 << TABLE_BITS):
        pair[0] = first + (digit - 1) * _SIZE
        lib.secp256k1_ec_pubkey_combine(_CONTEXT, target + digit, pointers, 2)


_tables: dict[bytes, FixedBase] = {}
_TABLES_MAX: Final = 4


def fixed_base(point: Point) -> FixedBase:
    """Return the table of ``point``, built once; the four last used are kept."""
    key = point.encode()
    table = _tables.pop(key, None) or FixedBase(point)
    _tables[key] = table
    while len(_tables) > _TABLES_MAX:
        _tables.pop(next(iter(_tables)))
    return table


def combine_fixed(
    terms: Sequence[tuple[FixedBase, Sequence[int]]], addend: PointVector | None = None
) -> PointVector:
    """Return, per row i, the sum of [scalars_i]base over ``terms``, plus row i of ``addend``.

    Raises:
        InvalidPoint: A sum is the identity; draw other randomness.
    """
    columns = [table.addresses(scalars) for table, scalars in terms]
    if addend is not None:
        columns.append(addend.addresses().reshape(-1, 1))
    grid = np.ascontiguousarray(np.concatenate(columns, axis=1))
    count, width = grid.shape
    rows = np.empty((count, _SIZE), dtype=np.uint8)
    target = ffi.cast("secp256k1_pubkey *", rows.ctypes.data)
    start, combine, cast = grid.ctypes.data, lib.secp256k1_ec_pubkey_combine, ffi.cast
    is_full: list[bool] = np.all(grid, axis=1).tolist()
    for at in range(count):
        if is_full[at]:
            pointers = cast("secp256k1_pubkey **", start + at * width * 8)
            is_point = combine(_CONTEXT, target + at, pointers, width)
        else:
            present = grid[at][grid[at] != 0]
            pointers = cast("secp256k1_pubkey **", present.ctypes.data)
            is_point = len(present) and combine(_CONTEXT, target + at, pointers, len(present))
        if not is_point:
            raise InvalidPoint(f"row {at}: the sum is the identity")
    return PointVector(rows)


def msm(points: PointVector, scalars: Sequence[int], bits: int = 256) -> Point:
    """Return the sum of [scalar_i]point_i by signed-digit Pippenger; variable time.

    Args:
        points: N points.
        scalars: N scalars below 2^bits, and below n.
        bits: Bound on the scalars' length; short scalars cost proportionally less.
    """
    if len(points) != len(scalars):
        raise ValueError(f"{len(points)} points but {len(scalars)} scalars")
    if not len(points):
        return IDENTITY
    window = _window_bits(len(points))
    windows = -(-(bits + 1) // window)
    digits = _signed_digits(_limbs(scalars), window, windows)
    negated = _negate_rows(points.rows)
    plus, minus = points.addresses(), PointVector(negated).addresses()
    parts: list[Point] = [IDENTITY] * (windows * window)
    for at in range(windows):
        column = digits[at]
        addresses = np.where(column < 0, minus, plus)
        for bit, part in enumerate(_bucket_bits(addresses, np.abs(column), window)):
            parts[at * window + bit] = part
    total = IDENTITY
    for part in reversed(parts):
        total = total + total + part
    return total


_WINDOWS: Final = ((32, 3), (200, 4), (900, 5), (3_000, 6), (8_000, 8), (40_000, 9), (100_000, 10))
"""Up to how many points which window is fastest, measured in processor time."""


def _window_bits(count: int) -> int:
    for bound, bits in _WINDOWS:
        if count <= bound:
            return bits
    return 12 if count <= 400_000 else 13


def _bucket_bits(
    addresses: NDArray[np.uint64], digits: NDArray[np.int16], window: int
) -> list[Point]:
    """Return T_0..T_(window-1) with sum(digit_i * point_i) = sum(2^b * T_b)."""
    order = np.argsort(digits, kind="stable")
    sorted_addresses = addresses[order]
    stops = np.cumsum(np.bincount(digits, minlength=(1 << (window - 1)) + 1)).tolist()
    buckets = np.empty((len(stops), _SIZE), dtype=np.uint8)
    is_present = np.zeros(len(stops), dtype=bool)
    target = ffi.cast("secp256k1_pubkey *", buckets.ctypes.data)
    start, combine, cast = sorted_addresses.ctypes.data, lib.secp256k1_ec_pubkey_combine, ffi.cast
    for digit in range(1, len(stops)):
        begin, stop = stops[digit - 1], stops[digit]
        if stop > begin:
            pointers = cast("secp256k1_pubkey **", start + 8 * begin)
            is_present[digit] = combine(_CONTEXT, target + digit, pointers, stop - begin)
    numbers = np.arange(len(stops))
    rows = PointVector(buckets).addresses()
    return [
        _sum_addresses(rows[is_present & ((numbers >> bit) & 1).astype(bool)])
        for bit in range(window)
    ]


def _sum_addresses(addresses: NDArray[np.uint64]) -> Point:
    return Point(_combine(addresses)) if len(addresses) else IDENTITY


def _combine(addresses: NDArray[np.uint64]) -> bytes | None:
    """Return the library form of the sum of the points at ``addresses``; None for the identity."""
    output = ffi.new("secp256k1_pubkey *")
    pointers = ffi.cast("secp256k1_pubkey **", addresses.ctypes.data)
    if not lib.secp256k1_ec_pubkey_combine(_CONTEXT, output, pointers, len(addresses)):
        return None
    return bytes(ffi.buffer(output))


def _negate_rows(rows: Bytes2D) -> Bytes2D:
    negated = rows.copy()
    target = ffi.cast("secp256k1_pubkey *", negated.ctypes.data)
    negate = lib.secp256k1_ec_pubkey_negate
    for at in range(len(negated)):
        negate(_CONTEXT, target + at)
    return negated


def _limbs(scalars: Sequence[int]) -> NDArray[np.uint64]:
    """Return each scalar's five 64-bit limbs, least significant first: shape (N, 5)."""
    data = b"".join([int(scalar).to_bytes(40, "little") for scalar in scalars])
    return np.frombuffer(data, dtype="<u8").reshape(-1, 5)


def _digits(limbs: NDArray[np.uint64], window: int, at: int) -> NDArray[np.uint64]:
    """Return digit ``at`` of every scalar in base 2^window."""
    limb, shift = divmod(at * window, 64)
    value = limbs[:, limb] >> np.uint64(shift)
    if shift + window > 64 and limb < 4:
        value = value | (limbs[:, limb + 1] << np.uint64(64 - shift))
    return value & np.uint64((1 << window) - 1)


def _signed_digits(limbs: NDArray[np.uint64], window: int, windows: int) -> NDArray[np.int16]:
    """Return digits in [-2^(window-1), 2^(window-1)], carried upwards: shape (windows, N)."""
    signed = np.empty((windows, len(limbs)), dtype=np.int16)
    carry = np.zeros(len(limbs), dtype=np.int32)
    half, full = 1 << (window - 1), 1 << window
    for at in range(windows):
        column = _digits(limbs, window, at).astype(np.int32) + carry
        carry = (column > half).astype(np.int32)
        signed[at] = column - full * carry
    return signed


def _parse(data: bytes) -> bytes:
    output = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_parse(_CONTEXT, output, data, len(data)):
        raise InvalidPoint("point: not on the curve", rule="BALLOT-ENCODING")
    return bytes(ffi.buffer(output))
