"""From the bytes of a body to the text of its answer: rates, lanes and turns.

Sockets are ``server`` and ``websocket``'s business, forms are ``dispatch``'s. A long batch gives
the event loop back every few milliseconds.

Spec: RPC-BATCH, RPC-RATE, RPC-OVERLOAD.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from node.rpc.backend import Backends
from node.rpc.dispatch import (
    Answered,
    Batch,
    Entry,
    Malformed,
    Request,
    answer_here,
    answer_text,
    decode_body,
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What one body asks."""

    batch: Batch
    """Its requests."""
    context: Context
    """What their methods may use."""
    is_immediate: bool
    """One request that is answered on the event loop, without waiting."""


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
        return await self.answer(self.read(body, source, subscriptions))

    def read(
        self, body: bytes | str, source: str, subscriptions: Subscriptions | None = None
    ) -> Asked:
        """Read what a body asks; what is wrong with it becomes its answer.

        Spec: RPC-JSON.
        """
        try:
            batch = decode_body(body, self.limits)
        except RpcError as error:
            batch = Batch((Malformed(error),), is_list=False)
        context = Context(
            backends=self.backends,
            limits=self.limits,
            filters=self.filters,
            source=source,
            subscriptions=subscriptions,
        )
        is_immediate = not batch.is_list and self._lane_of(batch.entries[0]) is Lane.LOOP
        return Asked(batch, context, is_immediate)

    def answer_now(self, asked: Asked) -> str | None:
        """Return the text that answers one request which need not wait.

        Spec: RPC-OVERLOAD.
        """
        (entry,) = asked.batch.entries
        answered = self._answer_here(entry, asked.context, self._monotonic_s())
        return encode_batch((answered,), is_list=False, limits=self.limits)

    async def answer(self, asked: Asked) -> str | None:
        """Return the text that answers what was asked, or None when nothing is to be said.

        Spec: RPC-BATCH.
        """
        context = asked.context
        answers: list[Answered | None] = []
        now_s = turn_began_s = self._monotonic_s()
        for entry in asked.batch.entries:
            lane = self._lane_of(entry)
            if lane is Lane.LOOP:
                answers.append(self._answer_here(entry, context, now_s))
            else:
                answers.append(await self._answer_there(entry, lane, context, now_s))
            now_s = self._monotonic_s()
            if now_s - turn_began_s > self.limits.loop_slice_s:
                await asyncio.sleep(0)
                now_s = turn_began_s = self._monotonic_s()
        return encode_batch(answers, is_list=asked.batch.is_list, limits=self.limits)

    def close(self) -> None:
        """Begin no more work on threads."""
        self._lanes.close()

    def _lane_of(self, entry: Entry) -> Lane:
        method = None if isinstance(entry, Malformed) else self._table.get(entry.method)
        return Lane.LOOP if method is None else method.lane

    def _answer_here(self, entry: Entry, context: Context, now_s: float) -> Answered | None:
        """Answer an entry at once, on the event loop."""
        if isinstance(entry, Malformed):
            return written(failure(entry.id, entry.error))
        try:
            self._spend(entry, context, now_s)
            answered = answer_here(entry, self._table, context)
        except TooManyRequests as error:
            answered = None if entry.is_notification else written(failure(entry.id, error))
        self._tell(entry, answered, now_s)
        return answered

    async def _answer_there(
        self, entry: Entry, lane: Lane, context: Context, now_s: float
    ) -> Answered | None:
        """Answer an entry on the threads of its lane."""
        assert isinstance(entry, Request)
        try:
            self._spend(entry, context, now_s)
            work = partial(answer_text, entry, self._table, context)
            answered = await self._lanes.run(lane, work, context.source)
        except RpcError as error:
            answered = None if entry.is_notification else written(failure(entry.id, error))
        self._tell(entry, answered, now_s)
        return answered

    def _spend(self, request: Request, context: Context, now_s: float) -> None:
        """Take what a request costs of its source's rate.

        Raises:
            TooManyRequests: It has too little left.

        Spec: RPC-RATE.
        """
        method = self._table.get(request.method)
        cost = 1 if method is None else method.cost
        if not self._rates.spend(context.source, cost, int(now_s * 1_000)):
            raise TooManyRequests("too many requests: slow down", cost=cost)

    def _tell(self, request: Request, answered: Answered | None, began_s: float) -> None:
        self._observe(
            request.method if request.method in self._table else UNKNOWN_METHOD,
            self._monotonic_s() - began_s,
            answered is None or answered.is_success,
        )
