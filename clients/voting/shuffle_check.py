"""Checking shuffles: all five equations in one sum, or one by one to name the fault.

The separate equations are generic over the group, so that proofs made by others on other curves run
through the very same lines. The batched form draws its weights after the proof is read, from the
verifier's own randomness; a false proof passes it with probability at most 2^-128.

Spec: MIX-VERIFY.
"""

# gmpy2 ships no types.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gmpy2 import mpz

from clients.voting.group import (
    GENERATOR,
    IDENTITY,
    ORDER,
    Point,
    join_vectors,
    msm,
    multiple,
    vector_of,
)
from clients.voting.hash_to_curve import commitment_base, commitment_generators
from clients.voting.randomness import NonceSource, draw_weights
from clients.voting.shuffle_proof import (
    ShuffleProof,
    ShuffleStatement,
    compute_challenge,
    compute_seed,
    compute_weights,
)

P = TypeVar("P")


class Group(Protocol[P]):
    """The operations a verifier needs of a prime-order group."""

    @property
    def order(self) -> int:
        """Return the group's order."""
        ...

    @property
    def generator(self) -> P:
        """Return the generator G."""
        ...

    def combine(self, points: Sequence[P], scalars: Sequence[int]) -> P:
        """Return the sum of [scalar]point."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EquationInput(Generic[P]):
    """Everything the five equations speak of, as plain points and scalars of any group."""

    bases: Sequence[P]
    """h_1..h_N."""
    base: P
    """H, where the chain begins."""
    keys: Sequence[P]
    """Y_l."""
    inputs: Sequence[tuple[Sequence[P], Sequence[P]]]
    """(A, B) per column, before."""
    outputs: Sequence[tuple[Sequence[P], Sequence[P]]]
    """(A', B') per column, after."""
    commitments: Sequence[P]
    """c_i."""
    links: Sequence[P]
    """c-hat_i."""
    t1: P
    """Announcement 1."""
    t2: P
    """Announcement 2."""
    t3: P
    """Announcement 3."""
    t4: Sequence[tuple[P, P]]
    """Announcements 4a and 4b per column."""
    t_hat: Sequence[P]
    """Announcements of the links."""
    z1: int
    """Response 1."""
    z2: int
    """Response 2."""
    z3: int
    """Response 3."""
    z4: Sequence[int]
    """Responses 4 per column."""
    z_hat: Sequence[int]
    """Responses of the links' randomness."""
    z_prime: Sequence[int]
    """Responses of the permuted weights."""
    weights: Sequence[int]
    """u_i."""
    challenge: int
    """c."""


def failed_equations(group: Group[P], given: EquationInput[P]) -> list[str]:
    """Return the names of the equations that do not hold; none for a correct proof.

    Names are "1", "2", "3", "4a[l]", "4b[l]" and "5[i]", indices from 1.

    Spec: MIX-VERIFY.
    """
    n, c, count = group.order, given.challenge, len(given.weights)
    failures = []
    if not _is_commitment_sum_open(group, given):
        failures.append("1")
    product = mpz(1)
    for weight in given.weights:
        product = product * weight % n
    right = group.combine([given.t2, given.links[-1], given.base], [1, c, int(-c * product % n)])
    if group.combine([group.generator], [given.z2]) != right:
        failures.append("2")
    left = group.combine([group.generator, *given.bases], [given.z3, *given.z_prime])
    scaled = [c * weight % n for weight in given.weights]
    if left != group.combine([given.t3, *given.commitments], [1, *scaled]):
        failures.append("3")
    failures += _failed_columns(group, given, scaled)
    before = [given.base, *given.links[:-1]]
    failures += [
        f"5[{at + 1}]"
        for at in range(count)
        if group.combine([group.generator, before[at]], [given.z_hat[at], given.z_prime[at]])
        != group.combine([given.t_hat[at], given.links[at]], [1, c])
    ]
    return failures


def _is_commitment_sum_open(group: Group[P], given: EquationInput[P]) -> bool:
    c, count = given.challenge, len(given.weights)
    points = [given.t1, *given.commitments, *given.bases]
    scalars = [1, *[c] * count, *[group.order - c] * count]
    return group.combine([group.generator], [given.z1]) == group.combine(points, scalars)


def _failed_columns(group: Group[P], given: EquationInput[P], scaled: Sequence[int]) -> list[str]:
    failures = []
    columns = zip(given.inputs, given.outputs, given.keys, given.t4, given.z4, strict=True)
    for at, (before, after, key, announced, response) in enumerate(columns, 1):
        for name, part, base in (("a", 0, group.generator), ("b", 1, key)):
            left = group.combine([*after[part], base], [*given.z_prime, (-response) % group.order])
            right = group.combine([announced[part], *before[part]], [1, *scaled])
            if left != right:
                failures.append(f"4{name}[{at}]")
    return failures


class Secp256k1:
    """The protocol's own group, for the separate equations."""

    order = ORDER
    generator = GENERATOR

    def combine(self, points: Sequence[Point], scalars: Sequence[int]) -> Point:
        """Return the sum of [scalar]point."""
        if len(points) <= 4:
            total = IDENTITY
            for point, scalar in zip(points, scalars, strict=True):
                total = total + multiple(point, scalar)
            return total
        kept = [(p, s % ORDER) for p, s in zip(points, scalars, strict=True) if not p.is_identity]
        return msm(vector_of(p for p, _ in kept), [s for _, s in kept])


