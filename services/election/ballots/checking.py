"""Everything a relay checks of a ballot before it promises to bring it to the box.

The box would refuse what is refused here; a promise for such a ballot could not be kept. Cheap
checks come first: form, token, number, then proofs and signature.

Spec: CAST-CHECK, TOKEN-VERIFY, BALLOT-POK, BALLOT-SIGNATURE.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from clients.voting.ballot import Ballot, BallotCore, check_ballot, decode_core
from clients.voting.batch import V_OFFSET
from clients.voting.blind_signature import check_token, token_message
from clients.voting.manifest import Manifest
from node.primitives.crypto import check_canonical
from node.primitives.errors import InvalidInput
from node.primitives.types import Signature
from services.kit.problems import Conflict, Refusal

TOKEN_SIZE: Final = 256
TOKEN_EXPONENT: Final = 65_537


class BallotRefused(Refusal):
    """A ballot that the box would refuse, or a key without a token."""

    code = "election.ballot_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TokenNeeded(Refusal):
    """The first ballot of a key comes without a token of the commission."""

    code = "election.token_needed"
    status = HTTPStatus.FORBIDDEN


class NotNext(Conflict):
    """The ballot is not the next of its key."""

    code = "election.not_next"


class KeyWithdrawn(Conflict):
    """The key was withdrawn."""

    code = "election.key_withdrawn"


class NotOpen(Conflict):
    """The election takes no ballots now."""

    code = "election.not_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStanding:
    """What a relay knows of a ballot key: the box's record and its own queue."""

    recorded: int = 0
    """Number of the last ballot in the box, 0 for none."""
    queued: int = 0
    """Number of the last ballot waiting here, 0 for none."""
    is_withdrawn: bool = False
    """The key is out."""

    @property
    def next_sequence(self) -> int:
        """Return the only number a new ballot may have."""
        return max(self.recorded, self.queued) + 1


def check_open(manifest: Manifest, *, now_s: int, margin_s: int) -> None:
    """Refuse ballots outside the window; the margin leaves time to bring them to the box.

    Raises:
        NotOpen: It is too early, or too late to promise anything.

    Spec: CAST-CHECK, BOX-WINDOW.
    """
    if not manifest.opens_at <= now_s < manifest.closes_at - margin_s:
        raise NotOpen("the election takes no ballots now", rule="CAST-CHECK")


def decode_ballot(manifest: Manifest, core: bytes, signature: bytes) -> Ballot:
    """Decode a ballot's two parts and check its form.

    Args:
        manifest: The election.
        core: The core.
        signature: r, s, v with v 27 or 28.

    Raises:
        BallotRefused: Malformed, of another election or style, or with a signature the box refuses.

    Spec: CAST-CHECK, BALLOT-CORE.
    """
    if len(signature) != 65 or signature[64] - V_OFFSET not in (0, 1):
        raise BallotRefused("signature: expected 65 bytes with v 27 or 28", rule="BALLOT-SIGNATURE")
    parity = bytes([signature[64] - V_OFFSET])
    try:
        decoded = decode_core(core)
        check_canonical(signature[:64] + parity)
    except InvalidInput as error:
        raise BallotRefused(error.message, rule=error.rule) from error
    if decoded.eid != manifest.eid:
        raise BallotRefused("ballot of another election", rule="CAST-CHECK")
    return Ballot(core=decoded, signature=Signature(signature[:64] + parity))


def check_admission(
    manifest: Manifest, core: BallotCore, standing: KeyStanding, token: bytes | None
) -> None:
    """Check that the ballot is its key's next, and that a new key has a token.

    Raises:
        KeyWithdrawn: The key is out.
        NotNext: Another number is due, or the key has had all its ballots.
        TokenNeeded: A first ballot without a valid token.

    Spec: CAST-CHECK, TOKEN-VERIFY, BOX-SEQUENCE.
    """
    if standing.is_withdrawn:
        raise KeyWithdrawn("the key was withdrawn", rule="BOX-WITHDRAW")
    if core.sequence != standing.next_sequence or core.sequence > manifest.limits.max_sequence:
        raise NotNext(
            f"ballot {core.sequence} of its key, {standing.next_sequence} is due",
            rule="BOX-SEQUENCE",
            due=standing.next_sequence,
        )
    if core.sequence == 1:
        check_first(manifest, core, token)


def check_first(manifest: Manifest, core: BallotCore, token: bytes | None) -> None:
    """Check the admission token of a key's first ballot.

    Raises:
        TokenNeeded: There is none, or it is not this key's.

    Spec: TOKEN-VERIFY.
    """
    if token is None or len(token) != TOKEN_SIZE:
        raise TokenNeeded("a key's first ballot needs a token", rule="TOKEN-VERIFY")
    numbers = rsa.RSAPublicNumbers(e=TOKEN_EXPONENT, n=int(manifest.token_modulus, 16))
    try:
        check_token(numbers.public_key(), token_message(core.eid, core.key), token)
    except InvalidInput as error:
        raise TokenNeeded(error.message, rule="TOKEN-VERIFY") from error


def check_proofs(manifest: Manifest, ballot: Ballot) -> None:
    """Check races, every proof and the signature, as the box does.

    Raises:
        BallotRefused: One does not hold.

    Spec: CAST-CHECK, BALLOT-POK, BALLOT-SIGNATURE.
    """
    races = {style.style: style.races for style in manifest.styles}.get(ballot.core.style)
    if races is None:
        raise BallotRefused("unknown ballot style", rule="CAST-CHECK")
    try:
        check_ballot(ballot, eid=manifest.eid, races=races)
    except InvalidInput as error:
        raise BallotRefused(error.message, rule=error.rule) from error
