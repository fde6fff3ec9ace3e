"""CAST-QUEUE, CAST-RECEIPT, CAST-RESULT, CAST-CLOSE, BALLOT-WITHDRAW: a relay keeps its word.

The relay on both kinds of database; the test writes what the board would have read off the ledger.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from clients.voting.ballot import Ballot, withdrawal_hash
from clients.voting.batch import Refusal
from clients.voting.group import decode_point_xy
from clients.voting.receipts import ballot_receipt_hash, check_receipt, sign_receipt
from node.primitives.types import Address
from services.election.ballots.checking import NotNext, NotOpen
from services.election.ballots.part import MIGRATIONS
from services.election.ballots.relay import (
    BallotRelay,
    Present,
    QueueFull,
    RelayIdentity,
    RelayLimits,
    WithdrawalRefused,
)
from services.election.ballots.store import BallotState
from services.election.board import tables as board
from services.election.board.part import MIGRATIONS as BOARD_MIGRATIONS
from services.kit.database import Database
from services.kit.schema import upgrade
from services.kit.tables import CHAIN_INTENTS, OUTBOX_EVENTS
from tests.support.clock import FakeClock
from tests.support.databases import KINDS, open_fresh
from tests.support.electorate import (
    CLOSES_AT,
    OPENS_AT,
    Device,
    account_of,
    issue_token,
    make_manifest,
    receipt_key,
    signature_of,
)
from tests.support.voting import SeededNonces

MANIFEST = make_manifest()
TENANT = "goka"
HEIGHT = 40
ONE, TWO = Device("one"), Device("two")
START = datetime.fromtimestamp(OPENS_AT + 100, UTC)


@dataclass
class Town:
    """A relay and its database."""

    relay: BallotRelay
    database: Database
    clock: FakeClock
    height: int = HEIGHT
    box: list[Ballot] = field(default_factory=list)

    @property
    def present(self) -> Present:
        return Present(height=self.height, timestamp_s=int(self.clock.now().timestamp()))

    async def take(self, device: Device, ballot: Ballot) -> bytes:
        receipt = await self.relay.take(
            MANIFEST,
            self.present,
            core=ballot.core.encode(),
            signature=signature_of(ballot),
            token=issue_token(MANIFEST, device.point),
        )
        return receipt.signature

    async def advance(self, seconds: int = 130, *, is_closed: bool = False) -> None:
        self.clock.move(seconds)
        await self.relay.advance(MANIFEST, self.present, is_closed=is_closed)

    async def operations(self) -> list[str]:
        async with self.database.read() as tx:
            query = select(CHAIN_INTENTS.c.operation_id).order_by(CHAIN_INTENTS.c.operation_id)
            return [name.partition(":")[0] for name in (await tx.execute(query)).scalars()]

    async def settle(self, state: str, number: int = 0) -> None:
        """Let the municipality's relay report the end of a batch in the next block."""
        self.height += 1
        async with self.database.write() as tx:
            await tx.execute(
                update(CHAIN_INTENTS)
                .where(CHAIN_INTENTS.c.operation_id == f"ballots:{MANIFEST.eid.hex()}:{number}")
                .values(state=state, height=self.height)
            )

    async def record(self, ballot: Ballot) -> None:
        """Let the board read that the box took a ballot."""
        async with self.database.write() as tx:
            await tx.execute(
                insert(board.BALLOTS).values(
                    tenant=TENANT,
                    eid=MANIFEST.eid,
                    number=len(self.box),
                    height=self.height,
                    time_s=int(self.clock.now().timestamp()),
                    digest=ballot.hash,
                    transaction_hash=b"\x07" * 32,
                    core=ballot.core.encode(),
                    signature=signature_of(ballot),
                )
            )
        self.box.append(ballot)

    async def refuse(self, ballot: Ballot, reason: Refusal) -> None:
        """Let the board read that the box refused an item."""
        async with self.database.write() as tx:
            await tx.execute(
                insert(board.REFUSALS).values(
                    tenant=TENANT,
                    eid=MANIFEST.eid,
                    transaction_hash=self.height.to_bytes(32, "big"),
                    item=0,
                    height=self.height,
                    digest=ballot.hash,
                    reason=reason.value,
                )
            )

    async def state(self, ballot: Ballot) -> tuple[BallotState, str | None]:
        found = await self.relay.find(MANIFEST, ballot.hash)
        assert found is not None
        return found.state, found.reason


@asynccontextmanager
async def running(kind: str, path: Path, *, queue_max: int = 100) -> AsyncIterator[Town]:
    async with open_fresh(kind, path, is_empty=True) as database:
        await upgrade(database, versions=[BOARD_MIGRATIONS, MIGRATIONS])
        clock = FakeClock(START)
        relay = BallotRelay(
            RelayIdentity(
                tenant=TENANT,
                source="urn:daicho:goka:election",
                account=Address(bytes.fromhex(account_of(2)[2:])),
                key=receipt_key(2),
                box=Address(b"\x0b" * 20),
            ),
            database=database,
            clock=clock,
            nonces=SeededNonces("order"),
            limits=RelayLimits(queue_max=queue_max),
        )
        yield Town(relay=relay, database=database, clock=clock)


@pytest.fixture(params=KINDS)
async def town(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Town]:
    async with running(request.param, tmp_path) as made:
        yield made


async def test_a_receipt_is_a_promise_the_manifests_key_signed(town: Town) -> None:
    ballot = ONE.ballot(MANIFEST)
    signature = await town.take(ONE, ballot)

    digest = ballot_receipt_hash(MANIFEST.eid, ballot.hash, HEIGHT + MANIFEST.limits.cast_blocks)
    check_receipt(digest, signature, decode_point_xy(receipt_key(2).public_key[1:]))


