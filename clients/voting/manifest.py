"""The election manifest: everything fixed before the first ballot, and the id that binds it.

The election id is a hash of the manifest's canonical JSON (RFC 8785), so every proof and signature
that contains the id binds candidates, keys, windows, roles and limits too. Only strings, integers,
lists and objects occur; canonical form needs no floating point.

Spec: ELECTION-MANIFEST, ELECTION-ID.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clients.voting.encoding import tagged_hash
from clients.voting.group import Point, decode_point
from node.primitives import canonical
from node.primitives.canonical import INTEGER_MAX, NotCanonical
from node.primitives.errors import InvalidInput

VERSION: Final = 1
MANIFEST_SIZE_MAX: Final = 1_048_576


class InvalidManifest(InvalidInput):
    """A manifest that breaks a rule; the message names the field."""

    code = "election.invalid_manifest"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_HEX32 = r"^[0-9a-f]{64}$"
_POINT = r"^0[23][0-9a-f]{64}$"
_ADDRESS = r"^0x[0-9a-f]{40}$"
_URL = r"^https?://[!-~]{1,200}$"
_NAME = Field(min_length=1, max_length=200)


class Candidate(_Part):
    """A choice of a race; number 0 is the blank vote and is not listed."""

    number: int = Field(ge=1, le=65_535)
    name: str = _NAME


class Race(_Part):
    """One question on the ballot."""

    race: int = Field(ge=0, le=65_535)
    name: str = _NAME
    candidates: list[Candidate] = Field(min_length=1, max_length=1_000)


class Style(_Part):
    """Which races a group of electors votes in."""

    style: int = Field(ge=0, le=65_535)
    name: str = _NAME
    races: list[int] = Field(min_length=1, max_length=64)


class TrusteeKeys(_Part):
    """One municipality's part: its node key and its shares of both keys."""

    municipality: str = _NAME
    municipality_id: int = Field(ge=1, le=255)
    account: str = Field(pattern=_ADDRESS)
    node: str = Field(pattern=_POINT)
    encryption_key: str = Field(pattern=_POINT)
    ballot_share: str = Field(pattern=_POINT)
    roll_share: str = Field(pattern=_POINT)
    url: str = Field(pattern=_URL)


class Registrar(_Part):
    """The commission, first of the list, or a witness of it."""

    municipality: str = _NAME
    account: str = Field(pattern=_ADDRESS)
    receipt_key: str = Field(pattern=_POINT)
    attestor_key: str = Field(pattern=r"^(0[23][0-9a-f]{64})?$")
    """Empty for a witness."""


class BallotRelay(_Part):
    """Who takes ballots and brings them to the box."""

    municipality: str = _NAME
    account: str = Field(pattern=_ADDRESS)
    receipt_key: str = Field(pattern=_POINT)
    url: str = Field(pattern=_URL)


class Limits(_Part):
    """Bounds that the contract enforces; ``cast_blocks`` is the deadline of a ballot receipt."""

    max_sequence: int = Field(ge=1, le=1_000)
    min_interval_s: int = Field(ge=0, le=86_400)
    max_rekey: int = Field(ge=0, le=100)
    mix_time_s: int = Field(ge=10, le=86_400)
    cast_blocks: int = Field(ge=1, le=100_000)


class EligibleList(_Part):
    """The published list of eligible slots."""

    root: str = Field(pattern=_HEX32)
    size: int = Field(ge=0, le=INTEGER_MAX)
    file_digest: str = Field(pattern=_HEX32)


