"""The provider on the network: its published paths, and one of our own where the app answers.

``POST …/app`` takes what the holder's app sends; the real provider's app has its own way in, which
is not published. Development only.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from node.primitives.errors import MalformedMessage
from node.primitives.json_text import decode_json
from services.sim.oidc.provider import (
    ISSUER_PATH,
    PROTOCOL_PATH,
    CardNotAccepted,
    Provider,
    UnknownLogin,
)
from services.sim.oidc.requests import OidcFault, RefusedByProvider, UnknownClient

BODY_SIZE_MAX: Final = 32 * 1024
APP_PATH: Final = ISSUER_PATH + "/app"
LOGIN_HEADER: Final = "Simulated-Login"
"""Where the page that opens the app names the log-in."""

_STATUS: Final = {OidcFault.INVALID_CLIENT: 401, OidcFault.INVALID_TOKEN: 401}
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def build_application(provider: Provider) -> web.Application:
    """Build the HTTP application of a provider."""
    pages = _Pages(provider)
    application = web.Application(client_max_size=BODY_SIZE_MAX)
    application.router.add_get(PROTOCOL_PATH + "/auth", pages.authorize)
    application.router.add_post(PROTOCOL_PATH + "/token", pages.exchange)
    application.router.add_get(PROTOCOL_PATH + "/userinfo", pages.show_claims)
    application.router.add_get(PROTOCOL_PATH + "/certs", pages.show_keys)
    application.router.add_get(ISSUER_PATH + "/.well-known/openid-configuration", pages.describe)
    application.router.add_post(APP_PATH, pages.take_app_answer)
    return application


class _Pages:
    """A provider's answers in HTTP."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def authorize(self, request: web.Request) -> web.Response:
        """Open a log-in; in the field this page opens the app."""
        parameters: dict[str, str] = {}
        try:
            parameters = _once(request.query)
            name, text = self._provider.begin(parameters)
            return web.Response(text=text, headers={LOGIN_HEADER: name, **_NO_STORE})
        except RefusedByProvider as error:
            refused = error
        except UnknownClient as error:
            raise web.HTTPBadRequest(text=error.message) from error
        try:
            return _send_on(self._provider.refuse(parameters, refused))
        except UnknownClient as error:
            raise web.HTTPBadRequest(text=error.message) from error

    async def take_app_answer(self, request: web.Request) -> web.Response:
        """Take the card's signature, or the holder's no."""
        try:
            told = _app_answer(await request.read())
            if told.get("denied") is True:
                return _send_on(self._provider.deny(str(told.get("login"))))
            claims = told.get("claims")
            return _send_on(
                await self._provider.approve(
                    str(told.get("login")),
                    certificate=base64.b64decode(str(told.get("certificate")), validate=True),
                    signature=base64.b64decode(str(told.get("signature")), validate=True),
                    claims=claims if isinstance(claims, dict) else {},
                )
            )
        except (UnknownLogin, MalformedMessage, binascii.Error) as error:
            raise web.HTTPBadRequest(text="no such log-in, or out of form") from error
        except CardNotAccepted as error:
            raise web.HTTPForbidden(text=error.message) from error

    async def exchange(self, request: web.Request) -> web.Response:
        """Answer the token endpoint."""
        try:
            form = _once(await request.post())
            return web.json_response(self._provider.answer_token_request(form), headers=_NO_STORE)
        except RefusedByProvider as error:
            return _refuse(error)

    async def show_claims(self, request: web.Request) -> web.Response:
        """Answer userinfo."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            claims = self._provider.answer_userinfo(token if scheme == "Bearer" else "")
            return web.json_response(claims, headers=_NO_STORE)
        except RefusedByProvider as error:
            return _refuse(error)

    async def show_keys(self, _: web.Request) -> web.Response:
        """Publish the keys of ID tokens."""
        return web.json_response(self._provider.key_set())

    async def describe(self, _: web.Request) -> web.Response:
        """Publish the provider's description."""
        return web.json_response(self._provider.metadata())


def _once(values: Mapping[str, object]) -> dict[str, str]:
    """Return parameters as texts; one that comes twice is refused (RFC 6749 §3.1)."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if name in found or not isinstance(value, str):
            raise RefusedByProvider(OidcFault.INVALID_REQUEST, "a parameter twice, or no text")
        found[name] = value
    return found


def _app_answer(body: bytes) -> Mapping[str, object]:
    told = decode_json(body)
    if not isinstance(told, dict):
        raise MalformedMessage("simulated provider: the app sends an object")
    return told


def _send_on(address: str) -> web.Response:
    return web.Response(status=302, headers={"Location": address, **_NO_STORE})


def _refuse(error: RefusedByProvider) -> web.Response:
    body = {"error": error.fault.value, "error_description": error.description}
    status = _STATUS.get(error.fault, 400)
    headers = {"WWW-Authenticate": "Bearer"} if error.fault is OidcFault.INVALID_TOKEN else {}
    return web.json_response(body, status=status, headers={**headers, **_NO_STORE})
