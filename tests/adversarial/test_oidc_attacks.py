"""ID-OIDC-STATE, ID-OIDC-CONFIRM, ID-OIDC-TOKEN, ID-COMMITMENT: attacks on a log-in at a provider.

Provider, hub and card run as in the field; the attacker holds whatever the name of the test says.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc.jwk import ECKey

from services.hub.oidc_request import provider_at
from services.sim.card.card import SimulatedCard
from services.sim.oidc.app import Holder
from tests.support.clock import FakeClock
from tests.support.federation import (
    PROVIDER,
    Device,
    RunningHub,
    provider_of,
    running_hub,
    ticket_of,
)
from tests.support.identity import NOW
from tests.support.oidc import RunningProvider, card_issued_at, holder_of, running_provider


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def running(clock: FakeClock) -> AsyncIterator[RunningProvider]:
    async with running_provider(clock) as one:
        yield one


@pytest.fixture
async def hub(running: RunningProvider, clock: FakeClock) -> AsyncIterator[RunningHub]:
    async with running_hub(running, clock) as one:
        yield one


@pytest.fixture(scope="module")
def card() -> SimulatedCard:
    return card_issued_at(NOW)


@pytest.fixture
def holder(card: SimulatedCard) -> Holder:
    return holder_of(card)


async def test_without_an_attacker_a_card_binds_a_device(hub: RunningHub, holder: Holder) -> None:
    device = Device.new()

    login = await hub.log_in(device, holder)
    status, answer = await hub.bind(login, device)

    assert (status, answer) == (201, {"device": "0x" + device.key.address.hex()})
    assert hub.binder.proven[0].commitment == device.commitment
    assert hub.binder.proven[0].label == "携帯"
    assert await hub.stage(login) == "bound"


async def test_the_same_person_is_the_same_at_the_next_log_in(
    hub: RunningHub, holder: Holder
) -> None:
    for _ in range(2):
        device = Device.new()
        await hub.bind(await hub.log_in(device, holder), device)

    first, second = hub.binder.proven
    assert first.login.subject == second.login.subject


async def test_a_code_brought_back_twice_is_refused(hub: RunningHub, holder: Holder) -> None:
    device = Device.new()
    _, started = await hub.start(device)
    back = await hub.browse(started["url"], holder)
    first, page = await hub.come_back(back)

    again, _ = await hub.come_back(back)

    assert (first, again) == (200, 400)
    assert (await hub.confirm(ticket_of(page), started["code"]))[0] == 200


async def test_a_stolen_code_under_a_state_of_ones_own_is_refused(
    hub: RunningHub, holder: Holder
) -> None:
    """Code injection: PKCE and nonce tie the victim's code to the victim's log-in."""
    _, victims = await hub.start(Device.new())
    attacker = Device.new()
    _, attackers = await hub.start(attacker)
    stolen = await hub.browse(victims["url"], holder)
    own = await hub.browse(attackers["url"], holder_of(card_issued_at(NOW)))

    status, _ = await hub.come_back({**stolen, "state": own["state"]})

    assert status == 400
    assert await hub.stage(attackers["login"]) == "failed"


async def test_a_state_invented_is_refused(hub: RunningHub, holder: Holder) -> None:
    _, started = await hub.start(Device.new())
    back = await hub.browse(started["url"], holder)

    assert (await hub.come_back({**back, "state": "x" * 43}))[0] == 400
    assert (await hub.come_back({"code": back["code"]}))[0] == 400
    assert await hub.stage(started["login"]) == "started"


async def test_mix_up_an_answer_of_one_provider_is_none_of_another(
    running: RunningProvider, clock: FakeClock, holder: Holder
) -> None:
    evil = replace(provider_of(running), name="evil", issuer="https://evil.example")
    async with running_hub(running, clock, evil) as hub:
        _, started = await hub.start(Device.new())
        back = await hub.browse(started["url"], holder)

        status, _ = await hub.come_back(back, provider="evil")

        assert status == 400
        assert await hub.stage(started["login"]) == "failed"


async def test_mix_up_an_answer_that_names_another_issuer_is_refused(
    hub: RunningHub, holder: Holder
) -> None:
    _, started = await hub.start(Device.new())
    back = await hub.browse(started["url"], holder)

    assert (await hub.come_back({**back, "iss": "https://evil.example"}))[0] == 400
    assert await hub.stage(started["login"]) == "failed"


async def test_a_providers_key_the_hub_does_not_know_signs_nothing(
    running: RunningProvider, clock: FakeClock, holder: Holder
) -> None:
    """A provider whose keys are another's cannot pass its tokens for that one's."""
    other_keys = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}

    async def keys(_: web.Request) -> web.Response:
        return web.json_response(other_keys)

    application = web.Application()
    application.router.add_get("/certs", keys)
    async with TestServer(application) as server:
        jwks_uri = str(server.make_url("/certs"))
        async with running_hub(running, clock, jwks_uri=jwks_uri) as hub:
            _, started = await hub.start(Device.new())

            assert (await hub.come_back(await hub.browse(started["url"], holder)))[0] == 400


async def test_keys_that_rotate_are_fetched_again(
    hub: RunningHub, running: RunningProvider, clock: FakeClock, holder: Holder
) -> None:
    first = Device.new()
    await hub.bind(await hub.log_in(first, holder), first)
    running.provider.rotate_keys(keeps_old=False)
    clock.move(31)
    second = Device.new()

    status, _ = await hub.bind(await hub.log_in(second, holder), second)

    assert status == 201


async def test_a_device_that_did_not_begin_opens_nothing(hub: RunningHub, holder: Holder) -> None:
    device, thief = Device.new(), Device.new()
    login = await hub.log_in(device, holder)

    status, answer = await hub.bind(login, thief)
    swapped = {"device": "0x" + thief.key.address.hex()}
    swapped_status, _ = await hub.bind(login, device, **swapped)
    signature = thief.key.sign(device.commitment.compute_possession_hash())
    forged_status, _ = await hub.bind(login, device, signature="0x" + signature.hex())

    assert (status, answer["code"]) == (403, "federation.opening_refused")
    assert (swapped_status, forged_status) == (403, 403)
    assert (await hub.bind(login, device))[0] == 201


async def test_a_commitment_made_for_another_hub_opens_nothing(
    hub: RunningHub, holder: Holder
) -> None:
    device = Device.new(audience="hub.goka.example")
    login = await hub.log_in(device, holder)

    assert (await hub.bind(login, device))[0] == 403


async def test_an_opening_counts_once(hub: RunningHub, holder: Holder) -> None:
    device = Device.new()
    login = await hub.log_in(device, holder)
    await hub.bind(login, device)

    status, answer = await hub.bind(login, device)

    assert (status, answer["code"]) == (409, "federation.login_not_ready")
    assert len(hub.binder.proven) == 1


async def test_phishing_an_address_sent_to_somebody_binds_nothing_without_the_code(
    hub: RunningHub, holder: Holder
) -> None:
    """The attacker's device begins; the victim logs in; the code stays with the attacker."""
    attacker = Device.new()
    _, started = await hub.start(attacker)
    status, page = await hub.come_back(await hub.browse(started["url"], holder))

    refused, answer = await hub.bind(started["login"], attacker)

    assert status == 200
    assert "0x" + attacker.key.address.hex() in page
    assert started["code"] not in page
    assert (refused, answer["code"]) == (409, "federation.login_not_ready")


