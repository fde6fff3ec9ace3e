"""`daicho service relay signer`: hold the relay's key in a process of its own."""

import asyncio
import signal
from pathlib import Path
from typing import Final

import click

from node.log import start_log
from node.settings import LogFormat, LogLevel, read_secret
from services.kit.settings import parse_address
from services.kit.sockets import listening
from services.relay.signer import load_key
from services.relay.signer_server import SignerServer

CHAIN_ID_MAX: Final = 2**63 - 1

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command("signer")
@click.option("--keystore", type=_FILE, required=True, help="Keystore of the relay's key.")
@click.option(
    "--password-file", type=_FILE, required=True, help="File with the password (mode 0600)."
)
@click.option(
    "--chain-id",
    type=click.IntRange(1, CHAIN_ID_MAX),
    required=True,
    help="The only chain to sign for.",
)
@click.option("--socket", "socket_path", type=_FILE, required=True, help="Unix socket to serve.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="Contract that may be called; give it once for each. Without it, any.",
)
def signer(
    keystore: Path, password_file: Path, chain_id: int, socket_path: Path, targets: tuple[str, ...]
) -> None:
    """Sign for a relay that names this socket, until SIGTERM or Ctrl-C."""
    key = load_key(keystore, read_secret(password_file))
    allowed = frozenset(parse_address(target, "--target") for target in targets)
    log = start_log(LogLevel.INFO, LogFormat.HUMAN)
    try:
        asyncio.run(_serve(SignerServer(key, chain_id=chain_id, targets=allowed), socket_path))
    finally:
        log.stop()


async def _serve(server: SignerServer, socket_path: Path) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with listening(server.answer_one, socket_path):
        await stopping.wait()
