"""RELAY-FOLLOW, RELAY-INTAKE, RELAY-ROOTS: the example service does all that the kit offers.

Two services over HTTP with signed events, a real chain behind a real port, a clock the test moves.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from services.example.notices import STREAM
from services.example.tables import NOTICES
from services.kit.audit import verify_log
from services.kit.intents import IntentState, load_intent
from services.kit.tables import AUDIT_ENTRIES, AUDIT_ROOTS
from tests.support.example import Board, running_board
from tests.support.followed import Town

CONTACT = "五霞花子 0280-84-1111"


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    async with running_board(Town(), tmp_path) as board:
        yield board


def read_all(folder: Path) -> bytes:
    """Return what the databases' files hold."""
    return b"".join(path.read_bytes() for path in folder.glob("*.db*"))


async def listed(board: Board) -> list[dict[str, object]]:
    status, answer = await board.get("/notices")
    assert status == 200
    return answer["notices"]


async def test_a_notice_is_on_chain_and_both_ways_of_knowing_agree(board: Board) -> None:
    status, posted = await board.post("夏祭りのお知らせ", contact=CONTACT)
    assert status == 201

    async def is_anchored() -> bool:
        return (await listed(board))[0]["height"] is not None

    await board.until(is_anchored)

    async def is_reported() -> bool:
        async with board.database.read() as tx:
            intent = await load_intent(tx, tenant="goka", operation_id=f"notice:{posted['id']}")
        assert intent is not None
        return intent.state is IntentState.FINAL

    await board.until(is_reported)
    height = (await listed(board))[0]["height"]
    async with board.database.read() as tx:
        intent = await load_intent(tx, tenant="goka", operation_id=f"notice:{posted['id']}")
        commitment = (await tx.execute(select(NOTICES.c.commitment))).scalar_one()
    assert intent is not None
    assert intent.height == height
    logs = [
        log
        for receipt in board.town.chain.ledger.chain.load_receipts(height)  # type: ignore[arg-type]
        for log in receipt.logs
    ]
    assert [(log.topics[2], log.topics[3]) for log in logs] == [(STREAM, commitment)]


async def test_a_request_repeated_is_one_notice(board: Board) -> None:
    first = await board.post("お知らせ")
    again = await board.post("お知らせ")

    assert first == again
    assert len(await listed(board)) == 1


async def test_staff_see_the_contact_each_look_is_recorded_and_the_file_does_not_show_it(
    board: Board, tmp_path: Path
) -> None:
    _, posted = await board.post("お知らせ", contact=CONTACT)

    status, answer = await board.get(f"/notices/{posted['id']}/contact", is_staff=True)

    assert (status, answer) == (200, {"contact": CONTACT})
    async with board.database.read() as tx:
        query = select(AUDIT_ENTRIES.c.action, AUDIT_ENTRIES.c.actor).order_by(
            AUDIT_ENTRIES.c.time_ms
        )
        rows = [tuple(row) for row in await tx.execute(query)]
    assert ("read", "staff:clerk") in rows
    assert CONTACT.encode() not in read_all(tmp_path)


async def test_a_delegate_posts_for_another_and_the_log_names_both(board: Board) -> None:
    acting = {"sub": "principal", "act": {"sub": "helper"}}
    assert (await board.post("代わりのお知らせ", **acting))[0] == 201
    own = await board.post("自分のお知らせ", sub="principal")
    assert own[0] == 201, "the delegate's idempotency key is not the principal's"

    async with board.database.read() as tx:
        query = select(AUDIT_ENTRIES.c.actor, AUDIT_ENTRIES.c.role, AUDIT_ENTRIES.c.subject).where(
            AUDIT_ENTRIES.c.action == "notice.posted"
        )
        rows = [tuple(row) for row in await tx.execute(query.order_by(AUDIT_ENTRIES.c.number))]
    assert rows == [
        ("resident:helper", "delegate", "resident:principal"),
        ("resident:principal", "resident", "resident:principal"),
    ]
    placed = await board.post("場所限定", key="0123456789abcdef-2", **acting, place="図書館")
    assert (placed[0], placed[1]["code"]) == (403, "auth.delegate")


async def test_others_do_not_see_it(board: Board) -> None:
    _, posted = await board.post("お知らせ", contact=CONTACT)

    assert (await board.get(f"/notices/{posted['id']}/contact"))[0] == 401
    assert (await board.get("/notices/none/contact", is_staff=True))[0] == 404


async def test_the_hour_s_audit_root_is_anchored_and_noted(board: Board) -> None:
    await board.post("お知らせ")
    await board.pass_time(3_600)

    async def is_noted() -> bool:
        async with board.database.read() as tx:
            return (await tx.execute(select(AUDIT_ROOTS.c.height))).scalar() is not None

    await board.until(is_noted)

    async with board.database.read() as tx:
        report = await verify_log(tx, tenant="goka")
    assert report.findings == ()
    assert report.roots == 1


async def test_a_notice_is_taken_down_after_its_days_with_its_salt(board: Board) -> None:
    await board.post("お知らせ")
    await board.pass_time(31 * 86_400)

    async def is_gone() -> bool:
        async with board.database.read() as tx:
            return (await tx.execute(select(func.count()).select_from(NOTICES))).scalar() == 0

    await board.until(is_gone)


async def test_both_become_ready_and_say_what_they_wait_for_until_then(board: Board) -> None:
    async def relay_check() -> tuple[int, str]:
        async with board.session.get(f"{board.relay_url}/readiness") as response:
            answer = await response.json()
        (reason,) = [each["reason"] for each in answer["checks"] if each["name"] == "relay"]
        return response.status, reason

    status, reason = await relay_check()
    assert status == 503
    assert reason

    async def is_ready() -> bool:
        return (await relay_check())[0] == 200

    await board.until(is_ready)
    assert (await relay_check())[1].startswith("signs; block")


async def test_the_document_of_the_interface_names_every_operation(board: Board) -> None:
    status, document = await board.get("/openapi.json")

    assert status == 200
    assert {"/notices", "/notices/{id}/contact"} <= set(document["paths"])