async def test_guessing_the_code_ends_the_log_in(hub: RunningHub, holder: Holder) -> None:
    _, started = await hub.start(Device.new())
    _, page = await hub.come_back(await hub.browse(started["url"], holder))
    wrong = "000000" if started["code"] != "000000" else "111111"

    told = [(await hub.confirm(ticket_of(page), wrong))[0] for _ in range(3)]
    last, _ = await hub.confirm(ticket_of(page), started["code"])

    assert told == [400, 400, 400]
    assert last == 400
    assert await hub.stage(started["login"]) == "failed"


async def test_a_nonce_used_for_two_log_ins_binds_one_device(
    hub: RunningHub, holder: Holder
) -> None:
    """Replaying a commitment needs its opening; whoever copies the nonce cannot open it."""
    device, copier = Device.new(), Device.new()
    _, copied = await hub.start(copier, nonce=device.commitment.compute_nonce())
    _, page = await hub.come_back(await hub.browse(copied["url"], holder))
    await hub.confirm(ticket_of(page), copied["code"])

    assert (await hub.bind(copied["login"], copier))[0] == 403
    assert (await hub.bind(copied["login"], device))[0] == 403


async def test_a_log_in_ends_after_ten_minutes(
    hub: RunningHub, clock: FakeClock, holder: Holder
) -> None:
    device = Device.new()
    login = await hub.log_in(device, holder)
    clock.move(600)

    assert (await hub.bind(login, device))[0] == 404


