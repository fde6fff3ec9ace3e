"""An election of four municipalities in memory: one ledger, and each one's service around it.

Contracts, databases, files and cryptography are real. Blocks are handed to every service as soon
as they are made, and a relay without HTTP signs what each service asked for. A test calls the
services' steps itself, so it decides who is late, who dies and who cheats.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select

from clients.core.proofs import ProvenReceipt
from clients.voting.group import Point, decode_point_xy
from node.primitives.json_text import decode_json
from node.primitives.transaction import Transaction
from node.primitives.types import Address
from services.election.board.files import FileRef
from services.election.board.follow import Board
from services.election.board.library import Library
from services.election.board.state import DraftState, ElectionState
from services.election.board.store import CURSOR, BoardStore
from services.election.board.tables import CURSORS
from services.election.parts import Context
from services.election.service import SERVICE, build_context
from services.election.settings import (
    ContractSettings,
    ElectionSettings,
    MunicipalitySettings,
    PeerSettings,
)
from services.election.trustee.acts import Acts
from services.election.trustee.ceremony import CeremonyParts, CeremonyWorker
from services.election.trustee.custodian import VaultCustodian
from services.election.trustee.tally import TallyParts, TallyWorker
from services.election.trustee.vault import open_vault
from services.kit.events import Event
from services.kit.follower import FinalBlock
from services.kit.intents import STATE_CHANGED, apply_state_change
from services.kit.keys import generate_key, private_document, public_document
from services.kit.outbox import INTENDED
from services.kit.service import Resources
from services.kit.settings import (
    AuthSettings,
    DatabaseSettings,
    KitSettings,
    NodeSettings,
    RelaySettings,
    ServerSettings,
    TenantSettings,
)
from services.kit.tables import OUTBOX_EVENTS
from services.kit.tokens import Trust
from tests.support.clock import FakeClock
from tests.support.databases import make_url, open_current
from tests.support.example import write_private
from tests.support.ledger import (
    MUNICIPALITY_KEYS,
    SERVICE_KEYS,
    VALIDATOR_KEYS,
    Ledger,
    Made,
    deploy,
    encode_call,
)
from tests.support.voting import SeededNonces

GAS_LIMIT = 8_000_000
TENANTS = ("tsukuba", "goka", "sakai", "ibaraki")
T = TypeVar("T")


class HereExecutor(Executor):
    """Does work at once, in this process."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:  # type: ignore[override]
        """Do it and return what came of it."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (handed to whoever waits)
            future.set_exception(error)
        return future


class LedgerClock(FakeClock):
    """Shows the time of the last block."""

    def __init__(self, ledger: Ledger) -> None:
        """Hold the ledger."""
        super().__init__()
        self._ledger = ledger

    def now(self) -> datetime:
        """Return the last block's time."""
        return datetime.fromtimestamp(self._ledger.head.timestamp_s, UTC)


@dataclass
class Town:
    """One municipality's service."""

    number: int
    """From 1."""
    context: Context
    folder: Path
    library: Library
    custodian: VaultCustodian
    ceremony: CeremonyWorker
    tally: TallyWorker
    is_relay_up: bool = True
    """Whether what it asks for reaches the ledger."""
    sent: set[str] = field(default_factory=set)
    """Operations that its relay has sent."""

    @property
    def board(self) -> BoardStore:
        """Return its board."""
        return self.context.board

    async def election(self, eid: bytes) -> ElectionState:
        """Return an election as this town has it."""
        async with self.board.database.read() as tx:
            state = await self.board.load_election(tx, eid)
        assert state is not None
        return state

    async def draft(self, draft_id: bytes) -> DraftState:
        """Return a draft as this town has it."""
        async with self.board.database.read() as tx:
            state = await self.board.load_draft(tx, draft_id)
        assert state is not None
        return state


class LocalPeers:
    """The other towns' files, without HTTP; a test makes one lie or be silent."""

    def __init__(self, world: "World", me: int) -> None:
        """Hold the world."""
        self._world = world
        self._me = me

    @property
    def municipalities(self) -> Sequence[int]:
        """Return the other towns."""
        return tuple(town.number for town in self._world.towns if town.number != self._me)

    async def fetch(self, municipality: int, ref: FileRef) -> bytes | None:
        """Return what a town's store has, or what the test makes it say."""
        if municipality in self._world.lies:
            return self._world.lies[municipality](ref)
        town = next(each for each in self._world.towns if each.number == municipality)
        path = town.context.files.path(ref.digest)
        return path.read_bytes() if path.exists() else None


