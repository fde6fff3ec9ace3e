"""RELAY-FOLLOW: events of final blocks take effect once, in order, whoever lies or crashes.

A real chain behind real ports; the service keeps a list of the roots it saw.
"""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.light_client import NoVerifiedAnswer
from clients.core.transport import Node
from node.primitives.header import decode_header
from services.kit.database import Database, open_database
from services.kit.follower import (
    CursorMoved,
    FinalBlock,
    Follower,
    FollowerParts,
    Watch,
    define_cursors,
    load_height,
    open_follower,
)
from tests.support.followed import LIMITS, TENANT, Town, town_nodes
from tests.support.light import Altered

METADATA = MetaData()
CURSORS = define_cursors(METADATA)
SEEN = Table(
    "seen",
    METADATA,
    Column("place", Integer, primary_key=True),
    Column("operation", LargeBinary, unique=True),
)


@pytest.fixture
def town() -> Town:
    return Town()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    database = await open_database(f"sqlite+aiosqlite:///{path}")
    try:
        async with database.write() as tx:
            await tx.run_sync(METADATA.create_all)
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(tmp_path / "service.db") as database:
        yield database


async def follower_of(
    town: Town, database: Database, nodes: Sequence[Node], *, watch: Watch | None = None
) -> Follower:
    parts = FollowerParts(
        database=database,
        cursors=CURSORS,
        tenant=TENANT,
        name="anchors",
        watch=watch or Watch(contracts=frozenset({town.anchors})),
        nodes=nodes,
        limits=LIMITS,
        clock=town.clock,
    )
    return await open_follower(parts, town.trust)


def keeping(town: Town):
    async def keep(tx: AsyncConnection, block: FinalBlock) -> None:
        for found in block.logs_of(town.anchors):
            await tx.execute(insert(SEEN).values(operation=found.log.topics[3]))

    return keep


async def seen(database: Database) -> list[int]:
    async with database.read() as tx:
        rows = (await tx.execute(select(SEEN.c.operation).order_by(SEEN.c.place))).scalars().all()
    return [int.from_bytes(row, "big") for row in rows]


async def test_events_take_effect_once_and_in_order(town: Town, database: Database) -> None:
    async with town_nodes(town) as nodes:
        follower = await follower_of(town, database, nodes)
        for operation in (1, 2):
            town.anchor(operation)
        await follower.follow_to_head(keeping(town))
        town.anchor(3)
        await follower.follow_to_head(keeping(town))

        assert await follower.follow_once(keeping(town)) == 0
        assert await seen(database) == [1, 2, 3]


async def test_a_new_process_reads_on_from_the_cursor(town: Town, database: Database) -> None:
    async with town_nodes(town) as nodes:
        town.anchor(1)
        await (await follower_of(town, database, nodes)).follow_to_head(keeping(town))
        town.anchor(2)

        again = await follower_of(town, database, nodes)
        await again.follow_to_head(keeping(town))

        assert await seen(database) == [1, 2]
        async with database.read() as tx:
            height = await load_height(tx, CURSORS, tenant=TENANT, name="anchors")
        assert height == town.chain.ledger.head.height


async def test_a_handler_that_fails_leaves_cursor_and_data_where_they_were(
    town: Town, database: Database
) -> None:
    town.anchor(1)
    town.anchor(2)

    async def fail_at_second(tx: AsyncConnection, block: FinalBlock) -> None:
        await keeping(town)(tx, block)
        if block.header.height == town.chain.ledger.head.height:
            raise RuntimeError("killed")

    async with town_nodes(town) as nodes:
        follower = await follower_of(town, database, nodes)
        with pytest.raises(RuntimeError, match="killed"):
            await follower.follow_to_head(fail_at_second)
        assert await seen(database) == []

        await follower.follow_to_head(keeping(town))

        assert await seen(database) == [1, 2]


async def test_a_service_restored_from_an_old_backup_learns_the_rest_from_the_chain(
    town: Town, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    async with town_nodes(town) as nodes:
        async with opened(tmp_path / "service.db") as database:
            follower = await follower_of(town, database, nodes)
            town.anchor(1)
            await follower.follow_to_head(keeping(town))
            await database.back_up(backup)
            town.anchor(2)
            await follower.follow_to_head(keeping(town))
        shutil.copy(backup, tmp_path / "restored.db")
        async with opened(tmp_path / "restored.db") as restored:
            town.anchor(3)
            again = await follower_of(town, restored, nodes)
            await again.follow_to_head(keeping(town))

            assert await seen(restored) == [1, 2, 3]


async def test_two_processes_with_one_cursor_are_found_out(town: Town, database: Database) -> None:
    async with town_nodes(town) as nodes:
        first = await follower_of(town, database, nodes)
        await first.follow_to_head(keeping(town))
        second = await follower_of(town, database, nodes)
        town.anchor(1)
        await first.follow_to_head(keeping(town))

        with pytest.raises(CursorMoved, match="run one process only"):
            await second.follow_to_head(keeping(town))
        assert await seen(database) == [1]


def hide_body(method: str, _params: object, answer: object) -> object:
    return [] if method == "debug_getRawReceipts" else answer


def break_seals(method: str, _params: object, answer: object) -> object:
    if method != "debug_getRawHeader":
        return answer
    header = decode_header(bytes.fromhex(str(answer)[2:]))
    forged = header.with_seals(header.extra_data.seals[:2])
    return "0x" + forged.encode().hex()


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(hide_body, id="leaves receipts out"),
        pytest.param(break_seals, id="shows too few seals"),
    ],
)
async def test_a_liar_teaches_nothing_and_an_honest_node_behind_it_is_asked(
    town: Town, database: Database, alter
) -> None:
    town.anchor(1)
    async with town_nodes(town) as (node,):
        liar = Altered(node, alter)
        alone = await follower_of(town, database, [liar])
        with pytest.raises(NoVerifiedAnswer):
            await alone.follow_to_head(keeping(town))
        assert await seen(database) == []

        both = await follower_of(town, database, [liar, node])
        await both.follow_to_head(keeping(town))

        assert await seen(database) == [1]


async def test_a_chain_that_stands_still_is_told_from_the_present(
    town: Town, database: Database
) -> None:
    town.anchor(1)
    async with town_nodes(town) as nodes:
        follower = await follower_of(town, database, nodes)
        town.clock.move(LIMITS.staleness_s + 1)
        await follower.follow_to_head(keeping(town))

        assert follower.stale is not None
        assert await seen(database) == [1]

        town.heartbeat()
        await follower.follow_to_head(keeping(town))

        assert follower.stale is None


async def test_only_blocks_that_may_matter_are_read_whole(town: Town, database: Database) -> None:
    methods: list[str] = []

    def listen(method: str, _params: object, answer: object) -> object:
        methods.append(method)
        return answer

    town.anchor(1)
    town.heartbeat()
    town.heartbeat()
    async with town_nodes(town) as (node,):
        follower = await follower_of(town, database, [Altered(node, listen)])
        await follower.follow_to_head(keeping(town))

    assert methods.count("debug_getRawReceipts") == 1
    assert methods.count("debug_getRawHeader") == town.chain.ledger.head.height
