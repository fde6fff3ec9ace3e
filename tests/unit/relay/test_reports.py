"""RELAY-INTAKE, RELAY-ROOTS: a service takes the reports about its own work and no others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.primitives.errors import InvalidInput
from node.primitives.types import Address
from services.kit.database import Database
from services.kit.intents import STATE_CHANGED, IntentState, load_intent
from services.kit.outbox import ChainIntent, intend
from services.kit.reports import ROOT_ANCHORED, apply_report
from tests.support.databases import open_fresh
from tests.support.events import HUB, MORNING, make_event

INTENT = ChainIntent(
    tenant="sakai",
    operation_id="loan-1",
    sector="hub",
    to=Address(b"\x11" * 20),
    data=b"",
    gas_limit=50_000,
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_fresh("sqlite", tmp_path) as database:
        async with database.write() as tx:
            await intend(tx, INTENT, source=HUB, now=MORNING)
        yield database


def report(subject: str = "loan-1", *, service: str = HUB, **data: object):
    return make_event(
        type=STATE_CHANGED, subject=subject, data={"service": service, "state": "final", **data}
    )


async def state(database: Database) -> IntentState:
    async with database.read() as tx:
        status = await load_intent(tx, tenant="sakai", operation_id="loan-1")
    assert status is not None
    return status.state


async def test_a_report_about_its_own_operation_counts(database: Database) -> None:
    async with database.write() as tx:
        assert await apply_report(tx, report(), source=HUB)

    assert await state(database) is IntentState.FINAL


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(report(service="urn:daicho:sakai:library"), id="of another service"),
        pytest.param(report("loan-2"), id="of no intent"),
    ],
)
async def test_others_are_passed_over(database: Database, event) -> None:
    async with database.write() as tx:
        assert not await apply_report(tx, event, source=HUB)

    assert await state(database) is IntentState.INTENDED


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"root": "0x12"}, id="short root"),
        pytest.param({"root": "zz"}, id="no digits"),
        pytest.param({"height": -1}, id="negative height"),
        pytest.param({"height": True}, id="no height"),
    ],
)
async def test_a_malformed_report_of_a_root_is_refused(database: Database, data) -> None:
    usual = {"root": "0x" + "11" * 32, "transaction_hash": "0x" + "22" * 32, "height": 3}
    event = make_event(type=ROOT_ANCHORED, data={"service": HUB, **usual, **data})

    async with database.write() as tx:
        with pytest.raises(InvalidInput):
            await apply_report(tx, event, source=HUB)


async def test_another_type_is_refused(database: Database) -> None:
    async with database.write() as tx:
        with pytest.raises(InvalidInput, match="report"):
            await apply_report(tx, make_event(), source=HUB)
