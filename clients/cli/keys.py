"""`daicho resident keys`: make a wallet, draw keys for sectors, back up, restore. Prints no secret.

Passphrases come from a private file or from a question without echo.

Spec: WALLET-COMMANDS, WALLET-EXPORT.
"""

import secrets
from pathlib import Path
from typing import Final

import click

from clients.cli.home import write_private
from clients.cli.session import Session
from clients.wallet.backup import BACKUP_SIZE_MAX, create_backup, restore_backup
from clients.wallet.wallet import (
    WALLET_SIZE_MAX,
    Entry,
    Kind,
    OpenWallet,
    UnknownKey,
    Wallet,
    create_wallet,
    decode_wallet,
    encode_wallet,
)
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.types import Address
from node.settings import read_secret

_FILE: Final = click.Path(path_type=Path, dir_okay=False)

PASSPHRASE = click.option(
    "--passphrase-file", type=_FILE, help="File with the wallet's passphrase (mode 0600)."
)
_BACKUP_PASSPHRASE = click.option(
    "--backup-passphrase-file", type=_FILE, help="File with the backup's passphrase (mode 0600)."
)


@click.group()
def group() -> None:
    """Keep the resident's keys; no command prints a secret."""


@group.command("create")
@PASSPHRASE
@click.pass_obj
def create(session: Session, passphrase_file: Path | None) -> None:
    """Make an empty wallet under a passphrase."""
    path = session.home.wallet_path
    if path.exists():
        raise Misconfigured(f"{path}: there is a wallet already; keep it or use another --home")
    passphrase = _passphrase(session, passphrase_file, "wallet_passphrase", is_new=True)
    wallet = create_wallet(passphrase, secrets.token_bytes)
    save_wallet(session, wallet)
    session.output.result({"wallet": path, "keys": 0}, title=session.say("wallet_created"))


@group.command("list")
@click.pass_obj
def list_keys(session: Session) -> None:
    """List keys and their public halves; needs no passphrase."""
    rows = [_shown(entry) for entry in load_wallet(session).entries]
    session.output.rows(rows, empty=session.say("no_keys"))


@group.command("add")
@click.argument("sector")
@PASSPHRASE
@click.pass_obj
def add(session: Session, sector: str, passphrase_file: Path | None) -> None:
    """Draw the signing key and the record key of SECTOR."""
    opened = unlock_wallet(session, passphrase_file)
    address = opened.add_sector(sector)
    save_wallet(session, opened.wallet)
    session.output.result(
        {"sector": sector, "address": "0x" + address.hex()}, title=session.say("key_added")
    )


@group.command("backup")
@click.argument("file", type=_FILE)
@PASSPHRASE
@_BACKUP_PASSPHRASE
@click.pass_obj
def backup(
    session: Session,
    file: Path,
    passphrase_file: Path | None,
    backup_passphrase_file: Path | None,
) -> None:
    """Write every key to FILE, encrypted under a passphrase of its own."""
    if file.exists():
        raise Misconfigured(f"{file}: exists; choose another name, a backup is never overwritten")
    opened = unlock_wallet(session, passphrase_file)
    passphrase = _passphrase(session, backup_passphrase_file, "backup_passphrase", is_new=True)
    data = create_backup(opened, passphrase, secrets.token_bytes)
    write_private(file, data)
    session.output.result(
        {"file": file, "keys": len(opened.wallet.entries)}, title=session.say("backup_written")
    )


@group.command("restore")
@click.argument("file", type=_FILE)
@PASSPHRASE
@_BACKUP_PASSPHRASE
@click.pass_obj
def restore(
    session: Session,
    file: Path,
    passphrase_file: Path | None,
    backup_passphrase_file: Path | None,
) -> None:
    """Add every key of a backup to the wallet; nothing is replaced."""
    opened = unlock_wallet(session, passphrase_file)
    passphrase = _passphrase(session, backup_passphrase_file, "backup_passphrase", is_new=False)
    count = restore_backup(opened, _read(file, BACKUP_SIZE_MAX), passphrase)
    save_wallet(session, opened.wallet)
    session.output.result({"file": file, "added": count}, title=session.say("backup_restored"))


@group.command("passphrase")
@PASSPHRASE
@click.option("--new-passphrase-file", type=_FILE, help="File with the new one (mode 0600).")
@click.pass_obj
def change_passphrase(
    session: Session, passphrase_file: Path | None, new_passphrase_file: Path | None
) -> None:
    """Change the wallet's passphrase; keys stay. Backups keep theirs."""
    opened = unlock_wallet(session, passphrase_file)
    fresh = _passphrase(session, new_passphrase_file, "new_passphrase", is_new=True)
    opened.change_passphrase(fresh)
    save_wallet(session, opened.wallet)
    session.output.result(
        {"wallet": session.home.wallet_path}, title=session.say("passphrase_changed")
    )


def sector_address(session: Session, sector: str) -> Address:
    """Return the address of one sector; there is no function for all of them.

    A node that is asked about two at once learns that they are one person's.

    Raises:
        UnknownKey: The wallet has no key for it.
        Misconfigured: There is no wallet.

    Spec: WALLET-UNLINKED.
    """
    entry = load_wallet(session).find(Kind.SECTOR, sector)
    if entry is None:
        raise UnknownKey(f"wallet: no key for sector {sector}; `daicho resident keys list` shows")
    return Address(entry.public)


def unlock_wallet(session: Session, passphrase_file: Path | None) -> OpenWallet:
    """Open the wallet with the passphrase from a file or from a question.

    Raises:
        Misconfigured: There is no wallet, or the file is open to others.
        WrongPassphrase: It is another's.
    """
    wallet = load_wallet(session)
    passphrase = _passphrase(session, passphrase_file, "wallet_passphrase", is_new=False)
    return wallet.unlock(passphrase, secrets.token_bytes)


def _passphrase(session: Session, file: Path | None, question: str, *, is_new: bool) -> str:
    if file is not None:
        return read_secret(file)
    answer: str = click.prompt(
        session.say(question), hide_input=True, confirmation_prompt=is_new, err=True
    )
    return answer


def load_wallet(session: Session) -> Wallet:
    """Read the wallet, locked.

    Raises:
        Misconfigured: There is none.
    """
    path = session.home.wallet_path
    if not path.exists():
        raise Misconfigured(f"{path}: no wallet; run `daicho resident keys create` first")
    return decode_wallet(_read(path, WALLET_SIZE_MAX))


def save_wallet(session: Session, wallet: Wallet) -> None:
    """Write the wallet back."""
    write_private(session.home.wallet_path, encode_wallet(wallet).encode())


def _read(path: Path, size_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(size_max + 1)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check it") from error
    if len(data) > size_max:
        raise InvalidInput(f"{path}: over {size_max} bytes")
    return data


def _shown(entry: Entry) -> dict[str, object]:
    shown = "0x" + entry.public.hex() if len(entry.public) == 20 else f"{len(entry.public)} bytes"
    return {"kind": entry.kind.value, "name": entry.name, "public": shown}
