"""One connection to one peer: handshake, then reading, writing, pinging and serving until it ends.

A connection has four tasks. Whatever goes wrong ends it with an ``Ending``; deciding whether to
dial again is the network's. Everything read passes the peer's rate limit before it is decoded.

Spec: WIRE-RATE, WIRE-TIMEOUT.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

import aiohttp

from node.p2p import frames
from node.p2p.answers import answer_nothing, answer_request, is_answer
from node.p2p.frames import Frame, Goodbye, Request, Response
from node.p2p.handshake import PeerFacts
from node.p2p.limits import LANES, Lane, Offence, RateLimiter
from node.p2p.outbound import Outbound
from node.p2p.queues import RecentSet
from node.p2p.socket import (
    ConnectionEnded,
    Ending,
    Timings,
    WebSocket,
    ended,
    receive_bytes,
    say_goodbye,
)
from node.p2p.source import LedgerSource, PeerClock
from node.p2p.wire import decode_frame, encode_frame, frame_kind
from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.types import Address, TransactionHash

REQUESTS_IN_FLIGHT_MAX: Final = 8
"""Most unanswered requests to one peer."""

REQUESTS_WAITING_MAX: Final = 16
"""Most requests of one peer waiting for us."""

KNOWN_TRANSACTIONS_MAX: Final = 32_768
"""Transaction hashes remembered per peer, so that none is sent twice."""

R = TypeVar("R", bound=Response)


class Receiver(Protocol):
    """Where a connection delivers; the network, or a test's probe."""

    def receive(self, peer: "PeerConnection", frame: frames.Gossip, size: int) -> None:
        """Take a gossiped frame. Must not block."""
        ...

    def offend(self, node: Address, offence: Offence) -> bool:
        """Count an offence and tell whether the peer must go."""
        ...


