"""Reads a proof directory of the Verificatum mix-net on P-256 into the five equations' own terms.

Byte trees, random oracle, generators and challenges follow its published verifier description
(version 3.1.0), so that proofs made by others run through our generic equations. Nothing here is
used outside tests.
"""

import hashlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from gmpy2 import invert, jacobi, mpz, powmod

from clients.voting.shuffle_check import EquationInput

FIELD = mpz(0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF)
CURVE_B = mpz(0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Affine = tuple[mpz, mpz] | None
Tree = Any
"""A byte tree: bytes, or a list of byte trees."""


class P256:
    """NIST P-256 with affine points; None is the identity."""

    order = ORDER

    def __init__(self, generator: Affine) -> None:
        """Hold the generator that the proof directory names."""
        self.generator = generator

    def combine(self, points: list[Affine], scalars: list[int]) -> Affine:
        """Return the sum of [scalar]point, by interleaved doubling."""
        reduced = [int(scalar) % ORDER for scalar in scalars]
        total: Affine = None
        for bit in range(255, -1, -1):
            total = add(total, total)
            for point, scalar in zip(points, reduced, strict=True):
                if scalar >> bit & 1:
                    total = add(total, point)
        return total


def add(left: Affine, right: Affine) -> Affine:
    """Add two points of P-256."""
    if left is None or right is None:
        return right if left is None else left
    if left[0] == right[0]:
        if (left[1] + right[1]) % FIELD == 0:
            return None
        slope = (3 * left[0] * left[0] - 3) * invert(2 * left[1], FIELD) % FIELD
    else:
        slope = (right[1] - left[1]) * invert(right[0] - left[0], FIELD) % FIELD
    x = (slope * slope - left[0] - right[0]) % FIELD
    return x, (slope * (left[0] - x) - left[1]) % FIELD


def decode_tree(data: bytes) -> Tree:
    """Decode a byte tree: leaves 01, nodes 00, four bytes of length or count."""
    tree, end = _decode_at(data, 0)
    assert end == len(data), "bytes left over after the byte tree"
    return tree


def _decode_at(data: bytes, at: int) -> tuple[Tree, int]:
    size = int.from_bytes(data[at + 1 : at + 5], "big")
    start = at + 5
    if data[at] == 1:
        return data[start : start + size], start + size
    children = []
    for _ in range(size):
        child, start = _decode_at(data, start)
        children.append(child)
    return children, start


def encode_tree(tree: Tree) -> bytes:
    """Encode a byte tree."""
    if isinstance(tree, bytes):
        return b"\x01" + len(tree).to_bytes(4, "big") + tree
    return b"\x00" + len(tree).to_bytes(4, "big") + b"".join(map(encode_tree, tree))


def _expand(seed: bytes, size: int) -> bytes:
    blocks = (
        hashlib.sha256(seed + counter.to_bytes(4, "big")).digest()
        for counter in range(-(-size // 32))
    )
    return b"".join(blocks)[:size]


def _oracle(bits: int, data: bytes) -> bytes:
    seed = hashlib.sha256(bits.to_bytes(4, "big") + data).digest()
    return _expand(seed, bits // 8)


def _point(tree: Tree) -> Affine:
    return mpz(int.from_bytes(tree[0], "big")), mpz(int.from_bytes(tree[1], "big"))


def _coordinate(value: mpz) -> bytes:
    return int(value).to_bytes(33, "big")


def _generators(prefix: bytes, count: int, distance: int) -> list[Affine]:
    bits = 256 + distance
    size = -(-bits // 8)
    seed = _oracle(256, prefix + encode_tree(b"generators"))
    stream = _expand(seed, size * count * 6)
    found: list[Affine] = []
    for at in range(0, len(stream), size):
        x = mpz(int.from_bytes(stream[at : at + size], "big") % (1 << bits)) % FIELD
        right = (x**3 - 3 * x + CURVE_B) % FIELD
        if jacobi(right, FIELD) == 1:
            y = powmod(right, (FIELD + 1) // 4, FIELD)
            found.append((x, min(y, FIELD - y)))
        if len(found) == count:
            break
    return found


def load_proof(folder: Path, mix: str) -> tuple[P256, EquationInput[Affine]]:
    """Read one mix of a proof folder and derive its generators, weights and challenge.

    Args:
        folder: Holds protocolInfo.xml and a folder per mix.
        mix: Name of the mix, which is also its auxiliary session id.
    """
    info = ElementTree.parse(folder / "protocolInfo.xml").getroot()

    def text(name: str) -> str:
        return info.findtext(name) or ""

    def tree(name: str) -> Tree:
        return decode_tree((folder / mix / name).read_bytes())

    numbers = [
        int(text(name)).to_bytes(4, "big") for name in ("statdist", "vbitlenro", "ebitlenro")
    ]
    words = [text(name).encode() for name in ("version", "prg", "pgroup", "rohash")]
    session = f"{text('sid')}.{mix}".encode()
    prefix = hashlib.sha256(encode_tree([words[0], session, *numbers, *words[1:]])).digest()
    key, before, after = (
        tree(name) for name in ("FullPublicKey.bt", "Ciphertexts.bt", "ShuffledCiphertexts.bt")
    )
    commitments = tree("proofs/PermutationCommitment01.bt")
    announced = tree("proofs/PoSCommitment01.bt")
    replies = tree("proofs/PoSReply01.bt")
    count, width = len(commitments), len(before[0])
    bases = _generators(prefix, count, int(text("statdist")))
    seed = _oracle(
        256,
        prefix
        + encode_tree(
            [
                key[0],
                [[_coordinate(point[0]), _coordinate(point[1])] for point in bases if point],
                commitments,
                [[key[0]] * width, [key[1]] * width],
                before,
                after,
            ]
        ),
    )
    stream = _expand(seed, 32 * count)
    challenge = int.from_bytes(_oracle(256, prefix + encode_tree([seed, announced])), "big")
    given = EquationInput(
        bases=bases,
        base=bases[0],
        keys=[_point(key[1])] * width,
        inputs=_columns(before),
        outputs=_columns(after),
        commitments=[_point(item) for item in commitments],
        links=[_point(item) for item in announced[0]],
        t1=_point(announced[3]),
        t2=_point(announced[4]),
        t3=_point(announced[1]),
        t4=[(_point(a), _point(b)) for a, b in zip(*announced[5], strict=True)],
        t_hat=[_point(item) for item in announced[2]],
        z1=_scalar(replies[2]),
        z2=_scalar(replies[3]),
        z3=_scalar(replies[0]),
        z4=[_scalar(item) for item in replies[5]],
        z_hat=[_scalar(item) for item in replies[1]],
        z_prime=[_scalar(item) for item in replies[4]],
        weights=[int.from_bytes(stream[at : at + 32], "big") for at in range(0, 32 * count, 32)],
        challenge=challenge,
    )
    return P256(_point(key[0])), given


def _columns(pair: Tree) -> list[tuple[list[Affine], list[Affine]]]:
    return [
        ([_point(item) for item in a], [_point(item) for item in b])
        for a, b in zip(*pair, strict=True)
    ]


def _scalar(leaf: bytes) -> int:
    return int.from_bytes(leaf, "big")
