"""The audit of an election, from its published record and, where given, the accredited export.

Spec: AUDIT-ELECTION, AUDIT-ACCREDITED.
"""

from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from clients.auditor.checks import Chart, Check, Worksheet
from clients.auditor.election import checks
from clients.auditor.election.accredited import RestrictedInput, RollAudit
from clients.auditor.election.ballots import is_signed_by, withdrawal_digest
from clients.auditor.election.box import BoxContents, Progress, audit_box, read_cores
from clients.auditor.election.ceremony import audit_ceremony, key_claims
from clients.auditor.election.counting import (
    Cleansed,
    Count,
    cleanse,
    count_messages,
    list_races,
    result_digest,
)
from clients.auditor.election.curve import compute_generators
from clients.auditor.election.events import audit_events, read_events
from clients.auditor.election.files import audit_files, audit_incidents
from clients.auditor.election.lists import CipherRows, Context
from clients.auditor.election.receipts import audit_ballot_receipt, audit_roll_receipt
from clients.auditor.election.records import (
    BallotReceipt,
    ChainRecord,
    ElectionManifest,
    Folder,
    RecordIndex,
    RollReceipt,
    Transcript,
    parse_json,
)
from clients.auditor.election.rolls import audit_batches, audit_eligible, audit_frozen
from clients.auditor.election.tallies import ListAudit
from clients.auditor.election.transcripts import EID, Bytes
from node.primitives.errors import InvalidInput

WITHDRAWAL_SIZE = 137
"""P64(K), height in 8 bytes, signature."""

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(slots=True)
class Findings:
    """What an audit came to know besides its answers."""

    index: RecordIndex | None = None
    """The list of files."""
    manifest: ElectionManifest | None = None
    """The manifest."""
    chain: ChainRecord | None = None
    """What the record says of the contracts."""
    eid: bytes = b""
    """Hash of the manifest."""
    active: dict[int, list[bytes]] = field(default_factory=dict)
    """Per style, the commitments of active entries."""
    leaves: list[bytes] = field(default_factory=list)
    """The eligible list."""
    entries: set[bytes] | None = None
    """Commitments of all entries, of who was given the export."""
    roll_rows: dict[int, bytes] = field(default_factory=dict)
    """Per style, the roll's list before its first mix, rebuilt from the export."""
    opened: dict[int, list[bytes | None]] = field(default_factory=dict)
    """Per style, the opened roll."""
    box: BoxContents = field(default_factory=BoxContents)
    """The recorded ballots."""
    generators: bytes = b""
    """Joined P33 of h_1.., as many as the longest list has rows."""
    notes: list[str] = field(default_factory=list)
    """For a reader."""
    charts: list[Chart] = field(default_factory=list)
    """For a reader."""


