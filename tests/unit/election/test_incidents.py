"""ELECTION-INCIDENT: every municipality's log, fixed on the ledger, in everyone's record.

The towns are served over HTTP where an officer or the public asks.
"""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from sqlalchemy import delete

from clients.voter.network import ServiceRefused
from node.cli.main import cli
from node.primitives.crypto import sha256
from node.primitives.errors import MalformedMessage
from services.election.board.contracts import encode_call
from services.election.board.export import export_record
from services.election.board.part import Fetching
from services.election.commands.incident import note_incident
from services.election.commands.officer import Officer
from services.election.publication.incident_operations import IncidentOperations
from services.election.publication.incidents import (
    IncidentLog,
    IncidentRefused,
    IncidentState,
    ListedIncident,
    decode_incident,
)
from services.election.publication.tables import INCIDENTS
from services.kit.clock import SystemClock
from tests.support.election_day import DRAFT_ID, hold_day
from tests.support.election_http import OFFICER, serve_town
from tests.support.election_world import Town, World, open_world
from tests.support.ledger import SERVICE_KEYS

SILENT = "五霞町の中継が4分間応答しなかった。"


async def note(town: Town, text: str = SILENT) -> None:
    """Note an incident as an officer does."""
    log = IncidentLog(town.context)
    draft, now = await town.draft(DRAFT_ID), town.context.resources.clock.now()
    await town.board.database.transact(
        lambda tx: log.note(
            tx, draft, severity="warning", text=text, reporter=("staff:one", "officer"), now=now
        )
    )


async def listed(town: Town) -> tuple[ListedIncident, ...]:
    """Return the incidents as a town shows them."""
    draft = await town.draft(DRAFT_ID)
    async with town.board.database.read() as tx:
        return await IncidentLog(town.context).list(tx, draft)


async def fetch(world: World) -> None:
    """Let every town fetch the files it lacks."""
    for town in world.towns:
        await Fetching(town.context).fetch_missing()


async def test_every_town_reads_what_every_town_noted(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=2) as world:
        await world.draft(DRAFT_ID)
        one, two = world.towns
        await note(one)
        await note(one, "応答が戻った。")
        await note(two, "区切りを確認できない。")
        assert [each.state for each in await listed(one)] == [IncidentState.WAITING] * 2
        assert await listed(two) == (await listed(two))

        await world.relay()
        await fetch(world)

        shown = await listed(one)
        assert await listed(two) == shown
        assert [(each.municipality, each.number, each.state) for each in shown] == [
            (1, 1, IncidentState.FINAL),
            (1, 2, IncidentState.FINAL),
            (2, 1, IncidentState.FINAL),
        ]
        texts = [each.incident.text for each in shown if each.incident is not None]
        assert texts == [SILENT, "応答が戻った。", "区切りを確認できない。"]


async def test_another_text_under_the_digest_is_not_shown(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=2) as world:
        await world.draft(DRAFT_ID)
        await note(world.towns[0])
        await world.relay()
        world.lies[1] = lambda _ref: b'{"number":1,"severity":"info","text":"fine","time":1}'

        await fetch(world)

        (shown,) = await listed(world.towns[1])
        assert (shown.state, shown.incident) == (IncidentState.FINAL, None)


