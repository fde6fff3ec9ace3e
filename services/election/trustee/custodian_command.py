"""`daicho service election custodian`: hold a trustee's keys in a process of its own."""

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from clients.core.transport import http_nodes
from node.genesis.parse import parse_genesis
from node.log import Log, start_log
from node.primitives.errors import Misconfigured
from node.primitives.types import Address
from node.settings import LogSettings, load_record, read_secret
from services.election.board.contracts import Contracts
from services.election.board.follow import Board, open_board_follower
from services.election.board.part import MIGRATIONS
from services.election.board.store import BoardStore
from services.election.trustee.custodian import VaultCustodian
from services.election.trustee.custodian_server import ChainView, CustodianServer
from services.election.trustee.vault import open_vault
from services.election.trustee.work import SystemNonces
from services.kit.clock import SystemClock
from services.kit.database import open_database
from services.kit.schema import upgrade
from services.kit.settings import NodeSettings, parse_address
from services.kit.sockets import listening

TENANT: Final = "custodian"
NOWHERE: Final = Address(bytes(20))
"""Address of contracts that the custodian does not read."""

_log = Log("election-custodian")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodianSettings:
    """The custodian's settings file."""

    genesis_file: Path
    """The network's genesis file; reading starts there."""
    nodes: tuple[NodeSettings, ...]
    """Nodes to ask, in this order; this municipality's own first."""
    elections: str
    """Address of the contract ``Elections``."""
    tally_board: str
    """Address of the contract ``TallyBoard``."""
    municipality: int
    """This municipality's number in ``Municipalities``."""
    socket: Path
    """Unix socket to serve."""
    state: Path
    """Folder of the log and of what was read of the ledger."""
    secrets: Path
    """File of the keys."""
    secrets_copy: Path
    """Second file of the keys, best on another disk."""
    password_file: Path
    """Password under which both are sealed (mode 0600)."""
    log: LogSettings = field(default_factory=LogSettings)
    """Logs."""


@click.command("custodian")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("/etc/daicho/custodian.toml"),
    show_default=True,
    help="Settings file.",
)
def custodian(config: Path) -> None:
    """Hold the encryption key and key shares of a trustee, until SIGTERM or Ctrl-C."""
    settings = load_record(CustodianSettings, config)
    log = start_log(settings.log.level, settings.log.format)
    try:
        asyncio.run(run_custodian(settings))
    finally:
        log.stop()


async def run_custodian(settings: CustodianSettings, stopping: asyncio.Event | None = None) -> None:
    """Serve until a signal, or until ``stopping`` is set.

    Raises:
        Misconfigured: A setting or file is wrong.
        VaultDamaged: Keys or log are not what they were.
    """
    vault = open_vault(
        (settings.secrets, settings.secrets_copy),
        settings.state / "acts.log",
        read_secret(settings.password_file),
    )
    if stopping is None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        view = await _open_view(settings, stack)
        holder = VaultCustodian(
            vault,
            view.find_election,
            municipality=settings.municipality,
            nonces=SystemNonces(),
            now_s=lambda: int(clock.now().timestamp()),
        )
        await stack.enter_async_context(
            listening(CustodianServer(holder).serve_one, settings.socket)
        )
        _log.info("custodian runs", at=settings.socket)
        await stopping.wait()


async def _open_view(settings: CustodianSettings, stack: AsyncExitStack) -> ChainView:
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = await open_database(f"sqlite+aiosqlite:///{settings.state / 'board.db'}")
    stack.push_async_callback(database.close)
    assert MIGRATIONS is not None
    await upgrade(database, versions=(MIGRATIONS,))
    contracts = Contracts(
        elections=parse_address(settings.elections, "elections"),
        tally_board=parse_address(settings.tally_board, "tally_board"),
        credentials=NOWHERE,
        ballot_box=NOWHERE,
        bulletin=NOWHERE,
    )
    store = BoardStore(database, tenant=TENANT)
    try:
        genesis = parse_genesis(settings.genesis_file.read_bytes()).header
    except OSError as error:
        raise Misconfigured(
            f"genesis_file: {settings.genesis_file}: {error.strerror}; check the path"
        ) from error
    nodes = await stack.enter_async_context(
        http_nodes([(node.name, node.url) for node in settings.nodes])
    )
    follower = await open_board_follower(
        store, contracts, nodes=tuple(nodes), genesis=genesis, clock=SystemClock()
    )
    return ChainView(follower, Board(store, contracts), store)
