"""`daicho kiosk`: receive one resident after another on the ladder, and check the journal.

Prints the rung, whether the holder is authenticated, and the number for the slip: nothing read off
the card. Needs no network.

Spec: KIOSK-RUNG, KIOSK-JOURNAL.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from clients.card.codes import CodeKind
from clients.card.commands import ask_code, explained
from clients.card.messages import NUMBER_NOT_READ, Language
from clients.card.session import open_card
from clients.identity.statement import NONCE_SIZE, encode_statement
from clients.kiosk.journal import read_entries
from clients.kiosk.ladder import (
    CheckIn,
    Rung,
    build_check_in_statement,
    check_in_by_number_b,
    check_in_by_signature,
    check_in_by_staff,
    check_in_by_tap,
    is_authenticated,
)
from clients.kiosk.settings import KioskSettings, load_settings

_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    help="The kiosk's settings, a TOML file.",
)


@click.group(short_help="Receive residents with their card, also offline.")
def group() -> None:
    """Receive residents with their card, also offline. The Individual Number is never read."""


@group.command("check-in")
@click.argument("rung", type=click.Choice([one.value for one in Rung]))
@_config
@click.option("--reader", help="Reader to use, by its name or a part of it.")
@click.option(
    "--language",
    type=click.Choice([one.value for one in Language]),
    default=Language.JAPANESE.value,
    show_default=True,
    help="Language of what the resident reads.",
)
@click.option("--name", default="", help="For staff entries: whom.")
@click.option("--note", default="", help="For staff entries: number of the tag handed out, ...")
@click.option("--by", "entered_by", default="", help="For staff entries: who writes it down.")
@click.pass_context
def check_in(
    ctx: click.Context,
    rung: str,
    config: Path,
    reader: str | None,
    language: str,
    name: str,
    note: str,
    entered_by: str,
) -> None:
    """Receive one resident.

    With SIGNATURE the text is shown, the PIN asked for, and the card signs the text shown.
    """
    settings = load_settings(config)
    journal = settings.open_journal()
    with explained(ctx, language):
        if Rung(rung) is Rung.STAFF:
            taken: CheckIn = check_in_by_staff(name=name, note=note, entered_by=entered_by)
        else:
            click.echo(NUMBER_NOT_READ[Language(language)], err=True)
            taken = _with_card(Rung(rung), settings, reader, Language(language))
    entry = journal.append(taken, at=_now())
    _print(
        ctx,
        {
            "number": entry.number,
            "rung": rung,
            "authenticated": is_authenticated(taken),
            "receipt": entry.digest.hex()[:16],
        },
    )


@group.command()
@_config
@click.pass_context
def verify(ctx: click.Context, config: Path) -> None:
    """Check every entry of the journal, and tell the last one's receipt."""
    settings = load_settings(config)
    lines = settings.journal.read_bytes().splitlines() if settings.journal.exists() else []
    entries = read_entries(lines, kiosk=settings.load_key().address)
    receipt = entries[-1].digest.hex()[:16] if entries else "none"
    _print(ctx, {"entries": len(entries), "last receipt": receipt})


def _with_card(
    rung: Rung, settings: KioskSettings, reader: str | None, language: Language
) -> CheckIn:
    trust = settings.load_trust()
    if rung is Rung.TAP:
        with open_card(reader) as card:
            return check_in_by_tap(card, trust=trust, now=_now())
    if rung is Rung.NUMBER_B:
        number = ask_code(CodeKind.NUMBER_B, language)
        with open_card(reader) as card:
            return check_in_by_number_b(card, number)
    statement = build_check_in_statement(
        audience=settings.audience, nonce=secrets.token_bytes(NONCE_SIZE), now=_now()
    )
    click.echo(encode_statement(statement).decode(), err=True)
    pin = ask_code(CodeKind.AUTHENTICATION, language)
    with open_card(reader) as card:
        return check_in_by_signature(card, pin, statement=statement, trust=trust, now=_now())


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the people at the desk live by this clock


def _print(ctx: click.Context, record: Mapping[str, object]) -> None:
    if ctx.find_root().params.get("is_json"):
        click.echo(json.dumps(record))
        return
    for name, value in record.items():
        click.echo(f"  {name:<14}  {value}")