def find_faults(statement: ShuffleStatement, proof: ShuffleProof) -> list[str]:
    """Return the names of the equations a shuffle fails, to say what is wrong with it.

    Slower than ``is_shuffle_valid``; call it once that has said no.

    Spec: MIX-VERIFY.
    """
    count = len(statement.inputs)
    weights, challenge = _recompute(statement, proof)
    bases = commitment_generators(count)
    return failed_equations(
        Secp256k1(),
        EquationInput(
            bases=[bases[at] for at in range(count)],
            base=commitment_base(),
            keys=statement.keys,
            inputs=[(list(col.a), list(col.b)) for col in statement.inputs.columns],  # type: ignore[call-overload]
            outputs=[(list(col.a), list(col.b)) for col in statement.outputs.columns],  # type: ignore[call-overload]
            commitments=list(proof.commitments),  # type: ignore[call-overload]
            links=list(proof.links),  # type: ignore[call-overload]
            t1=proof.t1,
            t2=proof.t2,
            t3=proof.t3,
            t4=proof.t4,
            t_hat=list(proof.t_hat),  # type: ignore[call-overload]
            z1=proof.z1,
            z2=proof.z2,
            z3=proof.z3,
            z4=proof.z4,
            z_hat=proof.z_hat,
            z_prime=proof.z_prime,
            weights=weights,
            challenge=challenge,
        ),
    )


def _recompute(statement: ShuffleStatement, proof: ShuffleProof) -> tuple[list[int], int]:
    """Return the batching vector and challenge, hashed anew from what the verifier holds."""
    seed = compute_seed(statement, proof.commitments)
    announcement = (proof.t1, proof.t2, proof.t3, proof.t4, proof.t_hat)
    challenge = compute_challenge(seed, proof.links, announcement)
    return compute_weights(seed, len(statement.inputs)), challenge


def is_shuffle_valid(statement: ShuffleStatement, proof: ShuffleProof, source: NonceSource) -> bool:
    """Tell whether a shuffle's proof holds, by one multi-scalar multiplication.

    Args:
        statement: The lists and keys, from the verifier's own records.
        proof: What the mixer published, already parsed.
        source: The verifier's randomness, drawn from after the proof is known.

    Spec: MIX-VERIFY.
    """
    if not _is_shape_right(statement, proof):
        return False
    weights, c = _recompute(statement, proof)
    count, width = len(weights), len(statement.keys)
    l1, l2, l3 = draw_weights(source, 3)
    l4 = [draw_weights(source, 2) for _ in range(width)]
    deltas = draw_weights(source, count)
    z_prime = [mpz(value) for value in proof.z_prime]
    lc3 = mpz(l3) * c % ORDER
    l1c = mpz(l1) * c % ORDER

    vectors = [commitment_generators(count), proof.commitments, proof.links]
    scalars: list[int] = [(l1c + l3 * z) % ORDER for z in z_prime]
    scalars += [-(l1c + lc3 * u) % ORDER for u in weights]
    scalars += _link_coefficients(deltas, z_prime, c, l2)
    for before, after, (la, lb) in zip(
        statement.inputs.columns, statement.outputs.columns, l4, strict=True
    ):
        for vector_after, vector_before, weight in (
            (after.a, before.a, la),
            (after.b, before.b, lb),
        ):
            vectors += [vector_after, vector_before]
            scalars += [weight * z % ORDER for z in z_prime]
            scaled = mpz(weight) * c % ORDER
            scalars += [-(scaled * u) % ORDER for u in weights]
    total = msm(join_vectors(vectors), scalars)
    total = total - msm(proof.t_hat, deltas, 128)
    return (
        total + _constant_part(statement, proof, (l1, l2, l3, l4, deltas), weights, c)
    ).is_identity


def _is_shape_right(statement: ShuffleStatement, proof: ShuffleProof) -> bool:
    """Tell whether every part has the length of the list, which must not be empty."""
    count, width = len(statement.inputs), len(statement.keys)
    rows = (proof.commitments, proof.links, proof.t_hat, proof.z_hat, proof.z_prime)
    return (
        count > 0
        and statement.inputs.width == statement.outputs.width == width
        and len(statement.outputs) == count
        and all(len(part) == count for part in rows)
        and len(proof.t4) == len(proof.z4) == width
    )


def _link_coefficients(deltas: Sequence[int], z_prime: Sequence[int], c: int, l2: int) -> list[int]:
    coefficients = [
        (after * z_after - delta * c) % ORDER
        for delta, after, z_after in zip(
            deltas, [*deltas[1:], 0], [*z_prime[1:], mpz(0)], strict=True
        )
    ]
    coefficients[-1] = (coefficients[-1] - l2 * c) % ORDER
    return coefficients


def _constant_part(
    statement: ShuffleStatement,
    proof: ShuffleProof,
    drawn: tuple[int, int, int, list[list[int]], list[int]],
    weights: Sequence[int],
    c: int,
) -> Point:
    l1, l2, l3, l4, deltas = drawn
    product = mpz(1)
    for weight in weights:
        product = product * weight % ORDER
    g = mpz(l1) * proof.z1 + mpz(l2) * proof.z2 + mpz(l3) * proof.z3
    g -= sum(mpz(la) * z for (la, _), z in zip(l4, proof.z4, strict=True))
    g += sum(mpz(delta) * z for delta, z in zip(deltas, proof.z_hat, strict=True))
    h = l2 * c * product + deltas[0] * proof.z_prime[0]
    terms = [(GENERATOR, g), (commitment_base(), h)]
    terms += [(proof.t1, -l1), (proof.t2, -l2), (proof.t3, -l3)]
    for key, (t4a, t4b), (la, lb), z in zip(statement.keys, proof.t4, l4, proof.z4, strict=True):
        terms += [(t4a, -la), (t4b, -lb), (key, -lb * z)]
    total = IDENTITY
    for point, scalar in terms:
        total = total + multiple(point, int(scalar % ORDER))
    return total
