"""Check or send: a ballot is fixed before the device learns whether it will be checked.

The device shows the ballot hash first. Asked to check, it reveals what it encrypted and the ballot
is thrown away; a second device recomputes it. Asked to send, only then is it signed, and what would
open it is dropped. Texts are what the QR codes hold.

Spec: BALLOT-CHECK, BALLOT-SIGNATURE, VOTE-CHOICES.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from clients.voting.ballot import (
    Ballot,
    BallotCore,
    InvalidBallot,
    Opening,
    build_core,
    check_opening,
    compute_ballot_hash,
    decode_core,
    sign_core,
)
from clients.voting.encoding import decode_scalar, encode_i2, encode_scalar
from clients.voting.group import decode_point_xy
from clients.voting.manifest import Manifest
from clients.voting.randomness import NonceSource
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput

PROMISE_PREFIX: Final = "daicho-ballot:1:"
OPENING_PREFIX: Final = "daicho-opening:1:"
TEXT_LENGTH_MAX: Final = 64_000
"""Longest text read from a code."""

_OPENING_SIZE: Final = 68
BLANK: Final = 0


class InvalidChoice(InvalidInput):
    """A choice that the voter's ballot does not offer; the message says which."""

    code = "voter.invalid_choice"


class BallotSpent(InvalidInput):
    """A prepared ballot that was checked or sent already; another must be made."""

    code = "voter.ballot_spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedChoice:
    """One race as a second device read it out of a checked ballot."""

    race: int
    """Race id."""
    candidate: int
    """Number of the candidate, 0 for blank."""
    race_name: str
    """Name of the race."""
    candidate_name: str
    """Name of the candidate, empty for blank."""


class PreparedBallot:
    """A ballot fixed and not yet checked or sent; either, once."""

    def __init__(self, core: BallotCore, openings: tuple[Opening, ...]) -> None:
        """Hold what was encrypted until it is decided."""
        self.core = core
        self._openings: tuple[Opening, ...] | None = openings

    def __repr__(self) -> str:
        """Show the hash alone."""
        return f"PreparedBallot({self.hash.hex()[:16]})"

    @property
    def hash(self) -> bytes:
        """Return d."""
        return compute_ballot_hash(self.core.encode())

    @property
    def promise(self) -> str:
        """Return the text of the first code: the election and d."""
        return f"{PROMISE_PREFIX}{self.core.eid.hex()}:{self.hash.hex()}"

    def reveal(self) -> str:
        """Give the ballot up and return the text of the second code.

        Raises:
            BallotSpent: It was checked or sent already.

        Spec: BALLOT-CHECK.
        """
        openings = self._spend()
        packed = b"".join(_encode_opening(opening) for opening in openings)
        core = self.core.encode()
        data = encode_i2(len(core)) + core + packed
        return OPENING_PREFIX + base64.urlsafe_b64encode(data).decode("ascii")

    def seal(self, key: PrivateKey) -> Ballot:
        """Sign the ballot and drop what would open it.

        Raises:
            BallotSpent: It was checked or sent already.

        Spec: BALLOT-CHECK, BALLOT-SIGNATURE.
        """
        self._spend()
        return sign_core(self.core, key)

    def _spend(self) -> tuple[Opening, ...]:
        openings, self._openings = self._openings, None
        if openings is None:
            raise BallotSpent("ballot: checked or sent already; make another", rule="BALLOT-CHECK")
        return openings


def races_of(manifest: Manifest, style: int) -> tuple[int, ...]:
    """Return the races of a style, ascending.

    Raises:
        InvalidChoice: The manifest has no such style.
    """
    for each in manifest.styles:
        if each.style == style:
            return tuple(each.races)
    raise InvalidChoice(f"style {style}: not in the manifest", rule="VOTE-CHOICES")


