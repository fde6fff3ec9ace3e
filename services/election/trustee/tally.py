"""The tally, unattended: a trustee looks at the ledger's final state and does its next act.

It starts lists it built itself, mixes when it is its turn, confirms only mixes it verified, passes
over mixers whose time is over, gives its shares of final lists alone, combines shares it checked,
and publishes only what it counted. Every act is a function of the state, the files and what it
found before, so each look may be repeated and the process killed anywhere.

Spec: CAST-CLOSE, TALLY-ORDER, TALLY-ROUND, TALLY-SHARE, TALLY-PUBLISH, TALLY-CLEANSE.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from clients.voting.ciphertexts import ListKind
from clients.voting.manifest import Manifest, decode_manifest
from clients.voting.terms import check_terms
from node.log import Log
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from services.election.board.ballots_file import write_ballots
from services.election.board.contracts import encode_call
from services.election.board.files import FileRef
from services.election.board.library import Library
from services.election.board.progress import Step
from services.election.board.refs import (
    active_ref,
    batch_ref,
    last_list_ref,
    list_ref,
    manifest_ref,
    proof_ref,
    share_proof_ref,
    shares_ref,
    transcript_ref,
)
from services.election.board.state import ElectionState, Round, TallyList
from services.election.parts import Context
from services.election.trustee import work
from services.election.trustee.acts import Act, Acts
from services.election.trustee.custodian import Custodian, CustodianRefused
from services.election.trustee.work import ListName

_log = Log("election-tally")

T = TypeVar("T")

CLOSE_AFTER_S: Final = 120
"""Seconds after the closing time from which trustees close a box that no relay closed."""

CLOSE: Final = "close"
"""The act."""

CLOSE_TURN_S: Final = 30
"""Seconds that one trustee waits for another."""

KINDS: Final = (ListKind.ROLL, ListKind.BALLOTS)


class FileMissing(InvalidInput):
    """A file that nobody has at the moment; the work goes on when it is there."""

    code = "election.file_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyParts:
    """What the tally needs."""

    context: Context
    library: Library
    custodian: Custodian
    acts: Acts


class TallyWorker:
    """Does this trustee's part of every election."""

    def __init__(self, parts: TallyParts) -> None:
        """Hold what is needed."""
        self._parts = parts

    async def advance(self, eid: bytes) -> tuple[str, ...]:
        """Do what is this trustee's to do now; return what it waits for.

        Raises:
            TermsDiffer: The announced terms are not the manifest's; nothing is done.
        """
        board = self._parts.context.board
        async with board.database.read() as tx:
            state = await board.load_election(tx, eid)
            head = await board.load_head(tx)
        if state is None or head is None or state.abandoned is not None:
            return ()
        municipality = self._parts.context.settings.municipality.id
        if municipality not in state.terms.trustees:
            return ()
        if state.box is None:
            return await self._close(state, now_s=head.time_s)
        data = await self._parts.library.read(manifest_ref(eid))
        if data is None:
            return ("manifest",)
        manifest = decode_manifest(data)
        check_terms(manifest, eid, state.terms.in_order())
        me = state.terms.trustees.index(municipality) + 1
        look = _Look(self._parts, state, manifest, me=me, now_s=head.time_s)
        try:
            await look.go()
        finally:
            self._parts.context.progress.note(eid, None)
        return tuple(look.waits_for)

    async def _close(self, state: ElectionState, *, now_s: int) -> tuple[str, ...]:
        """Close a box that the relays left open; trustees take turns.

        Spec: CAST-CLOSE, BOX-CLOSE.
        """
        context, acts = self._parts.context, self._parts.acts
        place = state.terms.trustees.index(context.settings.municipality.id)
        if now_s < state.terms.closes_at + CLOSE_AFTER_S + place * CLOSE_TURN_S:
            return ()
        if await acts.is_due(state.eid, CLOSE):
            _log.warning("no relay closed the box", election=state.eid.hex()[:16])
            data = encode_call("BallotBox", "close", state.eid)
            box = context.contracts.ballot_box
            await acts.do(Act(subject=state.eid, name=CLOSE, contract=box, data=data))
        return ("the closing of the box",)


