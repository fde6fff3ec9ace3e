"""The terms that contracts enforce, as the manifest has them, and the calls that announce them.

``Elections.announce`` takes what contracts need of the manifest. Whether that is the manifest's is
checked by every municipality before it votes, and by whoever reads the announced event afterwards.

Spec: ELECTION-TERMS.
"""

from typing import Final

from clients.voting.manifest import Manifest
from node.primitives.abi import MalformedAbi, decode, encode
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput

TERMS_TYPE: Final = (
    "(bytes32,bool,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,"
    "uint256[],address[],uint256[],address[],address[],(uint256,uint256)[],(uint256,uint256)[])"
)
"""ABI type of the terms; the names are ``TERM_NAMES``."""

TERM_NAMES: Final = (
    "draft_id",
    "is_mock",
    "opens_at",
    "closes_at",
    "freezes_at",
    "max_sequence",
    "min_interval_s",
    "mix_time_s",
    "threshold",
    "attestations",
    "min_mixes",
    "trustees",
    "trustee_accounts",
    "mixers",
    "registrars",
    "relays",
    "races",
    "style_races",
)
"""Names of the terms, in the contract's order."""

ANNOUNCE: Final = f"announce(bytes32,{TERMS_TYPE})"
"""Signature of the call."""

TermValue = (
    bytes | bool | int | str | tuple[int, ...] | tuple[str, ...] | tuple[tuple[int, int], ...]
)
"""A term as the ABI decodes it: ids in bytes, addresses in text, lists as tuples."""

Terms = tuple[TermValue, ...]
"""The terms, in the order of ``TERM_NAMES``."""


class TermsDiffer(InvalidInput):
    """Announced terms that are not the manifest's; the message names the first that differs."""

    code = "election.terms_differ"


def terms_of(manifest: Manifest) -> Terms:
    """Return the terms of a manifest, as the contract takes them.

    Spec: ELECTION-TERMS.
    """
    limits = manifest.limits
    return (
        bytes.fromhex(manifest.draft_id),
        manifest.is_mock,
        manifest.opens_at,
        manifest.closes_at,
        manifest.freezes_at,
        limits.max_sequence,
        limits.min_interval_s,
        limits.mix_time_s,
        manifest.threshold,
        manifest.attestations,
        manifest.min_mixes,
        tuple(trustee.municipality_id for trustee in manifest.trustees),
        tuple(trustee.account for trustee in manifest.trustees),
        tuple(manifest.mixers),
        tuple(registrar.account for registrar in manifest.registrars),
        tuple(relay.account for relay in manifest.relays),
        tuple((race.race, len(race.candidates)) for race in manifest.races),
        tuple((style.style, race) for style in manifest.styles for race in style.races),
    )


def encode_announcement(manifest: Manifest) -> bytes:
    """Return the call data with which a municipality votes for an election.

    Spec: ELECTION-TERMS.
    """
    selector = keccak256(ANNOUNCE.encode())[:4]
    return selector + encode(["bytes32", TERMS_TYPE], [manifest.eid, terms_of(manifest)])


def decode_terms(data: bytes) -> Terms:
    """Return the terms of an ``Announced`` event from its data.

    Raises:
        TermsDiffer: Not the data of such an event.
    """
    try:
        (terms,) = decode([TERMS_TYPE], data)
    except MalformedAbi as error:
        raise TermsDiffer("terms: not an announcement's", rule="ELECTION-TERMS") from error
    return tuple(_freeze(value) for value in terms)


def _freeze(value: object) -> TermValue:
    if isinstance(value, list | tuple):
        return tuple(_freeze(each) for each in value)  # type: ignore[return-value]
    assert isinstance(value, bytes | bool | int | str)
    return value.lower() if isinstance(value, str) else value


def check_terms(manifest: Manifest, eid: bytes, terms: Terms) -> None:
    """Check that an announcement's id and terms are the manifest's.

    Raises:
        TermsDiffer: One is not; the message names it.

    Spec: ELECTION-ID, ELECTION-TERMS.
    """
    if manifest.eid != eid:
        raise TermsDiffer(
            "eid: the manifest's id is another than the announced", rule="ELECTION-ID"
        )
    for name, expected, found in zip(TERM_NAMES, terms_of(manifest), terms, strict=True):
        if expected != found:
            raise TermsDiffer(
                f"{name}: announced otherwise than in the manifest", rule="ELECTION-TERMS"
            )