async def test_another_municipality_does_not_see_a_log_in(hub: RunningHub, holder: Holder) -> None:
    device = Device.new()
    login = await hub.log_in(device, holder)

    async with hub.session.get(
        f"{hub.url}/federation/logins/{login}", headers={"Daicho-Tenant": "goka"}
    ) as answered:
        assert answered.status == 404


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"redirect_uri": "https://evil.example"}, id="redirect_uri"),
        pytest.param({"next": "https://evil.example"}, id="next"),
        pytest.param({"state": "https://evil.example", "error": "access_denied"}, id="state"),
    ],
)
async def test_the_hubs_page_sends_nobody_on(hub: RunningHub, parameters: dict[str, str]) -> None:
    status, page = await hub.come_back(parameters)

    assert status == 400
    assert "evil" not in page


async def test_pages_load_nothing_cannot_be_framed_and_leak_no_address(hub: RunningHub) -> None:
    path = f"{hub.url}/federation/{PROVIDER}/callback"
    async with hub.session.get(path) as page:
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("status", [307, 400, 500])
async def test_a_provider_that_misbehaves_fails_the_log_in(
    running: RunningProvider, clock: FakeClock, holder: Holder, status: int
) -> None:
    sent_on: list[dict[str, object]] = []

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def take(request: web.Request) -> web.Response:
        sent_on.append(dict(await request.post()))
        return web.Response()

    application = web.Application()
    application.router.add_post("/token", answer)
    application.router.add_post("/elsewhere", take)
    async with TestServer(application) as server:
        endpoint = str(server.make_url("/token"))
        async with running_hub(running, clock, token_endpoint=endpoint) as hub:
            _, started = await hub.start(Device.new())
            back = await hub.browse(started["url"], holder)

            assert (await hub.come_back(back))[0] == 400
            assert await hub.stage(started["login"]) == "failed"
    assert sent_on == []


async def test_a_provider_that_floods_an_answer_fails_the_log_in(
    running: RunningProvider, clock: FakeClock, holder: Holder
) -> None:
    async def flood(_: web.Request) -> web.Response:
        return web.Response(body=b" " * 70_000)

    application = web.Application()
    application.router.add_post("/token", flood)
    async with TestServer(application) as server:
        endpoint = str(server.make_url("/token"))
        async with running_hub(running, clock, token_endpoint=endpoint) as hub:
            _, started = await hub.start(Device.new())
            back = await hub.browse(started["url"], holder)

            assert (await hub.come_back(back))[0] == 400


async def test_a_holder_who_declines_binds_nothing(hub: RunningHub) -> None:
    _, started = await hub.start(Device.new())
    state = started["url"].partition("state=")[2].partition("&")[0]

    status, _ = await hub.come_back({"error": "access_denied", "state": state})

    assert status == 400
    assert await hub.stage(started["login"]) == "failed"


async def test_an_unknown_provider_is_named(hub: RunningHub) -> None:
    status, answer = await hub.start(Device.new(), provider="nobody")

    assert (status, answer["code"]) == (404, "federation.provider_unknown")


async def test_endpoints_lie_where_the_provider_publishes_them() -> None:
    made = provider_at(
        "https://auth-and-sign.go.jp/api/realms/main",
        name=PROVIDER,
        client_id="c",
        redirect_uri="https://hub.sakai.example/x",
        key=ECKey.generate_key("P-256"),
    )

    base = "https://auth-and-sign.go.jp/api/realms/main/protocol/openid-connect"
    assert (made.authorization_endpoint, made.token_endpoint) == (base + "/auth", base + "/token")
    assert (made.userinfo_endpoint, made.jwks_uri) == (base + "/userinfo", base + "/certs")
