"""Carries events from the outbox to subscribers: at least once, in order per subject.

Each subscriber is served by itself, so one that is slow or down keeps nobody waiting. Where it
cannot be reached at all it is left alone for a while and its events lose no attempt; where it
refuses an event, that event's subject waits and the others go on. What is sent is signed.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import aiohttp
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import Unavailable
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.deliveries import (
    Delivery,
    acknowledge,
    give_back,
    lease_deliveries,
    postpone,
)
from services.kit.event_signatures import SIGNATURE_HEADER, EventSigner
from services.kit.keys import load_private_key
from services.kit.outbox import Subscriber, list_subscribers
from services.kit.supervision import BackgroundTask

POLL_S: Final = 0.5
"""Seconds between two looks into the outbox."""

SEND_TIMEOUT_S: Final = 10.0
"""How long a subscriber may take over one event."""

CONCURRENT_MAX: Final = 8
"""Events of different subjects sent to one subscriber at once."""

SILENCE_S_MAX: Final = 60
"""Longest a subscriber that cannot be reached is left alone."""

CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The subscriber has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The subscriber answered that it does not take this event."""

    reason: str
    """What it answered."""
    is_final: bool
    """Asking again is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """The subscriber takes nothing now."""

    reason: str
    """What stood in the way."""


Outcome = Delivered | Refused | Unreachable
"""What became of one attempt."""


class Transport(Protocol):
    """How an event reaches a subscriber."""

    async def send(self, subscriber: Subscriber, body: bytes, signature: str) -> Outcome:
        """Send one event and return what became of it."""
        ...


class HttpTransport:
    """Posts events to the subscriber's address."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Hold the session; its owner closes it."""
        self._session = session

    async def send(self, subscriber: Subscriber, body: bytes, signature: str) -> Outcome:
        """Post one event; redirects are not followed and the answer's body is not read."""
        headers = {"Content-Type": CONTENT_TYPE, SIGNATURE_HEADER: signature}
        timeout = aiohttp.ClientTimeout(total=SEND_TIMEOUT_S)
        try:
            async with self._session.post(
                subscriber.endpoint,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return read_status(response.status)
        except TimeoutError:
            return Refused(reason="no answer in time", is_final=False)
        except aiohttp.ClientError as error:
            return Unreachable(reason=type(error).__name__)


def read_status(status: int) -> Outcome:
    """Return what an HTTP status means for a delivery.

    Only a refusal of the event itself is final; one of our credentials or of the address is for
    an operator to repair, and the event waits.
    """
    if 200 <= status < 300:
        return Delivered()
    if status in (429, 502, 503, 504):
        return Unreachable(reason=f"answered {status}")
    is_final = status in (400, 409, 410, 413, 415, 422)
    return Refused(reason=f"answered {status}", is_final=is_final)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Silence:
    noted: datetime
    until: datetime
    failures: int

    def lasts(self, now: datetime) -> bool:
        """Tell whether it lasts; a clock set back ends it."""
        return self.noted <= now < self.until


class Dispatcher:
    """Serves the subscribers of one service's outbox."""

    def __init__(
        self, database: Database, transport: Transport, signer: EventSigner, *, clock: Clock
    ) -> None:
        """Hold what is needed."""
        self._database = database
        self._transport = transport
        self._signer = signer
        self._clock = clock
        self._silences: dict[tuple[str, str], _Silence] = {}

    @property
    def unreachable(self) -> Mapping[tuple[str, str], datetime]:
        """Return the subscribers left alone, by tenant and name, and until when."""
        return {name: silence.until for name, silence in self._silences.items()}

    async def run(self) -> None:
        """Serve for ever, each subscriber at its own pace; the supervisor stops it."""
        tasks: dict[tuple[str, str], asyncio.Task[int]] = {}
        try:
            while True:
                for subscriber in await self._list():
                    name = (subscriber.tenant, subscriber.name)
                    if name not in tasks or tasks[name].done():
                        _raise_from(tasks.get(name))
                        tasks[name] = asyncio.create_task(self._serve_patiently(subscriber))
                await self._clock.sleep(POLL_S)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def run_once(self) -> int:
        """Serve every subscriber until nothing more is due; return how many were delivered.

        Raises:
            DatabaseUnavailable: The database does not answer.
        """
        return sum([await self._serve(subscriber) for subscriber in await self._list()])

    async def _list(self) -> tuple[Subscriber, ...]:
        try:
            async with self._database.read() as tx:
                every = await list_subscribers(tx)
        except Unavailable as error:
            _LOG.warning("dispatcher waits: %s", error.code)
            return ()
        return tuple(subscriber for subscriber in every if not subscriber.is_paused)

    async def _serve_patiently(self, subscriber: Subscriber) -> int:
        try:
            return await self._serve(subscriber)
        except Unavailable as error:
            _LOG.warning("dispatcher waits for %s: %s", subscriber.name, error.code)
            return 0

    async def _serve(self, subscriber: Subscriber) -> int:
        """Send what is due, batch after batch, until nothing is or nothing gets through."""
        silence = self._silences.get((subscriber.tenant, subscriber.name))
        if silence is not None and silence.lasts(self._clock.now()):
            return 0
        count = 0
        while True:
            batch = await self._database.transact(
                partial(lease_deliveries, subscriber=subscriber, now=self._clock.now())
            )
            if not batch:
                return count
            outcomes = await self._send(subscriber, batch)
            count += sum(isinstance(outcome, Delivered) for outcome in outcomes)
            if self._note_reach(subscriber, outcomes):
                return count

    async def _send(self, subscriber: Subscriber, batch: tuple[Delivery, ...]) -> list[Outcome]:
        """Send a batch; once the subscriber cannot be reached, the rest is given back unsent."""
        lost: list[Unreachable] = []
        gate = asyncio.Semaphore(CONCURRENT_MAX)

        async def send_one(delivery: Delivery) -> Outcome:
            async with gate:
                if lost:
                    outcome: Outcome = lost[0]
                else:
                    signature = self._signer.sign(delivery.body)
                    outcome = await self._transport.send(subscriber, delivery.body, signature)
                if isinstance(outcome, Unreachable):
                    lost.append(outcome)
                await self._settle(delivery, outcome)
                return outcome

        results = await asyncio.gather(*map(send_one, batch), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    async def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        now = self._clock.now()

        async def settle(tx: AsyncConnection) -> bool:
            match outcome:
                case Delivered():
                    return await acknowledge(tx, delivery)
                case Refused(reason=reason, is_final=is_final):
                    return await postpone(tx, delivery, now=now, reason=reason, is_final=is_final)
                case Unreachable():
                    return await give_back(tx, delivery)

        await self._database.transact(settle)

    def _note_reach(self, subscriber: Subscriber, outcomes: list[Outcome]) -> bool:
        """Note whether the subscriber can be reached; True when it is to be left alone."""
        name = (subscriber.tenant, subscriber.name)
        reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unreachable)]
        if not reasons:
            self._silences.pop(name, None)
            return False
        known = self._silences.get(name)
        failures = 1 + (known.failures if known is not None else 0)
        wait_s = min(SILENCE_S_MAX, 1 << min(failures - 1, 10))
        now = self._clock.now()
        until = now + timedelta(seconds=wait_s)
        self._silences[name] = _Silence(noted=now, until=until, failures=failures)
        _LOG.warning("subscriber %s cannot be reached: %s", subscriber.name, reasons[0])
        return True


def _raise_from(task: asyncio.Task[int] | None) -> None:
    """Let an error that no subscriber can cause stop the service."""
    if task is not None and not task.cancelled():
        error = task.exception()
        if error is not None:
            raise error


def dispatcher_task(database: Database, key_file: Path, *, clock: Clock) -> BackgroundTask:
    """Return the task that delivers a service's events, signed with the key in ``key_file``.

    Raises:
        Misconfigured: The key cannot be used.
    """
    key = load_private_key(key_file)
    signer = EventSigner(key, key_id=key.thumbprint())

    async def run() -> None:
        async with aiohttp.ClientSession(trust_env=False) as session:
            await Dispatcher(database, HttpTransport(session), signer, clock=clock).run()

    return BackgroundTask(name="dispatcher", run=run)