class PeerConnection:
    """A peer whose key is proven, and the connection to it."""

    def __init__(
        self,
        socket: WebSocket,
        facts: PeerFacts,
        *,
        is_dialled: bool,
        address: str,
        clock: PeerClock,
        timings: Timings,
        receiver: Receiver,
        source: LedgerSource,
    ) -> None:
        """Hold what ``run`` needs; start nothing."""
        self.facts = facts
        self.is_dialled = is_dialled
        self.address = address
        self.outbound = Outbound()
        self.known = RecentSet[TransactionHash](KNOWN_TRANSACTIONS_MAX)
        self.status: frames.Status | None = None
        self.latency_ms: int | None = None
        self.clock_offset_ms: int | None = None
        self.connected_at_ms = clock.monotonic_ms()
        self._socket = socket
        self._clock = clock
        self._timings = timings
        self._receiver = receiver
        self._source = source
        self._limiter = RateLimiter(clock.monotonic_ms())
        self._answers: dict[int, tuple[Request, asyncio.Future[Response]]] = {}
        self._expired = RecentSet[int](64)
        self._requests: asyncio.Queue[Request] = asyncio.Queue(REQUESTS_WAITING_MAX)
        self._pings: dict[int, int] = {}
        self._last_id = 0
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    @property
    def node(self) -> Address:
        """Return the peer's node key."""
        return self.facts.member.address

    def send(self, frame: Frame, lane: Lane) -> bool:
        """Queue a frame; False when something was dropped for it."""
        return self.outbound.put(lane, encode_frame(frame))

    def send_encoded(self, data: bytes, lane: Lane) -> bool:
        """Queue a frame encoded once for many peers."""
        return self.outbound.put(lane, data)

    def end(self, reason: str, detail: str, *, is_theirs: bool = False) -> None:
        """Let ``run`` say goodbye and return."""
        if not self._ending.done():
            self._ending.set_result(Ending(reason=reason, detail=detail, is_theirs=is_theirs))

    async def run(self) -> Ending:
        """Read, write, ping and serve until the connection ends; then close it."""
        tasks = [
            asyncio.create_task(work, name=f"peer-{self.facts.member.name}-{name}")
            for name, work in (
                ("read", self._read()),
                ("write", self._write()),
                ("ping", self._ping()),
                ("serve", self._serve()),
            )
        ]
        try:
            waited: list[asyncio.Future[None] | asyncio.Future[Ending]] = [*tasks, self._ending]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            ending = self._ending.result() if self._ending.done() else _ending_of(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._fail_answers()
        await say_goodbye(self._socket, ending, self._timings)
        return ending

    # Requests of ours

    async def request(self, request: Request, answer: type[R]) -> R:
        """Send a request and wait for its answer.

        Raises:
            Unavailable: Too many requests wait, the time is over, or the connection ended.

        Spec: WIRE-TIMEOUT.
        """
        if len(self._answers) >= REQUESTS_IN_FLIGHT_MAX:
            raise Unavailable(f"{self.facts.member.name}: {REQUESTS_IN_FLIGHT_MAX} requests wait")
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._answers[request.id] = (request, future)
        try:
            if not self.send(request, Lane.REQUESTS):
                raise Unavailable(f"{self.facts.member.name}: its send queue is full")
            async with asyncio.timeout(self._timings.request_ms / 1_000):
                response = await future
        except TimeoutError as error:
            self._expired.add(request.id)
            self.blame(Offence.REQUEST_TIMEOUT)
            raise Unavailable(
                f"{self.facts.member.name}: no answer in {self._timings.request_ms} ms"
            ) from error
        finally:
            self._answers.pop(request.id, None)
        assert isinstance(response, answer)
        return response

    def next_id(self) -> int:
        """Return a fresh request id."""
        self._last_id += 1
        return self._last_id

    def blame(self, offence: Offence) -> None:
        """Count an offence; end the connection when the score is reached."""
        if self._receiver.offend(self.node, offence):
            self.end(offence.value, f"{self.facts.member.name}: score reached at {offence.value}")

    def _fail_answers(self) -> None:
        for _request, future in self._answers.values():
            if not future.done():
                future.set_exception(Unavailable(f"{self.facts.member.name}: the connection ended"))

    # The four tasks

    async def _read(self) -> None:
        while True:
            try:
                data = await receive_bytes(self._socket, self._timings.idle_ms)
            except ConnectionEnded as error:
                if error.ending.reason in tuple(Offence) and not error.ending.is_theirs:
                    self.end(error.ending.reason, error.ending.detail)
                    self.blame(Offence(error.ending.reason))
                raise
            self._take(data)
            await asyncio.sleep(0)

    def _take(self, data: bytes) -> None:
        """Check and deliver one frame.

        Spec: WIRE-RATE, WIRE-SCORE.
        """
        try:
            kind = frame_kind(data)
            lane = LANES.get(kind)
            if lane is None:
                self._take_handshake_frame(data)
                return
            if not self._limiter.admits(lane, len(data), self._clock.monotonic_ms()):
                self.blame(Offence.RATE_EXCEEDED)
                return
            frame = decode_frame(data)
        except InvalidInput as error:
            self.end(Offence.MALFORMED_FRAME.value, str(error))
            self.blame(Offence.MALFORMED_FRAME)
            return
        self._deliver(frame, len(data))

    def _take_handshake_frame(self, data: bytes) -> None:
        frame = decode_frame(data)
        if isinstance(frame, Goodbye):
            self.end(frame.reason, frame.detail, is_theirs=True)
            return
        self.end(Offence.UNEXPECTED_FRAME.value, "a handshake frame after the handshake")
        self.blame(Offence.UNEXPECTED_FRAME)

    def _deliver(self, frame: Frame, size: int) -> None:
        match frame:
            case frames.Ping():
                self.send(frames.Pong(id=frame.id, clock_ms=self._clock.now_ms()), Lane.CONTROL)
            case frames.Pong():
                self._take_pong(frame)
            case (
                frames.BlockRequest()
                | frames.HeaderRequest()
                | frames.ManifestRequest()
                | frames.ChunkRequest()
            ):
                if self._requests.full():
                    self.blame(Offence.RATE_EXCEEDED)
                else:
                    self._requests.put_nowait(frame)
            case (
                frames.BlockResponse()
                | frames.HeaderResponse()
                | frames.ManifestResponse()
                | frames.ChunkResponse()
            ):
                self._take_response(frame)
            case frames.Status():
                self.status = frame
                self._receiver.receive(self, frame, size)
            case (
                frames.ConsensusMessage()
                | frames.EvidenceReport()
                | frames.TransactionAnnouncement()
                | frames.TransactionRequest()
                | frames.TransactionBatch()
            ):
                self._receiver.receive(self, frame, size)
            case frames.Hello() | frames.Proof() | frames.Welcome() | Goodbye():
                self.blame(Offence.UNEXPECTED_FRAME)

    def _take_pong(self, pong: frames.Pong) -> None:
        sent_ms = self._pings.pop(pong.id, None)
        if sent_ms is None:
            self.blame(Offence.UNSOLICITED_RESPONSE)
            return
        self.latency_ms = max(0, self._clock.monotonic_ms() - sent_ms)
        self.clock_offset_ms = pong.clock_ms + self.latency_ms // 2 - self._clock.now_ms()

    def _take_response(self, response: Response) -> None:
        if response.id in self._expired:
            return
        request, future = self._answers.get(response.id, (None, None))
        if request is None or future is None or future.done() or not is_answer(request, response):
            self.blame(Offence.UNSOLICITED_RESPONSE)
            return
        future.set_result(response)

    async def _write(self) -> None:
        while True:
            data = await self.outbound.get()
            try:
                async with asyncio.timeout(self._timings.send_ms / 1_000):
                    await self._socket.send_bytes(data)
            except TimeoutError:
                self.blame(Offence.SLOW_READER)
                raise ended(
                    Offence.SLOW_READER.value,
                    f"a frame did not leave in {self._timings.send_ms} ms",
                ) from None
            except (ConnectionError, aiohttp.ClientError, RuntimeError) as error:
                raise ended("closed", "the connection broke", is_theirs=True) from error

    async def _ping(self) -> None:
        while True:
            ping = frames.Ping(id=self.next_id())
            if len(self._pings) >= 16:
                self._pings.pop(next(iter(self._pings)))
            self._pings[ping.id] = self._clock.monotonic_ms()
            self.send(ping, Lane.CONTROL)
            await asyncio.sleep(self._timings.ping_ms / 1_000)

    async def _serve(self) -> None:
        while True:
            request = await self._requests.get()
            try:
                response = await answer_request(request, self._source)
            except (InvalidInput, Unavailable):
                # Pruned meanwhile, or the disk is busy: the peer asks another.
                response = answer_nothing(request)
            await self.outbound.put_when_room(Lane.RESPONSES, encode_frame(response))


def _ending_of(tasks: Sequence[asyncio.Task[None]]) -> Ending:
    """Return why the first finished task finished; an unexpected error is raised on."""
    for task in tasks:
        if task.done():
            error = task.exception()
            if isinstance(error, ConnectionEnded):
                return error.ending
            if error is not None:
                raise error
    return Ending(reason="closed", detail="the connection ended", is_theirs=False)
