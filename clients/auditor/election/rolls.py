"""The public side of the roll: eligible list, batches, active lists.

Spec: ROLL-LEAF, ROLLC-BATCH, ROLLC-FREEZE, MERKLE-TREE.
"""

from hashlib import sha256
from itertools import pairwise

from clients.auditor.checks import Worksheet
from clients.auditor.election import checks
from clients.auditor.election.records import ChainRecord, ElectionManifest
from node.primitives.merkle import compute_root


def split_hashes(data: bytes) -> list[bytes] | None:
    """Return the 32-byte values of a file, or None when they are not ascending or not whole."""
    if len(data) % 32:
        return None
    values = [data[at : at + 32] for at in range(0, len(data), 32)]
    if any(a >= b for a, b in pairwise(values)):
        return None
    return values


def audit_eligible(data: bytes, manifest: ElectionManifest, sheet: Worksheet) -> list[bytes]:
    """Check the published eligible list and return its leaves."""
    leaves = split_hashes(data)
    expected = (manifest.eligible.root, manifest.eligible.size, manifest.eligible.file_digest)
    found: tuple[object, ...] = ("unsorted, repeated or broken leaves",)
    if leaves is not None:
        found = (compute_root(leaves).hex(), len(leaves), sha256(data).hexdigest())
    sheet.compare(checks.ELIGIBLE, "eligible.bin", expected=expected, found=found)
    return leaves or []


def audit_batches(chain: ChainRecord, manifest: ElectionManifest, sheet: Worksheet) -> None:
    """Check the numbers of batches, and that no more entries froze than were posted."""
    commission = [manifest.registrars[0].municipality]
    before = 0
    for number, batch in enumerate(chain.batches):
        sheet.ask(
            checks.BATCHES,
            f"batch {batch.number}",
            is_met=batch.number == number and batch.height >= before,
            expected=f"number {number} at height {before} or later",
            found=f"number {batch.number} at height {batch.height}",
            blame=commission,
        )
        before = batch.height
    posted = sum(batch.entry_count for batch in chain.batches)
    frozen = sum(style.count for style in chain.frozen)
    sheet.ask(
        checks.BATCHES,
        "all batches",
        is_met=frozen <= posted and frozen <= manifest.eligible.size,
        expected=f"at most {min(posted, manifest.eligible.size)} active entries",
        found=frozen,
        blame=commission,
    )


def audit_frozen(
    files: dict[int, bytes | None], chain: ChainRecord, manifest: ElectionManifest, sheet: Worksheet
) -> dict[int, list[bytes]]:
    """Check every style's active list and return its commitments.

    Args:
        files: Per style, its file; None when it is not in the record.
        chain: What the contracts say.
        manifest: The election's.
        sheet: Takes the answers.
    """
    commission = [manifest.registrars[0].municipality]
    styles = [style.style for style in manifest.styles]
    sheet.compare(
        checks.FROZEN,
        "styles",
        expected=styles,
        found=sorted(each.style for each in chain.frozen),
        blame=commission,
    )
    active: dict[int, list[bytes]] = {}
    for each in chain.frozen:
        data = files.get(each.style)
        if data is None and each.count:
            sheet.leave_open(f"style {each.style}: no file of active entries", checks.FROZEN)
            continue
        values = split_hashes(data or b"")
        found: tuple[object, ...] = ("unsorted, repeated or broken commitments",)
        if values is not None:
            digest = sha256(data or b"").hexdigest()
            found = (compute_root(values).hex(), len(values), digest)
        sheet.compare(
            checks.FROZEN,
            f"style {each.style}",
            expected=(each.root, each.count, each.file_digest),
            found=found,
            blame=commission,
        )
        active[each.style] = values or []
    return active
