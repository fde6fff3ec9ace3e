"""What the hub sends to an OpenID provider: the address a browser opens, and the two token forms.

Pure: randomness, time and keys arrive as arguments. The provider's rules are those of
デジタル認証アプリ: authorization code only, PKCE with S256, a nonce, an assertion whose audience is
the token endpoint.

Spec: ID-OIDC-REQUEST.
"""

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from joserfc import jwt

from node.primitives.crypto import sha256
from services.kit.keys import Key

ASSERTION_LIFETIME: Final = timedelta(minutes=1)

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

NONCE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""Form of a nonce that is a commitment: the base64url of 32 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """A provider, and the hub's registration there."""

    name: str
    """Short name, in the address the browser comes back to: one for each provider, so that one
    provider's answer cannot be taken for another's."""
    issuer: str
    """Its ``iss``."""
    authorization_endpoint: str
    """Where the browser logs in."""
    token_endpoint: str
    """Where codes are exchanged; also the audience of assertions."""
    userinfo_endpoint: str
    """Where claims are read."""
    jwks_uri: str
    """Where its keys are."""
    client_id: str
    """The hub's name there."""
    redirect_uri: str
    """Where the browser comes back to."""
    key: Key = field(repr=False)
    """The hub's private key for assertions; P-256."""
    scopes: tuple[str, ...] = ("openid",)
    """What is asked for."""
    contexts: tuple[str, ...] = ("aal3", "crl")
    """Values of ``acr_values``."""


def provider_at(
    issuer: str, *, name: str, client_id: str, redirect_uri: str, key: Key
) -> OidcProvider:
    """Return a provider whose endpoints lie where デジタル認証アプリ has them below its issuer."""
    protocol = f"{issuer}/protocol/openid-connect"
    return OidcProvider(
        name=name,
        issuer=issuer,
        authorization_endpoint=f"{protocol}/auth",
        token_endpoint=f"{protocol}/token",
        userinfo_endpoint=f"{protocol}/userinfo",
        jwks_uri=f"{protocol}/certs",
        client_id=client_id,
        redirect_uri=redirect_uri,
        key=key,
    )


def build_authorization_url(
    provider: OidcProvider, *, state: str, nonce: str, verifier: str
) -> str:
    """Return the address at which a holder logs in.

    Args:
        provider: Where.
        state: Names the log-in, once.
        nonce: The commitment to a device key.
        verifier: The secret of PKCE, of which the hash is sent.

    Spec: ID-OIDC-REQUEST.
    """
    parameters = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": provider.redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": _base64url(sha256(verifier.encode())),
        "code_challenge_method": "S256",
    }
    if provider.contexts:
        parameters["acr_values"] = " ".join(provider.contexts)
    return f"{provider.authorization_endpoint}?{urlencode(parameters)}"


def build_token_form(
    provider: OidcProvider, *, code: str, verifier: str, assertion_id: str, now: datetime
) -> dict[str, str]:
    """Return the form that exchanges a code.

    Args:
        provider: Whose code it is.
        code: As the browser brought it.
        verifier: The secret of PKCE.
        assertion_id: Random name of the assertion; providers take each once.
        now: The present.

    Spec: ID-OIDC-REQUEST.
    """
    issued_s = int(now.timestamp())
    claims = {
        "iss": provider.client_id,
        "sub": provider.client_id,
        "aud": provider.token_endpoint,
        "iat": issued_s,
        "exp": issued_s + int(ASSERTION_LIFETIME.total_seconds()),
        "jti": assertion_id,
    }
    header = {"alg": "ES256", "kid": provider.key.thumbprint()}
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": provider.redirect_uri,
        "code_verifier": verifier,
        "client_id": provider.client_id,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jwt.encode(header, claims, provider.key, algorithms=["ES256"]),
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
