"""Reading tokens: from an ``Authorization`` header to a caller, or a refusal that names the fault.

Three types, told apart by ``typ`` so that none passes for another. A resident's (``at+jwt``, signed
by an issuer we list) lives ten minutes at most and is bound to a key of the device, of which each
request carries proof (RFC 9449). A staff member's (``staff+jwt``) is signed by the key the staff
table registers, from which the roles come. A service's (``service+jwt``) lives a minute and is
taken once. All name this service as their audience. Only ES256 and Ed25519 are taken.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import JoseError

from node.primitives.errors import MalformedMessage
from node.primitives.json_text import decode_json
from services.kit.auth import (
    LEVEL_MAX,
    Anyone,
    AuthenticationRefused,
    Caller,
    Partner,
    Resident,
    Staff,
    TenantId,
)
from services.kit.keys import ALGORITHMS, Key, UnusableKey, algorithm_of, parse_key
from services.kit.replays import ReplayMemory
from services.kit.staff import StaffTable

RESIDENT_TYPE: Final = "at+jwt"
STAFF_TYPE: Final = "staff+jwt"
SERVICE_TYPE: Final = "service+jwt"
PROOF_TYPE: Final = "dpop+jwt"

LIFETIMES_S: Final = {RESIDENT_TYPE: 600, STAFF_TYPE: 600, SERVICE_TYPE: 60}
"""Longest time between a token's ``iat`` and ``exp``."""

PROOF_LIFETIME_S: Final = 60
"""How old a sender's proof may be."""

SKEW_S: Final = 30
"""How far clocks may differ."""

TOKEN_CHARACTERS_MAX: Final = 4_096
PURPOSES_MAX: Final = 32
TEXT_MAX: Final = 200
"""Longest claim that is a text."""


class TokenFault(StrEnum):
    """What is wrong with a token or a sender's proof."""

    FORM = "form"
    """Not three parts of base64url and JSON, or too long."""
    TYPE = "type"
    """Not a type that this service takes."""
    ALGORITHM = "algorithm"
    """Not ES256 or Ed25519, or not the key's."""
    ISSUER = "issuer"
    """Nobody this service believes."""
    KEY = "key"
    """Signed by a key that the issuer does not have."""
    SIGNATURE = "signature"
    """Not signed by that key."""
    AUDIENCE = "audience"
    """Made for another service."""
    NOT_YET = "not_yet"
    """From the future."""
    LIFETIME = "lifetime"
    """Made to live longer than its type may."""
    CLAIMS = "claims"
    """A claim is missing or of the wrong form."""
    TENANT = "tenant"
    """The issuer may not speak for that municipality."""
    REPLAYED = "replayed"
    """Shown before."""
    MISSING = "missing"
    """No proof, where the token is bound to a key."""
    UNBOUND = "unbound"
    """The token is bound to no key, and must be."""
    REQUEST = "request"
    """The proof is for another request or token."""
    STALE = "stale"
    """The proof is too old."""


class TokenInvalid(AuthenticationRefused):
    """The token is not one this service takes."""

    code = "auth.token_invalid"

    def __init__(self, fault: TokenFault) -> None:
        """Hold what is wrong, for the log; the caller is not told."""
        super().__init__(f"token: {fault}", fault=fault)
        self.fault = fault


class TokenExpired(AuthenticationRefused):
    """The token's time is over."""

    code = "auth.token_expired"


