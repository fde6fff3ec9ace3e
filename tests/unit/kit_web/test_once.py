"""A request repeated under its key takes effect once; reads of persons reach the audit log."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.kit.auth import Resident, Staff
from services.kit.database import Database
from services.kit.idempotency import IdempotentRequest, KeyReused, RequestInProgress, begin
from services.kit.messages import Language
from services.kit.once import once
from services.kit.operations import Call, PersonalRead, WrongOperation
from services.kit.problems import Conflict
from services.kit.reads import audit_reads
from services.kit.tables import AUDIT_ENTRIES
from tests.support.board_service import Count
from tests.support.clock import FakeClock
from tests.support.databases import open_current
from tests.support.tokens import GOKA, NOW


@pytest.fixture
async def database(tmp_path: Path) -> Any:
    opened = await open_current(f"sqlite+aiosqlite:///{tmp_path}/board.db")
    yield opened
    await opened.close()


RESIDENT = Resident(
    subject="pairwise-1",
    tenant=GOKA,
    purposes=frozenset(),
    proofing_level=3,
    authentication_level=2,
)


def call(**changes: Any) -> Call[None, None]:
    """Return a resident's call under a key."""
    parts: dict[str, Any] = {
        "request_id": "0" * 16,
        "at": NOW,
        "tenant": GOKA,
        "caller": RESIDENT,
        "purpose": "board.write",
        "language": Language.JAPANESE,
        "path": {},
        "body": None,
        "query": None,
        "idempotency_key": "key-0001",
        "fingerprint": b"f" * 32,
    }
    return Call(**{**parts, **changes})


class Counter:
    """Work that counts how often it is done."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, tx: Any) -> Count:
        del tx
        self.count += 1
        return Count(count=self.count)


async def do(database: Database, work: Any, **changes: Any) -> Count:
    return await once(
        call(**changes), database=database, clock=FakeClock(), answer=Count, work=work
    )


async def test_a_repeated_request_gets_the_first_answer(database: Database) -> None:
    work = Counter()

    answers = [await do(database, work), await do(database, work)]

    assert answers == [Count(count=1), Count(count=1)]


async def test_another_callers_same_key_is_another_request(database: Database) -> None:
    work = Counter()
    clerk = Staff(subject="clerk", tenant=GOKA, roles=frozenset(), authentication_level=2)

    await do(database, work)
    await do(database, work, caller=clerk)

    assert work.count == 2


async def test_a_key_used_for_another_request_is_refused(database: Database) -> None:
    await do(database, Counter())

    with pytest.raises(KeyReused):
        await do(database, Counter(), fingerprint=b"g" * 32)


async def test_a_request_that_is_being_worked_on_is_refused(database: Database) -> None:
    async with database.write() as tx:
        await begin(
            tx,
            IdempotentRequest(
                tenant=GOKA,
                caller="resident:pairwise-1",
                key="key-0001",
                fingerprint=b"f" * 32,
            ),
            now=NOW,
        )

    with pytest.raises(RequestInProgress):
        await do(database, Counter())


async def test_refused_work_has_no_effect_and_frees_the_key(database: Database) -> None:
    async def refuse(tx: Any) -> Count:
        raise Conflict("no room")

    with pytest.raises(Conflict):
        await do(database, refuse)

    assert await do(database, Counter()) == Count(count=1)


async def test_an_operation_without_a_key_cannot_be_done_once(database: Database) -> None:
    with pytest.raises(WrongOperation):
        await do(database, Counter(), idempotency_key=None)


@pytest.mark.parametrize(
    ("subjects", "recorded"),
    [
        pytest.param(("p1", "p2"), ["p1", "p2"], id="each subject"),
        pytest.param((), [""], id="nobody was shown"),
    ],
)
async def test_reads_are_written_to_the_audit_log(
    database: Database, subjects: tuple[str, ...], recorded: list[str]
) -> None:
    clerk = Staff(subject="clerk", tenant=GOKA, roles=frozenset({"b", "a"}), authentication_level=2)
    read = PersonalRead(
        operation="read_author",
        purpose="board.moderate",
        tenant=GOKA,
        caller=clerk,
        subjects=subjects,
        request_id="0" * 16,
        at=NOW,
    )

    await audit_reads(database)(read)

    async with database.read() as tx:
        rows = (await tx.execute(select(AUDIT_ENTRIES))).all()
    assert [row.subject for row in rows] == recorded
    assert {(row.actor, row.role, row.action, row.purpose) for row in rows} == {
        ("staff:clerk", "a,b", "read", "board.moderate")
    }
