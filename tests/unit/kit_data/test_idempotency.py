"""Idempotency keys: the same answer, one effect, and no key held by the dead."""

from dataclasses import replace

import pytest

from node.primitives.errors import InvalidInput
from services.kit.database import Database
from services.kit.idempotency import (
    BODY_BYTES_MAX,
    CLAIM_MS,
    KEPT_MS,
    Claim,
    ClaimLost,
    IdempotentRequest,
    KeyReused,
    RequestInProgress,
    StoredAnswer,
    abandon,
    begin,
    complete,
    compute_fingerprint,
    prune_keys,
)
from tests.support.clock import FakeClock

REQUEST = IdempotentRequest(
    tenant="sakai",
    caller="resident:1",
    key="k",
    fingerprint=compute_fingerprint("POST", "/loans", b"{}"),
)
OTHER_BODY = replace(REQUEST, fingerprint=compute_fingerprint("POST", "/loans", b"[]"))
ANSWER = StoredAnswer(status=201, content_type="application/json", body=b'{"loan":1}')


async def ask(
    database: Database, clock: FakeClock, request: IdempotentRequest = REQUEST
) -> Claim | StoredAnswer:
    async with database.write() as tx:
        return await begin(tx, request, now=clock.now())


async def answer(database: Database, clock: FakeClock, claim: Claim | StoredAnswer) -> None:
    assert isinstance(claim, Claim)
    async with database.write() as tx:
        await complete(tx, claim, ANSWER, now=clock.now())


async def test_a_repeated_request_gets_the_first_answer(database: Database) -> None:
    clock = FakeClock()
    await answer(database, clock, await ask(database, clock))

    assert await ask(database, clock) == ANSWER
    clock.move(KEPT_MS / 1000 - 1)
    assert await ask(database, clock) == ANSWER


async def test_another_request_under_the_key_is_refused(database: Database) -> None:
    clock = FakeClock()
    await answer(database, clock, await ask(database, clock))

    with pytest.raises(KeyReused):
        await ask(database, clock, OTHER_BODY)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(OTHER_BODY, tenant="goka"), id="tenant"),
        pytest.param(replace(OTHER_BODY, caller="resident:2"), id="caller"),
    ],
)
async def test_keys_of_different_callers_never_meet(
    database: Database, other: IdempotentRequest
) -> None:
    clock = FakeClock()
    await ask(database, clock)

    assert isinstance(await ask(database, clock, other), Claim)


async def test_a_request_being_worked_on_is_told_to_wait(database: Database) -> None:
    clock = FakeClock()
    await ask(database, clock)
    clock.move(CLAIM_MS / 1000 - 0.001)

    with pytest.raises(RequestInProgress):
        await ask(database, clock)


@pytest.mark.parametrize(
    "seconds", [CLAIM_MS / 1000, -1], ids=["after a minute", "after the clock went back"]
)
async def test_a_dead_holders_claim_lapses_and_its_ghost_changes_nothing(
    database: Database, seconds: float
) -> None:
    clock = FakeClock()
    ghost = await ask(database, clock)
    clock.move(seconds)
    await answer(database, clock, await ask(database, clock))

    with pytest.raises(ClaimLost):
        await answer(database, clock, ghost)
    assert await ask(database, clock) == ANSWER


async def test_a_request_without_effect_frees_its_key_at_once(database: Database) -> None:
    clock = FakeClock()
    claim = await ask(database, clock)
    assert isinstance(claim, Claim)
    async with database.write() as tx:
        await abandon(tx, claim)

    assert isinstance(await ask(database, clock, OTHER_BODY), Claim)


async def test_an_answer_is_forgotten_after_a_day(database: Database) -> None:
    clock = FakeClock()
    await answer(database, clock, await ask(database, clock))
    clock.move(KEPT_MS / 1000)
    assert isinstance(await ask(database, clock, OTHER_BODY), Claim)
    clock.move(KEPT_MS / 1000 + 1)

    async with database.write() as tx:
        assert await prune_keys(tx, now=clock.now()) == 1
        assert await prune_keys(tx, now=clock.now()) == 0


@pytest.mark.parametrize("key", ["", "x" * 129, "日本", "a b"])
async def test_a_key_is_bounded(database: Database, key: str) -> None:
    clock = FakeClock()
    with pytest.raises(InvalidInput):
        await ask(database, clock, replace(REQUEST, key=key))
    assert isinstance(await ask(database, clock, replace(REQUEST, key="x" * 128)), Claim)


async def test_an_answer_is_bounded(database: Database) -> None:
    clock = FakeClock()
    claim = await ask(database, clock)
    assert isinstance(claim, Claim)
    large = replace(ANSWER, body=b"x" * (BODY_BYTES_MAX + 1))
    with pytest.raises(InvalidInput):
        async with database.write() as tx:
            await complete(tx, claim, large, now=clock.now())
    async with database.write() as tx:
        await complete(tx, claim, replace(large, body=large.body[1:]), now=clock.now())
