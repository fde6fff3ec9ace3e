"""A small mock election on a local network, from the draft to a result that is recomputed.

Acts from outside, as officials and voters do: governors vote over JSON-RPC, officers call with
their keys, voters with simulated cards and a light client that begins at genesis. What the result
should be is computed from the choices; what it is is recomputed from the published record by the
auditors' program, which shares no code with the services. Nothing is taken from a service's word.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import web

from clients.card.card import MyNumberCard
from clients.core.headers import TrustLimits
from clients.core.light_client import LightClient
from clients.core.transport import http_nodes
from clients.core.trust import Trust
from clients.voter.checking import check_on_second_device
from clients.voter.evidence import (
    Judgement,
    decode_evidence,
    encode_evidence,
    judge_evidence,
)
from clients.voter.network import ElectionService
from clients.voter.record import DeviceRecord, SentBallot
from clients.voter.tracking import Progress
from clients.voter.voter import Contracts as VoterContracts
from clients.voter.voter import DeviceNonces, Voter, check_contracts, fetch_manifest
from clients.voting.ceremony import check_transcript
from clients.voting.manifest import Manifest
from clients.voting.roll import derive_ballot_key
from clients.voting.terms import encode_announcement
from node.genesis.parse import parse_genesis
from node.primitives.crypto import PrivateKey, sha256
from node.primitives.header import Header
from node.primitives.types import Address
from services.election.board.contracts import encode_call
from services.election.commands.manifest import Plan, build_manifest
from services.election_localnet import (
    ElectionNetwork,
    ElectionTown,
    load_authorities,
)
from services.election_trial_calls import Say, TrialCalls, TrialFailed
from services.election_trial_cast import (
    TrialPlan,
    TrialVoter,
    audit_record,
    describe_counts,
    device_of,
    elector_number,
    export_town,
    make_party,
    make_resident,
    sign_with,
    write_roll,
)
from services.sim.card.card import SimulatedCard
from services.sim.card.issue import order_card
from services.sim.card.table import TableChannel
from services.sim.pki.hierarchy import Hierarchy
from services.sim.pki.server import build_application

THRESHOLD: Final = 3
VOTERS_AT_ONCE: Final = 16
"""Voters who act at the same time."""

PREPARE_SHARE: Final = 0.25
"""Seconds before opening for each second that the ceremony took: a measure of the machine."""

VOTE_SHARE: Final = 1.5
"""The same for the time between opening and closing."""

ACT_SHARE: Final = 0.4
"""The same for a mixer's turn, and for bringing a ballot to the box."""

OPEN_LEAST_S: Final = 15
"""Least time between the manifest and the opening."""

SETTLED: Final = (Progress.COUNTS, Progress.SUPERSEDED)
"""Where a ballot stands that the box holds."""


async def hold_election(
    network: ElectionNetwork, *, voters: int, say: Say, plan: TrialPlan | None = None
) -> dict[str, object]:
    """Hold an election and verify its record; return what was shown.

    Raises:
        TrialFailed: A step does not come to its end in time, or the recomputed result is not what
            the choices say.
    """
    chosen = plan or TrialPlan(voters=voters)
    async with AsyncExitStack() as stack:
        trial = Trial(network, chosen, say)
        await trial.open(stack)
        await trial.prepare()
        await trial.vote()
        return await trial.count()


