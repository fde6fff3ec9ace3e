"""Small real elections for the voting tests: seeded randomness, keys, lists, proofs."""

import hashlib
from dataclasses import dataclass, field

from clients.voting.ciphertexts import CiphertextList, ListContext, ListKind, encrypt_column
from clients.voting.dkg import (
    DealerSecret,
    KeyGeneration,
    KeyPurpose,
    Reveal,
    Trustee,
    deal,
    derive_public,
    derive_share,
)
from clients.voting.group import (
    GENERATOR,
    Point,
    PointVector,
    combine_fixed,
    fixed_base,
    generator_multiple,
)
from clients.voting.randomness import draw_scalar, draw_scalars
from clients.voting.shuffle import ShuffleSecret, prove_shuffle, shuffle
from clients.voting.shuffle_proof import ShuffleProof, ShuffleStatement

EID = hashlib.sha256(b"an election").digest()


@dataclass
class SeededNonces:
    """A ``NonceSource`` that repeats itself for equal seeds: SHA-256 in counter mode."""

    seed: str = "tests"
    drawn: int = field(default=0)

    def draw(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        blocks = []
        for _ in range(-(-size // 32)):
            blocks.append(hashlib.sha256(f"{self.seed}/{self.drawn}".encode()).digest())
            self.drawn += 1
        return b"".join(blocks)[:size]


def ballots_context(*, eid: bytes = EID, race: int = 1, at_round: int = 1) -> ListContext:
    """Return the context of a race's list."""
    return ListContext(eid=eid, kind=ListKind.BALLOTS, list_id=race, round=at_round)


def points(count: int, source: SeededNonces) -> PointVector:
    """Return random points."""
    return combine_fixed([(fixed_base(GENERATOR), draw_scalars(source, count))])


def encrypted_list(
    keys: tuple[Point, ...], count: int, source: SeededNonces
) -> tuple[CiphertextList, list[PointVector]]:
    """Return a list of ``count`` random rows and its plaintexts per column."""
    plain = [points(count, source) for _ in keys]
    columns = [
        encrypt_column(messages, key, draw_scalars(source, count))
        for key, messages in zip(keys, plain, strict=True)
    ]
    return CiphertextList(tuple(columns)), plain


def proven_shuffle(
    count: int, width: int = 1, seed: str = "shuffle"
) -> tuple[ShuffleStatement, ShuffleProof, ShuffleSecret]:
    """Return an honest shuffle of ``count`` random rows with its proof."""
    source = SeededNonces(seed)
    keys = tuple(generator_multiple(draw_scalar(source)) for _ in range(width))
    inputs, _ = encrypted_list(keys, count, source)
    outputs, secret = shuffle(inputs, keys, source)
    statement = ShuffleStatement(
        context=ballots_context(), keys=keys, inputs=inputs, outputs=outputs
    )
    return statement, prove_shuffle(statement, secret, source), secret


@dataclass(frozen=True, kw_only=True)
class Trustees:
    """The outcome of an honest key generation."""

    run: KeyGeneration
    encryption_secrets: tuple[int, ...]
    dealings: dict[int, tuple[DealerSecret, Reveal]]
    key: Point
    share_keys: tuple[Point, ...]
    shares: tuple[int, ...]


def key_generation(
    count: int = 4, threshold: int = 3, purpose: KeyPurpose = KeyPurpose.BALLOTS
) -> Trustees:
    """Run an honest key generation among ``count`` trustees."""
    source = SeededNonces(f"dkg-{count}-{threshold}-{purpose.name}")
    secrets = tuple(draw_scalars(source, count))
    trustees = tuple(
        Trustee(node=generator_multiple(draw_scalar(source)), encryption=generator_multiple(secret))
        for secret in secrets
    )
    run = KeyGeneration(
        chain_id=1,
        registry=b"\x11" * 20,
        draft_id=b"\x22" * 32,
        purpose=purpose,
        threshold=threshold,
        trustees=trustees,
    )
    dealings = {dealer: deal(run, dealer, source) for dealer in range(1, count + 1)}
    key, share_keys = derive_public({i: reveal for i, (_, reveal) in dealings.items()}, count)
    shares = tuple(
        derive_share({i: secret.share_for(j) for i, (secret, _) in dealings.items()})
        for j in range(1, count + 1)
    )
    return Trustees(
        run=run,
        encryption_secrets=secrets,
        dealings=dealings,
        key=key,
        share_keys=share_keys,
        shares=shares,
    )
