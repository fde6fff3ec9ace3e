"""ID-BIND, ID-STATEMENT-ONCE, ID-TOKEN-REQUEST, ID-SECTOR-KEY: signatures used for another end.

The attacker has everything that was ever sent: statements, certificates, signatures, tokens; and a
card, a device and a sector key of the own. The hub runs; every attack goes over HTTP.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from node.primitives.crypto import PrivateKey
from services.hub.settings import LinkedService
from tests.support.hub import RunningHub, claims_of, running_hub, sign_statement

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningHub]:
    async with running_hub(tmp_path_factory.mktemp("hub"), has_relay=False) as running:
        yield running


def key() -> PrivateKey:
    return PrivateKey(secrets.token_bytes(32))


def rules_of(answer: dict[str, Any]) -> set[str]:
    assert answer["code"] == "hub.statement_refused", answer
    return {fault["kind"] for fault in answer["faults"]}


async def test_a_replayed_statement_binds_nothing(hub: RunningHub) -> None:
    holder = hub.holder()
    statement = await hub.statement(holder, "bind-device")
    assert (await hub.ask("POST", "/bindings", {"statement": statement}))[0] == 201
    status, answer = await hub.ask("POST", "/bindings", {"statement": statement})

    assert status == 403
    assert rules_of(answer) == {"ID-STATEMENT-ONCE"}


async def test_one_statement_sent_ten_times_at_once_binds_once(hub: RunningHub) -> None:
    statement = await hub.statement(hub.holder(), "bind-device")
    body = {"statement": statement}
    answers = await asyncio.gather(*(hub.ask("POST", "/bindings", body) for _ in range(10)))

    assert sorted(status for status, _ in answers) == [201] + [403] * 9


async def test_a_statement_for_another_audience_is_refused(hub: RunningHub) -> None:
    holder = hub.holder()
    asked = await hub.challenge("bind-device", device=f"0x{holder.device.address.hex()}")
    elsewhere = {**asked, "text": asked["text"].replace("hub.goka.example", "hub.evil.example")}
    statement = sign_statement(elsewhere, holder.authentication, holder.device)

    assert "ID-STATEMENT-MATCH" in rules_of(
        (await hub.ask("POST", "/bindings", {"statement": statement}))[1]
    )


async def test_a_swapped_device_key_is_refused(hub: RunningHub) -> None:
    holder, thief = hub.holder(), key()
    asked = await hub.challenge("bind-device", device=f"0x{holder.device.address.hex()}")
    counter_signed_by_thief = sign_statement(asked, holder.authentication, thief)
    named = asked["text"].replace(holder.device.address.hex(), thief.address.hex())
    rewritten = sign_statement({**asked, "text": named}, holder.authentication, thief)
    first = await hub.ask("POST", "/bindings", {"statement": counter_signed_by_thief})
    second = await hub.ask("POST", "/bindings", {"statement": rewritten})

    assert rules_of(first[1]) == {"ID-STATEMENT-DEVICE"}
    assert rules_of(second[1]) == {"ID-STATEMENT-MATCH"}


async def test_a_harvested_log_in_signature_binds_no_device(hub: RunningHub) -> None:
    holder, thief = hub.holder(), key()
    await hub.bind(holder)
    harvested = await hub.statement(holder, "log-in")
    asked = await hub.challenge("bind-device", device=f"0x{thief.address.hex()}")
    for challenge in (asked["challenge"], harvested["challenge"]):
        forged = {**harvested, "challenge": challenge}
        status, answer = await hub.ask("POST", "/bindings", {"statement": forged})
        assert status == 403
        assert "ID-STATEMENT-MATCH" in rules_of(answer)


async def test_a_read_certificate_without_the_card_is_worth_nothing(hub: RunningHub) -> None:
    victim, thief = hub.holder(), hub.holder()
    await hub.bind(victim)
    statement = await hub.statement(thief, "bind-device")
    statement["certificate"] = (await hub.statement(victim, "log-in"))["certificate"]
    status, answer = await hub.ask("POST", "/bindings", {"statement": statement})

    assert status == 403
    assert rules_of(answer) == {"ID-SIGNATURE"}


async def test_an_expired_statement_is_refused(hub: RunningHub) -> None:
    statement = await hub.statement(hub.holder(), "bind-device")
    hub.town.clock.move(601)
    answer = (await hub.ask("POST", "/bindings", {"statement": statement}))[1]

    assert rules_of(answer) == {"ID-STATEMENT-TIME"}


async def test_the_signing_key_binds_no_device(hub: RunningHub) -> None:
    holder = hub.holder()
    statement = await hub.statement(holder, "bind-device", by=holder.signing)
    answer = (await hub.ask("POST", "/bindings", {"statement": statement}))[1]

    assert {"ID-PATH-ISSUER", "ID-PATH-POLICY"} <= rules_of(answer)


async def test_a_device_is_bound_to_one_person_ever(hub: RunningHub) -> None:
    first, second = hub.holder(), hub.holder()
    _, bound = await hub.bind(first)
    second.device = first.device
    assert (await hub.bind(second))[1]["code"] == "hub.device_taken"
    await hub.own(first, "DELETE", f"/devices/{bound['binding']}")

    assert (await hub.bind(second))[1]["code"] == "hub.device_taken"


async def test_a_person_has_ten_devices_and_no_more(hub: RunningHub) -> None:
    holder = hub.holder()
    for _ in range(10):
        holder.device = key()
        assert (await hub.bind(holder))[0] == 201
    holder.device = key()

    assert (await hub.bind(holder))[1]["code"] == "hub.too_many_devices"


async def test_nobody_revokes_or_replaces_the_device_of_another(hub: RunningHub) -> None:
    victim, thief = hub.holder(), hub.holder()
    _, bound = await hub.bind(victim)
    await hub.bind(thief)
    thief.device = key()
    revoke = await hub.statement(thief, "revoke-device", binding=bound["binding"])
    rebind = await hub.statement(thief, "rebind-device", binding=bound["binding"])

    revoked = await hub.ask("POST", "/revocations", {"statement": revoke})
    assert revoked[1]["code"] == "hub.binding_unknown"
    rebound = await hub.ask("POST", "/bindings", {"statement": rebind})
    assert rebound[1]["code"] == "hub.other_resident"
    assert (await hub.own(victim, "GET", "/devices"))[1]["devices"][0]["status"] == "active"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audience", "election"),
        ("purposes", ["hub.self", "library.lend"]),
        ("issued_at", "2026-01-01T00:00:00Z"),
        ("nonce", "00" * 16),
    ],
)
async def test_a_token_request_says_what_its_device_signed(
    hub: RunningHub, field: str, value: Any
) -> None:
    holder = hub.holder()
    await hub.bind(holder)
    body = {**hub.token_body(holder), field: value}
    status, answer = await hub.ask("POST", "/tokens", body)

    assert answer["code"] in ("hub.request_refused", "hub.unknown_service")
    assert status in (403, 422)


async def test_a_token_request_is_taken_once_and_not_a_minute_later(hub: RunningHub) -> None:
    holder = hub.holder()
    await hub.bind(holder)
    body, late = hub.token_body(holder), hub.token_body(holder)
    assert (await hub.ask("POST", "/tokens", body))[0] == 200
    assert (await hub.ask("POST", "/tokens", body))[1]["code"] == "hub.request_refused"
    hub.town.clock.move(61)

    assert (await hub.ask("POST", "/tokens", late))[1]["code"] == "hub.request_refused"


async def test_a_token_for_another_service_opens_nothing_here(hub: RunningHub) -> None:
    holder = hub.holder()
    await hub.bind(holder)
    token = await hub.token(holder, audience="library", purposes=("library.lend",))
    headers = hub.headers(holder, token, "GET", "/status")

    assert (await hub.ask("GET", "/status", headers=headers))[1]["code"] == "auth.token_invalid"


async def test_a_stolen_token_is_worth_nothing_without_its_key(hub: RunningHub) -> None:
    holder, thief = hub.holder(), hub.holder()
    await hub.bind(holder)
    token = await hub.token(holder)
    headers = hub.headers(thief, token, "GET", "/status")

    assert (await hub.ask("GET", "/status", headers=headers))[1]["code"] == "auth.proof_invalid"


async def test_a_sector_key_speaks_for_one_resident_and_one_sector(hub: RunningHub) -> None:
    holder, thief, sector_key = hub.holder(), hub.holder(), key()
    await hub.bind(holder)
    await hub.bind(thief)
    assert (await hub.register(holder, "library", sector_key))[0] == 200

    for who, changes in (
        (thief, {"resident": holder.sub}),
        (holder, {"audience": "hub.evil.example"}),
        (holder, {"issued_at": hub.now.replace(microsecond=0) - timedelta(minutes=6)}),
    ):
        assert (await hub.register(who, "library", key(), **changes))[1]["code"] == (
            "hub.request_refused"
        )
    for who, sector in ((thief, "library"), (holder, "election")):
        taken = await hub.register(who, sector, sector_key)
        assert taken[1]["code"] == "hub.address_taken"
    taken = await hub.register(holder, "election", holder.device)
    assert taken[1]["code"] == "hub.address_taken"


async def test_no_purpose_is_given_that_a_service_does_not_have(hub: RunningHub) -> None:
    holder = hub.holder()
    await hub.bind(holder)
    assert all(isinstance(each, LinkedService) for each in hub.settings.services)
    for audience, purposes in (
        ("library", ("hub.self",)),
        ("elsewhere", ("library.lend",)),
        ("hub", ("library.lend",)),
    ):
        body = hub.token_body(holder, audience=audience, purposes=purposes)
        assert (await hub.ask("POST", "/tokens", body))[1]["code"] == "hub.unknown_service"
    token = claims_of(await hub.token(holder))
    assert token["scope"] == "hub.self"