async def test_what_stands_on_the_ledger_cannot_be_replaced(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        await world.draft(DRAFT_ID)
        await note(world.towns[0])
        await world.relay()
        (before,) = await listed(world.towns[0])

        made = await world.send(
            1, world.bulletin, encode_call("Bulletin", "post", DRAFT_ID, 1_001, b"\x09" * 32)
        )

        assert not made.result.receipts[0].is_success
        assert await listed(world.towns[0]) == (before,)


async def test_a_restored_database_gives_the_next_number(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        await world.draft(DRAFT_ID)
        (town,) = world.towns
        await note(town)
        await world.relay()
        async with town.board.database.write() as tx:
            await tx.execute(delete(INCIDENTS))

        await note(town, "復元した。")
        await world.relay()

        assert [each.number for each in await listed(town)] == [1, 2]
        assert {each.state for each in await listed(town)} == {IncidentState.FINAL}


async def test_a_post_that_failed_is_asked_for_again_and_a_displaced_one_is_not(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, count=1) as world:
        (town,) = world.towns
        await world.draft(DRAFT_ID)
        await note(town)
        # Another process of the same municipality was faster with another text.
        key = SERVICE_KEYS[0]
        call = encode_call("Bulletin", "post", DRAFT_ID, 1_001, b"\x09" * 32)
        await world.make(world.ledger.call(key, world.bulletin, call, gas_limit=500_000))
        await world.relay()
        await IncidentLog(town.context).repeat_failed()
        assert await world.relay() == 0
        states = {each.digest[:1]: each.state for each in await listed(town)}
        assert states.pop(b"\x09") is IncidentState.FINAL
        assert list(states.values()) == [IncidentState.FAILED]


async def test_the_text_of_an_incident_is_for_everyone(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        await world.draft(DRAFT_ID)
        with pytest.raises(IncidentRefused):
            await note(world.towns[0], "青木様の票が届かない")
        assert await listed(world.towns[0]) == ()


@pytest.mark.parametrize(
    "data",
    [
        b'{"number":1,"severity":"info","text":"x","time":1 }',
        b'{"number":0,"severity":"info","text":"x","time":1}',
        b'{"number":1,"severity":"bad","text":"x","time":1}',
        b'{"number":1,"severity":"info","text":"","time":1}',
        b'{"number":1,"severity":"info","text":"x"}',
        b'{"name":"x","number":1,"severity":"info","text":"x","time":1}',
    ],
)
def test_a_file_that_is_not_in_its_form_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_incident(data)


async def test_officers_note_and_anyone_lists_over_http(tmp_path: Path) -> None:
    async with open_world(tmp_path, count=1) as world:
        await world.draft(DRAFT_ID)
        (town,) = world.towns
        operations = IncidentOperations(town.context, IncidentLog(town.context))
        async with serve_town(town, sources=[operations], clock=SystemClock()) as served:
            officer = Officer(member=OFFICER, key_file=served.key_file())
            draft = DRAFT_ID.hex()
            noted = await note_incident(
                served.settings(), officer, draft=draft, severity="serious", text=SILENT
            )
            assert (noted["number"], noted["state"], noted["text"]) == (1, "waiting", SILENT)
            with pytest.raises(ServiceRefused, match=r"election\.incident_refused"):
                await note_incident(
                    served.settings(), officer, draft=draft, severity="info", text="馬場さん"
                )
            await world.relay()
            shown = await asyncio.to_thread(
                CliRunner().invoke,
                cli,
                ["--json", "election", "incident", "list", served.url, draft],
            )
            assert shown.exit_code == 0, shown.output
            (row,) = json.loads(shown.output)
            assert (row["state"], row["severity"], row["text"]) == ("final", "serious", SILENT)
            async with aiohttp.ClientSession() as http:
                path = f"{served.url}/drafts/{draft}/incidents"
                body = {"severity": "info", "text": "x"}
                async with http.post(path, json=body) as refused:
                    assert refused.status == 401


@pytest.mark.slow
async def test_incidents_are_part_of_the_record_and_a_withheld_text_is_named(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        day = await hold_day(world)
        one = world.towns[0]
        await note(one)
        await note(one, "応答が戻った。")
        await world.relay()
        await world.settle(lambda town: town.tally.advance(day.eid))
        shown = await listed(one)
        one.context.files.path(shown[1].digest).unlink()

        found = await export_record(one.context, day.eid, tmp_path / "record")

        data = (tmp_path / "record" / "incidents" / "1-1.json").read_bytes()
        assert sha256(data) == shown[0].digest
        assert "incidents/1-2.json" in found.missing
        assert not (tmp_path / "record" / "incidents" / "1-2.json").exists()
