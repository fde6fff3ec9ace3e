"""`daicho service hub keyring`: the file of secrets that is kept apart from the database."""

from pathlib import Path
from typing import Final

import click

from services.hub.keyring import add_sector, create_keyring, rotate_sector
from services.hub.settings import HUB

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.group("keyring")
def keyring() -> None:
    """Make the keyring, and add sectors to it; back it up apart from the database."""


@keyring.command("create")
@click.option("--out", type=_FILE, required=True, help="New file, its owner's alone.")
@click.option("--sector", "sectors", multiple=True, help="Give it once for each sector.")
def create(out: Path, sectors: tuple[str, ...]) -> None:
    """Draw the secrets of the card index and of sectors."""
    create_keyring(out, (HUB, *sectors))
    click.echo(f"{out}: written; without it nobody is found again, so back it up")


@keyring.command("add")
@click.option("--file", "path", type=_FILE, required=True, help="The keyring.")
@click.option("--sector", required=True, help="Name of the new sector.")
def add(path: Path, sector: str) -> None:
    """Draw the secret of another sector."""
    add_sector(path, sector)
    click.echo(f"{path}: has a key for {sector} now; back it up again and restart the hub")


@keyring.command("rotate")
@click.option("--file", "path", type=_FILE, required=True, help="The keyring.")
@click.option("--sector", required=True, help="Sector whose secret became known.")
def rotate(path: Path, sector: str) -> None:
    """Follow a sector's secret by another: everybody gets another name there."""
    version = rotate_sector(path, sector, is_own=sector == HUB)
    click.echo(
        f"{path}: version {version} of {sector}; back it up and restart the hub, then let the "
        "sector's services ask for the new names"
    )
