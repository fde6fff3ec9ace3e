"""`daicho key`: make, show and import keys, and serve one to a node as a remote signer."""

import signal
from pathlib import Path

import click

from node.cli.output import Output
from node.log import start_log
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, Misconfigured
from node.runtime.keystore import (
    DEVELOPMENT_MARK,
    create_key,
    find_password,
    load_keystore,
    load_keystore_info,
    save_keystore,
)
from node.runtime.signer_server import SignerServer
from node.settings import KeySettings, LogFormat, LogLevel, check_private, read_secret

PASSWORD_SIZE_MIN = 12
"""Shortest password accepted for a new keystore, in characters."""

_FILE = click.Path(dir_okay=False, path_type=Path)


EXAMPLES = """\b
Examples:
  daicho key new --out node.key.json --password-file node.key.password
  daicho key show node.key.json
  daicho key serve --keystore node.key.json --socket /run/daicho/signer.sock --state-dir state
"""


@click.group("key", epilog=EXAMPLES)
def group() -> None:
    """Make, show and import keys; serve a remote signer."""


@group.command("new")
@click.option("--out", type=_FILE, required=True, help="Keystore file to write.")
@click.option("--password-file", type=_FILE, help="File with the password (mode 0600).")
@click.option("--development", is_flag=True, help="Mark the key: for local trials only.")
@click.pass_obj
def new(output: Output, out: Path, password_file: Path | None, development: bool) -> None:
    """Draw a new key and write its keystore."""
    key = create_key()
    _save(out, key, password_file, is_development=development)
    _show(output, out)


@group.command("import")
@click.option("--out", type=_FILE, required=True, help="Keystore file to write.")
@click.option(
    "--secret-file", type=_FILE, required=True, help="File with the key in hex (mode 0600)."
)
@click.option("--password-file", type=_FILE, help="File with the password (mode 0600).")
@click.pass_obj
def import_key(output: Output, out: Path, secret_file: Path, password_file: Path | None) -> None:
    """Import a secp256k1 key from a file that holds it in hex, or from another keystore."""
    _save(out, _read_key(secret_file), password_file, is_development=False)
    _show(output, out)
    output.say(f"delete {secret_file} once the keystore is backed up")


@group.command("show")
@click.argument("keystore", type=_FILE)
@click.option(
    "--public", is_flag=True, help="Open the keystore and show the public key for membership."
)
@click.option("--password-file", type=_FILE, help="File with the password (mode 0600).")
@click.pass_obj
def show(output: Output, keystore: Path, public: bool, password_file: Path | None) -> None:
    """Show a keystore's address; with --public its public key too. Never the secret."""
    if not public:
        _show(output, keystore)
        return
    settings = KeySettings(keystore=keystore, password_file=password_file)
    key = load_keystore(keystore, find_password(settings, _prompt))
    output.result(
        {"address": f"0x{key.address.hex()}", "public_key": f"0x{key.public_key[1:].hex()}"}
    )


@group.command("serve")
@click.option("--keystore", type=_FILE, required=True, help="Keystore of the validator key.")
@click.option("--password-file", type=_FILE, help="File with the password (mode 0600).")
@click.option("--socket", "socket_path", type=_FILE, required=True, help="Unix socket to serve.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory of the signer's own record of votes; never restore it from a backup.",
)
def serve(keystore: Path, password_file: Path | None, socket_path: Path, state_dir: Path) -> None:
    """Serve a key to a node as a remote signer, until SIGTERM or Ctrl-C."""
    settings = KeySettings(keystore=keystore, password_file=password_file)
    key = load_keystore(keystore, find_password(settings, _prompt))
    log = start_log(LogLevel.INFO, LogFormat.HUMAN)
    server = SignerServer(key, socket_path=socket_path, state_dir=state_dir)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.close())
    try:
        server.serve()
    finally:
        log.stop()


def _show(output: Output, path: Path) -> None:
    info = load_keystore_info(path)
    output.result(
        {
            "address": f"0x{info.address.hex()}",
            "keystore": str(path),
            "development": info.is_development,
        }
    )


def _save(out: Path, key: PrivateKey, password_file: Path | None, *, is_development: bool) -> None:
    if is_development and DEVELOPMENT_MARK not in out.name:
        raise Misconfigured(
            f"{out}: name a development key with {DEVELOPMENT_MARK!r} in its file name"
        )
    password = read_secret(password_file) if password_file else _new_password()
    if len(password) < PASSWORD_SIZE_MIN and not is_development:
        raise Misconfigured(
            f"password of {len(password)} characters; choose at least {PASSWORD_SIZE_MIN}"
        )
    save_keystore(out, key, password, is_development=is_development)


def _read_key(path: Path) -> PrivateKey:
    """Read a key in hex, or open a foreign keystore.

    Raises:
        Misconfigured: The file holds neither.
    """
    check_private(path)
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if text.startswith("{"):
        return load_keystore(path, _prompt(f"password of {path}"))
    try:
        return PrivateKey(bytes.fromhex(text.removeprefix("0x")))
    except (ValueError, InvalidInput) as error:
        raise Misconfigured(f"{path}: expected 64 hexadecimal digits; check the file") from error


def _new_password() -> str:
    password: str = click.prompt("new password", hide_input=True, confirmation_prompt=True)
    return password


def _prompt(question: str) -> str:
    password: str = click.prompt(question, hide_input=True)
    return password
