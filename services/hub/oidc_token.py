"""What an OpenID provider answers, and whether it is to be believed.

An ID token is taken when the provider's key signed it by ES256, for this client, now, with the
nonce of this very log-in. Everything is checked here by hand and in one place; the library verifies
the signature alone. Pure: keys and time arrive as arguments.

Spec: ID-OIDC-TOKEN.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.json_text import decode_json
from services.hub.oidc_request import OidcProvider
from services.kit.keys import Key

TOKEN_CHARACTERS_MAX: Final = 8_192
SKEW: Final = timedelta(seconds=60)
"""How far the provider's clock and ours may differ."""

LIFETIME_MAX: Final = timedelta(hours=1)
"""Longest time between an ID token's ``iat`` and ``exp``."""

_SUBJECT: Final = re.compile(r"[\x21-\x7e]{1,255}")


class IdTokenFault(StrEnum):
    """What is wrong with an ID token."""

    FORM = "form"
    """Not three parts of base64url and JSON, or too long."""
    ALGORITHM = "algorithm"
    """Not ES256, or with an extension that must be understood."""
    KEY = "key"
    """Signed by a key the provider does not publish."""
    SIGNATURE = "signature"
    """Not signed by that key."""
    ISSUER = "issuer"
    """Another provider's."""
    AUDIENCE = "audience"
    """Made for another client."""
    EXPIRED = "expired"
    """Its time is over."""
    TIMES = "times"
    """From the future, or made to live too long, or of a log-in before this one."""
    NONCE = "nonce"
    """Of another log-in."""
    SUBJECT = "subject"
    """It names nobody."""


class IdTokenRefused(InvalidInput):
    """The ID token is not one for this log-in."""

    code = "federation.id_token"

    def __init__(self, fault: IdTokenFault) -> None:
        """Hold what is wrong, for the log; callers are not told."""
        super().__init__(f"ID token: {fault}", rule="ID-OIDC-TOKEN", fault=fault.value)
        self.fault = fault


class MalformedAnswer(InvalidInput):
    """The provider answers with something that is not of the protocol."""

    code = "federation.oidc_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What the token endpoint gave."""

    id_token: str = field(repr=False)
    """Nothing in it is checked yet."""
    access_token: str = field(repr=False)
    """Opens userinfo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLogin:
    """Who logged in, as the provider vouches."""

    issuer: str
    """The provider."""
    subject: str = field(repr=False)
    """Its name of the person for this client alone; never leaves the hub."""
    nonce: str = field(repr=False)
    """The commitment the provider signed."""
    logged_in_at: datetime
    """When."""
    evidence: bytes = field(repr=False)
    """The ID token, as the provider signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedLogin:
    """What this log-in began with."""

    nonce: str = field(repr=False)
    """Sent with the request."""
    started_at: datetime
    """When."""


def decode_token_answer(data: bytes) -> TokenAnswer:
    """Read the token endpoint's answer.

    Raises:
        MalformedAnswer: It has no ID token, or is of another type.
    """
    record = _object(data)
    values = record.get("id_token"), record.get("access_token")
    if str(record.get("token_type")).lower() != "bearer" or not all(map(_is_token, values)):
        raise MalformedAnswer("oidc: the token endpoint gives no ID token", rule="ID-OIDC-TOKEN")
    return TokenAnswer(id_token=str(values[0]), access_token=str(values[1]))


def find_key_id(id_token: str) -> str:
    """Return which of the provider's keys an ID token names.

    Raises:
        IdTokenRefused: It names none, or is no token signed by ES256.

    Spec: ID-OIDC-TOKEN.
    """
    header = _part(id_token, 0)
    if header.get("alg") != "ES256" or "crit" in header or header.get("typ", "JWT") != "JWT":
        raise IdTokenRefused(IdTokenFault.ALGORITHM)
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= 255:
        raise IdTokenRefused(IdTokenFault.KEY)
    return kid


