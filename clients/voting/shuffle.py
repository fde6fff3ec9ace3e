"""The mixer's side of a Terelius-Wikstroem shuffle: permute, re-encrypt, prove.

Runs on the mixer's own machine; table and multi-scalar paths are variable-time there. The verifier
is ``shuffle_check``; what both see is ``ShuffleProof``.

Spec: MIX-SHUFFLE, MIX-TRANSCRIPT.
"""

# gmpy2 ships no types.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gmpy2 import mpz

from clients.voting.ciphertexts import (
    CiphertextList,
    reencrypt_column,
)
from clients.voting.group import (
    GENERATOR,
    ORDER,
    Point,
    PointVector,
    combine_fixed,
    fixed_base,
    generator_multiple,
    msm,
    multiple,
)
from clients.voting.hash_to_curve import commitment_base, commitment_generators
from clients.voting.randomness import NonceSource, draw_permutation, draw_scalar, draw_scalars
from clients.voting.shuffle_proof import (
    ShuffleProof,
    ShuffleStatement,
    compute_challenge,
    compute_seed,
    compute_weights,
)

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how many are done, and how many there are."""

STEPS = ("shuffle", "commit", "chain", "announce", "respond")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleSecret:
    """What the mixer knows and destroys: order and re-encryption randomness."""

    order: tuple[int, ...]
    """Output row i is input row order[i]."""
    randomness: tuple[tuple[int, ...], ...]
    """Per column, the scalar that re-encrypted each output row."""

    def __repr__(self) -> str:
        """Show nothing of the secret."""
        return f"ShuffleSecret({len(self.order)} rows)"


def shuffle(
    rows: CiphertextList, keys: Sequence[Point], source: NonceSource
) -> tuple[CiphertextList, ShuffleSecret]:
    """Permute and re-encrypt ``rows``.

    Spec: MIX-SHUFFLE.
    """
    order = draw_permutation(source, len(rows))
    randomness = tuple(tuple(draw_scalars(source, len(rows))) for _ in keys)
    permuted = rows.take(order)
    columns = tuple(
        reencrypt_column(column, key, drawn)
        for column, key, drawn in zip(permuted.columns, keys, randomness, strict=True)
    )
    return CiphertextList(columns), ShuffleSecret(order=tuple(order), randomness=randomness)


def prove_shuffle(
    statement: ShuffleStatement,
    secret: ShuffleSecret,
    source: NonceSource,
    progress: Progress = lambda _step, _done, _total: None,
) -> ShuffleProof:
    """Prove that the outputs of ``statement`` are its inputs, permuted and re-encrypted.

    Spec: MIX-SHUFFLE, MIX-TRANSCRIPT.
    """
    progress("commit", 1, len(STEPS))
    count = len(statement.inputs)
    commitment_randomness = draw_scalars(source, count)
    commitments = _commit_to_order(secret.order, commitment_randomness)
    seed = compute_seed(statement, commitments)
    weights = compute_weights(seed, count)
    permuted = [weights[at] for at in secret.order]

    progress("chain", 2, len(STEPS))
    chain = _Chain(permuted, draw_scalars(source, count))
    links = chain.commit()

    progress("announce", 3, len(STEPS))
    nonces = _Nonces(statement, source)
    announcement = _announce(statement, nonces, chain)
    challenge = compute_challenge(seed, links, announcement)

    progress("respond", 4, len(STEPS))
    return _respond(
        _Witness(secret, commitment_randomness, weights, permuted),
        chain,
        nonces,
        challenge,
        (commitments, links, announcement),
    )


def _commit_to_order(order: Sequence[int], randomness: Sequence[int]) -> PointVector:
    """Return c with c_order(i) = [s_order(i)]G + h_i."""
    inverse = [0] * len(order)
    for at, source_row in enumerate(order):
        inverse[source_row] = at
    bases = commitment_generators(len(order)).take(inverse)
    return combine_fixed([(fixed_base(GENERATOR), randomness)], addend=bases)


class _Chain:
    """The commitment chain, by its exponents over G and H: link i is [r_i]G + [u_i]H."""

    def __init__(self, weights: Sequence[int], randomness: Sequence[int]) -> None:
        self.randomness = randomness
        self.g_exponents: list[int] = []
        self.h_exponents: list[int] = []
        g_exponent, h_exponent = mpz(0), mpz(1)
        for weight, drawn in zip(weights, randomness, strict=True):
            g_exponent = (drawn + weight * g_exponent) % ORDER
            h_exponent = weight * h_exponent % ORDER
            self.g_exponents.append(int(g_exponent))
            self.h_exponents.append(int(h_exponent))

    def commit(self) -> PointVector:
        """Return the links."""
        return _over_g_and_h(self.g_exponents, self.h_exponents)

    def before(self, at: int) -> tuple[int, int]:
        """Return the exponents of the link before ``at``; the first stands on H."""
        return (0, 1) if at == 0 else (self.g_exponents[at - 1], self.h_exponents[at - 1])


class _Nonces:
    """The prover's one-time randomness."""

    def __init__(self, statement: ShuffleStatement, source: NonceSource) -> None:
        count = len(statement.inputs)
        self.w1, self.w2, self.w3 = draw_scalars(source, 3)
        self.w4 = [draw_scalar(source) for _ in statement.keys]
        self.hat = draw_scalars(source, count)
        self.prime = draw_scalars(source, count)


