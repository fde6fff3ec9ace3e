"""The provider itself: log-ins that wait for a card, codes, tokens, and what becomes of them.

The rules are those published: authorization code only, PKCE with S256, ``private_key_jwt`` whose
audience is the token endpoint, ID tokens signed with ES256, another subject for each client. A code
is taken once; shown again, it also ends what it was exchanged for (RFC 6749 §4.1.2). A refresh
token is replaced at each use. Everything is in memory and bounded.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.revocation import RevocationMethod
from clients.identity.verifier import CardEvidence, CertificateVerifier
from node.primitives.errors import InvalidInput, MalformedMessage, Unavailable
from services.kit.clock import Clock
from services.kit.keys import Key, public_document
from services.sim.oidc.requests import (
    ATTRIBUTE_SCOPES,
    AuthorizationRequest,
    OidcFault,
    RefusedByProvider,
    RegisteredClient,
    find_client,
    parse_authorization_request,
)

ISSUER_PATH: Final = "/api/realms/main"
PROTOCOL_PATH: Final = ISSUER_PATH + "/protocol/openid-connect"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

LOGIN_LIFETIME: Final = timedelta(minutes=5)
CODE_LIFETIME: Final = timedelta(minutes=1)
TOKEN_LIFETIME: Final = timedelta(minutes=5)
REFRESH_LIFETIME: Final = timedelta(minutes=30)
ASSERTION_LIFETIME_MAX: Final = timedelta(hours=1)
SKEW: Final = timedelta(seconds=30)
HELD_MAX: Final = 10_000
"""Log-ins, codes and tokens held at once, of each."""

_FORM_LENGTH_MAX: Final = 8_192


class UnknownLogin(InvalidInput):
    """The app answers a log-in that nobody began, that is over, or that was answered."""

    code = "sim.oidc_unknown_login"


class CardNotAccepted(InvalidInput):
    """The card's signature or certificate does not hold."""

    code = "sim.oidc_card_refused"


