"""The simulated デジタル認証アプリ keeps its rules, and a card's key opens each log-in."""

import base64
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from clients.card.codes import CodeKind, parse_code
from clients.card.errors import CodeWrong
from clients.identity.certificate import CertificateKind
from clients.identity.revocation import RevocationReason
from services.sim.card.card import SimulatedCard
from services.sim.oidc.app import Holder, LoginRefused, decline
from services.sim.oidc.provider import Provider, ProviderFull
from services.sim.pki.profiles import SimulatedResident
from tests.support.cards import hierarchy
from tests.support.clock import FakeClock
from tests.support.identity import NOW
from tests.support.oidc import (
    HUB,
    OTHER,
    OTHER_REDIRECT_URI,
    REDIRECT_URI,
    RunningProvider,
    assertion_for,
    authorization_request,
    card_issued_at,
    holder_of,
    log_in_at,
    parameters_of,
    running_provider,
    token_request,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def running(clock: FakeClock) -> AsyncIterator[RunningProvider]:
    async with running_provider(clock) as one:
        yield one


@pytest.fixture(scope="module")
def card() -> SimulatedCard:
    return card_issued_at(NOW)


@pytest.fixture
def holder(card: SimulatedCard) -> Holder:
    return holder_of(card)


async def code_of(running: RunningProvider, holder: Holder, **changed: str | None) -> str:
    return (await log_in_at(running, holder, **changed))["code"]


async def test_a_card_logs_its_holder_in(running: RunningProvider, holder: Holder) -> None:
    back = await log_in_at(running, holder, acr_values="aal3 crl")
    status, answer = await running.ask_token(token_request(running, back["code"]))

    keys = KeySet.import_key_set(running.provider.key_set())  # type: ignore[arg-type]
    token = jwt.decode(answer["id_token"], keys, algorithms=["ES256"])
    assert (back["state"], back["iss"]) == ("the-state", running.url + "/api/realms/main")
    assert status == 200
    assert token.claims["iss"] == running.url + "/api/realms/main"
    assert (token.claims["aud"], token.claims["nonce"]) == (HUB, "the-nonce")
    assert token.claims["exp"] > NOW.timestamp()
    assert answer["token_type"] == "Bearer"


async def test_a_person_has_another_name_at_each_client(
    running: RunningProvider, holder: Holder
) -> None:
    async def subject(client: str, redirect_uri: str) -> str:
        code = await code_of(running, holder, client_id=client, redirect_uri=redirect_uri)
        form = token_request(
            running,
            code,
            client_id=client,
            redirect_uri=redirect_uri,
            client_assertion=assertion_for(running, client),
        )
        _, answer = await running.ask_token(form)
        _, told = await running.ask_userinfo(answer["access_token"])
        return str(told["sub"])

    first, again = [await subject(HUB, REDIRECT_URI) for _ in range(2)]
    elsewhere = await subject(OTHER, OTHER_REDIRECT_URI)

    assert first == again
    assert first != elsewhere


async def test_two_persons_have_two_names(running: RunningProvider, holder: Holder) -> None:
    other = holder_of(card_issued_at(NOW, SimulatedResident(name="台帳　太郎")))
    names = set()
    for person in (holder, other):
        _, answer = await running.ask_token(token_request(running, await code_of(running, person)))
        names.add((await running.ask_userinfo(answer["access_token"]))[1]["sub"])

    assert len(names) == 2


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        pytest.param("openid", set(), id="none"),
        pytest.param("openid name", {"name"}, id="one"),
        pytest.param(
            "openid name address birthdate gender",
            {"name", "address", "birthdate", "gender"},
            id="all four",
        ),
    ],
)
async def test_userinfo_tells_what_was_asked_for_and_no_more(
    running: RunningProvider, card: SimulatedCard, scope: str, expected: set[str]
) -> None:
    holder = holder_of(card, with_attributes=True)
    code = await code_of(running, holder, scope=scope)
    _, answer = await running.ask_token(token_request(running, code))

    status, told = await running.ask_userinfo(answer["access_token"])

    assert status == 200
    assert set(told) - {"sub"} == expected


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": "code id_token"}, "unsupported_response_type", id="hybrid"),
        pytest.param({"code_challenge": None}, "invalid_request", id="no PKCE"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain PKCE"),
        pytest.param({"code_challenge_method": None}, "invalid_request", id="PKCE by default"),
        pytest.param({"code_challenge": "x" * 42}, "invalid_request", id="short challenge"),
        pytest.param({"nonce": None}, "invalid_request", id="no nonce"),
        pytest.param({"nonce": "n" * 256}, "invalid_request", id="long nonce"),
        pytest.param({"nonce": "確認"}, "invalid_request", id="nonce not ASCII"),
        pytest.param({"nonce": "a\tb"}, "invalid_request", id="nonce not printable"),
        pytest.param({"state": None}, "invalid_request", id="no state"),
        pytest.param({"scope": "name"}, "invalid_scope", id="no openid"),
        pytest.param({"scope": "openid email"}, "invalid_scope", id="unknown scope"),
        pytest.param({"scope": "openid sign"}, "invalid_scope", id="signing"),
        pytest.param({"acr_values": "aal9"}, "invalid_request", id="unknown context"),
    ],
)
async def test_a_request_against_the_rules_goes_back_with_an_error(
    running: RunningProvider, holder: Holder, changed: dict[str, str | None], error: str
) -> None:
    back = await log_in_at(running, holder, **changed)

    assert back["error"] == error
    assert "code" not in back


