"""Both key generations, from their published transcripts.

Spec: DKG-COMMIT, DKG-COMPLAINT, DKG-DERIVE.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clients.auditor.checks import Worksheet
from clients.auditor.election import checks
from clients.auditor.election.keys import (
    Dealing,
    Dispute,
    Generation,
    Knowledge,
    confirmation_challenge,
    derive,
    encryption_key_challenge,
    find_dealing_fault,
    is_dealer_at_fault,
)
from clients.auditor.election.mixes import small_sum
from clients.auditor.election.records import (
    ElectionManifest,
    Rehearsal,
    Transcript,
    TranscriptComplaint,
    point_of,
)
from clients.auditor.election.shares import compute_coefficients
from clients.auditor.election.transcripts import InvalidRecord
from clients.voting.group import ORDER, Point


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyClaim:
    """What the manifest says of one of the two keys."""

    purpose: str
    """B or R."""
    key: str
    """P33 of Y."""
    share_keys: tuple[str, ...]
    """P33 of every P_j."""


def key_claims(manifest: ElectionManifest) -> tuple[KeyClaim, KeyClaim]:
    """Return what the manifest says of ballot key and roll key."""
    return (
        KeyClaim(
            purpose="B",
            key=manifest.ballot_key,
            share_keys=tuple(each.ballot_share for each in manifest.trustees),
        ),
        KeyClaim(
            purpose="R",
            key=manifest.roll_key,
            share_keys=tuple(each.roll_share for each in manifest.trustees),
        ),
    )


def audit_ceremony(
    transcript: Transcript, claim: KeyClaim, manifest: ElectionManifest, sheet: Worksheet
) -> None:
    """Check one key generation against the manifest."""
    name = f"key {claim.purpose}"
    expected = (
        manifest.draft_id,
        claim.purpose,
        manifest.chain_id,
        manifest.registry,
        manifest.threshold,
        [(each.municipality_id, each.node, each.encryption_key) for each in manifest.trustees],
    )
    found = (
        transcript.draft_id,
        transcript.purpose,
        transcript.chain_id,
        transcript.registry,
        transcript.threshold,
        [(each.municipality_id, each.node, each.encryption_key) for each in transcript.trustees],
    )
    sheet.ask(
        checks.KEYS_RUN,
        name,
        is_met=expected == found,
        expected=expected[:5],
        found=found[:5] if found[:5] != expected[:5] else "other trustees",
    )
    count = len(transcript.trustees)
    parts = (transcript.commitments, transcript.reveals, transcript.shares)
    is_whole = all(len(part) == count for part in (*parts, transcript.confirmations))
    sheet.ask(
        checks.KEYS_DEALINGS,
        name,
        is_met=is_whole,
        expected=f"{count} dealers and confirmations",
        found=[len(part) for part in parts],
    )
    if is_whole:
        _Ceremony(transcript, claim, manifest, sheet).check()


class _Ceremony:
    """One complete transcript."""

    def __init__(
        self, transcript: Transcript, claim: KeyClaim, manifest: ElectionManifest, sheet: Worksheet
    ) -> None:
        self._transcript, self._claim = transcript, claim
        self._manifest, self._sheet = manifest, sheet
        self._run = Generation(
            chain_id=transcript.chain_id,
            registry=bytes.fromhex(transcript.registry[2:]),
            draft_id=bytes.fromhex(transcript.draft_id),
            purpose=transcript.purpose.encode("ascii"),
            threshold=transcript.threshold,
            trustees=tuple(
                (point_of(each.node), point_of(each.encryption_key)) for each in transcript.trustees
            ),
        )
        self._dealings = [
            Dealing(
                commit=bytes.fromhex(commit),
                points=tuple(map(point_of, reveal.coefficients)),
                proof=Knowledge(w=point_of(reveal.w), z=int(reveal.z, 16)),
            )
            for commit, reveal in zip(transcript.commitments, transcript.reveals, strict=True)
        ]

    def check(self) -> None:
        self._check_encryption_keys()
        for number, dealing in enumerate(self._dealings, 1):
            fault = find_dealing_fault(self._run, number, dealing)
            self._sheet.ask(
                checks.KEYS_DEALINGS,
                self._subject(number),
                is_met=fault is None,
                expected="a dealing as committed to, and its proof",
                found=fault,
                blame=[self._manifest.trustee_name(number)],
            )
        self._sheet.count(checks.KEYS_COMPLAINTS, len(self._dealings))
        for complaint in self._transcript.complaints:
            self._judge(complaint)
        self._check_derived()
        self._check_rehearsal()

    def _subject(self, number: int) -> str:
        return f"key {self._claim.purpose}, {self._manifest.trustee_name(number)}"

    def _check_encryption_keys(self) -> None:
        for number, each in enumerate(self._transcript.trustees, 1):
            node, key = self._run.trustees[number - 1]
            proof = Knowledge(w=point_of(each.proof.w), z=int(each.proof.z, 16))
            c = encryption_key_challenge(self._run.chain_id, self._run.registry, node, key, proof.w)
            self._sheet.ask(
                checks.KEYS_ENCRYPTION,
                self._subject(number),
                is_met=proof.holds(key, c),
                expected="a proof of the encryption key",
                found="none that holds",
                blame=[self._manifest.trustee_name(number)],
            )

    def _judge(self, complaint: TranscriptComplaint) -> None:
        shares = self._transcript.shares
        count = len(shares)
        share = None
        if complaint.dealer <= count and complaint.complainer <= len(shares[complaint.dealer - 1]):
            share = shares[complaint.dealer - 1][complaint.complainer - 1]
        at_fault = complaint.complainer
        if share is not None and complaint.complainer <= count:
            dispute = Dispute(
                dealer=complaint.dealer,
                complainer=complaint.complainer,
                e=point_of(share.e),
                ciphertext=bytes.fromhex(share.ciphertext),
                s=point_of(complaint.s),
                t1=point_of(complaint.t1),
                t2=point_of(complaint.t2),
                z=int(complaint.z, 16),
            )
            if is_dealer_at_fault(self._run, dispute, self._dealings[complaint.dealer - 1]):
                at_fault = complaint.dealer
        name = self._manifest.trustee_name(at_fault)
        self._sheet.ask(
            checks.KEYS_COMPLAINTS,
            self._subject(complaint.complainer),
            is_met=False,
            expected="a run without complaint",
            found=f"a complaint about {self._manifest.trustee_name(complaint.dealer)}",
            blame=[name],
        )

    def _check_derived(self) -> None:
        key, share_keys = derive(self._dealings, len(self._dealings))
        texts = [each.encode().hex() for each in (key, *share_keys)]
        own = [self._transcript.public_key, *self._transcript.share_keys]
        name = f"key {self._claim.purpose}"
        manifest = [self._claim.key, *self._claim.share_keys]
        self._sheet.compare(checks.KEYS_DERIVED, name, expected=texts, found=manifest)
        self._sheet.compare(checks.KEYS_DERIVED, f"{name}, file", expected=texts, found=own)
        for number, each in enumerate(self._transcript.confirmations, 1):
            proof = Knowledge(w=point_of(each.w), z=int(each.z, 16))
            c = confirmation_challenge(self._run.did, number, key, share_keys, proof.w)
            self._sheet.ask(
                checks.KEYS_CONFIRMED,
                self._subject(number),
                is_met=proof.holds(share_keys[number - 1], c),
                expected="a proof of the share",
                found="none that holds",
                blame=[self._manifest.trustee_name(number)],
            )

    def _check_rehearsal(self) -> None:
        subsets = set()
        for rehearsal in self._transcript.rehearsal:
            fault = _find_rehearsal_fault(rehearsal, self._transcript)
            self._sheet.ask(
                checks.KEYS_REHEARSAL,
                f"key {self._claim.purpose}, trustees {rehearsal.subset}",
                is_met=fault is None,
                expected="the test point",
                found=fault,
            )
            subsets.add(tuple(sorted(rehearsal.subset)))
        count = len(self._transcript.trustees)
        needed = 1 if self._transcript.threshold == count else 2
        self._sheet.ask(
            checks.KEYS_REHEARSAL,
            f"key {self._claim.purpose}",
            is_met=len(subsets) >= needed,
            expected=f"{needed} different groups of trustees",
            found=len(subsets),
        )


def _find_rehearsal_fault(rehearsal: Rehearsal, transcript: Transcript) -> str | None:
    """Return what is wrong with one rehearsal, or None.

    The shares' equality proofs are not asked about: a wrong share gives another point.
    """
    numbers = sorted(share.trustee for share in rehearsal.shares)
    if numbers != sorted(rehearsal.subset) or len(numbers) < transcript.threshold:
        return f"shares of {numbers}"
    if numbers[-1] > len(transcript.trustees):
        return "a trustee that is none"
    parts: dict[int, Point] = {each.trustee: point_of(each.d) for each in rehearsal.shares}
    return None if _decrypts_to(rehearsal, parts, numbers) else "another point"


def _decrypts_to(rehearsal: Rehearsal, parts: dict[int, Point], numbers: Sequence[int]) -> bool:
    try:
        coefficients = compute_coefficients(numbers)
    except InvalidRecord:
        return False
    masked = small_sum((parts[at], ORDER - value) for at, value in coefficients.items())
    message = point_of(rehearsal.b) + masked
    return not message.is_identity and message == point_of(rehearsal.message)
