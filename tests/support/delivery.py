"""A subscriber in the same process: the real inbox of a second database, without HTTP."""

from services.kit.database import Database
from services.kit.dispatcher import Delivered, Outcome, Unreachable
from services.kit.event_signatures import EventVerifier
from services.kit.inbox import Handler, accept
from services.kit.outbox import Subscriber


class DirectTransport:
    """Hands events to an inbox; while ``is_down`` nothing gets there."""

    def __init__(self, database: Database, handler: Handler, verifier: EventVerifier) -> None:
        self.database = database
        self.handler = handler
        self.verifier = verifier
        self.is_down = False

    async def send(self, subscriber: Subscriber, body: bytes, signature: str) -> Outcome:
        """Deliver one event."""
        del subscriber
        if self.is_down:
            return Unreachable(reason="down")
        await accept(self.database, self.verifier.verify(body, signature), self.handler)
        return Delivered()
