"""`daicho election incident`: note what went wrong, and read what every municipality noted.

Spec: ELECTION-INCIDENT.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import click

from clients.cli.session import Output
from clients.voter.network import AnswerMalformed, ElectionService
from node.primitives.errors import InvalidInput
from services.election.commands.officer import Officer, reach_service
from services.election.service import SERVICE
from services.election.settings import ElectionSettings
from services.kit.clock import JAPAN

EXAMPLES: Final = """\b
Examples:
  daicho election incident add 3f… --severity warning --config election.toml \\
      --officer officer-1 --officer-key officer-1.key.json "The relay did not answer for 4 minutes."
  daicho election incident list https://vote.example.lg.jp 3f…
"""

_FILE: Final = click.Path(dir_okay=False, path_type=Path, exists=True)


@click.group("incident", epilog=EXAMPLES)
def group() -> None:
    """Note what went wrong in an election, and list what was noted."""


@group.command("add")
@click.argument("draft")
@click.argument("text")
@click.option("--severity", type=click.Choice(["info", "warning", "serious"]), required=True)
@click.option("--config", type=_FILE, required=True, help="Settings of the election service.")
@click.option("--officer", "member", required=True, help="Your id in the staff table.")
@click.option("--officer-key", type=_FILE, required=True, help="Your private key, a JWK.")
@click.pass_obj
def add(
    output: Output,
    draft: str,
    text: str,
    severity: str,
    config: Path,
    member: str,
    officer_key: Path,
) -> None:
    """Note TEXT in this municipality's log of the election with this DRAFT id.

    Everyone reads it and nobody can take it back: say what happened and to what, never to whom.
    """
    settings = SERVICE.load_settings(config)
    officer = Officer(member=member, key_file=officer_key)
    noted = asyncio.run(note_incident(settings, officer, draft=draft, severity=severity, text=text))
    output.result(noted, title="noted; its digest is on its way to the ledger")


@group.command("list")
@click.argument("url")
@click.argument("draft")
@click.pass_obj
def list_(output: Output, url: str, draft: str) -> None:
    """List the incidents of every municipality, as the service at URL knows them."""
    path = f"/drafts/{_draft_id(draft)}/incidents"

    async def ask() -> Mapping[str, Any]:
        async with aiohttp.ClientSession(trust_env=False) as http:
            return await ElectionService(url, http).ask("GET", path)

    output.rows(_rows(asyncio.run(ask())), empty="no incidents")


async def note_incident(
    settings: ElectionSettings, officer: Officer, *, draft: str, severity: str, text: str
) -> Mapping[str, object]:
    """Note an incident at the officer's own service; return it as it is listed.

    Raises:
        ServiceRefused: The service does not take it.
        AnswerMalformed: Its answer does not show it.
    """
    path = f"/drafts/{_draft_id(draft)}/incidents"
    async with reach_service(settings, officer) as service:
        answer = await service.ask("POST", path, {"severity": severity, "text": text})
    mine = settings.municipality.id
    noted = [each for each in _rows(answer) if each["municipality"] == mine]
    if not noted:
        raise AnswerMalformed("the service does not show the incident; list them")
    return max(noted, key=lambda each: int(str(each["number"])))


def _draft_id(text: str) -> str:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise InvalidInput(
            "draft: expected 64 hexadecimal digits, as `election draft` printed them"
        )
    return found.hex()


def _rows(answer: Mapping[str, Any]) -> Sequence[Mapping[str, object]]:
    try:
        return [describe_incident(each) for each in answer["incidents"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AnswerMalformed("incidents: not as the operation promises") from error


def describe_incident(shown: Mapping[str, Any]) -> dict[str, object]:
    """Return an incident for people, its time in Japan's."""
    time_s = shown["time"]
    when = "" if time_s is None else f"{datetime.fromtimestamp(int(time_s), JAPAN):%Y-%m-%d %H:%M}"
    return {
        "municipality": int(shown["municipality"]),
        "number": int(shown["number"]),
        "time": when,
        "severity": str(shown["severity"] or ""),
        "state": str(shown["state"]),
        "text": str(shown["text"] or "withheld, or not here yet"),
        "digest": str(shown["digest"]),
        "height": shown["height"],
    }