def prepare_ballot(
    manifest: Manifest,
    *,
    style: int,
    key: PrivateKey,
    sequence: int,
    choices: Mapping[int, int],
    source: NonceSource,
) -> PreparedBallot:
    """Encrypt one choice for every race of a style; a race left out is not a blank vote.

    Args:
        manifest: The election.
        style: The voter's ballot style.
        key: The ballot key.
        sequence: One more than the key's last ballot.
        choices: Candidate by race; 0 is blank.
        source: Randomness of the device.

    Raises:
        InvalidChoice: A race is missing or foreign, or a candidate is not in it.

    Spec: VOTE-CHOICES, BALLOT-CORE.
    """
    races = races_of(manifest, style)
    if sorted(choices) != list(races):
        raise InvalidChoice(
            f"choices for races {sorted(choices)}, the ballot has {list(races)}",
            rule="VOTE-CHOICES",
        )
    for race in manifest.races:
        if race.race in choices and not 0 <= choices[race.race] <= len(race.candidates):
            raise InvalidChoice(f"race {race.race}: no such candidate", rule="VOTE-CHOICES")
    core, openings = build_core(
        eid=manifest.eid,
        style=style,
        key=decode_point_xy(key.public_key[1:]),
        sequence=sequence,
        choices=[(race, choices[race]) for race in races],
        election_key=manifest.ballot_point(),
        source=source,
    )
    return PreparedBallot(core, openings)


def check_on_second_device(
    manifest: Manifest, promise: str, opening: str
) -> tuple[CheckedChoice, ...]:
    """Recompute a checked ballot from its two texts and return what it holds.

    Raises:
        InvalidBallot: A text is malformed, of another election, or the ballot does not hold what
            was shown.

    Spec: BALLOT-CHECK.
    """
    eid, shown = _decode_promise(promise)
    if eid != manifest.eid:
        raise InvalidBallot("code: of another election", rule="BALLOT-CHECK")
    core, openings = _decode_openings(opening)
    if core.eid != eid or compute_ballot_hash(core.encode()) != shown:
        raise InvalidBallot("the ballot opened is not the one promised first", rule="BALLOT-CHECK")
    if [choice.race for choice in core.choices] != list(races_of(manifest, core.style)):
        raise InvalidBallot("races: not those of the ballot's style", rule="BALLOT-CHECK")
    check_opening(core, openings, manifest.ballot_point())
    return tuple(_name_choice(manifest, opening) for opening in openings)


def _name_choice(manifest: Manifest, opening: Opening) -> CheckedChoice:
    race = next(each for each in manifest.races if each.race == opening.race)
    if opening.candidate > len(race.candidates):
        raise InvalidBallot(f"race {race.race}: holds no candidate", rule="BALLOT-CHECK")
    names = ["", *(candidate.name for candidate in race.candidates)]
    return CheckedChoice(
        race=race.race,
        candidate=opening.candidate,
        race_name=race.name,
        candidate_name=names[opening.candidate],
    )


def _decode_promise(text: str) -> tuple[bytes, bytes]:
    parts = text.strip().removeprefix(PROMISE_PREFIX).split(":")
    try:
        eid, shown = (bytes.fromhex(part) for part in parts)
    except ValueError as error:
        raise InvalidBallot("first code: malformed", rule="BALLOT-CHECK") from error
    if not text.strip().startswith(PROMISE_PREFIX) or len(eid) != 32 or len(shown) != 32:
        raise InvalidBallot("first code: malformed", rule="BALLOT-CHECK")
    return eid, shown


def _decode_openings(text: str) -> tuple[BallotCore, tuple[Opening, ...]]:
    text = text.strip()
    if not text.startswith(OPENING_PREFIX) or len(text) > TEXT_LENGTH_MAX:
        raise InvalidBallot("second code: malformed", rule="BALLOT-CHECK")
    try:
        data = base64.b64decode(text.removeprefix(OPENING_PREFIX), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidBallot("second code: malformed", rule="BALLOT-CHECK") from error
    size = int.from_bytes(data[:2], "big")
    core = decode_core(data[2 : 2 + size])
    packed = data[2 + size :]
    if len(packed) != _OPENING_SIZE * len(core.choices):
        raise InvalidBallot("second code: not one opening for each race", rule="BALLOT-CHECK")
    starts = range(0, len(packed), _OPENING_SIZE)
    return core, tuple(_decode_opening(packed[at : at + _OPENING_SIZE]) for at in starts)


def _encode_opening(opening: Opening) -> bytes:
    head = encode_i2(opening.race) + encode_i2(opening.candidate)
    return head + encode_scalar(opening.randomness) + encode_scalar(opening.nonce)


def _decode_opening(data: bytes) -> Opening:
    return Opening(
        race=int.from_bytes(data[:2], "big"),
        candidate=int.from_bytes(data[2:4], "big"),
        randomness=decode_scalar(data[4:36], is_nonzero=True),
        nonce=decode_scalar(data[36:], is_nonzero=True),
    )
