"""A manifest put together from a plan, the municipalities' public parts and the keys they made.

Spec: ELECTION-MANIFEST, ELECTION-PLAN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clients.voting.ceremony import Transcript
from clients.voting.manifest import Manifest, decode_manifest, encode_canonical
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from node.primitives.merkle import compute_root

LEAF_SIZE = 32


class PlanRefused(InvalidInput):
    """A plan and its parts that do not fit together; the message says where."""

    code = "election.plan_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """The public parts of one municipality, as its operator hands them to the others."""

    municipality: str
    """Its name."""
    number: int
    """Its number in ``Municipalities``."""
    account: str
    """Account of its relay."""
    node: str
    """Public key of its node."""
    receipt_key: str
    """Public key of its receipts."""
    url: str
    """Where its election service answers."""
    attestor_key: str = ""
    """Public key of its attestor; of the commission alone."""
    token_modulus: str = ""
    """Modulus of its token key; of the commission alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What officials decide about an election."""

    title: str
    """Its title."""
    is_mock: bool
    """A rehearsal without effect."""
    opens_at: int
    """First second in which ballots are taken."""
    closes_at: int
    """First second in which they are not."""
    freezes_at: int
    """From when the roll is frozen; after the paper polls."""
    races: Sequence[tuple[int, str, Sequence[str]]]
    """Number, name and candidates of each race."""
    styles: Sequence[tuple[int, str, Sequence[int]]]
    """Number, name and races of each ballot style."""
    attestations: int
    """Registrars behind a batch of the roll."""
    mixers: Sequence[int]
    """Trustees in the order in which they mix."""
    min_mixes: int
    """Least number of valid mixes."""
    limits: Mapping[str, int]
    """As the manifest has them."""


def build_manifest(
    plan: Plan,
    parties: Sequence[Party],
    *,
    draft_id: bytes,
    transcripts: tuple[tuple[bytes, Transcript], tuple[bytes, Transcript]],
    eligible: bytes,
) -> Manifest:
    """Put the manifest together.

    Args:
        plan: What officials decided.
        parties: The municipalities in the trustees' order; the first is the commission.
        draft_id: Under which the keys were made.
        transcripts: Digest and content of the ballot key's and the roll key's.
        eligible: The sorted leaves of the eligible list.

    Raises:
        PlanRefused: Keys were made by others, or the commission's parts are missing.
        InvalidManifest: A field breaks its rule.

    Spec: ELECTION-PLAN, ELECTION-MANIFEST.
    """
    (ballot_digest, ballots), (roll_digest, roll) = transcripts
    numbers = [trustee.municipality_id for trustee in ballots.trustees]
    if numbers != [party.number for party in parties]:
        raise PlanRefused("parties: not those who made the keys, in their order")
    if not parties[0].attestor_key or not parties[0].token_modulus:
        raise PlanRefused("parties: the first names no attestor or token key; it is the commission")
    leaves = [eligible[at : at + LEAF_SIZE] for at in range(0, len(eligible), LEAF_SIZE)]
    fields: dict[str, Any] = {
        "version": 1,
        "chain_id": ballots.chain_id,
        "registry": ballots.registry,
        "draft_id": draft_id.hex(),
        "is_mock": plan.is_mock,
        "title": plan.title,
        "opens_at": plan.opens_at,
        "closes_at": plan.closes_at,
        "freezes_at": plan.freezes_at,
        "styles": [
            {"style": style, "name": name, "races": list(races)}
            for style, name, races in plan.styles
        ],
        "races": _write_races(plan),
        "threshold": ballots.threshold,
        "trustees": _write_trustees(parties, ballots, roll),
        "ballot_key": ballots.public_key,
        "roll_key": roll.public_key,
        "ballot_transcript": ballot_digest.hex(),
        "roll_transcript": roll_digest.hex(),
        "registrars": [
            {
                "municipality": party.municipality,
                "account": party.account,
                "receipt_key": party.receipt_key,
                "attestor_key": party.attestor_key if at == 0 else "",
            }
            for at, party in enumerate(parties)
        ],
        "attestations": plan.attestations,
        "relays": [
            {
                "municipality": party.municipality,
                "account": party.account,
                "receipt_key": party.receipt_key,
                "url": party.url,
            }
            for party in parties
        ],
        "token_modulus": parties[0].token_modulus,
        "limits": dict(plan.limits),
        "eligible": {
            "root": compute_root(leaves).hex(),
            "size": len(leaves),
            "file_digest": sha256(eligible).hex(),
        },
        "mixers": list(plan.mixers),
        "min_mixes": plan.min_mixes,
        "profile": "P",
    }
    return decode_manifest(encode_canonical(fields))


def _write_races(plan: Plan) -> list[dict[str, object]]:
    return [
        {
            "race": race,
            "name": name,
            "candidates": [
                {"number": at, "name": candidate} for at, candidate in enumerate(candidates, 1)
            ],
        }
        for race, name, candidates in plan.races
    ]


def _write_trustees(
    parties: Sequence[Party], ballots: Transcript, roll: Transcript
) -> list[dict[str, object]]:
    return [
        {
            "municipality": party.municipality,
            "municipality_id": party.number,
            "account": party.account,
            "node": party.node,
            "encryption_key": trustee.encryption_key,
            "ballot_share": ballots.share_keys[at],
            "roll_share": roll.share_keys[at],
            "url": party.url,
        }
        for at, (party, trustee) in enumerate(zip(parties, ballots.trustees, strict=True))
    ]
