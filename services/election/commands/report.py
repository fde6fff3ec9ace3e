"""`daicho election report`: the after-action report of an election, to print, sign and keep.

Spec: ELECTION-ACCOUNT.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from clients.cli.session import Output
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, Misconfigured
from services.election.publication.account import Account, Words
from services.election.publication.chapters import write_account
from services.election.publication.facts import gather_facts
from services.election.publication.printing import print_account
from services.election.service import SERVICE, build_context
from services.election.settings import ElectionSettings
from services.kit.clock import SystemClock
from services.kit.messages import Language
from services.kit.service import open_resources

_FILE = click.Path(dir_okay=False, path_type=Path, exists=True)


@click.command("report")
@click.argument("eid")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--config", type=_FILE, required=True, help="Settings of the election service.")
@click.option(
    "--language",
    type=click.Choice([each.value for each in Language]),
    default=Language.JAPANESE.value,
    show_default=True,
)
@click.option("--font", type=_FILE, help="TrueType file to embed, for archives.")
@click.pass_obj
def report(
    output: Output, eid: str, out: Path, config: Path, language: str, font: Path | None
) -> None:
    """Write the whole election as a PDF to OUT: timetable, roll, keys, mixes, results, incidents.

    At the commission it holds enrolment by age and district too, with small cells hidden; make it
    before the restricted store is destroyed.
    """
    if out.exists():
        raise Misconfigured(f"{out}: exists; name another file")
    settings = SERVICE.load_settings(config)
    data, account = asyncio.run(make_report(settings, eid, Language(language), font))
    out.write_bytes(data)
    output.result(
        {
            "file": out,
            "sha256": sha256(data).hex(),
            "chapters": [section.title for section in account.sections],
            "as_of": account.as_of,
        }
    )


async def make_report(
    settings: ElectionSettings, eid: str, language: Language, font: Path | None = None
) -> tuple[bytes, Account]:
    """Return the report as a PDF, and what it says.

    Raises:
        InvalidInput: There is no such election here, or its manifest has not come yet.
    """
    try:
        subject = bytes.fromhex(eid)
    except ValueError as error:
        raise InvalidInput("eid: expected 64 hexadecimal digits") from error
    async with open_resources(SERVICE, settings, clock=SystemClock()) as resources:
        with ThreadPoolExecutor(1) as pool:
            context = build_context(settings, resources, pool)
            facts = await gather_facts(context, subject, is_internal=True)
        if facts is None:
            raise InvalidInput("no such election here, or its manifest has not come yet")
        words = Words(resources.catalogue, language)
        account = write_account(facts, words)
        return print_account(account, words, font=font), account