class ElectionAudit:
    """Reads the record part by part; what cannot be read leaves its questions open."""

    def __init__(
        self,
        folder: Folder,
        executor: Executor,
        progress: Progress = lambda _step, _done, _total: None,
        bundle: Path | None = None,
        restricted: RestrictedInput | None = None,
    ) -> None:
        """Start with nothing asked.

        Args:
            folder: The published record.
            executor: Does the heavy work.
            progress: Told how far it is.
            bundle: Of the chain; what contracts said is compared with it.
            restricted: What an accredited auditor was given; who is behind the roll is asked then.
        """
        self._bundle, self._restricted = bundle, restricted
        self._folder, self._executor, self._progress = folder, executor, progress
        self.sheet = Worksheet(checks.TABLE if restricted is None else checks.ACCREDITED_TABLE)
        self.findings = Findings()

    def run(self) -> Findings:
        """Ask every public question, and with restricted data the others.

        Spec: AUDIT-ELECTION.
        """
        found = self.findings
        if self._restricted is None:
            self.sheet.leave_open("needs the commission's restricted data", *checks.ACCREDITED)
        if self._bundle is None:
            self.sheet.leave_open("no bundle of the chain was given", checks.CHAIN)
        if not self._read_index():
            return found
        manifest = self._read_manifest()
        if manifest is None or found.index is None:
            self._give_up("the manifest cannot be read", checks.EID)
            return found
        self._audit_ceremonies(manifest)
        self._audit_eligible(manifest)
        chain = self._read("chain.json", ChainRecord, checks.TERMS)
        found.chain = chain
        if chain is None:
            self._give_up("chain.json cannot be read", checks.TERMS)
            return found
        self._check_announcement(manifest, chain)
        audit_files(manifest, chain, self._folder, self.sheet)
        self.findings.notes += audit_incidents(chain, self._folder, self.sheet)
        self._audit_roll(manifest, chain)
        self._audit_restricted(manifest, chain)
        withdrawn = self._audit_ballots(manifest, chain)
        self._audit_chain(manifest, chain)
        self._audit_tally(manifest, chain, withdrawn)
        self._audit_receipts(manifest, chain)
        return found

    def _give_up(self, reason: str, after: Check) -> None:
        """Leave everything after a check open."""
        names = [check.name for check in checks.PUBLIC]
        rest = checks.PUBLIC[names.index(after.name) :]
        self.sheet.leave_open(reason, *rest)
        if self._restricted is not None:
            self.sheet.leave_open(reason, *checks.ACCREDITED)

    def _read_index(self) -> bool:
        try:
            index = self._folder.read_index()
        except InvalidInput as error:
            self.sheet.ask(
                checks.FILES,
                "record.json",
                is_met=False,
                expected="a list of files",
                found=error.message,
            )
            self._give_up("record.json cannot be read", checks.FILES_COMPLETE)
            return False
        self.findings.index = index
        for path in self._folder.paths:
            fault = self._folder.find_fault(path)
            self.sheet.ask(
                checks.FILES,
                path,
                is_met=fault is None,
                expected="the file that is listed",
                found=fault,
            )
        return True

    def _read(self, path: str, shape: type[Shape], check: Check) -> Shape | None:
        try:
            return parse_json(self._folder.read(path), shape, path)
        except InvalidInput as error:
            self.sheet.ask(
                check, path, is_met=False, expected="a file in its form", found=error.message
            )
            return None

    def _read_manifest(self) -> ElectionManifest | None:
        found = self.findings
        manifest = self._read("manifest.json", ElectionManifest, checks.MANIFEST)
        if manifest is None or found.index is None:
            return None
        faults = manifest.faults()
        self.sheet.ask(
            checks.MANIFEST,
            "manifest.json",
            is_met=not faults,
            expected="a manifest within its rules",
            found=faults,
        )
        found.manifest = manifest
        found.eid = EID.digest(self._folder.read("manifest.json"))
        expected = (found.eid.hex(), manifest.chain_id, manifest.is_mock)
        index = found.index
        self.sheet.compare(
            checks.EID,
            "record.json",
            expected=expected,
            found=(index.eid, index.chain_id, index.is_mock),
        )
        return manifest

    def _audit_ceremonies(self, manifest: ElectionManifest) -> None:
        digests = (manifest.ballot_transcript, manifest.roll_transcript)
        paths = ("dkg/ballot.json", "dkg/roll.json")
        for path, digest, claim in zip(paths, digests, key_claims(manifest), strict=True):
            transcript = self._read(path, Transcript, checks.KEYS_RUN)
            if transcript is None:
                continue
            self.sheet.compare(
                checks.KEYS_RUN,
                path,
                expected=digest,
                found=self._folder.listed_digest(path),
            )
            try:
                audit_ceremony(transcript, claim, manifest, self.sheet)
            except InvalidInput as error:
                self.sheet.ask(
                    checks.KEYS_RUN,
                    path,
                    is_met=False,
                    expected="points of the group",
                    found=error.message,
                )

    def _audit_eligible(self, manifest: ElectionManifest) -> None:
        try:
            data = self._folder.read("eligible.bin")
        except InvalidInput as error:
            self.sheet.leave_open(error.message, checks.ELIGIBLE)
            return
        self.findings.leaves = audit_eligible(data, manifest, self.sheet)

    def _check_announcement(self, manifest: ElectionManifest, chain: ChainRecord) -> None:
        expected = manifest.terms()
        for name in sorted({*expected, *chain.terms}):
            self.sheet.compare(
                checks.TERMS,
                name,
                expected=expected.get(name, "no such term"),
                found=chain.terms.get(name, "absent"),
            )
        self.sheet.ask(
            checks.TERMS,
            "registry",
            is_met=chain.contracts.elections == manifest.registry,
            expected=manifest.registry,
            found=chain.contracts.elections,
        )
        self.sheet.ask(
            checks.ABANDONED,
            "election",
            is_met=chain.abandoned is None,
            expected="carried through",
            found=f"abandoned: {chain.abandoned}",
        )

    def _audit_roll(self, manifest: ElectionManifest, chain: ChainRecord) -> None:
        audit_batches(chain, manifest, self.sheet)
        files: dict[int, bytes | None] = {}
        for each in chain.frozen:
            path = f"roll/active-{each.style}.bin"
            files[each.style] = self._folder.read(path) if self._folder.has(path) else None
        self.findings.active = audit_frozen(files, chain, manifest, self.sheet)

    def _audit_restricted(self, manifest: ElectionManifest, chain: ChainRecord) -> None:
        """Ask who is behind the roll.

        Spec: AUDIT-ACCREDITED.
        """
        if self._restricted is None:
            return
        found = self.findings
        audit = RollAudit(
            manifest=manifest,
            eid=found.eid,
            chain=chain,
            leaves=frozenset(found.leaves),
            active=found.active,
            sheet=self.sheet,
            executor=self._executor,
        )
        audit.run(self._restricted)
        found.entries, found.roll_rows = audit.commitments, audit.rows

    def _audit_ballots(self, manifest: ElectionManifest, chain: ChainRecord) -> set[bytes]:
        """Check ballots and withdrawals, and return the withdrawn keys."""
        found = self.findings
        if not self._folder.has("ballots.bin"):
            self.sheet.leave_open("ballots.bin is absent", *checks.OF_BALLOTS)
            return set()
        found.box = audit_box(
            self._folder.location("ballots.bin"),
            manifest,
            found.eid,
            self.sheet,
            self._executor,
            self._progress,
        )
        self.sheet.compare(
            checks.BOX,
            "closed box",
            expected=(chain.box.count, chain.box.value),
            found=(len(found.box.marks), found.box.value.hex()),
        )
        return self._audit_withdrawals()

    def _audit_chain(self, manifest: ElectionManifest, chain: ChainRecord) -> None:
        if self._bundle is None:
            return
        path = "ballots.bin"
        addresses = chain.contracts.model_dump().values()
        try:
            audit_events(
                read_events(self._bundle, addresses),
                eid=self.findings.eid,
                manifest=manifest,
                chain=chain,
                height=0 if self.findings.index is None else self.findings.index.height,
                ballots=self._folder.location(path) if self._folder.has(path) else None,
                sheet=self.sheet,
            )
        except InvalidInput as error:
            self.sheet.ask(
                checks.CHAIN,
                "bundle",
                is_met=False,
                expected="a bundle of the chain",
                found=error.message,
            )

    def _audit_withdrawals(self) -> set[bytes]:
        box, withdrawn = self.findings.box, set[bytes]()
        if not self._folder.has("withdrawals.bin"):
            self.sheet.leave_open("withdrawals.bin is absent", checks.WITHDRAWALS)
            return withdrawn
        data = self._folder.read("withdrawals.bin")
        whole, rest = divmod(len(data), WITHDRAWAL_SIZE)
        self.sheet.ask(
            checks.WITHDRAWALS,
            "withdrawals.bin",
            is_met=rest == 0,
            expected=f"rows of {WITHDRAWAL_SIZE} bytes",
            found=len(data),
        )
        read = Bytes(data, "withdrawals.bin")
        for at in range(whole):
            key, height, signature = read.take(64), read.number(8), read.take(65)
            sequence = box.last_sequence.get(key, 0) + 1
            is_met = (
                key not in withdrawn
                and box.last_height.get(key, 0) <= height
                and is_signed_by(
                    key, withdrawal_digest(self.findings.eid, key, sequence), signature
                )
            )
            self.sheet.ask(
                checks.WITHDRAWALS,
                f"withdrawal {at}",
                is_met=is_met,
                expected=f"the key's own, once, after its {sequence - 1} ballots",
                found=f"of key {key[:8].hex()}… at height {height}",
            )
            withdrawn.add(key)
        return withdrawn

    def _audit_tally(
        self, manifest: ElectionManifest, chain: ChainRecord, withdrawn: set[bytes]
    ) -> None:
        found = self.findings
        if not self._folder.has("ballots.bin"):
            self.sheet.leave_open("ballots.bin is absent", *checks.AFTER_BALLOTS)
            return
        rebuilt = (len(rows) // 66 for rows in found.roll_rows.values())
        longest = max((self._folder.longest_list(), *rebuilt))
        self._progress("generators", 0, longest)
        if longest:
            found.generators = compute_generators(longest, self._executor).encode()
        frozen = {each.style: each.count for each in chain.frozen}
        labels = [(each.kind, each.number) for each in chain.lists]
        self.sheet.compare(checks.LISTS, "lists", expected=len(labels), found=len(set(labels)))
        rolls = {each.number: each for each in chain.lists if each.kind == "roll"}
        self.sheet.compare(
            checks.LISTS,
            "roll lists",
            expected={style: count for style, count in sorted(frozen.items()) if count},
            found={style: each.row_count for style, each in sorted(rolls.items())},
        )
        is_open = True
        for style, count in sorted(frozen.items()):
            if not count:
                found.opened[style] = []
                continue
            messages = self._audit_list("roll", style, chain, manifest)
            if messages is None:
                is_open = False
            else:
                found.opened[style] = messages
        if not is_open:
            self.sheet.leave_open(
                "the roll was not opened", checks.CLEANSING, checks.COUNTS, checks.RESULTS
            )
            return
        cleansed = cleanse(found.eid, found.box.marks, withdrawn, found.opened, self._executor)
        self._note_cleansing(cleansed, chain)
        lists = self._check_race_lists(cleansed, manifest, chain)
        self._audit_races(lists, manifest, chain)

    def _audit_list(
        self, kind: str, number: int, chain: ChainRecord, manifest: ElectionManifest
    ) -> list[bytes | None] | None:
        listed = next(
            (each for each in chain.lists if (each.kind, each.number) == (kind, number)), None
        )
        if listed is None:
            self.sheet.leave_open(f"no list of {kind} {number}", checks.SHARES_ENOUGH)
            return None
        audit = ListAudit(
            listed,
            manifest=manifest,
            eid=self.findings.eid,
            folder=self._folder,
            sheet=self.sheet,
        )
        audit.check_order()
        rows = self.findings.roll_rows.get(number) if kind == "roll" else None
        start: Path | bytes | None = rows
        if self._folder.has(audit.list_path(0)):
            is_listed = audit.check_digest(audit.list_path(0), listed.digest)
            if rows is None and is_listed:
                start = self._folder.location(audit.list_path(0))
        self._progress(f"mixes of {listed.label}", 0, len(listed.rounds))
        final = audit.check_rounds(self.findings.generators, self._executor, start=start)
        if final is None:
            self.sheet.leave_open(
                f"{listed.label}: the final list is absent", checks.SHARES, checks.SHARES_ENOUGH
            )
            return None
        return audit.check_shares(final, self._executor)

    def _note_cleansing(self, cleansed: Cleansed, chain: ChainRecord) -> None:
        kept = dict.fromkeys(self.findings.opened, 0)
        for mark in cleansed.kept:
            kept[mark.style] += 1
        for each in chain.frozen:
            opened = self.findings.opened.get(each.style, [])
            distinct = len(set(opened))
            self.sheet.ask(
                checks.CLEANSING,
                f"style {each.style}",
                is_met=kept.get(each.style, 0) <= distinct <= each.count == len(opened),
                expected=f"counted <= {distinct} pointers <= {each.count} active entries",
                found=f"{kept.get(each.style, 0)} counted, {len(opened)} opened",
            )
        counted = len(cleansed.kept)
        ballots = (
            f"{len(self.findings.box.marks)} ballots recorded: {counted} counted,"
            f" {cleansed.superseded} superseded, {cleansed.withdrawn} withdrawn,"
            f" {cleansed.off_roll} of keys that are not on the roll"
        )
        pointers = (
            f"opened pointers that no ballot matches: {dict(cleansed.unmatched)};"
            f" repeated pointers: {dict(cleansed.repeated)}"
        )
        self.findings.notes += [ballots, pointers]

    def _check_race_lists(
        self, cleansed: Cleansed, manifest: ElectionManifest, chain: ChainRecord
    ) -> dict[int, CipherRows]:
        """Recompute what is mixed, compare it, and return it.

        Spec: TALLY-LIST.
        """
        races = list(manifest.candidate_counts)
        cores = read_cores(self._folder.location("ballots.bin"), cleansed.kept)
        lists, copies = list_races(cores, races)
        if copies:
            self.findings.notes.append(f"{copies} ciphertexts stand under more than one key")
        listed = {each.number: each for each in chain.lists if each.kind == "ballots"}
        for race, rows in lists.items():
            context = Context(eid=self.findings.eid, kind=b"B", number=race)
            expected: tuple[object, ...] = (0,)
            if len(rows):
                expected = (len(rows), rows.digest(context).hex())
            each = listed.pop(race, None)
            self.sheet.compare(
                checks.LISTS,
                f"ballots-{race}",
                expected=expected,
                found=(0,) if each is None else (each.row_count, each.digest),
                blame=["the trustees that started the list"],
            )
        for race in listed:
            self.sheet.ask(
                checks.LISTS, f"ballots-{race}", is_met=False, expected="no list", found="one"
            )
        return lists

    def _audit_races(
        self, lists: dict[int, CipherRows], manifest: ElectionManifest, chain: ChainRecord
    ) -> None:
        results = {each.race: each for each in chain.results}
        self.sheet.compare(
            checks.RESULTS,
            "races",
            expected=[(race, manifest.is_mock) for race, rows in lists.items() if len(rows)],
            found=sorted((each.race, each.is_mock) for each in chain.results),
        )
        for race, rows in lists.items():
            if not len(rows):
                continue
            messages = self._audit_list("ballots", race, chain, manifest)
            result = results.get(race)
            if messages is None or result is None:
                self.sheet.leave_open(f"race {race} was not decrypted", checks.COUNTS)
                continue
            count = count_messages(
                self.findings.eid, race, manifest.candidate_counts[race], messages
            )
            numbers = [*count.votes, count.invalid]
            self.sheet.compare(
                checks.COUNTS, f"race {race}", expected=numbers, found=result.numbers
            )
            published = Count(votes=tuple(result.numbers[:-1]), invalid=result.numbers[-1])
            self.sheet.compare(
                checks.RESULT_HASHES,
                f"race {race}",
                expected=result_digest(self.findings.eid, race, published).hex(),
                found=result.result,
            )
            labels = ["blank", *(str(at) for at in range(1, len(count.votes))), "invalid"]
            self.findings.charts.append(
                Chart(
                    title=f"Race {race}, recomputed",
                    unit="votes",
                    points=tuple(zip(labels, numbers, strict=True)),
                )
            )

    def _audit_receipts(self, manifest: ElectionManifest, chain: ChainRecord) -> None:
        found = self.findings
        active = {commitment for values in found.active.values() for commitment in values}
        last_height = 0 if found.index is None else found.index.height
        for path in self._folder.paths:
            if not path.startswith("receipts/") or not self._folder.has(path):
                continue
            data = self._folder.read(path)
            try:
                if b'"kind":"ballot"' in data:
                    audit_ballot_receipt(
                        parse_json(data, BallotReceipt, path),
                        name=path,
                        eid=found.eid,
                        manifest=manifest,
                        heights=found.box.heights,
                        last_height=last_height,
                        sheet=self.sheet,
                    )
                else:
                    audit_roll_receipt(
                        parse_json(data, RollReceipt, path),
                        name=path,
                        eid=found.eid,
                        manifest=manifest,
                        active=active,
                        known=found.entries,
                        batch_count=len(chain.batches),
                        sheet=self.sheet,
                    )
            except InvalidInput as error:
                self.sheet.leave_open(error.message, checks.ROLL_RECEIPTS, checks.BALLOT_RECEIPTS)