@pytest.mark.parametrize("length", [1, 255])
async def test_nonces_of_every_length_allowed_are_taken(
    running: RunningProvider, holder: Holder, length: int
) -> None:
    assert "code" in await log_in_at(running, holder, nonce="~" * length)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"redirect_uri": "https://evil.example/"}, id="another address"),
        pytest.param({"redirect_uri": REDIRECT_URI + "/more"}, id="longer address"),
        pytest.param({"redirect_uri": REDIRECT_URI.upper()}, id="other spelling"),
        pytest.param({"redirect_uri": None}, id="no address"),
        pytest.param({"redirect_uri": OTHER_REDIRECT_URI}, id="another client's address"),
        pytest.param({"client_id": "nobody"}, id="unknown client"),
        pytest.param({"client_id": "nobody", "nonce": None}, id="unknown client, bad request"),
    ],
)
async def test_the_browser_is_never_sent_to_an_address_not_registered(
    running: RunningProvider, changed: dict[str, str | None]
) -> None:
    address = f"{running.address('auth')}?{urlencode(authorization_request(**changed))}"

    async with running.session.get(address, allow_redirects=False) as answered:
        assert answered.status == 400
        assert "Location" not in answered.headers


async def test_a_parameter_given_twice_is_refused(running: RunningProvider) -> None:
    query = urlencode(authorization_request()) + "&nonce=another"

    async with running.session.get(
        f"{running.address('auth')}?{query}", allow_redirects=False
    ) as answered:
        assert answered.status == 400


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"code_verifier": "w" * 43}, id="another verifier"),
        pytest.param({"code_verifier": None}, id="no verifier"),
        pytest.param({"redirect_uri": OTHER_REDIRECT_URI}, id="another address"),
        pytest.param({"redirect_uri": None}, id="no address"),
        pytest.param({"code": "invented"}, id="invented code"),
    ],
)
async def test_a_code_is_exchanged_only_as_it_was_asked_for(
    running: RunningProvider, holder: Holder, changed: dict[str, str | None]
) -> None:
    code = await code_of(running, holder)

    status, answer = await running.ask_token(token_request(running, code, **changed))

    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_a_code_of_one_client_is_nothing_to_another(
    running: RunningProvider, holder: Holder
) -> None:
    code = await code_of(running, holder)
    form = token_request(
        running, code, client_id=OTHER, client_assertion=assertion_for(running, OTHER)
    )

    status, answer = await running.ask_token(form)

    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_a_code_shown_twice_ends_what_came_of_it(
    running: RunningProvider, holder: Holder
) -> None:
    code = await code_of(running, holder)
    _, answer = await running.ask_token(token_request(running, code))

    status, again = await running.ask_token(token_request(running, code))

    assert (status, again["error"]) == (400, "invalid_grant")
    assert (await running.ask_userinfo(answer["access_token"]))[0] == 401