class _Look:
    """One look at an election whose box is closed."""

    def __init__(
        self,
        parts: TallyParts,
        state: ElectionState,
        manifest: Manifest,
        *,
        me: int,
        now_s: int,
    ) -> None:
        self._parts = parts
        self._state = state
        self._manifest = manifest
        self._me = me
        self._now_s = now_s
        self.waits_for: list[str] = []

    @property
    def eid(self) -> bytes:
        """Return the election."""
        return self._state.eid

    async def go(self) -> None:
        """Do everything that can be done now."""
        await self._guard("transcripts", self._hold_transcripts)
        for style, frozen in sorted(self._state.frozen.items()):
            if frozen.count and (ListKind.ROLL, style) not in self._state.lists:
                await self._guard(f"roll {style}", lambda it=style: self._start_roll(it))  # type: ignore[misc]
        for tally in self._state.lists.values():
            await self._guard(_name("list", tally), lambda it=tally: self._advance_list(it))  # type: ignore[misc]
        if self._state.is_frozen:
            await self._guard("roll", self._after_roll)

    async def _guard(self, what: str, act: Callable[[], object]) -> None:
        """Do one thing; what it lacks is told and does not stop the others."""
        try:
            await act()  # type: ignore[misc]
        except FileMissing as error:
            self.waits_for.append(f"{what}: {error.message}")
        except CustodianRefused as error:
            _log.error("the custodian refuses", what=what, why=error.message)
            self.waits_for.append(f"{what}: custodian refuses")

    async def _hold_transcripts(self) -> None:
        for digest, is_roll in (
            (self._manifest.ballot_transcript, False),
            (self._manifest.roll_transcript, True),
        ):
            await self._read(transcript_ref(self.eid, bytes.fromhex(digest), is_roll=is_roll))

    async def _advance_list(self, tally: TallyList) -> None:
        terms = self._state.terms
        if tally.pending is not None:
            await self._judge(tally, tally.pending)
        elif tally.next_round <= len(terms.mixers):
            if terms.mixers[tally.next_round - 1] == self._me:
                await self._mix(tally)
            elif self._now_s >= tally.round_began_at_s + terms.mix_time_s:
                await self._act(
                    _name("skip", tally, tally.next_round),
                    "skip_mixer",
                    tally.kind.value[0],
                    tally.number,
                    tally.next_round,
                )
        elif not tally.is_final(terms):
            self.waits_for.append(f"{_name('list', tally)}: too few valid mixes")
        else:
            await self._share(tally)
            if tally.kind is ListKind.BALLOTS:
                await self._publish(tally)

    async def _start_roll(self, style: int) -> None:
        """Build a style's roll list and confirm it as the one to be mixed."""
        name = f"start R {style}"
        if not await self._is_due(name):
            return
        active = await self._read(active_ref(self._state, style))
        batches = [await self._read(batch_ref(self._state, b.number)) for b in self._state.batches]
        rows = await self._heavy(f"build R {style}", work.build_roll, style, active, batches)
        await self._start_list(name, ListKind.ROLL, style, rows)

    async def _start_list(self, name: str, kind: ListKind, number: int, rows: bytes) -> None:
        ref = await self._keep_list(kind, number, 0, rows)
        await self._act(name, "start_list", kind.value[0], number, len(rows) // 66, ref.digest)

    async def _mix(self, tally: TallyList) -> None:
        """Mix the last valid list; this trustee's turn."""
        round_ = tally.next_round
        name = _name("mix", tally, round_)
        if not await self._is_due(name):
            return
        source = await self._read(last_list_ref(self._state, tally))
        output, proof = await self._heavy(name, work.mix, self._list(tally), round_, source)
        listed = await self._keep_list(tally.kind, tally.number, round_, output)
        proven = proof_ref(
            self.eid,
            tally.kind,
            tally.number,
            round_=round_,
            digest=sha256(proof),
            row_count=tally.row_count,
        )
        await self._parts.library.keep(proven, proof)
        await self._act(
            name, "post_mix", tally.kind.value[0], tally.number, listed.digest, proven.digest
        )

    async def _judge(self, tally: TallyList, mixed: Round) -> None:
        """Verify a posted mix and confirm the verdict; files nobody has make it invalid."""
        assert mixed.output is not None
        assert mixed.proof is not None
        name = _name("judge", tally, mixed.number)
        if not await self._is_due(name):
            return
        about = _name("mix", tally, mixed.number)
        why = await self._parts.acts.load_finding(self.eid, about, mixed.output)
        if why is None:
            try:
                why = await self._verify(tally, mixed)
            except FileMissing:
                if self._now_s < mixed.time_s + self._state.terms.mix_time_s:
                    raise
                why = "its files cannot be had"
            await self._parts.acts.note_finding(self.eid, about, mixed.output, why)
        if why:
            _log.error("a mix does not hold", mix=about, mixer=mixed.mixer, why=why)
        await self._act(
            name,
            "judge_mix",
            tally.kind.value[0],
            tally.number,
            mixed.output,
            mixed.proof,
            not why,
        )

    async def _verify(self, tally: TallyList, mixed: Round) -> str:
        assert mixed.output is not None
        assert mixed.proof is not None
        at = (self.eid, tally.kind, tally.number)
        mixer = self._state.terms.trustees[mixed.mixer - 1]
        output = await self._read(
            list_ref(*at, round_=mixed.number, digest=mixed.output, row_count=tally.row_count),
            first=mixer,
        )
        proof = await self._read(
            proof_ref(*at, round_=mixed.number, digest=mixed.proof, row_count=tally.row_count),
            first=mixer,
        )
        source = await self._read(last_list_ref(self._state, tally))
        return await self._heavy(
            _name("verify", tally, mixed.number),
            work.verify_mix,
            self._list(tally),
            mixed.number,
            source,
            output,
            proof,
        )

    async def _share(self, tally: TallyList) -> None:
        """Give this trustee's shares of a list that the ledger shows as final, once."""
        name = _name("share", tally)
        if tally.share_of(self._me) is not None or not await self._is_due(name):
            return
        source = await self._read(last_list_ref(self._state, tally))
        rows = source.read_bytes()
        self._tell(name)
        shares, proof = await self._parts.custodian.decrypt(
            self.eid, tally.kind, tally.number, rows
        )
        at = (self.eid, tally.kind, tally.number)
        draft = shares_ref(*at, trustee=self._me, digest=b"", row_count=tally.row_count)
        digest = draft.digester(shares)
        await self._parts.library.keep(
            shares_ref(*at, trustee=self._me, digest=digest, row_count=tally.row_count), shares
        )
        proven = share_proof_ref(*at, trustee=self._me, digest=sha256(proof))
        await self._parts.library.keep(proven, proof)
        await self._act(
            name,
            "post_share",
            tally.kind.value[0],
            tally.number,
            tally.digest,
            digest,
            proven.digest,
        )

    async def _after_roll(self) -> None:
        """With every style's roll open, start the lists of all races."""
        styles = [style for style, frozen in self._state.frozen.items() if frozen.count]
        races = [race for race, _ in self._state.terms.races]
        names = {race: f"start B {race}" for race in races}
        due = [
            race
            for race in races
            if (ListKind.BALLOTS, race) not in self._state.lists
            and not self._derived(f"no ballots {race}").exists()
            and await self._is_due(names[race])
        ]
        if not due:
            return
        roll: dict[int, Path] = {}
        for style in styles:
            tally = self._state.lists.get((ListKind.ROLL, style))
            if tally is None or not tally.is_final(self._state.terms):
                return
            opened = await self._open(tally)
            if opened is None:
                return
            roll[style] = opened
        board = self._parts.context.board
        ballots = self._derived("ballots.bin")
        await write_ballots(board, self.eid, ballots)
        async with board.database.read() as tx:
            withdrawn = [each.key for each in await board.list_withdrawals(tx, self.eid)]
        cleansed = await self._heavy("cleanse", work.build_lists, ballots, withdrawn, roll, races)
        for race in due:
            if race in cleansed.lists:
                await self._start_list(names[race], ListKind.BALLOTS, race, cleansed.lists[race])
            else:
                _write(self._derived(f"no ballots {race}"), b"")
        _log.info(
            "ballots cleansed",
            kept=cleansed.kept,
            removed=sum(cleansed.removed.values()),
            unmatched=sum(cleansed.unmatched_pointers.values()),
            duplicate=sum(cleansed.duplicate_pointers.values()),
        )

    async def _publish(self, tally: TallyList) -> None:
        """Count a race whose list enough trustees decrypted, and confirm the result."""
        race = tally.number
        if race in self._state.results or not await self._is_due(f"result {race}"):
            return
        opened = await self._open(tally)
        if opened is None:
            return
        candidates = dict(self._state.terms.races)[race]
        numbers = await self._heavy(f"count {race}", work.count, self.eid, race, candidates, opened)
        await self._act(f"result {race}", "publish_result", race, numbers)

    async def _open(self, tally: TallyList) -> Path | None:
        """Combine the valid shares of a final list; None while there are too few."""
        target = self._derived(_name("opened", tally) + " " + tally.digest.hex()[:16])
        if target.exists():
            return target
        source = await self._read(last_list_ref(self._state, tally))
        valid: dict[int, Path] = {}
        for share in sorted(tally.shares, key=lambda each: each.trustee):
            path = await self._valid_share(tally, share.trustee, source)
            if path is not None:
                valid[share.trustee] = path
        threshold = self._state.terms.threshold
        if len(valid) < threshold:
            self.waits_for.append(f"{_name('list', tally)}: {len(valid)} valid shares")
            return None
        opened = await self._heavy(_name("open", tally), work.open_list, source, valid, threshold)
        _write(target, opened)
        return target

    async def _valid_share(self, tally: TallyList, trustee: int, source: Path) -> Path | None:
        """Return a trustee's shares if they hold; whose do not is told in the log, once."""
        share = tally.share_of(trustee)
        assert share is not None
        at = (self.eid, tally.kind, tally.number)
        ref = shares_ref(*at, trustee=trustee, digest=share.shares, row_count=tally.row_count)
        proof = share_proof_ref(*at, trustee=trustee, digest=share.proof)
        municipality = self._state.terms.trustees[trustee - 1]
        try:
            path = await self._read(ref, first=municipality)
            proof_path = await self._read(proof, first=municipality)
        except FileMissing:
            return None
        about = _name("share", tally, trustee)
        why = await self._parts.acts.load_finding(self.eid, about, share.shares)
        if why is None:
            keys = self._manifest.trustees[trustee - 1]
            text = keys.roll_share if tally.kind is ListKind.ROLL else keys.ballot_share
            is_valid = await self._heavy(
                about,
                work.check_share,
                self._list(tally),
                trustee,
                bytes.fromhex(text),
                source,
                path,
                proof_path,
            )
            why = "" if is_valid else "the proof does not hold"
            await self._parts.acts.note_finding(self.eid, about, share.shares, why)
            if why:
                _log.error("shares do not hold", share=about, trustee=trustee)
        return None if why else path

    def _list(self, tally: TallyList) -> ListName:
        manifest = self._manifest
        text = manifest.roll_key if tally.kind is ListKind.ROLL else manifest.ballot_key
        return ListName(eid=self.eid, kind=tally.kind, number=tally.number, key=bytes.fromhex(text))

    async def _keep_list(self, kind: ListKind, number: int, round_: int, rows: bytes) -> FileRef:
        at = (self.eid, kind, number)
        count = len(rows) // 66
        draft = list_ref(*at, round_=round_, digest=b"", row_count=count)
        ref = list_ref(*at, round_=round_, digest=draft.digester(rows), row_count=count)
        await self._parts.library.keep(ref, rows)
        return ref

    async def _read(self, ref: FileRef, *, first: int | None = None) -> Path:
        """Return where a checked file lies.

        Raises:
            FileMissing: Nobody has it.
        """
        if await self._parts.library.read(ref, first=first) is None:
            raise FileMissing(f"file {ref.path} cannot be had")
        return self._parts.library.store.path(ref.digest)

    async def _is_due(self, name: str) -> bool:
        return await self._parts.acts.is_due(self.eid, name)

    async def _act(self, name: str, call: str, *arguments: object) -> None:
        if not await self._is_due(name):
            return
        contracts = self._parts.context.contracts
        await self._parts.acts.do(
            Act(
                subject=self.eid,
                name=name,
                contract=contracts.tally_board,
                data=encode_call("TallyBoard", call, self.eid, *arguments),
            )
        )

    async def _heavy(self, what: str, work_: Callable[..., T], *arguments: object) -> T:
        """Run heavy work in a process of its own."""
        self._tell(what)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._parts.context.executor, work_, *arguments)

    def _tell(self, what: str) -> None:
        self._parts.context.progress.note(self.eid, Step(what=what, done=0, total=1))

    def _derived(self, name: str) -> Path:
        """Return where this trustee keeps what it computed from the files, to save time."""
        root = self._parts.library.store.root / "derived" / self.eid.hex()
        return root / name.replace(" ", "-")


def _write(path: Path, data: bytes) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _name(act: str, tally: TallyList, *more: int) -> str:
    parts = (act, tally.kind.value.decode(), str(tally.number), *map(str, more))
    return " ".join(parts)
