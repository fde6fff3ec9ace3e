"""One effect for each ``Idempotency-Key``: the way handlers use the kit's idempotency keys.

The work and its stored answer are one transaction. A request that is repeated, because its answer
was lost or its sender impatient, gets the first answer; one refused by the work itself has no
effect and frees its key.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import LedgerError
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.idempotency import (
    Claim,
    IdempotentRequest,
    StoredAnswer,
    abandon,
    begin,
    complete,
)
from services.kit.operations import Call, WrongOperation
from services.kit.reads import actor_of, reference_of

Answer = TypeVar("Answer", bound=BaseModel)


async def once(
    call: Call[Any, Any],
    *,
    database: Database,
    clock: Clock,
    answer: type[Answer],
    work: Callable[[AsyncConnection], Awaitable[Answer]],
) -> Answer:
    """Do ``work`` in a transaction unless this request was answered before; return its answer.

    Args:
        call: A call of an operation that needs an idempotency key.
        database: Where work and answer are stored together.
        clock: Where the present comes from.
        answer: Model of the answer.
        work: The effect; it writes through the transaction it is given and nowhere else.

    Raises:
        RequestInProgress: The same request is being worked on.
        KeyReused: The key belongs to another request.
        ClaimLost: The work took over a minute and was taken over by a repetition.
    """
    if call.idempotency_key is None or call.fingerprint is None:
        raise WrongOperation("once: declare the operation with needs_idempotency_key=True")
    owner, actor = reference_of(call.caller), actor_of(call.caller)
    request = IdempotentRequest(
        tenant=call.tenant,
        caller=owner if owner == actor else f"{owner} {actor}",
        key=call.idempotency_key,
        fingerprint=call.fingerprint,
    )

    async def claim_it(tx: AsyncConnection) -> Claim | StoredAnswer:
        return await begin(tx, request, now=clock.now())

    claim = await database.transact(claim_it)
    if isinstance(claim, StoredAnswer):
        return answer.model_validate_json(claim.body)

    async def do(tx: AsyncConnection) -> Answer:
        done = await work(tx)
        body = done.model_dump_json(by_alias=True).encode()
        stored = StoredAnswer(status=200, content_type="application/json", body=body)
        await complete(tx, claim, stored, now=clock.now())
        return done

    try:
        return await database.transact(do)
    except LedgerError:
        async with database.write() as tx:
            await abandon(tx, claim)
        raise