class World:
    """The ledger, the contracts and the towns."""

    def __init__(self, folder: Path, kind: str = "sqlite") -> None:
        """Found the chain and create the contracts; ``kind`` is that of the towns' databases."""
        self.folder = folder
        self._kind = kind
        self._urls: dict[int, str] = {}
        self.ledger = Ledger()
        self.elections = deploy(self.ledger, "Elections")
        self.box = deploy(self.ledger, "BallotBox", self.elections)
        self.credentials = deploy(self.ledger, "Credentials", self.elections)
        self.tally = deploy(self.ledger, "TallyBoard", self.elections, self.credentials, self.box)
        self.bulletin = deploy(self.ledger, "Bulletin", self.elections)
        self.clock = LedgerClock(self.ledger)
        self.towns: list[Town] = []
        self.stack = AsyncExitStack()
        """What is closed at the end."""
        self.lies: dict[int, Callable[[FileRef], bytes | None]] = {}
        """What towns send instead of their files."""

    @property
    def now_s(self) -> int:
        """Return the last block's time."""
        return self.ledger.head.timestamp_s

    def settings(self, number: int) -> ElectionSettings:
        """Return the settings of a town's service."""
        folder = self.folder / TENANTS[number - 1]
        return ElectionSettings(
            genesis_file=folder / "genesis.json",
            events_key_file=folder / "events.key.json",
            files=folder / "files",
            nodes=(NodeSettings(name="node", url="http://127.0.0.1:1"),),
            relay=RelaySettings(
                key_file=folder / "relay.pub.json", endpoint="http://127.0.0.1:1/events"
            ),
            contracts=ContractSettings(
                elections="0x" + self.elections.hex(),
                credentials="0x" + self.credentials.hex(),
                ballot_box="0x" + self.box.hex(),
                tally_board="0x" + self.tally.hex(),
                bulletin="0x" + self.bulletin.hex(),
            ),
            municipality=MunicipalitySettings(
                id=number, account="0x" + SERVICE_KEYS[number - 1].address.hex()
            ),
            peers=tuple(
                PeerSettings(
                    municipality=at,
                    name=f"election-{name}",
                    url=f"http://127.0.0.1:{at}",
                    tenant=name,
                )
                for at, name in enumerate(TENANTS, 1)
                if at != number
            ),
            kit=KitSettings(
                auth=AuthSettings(audience=f"election-{TENANTS[number - 1]}"),
                database=DatabaseSettings(url=self._database_of(number)),
                tenants=(TenantSettings(id=TENANTS[number - 1], name=TENANTS[number - 1]),),
                server=ServerSettings(port=0, shutdown_timeout_s=1),
            ),
        )

    def _database_of(self, number: int) -> str:
        """Return where a town's database is; the same when the town is opened again."""
        if number not in self._urls:
            folder = self.folder / TENANTS[number - 1]
            folder.mkdir(exist_ok=True)
            self._urls[number] = make_url(self._kind, folder)
        return self._urls[number]

    async def reopen(self, town: Town) -> Town:
        """Let a town's service die and open it again from its disk; return the new one."""
        await town.board.database.close()
        new = await self.open_town(town.number, self.stack)
        new.sent = town.sent
        self.towns[self.towns.index(town)] = new
        return new

    async def open_town(self, number: int, stack: AsyncExitStack) -> Town:
        """Open a town's service; also again, after it died."""
        settings = self.settings(number)
        folder = settings.files.parent
        folder.mkdir(exist_ok=True)
        if not (folder / "genesis.json").exists():
            (folder / "genesis.json").write_bytes(self.ledger.genesis_file)
            for name in ("events", "relay"):
                key = generate_key()
                write_private(folder / f"{name}.key.json", json.dumps(private_document(key)))
                (folder / f"{name}.pub.json").write_text(json.dumps(public_document(key)))
        database = await open_current(settings.kit.database.url, SERVICE.versions)
        stack.push_async_callback(database.close)
        resources = Resources(
            clock=self.clock,
            database=database,
            trust=Trust(
                audience="none", public_url="http://none", issuers={}, staff=None, partners={}
            ),  # type: ignore[arg-type]
            catalogue=SERVICE.load_catalogue(),
        )
        context = build_context(settings, resources, HereExecutor(), LocalPeers(self, number))
        library = context.library
        acts = Acts(context)
        custodian = self.open_custodian(number, context)
        ceremony = CeremonyWorker(
            CeremonyParts(
                context=context,
                library=library,
                custodian=custodian,
                acts=acts,
                node=node_key(number),
            )
        )
        tally = TallyWorker(
            TallyParts(context=context, library=library, custodian=custodian, acts=acts)
        )
        return Town(
            number,
            context,
            folder,
            library=library,
            custodian=custodian,
            ceremony=ceremony,
            tally=tally,
        )

    def open_custodian(self, number: int, context: Context) -> VaultCustodian:
        """Open a town's custodian over its vault, which outlives it."""
        folder = self.folder / TENANTS[number - 1]
        vault = open_vault(
            (folder / "vault-1", folder / "vault-2"), folder / "acts.log", "development only"
        )

        async def find(eid: bytes) -> ElectionState | None:
            async with context.board.database.read() as tx:
                return await context.board.load_election(tx, eid)

        return VaultCustodian(
            vault,
            find,
            municipality=number,
            nonces=SeededNonces(f"custodian {number} {vault.secrets.serial}"),
            now_s=lambda: self.now_s,
        )

    async def make(self, *transactions: Transaction, seconds: int = 2) -> Made:
        """Make a block and hand it to every town."""
        made = self.ledger.make(*transactions, seconds=seconds)
        outcomes = tuple(
            ProvenReceipt(index=at, transaction=transaction, receipt=receipt)
            for at, (transaction, receipt) in enumerate(
                zip(made.block.transactions, made.result.receipts, strict=True)
            )
        )
        block = FinalBlock(header=made.block.header, outcomes=outcomes)
        for town in self.towns:
            await hand_over(town, block)
        return made

    async def go_to(self, time_s: int) -> None:
        """Let the next block have this time."""
        await self.make(seconds=time_s - self.now_s)

    async def vote(self, to: Address, data: bytes, *, voters: Sequence[int] = (1, 2, 3)) -> None:
        """Let municipalities vote with their voting accounts."""
        for voter in voters:
            key = MUNICIPALITY_KEYS[voter - 1]
            made = await self.make(self.ledger.call(key, to, data, gas_limit=GAS_LIMIT))
            assert made.result.receipts[0].is_success

    async def send(self, number: int, to: Address, data: bytes) -> Made:
        """Send a call from a town's service account."""
        key = SERVICE_KEYS[number - 1]
        return await self.make(self.ledger.call(key, to, data, gas_limit=GAS_LIMIT))

    async def draft(self, draft_id: bytes) -> None:
        """Draft an election as the first municipality."""
        await self.vote(self.elections, encode_call("draft(bytes32)", draft_id), voters=(1,))

    async def settle(self, step: Callable[[Town], Awaitable[object]], *, rounds: int = 60) -> None:
        """Let every town do its step and its relay send, until nothing more happens."""
        for _ in range(rounds):
            for town in self.towns:
                await step(town)
            if await self.relay() == 0:
                return
        raise AssertionError("it does not come to rest")

    async def relay(self) -> int:
        """Send what every town asked for, in a block; return how many transactions it holds."""
        count = 0
        for town in self.towns:
            if town.is_relay_up:
                count += await self._relay_of(town)
        return count

    async def _relay_of(self, town: Town) -> int:
        table = OUTBOX_EVENTS
        query = select(table).where(table.c.type == INTENDED).order_by(table.c.sequence)
        async with town.board.database.read() as tx:
            asked = [decode_json(bytes(row.body)) for row in await tx.execute(query)]
        count = 0
        for event in asked:
            assert isinstance(event, dict)
            data: Any = event["data"]
            operation = data["operation_id"]
            if operation in town.sent:
                continue
            made = await self.send(
                town.number, Address(bytes.fromhex(data["to"][2:])), bytes.fromhex(data["data"][2:])
            )
            town.sent.add(operation)
            count += 1
            is_success = made.result.receipts[0].is_success
            report = Event(
                id=f"report:{operation}",
                source="relay",
                type=STATE_CHANGED,
                subject=operation,
                tenant=town.context.tenant,
                time=self.clock.now(),
                data={"state": "final" if is_success else "failed"},
            )
            await town.board.database.transact(
                lambda tx, it=report: apply_state_change(tx, it)  # type: ignore[misc]
            )
        return count


def node_key(number: int) -> Point:
    """Return the public key of a town's node."""
    return decode_point_xy(VALIDATOR_KEYS[number - 1].public_key[1:])


async def hand_over(town: Town, block: FinalBlock) -> None:
    """Let a block take effect at a town, as the follower does."""
    board = Board(town.board, town.context.contracts)

    async def apply(tx: Any) -> None:
        mine = (CURSORS.c.tenant == town.context.tenant, CURSORS.c.name == CURSOR)
        await tx.execute(delete(CURSORS).where(*mine))
        await tx.execute(
            insert(CURSORS).values(
                tenant=town.context.tenant,
                name=CURSOR,
                height=block.header.height,
                header=block.header.encode(),
                noted_ms=0,
            )
        )
        await board.take(tx, block)

    await town.board.database.transact(apply)


@asynccontextmanager
async def open_world(folder: Path, *, count: int = 4, kind: str = "sqlite") -> AsyncIterator[World]:
    """Open the services of so many towns around a new ledger."""
    world = World(folder, kind)
    async with AsyncExitStack() as stack:
        world.stack = stack
        for number in range(1, count + 1):
            world.towns.append(await world.open_town(number, stack))
        yield world
