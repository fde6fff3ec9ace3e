"""Receipts that voters hand in: promises of the commission and of relays, held against the record.

Spec: RECEIPT-ROLL, RECEIPT-BALLOT.
"""

from collections.abc import Collection, Mapping

from clients.auditor.checks import Worksheet
from clients.auditor.election import checks
from clients.auditor.election.ballots import is_signed_by
from clients.auditor.election.records import (
    BallotReceipt,
    ElectionManifest,
    RollReceipt,
    point_of,
)
from clients.auditor.election.transcripts import BALLOT_RECEIPT, ROLL_RECEIPT, int_bytes


def is_signed(key: str, digest: bytes, signature: str) -> bool:
    """Tell whether a key given as P33 signed a digest, in canonical form."""
    return is_signed_by(point_of(key).encode_xy(), digest, bytes.fromhex(signature))


def audit_ballot_receipt(
    receipt: BallotReceipt,
    *,
    name: str,
    eid: bytes,
    manifest: ElectionManifest,
    heights: Mapping[bytes, int],
    last_height: int,
    sheet: Worksheet,
) -> None:
    """Hold a relay to its promise.

    Args:
        receipt: As handed in.
        name: Of its file.
        eid: The election.
        manifest: Names the relays.
        heights: Height of every recorded ballot, by ballot hash.
        last_height: Of the record.
        sheet: Takes the answer.

    Spec: RECEIPT-BALLOT.
    """
    relay = next((each for each in manifest.relays if each.account == receipt.relay), None)
    digest = BALLOT_RECEIPT.digest(
        eid, bytes.fromhex(receipt.ballot_hash), int_bytes(receipt.deadline, 8)
    )
    if relay is None or not is_signed(relay.receipt_key, digest, receipt.signature):
        sheet.leave_open(f"{name}: not signed by a relay of the election", checks.BALLOT_RECEIPTS)
        return
    if receipt.deadline > last_height:
        sheet.leave_open(
            f"{name}: its deadline, height {receipt.deadline}, is after the record's",
            checks.BALLOT_RECEIPTS,
        )
        return
    height = heights.get(bytes.fromhex(receipt.ballot_hash))
    sheet.ask(
        checks.BALLOT_RECEIPTS,
        name,
        is_met=height is not None and height <= receipt.deadline,
        expected=f"ballot {receipt.ballot_hash[:16]}… by height {receipt.deadline}",
        found="never recorded" if height is None else f"at height {height}",
        blame=[relay.municipality],
    )


def audit_roll_receipt(
    receipt: RollReceipt,
    *,
    name: str,
    eid: bytes,
    manifest: ElectionManifest,
    active: Collection[bytes],
    known: Collection[bytes] | None,
    batch_count: int,
    sheet: Worksheet,
) -> None:
    """Hold the commission to its promise.

    An entry that is not active may have been replaced or cancelled. An accredited audit has all
    entries and asks of each whether it should be active; a receipt for none of them is a broken
    promise.

    Args:
        receipt: As handed in.
        name: Of its file.
        eid: The election.
        manifest: Names the registrars.
        active: The commitments of all active lists.
        known: The commitments of all entries, when the restricted data are at hand.
        batch_count: Of the roll.
        sheet: Takes the answer.

    Spec: RECEIPT-ROLL.
    """
    commission = manifest.registrars[0]
    commitment = bytes.fromhex(receipt.commitment)
    digest = ROLL_RECEIPT.digest(
        eid, commitment, int_bytes(receipt.batch, 4), int_bytes(receipt.time, 8)
    )
    is_genuine = is_signed(
        commission.receipt_key, digest, receipt.registrar_signature
    ) and is_signed(commission.attestor_key, digest, receipt.attestor_signature)
    if not is_genuine:
        sheet.leave_open(f"{name}: not signed by the commission", checks.ROLL_RECEIPTS)
        return
    if known is not None:
        sheet.ask(
            checks.ROLL_RECEIPTS,
            name,
            is_met=commitment in known,
            expected=f"entry {receipt.commitment[:16]}… among the accepted ones",
            found="none of them",
            blame=[commission.municipality],
        )
    elif commitment not in active:
        sheet.leave_open(
            f"{name}: entry {receipt.commitment[:16]}… is not active; replaced, cancelled or left"
            " out, which an accredited audit tells",
            checks.ROLL_RECEIPTS,
        )
    sheet.ask(
        checks.ROLL_RECEIPTS,
        name,
        is_met=receipt.batch < batch_count,
        expected=f"batch {receipt.batch} on the ledger",
        found=f"{batch_count} batches",
        blame=[commission.municipality],
    )
