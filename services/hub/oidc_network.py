"""The hub's calls of an OpenID provider: bounded in size and time, following no redirect.

Spec: ID-OIDC-REQUEST.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import aiohttp

from clients.core.bodies import read_bounded
from node.primitives.errors import Unavailable
from services.hub.oidc_request import OidcProvider, build_token_form
from services.hub.oidc_token import (
    ExpectedLogin,
    ProviderLogin,
    check_id_token,
    check_same_subject,
    decode_token_answer,
    find_key_id,
)
from services.kit.clock import Clock
from services.kit.issuers import FetchedKeys

ANSWER_SIZE_MAX: Final = 64 * 1024
TIMEOUT_S: Final = 10.0

_HTTP_CLIENT_ERRORS: Final = range(400, 500)


class ProviderUnavailable(Unavailable):
    """The provider does not answer as it should."""

    code = "federation.provider_unavailable"


class CodeRefused(Unavailable):
    """The provider does not exchange the code: it was used, or is over, or never was."""

    code = "federation.code_refused"


class OidcClient:
    """One provider as the hub reaches it; keeps the provider's keys."""

    def __init__(self, provider: OidcProvider, clock: Clock) -> None:
        """Hold the provider; nothing is asked yet."""
        self.provider = provider
        self._clock = clock
        self._keys = FetchedKeys(provider.jwks_uri, clock)

    async def exchange(
        self, code: str, *, verifier: str, expected: ExpectedLogin
    ) -> tuple[ProviderLogin, Mapping[str, object]]:
        """Exchange a code; return who logged in, and the claims of userinfo if any were asked for.

        Raises:
            CodeRefused: The provider says no.
            IdTokenRefused, MalformedAnswer: What it gave is not to be believed.
            ProviderUnavailable, IssuerUnavailable: It does not answer.

        Spec: ID-OIDC-TOKEN.
        """
        form = build_token_form(
            self.provider,
            code=code,
            verifier=verifier,
            assertion_id=secrets.token_hex(16),
            now=self._clock.now(),
        )
        answer = decode_token_answer(await self._post(self.provider.token_endpoint, form))
        key = await self._keys.find(find_key_id(answer.id_token))
        now: datetime = self._clock.now()
        login = check_id_token(
            answer.id_token, key=key, provider=self.provider, expected=expected, now=now
        )
        if self.provider.scopes == ("openid",):
            return login, {}
        claims = await self._get(self.provider.userinfo_endpoint, answer.access_token)
        return login, check_same_subject(login, claims)

    async def _post(self, url: str, form: Mapping[str, str]) -> bytes:
        async with _session() as session:
            return await _read(session, "POST", url, data=dict(form))

    async def _get(self, url: str, token: str) -> bytes:
        async with _session() as session:
            return await _read(session, "GET", url, headers={"Authorization": f"Bearer {token}"})


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), cookie_jar=aiohttp.DummyCookieJar()
    )


async def _read(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    data: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    try:
        async with session.request(
            method, url, data=data, headers=headers, allow_redirects=False
        ) as response:
            if response.status in _HTTP_CLIENT_ERRORS:
                raise CodeRefused(f"{url}: answered {response.status}")
            if response.status != 200:
                raise ProviderUnavailable(f"{url}: answered {response.status}")
            body = await read_bounded(response, ANSWER_SIZE_MAX)
            if body is None:
                raise ProviderUnavailable(f"{url}: answers over {ANSWER_SIZE_MAX} bytes")
            return body
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ProviderUnavailable(f"{url}: does not answer; check network and address") from error
