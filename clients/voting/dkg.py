"""Distributed key generation: n trustees make a key that t of them can use and t-1 cannot.

Commit, reveal, share, check, derive; every message is public or encrypted to one trustee, and every
fault names its author. A run with a fault is repeated from the start. The trustee's process keeps
``DealerSecret`` and the derived share; everything else goes on the record.

Spec: DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import partial

from clients.voting.decryption import compute_share_key
from clients.voting.encoding import (
    decode_scalar,
    encode_i2,
    encode_i8,
    encode_scalar,
    hash_to_scalar,
    tagged_hash,
)
from clients.voting.group import (
    ORDER,
    Point,
    generator_multiple,
    multiple_secret,
    sum_points,
)
from clients.voting.randomness import NonceSource, draw_scalar, draw_scalars
from clients.voting.schnorr import (
    EqualityProof,
    KnowledgeProof,
    is_equality_proven,
    is_knowledge_proven,
    prove_equality,
    prove_knowledge,
)
from node.primitives.errors import InvalidInput


class InvalidDealing(InvalidInput):
    """A message of the key generation that breaks the protocol; ``values`` names its author."""

    code = "voting.invalid_dealing"


class KeyPurpose(Enum):
    """What the generated key encrypts."""

    BALLOTS = b"B"
    ROLL = b"R"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trustee:
    """One municipality's keys in a key generation."""

    node: Point
    """Chain key."""
    encryption: Point
    """EK_j, to which shares are encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGeneration:
    """The parameters of one run, and its identifier."""

    chain_id: int
    """Chain the record lies on."""
    registry: bytes
    """20 bytes: address of the election contract."""
    draft_id: bytes
    """32 random bytes of the draft."""
    purpose: KeyPurpose
    """Ballots or roll."""
    threshold: int
    """t."""
    trustees: tuple[Trustee, ...]
    """All n, in the manifest's order."""

    @property
    def did(self) -> bytes:
        """Return the run's identifier, which binds every parameter."""
        keys = b"".join(each.node.encode() + each.encryption.encode() for each in self.trustees)
        return tagged_hash(
            "JMEV1/did",
            encode_i8(self.chain_id)
            + self.registry
            + self.draft_id
            + self.purpose.value
            + encode_i2(len(self.trustees))
            + encode_i2(self.threshold)
            + keys,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DealerSecret:
    """A dealer's polynomial; never leaves its process."""

    coefficients: tuple[int, ...]
    """a_0..a_(t-1)."""

    def __repr__(self) -> str:
        """Show nothing of the secret."""
        return "DealerSecret(...)"

    def share_for(self, index: int) -> int:
        """Return f(index)."""
        value = 0
        for coefficient in reversed(self.coefficients):
            value = (value * index + coefficient) % ORDER
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """A dealer's opened commitments."""

    commitments: tuple[Point, ...]
    """A_0..A_(t-1)."""
    proof: KnowledgeProof
    """Of a_0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedShare:
    """f_i(j), encrypted to trustee j."""

    ephemeral: Point
    """E = [e]G."""
    ciphertext: bytes
    """32 bytes: S32(share) xor key."""


class Verdict(StrEnum):
    """Who is at fault after a complaint."""

    DEALER = "dealer"
    COMPLAINER = "complainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Trustee j opens one share of dealer i to everyone."""

    shared: Point
    """S = [ek_j]E."""
    proof: EqualityProof
    """That S is right."""


def prove_encryption_key(
    secret: int, *, chain_id: int, registry: bytes, node: Point, source: NonceSource
) -> KnowledgeProof:
    """Prove possession of an encryption key when it is registered."""
    challenge = partial(_ek_challenge, chain_id, registry, node, generator_multiple(secret))
    return prove_knowledge(secret, challenge, source)


def is_encryption_key_proven(
    key: Point, proof: KnowledgeProof, *, chain_id: int, registry: bytes, node: Point
) -> bool:
    """Tell whether the holder of ``node`` proved possession of ``key``."""
    return is_knowledge_proven(key, proof, partial(_ek_challenge, chain_id, registry, node, key))


def _ek_challenge(chain_id: int, registry: bytes, node: Point, key: Point, w: Point) -> int:
    points = node.encode() + key.encode() + w.encode()
    return hash_to_scalar("JMEV1/ek-pok", encode_i8(chain_id) + registry + points)


def deal(run: KeyGeneration, dealer: int, source: NonceSource) -> tuple[DealerSecret, Reveal]:
    """Draw a polynomial and the reveal that opens it; publish ``compute_commitment`` first.

    Spec: DKG-COMMIT.
    """
    secret = DealerSecret(coefficients=tuple(draw_scalars(source, run.threshold)))
    commitments = tuple(generator_multiple(value) for value in secret.coefficients)
    challenge = partial(_pok_challenge, run.did, dealer, commitments)
    proof = prove_knowledge(secret.coefficients[0], challenge, source)
    return secret, Reveal(commitments=commitments, proof=proof)


def _pok_challenge(did: bytes, dealer: int, commitments: Sequence[Point], w: Point) -> int:
    points = b"".join(point.encode() for point in (*commitments, w))
    return hash_to_scalar("JMEV1/dkg-pok", did + encode_i2(dealer) + points)


def compute_commitment(run: KeyGeneration, dealer: int, reveal: Reveal) -> bytes:
    """Return the hash a dealer posts before anyone reveals.

    Spec: DKG-COMMIT.
    """
    points = b"".join(point.encode() for point in (*reveal.commitments, reveal.proof.w))
    return tagged_hash(
        "JMEV1/dkg-commit",
        run.did + encode_i2(dealer) + points + encode_scalar(reveal.proof.z),
    )


def check_reveal(run: KeyGeneration, dealer: int, reveal: Reveal, commitment: bytes) -> None:
    """Check a dealer's reveal against what it committed to.

    Raises:
        InvalidDealing: Wrong degree, another commitment, or no proof of the constant term.

    Spec: DKG-COMMIT.
    """
    if len(reveal.commitments) != run.threshold:
        raise InvalidDealing(
            f"dealer {dealer}: {len(reveal.commitments)} coefficients, expected {run.threshold}",
            rule="DKG-COMMIT",
            dealer=dealer,
        )
    if compute_commitment(run, dealer, reveal) != commitment:
        raise InvalidDealing(
            f"dealer {dealer}: reveals something else than it committed to",
            rule="DKG-COMMIT",
            dealer=dealer,
        )
    challenge = partial(_pok_challenge, run.did, dealer, reveal.commitments)
    if not is_knowledge_proven(reveal.commitments[0], reveal.proof, challenge):
        raise InvalidDealing(
            f"dealer {dealer}: does not know its constant term", rule="DKG-COMMIT", dealer=dealer
        )


def encrypt_share(
    run: KeyGeneration, dealer: int, recipient: int, secret: DealerSecret, source: NonceSource
) -> EncryptedShare:
    """Encrypt dealer i's share for trustee j (1-based).

    Spec: DKG-SHARE.
    """
    drawn = draw_scalar(source)
    ephemeral = generator_multiple(drawn)
    shared = multiple_secret(run.trustees[recipient - 1].encryption, drawn)
    key = _share_key(run.did, dealer, recipient, ephemeral, shared)
    plain = encode_scalar(secret.share_for(recipient))
    return EncryptedShare(ephemeral=ephemeral, ciphertext=_xor(plain, key))


def _share_key(did: bytes, dealer: int, recipient: int, ephemeral: Point, shared: Point) -> bytes:
    indices = encode_i2(dealer) + encode_i2(recipient)
    return tagged_hash("JMEV1/dkg-share", did + indices + ephemeral.encode() + shared.encode())


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def open_share(
    run: KeyGeneration, dealer: int, recipient: int, share: EncryptedShare, secret: int
) -> bytes:
    """Decrypt trustee j's share with its encryption key; the value is still to be checked."""
    shared = multiple_secret(share.ephemeral, secret)
    key = _share_key(run.did, dealer, recipient, share.ephemeral, shared)
    return _xor(share.ciphertext, key)


def is_share_consistent(data: bytes, recipient: int, commitments: Sequence[Point]) -> bool:
    """Tell whether an opened share lies on the committed polynomial.

    Spec: DKG-SHARE.
    """
    try:
        value = decode_scalar(data)
    except InvalidInput:
        return False
    return generator_multiple(value) == compute_share_key([commitments], recipient)


def complain(
    run: KeyGeneration,
    dealer: int,
    recipient: int,
    share: EncryptedShare,
    secret: int,
    source: NonceSource,
) -> Complaint:
    """Open one share to everyone, proving that it is opened right.

    Spec: DKG-COMPLAINT.
    """
    shared = multiple_secret(share.ephemeral, secret)
    challenge = partial(_complaint_challenge, run, dealer, recipient, share, shared)
    proof = prove_equality(secret, share.ephemeral, challenge, source)
    return Complaint(shared=shared, proof=proof)


def _complaint_challenge(
    run: KeyGeneration,
    dealer: int,
    recipient: int,
    share: EncryptedShare,
    shared: Point,
    t1: Point,
    t2: Point,
) -> int:
    key = run.trustees[recipient - 1].encryption
    points = b"".join(point.encode() for point in (key, share.ephemeral, shared, t1, t2))
    indices = encode_i2(dealer) + encode_i2(recipient)
    return hash_to_scalar("JMEV1/dkg-complaint", run.did + indices + points)


def judge_complaint(
    run: KeyGeneration,
    dealer: int,
    recipient: int,
    share: EncryptedShare,
    complaint: Complaint,
    commitments: Sequence[Point],
) -> Verdict:
    """Say who is at fault: everyone who runs this on the public record agrees.

    Spec: DKG-COMPLAINT.
    """
    is_opened = is_equality_proven(
        run.trustees[recipient - 1].encryption,
        share.ephemeral,
        complaint.shared,
        complaint.proof,
        partial(_complaint_challenge, run, dealer, recipient, share, complaint.shared),
    )
    if not is_opened:
        return Verdict.COMPLAINER
    key = _share_key(run.did, dealer, recipient, share.ephemeral, complaint.shared)
    is_right = is_share_consistent(_xor(share.ciphertext, key), recipient, commitments)
    return Verdict.COMPLAINER if is_right else Verdict.DEALER


def derive_public(reveals: Mapping[int, Reveal], count: int) -> tuple[Point, tuple[Point, ...]]:
    """Return the public key Y and every trustee's share key P_1..P_n.

    Spec: DKG-DERIVE.
    """
    key = sum_points(reveal.commitments[0] for reveal in reveals.values())
    commitments = [reveals[dealer].commitments for dealer in sorted(reveals)]
    return key, tuple(compute_share_key(commitments, index) for index in range(1, count + 1))


def derive_share(shares: Mapping[int, int]) -> int:
    """Return a trustee's secret share x_j, the sum of what every dealer sent it."""
    return sum(shares.values()) % ORDER


def confirm(
    run: KeyGeneration,
    index: int,
    secret: int,
    key: Point,
    share_keys: Sequence[Point],
    source: NonceSource,
) -> KnowledgeProof:
    """Confirm that trustee j holds its share of the derived key.

    Spec: DKG-DERIVE.
    """
    challenge = partial(_confirm_challenge, run.did, index, key, share_keys)
    return prove_knowledge(secret, challenge, source)


def is_confirmed(
    run: KeyGeneration,
    index: int,
    proof: KnowledgeProof,
    key: Point,
    share_keys: Sequence[Point],
) -> bool:
    """Tell whether trustee j confirmed its share.

    Spec: DKG-DERIVE.
    """
    challenge = partial(_confirm_challenge, run.did, index, key, share_keys)
    return is_knowledge_proven(share_keys[index - 1], proof, challenge)


def _confirm_challenge(
    did: bytes, index: int, key: Point, share_keys: Sequence[Point], w: Point
) -> int:
    points = b"".join(point.encode() for point in (key, *share_keys, w))
    return hash_to_scalar("JMEV1/dkg-confirm", did + encode_i2(index) + points)
