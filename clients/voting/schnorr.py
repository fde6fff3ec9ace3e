"""Proofs of knowing a secret scalar: Schnorr's, and Chaum and Pedersen's of two equal logarithms.

The caller builds the transcript and passes the challenge's hash as a function of the announcement,
so that every statement is inside its own hash (strong Fiat-Shamir).

Spec: BALLOT-TRANSCRIPT.
"""

from collections.abc import Callable
from dataclasses import dataclass

from clients.voting.group import (
    ORDER,
    Point,
    generator_multiple,
    multiple,
    multiple_secret,
)
from clients.voting.randomness import NonceSource, draw_scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeProof:
    """Proof of knowledge of x with [x]G = P."""

    w: Point
    """Announcement W = [w]G."""
    z: int
    """Response z = w + c x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualityProof:
    """Proof that one x gives [x]G = P and [x]X = Z."""

    t1: Point
    """Announcement T1 = [k]G."""
    t2: Point
    """Announcement T2 = [k]X."""
    z: int
    """Response z = k + c x."""


def prove_knowledge(
    secret: int, challenge: Callable[[Point], int], source: NonceSource
) -> KnowledgeProof:
    """Prove knowledge of ``secret``; ``challenge`` hashes the statement and W."""
    nonce = draw_scalar(source)
    w = generator_multiple(nonce)
    return KnowledgeProof(w=w, z=(nonce + challenge(w) * secret) % ORDER)


def is_knowledge_proven(
    public: Point, proof: KnowledgeProof, challenge: Callable[[Point], int]
) -> bool:
    """Tell whether [z]G = W + [c]P."""
    if proof.w.is_identity or not 0 <= proof.z < ORDER:
        return False
    return generator_multiple(proof.z) == proof.w + multiple(public, challenge(proof.w))


def prove_equality(
    secret: int, base: Point, challenge: Callable[[Point, Point], int], source: NonceSource
) -> EqualityProof:
    """Prove that the logarithms of [x]G and [x]base are equal."""
    nonce = draw_scalar(source)
    t1, t2 = generator_multiple(nonce), multiple_secret(base, nonce)
    return EqualityProof(t1=t1, t2=t2, z=(nonce + challenge(t1, t2) * secret) % ORDER)


def is_equality_proven(
    public: Point,
    base: Point,
    image: Point,
    proof: EqualityProof,
    challenge: Callable[[Point, Point], int],
) -> bool:
    """Tell whether [z]G = T1 + [c]P and [z]base = T2 + [c]image."""
    if proof.t1.is_identity or proof.t2.is_identity or not 0 < proof.z < ORDER:
        return False
    c = challenge(proof.t1, proof.t2)
    return generator_multiple(proof.z) == proof.t1 + multiple(public, c) and multiple(
        base, proof.z
    ) == proof.t2 + multiple(image, c)
