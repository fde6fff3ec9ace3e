"""From the bytes of a body to the text of its answer: rates, lanes and turns.

Sockets are ``server`` and ``websocket``'s business, forms are ``dispatch``'s. A long batch gives
the event loop back every few milliseconds.

Spec: RPC-BATCH, RPC-RATE, RPC-OVERLOAD.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from node.rpc.backend import Backends
from node.rpc.dispatch import (
    Answered,
    Entry,
    Malformed,
    answer,
    answer_text,
    decode_body,
    encode,
    encode_batch,
    failure,
    written,
)
from node.rpc.errors import RpcError, TooManyRequests
from node.rpc.filters import FilterRegistry
from node.rpc.lanes import Lanes
from node.rpc.limits import RpcLimits
from node.rpc.method import Context, Lane, MethodTable
from node.rpc.rates import RateLimiter
from node.rpc.subscriptions import Subscriptions

Observer: TypeAlias = Callable[[str, float, bool], None]
"""Told of every answered request: method, seconds, whether it succeeded."""

UNKNOWN_METHOD = "unknown"
"""Stands for methods that do not exist, so that strangers cannot make new metric labels."""


def observe_nothing(method: str, seconds: float, is_success: bool) -> None:
    """Note nothing."""


class RpcService:
    """Answers bodies for one port."""

    def __init__(
        self,
        *,
        backends: Backends,
        table: MethodTable,
        limits: RpcLimits,
        new_id: Callable[[], str],
        monotonic_s: Callable[[], float],
        observe: Observer = observe_nothing,
    ) -> None:
        """Hold the parts; nothing starts yet."""
        self.limits = limits
        self.backends = backends
        self.filters = FilterRegistry(limits, new_id)
        self.new_id = new_id
        self._table = table
        self._rates = RateLimiter(limits)
        self._lanes = Lanes(limits)
        self._monotonic_s = monotonic_s
        self._observe = observe

    async def answer_body(
        self, body: bytes | str, source: str, subscriptions: Subscriptions | None = None
    ) -> str | None:
        """Return the text that answers a body, or None when nothing is to be said.

        Spec: RPC-JSON, RPC-BATCH.
        """
        try:
            batch = decode_body(body, self.limits)
        except RpcError as error:
            return encode(failure(None, error))
        context = Context(
            backends=self.backends,
            limits=self.limits,
            filters=self.filters,
            source=source,
            subscriptions=subscriptions,
        )
        answers: list[Answered | None] = []
        turn_began_s = self._monotonic_s()
        for entry in batch.entries:
            answers.append(await self._answer_entry(entry, context))
            if self._monotonic_s() - turn_began_s > self.limits.loop_slice_s:
                await asyncio.sleep(0)
                turn_began_s = self._monotonic_s()
        return encode_batch(answers, is_list=batch.is_list, limits=self.limits)

    def close(self) -> None:
        """Begin no more work on threads."""
        self._lanes.close()

    async def _answer_entry(self, entry: Entry, context: Context) -> Answered | None:
        if isinstance(entry, Malformed):
            return written(failure(entry.id, entry.error))
        method = self._table.get(entry.method)
        began_s = self._monotonic_s()
        cost = 1 if method is None else method.cost
        try:
            if not self._rates.spend(context.source, cost, int(began_s * 1_000)):
                raise TooManyRequests("too many requests: slow down", cost=cost)
            if method is None or method.lane is Lane.LOOP:
                response = answer(entry, self._table, context)
                answered = None if response is None else written(response)
            else:
                work = partial(answer_text, entry, self._table, context)
                answered = await self._lanes.run(method.lane, work, context.source)
        except RpcError as error:
            answered = None if entry.is_notification else written(failure(entry.id, error))
        self._observe(
            UNKNOWN_METHOD if method is None else entry.method,
            self._monotonic_s() - began_s,
            answered is None or answered.is_success,
        )
        return answered
