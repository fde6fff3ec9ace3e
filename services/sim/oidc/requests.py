"""What a relying party sends to the provider's ``auth`` endpoint, and what is wrong with it.

An unknown client or address is answered on the spot: sending the browser on to an address that
nobody registered would make the provider an open redirect. Everything else goes back to the client.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from node.primitives.errors import InvalidInput
from services.kit.keys import Key

NONCE_LENGTH_MAX: Final = 255
STATE_LENGTH_MAX: Final = 1024

SCOPES: Final = ("openid", "name", "address", "birthdate", "gender", "sign")
"""Scopes the provider publishes."""

ATTRIBUTE_SCOPES: Final = ("name", "address", "birthdate", "gender")
"""Scopes for which userinfo has a claim of the same name."""

AUTHENTICATION_CONTEXTS: Final = ("aal3", "crl")
"""Values of ``acr_values``."""

_PRINTABLE: Final = re.compile(r"[\x20-\x7e]+")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_METHODS: Final = ("S256",)


class OidcFault(StrEnum):
    """Error codes of OAuth 2.0 (RFC 6749) and OpenID Connect that the provider answers with."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - an error code, no secret
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    ACCESS_DENIED = "access_denied"


class RefusedByProvider(InvalidInput):
    """The provider answers with an error of the protocol."""

    code = "sim.oidc_refused"

    def __init__(self, fault: OidcFault, description: str) -> None:
        """Hold the protocol's error and what a developer is told."""
        super().__init__(f"simulated provider: {fault}: {description}", fault=fault.value)
        self.fault = fault
        self.description = description


class UnknownClient(InvalidInput):
    """The client, or the address it wants the browser sent to, is not registered."""

    code = "sim.oidc_unknown_client"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredClient:
    """A relying party, registered beforehand with its keys and addresses."""

    id: str
    """Its ``client_id``."""
    name: str
    """Shown to the holder."""
    redirect_uris: tuple[str, ...]
    """Compared whole, character by character."""
    keys: tuple[Key, ...]
    """Public keys of its assertions; P-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request in form."""

    client: RegisteredClient
    """Who asks."""
    redirect_uri: str
    """Where the browser goes next."""
    scopes: tuple[str, ...]
    """What is asked for, ``openid`` among it."""
    state: str = field(repr=False)
    """Returned as it is."""
    nonce: str = field(repr=False)
    """Repeated in the ID token."""
    challenge: str = field(repr=False)
    """SHA-256 of the verifier that the token request will show."""
    contexts: tuple[str, ...]
    """Values of ``acr_values``."""


def find_client(
    parameters: Mapping[str, str], clients: Mapping[str, RegisteredClient]
) -> tuple[RegisteredClient, str]:
    """Return who asks, and the address of its own that it named.

    Raises:
        UnknownClient: One of them is not registered; the browser is sent nowhere.
    """
    client = clients.get(parameters.get("client_id", ""))
    redirect_uri = parameters.get("redirect_uri", "")
    if client is None or redirect_uri not in client.redirect_uris:
        raise UnknownClient("simulated provider: client or redirect_uri is not registered")
    return client, redirect_uri


def parse_authorization_request(
    parameters: Mapping[str, str], client: RegisteredClient, redirect_uri: str
) -> AuthorizationRequest:
    """Return the request, if it has everything that the provider requires.

    Raises:
        RefusedByProvider: A parameter is missing or not as published.
    """
    if parameters.get("response_type") != "code":
        raise RefusedByProvider(OidcFault.UNSUPPORTED_RESPONSE_TYPE, "response_type is code")
    state = _text(parameters, "state", STATE_LENGTH_MAX)
    nonce = _text(parameters, "nonce", NONCE_LENGTH_MAX)
    if parameters.get("code_challenge_method") not in _METHODS:
        raise RefusedByProvider(OidcFault.INVALID_REQUEST, "code_challenge_method is S256")
    challenge = parameters.get("code_challenge", "")
    if _CHALLENGE.fullmatch(challenge) is None:
        raise RefusedByProvider(OidcFault.INVALID_REQUEST, "code_challenge has 43 characters")
    contexts = tuple(parameters.get("acr_values", "").split())
    if not set(contexts) <= set(AUTHENTICATION_CONTEXTS):
        raise RefusedByProvider(OidcFault.INVALID_REQUEST, "acr_values are aal3 and crl")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        scopes=_scopes(parameters),
        state=state,
        nonce=nonce,
        challenge=challenge,
        contexts=contexts,
    )


def _scopes(parameters: Mapping[str, str]) -> tuple[str, ...]:
    scopes = tuple(parameters.get("scope", "").split())
    if "openid" not in scopes or not set(scopes) <= set(SCOPES):
        raise RefusedByProvider(OidcFault.INVALID_SCOPE, "openid, and only scopes published")
    if "sign" in scopes:
        raise RefusedByProvider(OidcFault.INVALID_SCOPE, "signing is not simulated")
    return scopes


def _text(parameters: Mapping[str, str], name: str, length_max: int) -> str:
    value = parameters.get(name, "")
    if len(value) > length_max or _PRINTABLE.fullmatch(value) is None:
        raise RefusedByProvider(
            OidcFault.INVALID_REQUEST, f"{name} has 1 to {length_max} printable ASCII characters"
        )
    return value
