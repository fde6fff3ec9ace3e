"""Chain intents: asked for once in the service's transaction, and states only go forward."""

from dataclasses import replace

import pytest

from node.primitives.errors import InvalidInput
from node.primitives.types import Address
from services.kit.database import Database
from services.kit.deliveries import lease_deliveries
from services.kit.events import Event, decode_event
from services.kit.inbox import accept
from services.kit.intents import (
    STATE_CHANGED,
    IntentState,
    IntentStatus,
    apply_state_change,
    load_intent,
)
from services.kit.outbox import (
    CALLDATA_BYTES_MAX,
    INTENDED,
    ChainIntent,
    EventConflict,
    intend,
    subscribe,
)
from tests.support.events import HUB, MORNING, make_event, make_subscriber

RELAY = make_subscriber("relay", types=(INTENDED,))
INTENT = ChainIntent(
    tenant="sakai",
    operation_id="loan:42",
    sector="library",
    to=Address(b"\x11" * 20),
    data=b"\xab\xcd",
    gas_limit=100_000,
)


async def ask(database: Database, intent: ChainIntent = INTENT) -> None:
    async with database.write() as tx:
        await intend(tx, intent, source=HUB, now=MORNING)


async def told(database: Database) -> list[Event]:
    async with database.write() as tx:
        return [decode_event(d.body) for d in await lease_deliveries(tx, RELAY, now=MORNING)]


async def status(database: Database) -> IntentStatus:
    async with database.read() as tx:
        found = await load_intent(tx, tenant="sakai", operation_id="loan:42")
    assert found is not None
    return found


async def report(database: Database, state: str, **data: object) -> str:
    event = make_event(
        f"{state}-{len(data)}",
        type=STATE_CHANGED,
        subject="loan:42",
        data={"state": state, **data},
    )
    return await accept(database, event, apply_state_change)


async def test_the_relay_is_asked_once_however_often_the_operation_repeats(
    database: Database,
) -> None:
    async with database.write() as tx:
        await subscribe(tx, RELAY)
    await ask(database)
    await ask(database)

    (event,) = await told(database)
    assert event.data == {
        "operation_id": "loan:42",
        "sector": "library",
        "to": "0x" + "11" * 20,
        "data": "0xabcd",
        "gas_limit": 100_000,
    }
    assert (await status(database)).state is IntentState.INTENDED


async def test_an_operation_that_asks_for_another_call_is_refused(database: Database) -> None:
    await ask(database)

    with pytest.raises(EventConflict):
        await ask(database, replace(INTENT, gas_limit=1))


async def test_reports_move_an_intent_forward_and_never_back(database: Database) -> None:
    await ask(database)
    sent = "0x" + "22" * 32
    for state, data in (
        ("batched", {}),
        ("sent", {"transaction_hash": "0x" + "33" * 32}),
        ("sent", {"transaction_hash": sent, "again": 1}),
        ("final", {"transaction_hash": sent, "height": 7}),
        ("mined", {"transaction_hash": sent, "height": 6}),
        ("failed", {"reason": "late", "transaction_hash": None}),
    ):
        assert await report(database, state, **data) == "done"

    now = await status(database)
    assert (now.state, now.height, now.reason) == (IntentState.FINAL, 7, None)
    assert now.transaction_hash == b"\x22" * 32
    assert now.changed == MORNING


@pytest.mark.parametrize(
    ("state", "data"),
    [
        pytest.param("perhaps", {}, id="no such state"),
        pytest.param("sent", {"transaction_hash": "0x12"}, id="a short hash"),
        pytest.param("sent", {"transaction_hash": "zz"}, id="no hash"),
        pytest.param("mined", {"height": -1}, id="no height"),
        pytest.param("mined", {"height": True}, id="a height that is no number"),
    ],
)
async def test_a_malformed_report_changes_nothing(
    database: Database, state: str, data: dict[str, object]
) -> None:
    await ask(database)

    assert await report(database, state, **data) == "quarantined"
    assert (await status(database)).state is IntentState.INTENDED


async def test_a_report_on_an_operation_never_asked_for_is_refused(database: Database) -> None:
    with pytest.raises(InvalidInput):
        async with database.write() as tx:
            await apply_state_change(
                tx, make_event(type=STATE_CHANGED, subject="other", data={"state": "final"})
            )


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(replace(INTENT, operation_id="with space"), id="operation id"),
        pytest.param(replace(INTENT, to=Address(b"\x01")), id="address"),
        pytest.param(replace(INTENT, gas_limit=0), id="gas"),
        pytest.param(replace(INTENT, data=b"x" * (CALLDATA_BYTES_MAX + 1)), id="calldata"),
    ],
)
async def test_an_intent_is_bounded(database: Database, wrong: ChainIntent) -> None:
    with pytest.raises(InvalidInput):
        await ask(database, wrong)
    await ask(database, replace(INTENT, data=b"x" * CALLDATA_BYTES_MAX))
