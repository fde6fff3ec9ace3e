"""The page on which a service receives other services' events: signed, recognised, acknowledged.

An event is acknowledged once the inbox has it, handled or set aside; until then its sender keeps
it. Whoever may call this address matters little, for only a listed source's signature counts.
"""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from services.kit.database import Database
from services.kit.event_signatures import SIGNATURE_HEADER, EventVerifier, InvalidEventSignature
from services.kit.inbox import Handler, accept
from services.kit.problems import UnsupportedMediaType

EVENTS_PATH: Final = "/events"

MEDIA_TYPE: Final = "application/cloudevents+json"


def event_page(
    database: Database, verifier: EventVerifier, handler: Handler, *, path: str = EVENTS_PATH
) -> web.RouteDef:
    """Return the page, for ``ServiceDefinition.pages``.

    Args:
        database: Whose inbox takes the events.
        verifier: Which keys speak for which source.
        handler: What an event does, inside the transaction that notes it as done.
        path: Where events are posted.
    """

    async def take(request: web.Request) -> web.Response:
        if request.content_type != MEDIA_TYPE:
            raise UnsupportedMediaType("the body is not declared to be an event")
        signature = request.headers.get(SIGNATURE_HEADER)
        if signature is None:
            raise InvalidEventSignature("signature: missing")
        event = verifier.verify(await request.read(), signature)
        await accept(database, event, handler)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    return web.post(path, take)
