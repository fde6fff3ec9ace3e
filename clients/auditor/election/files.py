"""Which files a record must have, and whether they are the ones that the chain has digests of.

Spec: AUDIT-ELECTION-FILES, ELECTION-INCIDENT.
"""

from collections.abc import Iterable

from clients.auditor.checks import Worksheet
from clients.auditor.election import checks
from clients.auditor.election.records import ChainRecord, ElectionManifest, Folder

INCIDENT_STEP = 1_000
"""The bulletin's step of incident n is this and n."""

INCIDENTS_MAX = 1_000


def audit_files(
    manifest: ElectionManifest, chain: ChainRecord, folder: Folder, sheet: Worksheet
) -> None:
    """Ask whether every file that a digest speaks of is in the record."""
    for path, blame in wanted_files(manifest, chain):
        sheet.ask(
            checks.FILES_COMPLETE,
            path,
            is_met=folder.has(path),
            expected="in the record",
            found="absent, or another file",
            blame=blame,
        )


def audit_incidents(chain: ChainRecord, folder: Folder, sheet: Worksheet) -> list[str]:
    """Hold every municipality's incidents against the digests that the bulletin has of them.

    Returns:
        A note for the reader on each text that was withheld.

    Spec: ELECTION-INCIDENT.
    """
    counts: dict[int, int] = {}
    notes: list[str] = []
    for post in chain.bulletin:
        if not INCIDENT_STEP < post.step <= INCIDENT_STEP + INCIDENTS_MAX:
            continue
        path = f"incidents/{post.municipality}-{post.step - INCIDENT_STEP}.json"
        counts[post.municipality] = counts.get(post.municipality, 0) + 1
        sheet.compare(
            checks.FILES_COMPLETE,
            f"number of {path}",
            expected=counts[post.municipality],
            found=post.step - INCIDENT_STEP,
            blame=[f"municipality number {post.municipality}"],
        )
        if not folder.has(path):
            notes.append(f"{path}: withheld; its digest is {post.digest}")
            continue
        sheet.compare(
            checks.FILES_COMPLETE,
            path,
            expected=post.digest,
            found=folder.listed_digest(path),
            blame=[f"municipality number {post.municipality}"],
        )
    return notes


def wanted_files(manifest: ElectionManifest, chain: ChainRecord) -> Iterable[tuple[str, list[str]]]:
    """Yield the path of every file that a digest speaks of, and who answers for it.

    Spec: AUDIT-ELECTION-FILES.
    """
    for path in ("dkg/ballot.json", "dkg/roll.json", "eligible.bin"):
        yield path, []
    yield from ((name, []) for name in ("ballots.bin", "withdrawals.bin"))
    commission = [manifest.registrars[0].municipality]
    for style in chain.frozen:
        if style.count:
            yield f"roll/active-{style.style}.bin", commission
    for each in chain.lists:
        if each.kind == "ballots":
            yield f"lists/{each.label}-0.bin", []
        for turn in each.rounds:
            if turn.is_valid:
                blame = [manifest.trustee_name(turn.mixer)]
                yield f"lists/{each.label}-{turn.round}.bin", blame
                yield f"mixes/{each.label}-{turn.round}.bin", blame
        for share in each.shares:
            blame = [manifest.trustee_name(share.trustee)]
            yield f"shares/{each.label}-{share.trustee}.bin", blame
            yield f"shares/{each.label}-{share.trustee}.proof", blame
