"""Receipts of an election: what a registrar, an attestor or a ballot relay signs, and how to check.

A receipt is a promise that its holder can show to anyone: that an entry is on the roll, that a
ballot will stand in the box by a height. Its signature is 65 bytes r, s, v with low s and v 27 or
28, by a key that the manifest names for nothing else.

Spec: RECEIPT-SIGNATURE, RECEIPT-ROLL, RECEIPT-BALLOT.
"""

from typing import Final

from clients.voting.ballot import address_of_key
from clients.voting.encoding import encode_i4, encode_i8, tagged_hash
from clients.voting.group import Point
from node.primitives.crypto import InvalidSignature, PrivateKey, recover_address
from node.primitives.errors import InvalidInput

SIGNATURE_SIZE: Final = 65
V_OFFSET: Final = 27
"""What is added to the parity of a signature, as the precompile takes it."""


class InvalidReceipt(InvalidInput):
    """A receipt that is not signed by the key it should be; the message says which."""

    code = "voting.invalid_receipt"


def roll_receipt_hash(eid: bytes, commitment: bytes, batch: int, time_s: int) -> bytes:
    """Return what registrar and attestor sign for a roll entry.

    Args:
        eid: The election.
        commitment: cm of the entry.
        batch: Number of the batch that will hold it.
        time_s: When it was accepted.

    Spec: RECEIPT-ROLL.
    """
    message = eid + commitment + encode_i4(batch) + encode_i8(time_s)
    return tagged_hash("JMEV1/roll-receipt", message)


def ballot_receipt_hash(eid: bytes, ballot_hash: bytes, deadline: int) -> bytes:
    """Return what a relay signs: that the ballot stands in the box at height ``deadline``.

    Spec: RECEIPT-BALLOT.
    """
    return tagged_hash("JMEV1/ballot-receipt", eid + ballot_hash + encode_i8(deadline))


def sign_receipt(digest: bytes, key: PrivateKey) -> bytes:
    """Return the 65 bytes of a receipt's signature.

    Spec: RECEIPT-SIGNATURE.
    """
    signature = key.sign(digest)
    return signature[:64] + bytes([signature[64] + V_OFFSET])


def check_receipt(digest: bytes, signature: bytes, signer: Point) -> None:
    """Check that ``signer`` signed a receipt's digest.

    Raises:
        InvalidReceipt: It did not, or the signature is not canonical.

    Spec: RECEIPT-SIGNATURE.
    """
    if len(signature) != SIGNATURE_SIZE or signature[64] not in (V_OFFSET, V_OFFSET + 1):
        raise InvalidReceipt("receipt: expected 65 bytes with v 27 or 28", rule="RECEIPT-SIGNATURE")
    try:
        found = recover_address(digest, signature[:64] + bytes([signature[64] - V_OFFSET]))
    except InvalidSignature as error:
        raise InvalidReceipt(f"receipt: {error.message}", rule="RECEIPT-SIGNATURE") from error
    if found != address_of_key(signer):
        raise InvalidReceipt(
            "receipt: not signed by the key that the manifest names", rule="RECEIPT-SIGNATURE"
        )
