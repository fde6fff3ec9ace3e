"""VOTE-RELAYS, VOTE-RECORD, VOTE-ROLL: any relay will do, the same bytes go out again.

Relays are small real servers; one lies, one is away.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from clients.voter.box import Frozen, Standing
from clients.voter.checking import prepare_ballot
from clients.voter.record import DeviceRecord
from clients.voter.tracking import Progress, track
from clients.voter.voter import NoRelay, NotOnRoll, Voter, check_active_file
from clients.voting.ballot import compute_ballot_hash
from clients.voting.manifest import Manifest
from clients.voting.receipts import ballot_receipt_hash, sign_receipt
from node.primitives.crypto import sha256
from node.primitives.merkle import compute_root
from tests.support.electorate import Device, account_of, make_manifest, receipt_key

UNSEEN = Standing(digest=b"\x00" * 32, sequence=0, cast_at=0, height=0, index=0, is_withdrawn=False)


class Relay:
    """A relay that keeps what it was handed, and signs with the key it has."""

    def __init__(self, town: int, *, signs_as: int | None = None) -> None:
        self.town = town
        self.key = receipt_key(signs_as or town)
        self.taken: list[bytes] = []
        self.manifest: Manifest | None = None

    async def take(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        core = bytes.fromhex(body["core"])
        self.taken.append(core)
        assert self.manifest is not None
        digest = ballot_receipt_hash(self.manifest.eid, compute_ballot_hash(core), 77)
        answer = {
            "relay": account_of(self.town),
            "deadline": 77,
            "signature": sign_receipt(digest, self.key).hex(),
        }
        return web.json_response(answer, status=202)


@asynccontextmanager
async def serving(*relays: Relay) -> AsyncIterator[Manifest]:
    """Serve relays, and give a manifest that names them in this order; others are away."""
    runners = []
    urls = {}
    for relay in relays:
        app = web.Application()
        app.router.add_post("/elections/{eid}/ballots", relay.take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        urls[account_of(relay.town)] = f"http://127.0.0.1:{runner.addresses[0][1]}"
    plain = make_manifest()
    named = [
        {**relay.model_dump(), "url": urls.get(relay.account, "http://127.0.0.1:9")}
        for relay in plain.relays
    ]
    manifest = make_manifest(relays=named)
    for relay in relays:
        relay.manifest = manifest
    try:
        yield manifest
    finally:
        for runner in runners:
            await runner.cleanup()


def make_voter(manifest: Manifest, saved: list[DeviceRecord]) -> Voter:
    device = Device("relays")
    return Voter(
        manifest,
        DeviceRecord(eid=manifest.eid),
        key=device.key,
        source=device.source,
        save=saved.append,
        now_s=lambda: 1,
    )


def seal(voter: Voter) -> None:
    prepared = prepare_ballot(
        voter.manifest,
        style=7,
        key=Device("relays").key,
        sequence=1,
        choices={1: 1, 2: 2},
        source=Device("relays").source,
    )
    voter.seal(prepared)


async def test_a_relay_that_lies_or_is_away_is_passed_over() -> None:
    liar, honest = Relay(1, signs_as=3), Relay(4)
    saved: list[DeviceRecord] = []
    async with serving(liar, honest) as manifest, aiohttp.ClientSession() as session:
        voter = make_voter(manifest, saved)
        seal(voter)
        receipt = await voter.deliver(voter.record.ballots[0], session)

    assert receipt.relay == account_of(4)
    assert liar.taken == honest.taken == [voter.record.ballots[0].core]
    assert saved[-1].ballots[0].receipts == (receipt,)


async def test_a_voter_chooses_the_relay() -> None:
    first, chosen = Relay(1), Relay(3)
    async with serving(first, chosen) as manifest, aiohttp.ClientSession() as session:
        voter = make_voter(manifest, [])
        seal(voter)
        await voter.deliver(voter.record.ballots[0], session, relays=["境町"])

    assert first.taken == []
    assert len(chosen.taken) == 1


async def test_a_ballot_no_relay_took_is_kept_and_goes_out_again_unchanged() -> None:
    saved: list[DeviceRecord] = []
    async with serving() as manifest, aiohttp.ClientSession() as session:
        voter = make_voter(manifest, saved)
        seal(voter)
        with pytest.raises(NoRelay):
            await voter.deliver(voter.record.ballots[0], session)
    kept = saved[-1]
    relay = Relay(2)
    async with serving(relay) as manifest, aiohttp.ClientSession() as session:
        # The same device, later: the manifest differs in nothing but where relays answer.
        relay.manifest = manifest
        voter = make_voter(manifest, saved)
        voter.record = replace(kept, eid=manifest.eid)
        tracking = track(voter.record, UNSEEN, height=10)
        await voter.resubmit(tracking, session)

    assert relay.taken == [kept.ballots[0].core]
    assert tracking.ballots[0].progress is Progress.WAITING


async def test_a_withdrawal_that_no_relay_takes_says_so() -> None:
    async with serving() as manifest, aiohttp.ClientSession() as session:
        voter = make_voter(manifest, [])
        with pytest.raises(NoRelay):
            await voter.withdraw(track(voter.record, UNSEEN, height=1), session)


ROWS = sorted(sha256(bytes([at])) for at in range(5))
FROZEN = Frozen(root=compute_root(ROWS), count=5, file_digest=b"\x00" * 32, frozen_at=9)


def test_the_active_file_of_the_ledger_is_taken() -> None:
    check_active_file(b"".join(ROWS), FROZEN)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(ROWS[:4], id="one entry left out"),
        pytest.param([*ROWS[:4], ROWS[3]], id="one entry twice"),
        pytest.param(ROWS[1:] + ROWS[:1], id="unsorted"),
        pytest.param([*ROWS[:4], b"\xff" * 32], id="another entry"),
    ],
)
def test_case_30_another_active_file_is_refused(rows: list[bytes]) -> None:
    with pytest.raises(NotOnRoll):
        check_active_file(b"".join(rows), FROZEN)
