"""A relay and a service with their own databases, joined by a courier instead of HTTP.

Everything is real but the wire between the two: outbox, inbox, signatures left out, chain, RPC. A
test decides when anything moves, so it can stop between any two steps.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from clients.core.transport import Node
from services.kit.database import Database
from services.kit.deliveries import acknowledge, lease_deliveries
from services.kit.events import Event, decode_event
from services.kit.follower import FollowerParts, Watch, open_follower
from services.kit.inbox import accept
from services.kit.intents import IntentStatus, apply_state_change, load_intent
from services.kit.outbox import ChainIntent, Subscriber, intend, publish, subscribe
from services.relay import relay as running
from services.relay.intake import WITHDRAWN, Intake
from services.relay.relay import Relay, RelayParts, open_relay
from services.relay.schema import MIGRATIONS
from services.relay.signer import KeystoreSigner, Signer
from services.relay.tables import CURSORS
from tests.support.databases import make_url, open_current
from tests.support.followed import LIMITS, STREAM, TENANT, Town
from tests.support.ledger import CHAIN_ID, SERVICE_KEYS, encode_call

LIBRARY = "urn:daicho:sakai:library"
RELAY = "urn:daicho:sakai:relay"
UNSETTLED_MAX = 40

TO_RELAY = Subscriber(
    tenant=TENANT, name="relay", types=("jp.daicho.chain.",), endpoint="relay.test"
)
TO_LIBRARY = Subscriber(
    tenant=TENANT, name="library", types=("jp.daicho.chain.state",), endpoint="library.test"
)


def word(number: int) -> bytes:
    """Return a number as 32 bytes."""
    return number.to_bytes(32, "big")


def anchor_call(number: int, *, root: int | None = None) -> bytes:
    """Return the call that anchors a root under an operation number."""
    return encode_call(
        "anchor(bytes32,bytes32,bytes32,uint256)",
        STREAM,
        word(number),
        word(number + 1_000 if root is None else root),
        20,
    )


@asynccontextmanager
async def opened_database(
    url: str, subscriber: Subscriber, *, is_relay: bool
) -> AsyncIterator[Database]:
    """Open a database at the newest schema, with one subscriber to its events."""
    database = await open_current(url, [MIGRATIONS] if is_relay else [])
    try:
        async with database.write() as tx:
            await subscribe(tx, subscriber)
        yield database
    finally:
        await database.close()


class Pair:
    """A library that asks and a relay that signs."""

    def __init__(self, town: Town, library: Database, relay: Database) -> None:
        """Join two databases over a town's chain."""
        self.town = town
        self.library = library
        self.database = relay
        self.signer: Signer = KeystoreSigner(SERVICE_KEYS[0], chain_id=CHAIN_ID)
        self.intake = Intake(
            tenant=TENANT,
            source=RELAY,
            unsettled_max=UNSETTLED_MAX,
            anchors=town.anchors,
            clock=town.clock,
        )

    async def open(self, nodes: Sequence[Node]) -> Relay:
        """Start a relay process."""
        parts = RelayParts(
            database=self.database,
            nodes=nodes,
            signer=self.signer,
            intake=self.intake,
            clock=self.town.clock,
        )
        follower = await open_follower(
            FollowerParts(
                database=self.database,
                cursors=CURSORS,
                tenant=TENANT,
                name="relay",
                watch=Watch(is_every_block=True),
                nodes=nodes,
                limits=LIMITS,
                clock=self.town.clock,
            ),
            self.town.trust,
        )
        return await open_relay(parts, follower)

    async def ask(self, number: int, *, data: bytes | None = None, gas: int = 200_000) -> None:
        """Let the library ask for a transaction and commit."""
        intent = ChainIntent(
            tenant=TENANT,
            operation_id=f"loan-{number}",
            sector="library",
            to=self.town.anchors,
            data=anchor_call(number) if data is None else data,
            gas_limit=gas,
        )
        async with self.library.write() as tx:
            await intend(tx, intent, source=LIBRARY, now=self.town.clock.now())

    async def withdraw(self, number: int) -> None:
        """Let the library give an operation up and commit."""
        event = Event(
            id=f"withdraw:{number}",
            source=LIBRARY,
            type=WITHDRAWN,
            subject=f"loan-{number}",
            tenant=TENANT,
            time=self.town.clock.now(),
            data={"operation_id": f"loan-{number}"},
        )
        async with self.library.write() as tx:
            await publish(tx, event)

    async def state(self, number: int) -> IntentStatus:
        """Return what the library knows of an operation."""
        async with self.library.read() as tx:
            status = await load_intent(tx, tenant=TENANT, operation_id=f"loan-{number}")
        assert status is not None
        return status

    async def carry(self) -> None:
        """Carry all events both ways until none is due."""
        while await self.carry_to_relay() + await self.carry_to_library():
            pass

    async def carry_to_relay(self) -> int:
        """Carry what is due from the library to the relay."""
        return await carry(self.library, TO_RELAY, self.database, self.intake.handle, self.town)

    async def carry_to_library(self) -> int:
        """Carry what is due from the relay to the library."""
        return await carry(self.database, TO_LIBRARY, self.library, apply_state_change, self.town)

    def anchored(self) -> list[int]:
        """Return the operations that the chain's contract has anchored, in order."""
        ledger = self.town.chain.ledger
        found = []
        for height in range(1, ledger.head.height + 1):
            for receipt in ledger.chain.load_receipts(height):
                found += [
                    int.from_bytes(log.topics[3], "big")
                    for log in receipt.logs
                    if log.address == self.town.anchors
                ]
        return found


async def carry(
    source: Database, subscriber: Subscriber, target: Database, handler, town: Town
) -> int:
    """Take due deliveries, hand each to the other's inbox, acknowledge; return how many."""
    async with source.write() as tx:
        leased = await lease_deliveries(tx, subscriber, now=town.clock.now())
    for delivery in leased:
        await accept(target, decode_event(delivery.body), handler)
        async with source.write() as tx:
            await acknowledge(tx, delivery)
    return len(leased)


@asynccontextmanager
async def pair_of(town: Town, folder: Path, kind: str = "sqlite") -> AsyncIterator[Pair]:
    """Open a library and a relay with new databases."""
    for name in ("library", "relay"):
        (folder / name).mkdir(exist_ok=True)
    async with (
        opened_database(make_url(kind, folder / "library"), TO_RELAY, is_relay=False) as library,
        opened_database(make_url(kind, folder / "relay"), TO_LIBRARY, is_relay=True) as relay,
    ):
        yield Pair(town, library, relay)


async def settle(town: Town, relay: Relay, passes: int = 6) -> None:
    """Let blocks come and the relay pass, several times."""
    for _ in range(passes):
        await relay.run_once()
        town.heartbeat()


async def start(town: Town, relay: Relay) -> None:
    """Let a relay that was started come to sign: read the present, settle its window."""
    for _ in range(running.START_MARGIN_S // 2 + 1):
        town.heartbeat()
    await settle(town, relay, 2)
    await relay.run_once()
    assert (await relay.status()).is_open