class Manifest(_Part):
    """Everything fixed before the first ballot."""

    version: int = Field(ge=VERSION, le=VERSION)
    chain_id: int = Field(ge=1, le=INTEGER_MAX)
    registry: str = Field(pattern=_ADDRESS)
    draft_id: str = Field(pattern=_HEX32)
    is_mock: bool
    title: str = _NAME
    opens_at: int = Field(ge=0, le=INTEGER_MAX)
    closes_at: int = Field(ge=0, le=INTEGER_MAX)
    freezes_at: int = Field(ge=0, le=INTEGER_MAX)
    styles: list[Style] = Field(min_length=1, max_length=1_000)
    races: list[Race] = Field(min_length=1, max_length=1_000)
    threshold: int = Field(ge=1, le=64)
    trustees: list[TrusteeKeys] = Field(min_length=1, max_length=64)
    ballot_key: str = Field(pattern=_POINT)
    roll_key: str = Field(pattern=_POINT)
    ballot_transcript: str = Field(pattern=_HEX32)
    roll_transcript: str = Field(pattern=_HEX32)
    registrars: list[Registrar] = Field(min_length=1, max_length=64)
    attestations: int = Field(ge=1, le=64)
    relays: list[BallotRelay] = Field(min_length=1, max_length=64)
    token_modulus: str = Field(pattern=r"^[0-9a-f]{512}$")
    limits: Limits
    eligible: EligibleList
    mixers: list[int] = Field(min_length=1, max_length=64)
    min_mixes: int = Field(ge=1, le=64)
    profile: str = Field(pattern=r"^P$")

    @model_validator(mode="after")
    def _check_whole(self) -> "Manifest":
        """Check what no single field can say."""
        count = len(self.trustees)
        _require(self.opens_at < self.closes_at <= self.freezes_at, "windows are out of order")
        _require(self.threshold <= count, "threshold above the number of trustees")
        _require(_is_ascending([race.race for race in self.races]), "races are not ascending")
        _require(_is_ascending([style.style for style in self.styles]), "styles are not ascending")
        known = {race.race for race in self.races}
        for style in self.styles:
            _require(_is_ascending(style.races), f"races of style {style.style} not ascending")
            _require(set(style.races) <= known, f"style {style.style} names an unknown race")
        for race in self.races:
            numbers = [candidate.number for candidate in race.candidates]
            expected = list(range(1, len(numbers) + 1))
            _require(numbers == expected, f"candidates of race {race.race} not numbered from 1")
        _require(
            len(set(self.mixers)) == len(self.mixers)
            and all(1 <= mixer <= count for mixer in self.mixers),
            "mixers are not distinct trustees",
        )
        _require(self.min_mixes <= len(self.mixers), "more mixes demanded than mixers named")
        self._check_parties()
        return self

    def _check_parties(self) -> None:
        """Check that nobody has a role twice, as the contract does."""
        _require(bool(self.registrars[0].attestor_key), "the commission has no attestor key")
        _require(
            self.threshold <= len(self.registrars) and self.attestations <= len(self.registrars),
            "more registrars demanded than named",
        )
        for what, values in (
            ("municipality", [trustee.municipality_id for trustee in self.trustees]),
            ("account", [trustee.account for trustee in self.trustees]),
        ):
            _require(len(set(values)) == len(values), f"two trustees have one {what}")
        accounts = [registrar.account for registrar in self.registrars]
        _require(len(set(accounts)) == len(accounts), "two registrars have one account")

    @property
    def eid(self) -> bytes:
        """Return the election id, 32 bytes.

        Spec: ELECTION-ID.
        """
        return tagged_hash("JMEV1/eid", self.encode())

    def encode(self) -> bytes:
        """Return the canonical JSON.

        Spec: ELECTION-MANIFEST.
        """
        return encode_canonical(self.model_dump(mode="json"))

    def ballot_point(self) -> Point:
        """Return Y_B."""
        return decode_point(bytes.fromhex(self.ballot_key))

    def roll_point(self) -> Point:
        """Return Y_R."""
        return decode_point(bytes.fromhex(self.roll_key))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _is_ascending(numbers: list[int]) -> bool:
    return all(a < b for a, b in pairwise(numbers))


def encode_canonical(value: Mapping[str, Any]) -> bytes:
    """Return RFC 8785 canonical JSON of strings, integers, booleans, lists and objects.

    Raises:
        InvalidManifest: A float, or an integer that JSON numbers do not keep exact.

    Spec: ELECTION-MANIFEST.
    """
    try:
        return canonical.encode_canonical(value)
    except NotCanonical as error:
        raise InvalidManifest(error.message) from error


def decode_manifest(data: bytes) -> Manifest:
    """Decode a manifest that must already be in canonical form.

    Raises:
        InvalidManifest: Not JSON, not canonical, too long, or a field breaks its rule.

    Spec: ELECTION-MANIFEST.
    """
    if len(data) > MANIFEST_SIZE_MAX:
        raise InvalidManifest(f"manifest of {len(data)} bytes", rule="ELECTION-MANIFEST")
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "manifest"
        raise InvalidManifest(f"{place}: {first['msg']}", rule="ELECTION-MANIFEST") from None
    except RecursionError:
        raise InvalidManifest("manifest nested too deep", rule="ELECTION-MANIFEST") from None
    if manifest.encode() != data:
        raise InvalidManifest("manifest is not in canonical form", rule="ELECTION-MANIFEST")
    return manifest