class Trial(TrialCalls):
    """One election, step by step."""

    def __init__(self, network: ElectionNetwork, plan: TrialPlan, say: Say) -> None:
        """Hold what is needed; nothing is opened yet."""
        super().__init__(network, say)
        self.plan = plan
        self.draft_id = secrets.token_bytes(32)
        self.voters: list[TrialVoter] = []
        self.blamed: set[str] = set()
        """Municipalities whose relays broke a promise."""
        self._light: LightClient
        self.manifest: Manifest
        self._genesis: Header
        self._period_s = 1
        self._ceremony_s = 0.0
        self._told = ""

    async def open(self, stack: AsyncExitStack) -> None:
        """Open connections, the simulated authorities and the light client."""
        self._http = await stack.enter_async_context(aiohttp.ClientSession(trust_env=False))
        authorities = load_authorities(self.network)
        runner = web.AppRunner(build_application(authorities, self._clock), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", self.network.authorities_port).start()
        self.voters = [self._make_voter(authorities, at) for at in range(self.plan.voters)]
        town = self.network.towns[0].town
        genesis = parse_genesis((self.network.root / "genesis.json").read_bytes())
        self._genesis, self._chain_id = genesis.header, genesis.profile.chain_id
        self._period_s = genesis.profile.block_period_s
        # Asked in the other order than the services: another municipality's node shows it.
        self._nodes = await stack.enter_async_context(http_nodes(list(reversed(town.nodes))))
        age_s = self._now_s() - self._genesis.timestamp_s
        self._light = LightClient(
            self._nodes,
            Trust(genesis_hash=self._genesis.hash, origin=self._genesis, head=self._genesis),
            limits=TrustLimits(trusting_period_s=age_s + 7 * 86_400),
            now_s=self._now_s,
        )

    async def prepare(self) -> None:
        """Draft, make the keys, fix the roll, announce, hand out codes and enrol everyone."""
        commission = self.network.towns[0]
        for town in self.network.towns:
            await self.until(
                f"the service of {town.town.name}",
                partial(self._or_none, partial(self.get, town, "/elections")),
            )
        await self.send_vote(commission, encode_call("Elections", "draft", self.draft_id))
        body: dict[str, object] = {
            "threshold": THRESHOLD,
            "trustees": [each.number for each in self.network.towns],
        }
        for town in self.network.towns:
            await self.until(
                f"{town.town.name} joins the ceremony",
                partial(self._officer_or_none, town, "PUT", self._draft_path, body),
            )
        began = time.monotonic()
        self.say("the four municipalities make the keys together, step by step, on the ledger")
        await self._fix_roll(commission)
        ceremony = await self.until("the keys", self._ceremony_done)
        self._ceremony_s = time.monotonic() - began
        self.say("keys made and rehearsed")
        eligible = await self._eligible(commission)
        self.manifest = await self._build_manifest(ceremony, eligible)
        await self.officer(
            commission,
            "POST",
            "/manifests",
            {"manifest": self.manifest.encode().hex(), "eligible": eligible.hex()},
        )
        for town in self.network.towns[: len(self.network.towns) // 2 + 1]:
            await self.send_vote(town, encode_announcement(self.manifest))
        self.say(f"announced by a majority: election {self.manifest.eid.hex()[:16]}…")
        services = [ElectionService(town.url, self._http) for town in self.network.towns]
        for service in services:
            await self.until(
                "the manifest everywhere",
                partial(self._or_none, partial(service.file, self.manifest.eid, self.manifest.eid)),
            )
        found = await fetch_manifest(services[::-1], self.manifest.eid)
        assert found == self.manifest
        await self.until("the commission's announcement", self._commission_is_ready)
        await self._each(self.voters, self._enrol)
        self.say(f"{len(self.voters)} electors enrolled with codes and cards")

    async def vote(self) -> None:
        """Cast, check, vote again, lose devices, cancel for paper; then let the box close."""
        await self.wait_until_time(self.manifest.opens_at)
        self.say("voting is open")
        await self._check_only(self.voters[0])
        await self._each(self.voters, self._take_part)
        self.say("every ballot is in the box, each proven by a light client")

    async def _take_part(self, voter: TrialVoter) -> None:
        """Vote, and do afterwards whatever the plan has in store for this voter."""
        await self._cast(voter, self._choices(voter, voter.number))
        await self._settled(voter)
        last = len(self.voters) - self.plan.papers
        if voter.number < self.plan.revotes:
            await self._cast(voter, self._choices(voter, voter.number + 1))
            await self._settled(voter)
        elif voter.number >= last:
            await self._cancel_for_paper(voter)
        elif voter.number >= last - self.plan.reenrolled:
            voter.device = None
            await self._enrol(voter)
            await self._cast(voter, self._choices(voter, voter.number + 2))
            await self._settled(voter)

    async def count(self) -> dict[str, object]:
        """Wait for the result, export the record, recompute it, compare it with the choices."""
        commission = self.network.towns[0]
        await self.wait_for_phase("closed", "tally", "done")
        self.say("box closed; the roll is frozen next, then mixed and opened, then the ballots")
        await self.until("the freezing", partial(self._phase_is, "tally", "done"))
        await self._check_rolls()
        self.say("roll frozen; every active voter's device found its entry")
        await self.until("mixing, decryption and results", self._tell_tally, timeout_s=900)
        folder = self.network.root / "records" / self.manifest.eid.hex()[:16]
        file_count = await self.until(
            "the record",
            partial(self._or_none, partial(export_town, commission, self.manifest.eid, folder)),
        )
        counts, checks = await asyncio.to_thread(audit_record, folder)
        expected = self.expected()
        if counts != expected:
            raise TrialFailed(f"the recomputed result {counts} is not what was voted {expected}")
        return {
            "election": self.manifest.eid.hex(),
            "mock": "yes: without effect",
            "voters": f"{len(self.voters)} enrolled, {self.plan.revotes} voted again, "
            f"{self.plan.reenrolled} on another device, {self.plan.papers} on paper in the end",
            **{
                f"{name} (race {race})": describe_counts(candidates, counts[race])
                for race, name, candidates in self.plan.races
            },
            "verified": f"recomputed from {file_count} files, {checks} checks passed; "
            "equal to the choices made",
            "record": str(folder),
            "took": f"{time.monotonic() - self._started:.0f} s",
        }

    # Steps

    def _make_voter(self, authorities: Hierarchy, at: int) -> TrialVoter:
        resident = make_resident(at)
        order = order_card(authorities, resident, at=datetime.now(UTC), generation=3)  # noqa: TID251
        card = MyNumberCard(TableChannel(SimulatedCard.issue(order)))
        style = self.plan.styles[at % len(self.plan.styles)][0]
        return TrialVoter(number=at, resident=resident, style=style, card=card)

    async def _fix_roll(self, commission: ElectionTown) -> None:
        """Import the electors and fix the eligible list."""
        path = f"/commission/{self.draft_id.hex()}"
        today = datetime.now(UTC).date()  # noqa: TID251 - a trial lives by the machine's clock
        styles = [style for style, _, _ in self.plan.styles]
        await self.officer(
            commission, "POST", path, {"reference_day": today.isoformat(), "styles": styles}
        )
        data = write_roll(self.voters)
        await self.officer(commission, "PUT", f"{path}/uploads/0", {"data": data.hex()})
        report = await self.officer(
            commission,
            "POST",
            f"{path}/import",
            {"parts": 1, "sha256": sha256(data).hex(), "is_dry_run": False},
        )
        if not report["is_taken"]:
            raise TrialFailed(f"the roll is refused: {report['faults']}")
        await self.officer(commission, "POST", f"{path}/fix", {"electors": len(self.voters)})
        self.say("roll imported, eligible list fixed")

    async def _ceremony_done(self) -> Mapping[str, Any] | None:
        found = await self.get(self.network.towns[0], self._draft_path)
        if found.get("fault"):
            raise TrialFailed(f"the ceremony failed: {found['fault']}")
        return found if found["is_done"] else None

    async def _build_manifest(self, ceremony: Mapping[str, Any], eligible: bytes) -> Manifest:
        service = ElectionService(self.network.towns[0].url, self._http)
        transcripts = []
        for name in ("ballot_transcript", "roll_transcript"):
            digest = bytes.fromhex(ceremony[name])
            data = await service.file(self.draft_id, digest)
            transcripts.append((digest, await asyncio.to_thread(check_transcript, data)))
        opens_at = self._now_s() + OPEN_LEAST_S + int(PREPARE_SHARE * self._ceremony_s)
        open_s = max(self.plan.window_s, int(VOTE_SHARE * self._ceremony_s)) + len(self.voters)
        closes_at = opens_at + open_s
        act_s = int(ACT_SHARE * self._ceremony_s)
        return build_manifest(
            Plan(
                title="模擬投票（試験環境）",
                is_mock=True,
                opens_at=opens_at,
                closes_at=closes_at,
                freezes_at=closes_at + 5,
                races=self.plan.races,
                styles=self.plan.styles,
                attestations=2,
                mixers=self.plan.mixers,
                min_mixes=self.plan.min_mixes,
                limits={
                    "max_sequence": 20,
                    "min_interval_s": 1,
                    "max_rekey": 5,
                    "mix_time_s": max(self.plan.mix_time_s, act_s),
                    "cast_blocks": max(self.plan.cast_blocks, act_s // self._period_s),
                },
            ),
            [make_party(town) for town in self.network.towns],
            draft_id=self.draft_id,
            transcripts=(transcripts[0], transcripts[1]),
            eligible=eligible,
        )

    async def _commission_is_ready(self) -> bool | None:
        """Tell whether the commission has taken over the announcement of its roll."""
        path = f"/commission/{self.draft_id.hex()}"
        found = await self.officer(self.network.towns[0], "GET", path)
        return None if found["eid"] is None else True

    async def _eligible(self, commission: ElectionTown) -> bytes:
        data = b""
        parts = 1
        for part in range(1_000):
            if part == parts:
                break
            path = f"/commission/{self.draft_id.hex()}/eligible/{part}"
            found = await self.officer(commission, "GET", path)
            parts = found["parts"]
            data += bytes.fromhex(found["data"])
        return data

    async def _enrol(self, voter: TrialVoter) -> None:
        """Hand out a code at the counter and enrol a new device with it."""
        commission = self.network.towns[0]
        path = f"/commission/{self.draft_id.hex()}/codes"
        order = {"number": elector_number(voter.number), "channel": "counter"}
        issued = await self.until(
            "a code", partial(self._officer_or_none, commission, "POST", path, order)
        )
        seed = secrets.token_bytes(16)
        key = PrivateKey(derive_ballot_key(seed, self.manifest.eid).to_bytes(32, "big"))
        device = Voter(
            self.manifest,
            DeviceRecord(eid=self.manifest.eid),
            key=key,
            source=DeviceNonces(secrets.token_bytes),
            save=lambda record: None,
            now_s=self._now_s,
        )
        service = ElectionService(commission.url, self._http)
        session = await service.open_session(self.manifest.eid, issued["code"])
        await device.enrol(service, session, partial(sign_with, voter.card))
        voter.device = device

    def _choices(self, voter: TrialVoter, at: int) -> dict[int, int]:
        """Choose by number, blank votes among them."""
        sizes = {race: len(candidates) for race, _, candidates in self.plan.races}
        races = next(races for style, _, races in self.plan.styles if style == voter.style)
        return {race: (at + race) % (sizes[race] + 1) for race in races}

    async def _contracts(self) -> VoterContracts:
        found = await self.until("where the box is", self._find_box)
        contracts = VoterContracts(box=Address(found[0]), credentials=Address(found[1]))
        await self._light.sync()
        await check_contracts(self._light, self.manifest, contracts)
        return contracts

    async def _find_box(self) -> tuple[bytes, bytes] | None:
        """Ask one service after the other, the commission's last; its word is proven afterwards."""
        for town in reversed(self.network.towns):
            service = ElectionService(town.url, self._http)
            found: tuple[bytes, bytes] | None = await self._or_none(
                partial(service.box, self.manifest.eid)
            )
            if found is not None:
                return found
        return None

    async def _check_only(self, voter: TrialVoter) -> None:
        """Make a ballot, have it checked on a second device, and throw it away."""
        device = device_of(voter)
        tracking = await device.track(self._light, await self._contracts())
        choices = self._choices(voter, 0)
        prepared = device.prepare(choices, tracking)
        shown = check_on_second_device(self.manifest, prepared.promise, prepared.reveal())
        if {each.race: each.candidate for each in shown} != choices:
            raise TrialFailed("the checked ballot does not hold what was chosen")
        self.say("a ballot was checked on a second device and thrown away")

    async def _cast(self, voter: TrialVoter, choices: dict[int, int]) -> SentBallot:
        device = device_of(voter)
        tracking = await device.track(self._light, await self._contracts())
        sent = device.seal(device.prepare(choices, tracking))
        names = [town.town.name for town in self.network.towns]
        chosen = names[voter.number % len(names)]
        await device.deliver(sent, self._http, relays=[chosen] if chosen not in self.blamed else [])
        voter.choices = choices
        return sent

    async def _settled(self, voter: TrialVoter) -> None:
        """Wait until every ballot of a device is in the box, and prove where."""
        device = device_of(voter)
        contracts = await self._contracts()

        async def look() -> bool | None:
            await self._light.sync()
            tracking = await device.track(self._light, contracts)
            if tracking.foreign_count:
                raise TrialFailed("a ballot that no device sent")
            for each in tracking.ballots:
                if each.progress is Progress.SUPPRESSED:
                    await self._blame(device, each.ballot, contracts)
            is_settled = all(each.progress in SETTLED for each in tracking.ballots)
            return True if is_settled else None

        await self.until("the ballots", partial(self._or_none, look))
        last = device.record.ballots[-1]
        for town in self.network.towns:
            service = ElectionService(town.url, self._http)
            place = await self.until(
                "where the ballot is",
                partial(self._or_none, partial(service.place_of, self.manifest.eid, last.hash)),
            )
            if place.transaction is not None:
                await device.prove_inclusion(self._light, contracts, last.hash, place.transaction)
                return

    async def _blame(self, device: Voter, sent: SentBallot, contracts: VoterContracts) -> None:
        """Write and judge evidence against a relay that broke its promise; use another one."""
        standing, height = await device.standing(self._light, contracts)
        receipt = sent.receipts[-1]
        if receipt.deadline >= height or sent.sequence <= standing.sequence:
            # Another relay has it now, or it came in meanwhile.
            return
        data = encode_evidence(self.manifest, sent, receipt)
        evidence = decode_evidence(self.manifest, data)
        if judge_evidence(evidence, height=height, standing=standing) is not Judgement.BROKEN:
            raise TrialFailed("the evidence does not convict the relay")
        names = {relay.account: relay.municipality for relay in self.manifest.relays}
        blamed = names[receipt.relay]
        self.blamed.add(blamed)
        self.say(f"the relay of {blamed} broke a promise; its receipt convicts it")
        others = [name for name in names.values() if name not in self.blamed]
        await device.deliver(sent, self._http, relays=others)

    async def _cancel_for_paper(self, voter: TrialVoter) -> None:
        order = {
            "number": elector_number(voter.number),
            "reason": "paper",
            "evidence": sha256(f"counterfoil {voter.number}".encode()).hex(),
        }
        path = f"/commission/{self.draft_id.hex()}/cancels"
        await self.officer(self.network.towns[0], "POST", path, order)
        voter.is_on_paper = True

    async def _check_rolls(self) -> None:
        contracts = await self._contracts()
        services = [ElectionService(town.url, self._http) for town in self.network.towns]
        for voter in self.voters:
            if not voter.is_on_paper:
                await self.until(
                    "the active files",
                    partial(
                        self._or_none,
                        partial(device_of(voter).check_on_roll, self._light, contracts, services),
                    ),
                )

    async def wait_for_phase(self, *phases: str) -> None:
        """Wait until the box is closed and the election has come to one of these phases."""
        await self.wait_until_time(self.manifest.closes_at)
        await self.until(" or ".join(phases), partial(self._phase_is, *phases))

    async def _phase_is(self, *phases: str) -> str | None:
        found = await self.get(self.network.towns[0], f"/elections/{self.manifest.eid.hex()}")
        phase: str = found["phase"]
        return phase if phase in phases else None

    async def _tell_tally(self) -> bool | None:
        """Tell how far the tally is whenever it went on; True at its end."""
        found = await self.get(self.network.towns[0], f"/elections/{self.manifest.eid.hex()}")
        judged = [
            (tally["kind"], each["is_valid"])
            for tally in found["lists"]
            for each in tally["rounds"]
            if each["is_posted"] and each["is_valid"] is not None
        ]
        told = ", ".join(
            (
                f"{sum(kind == 'R' for kind, _ in judged)} mixes of the roll judged",
                f"{sum(kind == 'B' for kind, _ in judged)} of the ballots",
                f"{sum(not is_valid for _, is_valid in judged)} found invalid",
                f"{sum(len(tally['shares']) for tally in found['lists'])} trustees' shares",
                f"{len(found['results'])} of {len(self.plan.races)} results",
            )
        )
        if told != self._told:
            self._told = told
            self.say(told)
        return True if found["phase"] == "done" else None

    def expected(self) -> dict[int, list[int]]:
        """Return the numbers of each race that the choices give: blank, candidates, invalid."""
        counts: dict[int, list[int]] = {}
        voting = [voter for voter in self.voters if not voter.is_on_paper]
        for race, _, candidates in self.plan.races:
            votes = Counter(voter.choices[race] for voter in voting if race in voter.choices)
            counts[race] = [votes[at] for at in range(len(candidates) + 1)] + [0]
        return counts

    async def _each(
        self, voters: Sequence[TrialVoter], act: Callable[[TrialVoter], Awaitable[None]]
    ) -> None:
        """Let voters act at the same time, a few at once."""
        places = asyncio.Semaphore(VOTERS_AT_ONCE)

        async def one(voter: TrialVoter) -> None:
            async with places:
                await act(voter)

        try:
            async with asyncio.TaskGroup() as group:
                for voter in voters:
                    group.create_task(one(voter))
        except BaseExceptionGroup as failed:
            # One voter's failure ends the trial, and tells why.
            raise failed.exceptions[0] from failed

    @property
    def _draft_path(self) -> str:
        return f"/drafts/{self.draft_id.hex()}"
