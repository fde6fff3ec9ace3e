"""Every list from its start to its messages: mixes in turn, verdicts, shares, combination.

Spec: TALLY-ROUND, MIX-VERIFY, DEC-SHARE, DEC-COMBINE.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from clients.auditor.checks import Worksheet
from clients.auditor.election import checks
from clients.auditor.election.lists import CipherRows, Context
from clients.auditor.election.mixes import Mix, MixCheck, small_sum, weights_of
from clients.auditor.election.records import (
    ChainList,
    ChainRound,
    ElectionManifest,
    Folder,
)
from clients.auditor.election.shares import (
    ShareClaim,
    check_share,
    combine,
    compute_coefficients,
)
from clients.auditor.election.transcripts import DEC_LIST, int_bytes
from clients.voting.group import decode_point, decode_vector, msm
from node.primitives.errors import InvalidInput

_KINDS: Final = {"ballots": b"B", "roll": b"R"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MixJob:
    """One mix to check, by the places of its files."""

    eid: bytes
    """The election."""
    kind: bytes
    """B or R."""
    number: int
    """Race or style."""
    round: int
    """Place of the mixer."""
    key: bytes
    """P33 of the ciphertexts' key."""
    before: Path | bytes
    """Input list, or its bytes where it was rebuilt and is in no file."""
    after: Path
    """Output list."""
    proof: Path
    """Proof file."""


def find_mix_fault(job: MixJob, generators: bytes) -> str | None:
    """Return what is wrong with a mix, or None; runs in a worker.

    Args:
        job: The mix.
        generators: Joined P33 of h_1.., at least as many as rows.

    Spec: MIX-VERIFY.
    """
    try:
        given = job.before if isinstance(job.before, bytes) else job.before.read_bytes()
        before, after = CipherRows(given), CipherRows(job.after.read_bytes())
        mix = Mix(
            context=Context(eid=job.eid, kind=job.kind, number=job.number, round=job.round),
            key=decode_point(job.key),
            before=before,
            after=after,
        )
        bases = decode_vector(generators[: 33 * len(before)])
        check = MixCheck(mix, job.proof.read_bytes(), bases)
    except InvalidInput as error:
        return error.message
    if check.is_valid(os.urandom):
        return None
    names = check.faults()
    return f"equations {', '.join(names[:5])} do not hold ({len(names)} in all)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareJob:
    """One trustee's share of a list to check, by the places of its files."""

    context: Context
    """The list."""
    trustee: int
    """j."""
    share_key: bytes
    """P33 of P_j."""
    rows: Path
    """The final list."""
    shares: Path
    """Its shares."""
    proof: Path
    """Its proof."""


