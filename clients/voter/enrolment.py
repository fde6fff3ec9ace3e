"""Enrolment from the device's side: from the commission's invitation to a receipt and a token.

The device believes nothing the commission says: the slot must be in the published eligible list,
the receipt signed by both keys of the manifest, the token valid. The entry is made once and kept
until it is answered, so that a repeated request carries the same bytes.

Spec: ENROL-DEVICE, ROLL-ENTRY, ROLL-COMMITMENT, TOKEN-BLIND, RECEIPT-ROLL.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from clients.voting.blind_signature import ADMISSION, BlindedToken, blind, finalize, token_message
from clients.voting.group import Point, decode_point
from clients.voting.manifest import Manifest
from clients.voting.randomness import NonceSource
from clients.voting.receipts import check_receipt, roll_receipt_hash
from clients.voting.roll import RollEntry, build_entry, compute_commitment, compute_leaf
from node.primitives.errors import InvalidInput
from node.primitives.merkle import is_included

SALT_SIZE: Final = 32
TOKEN_EXPONENT: Final = 65_537


class EnrolmentRefused(InvalidInput):
    """What the commission sent is not what the manifest promises; the message says what."""

    code = "voter.enrolment_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What the commission answers when an enrolment begins."""

    enrolment: str
    """Its name at the commission."""
    slot: bytes
    """The elector's slot."""
    style: int
    """Ballot style."""
    version: int
    """One more than the slot's last."""
    nonce: bytes
    """32 fresh bytes."""
    leaf_index: int
    """Place of the slot's leaf in the eligible list."""
    leaf_proof: tuple[bytes, ...]
    """Sibling hashes from the leaf to the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEnrolment:
    """An entry made, signed or not yet, and what is needed to finish."""

    invitation: Invitation
    """What it answers."""
    entry: RollEntry
    """The sealed entry; the card signs its text."""
    salt: bytes = field(repr=False)
    """Opens the commitment."""
    blinded: BlindedToken
    """The token's request and what unblinds the answer."""

    @property
    def commitment(self) -> bytes:
        """Return cm."""
        return compute_commitment(self.entry.digest, self.salt)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollReceipt:
    """The commission's promise that the entry is on the roll."""

    batch: int
    """Batch that will hold the commitment."""
    time_s: int
    """When it was accepted."""
    registrar: bytes
    """Signature of the registrar's receipt key."""
    attestor: bytes
    """Signature of the attestor's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """An accepted entry, as the device keeps it."""

    slot: bytes
    """The elector's slot."""
    style: int
    """Ballot style."""
    version: int
    """Version of the entry."""
    digest: bytes
    """D, which the card signed."""
    salt: bytes = field(repr=False)
    """Opens the commitment."""
    receipt: RollReceipt
    """The commission's promise."""
    token: bytes = field(repr=False)
    """Admits the key's first ballot."""

    @property
    def commitment(self) -> bytes:
        """Return cm."""
        return compute_commitment(self.digest, self.salt)


def token_key(manifest: Manifest) -> rsa.RSAPublicKey:
    """Return the commission's public key for tokens."""
    modulus = int(manifest.token_modulus, 16)
    return rsa.RSAPublicNumbers(e=TOKEN_EXPONENT, n=modulus).public_key()


def begin_enrolment(
    manifest: Manifest, invitation: Invitation, key: Point, source: NonceSource
) -> PendingEnrolment:
    """Check the invitation and seal an entry for ``key``.

    Raises:
        EnrolmentRefused: The slot is not in the eligible list, or the style is unknown.

    Spec: ENROL-DEVICE, ROLL-ENTRY.
    """
    eid = manifest.eid
    leaf = compute_leaf(invitation.slot, invitation.style)
    if not is_included(
        bytes.fromhex(manifest.eligible.root),
        leaf,
        invitation.leaf_proof,
        index=invitation.leaf_index,
        count=manifest.eligible.size,
    ):
        raise EnrolmentRefused("slot: not in the published eligible list", rule="ENROL-DEVICE")
    if invitation.style not in {style.style for style in manifest.styles}:
        raise EnrolmentRefused(f"style {invitation.style}: not in the manifest")
    entry = build_entry(
        eid=eid,
        slot=invitation.slot,
        style=invitation.style,
        version=invitation.version,
        nonce=invitation.nonce,
        key=key,
        roll_key=manifest.roll_point(),
        source=source,
    )
    message = token_message(eid, key)
    return PendingEnrolment(
        invitation=invitation,
        entry=entry,
        salt=source.draw(SALT_SIZE),
        blinded=blind(token_key(manifest), message, ADMISSION, source),
    )


def finish_enrolment(
    manifest: Manifest,
    pending: PendingEnrolment,
    key: Point,
    receipt: RollReceipt,
    signed_token: bytes,
) -> Enrolment:
    """Check the commission's answer and return what is kept.

    Raises:
        InvalidReceipt: The receipt is not signed by both keys of the manifest.
        InvalidToken: The commission did not sign what was sent.

    Spec: ENROL-DEVICE, RECEIPT-ROLL, TOKEN-BLIND.
    """
    check_roll_receipt(manifest, pending.commitment, receipt)
    message = token_message(manifest.eid, key)
    token = finalize(token_key(manifest), message, pending.blinded, signed_token, ADMISSION)
    return Enrolment(
        slot=pending.invitation.slot,
        style=pending.invitation.style,
        version=pending.invitation.version,
        digest=pending.entry.digest,
        salt=pending.salt,
        receipt=receipt,
        token=token,
    )


def check_roll_receipt(manifest: Manifest, commitment: bytes, receipt: RollReceipt) -> None:
    """Check both signatures of a roll receipt.

    Raises:
        InvalidReceipt: One is not by the manifest's key.

    Spec: RECEIPT-ROLL.
    """
    commission = manifest.registrars[0]
    digest = roll_receipt_hash(manifest.eid, commitment, receipt.batch, receipt.time_s)
    check_receipt(digest, receipt.registrar, decode_point(bytes.fromhex(commission.receipt_key)))
    check_receipt(digest, receipt.attestor, decode_point(bytes.fromhex(commission.attestor_key)))