async def test_a_code_lives_a_minute(
    running: RunningProvider, holder: Holder, clock: FakeClock
) -> None:
    code = await code_of(running, holder)
    clock.move(60)

    status, answer = await running.ask_token(token_request(running, code))

    assert (status, answer["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": "http://127.0.0.1/api/realms/main"}, id="audience is the issuer"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"iss": OTHER}, id="another issuer"),
        pytest.param({"sub": OTHER}, id="another subject"),
        pytest.param({"exp": int(NOW.timestamp()) - 60}, id="over"),
        pytest.param({"exp": int(NOW.timestamp()) + 7200}, id="too long"),
        pytest.param({"exp": None}, id="no end"),
        pytest.param({"jti": None}, id="no name"),
    ],
)
async def test_an_assertion_against_the_rules_authenticates_nobody(
    running: RunningProvider, holder: Holder, claims: dict[str, object]
) -> None:
    code = await code_of(running, holder)
    form = token_request(running, code, client_assertion=assertion_for(running, HUB, **claims))

    status, answer = await running.ask_token(form)

    assert (status, answer["error"]) == (401, "invalid_client")


async def test_a_strangers_key_authenticates_nobody(
    running: RunningProvider, holder: Holder
) -> None:
    code = await code_of(running, holder)
    forged = assertion_for(running, HUB, key=ECKey.generate_key("P-256"))

    status, answer = await running.ask_token(token_request(running, code, client_assertion=forged))

    assert (status, answer["error"]) == (401, "invalid_client")


