"""The simulated authorities on the network: revocation lists and OCSP over HTTP.

Each authority answers below the SHA-256 of its key, so that generations of equal name stay apart.
The real service publishes in a directory that only notified verifiers reach; this one is for
development and listens where it is told.
"""

from typing import Final

from aiohttp import web

from node.primitives.errors import MalformedMessage
from services.kit.clock import Clock
from services.sim.pki.authority import SimulatedAuthority
from services.sim.pki.hierarchy import Hierarchy

QUESTION_SIZE_MAX: Final = 4 * 1024
"""Longest OCSP request read, in bytes."""


def build_application(hierarchy: Hierarchy, clock: Clock) -> web.Application:
    """Build the HTTP application: ``GET /{key}/crl`` and ``POST /{key}/ocsp``."""
    store = hierarchy.trust_store()
    authorities = {
        authority.key_hash.hex(): simulated
        for authority, simulated in zip(
            store.authorities, hierarchy.authorities.values(), strict=True
        )
    }

    def find(request: web.Request) -> SimulatedAuthority:
        authority = authorities.get(request.match_info["key"])
        if authority is None:
            raise web.HTTPNotFound(text="no such authority")
        return authority

    async def serve_list(request: web.Request) -> web.Response:
        return web.Response(
            body=find(request).build_revocation_list(clock.now()),
            content_type="application/pkix-crl",
        )

    async def answer(request: web.Request) -> web.Response:
        try:
            body = find(request).answer_ocsp(await request.read(), clock.now())
        except MalformedMessage as error:
            raise web.HTTPBadRequest(text=error.message) from error
        return web.Response(body=body, content_type="application/ocsp-response")

    application = web.Application(client_max_size=QUESTION_SIZE_MAX)
    application.router.add_get("/{key}/crl", serve_list)
    application.router.add_post("/{key}/ocsp", answer)
    return application