async def test_the_same_bytes_get_the_same_receipt_whenever_they_come(town: Town) -> None:
    ballot = ONE.ballot(MANIFEST)
    first = await town.take(ONE, ballot)
    town.height += 10

    assert await town.take(ONE, ballot) == first
    await town.advance()
    town.clock.move(86_400)
    assert await town.take(ONE, ballot) == first


async def test_another_ballot_under_the_same_number_is_refused(town: Town) -> None:
    await town.take(ONE, ONE.ballot(MANIFEST))

    with pytest.raises(NotNext):
        await town.take(ONE, ONE.ballot(MANIFEST, choices={1: 2, 2: 2}))


async def test_a_ballot_goes_to_the_box_and_its_end_is_read_from_the_ledger(town: Town) -> None:
    first, second = ONE.ballot(MANIFEST), ONE.ballot(MANIFEST, 2)
    await town.take(ONE, first)
    await town.take(ONE, second)
    await town.advance()

    assert await town.operations() == ["ballots"]
    assert [(await town.state(each))[0] for each in (first, second)] == [
        BallotState.SENT,
        BallotState.PENDING,
    ]
    await town.settle("final")
    await town.record(first)
    await town.advance()

    assert (await town.state(first))[0] is BallotState.ACCEPTED
    assert (await town.state(second))[0] is BallotState.SENT
    assert await town.operations() == ["ballots", "ballots"]


async def test_a_ballot_that_another_relay_brought_is_accepted_too(town: Town) -> None:
    ballot = ONE.ballot(MANIFEST)
    await town.take(ONE, ballot)
    await town.record(ballot)
    await town.advance()

    assert (await town.state(ballot))[0] is BallotState.ACCEPTED
    assert await town.operations() == []


async def test_a_batch_that_reverted_goes_again(town: Town) -> None:
    ballot = ONE.ballot(MANIFEST)
    await town.take(ONE, ballot)
    await town.advance()
    await town.settle("failed")
    await town.advance()

    assert (await town.state(ballot))[0] is BallotState.SENT
    assert await town.operations() == ["ballots", "ballots"]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        pytest.param(Refusal.PROOF, (BallotState.REFUSED, "proof"), id="stays refused"),
        pytest.param(Refusal.INTERVAL, (BallotState.SENT, None), id="goes again"),
    ],
)
async def test_what_the_box_refused_is_told(
    town: Town, reason: Refusal, expected: tuple[BallotState, str | None]
) -> None:
    ballot = ONE.ballot(MANIFEST)
    await town.take(ONE, ballot)
    await town.advance()
    await town.settle("final")
    await town.refuse(ballot, reason)
    await town.advance()

    assert await town.state(ballot) == expected


async def test_a_batch_waits_for_its_pause_and_hurries_at_the_end(town: Town) -> None:
    await town.take(ONE, ONE.ballot(MANIFEST))
    await town.advance(1)
    await town.take(TWO, TWO.ballot(MANIFEST))
    await town.advance(1)
    assert await town.operations() == ["ballots"]

    await town.advance(CLOSES_AT - OPENS_AT - 200)
    assert await town.operations() == ["ballots", "ballots"]


async def test_nothing_is_promised_near_the_end_and_what_waits_is_told(town: Town) -> None:
    ballot = ONE.ballot(MANIFEST)
    await town.take(ONE, ballot)
    town.clock.move(CLOSES_AT - OPENS_AT)
    with pytest.raises(NotOpen):
        await town.take(TWO, TWO.ballot(MANIFEST))
    await town.advance(is_closed=True)

    assert await town.state(ballot) == (BallotState.REFUSED, "closed")


async def test_the_box_is_closed_in_this_relays_turn_once(town: Town) -> None:
    await town.advance(CLOSES_AT - OPENS_AT - 100)
    assert await town.operations() == []
    await town.advance(20)
    await town.advance(20)

    assert await town.operations() == ["close"]


async def test_a_withdrawal_goes_to_the_box_when_its_key_signed_it(town: Town) -> None:
    digest = withdrawal_hash(MANIFEST.eid, ONE.point, 1)
    key = ONE.point.encode_xy()
    for wrong in (
        sign_receipt(digest, TWO.key),
        sign_receipt(withdrawal_hash(MANIFEST.eid, ONE.point, 2), ONE.key),
    ):
        with pytest.raises(WithdrawalRefused):
            await town.relay.take_withdrawal(MANIFEST, key=key, signature=wrong)
    await town.relay.take_withdrawal(MANIFEST, key=key, signature=sign_receipt(digest, ONE.key))
    await town.advance()

    assert await town.operations() == ["withdraw"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_full_queue_takes_nothing_and_keeps_its_word(kind: str, tmp_path: Path) -> None:
    async with running(kind, tmp_path, queue_max=1) as town:
        ballot = ONE.ballot(MANIFEST)
        first = await town.take(ONE, ballot)

        with pytest.raises(QueueFull):
            await town.take(TWO, TWO.ballot(MANIFEST))
        assert await town.take(ONE, ballot) == first


async def test_a_relay_tells_its_municipalitys_relay_nothing_twice(town: Town) -> None:
    await town.take(ONE, ONE.ballot(MANIFEST))
    await town.advance()
    await town.advance()
    await town.advance()

    async with town.database.read() as tx:
        events = (await tx.execute(select(OUTBOX_EVENTS.c.id))).scalars().all()
    assert len(events) == 1
