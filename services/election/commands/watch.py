"""`daicho election watch`: ask every municipality's service where an election stands.

Spec: ELECTION-WATCH.
"""

import asyncio
import json
from dataclasses import asdict
from typing import Final

import aiohttp
import click
from pydantic import ValidationError

from clients.cli.session import Output
from clients.voter.network import ElectionService
from clients.voter.voter import fetch_manifest
from clients.voting.manifest import Manifest
from node.primitives.errors import InvalidInput, LedgerError
from services.election.board.operations import ElectionView
from services.election.commands.watching import Tongue, TownReport, Watched, judge, write_line
from services.kit.clock import Clock, SystemClock

EVERY_S: Final = 10.0
TIMEOUT_S: Final = 8.0
"""How long a service may take before it counts as silent."""


@click.command("watch")
@click.argument("url")
@click.argument("eid")
@click.option("--once", is_flag=True, help="Look once; the exit code is 1 when somebody must act.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(1, 3_600),
    default=EVERY_S,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option(
    "--language",
    type=click.Choice([each.value for each in Tongue]),
    default=Tongue.JAPANESE.value,
    show_default=True,
)
@click.pass_context
def watch(
    ctx: click.Context, url: str, eid: str, *, once: bool, every_s: float, language: str
) -> None:
    """Show an election live: one line for each look, what must be done first.

    The manifest comes from the service at URL and names the others. With --json each look is one
    line of JSON.
    """
    output: Output = ctx.obj

    async def run() -> bool:
        clock = SystemClock()
        manifest = await _fetch_manifest(url, eid)
        while True:
            watched = await look(manifest, clock)
            if output.is_json:
                click.echo(json.dumps(asdict(watched), ensure_ascii=False))
            else:
                click.echo(write_line(watched, Tongue(language)))
            if once or (watched.phase in ("done", "abandoned") and not watched.alarms):
                return bool(watched.alarms)
            await clock.sleep(every_s)

    ctx.exit(1 if asyncio.run(run()) else 0)


async def _fetch_manifest(url: str, eid: str) -> Manifest:
    try:
        subject = bytes.fromhex(eid)
    except ValueError as error:
        raise InvalidInput("eid: expected 64 hexadecimal digits") from error
    async with aiohttp.ClientSession(trust_env=False) as http:
        return await fetch_manifest([ElectionService(url, http)], subject)


async def look(manifest: Manifest, clock: Clock) -> Watched:
    """Ask every municipality of an election once.

    Spec: ELECTION-WATCH.
    """
    async with aiohttp.ClientSession(trust_env=False) as http:
        towns = [(each.municipality, ElectionService(each.url, http)) for each in manifest.trustees]
        reports = await asyncio.gather(*(_ask(manifest.eid, *town) for town in towns))
    return judge(manifest, reports, now_s=int(clock.now().timestamp()))


async def _ask(eid: bytes, municipality: str, service: ElectionService) -> TownReport:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            election = ElectionView.model_validate(await service.election(eid)).model_dump()
    except (LedgerError, TimeoutError, ValidationError):
        return TownReport(municipality=municipality, election=None)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            box = await service.ask("GET", f"/elections/{eid.hex()}/box")
            pending = int(box["pending"])
    except (LedgerError, TimeoutError, KeyError, TypeError, ValueError):
        return TownReport(municipality=municipality, election=election)
    return TownReport(municipality=municipality, election=election, pending=pending)
