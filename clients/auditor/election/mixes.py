"""Checking a mixer: the shuffle's proof read strictly, and its five equations.

All equations are tested at once: each is multiplied by fresh random weights of the auditor and the
sum must be the identity, as the table of coefficients in the protocol text has it. When it is not,
each is tested alone, to say which does not hold.

Spec: MIX-FORMAT, MIX-TRANSCRIPT, MIX-VERIFY.
"""

# gmpy2 ships no types.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gmpy2 import mpz

from clients.auditor.election.curve import chain_base
from clients.auditor.election.lists import CipherRows, Context
from clients.auditor.election.transcripts import (
    SHUF_CHAL,
    SHUF_SEED,
    SHUF_U,
    Bytes,
    InvalidRecord,
    int_bytes,
)
from clients.voting.group import (
    GENERATOR,
    IDENTITY,
    ORDER,
    Point,
    PointVector,
    decode_vector,
    join_vectors,
    msm,
    multiple,
)

Draw = Callable[[int], bytes]
"""Gives fresh random bytes; the auditor's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What a mixer claims."""

    context: Context
    """List and round."""
    key: Point
    """Key of the ciphertexts."""
    before: CipherRows
    """Input list."""
    after: CipherRows
    """Output list."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MixProof:
    """A proof file, parsed."""

    fixed: tuple[Point, ...]
    """t1, t2, t3, t4a, t4b."""
    fixed_bytes: bytes
    """The same as published."""
    z: tuple[int, ...]
    """z1, z2, z3, z4."""
    c: PointVector
    """Commitments to the permutation."""
    c_bytes: bytes
    """The same as published."""
    link: PointVector
    """Chain of commitments."""
    link_bytes: bytes
    """The same as published."""
    t_hat: PointVector
    """Announcements of the links."""
    t_hat_bytes: bytes
    """The same as published."""
    z_hat: list[int]
    """Responses of the links."""
    z_prime: list[int]
    """Responses of the permuted weights."""


def parse_mix_proof(data: bytes, count: int) -> MixProof:
    """Read the proof of a shuffle of ``count`` rows of one ciphertext.

    Raises:
        InvalidRecord: Another length, or a scalar above n.
        InvalidPoint: An encoding that is none of a point.

    Spec: MIX-FORMAT.
    """
    read = Bytes(data, "shuffle proof")
    fixed_bytes = read.take(33 * 5)
    z = tuple(read.scalars(4))
    c_bytes, link_bytes, t_hat_bytes = (read.take(33 * count) for _ in range(3))
    z_hat, z_prime = read.scalars(count), read.scalars(count)
    read.end()
    fixed = Bytes(fixed_bytes, "shuffle proof")
    return MixProof(
        fixed=tuple(fixed.p33() for _ in range(5)),
        fixed_bytes=fixed_bytes,
        z=z,
        c=decode_vector(c_bytes),
        c_bytes=c_bytes,
        link=decode_vector(link_bytes),
        link_bytes=link_bytes,
        t_hat=decode_vector(t_hat_bytes),
        t_hat_bytes=t_hat_bytes,
        z_hat=z_hat,
        z_prime=z_prime,
    )


def compute_challenges(mix: Mix, proof: MixProof) -> tuple[list[int], int]:
    """Return u_1..u_N and c, hashed from what the auditor holds.

    Spec: MIX-TRANSCRIPT.
    """
    count = len(mix.before)
    seed = SHUF_SEED.digest(
        mix.context.encode(),
        int_bytes(1, 2),
        mix.key.encode(),
        int_bytes(count, 8),
        mix.before.digest(mix.context),
        mix.after.digest(mix.context),
        proof.c_bytes,
    )
    u = [SHUF_U.scalar(seed, int_bytes(at, 8)) for at in range(1, count + 1)]
    return u, SHUF_CHAL.scalar(seed, proof.link_bytes, proof.fixed_bytes, proof.t_hat_bytes)


def weights_of(draw: Draw, count: int) -> list[mpz]:
    """Draw that many weights of 128 bits."""
    data = draw(16 * count)
    return [mpz(int.from_bytes(data[at : at + 16], "big")) for at in range(0, 16 * count, 16)]


class MixCheck:
    """One mix with its parsed points and recomputed challenges."""

    def __init__(self, mix: Mix, data: bytes, generators: PointVector) -> None:
        """Read proof and lists, and hash.

        Raises:
            InvalidRecord: No rows, lists of different length, or bytes that are no proof.
            InvalidPoint: An encoding that is none of a point.
        """
        self.count = len(mix.before)
        if self.count == 0 or len(mix.after) != self.count:
            raise InvalidRecord(
                f"shuffle of {self.count} rows to {len(mix.after)}", rule="MIX-SHUFFLE"
            )
        self.mix = mix
        self.proof = parse_mix_proof(data, self.count)
        self.h = generators.slice(0, self.count)
        self.before, self.after = mix.before.points(), mix.after.points()
        self.u, c = compute_challenges(mix, self.proof)
        self.c = mpz(c)

    def is_valid(self, draw: Draw) -> bool:
        """Tell whether all equations hold.

        Spec: MIX-VERIFY.
        """
        proof, c, u = self.proof, self.c, self.u
        l1, l2, l3, l4a, l4b = weights_of(draw, 5)
        delta = weights_of(draw, self.count)
        z_prime = [mpz(value) for value in proof.z_prime]
        next_z = [d * z for d, z in zip(delta, z_prime, strict=True)]
        chain = [
            (after - d * c) % ORDER for after, d in zip([*next_z[1:], mpz(0)], delta, strict=True)
        ]
        chain[-1] = (chain[-1] - l2 * c) % ORDER
        vectors = [self.h, proof.c, proof.link, *self.after, *self.before]
        scalars = [
            *[(l1 * c + l3 * z) % ORDER for z in z_prime],
            *[-(l1 * c + l3 * c * each) % ORDER for each in u],
            *chain,
            *[l4a * z % ORDER for z in z_prime],
            *[l4b * z % ORDER for z in z_prime],
            *[-(l4a * c * each) % ORDER for each in u],
            *[-(l4b * c * each) % ORDER for each in u],
        ]
        total = msm(join_vectors(vectors), scalars)
        total = total - msm(proof.t_hat, [int(d) for d in delta], 128)
        z1, z2, z3, z4 = proof.z
        g = l1 * z1 + l2 * z2 + l3 * z3 - l4a * z4
        g += sum(d * z for d, z in zip(delta, proof.z_hat, strict=True))
        singles = [(GENERATOR, g), (chain_base(), l2 * c * product_of(u) + next_z[0])]
        singles += zip(proof.fixed, (-l1, -l2, -l3, -l4a, -l4b), strict=True)
        singles.append((self.mix.key, -l4b * z4))
        return (total + small_sum(singles)).is_identity

    def faults(self) -> list[str]:
        """Return the names of the equations that do not hold.

        Spec: MIX-VERIFY.
        """
        proof, c, u = self.proof, self.c, self.u
        t1, t2, t3, t4a, t4b = proof.fixed
        z1, z2, z3, z4 = proof.z
        ones, cu = [1] * self.count, [int(c * each % ORDER) for each in u]
        difference = msm(proof.c, ones) - msm(self.h, ones)
        end = proof.link[self.count - 1]
        sides = {
            "1": small_sum([(GENERATOR, z1), (t1, -1), (difference, -c)]),
            "2": small_sum(
                [(GENERATOR, z2), (t2, -1), (end, -c), (chain_base(), c * product_of(u))]
            ),
            "3": small_sum([(GENERATOR, z3), (t3, -1)])
            + msm(self.h, proof.z_prime)
            - msm(proof.c, cu),
        }
        for name, at, base, announced in (("4a", 0, GENERATOR, t4a), ("4b", 1, self.mix.key, t4b)):
            sides[name] = (
                msm(self.after[at], proof.z_prime)
                - msm(self.before[at], cu)
                + small_sum([(base, -z4), (announced, -1)])
            )
        names = [name for name, side in sides.items() if not side.is_identity]
        return names + [f"5[{at + 1}]" for at in range(self.count) if not self._is_link(at)]

    def _is_link(self, at: int) -> bool:
        proof = self.proof
        before = proof.link[at - 1] if at else chain_base()
        return small_sum(
            [
                (GENERATOR, proof.z_hat[at]),
                (before, proof.z_prime[at]),
                (proof.t_hat[at], -1),
                (proof.link[at], -self.c),
            ]
        ).is_identity


def product_of(values: Sequence[int]) -> mpz:
    """Return the product mod n."""
    product = mpz(1)
    for value in values:
        product = product * value % ORDER
    return product


def small_sum(terms: Iterable[tuple[Point, int]]) -> Point:
    """Return the sum of [scalar]point over a few terms."""
    total = IDENTITY
    for point, scalar in terms:
        total = total + multiple(point, int(scalar % ORDER))
    return total
