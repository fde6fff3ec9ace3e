"""ELECTION-WATCH: one line that says first what somebody must do, from what every town says.

TOKEN-BLIND: the command that makes the commission's token key.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from clients.voting.manifest import Manifest, decode_manifest, encode_canonical
from node.cli.main import cli
from node.primitives.errors import Misconfigured
from services.election.board.operations import BoardOperations, file_page
from services.election.board.refs import manifest_ref
from services.election.commands.watch import look
from services.election.commands.watching import Tongue, TownReport, judge, write_line
from services.election.commission.tokens import load_token_key
from tests.support.clock import FakeClock
from tests.support.commission import elector, open_poll
from tests.support.election_http import serve_town
from tests.support.electorate import CLOSES_AT, OPENS_AT, TOWNS, make_manifest

MANIFEST = make_manifest()
NOON = OPENS_AT + 60


def says(**changes: Any) -> dict[str, Any]:
    """Return what a service says of an open election."""
    return {
        "phase": "open",
        "height": 500,
        "block_time": NOON,
        "ballot_count": 1_234,
        "box_value": None,
        "entry_count": 5_678,
        "batch_count": 12,
        "frozen_styles": [],
        "lists": [],
        "results": [],
    } | changes


def reports(*changes: dict[str, Any] | None, pending: int = 2) -> list[TownReport]:
    """Return every town's report; None where a town is silent."""
    told = [*changes, *([{}] * (len(TOWNS) - len(changes)))]
    return [
        TownReport(
            municipality=name,
            election=None if change is None else says(**change),
            pending=None if change is None else pending,
        )
        for name, change in zip(TOWNS, told, strict=True)
    ]


def alarms(*changes: dict[str, Any] | None, now_s: int = NOON) -> tuple[str, ...]:
    return judge(MANIFEST, reports(*changes), now_s=now_s).alarms


def test_all_well_is_one_line_with_the_next_step_in_japans_time() -> None:
    watched = judge(MANIFEST, reports(), now_s=NOON)

    line = write_line(watched, Tongue.JAPANESE)

    closes = datetime.fromtimestamp(CLOSES_AT, UTC).timestamp()
    hour = int((closes + 9 * 3_600) // 3_600 % 24)
    assert watched.alarms == ()
    assert "\n" not in line
    assert f"投票締切 {hour:02}:00" in line
    assert "票 1,234（待ち 8） 登録 5,678（区切り 12）" in line
    assert "要対応" not in line
    assert "[mock] open | next: voting closes" in write_line(watched, Tongue.ENGLISH)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([None], ("silent",), id="one silent"),
        pytest.param([None] * 4, ("nobody",), id="all silent"),
        pytest.param([{"height": 400, "block_time": NOON - 200}], ("behind",), id="behind"),
        pytest.param([{"ballot_count": 1_233}], ("split",), id="another count at one height"),
        pytest.param([{"height": 499, "ballot_count": 1_200}], (), id="a block earlier"),
    ],
)
def test_who_is_silent_behind_or_of_another_mind_is_an_alarm(
    changes: list[dict[str, Any] | None], expected: tuple[str, ...]
) -> None:
    assert alarms(*changes) == expected


def test_a_step_past_its_time_is_an_alarm() -> None:
    closing = [{"phase": "closing"}] * 4
    closed = [{"phase": "closed"}] * 4

    assert alarms(*closing, now_s=CLOSES_AT + 60) == ()
    assert alarms(*closing, now_s=CLOSES_AT + 121) == ("box-open",)
    assert alarms(*closed, now_s=MANIFEST.freezes_at + 121) == ("not-frozen",)


def tally(*rounds: tuple[bool, bool | None], waits_for: list[int]) -> dict[str, Any]:
    """Return what a service says while it is counted."""
    turns = [
        {"round": at, "mixer": at, "is_posted": is_posted, "is_valid": is_valid}
        for at, (is_posted, is_valid) in enumerate(rounds, 1)
    ]
    return {
        "phase": "tally",
        "lists": [{"kind": "R", "number": 7, "rounds": turns, "waits_for": waits_for}],
    }


def test_whose_turn_it_is_is_named() -> None:
    watched = judge(MANIFEST, reports(*[tally((True, True), waits_for=[2])] * 4), now_s=NOON)

    assert watched.waits_for == (f"{TOWNS[1]} (R 7)",)
    assert f"順番: {TOWNS[1]} (R 7)" in write_line(watched, Tongue.JAPANESE)


def test_bad_and_absent_mixers_and_too_few_trustees_are_alarms() -> None:
    bad = tally((True, False), waits_for=[2])
    absent = tally((False, False), waits_for=[2])

    assert alarms(*[bad] * 4) == ("bad-mix",)
    assert alarms(*[absent] * 4) == ("skipped",)
    assert alarms(None, None, *[tally(waits_for=[1])] * 2) == ("silent", "stuck")


async def test_services_are_asked_over_http_and_nonsense_counts_as_silence(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, [elector(0)], towns=1) as poll:
        context = poll.town.context
        nonsense = web.get("/nonsense/elections/{eid}", answer_nonsense)
        sources = [BoardOperations(context)]
        pages = [file_page(context), nonsense]
        async with serve_town(poll.town, sources=sources, pages=pages) as served:
            manifest = with_urls(poll.manifest, served.url)
            await context.library.keep(manifest_ref(poll.eid), poll.manifest.encode())
            # The ledger knows the election under its own id; only addresses are the test's.
            clock = FakeClock()
            watched = await look(Readdressed(poll.manifest, manifest), clock)  # type: ignore[arg-type]
            assert watched.phase == "announced"
            assert watched.silent == tuple(each.municipality for each in manifest.trustees[1:])
            assert "silent" in watched.alarms
            shown = await asyncio.to_thread(
                CliRunner().invoke,
                cli,
                ["--json", "election", "watch", served.url, poll.eid.hex(), "--once"],
            )
            assert shown.exit_code == 1, shown.output
            assert json.loads(shown.output)["alarms"] == ["nobody"]


async def answer_nonsense(_request: web.Request) -> web.Response:
    return web.json_response({"phase": "done", "lists": 3})


def with_urls(manifest: Manifest, url: str) -> Manifest:
    """Return the manifest with the first trustee's address here and the others' nowhere."""
    fields = manifest.model_dump(mode="json")
    for at, trustee in enumerate(fields["trustees"]):
        trustee["url"] = url if at == 0 else f"{url}/nonsense"
    return decode_manifest(encode_canonical(fields))


class Readdressed:
    """A manifest with other addresses under its own id."""

    def __init__(self, manifest: Manifest, addressed: Manifest) -> None:
        self.eid = manifest.eid
        self.title, self.is_mock = manifest.title, manifest.is_mock
        self.opens_at, self.closes_at = manifest.opens_at, manifest.closes_at
        self.freezes_at, self.threshold = manifest.freezes_at, manifest.threshold
        self.races, self.trustees = manifest.races, addressed.trustees


def test_a_token_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.pem"
    words = ["--json", "election", "token-key", "--out", str(path)]

    shown = CliRunner().invoke(cli, words)

    assert shown.exit_code == 0, shown.output
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(shown.output)["modulus"] == f"{load_token_key(path).modulus:0512x}"
    before = path.read_bytes()
    assert isinstance(CliRunner().invoke(cli, words).exception, Misconfigured)
    assert path.read_bytes() == before