def _over_g_and_h(g_scalars: Sequence[int], h_scalars: Sequence[int]) -> PointVector:
    return combine_fixed(
        [(fixed_base(GENERATOR), g_scalars), (fixed_base(commitment_base()), h_scalars)]
    )


def _announce(
    statement: ShuffleStatement, nonces: _Nonces, chain: _Chain
) -> "tuple[Point, Point, Point, tuple[tuple[Point, Point], ...], PointVector]":
    """Return (t1, t2, t3, ((t4a, t4b) per column), t-hat)."""
    bases = commitment_generators(len(statement.inputs))
    t3 = generator_multiple(nonces.w3) + msm(bases, nonces.prime)
    t4 = tuple(
        (
            msm(column.a, nonces.prime) - generator_multiple(drawn),
            msm(column.b, nonces.prime) - multiple(key, drawn),
        )
        for column, key, drawn in zip(
            statement.outputs.columns, statement.keys, nonces.w4, strict=True
        )
    )
    g_scalars, h_scalars = [], []
    for at, (hat, prime) in enumerate(zip(nonces.hat, nonces.prime, strict=True)):
        g_before, h_before = chain.before(at)
        g_scalars.append((hat + prime * g_before) % ORDER)
        h_scalars.append(prime * h_before % ORDER)
    t_hat = _over_g_and_h(g_scalars, h_scalars)
    return generator_multiple(nonces.w1), generator_multiple(nonces.w2), t3, t4, t_hat


class _Witness:
    """The sums of secrets that the responses open."""

    def __init__(
        self,
        secret: ShuffleSecret,
        randomness: Sequence[int],
        weights: Sequence[int],
        permuted: Sequence[int],
    ) -> None:
        self.permuted = permuted
        self.sum_s = sum(randomness)
        self.sum_us = _inner(weights, randomness)
        self.sums_u_rho = [_inner(permuted, drawn) for drawn in secret.randomness]


def _inner(left: Sequence[int], right: Sequence[int]) -> int:
    return int(sum(mpz(a) * b for a, b in zip(left, right, strict=True)) % ORDER)


def _respond(
    witness: _Witness,
    chain: _Chain,
    nonces: _Nonces,
    challenge: int,
    public: tuple[
        PointVector,
        PointVector,
        tuple[Point, Point, Point, tuple[tuple[Point, Point], ...], PointVector],
    ],
) -> ShuffleProof:
    commitments, links, (t1, t2, t3, t4, t_hat) = public
    return ShuffleProof(
        commitments=commitments,
        links=links,
        t1=t1,
        t2=t2,
        t3=t3,
        t4=t4,
        t_hat=t_hat,
        z1=(nonces.w1 + challenge * witness.sum_s) % ORDER,
        z2=(nonces.w2 + challenge * chain.g_exponents[-1]) % ORDER,
        z3=(nonces.w3 + challenge * witness.sum_us) % ORDER,
        z4=tuple(
            (drawn + challenge * total) % ORDER
            for drawn, total in zip(nonces.w4, witness.sums_u_rho, strict=True)
        ),
        z_hat=tuple(
            (hat + challenge * drawn) % ORDER
            for hat, drawn in zip(nonces.hat, chain.randomness, strict=True)
        ),
        z_prime=tuple(
            (prime + challenge * weight) % ORDER
            for prime, weight in zip(nonces.prime, witness.permuted, strict=True)
        ),
    )