class ProofInvalid(AuthenticationRefused):
    """The caller does not prove to hold the key its token is bound to."""

    code = "auth.proof_invalid"

    def __init__(self, fault: TokenFault) -> None:
        """Hold what is wrong, for the log; the caller is not told."""
        super().__init__(f"sender's proof: {fault}", fault=fault)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingRequest:
    """What of a request decides who its caller is."""

    method: str
    """HTTP method."""
    path: str
    """Path without query, as it was sent."""
    authorization: str | None
    """``Authorization`` header."""
    proof: str | None
    """``DPoP`` header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An issuer of residents' tokens."""

    name: str
    """Its ``iss``."""
    tenants: frozenset[TenantId]
    """Municipalities it may speak for."""
    find_key: Callable[[str], Awaitable[Key | None]]
    """Its public key of a given ``kid``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedPartner:
    """A service that may call this one."""

    name: str
    """Its ``iss``."""
    key: Key
    """Its public key."""
    tenants: frozenset[TenantId]
    """Municipalities it may act for."""
    purposes: frozenset[str]
    """What it may call for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom a service believes; the sum of its ``[kit.auth]`` settings."""

    audience: str
    """This service's name in tokens."""
    public_url: str
    """Scheme and host that sender proofs must name."""
    issuers: Mapping[str, Issuer]
    """By ``iss``."""
    staff: StaffTable
    """Staff and their keys."""
    partners: Mapping[str, TrustedPartner]
    """By ``iss``."""
    is_sender_constrained: bool = True
    """Take residents' tokens only when bound to a key."""
    replays: ReplayMemory = field(default_factory=ReplayMemory)
    """Identifiers of proofs and of services' tokens already shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    """A token taken apart, nothing verified."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]


async def identify(request: IncomingRequest, trust: Trust, now: datetime) -> Caller:
    """Return who sent ``request``; ``Anyone`` when it carries no token.

    Raises:
        AuthenticationRefused: It carries a token that cannot be taken.
    """
    if request.authorization is None:
        return Anyone()
    scheme, _, text = request.authorization.partition(" ")
    if scheme.lower() not in ("bearer", "dpop"):
        raise TokenInvalid(TokenFault.FORM)
    token = _take_apart(text.strip())
    match token.header.get("typ"):
        case "at+jwt":
            return await _identify_resident(token, request, trust, now)
        case "staff+jwt":
            return _identify_staff(token, trust, now)
        case "service+jwt":
            return _identify_partner(token, trust, now)
        case _:
            raise TokenInvalid(TokenFault.TYPE)


async def _identify_resident(
    token: _Token, request: IncomingRequest, trust: Trust, now: datetime
) -> Resident:
    issuer = trust.issuers.get(_text(token, "iss"))
    if issuer is None:
        raise TokenInvalid(TokenFault.ISSUER)
    kid = token.header.get("kid")
    key = await issuer.find_key(kid) if isinstance(kid, str) and len(kid) <= TEXT_MAX else None
    if key is None:
        raise TokenInvalid(TokenFault.KEY)
    _check_signature(token, key)
    _check_common(token, trust, RESIDENT_TYPE, now)
    tenant = TenantId(_text(token, "tenant"))
    if tenant not in issuer.tenants:
        raise TokenInvalid(TokenFault.TENANT)
    delegate, place = _delegation(token)
    return Resident(
        subject=_text(token, "sub"),
        tenant=tenant,
        purposes=_purposes(token),
        proofing_level=_level(token, "proofing_level"),
        authentication_level=_level(token, "authentication_level"),
        device=_check_sender(token, request, trust, now),
        delegate=delegate,
        place=place,
    )


def _identify_staff(token: _Token, trust: Trust, now: datetime) -> Staff:
    member = trust.staff.find(_text(token, "iss"))
    if member is None or member.valid_until <= now:
        raise TokenInvalid(TokenFault.ISSUER)
    _check_signature(token, member.key)
    _check_common(token, trust, STAFF_TYPE, now)
    if _text(token, "tenant") != member.tenant:
        raise TokenInvalid(TokenFault.TENANT)
    return Staff(
        subject=member.id,
        tenant=member.tenant,
        roles=member.roles,
        authentication_level=member.authentication_level,
    )


