"""The attestor's process: its socket, its settings and its command.

Run by ``daicho service election attestor`` under a user of its own. Whoever takes over the
registrar can hand in what voters signed, and takes no key away.

Spec: ROLL-ATTESTOR.
"""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import click

from clients.identity.network import HttpRevocationSource
from clients.identity.path import TrustStore, build_trust_store
from clients.identity.verifier import DirectVerifier
from node.log import Log, start_log
from node.primitives.errors import InvalidInput, Misconfigured
from node.settings import LogFormat, LogLevel, load_record, read_secret
from services.election.commission.attestor import Attestor
from services.election.commission.attestor_store import AttestorStore
from services.election.commission.attestor_wire import (
    ANSWER_TIMEOUT_S,
    FRAME_BYTES_MAX,
    decode_ask,
)
from services.election.settings import AuthoritySettings, RevocationSettings
from services.kit.clock import SystemClock
from services.kit.sockets import listening, receive_frame, send_frame
from services.relay.signer import load_key

CONNECTIONS_MAX: Final = 32

_log = Log("attestor")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestorSettings:
    """The attestor's settings file."""

    socket: Path
    """Unix socket it serves."""
    keystore_file: Path
    """Its key; manifests name the public part."""
    password_file: Path
    """File with the keystore's password."""
    database_file: Path
    """Its own memory."""
    authorities: tuple[AuthoritySettings, ...]
    """The trust store."""
    revocation: RevocationSettings
    """Where it asks."""


class AttestorServer:
    """Serves one attestor at a socket."""

    def __init__(self, attestor: Attestor) -> None:
        """Hold it."""
        self._attestor = attestor
        self._connections = 0

    async def answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request, one answer."""
        self._connections += 1
        try:
            if self._connections > CONNECTIONS_MAX:
                return
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                ask = decode_ask(
                    await receive_frame(reader, size_max=FRAME_BYTES_MAX, what="attestor frame")
                )
                answer = await self._attestor.answer(ask)
                await send_frame(writer, answer.model_dump_json().encode())
        except (OSError, InvalidInput) as error:
            _log.warning("a connection ended early", why=type(error).__name__)
        finally:
            self._connections -= 1
            writer.close()


def load_trust_store(authorities: tuple[AuthoritySettings, ...]) -> TrustStore:
    """Read the authorities' certificates.

    Raises:
        Misconfigured: A file cannot be read, or holds no authority.
    """
    try:
        return build_trust_store(tuple((each.kind, each.file.read_bytes()) for each in authorities))
    except OSError as error:
        raise Misconfigured(f"authorities: {error.filename} cannot be read; check it") from error
    except InvalidInput as error:
        raise Misconfigured(f"authorities: {error.message}; take the published files") from error


@click.command("attestor")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The attestor's settings file.",
)
def attestor_command(config: Path) -> None:
    """Hold the election's second attestor key and sign what it has checked itself."""
    settings = load_record(AttestorSettings, config)
    log = start_log(LogLevel.INFO, LogFormat.HUMAN)
    try:
        asyncio.run(run_attestor(settings))
    finally:
        log.stop()


async def run_attestor(settings: AttestorSettings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        Misconfigured: A key, file or socket is wrong.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    key = load_key(settings.keystore_file, read_secret(settings.password_file))
    store = AttestorStore(settings.database_file)
    async with aiohttp.ClientSession() as session:
        source = HttpRevocationSource(session, settings.revocation.url)
        verifier = DirectVerifier(load_trust_store(settings.authorities), source)
        attestor = Attestor(
            key, store, verifier, method=settings.revocation.method, clock=SystemClock()
        )
        async with listening(AttestorServer(attestor).answer_one, settings.socket):
            _log.info("attestor serves", at=str(settings.socket))
            await stopping.wait()
    store.close()