async def test_an_assertion_is_taken_once(running: RunningProvider, holder: Holder) -> None:
    assertion = assertion_for(running)
    first, second = [await code_of(running, holder) for _ in range(2)]
    await running.ask_token(token_request(running, first, client_assertion=assertion))

    status, answer = await running.ask_token(
        token_request(running, second, client_assertion=assertion)
    )

    assert (status, answer["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("method", ["client_secret", "nothing"])
async def test_secrets_authenticate_nobody(
    running: RunningProvider, holder: Holder, method: str
) -> None:
    code = await code_of(running, holder)
    form = token_request(running, code, client_assertion=None, client_assertion_type=None)
    if method == "client_secret":
        form["client_secret"] = "secret"

    assert (await running.ask_token(form))[0] == 401


async def test_a_refresh_token_is_replaced_at_each_use(
    running: RunningProvider, holder: Holder
) -> None:
    def form(token: object, client: str = HUB) -> dict[str, str]:
        return token_request(
            running,
            "",
            grant_type="refresh_token",
            refresh_token=str(token),
            client_id=client,
            client_assertion=assertion_for(running, client),
        )

    _, answer = await running.ask_token(token_request(running, await code_of(running, holder)))
    status, renewed = await running.ask_token(form(answer["refresh_token"]))
    again, _ = await running.ask_token(form(answer["refresh_token"]))
    stolen, _ = await running.ask_token(form(renewed["refresh_token"], OTHER))

    assert (status, again, stolen) == (200, 400, 400)
    assert (await running.ask_userinfo(renewed["access_token"]))[0] == 200
    assert "id_token" not in renewed


async def test_a_client_gets_a_token_of_its_own_that_opens_no_persons_claims(
    running: RunningProvider,
) -> None:
    status, answer = await running.ask_token(
        token_request(running, "", grant_type="client_credentials")
    )

    assert status == 200
    assert (await running.ask_userinfo(answer["access_token"]))[0] == 401


@pytest.mark.parametrize("grant", ["password", "implicit", ""])
async def test_other_grants_are_refused(running: RunningProvider, grant: str) -> None:
    status, answer = await running.ask_token(token_request(running, "", grant_type=grant))

    assert (status, answer["error"]) == (400, "unsupported_grant_type")


async def test_an_access_token_ends(
    running: RunningProvider, holder: Holder, clock: FakeClock
) -> None:
    _, answer = await running.ask_token(token_request(running, await code_of(running, holder)))
    clock.move(300)

    assert (await running.ask_userinfo(answer["access_token"]))[0] == 401


async def test_a_wrong_pin_logs_nobody_in(running: RunningProvider) -> None:
    card = card_issued_at(NOW)
    thief = Holder(card=holder_of(card).card, pin=parse_code(CodeKind.AUTHENTICATION, "9999"))

    with pytest.raises(CodeWrong):
        await log_in_at(running, thief)
    assert list(card.state.tries.values()) == [2]


async def test_a_revoked_card_logs_nobody_in(running: RunningProvider) -> None:
    card = card_issued_at(NOW)
    holder = holder_of(card)
    certificate = holder.card.read_certificate(CertificateKind.AUTHENTICATION)
    authority = hierarchy().authority(CertificateKind.AUTHENTICATION)
    authority.revoke(certificate.parsed, RevocationReason.KEY_COMPROMISED, at=NOW)

    with pytest.raises(LoginRefused):
        await log_in_at(running, holder)


async def test_a_signature_for_one_log_in_opens_no_other(
    running: RunningProvider, holder: Holder, card: SimulatedCard
) -> None:
    address = f"{running.address('auth')}?{urlencode(authorization_request())}"
    first = await open_login(running.session, address)
    second = await open_login(running.session, address)
    signed = holder.card.sign(CertificateKind.AUTHENTICATION, first[1].encode(), holder.pin)

    status = await present(running, second[0], signed.certificate.der, signed.signature)

    assert status == 403
    assert card.command_count > 0


async def test_a_holder_may_say_no(running: RunningProvider) -> None:
    address = f"{running.address('auth')}?{urlencode(authorization_request())}"

    back = parameters_of(await decline(running.session, address))

    assert (back["error"], back["state"]) == ("access_denied", "the-state")


async def test_an_answer_to_no_log_in_is_refused(running: RunningProvider) -> None:
    assert await present(running, "invented", b"\x30\x00", b"") == 400


async def test_logins_under_way_are_bounded_and_end() -> None:
    clock = FakeClock(NOW)
    async with running_provider(clock) as running:
        provider = Provider(
            base_url=running.url,
            clients=tuple(running.provider._clients.values()),
            verifier=running.provider._verifier,
            clock=clock,
            held_max=2,
        )
        for _ in range(2):
            provider.begin(authorization_request())
        with pytest.raises(ProviderFull):
            provider.begin(authorization_request())
        clock.move(301)
        assert provider.begin(authorization_request())


async def test_keys_rotate_and_old_ones_may_stay(running: RunningProvider) -> None:
    old = running.provider.key_set()["keys"]
    running.provider.rotate_keys(keeps_old=True)
    both = running.provider.key_set()["keys"]
    running.provider.rotate_keys(keeps_old=False)
    new = running.provider.key_set()["keys"]

    assert isinstance(old, list)
    assert isinstance(both, list)
    assert isinstance(new, list)
    assert (len(both), both[1:], len(new)) == (2, old, 1)
    assert all("d" not in key for key in both)


async def open_login(session: aiohttp.ClientSession, address: str) -> tuple[str, str]:
    async with session.get(address) as opened:
        return opened.headers["Simulated-Login"], await opened.text()


async def present(running: RunningProvider, name: str, certificate: bytes, signature: bytes) -> int:

    told = {
        "login": name,
        "certificate": base64.b64encode(certificate).decode(),
        "signature": base64.b64encode(signature).decode(),
    }
    address = running.url + "/api/realms/main/app"
    async with running.session.post(address, json=told, allow_redirects=False) as answered:
        return answered.status