def _identify_partner(token: _Token, trust: Trust, now: datetime) -> Partner:
    partner = trust.partners.get(_text(token, "iss"))
    if partner is None:
        raise TokenInvalid(TokenFault.ISSUER)
    _check_signature(token, partner.key)
    _check_common(token, trust, SERVICE_TYPE, now)
    tenant = TenantId(_text(token, "tenant"))
    if tenant not in partner.tenants:
        raise TokenInvalid(TokenFault.TENANT)
    lifetime = timedelta(seconds=LIFETIMES_S[SERVICE_TYPE] + 2 * SKEW_S)
    shown = f"{partner.name} {_text(token, 'jti')}"
    if not trust.replays.remember(shown, now=now, until=now + lifetime):
        raise TokenInvalid(TokenFault.REPLAYED)
    return Partner(name=partner.name, tenant=tenant, purposes=partner.purposes)


def sign_service_token(
    key: Key, *, name: str, audience: str, tenant: TenantId, now: datetime
) -> str:
    """Make the token with which the service ``name`` makes one call of ``audience``.

    A token is taken once: make one for each request.
    """
    issued_s = int(now.timestamp())
    claims = {
        "iss": name,
        "aud": audience,
        "tenant": tenant,
        "iat": issued_s,
        "exp": issued_s + LIFETIMES_S[SERVICE_TYPE],
        "jti": secrets.token_hex(16),
    }
    algorithm = algorithm_of(key)
    header = {"alg": algorithm, "typ": SERVICE_TYPE}
    return jwt.encode(header, claims, key, algorithms=[algorithm])


def sign_staff_token(
    key: Key, *, member: str, audience: str, tenant: TenantId, now: datetime
) -> str:
    """Make the token with which a member of staff calls ``audience`` for ten minutes at most."""
    issued_s = int(now.timestamp())
    claims = {
        "iss": member,
        "aud": audience,
        "tenant": tenant,
        "iat": issued_s,
        "exp": issued_s + LIFETIMES_S[STAFF_TYPE],
    }
    algorithm = algorithm_of(key)
    return jwt.encode({"alg": algorithm, "typ": STAFF_TYPE}, claims, key, algorithms=[algorithm])


def _take_apart(text: str) -> _Token:
    if len(text) > TOKEN_CHARACTERS_MAX or text.count(".") != 2:
        raise TokenInvalid(TokenFault.FORM)
    header, claims, _ = text.split(".")
    return _Token(text=text, header=_json_part(header), claims=_json_part(claims))


def _json_part(part: str) -> dict[str, Any]:
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        found = decode_json(data)
    except (binascii.Error, ValueError, MalformedMessage) as error:
        raise TokenInvalid(TokenFault.FORM) from error
    if not isinstance(found, dict):
        raise TokenInvalid(TokenFault.FORM)
    return found


def _check_signature(token: _Token, key: Key) -> None:
    algorithm = token.header.get("alg")
    if algorithm not in ALGORITHMS or algorithm != algorithm_of(key) or "crit" in token.header:
        raise TokenInvalid(TokenFault.ALGORITHM)
    try:
        jwt.decode(token.text, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError) as error:
        raise TokenInvalid(TokenFault.SIGNATURE) from error


def _check_common(token: _Token, trust: Trust, kind: str, now: datetime) -> None:
    """Check audience and times, which every type of token has."""
    audience = token.claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if trust.audience not in audiences or len(audiences) > 1:
        raise TokenInvalid(TokenFault.AUDIENCE)
    issued_s, expires_s = _seconds(token, "iat"), _seconds(token, "exp")
    now_s = int(now.timestamp())
    if not 0 < expires_s - issued_s <= LIFETIMES_S[kind]:
        raise TokenInvalid(TokenFault.LIFETIME)
    if issued_s > now_s + SKEW_S:
        raise TokenInvalid(TokenFault.NOT_YET)
    if expires_s <= now_s - SKEW_S:
        raise TokenExpired("the token's time is over")


