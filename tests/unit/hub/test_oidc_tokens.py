"""ID-OIDC-TOKEN, ID-OIDC-REQUEST: which ID tokens the hub takes, and what it sends."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

from services.hub.oidc_request import (
    NONCE,
    build_authorization_url,
    build_token_form,
    provider_at,
)
from services.hub.oidc_token import (
    TOKEN_CHARACTERS_MAX,
    ExpectedLogin,
    IdTokenFault,
    IdTokenRefused,
    MalformedAnswer,
    ProviderLogin,
    check_id_token,
    check_same_subject,
    decode_token_answer,
    find_key_id,
)
from services.kit.keys import Key, parse_key, public_document
from tests.support.identity import NOW

ISSUER = "https://auth.example/api/realms/main"
KEY = ECKey.generate_key("P-256")
PROVIDER = provider_at(
    ISSUER,
    name="digital-agency",
    client_id="hub",
    redirect_uri="https://hub.sakai.example/federation/digital-agency/callback",
    key=ECKey.generate_key("P-256"),
)
EXPECTED = ExpectedLogin(nonce="n" * 43, started_at=NOW - timedelta(minutes=2))
NOW_S = int(NOW.timestamp())
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "person-of-this-client",
    "aud": "hub",
    "iat": NOW_S,
    "exp": NOW_S + 300,
    "auth_time": NOW_S - 5,
    "nonce": "n" * 43,
    "acr": "aal3",
}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(record: dict[str, Any]) -> str:
    return base64url(json.dumps(record).encode())


def public(key: ECKey = KEY) -> Key:
    return parse_key(public_document(key))


def token(header: dict[str, Any] | None = None, **changed: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not ...}
    return jwt.encode({"alg": "ES256", "kid": "k1", **(header or {})}, claims, KEY)


def check(text: str, *, key: Key | None = None) -> ProviderLogin:
    return check_id_token(text, key=key or public(), provider=PROVIDER, expected=EXPECTED, now=NOW)


def fault_of(text: str, **named: Any) -> IdTokenFault:
    with pytest.raises(IdTokenRefused) as refusal:
        check(text, **named)
    return refusal.value.fault


def test_a_good_token_names_the_person() -> None:
    login = check(token())

    assert (login.issuer, login.subject, login.nonce) == (ISSUER, CLAIMS["sub"], "n" * 43)
    assert login.logged_in_at == NOW - timedelta(seconds=5)
    assert CLAIMS["sub"] not in repr(login)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        pytest.param({"iss": "https://evil.example"}, IdTokenFault.ISSUER, id="another issuer"),
        pytest.param({"iss": ISSUER + "/"}, IdTokenFault.ISSUER, id="issuer with a slash"),
        pytest.param({"iss": ...}, IdTokenFault.ISSUER, id="no issuer"),
        pytest.param({"aud": "library"}, IdTokenFault.AUDIENCE, id="another client"),
        pytest.param({"aud": ["hub", "library"]}, IdTokenFault.AUDIENCE, id="two clients"),
        pytest.param({"aud": ...}, IdTokenFault.AUDIENCE, id="no client"),
        pytest.param({"azp": "library"}, IdTokenFault.AUDIENCE, id="another party"),
        pytest.param({"exp": NOW_S - 60}, IdTokenFault.EXPIRED, id="over"),
        pytest.param({"exp": ...}, IdTokenFault.TIMES, id="no end"),
        pytest.param({"exp": "tomorrow"}, IdTokenFault.TIMES, id="end is no number"),
        pytest.param({"exp": NOW_S + 3601}, IdTokenFault.TIMES, id="lives too long"),
        pytest.param({"iat": NOW_S + 61, "auth_time": ...}, IdTokenFault.TIMES, id="of the future"),
        pytest.param({"iat": NOW_S - 181}, IdTokenFault.TIMES, id="before this log-in"),
        pytest.param({"auth_time": NOW_S - 181}, IdTokenFault.TIMES, id="an older log-in"),
        pytest.param({"auth_time": NOW_S + 61}, IdTokenFault.TIMES, id="a log-in to come"),
        pytest.param({"iat": True}, IdTokenFault.TIMES, id="a boolean for a time"),
        pytest.param({"nonce": "m" * 43}, IdTokenFault.NONCE, id="another nonce"),
        pytest.param({"nonce": ...}, IdTokenFault.NONCE, id="no nonce"),
        pytest.param({"nonce": "確"}, IdTokenFault.NONCE, id="nonce not ASCII"),
        pytest.param({"sub": ""}, IdTokenFault.SUBJECT, id="nobody"),
        pytest.param({"sub": "x" * 256}, IdTokenFault.SUBJECT, id="too long a name"),
        pytest.param({"sub": ["x"]}, IdTokenFault.SUBJECT, id="a list of names"),
    ],
)
def test_a_token_of_something_else_is_refused(changed: dict[str, Any], fault: IdTokenFault) -> None:
    assert fault_of(token(**changed)) is fault


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"iat": NOW_S - 90, "exp": NOW_S - 59}, id="just over by our clock"),
        pytest.param({"iat": NOW_S + 60, "auth_time": ...}, id="just ahead"),
        pytest.param({"auth_time": ...}, id="no time of log-in"),
        pytest.param({"aud": ["hub"]}, id="audience in a list"),
        pytest.param({"azp": "hub"}, id="authorized party"),
        pytest.param({"acr": ...}, id="no context"),
    ],
)
def test_what_the_standard_leaves_open_is_taken(changed: dict[str, Any]) -> None:
    assert check(token(**changed))


def test_a_strangers_signature_is_refused() -> None:
    assert fault_of(token(), key=public(ECKey.generate_key("P-256"))) is IdTokenFault.SIGNATURE


def test_a_changed_claim_breaks_the_signature() -> None:
    header, _, signature = token().split(".")
    forged = f"{header}.{part({**CLAIMS, 'sub': 'other'})}.{signature}"

    assert fault_of(forged) is IdTokenFault.SIGNATURE


def test_no_algorithm_is_no_signature() -> None:
    for name in ("none", "None", "NONE", ""):
        forged = f"{part({'alg': name, 'kid': 'k1'})}.{part(CLAIMS)}."
        assert fault_of(forged) is IdTokenFault.ALGORITHM


def test_the_public_key_is_no_shared_secret() -> None:
    signed = f"{part({'alg': 'HS256', 'kid': 'k1'})}.{part(CLAIMS)}"
    for secret in (KEY.as_pem(private=False), KEY.as_der(private=False)):
        mac = hmac.digest(secret, signed.encode(), "sha256")

        assert fault_of(f"{signed}.{base64url(mac)}") is IdTokenFault.ALGORITHM


def test_another_kind_of_key_is_refused() -> None:
    key = OKPKey.generate_key("Ed25519")
    signed = jwt.encode({"alg": "Ed25519", "kid": "k1"}, CLAIMS, key, algorithms=["Ed25519"])

    assert fault_of(signed) is IdTokenFault.ALGORITHM
    assert fault_of(token(), key=parse_key(public_document(key))) is IdTokenFault.KEY


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        pytest.param({"kid": 7}, IdTokenFault.KEY, id="name of a key is no text"),
        pytest.param({"kid": "x" * 256}, IdTokenFault.KEY, id="too long a name"),
        pytest.param({"typ": "at+jwt"}, IdTokenFault.ALGORITHM, id="an access token"),
    ],
)
def test_headers_out_of_form_are_refused(header: dict[str, Any], fault: IdTokenFault) -> None:
    body, signature = token().split(".")[1:]
    full = {"alg": "ES256", "kid": "k1", **header}

    assert fault_of(f"{part(full)}.{body}.{signature}") is fault


def test_a_key_in_the_header_is_not_looked_at() -> None:
    attacker = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "kid": "k1", "jwk": attacker.as_dict(private=False)}
    forged = jwt.encode(header, CLAIMS, attacker)

    assert fault_of(forged) is IdTokenFault.SIGNATURE


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1"))))
def test_no_text_is_more_than_a_refusal(text: str) -> None:
    for candidate in (text, f"{text}.{text}.{text}"):
        with pytest.raises(IdTokenRefused):
            find_key_id(candidate)


def test_a_token_too_long_is_refused_unread() -> None:
    assert fault_of("a" * (TOKEN_CHARACTERS_MAX + 1)) is IdTokenFault.FORM


def test_claims_of_somebody_else_are_refused() -> None:
    login = check(token())

    assert (
        check_same_subject(login, b'{"sub": "person-of-this-client", "name": "x"}')["name"] == "x"
    )
    with pytest.raises(IdTokenRefused):
        check_same_subject(login, b'{"sub": "another"}')
    with pytest.raises(MalformedAnswer):
        check_same_subject(login, b"[]")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"access_token": "a", "token_type": "Bearer"}', id="no ID token"),
        pytest.param(b'{"access_token": "a", "id_token": "b"}', id="no type"),
        pytest.param(b'{"access_token": "a", "id_token": 7, "token_type": "Bearer"}', id="number"),
        pytest.param(b'{"id_token": "b", "token_type": "Bearer"}', id="no access token"),
    ],
)
def test_an_answer_without_tokens_is_none(answer: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        decode_token_answer(answer)


def test_the_request_has_what_the_provider_requires() -> None:
    nonce = "n" * 43
    address = build_authorization_url(PROVIDER, state="s", nonce=nonce, verifier="v" * 64)

    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    challenge = hashlib.sha256(b"v" * 64).digest()
    assert address.startswith(ISSUER + "/protocol/openid-connect/auth?")
    assert NONCE.fullmatch(nonce)
    assert asked == {
        "response_type": "code",
        "client_id": "hub",
        "redirect_uri": PROVIDER.redirect_uri,
        "scope": "openid",
        "state": "s",
        "nonce": nonce,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "acr_values": "aal3 crl",
    }
    assert "v" * 64 not in address


def test_the_assertion_is_for_the_token_endpoint_alone() -> None:
    form = build_token_form(PROVIDER, code="c", verifier="v", assertion_id="once", now=NOW)

    read = jwt.decode(form["client_assertion"], PROVIDER.key, algorithms=["ES256"])
    assert read.claims == {
        "iss": "hub",
        "sub": "hub",
        "aud": PROVIDER.token_endpoint,
        "iat": NOW_S,
        "exp": NOW_S + 60,
        "jti": "once",
    }
    assert form["code_verifier"] == "v"
    assert "client_secret" not in form