class ProviderFull(Unavailable):
    """More is under way than the simulated provider holds."""

    code = "sim.oidc_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A log-in under way, from the relying party's request to the token's end."""

    request: AuthorizationRequest
    """What was asked."""
    until: datetime
    """When it is over."""
    subject: str = field(default="", repr=False)
    """Who logged in, as this client knows the person."""
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)
    """What the card said of the scopes asked for."""
    logged_in_at: datetime | None = None
    """When the card signed."""
    family: str = field(default="", repr=False)
    """Joins what came of one code, so that it ends together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSecrets:
    """What makes a provider this one."""

    signing_keys: tuple[ECKey, ...] = field(repr=False)
    """The first signs; all are published."""
    subject_key: bytes = field(repr=False)
    """Names of persons are made under it."""


def new_secrets() -> ProviderSecrets:
    """Draw the secrets of a new provider."""
    return ProviderSecrets(
        signing_keys=(ECKey.generate_key("P-256"),), subject_key=secrets.token_bytes(32)
    )


class Provider:
    """One provider with its clients."""

    def __init__(
        self,
        *,
        base_url: str,
        clients: tuple[RegisteredClient, ...],
        verifier: CertificateVerifier,
        clock: Clock,
        held_max: int = HELD_MAX,
    ) -> None:
        """Hold what it is; ``base_url`` has no path."""
        self.issuer = base_url + ISSUER_PATH
        self.token_endpoint = base_url + PROTOCOL_PATH + "/token"
        self.secrets = new_secrets()
        self._clients = {client.id: client for client in clients}
        self._verifier = verifier
        self._clock = clock
        self._held_max = held_max
        self._logins: dict[str, Login] = {}
        self._codes: dict[str, Login] = {}
        self._used_codes: dict[str, Login] = {}
        self._access: dict[str, Login] = {}
        self._refresh: dict[str, Login] = {}
        self._assertions: dict[str, datetime] = {}

    def rotate_keys(self, *, keeps_old: bool) -> None:
        """Sign with a new key from now on; publish the old ones still, or not."""
        old = self.secrets.signing_keys if keeps_old else ()
        keys = (ECKey.generate_key("P-256"), *old)
        self.secrets = replace(self.secrets, signing_keys=keys)

    def begin(self, parameters: Mapping[str, str]) -> tuple[str, str]:
        """Take an authorization request; return the log-in's name and the text for the card.

        Raises:
            UnknownClient: Nobody to send the browser back to.
            RefusedByProvider: Something is wrong; the client is to be told.
        """
        client, redirect_uri = find_client(parameters, self._clients)
        request = parse_authorization_request(parameters, client, redirect_uri)
        name = secrets.token_urlsafe(32)
        self._hold(self._logins, name, Login(request=request, until=self._in(LOGIN_LIFETIME)))
        return name, login_text(request, name)

    def refuse(self, parameters: Mapping[str, str], error: RefusedByProvider) -> str:
        """Return the address that tells a client what was wrong with its request."""
        _, redirect_uri = find_client(parameters, self._clients)
        told = {"error": error.fault.value, "error_description": error.description}
        return _with_query(redirect_uri, {**told, **_some_state(parameters), "iss": self.issuer})

    def deny(self, name: str) -> str:
        """Return where the browser goes when the holder says no."""
        request = self._take(self._logins, name, UnknownLogin("no such log-in")).request
        told = {"error": OidcFault.ACCESS_DENIED.value, "state": request.state, "iss": self.issuer}
        return _with_query(request.redirect_uri, told)

    async def approve(
        self, name: str, *, certificate: bytes, signature: bytes, claims: Mapping[str, object]
    ) -> str:
        """Let the holder of a card in; return where the browser goes, with the code.

        Args:
            name: The log-in.
            certificate: Authentication certificate of the card.
            signature: By the card, over the log-in's text.
            claims: What the app read off the card, for scopes that ask for it.

        Raises:
            UnknownLogin: No such log-in waits.
            CardNotAccepted: The card's word does not hold now.
        """
        login = self._take(self._logins, name, UnknownLogin("no such log-in"))
        request, now = login.request, self._clock.now()
        evidence = CardEvidence(
            certificate=certificate,
            message=login_text(request, name).encode(),
            signature=signature,
        )
        method = RevocationMethod.CRL if "crl" in request.contexts else RevocationMethod.OCSP
        found = await self._verifier.verify(
            evidence, kind=CertificateKind.AUTHENTICATION, method=method, now=now
        )
        if not found.passed or found.authority_key_hash is None:
            raise CardNotAccepted("simulated provider: the card's word does not hold")
        serial = decode_certificate(certificate).serial.to_bytes(20, "big")
        asked = {scope for scope in request.scopes if scope in ATTRIBUTE_SCOPES}
        code = secrets.token_urlsafe(32)
        logged_in = replace(
            login,
            until=self._in(CODE_LIFETIME),
            subject=self._subject(request.client, found.authority_key_hash + serial),
            claims={claim: value for claim, value in claims.items() if claim in asked},
            logged_in_at=now,
            family=secrets.token_hex(16),
        )
        self._hold(self._codes, code, logged_in)
        answer = {"code": code, "state": request.state, "iss": self.issuer}
        return _with_query(request.redirect_uri, answer)

    def answer_token_request(self, form: Mapping[str, str]) -> dict[str, object]:
        """Exchange a code or a refresh token, or give a client a token of its own.

        Raises:
            RefusedByProvider: With ``invalid_client`` when the client is not known by its key.
        """
        client = self._authenticate(form)
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchange_code(client, form)
            case "refresh_token":
                return self._renew(client, form)
            case "client_credentials":
                return {"access_token": secrets.token_urlsafe(32), **_bearer()}
            case _:
                raise RefusedByProvider(OidcFault.UNSUPPORTED_GRANT_TYPE, "grant_type")

    def answer_userinfo(self, token: str) -> dict[str, object]:
        """Return the claims that an access token opens.

        Raises:
            RefusedByProvider: The token is none, or is over.
        """
        login = self._access.get(token)
        if login is None or login.until <= self._clock.now():
            raise RefusedByProvider(OidcFault.INVALID_TOKEN, "unknown or over")
        return {"sub": login.subject, **login.claims}

    def key_set(self) -> dict[str, object]:
        """Return the public keys of ID tokens."""
        return {
            "keys": [{**public_document(key), "alg": "ES256"} for key in self.secrets.signing_keys]
        }

    def metadata(self) -> dict[str, object]:
        """Return the provider's description."""
        protocol = self.issuer + PROTOCOL_PATH.removeprefix(ISSUER_PATH)
        return {
            "issuer": self.issuer,
            "authorization_endpoint": protocol + "/auth",
            "token_endpoint": self.token_endpoint,
            "userinfo_endpoint": protocol + "/userinfo",
            "jwks_uri": protocol + "/certs",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def _authenticate(self, form: Mapping[str, str]) -> RegisteredClient:
        """Return the client whose key signed the assertion, once, for this endpoint."""
        refusal = RefusedByProvider(OidcFault.INVALID_CLIENT, "private_key_jwt")
        assertion = form.get("client_assertion", "")
        if form.get("client_assertion_type") != ASSERTION_TYPE or len(assertion) > _FORM_LENGTH_MAX:
            raise refusal
        for client in self._clients.values():
            for key in client.keys:
                claims = _claims_signed_by(assertion, key)
                if claims is not None:
                    self._check_assertion(claims, client, form, refusal)
                    return client
        raise refusal

    def _check_assertion(
        self,
        claims: Mapping[str, Any],
        client: RegisteredClient,
        form: Mapping[str, str],
        refusal: RefusedByProvider,
    ) -> None:
        now = self._clock.now()
        expires_s, name = claims.get("exp"), claims.get("jti")
        if not isinstance(expires_s, int) or not isinstance(name, str) or not 0 < len(name) <= 255:
            raise refusal
        named = (claims.get("iss"), claims.get("sub"), form.get("client_id", client.id))
        if named != (client.id,) * 3 or claims.get("aud") != self.token_endpoint:
            raise refusal
        lifetime = timedelta(seconds=expires_s) - timedelta(seconds=now.timestamp())
        if not -SKEW < lifetime <= ASSERTION_LIFETIME_MAX + SKEW:
            raise refusal
        self._assertions = {one: at for one, at in self._assertions.items() if at > now}
        shown = f"{client.id} {name}"
        if shown in self._assertions:
            raise refusal
        if len(self._assertions) >= self._held_max:
            raise ProviderFull("simulated provider: too many assertions")
        self._assertions[shown] = now + lifetime + 2 * SKEW

    def _exchange_code(
        self, client: RegisteredClient, form: Mapping[str, str]
    ) -> dict[str, object]:
        code = form.get("code", "")
        refusal = RefusedByProvider(OidcFault.INVALID_GRANT, "code")
        used = self._used_codes.get(code)
        if used is not None:
            self._end_family(used.family)
            raise refusal
        login = self._take(self._codes, code, refusal)
        request = login.request
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            request.client.id != client.id
            or form.get("redirect_uri") != request.redirect_uri
            or not hmac.compare_digest(_base64url(verifier), request.challenge)
        ):
            raise refusal
        self._hold(self._used_codes, code, replace(login, until=self._in(REFRESH_LIFETIME)))
        return {**self._new_tokens(login), "id_token": self._id_token(login)}

    def _renew(self, client: RegisteredClient, form: Mapping[str, str]) -> dict[str, object]:
        refusal = RefusedByProvider(OidcFault.INVALID_GRANT, "refresh_token")
        login = self._take(self._refresh, form.get("refresh_token", ""), refusal)
        if login.request.client.id != client.id:
            raise refusal
        return self._new_tokens(login)

    def _new_tokens(self, login: Login) -> dict[str, object]:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._hold(self._access, access, replace(login, until=self._in(TOKEN_LIFETIME)))
        self._hold(self._refresh, refresh, replace(login, until=self._in(REFRESH_LIFETIME)))
        return {"access_token": access, "refresh_token": refresh, **_bearer()}

    def _id_token(self, login: Login) -> str:
        key, now_s = self.secrets.signing_keys[0], int(self._clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": login.subject,
            "aud": login.request.client.id,
            "exp": now_s + int(TOKEN_LIFETIME.total_seconds()),
            "iat": now_s,
            "auth_time": now_s
            if login.logged_in_at is None
            else int(login.logged_in_at.timestamp()),
            "nonce": login.request.nonce,
            "acr": "aal3",
        }
        header = {"alg": "ES256", "typ": "JWT", "kid": key.thumbprint()}
        return jwt.encode(header, claims, key, algorithms=["ES256"])

    def _subject(self, client: RegisteredClient, person: bytes) -> str:
        """Return a name that this client alone knows the person by."""
        message = client.id.encode() + b"\x00" + person
        return _base64url(hmac.digest(self.secrets.subject_key, message, "sha256"))

    def _end_family(self, family: str) -> None:
        for held in (self._access, self._refresh):
            for name in [name for name, login in held.items() if login.family == family]:
                del held[name]

    def _hold(self, where: dict[str, Login], name: str, login: Login) -> None:
        now = self._clock.now()
        for over in [one for one, held in where.items() if held.until <= now]:
            del where[over]
        if len(where) >= self._held_max:
            raise ProviderFull(f"simulated provider: {self._held_max} under way")
        where[name] = login

    def _take(self, where: dict[str, Login], name: str, refusal: InvalidInput) -> Login:
        login = where.pop(name, None)
        if login is None or login.until <= self._clock.now():
            raise refusal
        return login

    def _in(self, lifetime: timedelta) -> datetime:
        return self._clock.now() + lifetime


def login_text(request: AuthorizationRequest, name: str) -> str:
    """Return what the holder reads in the app, and the card signs.

    Its first line is no statement's of the identity service: neither passes for the other.
    """
    return (
        "SIMULATED DIGITAL AUTHENTICATION APP\n"
        f"ログイン先 / Log in to: {request.client.name} ({request.client.id})\n"
        f"渡す情報 / Hands over: {' '.join(request.scopes)}\n"
        f"確認番号 / Log-in: {name}"
    )


def _claims_signed_by(assertion: str, key: Key) -> Mapping[str, Any] | None:
    try:
        return jwt.decode(assertion, key, algorithms=["ES256"]).claims
    except (JoseError, ValueError, TypeError, MalformedMessage):
        return None


def _bearer() -> dict[str, object]:
    return {"token_type": "Bearer", "expires_in": int(TOKEN_LIFETIME.total_seconds())}


def _some_state(parameters: Mapping[str, str]) -> dict[str, str]:
    return {"state": parameters["state"]} if "state" in parameters else {}


def _with_query(address: str, parameters: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
