"""Authlib, which nobody here wrote, logs in at the simulated provider as a relying party.

Card, virtual provider and client talk over sockets; Authlib makes the request, its PKCE and its
assertion, and checks the ID token by its own rules. Its clock is the machine's.
"""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from services.kit.clock import SystemClock
from services.sim.oidc.app import log_in
from tests.support.oidc import (
    HUB,
    REDIRECT_URI,
    RunningProvider,
    card_issued_at,
    holder_of,
    running_provider,
)


def relying_party(running: RunningProvider) -> OAuth2Session:
    session = OAuth2Session(
        HUB,
        running.keys[HUB],
        scope="openid name address birthdate gender",
        redirect_uri=REDIRECT_URI,
        code_challenge_method="S256",
        token_endpoint_auth_method="private_key_jwt",
    )
    session.register_client_auth_method(PrivateKeyJWT(running.address("token"), alg="ES256"))
    return session


async def test_authlib_logs_in_with_a_card() -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    nonce, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
    async with running_provider(SystemClock()) as running:
        party = relying_party(running)
        address, state = party.create_authorization_url(
            running.address("auth"), nonce=nonce, code_verifier=verifier, acr_values="aal3 crl"
        )
        card = card_issued_at(at - timedelta(days=1))
        back = await log_in(running.session, address, holder_of(card, with_attributes=True))
        answer = await asyncio.to_thread(
            party.fetch_token,
            running.address("token"),
            authorization_response=back,
            code_verifier=verifier,
            state=state,
        )
        claims = await asyncio.to_thread(read_claims, party, running, answer)
        renewed = await asyncio.to_thread(party.refresh_token, running.address("token"))

    keys = KeySet.import_key_set(running.provider.key_set())  # type: ignore[arg-type]
    token = jwt.decode(answer["id_token"], keys, algorithms=["ES256"])
    checked = CodeIDToken(
        token.claims,
        token.header,
        options={
            "iss": {"essential": True, "value": running.url + "/api/realms/main"},
            "aud": {"essential": True, "value": HUB},
        },
        params={"nonce": nonce, "client_id": HUB},
    )
    checked.validate()
    assert claims["sub"] == token.claims["sub"]
    assert claims["name"] == "台帳　花子"
    assert renewed["access_token"] != answer["access_token"]


async def test_authlib_without_pkce_is_turned_away() -> None:
    async with running_provider(SystemClock()) as running:
        party = relying_party(running)
        address, _ = party.create_authorization_url(running.address("auth"), nonce="n")
        card = card_issued_at(datetime.now(UTC).replace(microsecond=0) - timedelta(days=1))
        back = await log_in(running.session, address, holder_of(card))

    assert "error=invalid_request" in back
    assert "code=" not in back


def read_claims(
    party: OAuth2Session, running: RunningProvider, answer: dict[str, Any]
) -> dict[str, Any]:
    party.token = answer
    claims: dict[str, Any] = party.get(running.address("userinfo")).json()
    return claims