def check_id_token(
    id_token: str,
    *,
    key: Key | None,
    provider: OidcProvider,
    expected: ExpectedLogin,
    now: datetime,
) -> ProviderLogin:
    """Return who logged in.

    Args:
        id_token: As the token endpoint gave it.
        key: The key it names; None when the provider publishes no such key.
        provider: Who must have made it.
        expected: What this log-in began with.
        now: The present.

    Raises:
        IdTokenRefused: It is not for this log-in.

    Spec: ID-OIDC-TOKEN.
    """
    find_key_id(id_token)
    if not isinstance(key, ECKey):
        raise IdTokenRefused(IdTokenFault.KEY)
    try:
        jwt.decode(id_token, key, algorithms=["ES256"])
    except (JoseError, ValueError, TypeError) as error:
        raise IdTokenRefused(IdTokenFault.SIGNATURE) from error
    claims = _part(id_token, 1)
    if claims.get("iss") != provider.issuer:
        raise IdTokenRefused(IdTokenFault.ISSUER)
    if claims.get("aud") not in (provider.client_id, [provider.client_id]):
        raise IdTokenRefused(IdTokenFault.AUDIENCE)
    if claims.get("azp", provider.client_id) != provider.client_id:
        raise IdTokenRefused(IdTokenFault.AUDIENCE)
    logged_in_at = _check_times(claims, expected, now)
    nonce, subject = claims.get("nonce"), claims.get("sub")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(), expected.nonce.encode()
    ):
        raise IdTokenRefused(IdTokenFault.NONCE)
    if not isinstance(subject, str) or _SUBJECT.fullmatch(subject) is None:
        raise IdTokenRefused(IdTokenFault.SUBJECT)
    return ProviderLogin(
        issuer=provider.issuer,
        subject=subject,
        nonce=nonce,
        logged_in_at=logged_in_at,
        evidence=id_token.encode(),
    )


def check_same_subject(login: ProviderLogin, userinfo: bytes) -> Mapping[str, Any]:
    """Return the claims of userinfo, if they are of the person of the ID token.

    Raises:
        IdTokenRefused: They are somebody else's (OpenID Connect Core §5.3.2).
        MalformedAnswer: It is no JSON object.

    Spec: ID-OIDC-TOKEN.
    """
    claims = _object(userinfo)
    if claims.get("sub") != login.subject:
        raise IdTokenRefused(IdTokenFault.SUBJECT)
    return claims


def _check_times(claims: Mapping[str, Any], expected: ExpectedLogin, now: datetime) -> datetime:
    """Return when the holder logged in, which was in the course of this log-in."""
    issued_at, expires_at = _instant(claims, "iat"), _instant(claims, "exp")
    if expires_at <= now - SKEW:
        raise IdTokenRefused(IdTokenFault.EXPIRED)
    logged_in_at = _instant(claims, "auth_time") if "auth_time" in claims else issued_at
    earliest = min(issued_at, logged_in_at)
    if not expected.started_at - SKEW <= earliest or issued_at > now + SKEW:
        raise IdTokenRefused(IdTokenFault.TIMES)
    if not timedelta(0) < expires_at - issued_at <= LIFETIME_MAX or logged_in_at > now + SKEW:
        raise IdTokenRefused(IdTokenFault.TIMES)
    return logged_in_at


def _instant(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < 2**34:
        raise IdTokenRefused(IdTokenFault.TIMES)
    return datetime.fromtimestamp(value, UTC)


def _part(token: str, at: int) -> Mapping[str, Any]:
    if len(token) > TOKEN_CHARACTERS_MAX or token.count(".") != 2:
        raise IdTokenRefused(IdTokenFault.FORM)
    part = token.split(".")[at]
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        found = decode_json(data)
    except (binascii.Error, ValueError, MalformedMessage) as error:
        raise IdTokenRefused(IdTokenFault.FORM) from error
    if not isinstance(found, dict):
        raise IdTokenRefused(IdTokenFault.FORM)
    return found


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        found = decode_json(data)
    except MalformedMessage as error:
        raise MalformedAnswer("oidc: the provider answers no JSON") from error
    if not isinstance(found, dict):
        raise MalformedAnswer("oidc: the provider answers no object")
    return found


def _is_token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TOKEN_CHARACTERS_MAX