def _check_sender(
    token: _Token, request: IncomingRequest, trust: Trust, now: datetime
) -> str | None:
    """Check that the sender holds the key its token is bound to; return the key's thumbprint."""
    binding = token.claims.get("cnf")
    if binding is None:
        if trust.is_sender_constrained:
            raise ProofInvalid(TokenFault.UNBOUND)
        return None
    thumbprint = binding.get("jkt") if isinstance(binding, dict) else None
    if not isinstance(thumbprint, str):
        raise TokenInvalid(TokenFault.CLAIMS)
    if request.proof is None:
        raise ProofInvalid(TokenFault.MISSING)
    try:
        _check_proof(_take_apart(request.proof), thumbprint, token, request, trust, now)
    except TokenInvalid as error:
        raise ProofInvalid(error.fault) from error
    return thumbprint


def _check_proof(
    proof: _Token,
    thumbprint: str,
    token: _Token,
    request: IncomingRequest,
    trust: Trust,
    now: datetime,
) -> None:
    if proof.header.get("typ") != PROOF_TYPE:
        raise TokenInvalid(TokenFault.TYPE)
    try:
        key = parse_key(proof.header.get("jwk"))
    except UnusableKey as error:
        raise TokenInvalid(TokenFault.KEY) from error
    if key.is_private or not hmac.compare_digest(key.thumbprint(), thumbprint):
        raise TokenInvalid(TokenFault.KEY)
    _check_signature(proof, key)
    age_s = int(now.timestamp()) - _seconds(proof, "iat")
    if not -SKEW_S <= age_s <= PROOF_LIFETIME_S:
        raise TokenInvalid(TokenFault.STALE)
    digest = hashlib.sha256(token.text.encode()).digest()
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if (
        _text(proof, "htm") != request.method
        or not _is_address(_text(proof, "htu"), request.path, trust.public_url)
        or not hmac.compare_digest(_text(proof, "ath").encode(), expected.encode())
    ):
        raise TokenInvalid(TokenFault.REQUEST)
    until = now + timedelta(seconds=PROOF_LIFETIME_S + 2 * SKEW_S)
    if not trust.replays.remember(f"{thumbprint} {_text(proof, 'jti')}", now=now, until=until):
        raise TokenInvalid(TokenFault.REPLAYED)


def _is_address(address: str, path: str, public_url: str) -> bool:
    """Tell whether a proof's ``htu`` is this request's address; query and fragment do not count."""
    try:
        named, ours = urlsplit(address), urlsplit(public_url)
    except ValueError:
        return False
    prefix = ours.path.rstrip("/")
    return (named.scheme, named.netloc.lower(), named.path) == (
        ours.scheme,
        ours.netloc.lower(),
        prefix + path,
    )


def _text(token: _Token, name: str) -> str:
    value = token.claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX:
        raise TokenInvalid(TokenFault.CLAIMS)
    return value


def _delegation(token: _Token) -> tuple[str | None, str | None]:
    """Return who acts for the person (RFC 8693 ``act``), and where; None and None for nobody."""
    actor = token.claims.get("act")
    if actor is None:
        if "place" in token.claims:
            raise TokenInvalid(TokenFault.CLAIMS)
        return None, None
    subject = actor.get("sub") if isinstance(actor, dict) and len(actor) == 1 else None
    if not isinstance(subject, str) or not 0 < len(subject) <= TEXT_MAX:
        raise TokenInvalid(TokenFault.CLAIMS)
    return subject, _text(token, "place") if "place" in token.claims else None


def _seconds(token: _Token, name: str) -> int:
    value = token.claims.get(name)
    if type(value) is not int or not 0 <= value < 2**40:
        raise TokenInvalid(TokenFault.CLAIMS)
    return value


def _level(token: _Token, name: str) -> int:
    value = token.claims.get(name)
    if type(value) is not int or not 0 <= value <= LEVEL_MAX:
        raise TokenInvalid(TokenFault.CLAIMS)
    return value


def _purposes(token: _Token) -> frozenset[str]:
    scope = token.claims.get("scope")
    if not isinstance(scope, str) or scope.count(" ") >= PURPOSES_MAX:
        raise TokenInvalid(TokenFault.CLAIMS)
    return frozenset(scope.split())