def find_share_fault(job: ShareJob, shares_digest: bytes, proof_digest: bytes) -> str | None:
    """Return what is wrong with a share, or None; runs in a worker.

    Spec: DEC-SHARE.
    """
    data, proof = job.shares.read_bytes(), job.proof.read_bytes()
    digest = DEC_LIST.digest(
        job.context.encode(), int_bytes(job.trustee, 2), int_bytes(len(data) // 33, 8), data
    )
    if (digest, sha256(proof).digest()) != (shares_digest, proof_digest):
        return "files with other digests than the ledger has"
    try:
        claim = ShareClaim(
            context=job.context,
            rows=CipherRows(job.rows.read_bytes()),
            trustee=job.trustee,
            share_key=decode_point(job.share_key),
        )
        check_share(claim, data, proof)
    except InvalidInput as error:
        return error.message
    return None


def combine_files(rows: Path, shares: Mapping[int, Path]) -> list[bytes | None]:
    """Return every row's message; runs in a worker.

    Spec: DEC-COMBINE.
    """
    vectors = {at: decode_vector(path.read_bytes()) for at, path in shares.items()}
    return combine(CipherRows(rows.read_bytes()), vectors)


def do_subsets_agree(
    shares: Mapping[int, Path], first: Sequence[int], other: Sequence[int]
) -> bool:
    """Tell whether two groups of trustees decrypt every row alike; runs in a worker.

    A random weighted sum over all rows is compared, so that an error in any row shows.

    Spec: DEC-COMBINE.
    """
    vectors = {at: decode_vector(shares[at].read_bytes()) for at in {*first, *other}}
    count = len(next(iter(vectors.values())))
    weights = [int(weight) for weight in weights_of(os.urandom, count)]
    sums = {at: msm(vector, weights, 128) for at, vector in vectors.items()}
    left, right = (
        small_sum((sums[at], value) for at, value in compute_coefficients(group).items())
        for group in (first, other)
    )
    return left == right


class ListAudit:
    """One list: what its rounds and shares claim, checked in turn."""

    def __init__(
        self,
        listed: ChainList,
        *,
        manifest: ElectionManifest,
        eid: bytes,
        folder: Folder,
        sheet: Worksheet,
    ) -> None:
        """Take what the ledger says of the list."""
        self._listed, self._manifest, self._folder = listed, manifest, folder
        self._sheet = sheet
        self._context = Context(eid=eid, kind=_KINDS[listed.kind], number=listed.number)
        is_roll = listed.kind == "roll"
        self._key = manifest.roll_key if is_roll else manifest.ballot_key
        self._share_keys = [
            each.roll_share if is_roll else each.ballot_share for each in manifest.trustees
        ]

    @property
    def context(self) -> Context:
        """Return how the list is named in hashes."""
        return self._context

    def list_path(self, at_round: int) -> str:
        """Return the path of the list after a round."""
        return f"lists/{self._listed.label}-{at_round}.bin"

    def check_order(self) -> None:
        """Check who mixed when.

        Spec: TALLY-ROUND.
        """
        listed, manifest = self._listed, self._manifest
        self._sheet.compare(
            checks.MIX_ORDER,
            listed.label,
            expected=[(at, mixer) for at, mixer in enumerate(manifest.mixers, 1)],
            found=[(each.round, each.mixer) for each in listed.rounds],
        )
        valid = {each.mixer for each in listed.rounds if each.is_valid}
        self._sheet.ask(
            checks.MIX_ORDER,
            f"{listed.label}, valid mixes",
            is_met=len(valid) >= manifest.min_mixes,
            expected=f"{manifest.min_mixes} at least, by different municipalities",
            found=len(valid),
        )

    def check_digest(self, path: str, digest: str, mixer: int | None = None) -> bool:
        """Check a list's digest against the ledger's; False also when the file is absent."""
        if not self._folder.has(path):
            return False
        try:
            found = CipherRows(self._folder.read(path)).digest(self._context).hex()
        except InvalidInput as error:
            found = error.message
        blame = [] if mixer is None else [self._manifest.trustee_name(mixer)]
        check = checks.LISTS if mixer is None else checks.MIX_PROOFS
        return self._sheet.compare(check, path, expected=digest, found=found, blame=blame)

    def check_rounds(
        self, generators: bytes, executor: Executor, *, start: Path | bytes | None
    ) -> str | None:
        """Check all mixes and return the path of the final list, or None when there is none.

        Args:
            generators: Joined P33 of h_1...
            executor: Does the work.
            start: The list before the first round, or its bytes; None when it is not at hand.

        Spec: MIX-VERIFY, TALLY-ROUND.
        """
        before = start
        final = None if start is None else self.list_path(0)
        jobs = []
        for each in self._listed.rounds:
            after = self.list_path(each.round)
            is_list_at_hand = self._is_list_at_hand(each)
            if before is not None and is_list_at_hand and self._is_proof_at_hand(each):
                job = self._mix_job(each, before, after)
                is_rebuilt = isinstance(before, bytes)
                jobs.append((each, is_rebuilt, executor.submit(find_mix_fault, job, generators)))
            elif before is None and each.is_valid:
                self._leave_mix_open(each)
            if each.is_valid:
                final = after if is_list_at_hand else None
                before = None if final is None else self._folder.location(final)
        for each, is_rebuilt, done in jobs:
            self._note(each, done.result(), is_rebuilt=is_rebuilt)
        return final

    def _proof_path(self, each: ChainRound) -> str:
        return f"mixes/{self._listed.label}-{each.round}.bin"

    def _leave_mix_open(self, each: ChainRound) -> None:
        reason = f"{self._listed.label}, round {each.round}: the list before it is not at hand"
        is_restricted = self._listed.kind == "roll" and each.round == self._first_valid()
        self._sheet.leave_open(reason, checks.ROLL_INPUT if is_restricted else checks.MIX_PROOFS)

    def _first_valid(self) -> int:
        return min(each.round for each in self._listed.rounds if each.is_valid)

    def _is_list_at_hand(self, each: ChainRound) -> bool:
        """Tell whether a round's list is there and is the one that the mixer posted."""
        after = self.list_path(each.round)
        if each.is_valid is False:
            # A mix that was rightly left out need not have left its files.
            return self._folder.has(after)
        return self.check_digest(after, each.output, each.mixer)

    def _is_proof_at_hand(self, each: ChainRound) -> bool:
        proof = self._proof_path(each)
        if not self._folder.has(proof):
            return False
        if each.is_valid is False:
            return True
        return self._sheet.compare(
            checks.MIX_PROOFS,
            proof,
            expected=each.proof,
            found=self._folder.listed_digest(proof),
            blame=[self._manifest.trustee_name(each.mixer)],
        )

    def _mix_job(self, each: ChainRound, before: Path | bytes, after: str) -> MixJob:
        place = self._folder.location
        return MixJob(
            eid=self._context.eid,
            kind=self._context.kind,
            number=self._context.number,
            round=each.round,
            key=bytes.fromhex(self._key),
            before=before,
            after=place(after),
            proof=place(self._proof_path(each)),
        )

    def _note(self, each: ChainRound, fault: str | None, *, is_rebuilt: bool) -> None:
        subject = f"{self._listed.label}, round {each.round}"
        mixer = self._manifest.trustee_name(each.mixer)
        if each.is_valid is not False:
            self._sheet.ask(
                checks.ROLL_INPUT if is_rebuilt else checks.MIX_PROOFS,
                subject,
                is_met=fault is None,
                expected="a shuffle of the list before",
                found=fault,
                blame=[mixer, "the trustees that judged it valid"],
            )
            return
        is_posted = self._is_left_out_as_posted(each)
        self._sheet.ask(
            checks.MIX_VERDICTS,
            subject,
            is_met=fault is not None or not is_posted,
            expected="a mix that does not hold",
            found=f"a valid mix of {mixer}",
            blame=["the trustees that judged it invalid"],
        )

    def _is_left_out_as_posted(self, each: ChainRound) -> bool:
        """Tell whether the files of a mix that was left out are those that were posted."""
        rows = CipherRows(self._folder.read(self.list_path(each.round)))
        return (rows.digest(self._context).hex(), each.proof) == (
            each.output,
            self._folder.listed_digest(self._proof_path(each)),
        )

    def check_shares(self, final: str, executor: Executor) -> list[bytes | None] | None:
        """Check all shares and return the messages, or None when they cannot be had.

        Spec: DEC-SHARE, DEC-COMBINE.
        """
        listed, threshold = self._listed, self._manifest.threshold
        jobs = []
        for each in listed.shares:
            base = f"shares/{listed.label}-{each.trustee}"
            data, proof = f"{base}.bin", f"{base}.proof"
            if each.trustee > len(self._share_keys):
                self._note_share(each.trustee, "a trustee that is none")
            elif self._folder.has(data) and self._folder.has(proof):
                job = ShareJob(
                    context=self._context,
                    trustee=each.trustee,
                    share_key=bytes.fromhex(self._share_keys[each.trustee - 1]),
                    rows=self._folder.location(final),
                    shares=self._folder.location(data),
                    proof=self._folder.location(proof),
                )
                digests = bytes.fromhex(each.shares), bytes.fromhex(each.proof)
                done = executor.submit(find_share_fault, job, *digests)
                jobs.append((each.trustee, job.shares, done))
            else:
                self._sheet.leave_open(f"{base}: no files", checks.SHARES)
        valid = {
            trustee: path
            for trustee, path, done in jobs
            if self._note_share(trustee, done.result())
        }
        is_enough = self._sheet.ask(
            checks.SHARES_ENOUGH,
            listed.label,
            is_met=len(valid) >= threshold,
            expected=f"{threshold} proven shares",
            found=len(valid),
        )
        if not is_enough:
            return None
        return self._combine(final, valid, executor)

    def _note_share(self, trustee: int, fault: str | None) -> bool:
        return self._sheet.ask(
            checks.SHARES,
            f"{self._listed.label}, trustee {trustee}",
            is_met=fault is None,
            expected="proven shares of the final list",
            found=fault,
            blame=[self._manifest.trustee_name(trustee)],
        )

    def _combine(
        self, final: str, valid: dict[int, Path], executor: Executor
    ) -> list[bytes | None]:
        threshold = self._manifest.threshold
        numbers = sorted(valid)
        first, other = numbers[:threshold], numbers[-threshold:]
        if first != other:
            self._sheet.ask(
                checks.SUBSETS,
                self._listed.label,
                is_met=executor.submit(do_subsets_agree, valid, first, other).result(),
                expected=f"the same of trustees {first} and {other}",
                found="something else",
            )
        chosen = {at: valid[at] for at in first}
        return executor.submit(combine_files, self._folder.location(final), chosen).result()
