"""ID-REBIND, ID-GRANT, ID-GRANT-USE, ID-HISTORY, ID-ERASURE: what residents do with their record.

ID-RECORD-EVENT, ID-ATTESTATION: what comes from the resident record.

Over HTTP, with the hub as a real service; a new phone, a new card, a helper, a curious service.
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import pytest_asyncio

from clients.identity.certificate import CertificateKind
from clients.identity.pseudonym import ResidentId
from clients.identity.revocation import RevocationReason
from node.primitives.crypto import PrivateKey
from services.hub import people
from services.kit.audit import verify_log
from services.kit.envelope import verify_shredding
from services.sim.pki.profiles import SimulatedResident
from tests.support.databases import KINDS, make_url
from tests.support.hub import Holder, RunningHub, claims_of, running_hub
from tests.support.identity import RESIDENT

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=KINDS)
async def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHub]:
    folder = tmp_path_factory.mktemp("hub")
    url = make_url(request.param, folder)
    async with running_hub(folder, has_relay=False, database_url=url) as running:
        yield running


def key() -> PrivateKey:
    return PrivateKey(secrets.token_bytes(32))


async def confirm(hub: RunningHub, holder: Holder) -> None:
    statement = await hub.statement(holder, "confirm-attributes")
    status, answer = await hub.own(holder, "POST", "/attributes", {"statement": statement})
    assert (status, answer["status"]) == (200, "confirmed"), answer


async def test_a_new_phone_takes_over_and_the_old_one_ends_after_the_notice(
    hub: RunningHub,
) -> None:
    holder = hub.holder()
    _, old = await hub.bind(holder, label="古い電話")
    phone = replace(holder, device=key())
    statement = await hub.statement(phone, "rebind-device", binding=old["binding"])
    status, new = await hub.ask("POST", "/bindings", {"statement": statement})
    assert (status, new["status"]) == (201, "active")
    assert (await hub.own(holder, "GET", "/status"))[0] == 200

    devices = (await hub.own(phone, "GET", "/devices"))[1]["devices"]
    assert {each["binding"]: each["status"] for each in devices} == {
        old["binding"]: "grace",
        new["binding"]: "active",
    }
    hub.town.clock.move(7 * 86_400)
    asked = await hub.ask("POST", "/tokens", hub.token_body(holder))
    assert asked[1]["code"] == "hub.device_inactive"


async def test_a_device_is_renamed_and_removed_by_its_owner_alone(hub: RunningHub) -> None:
    holder, other = hub.holder(), hub.holder()
    _, bound = await hub.bind(holder)
    await hub.bind(other)
    path = f"/devices/{bound['binding']}"

    assert (await hub.own(other, "PATCH", path, {"label": "わたしの"}))[0] == 404
    assert (await hub.own(holder, "PATCH", path, {"label": "居間"}))[1]["label"] == "居間"
    assert (await hub.own(other, "DELETE", path))[0] == 404
    assert (await hub.own(holder, "DELETE", path))[1]["status"] == "revoked"


async def test_a_lost_phone_is_stopped_with_the_card_alone(hub: RunningHub) -> None:
    holder = hub.holder()
    _, bound = await hub.bind(holder)
    login = await hub.statement(holder, "log-in")
    status, seen = await hub.ask("POST", "/card-logins", {"statement": login})
    assert (status, seen["devices"][0]["binding"]) == (200, bound["binding"])
    statement = await hub.statement(holder, "revoke-device", binding=bound["binding"])

    assert (await hub.ask("POST", "/revocations", {"statement": statement}))[1]["status"] == (
        "revoked"
    )
    asked = await hub.ask("POST", "/tokens", hub.token_body(holder))
    assert asked[1]["code"] == "hub.device_inactive"


async def test_a_new_card_of_the_same_person_takes_the_old_one_s_place(hub: RunningHub) -> None:
    resident = SimulatedResident(name="台帳　一郎", birth_date=date(1980, 5, 5))
    holder = hub.holder(resident)
    _, old = await hub.bind(holder)
    await confirm(hub, holder)
    sub = (await hub.own(holder, "GET", "/sectors"), holder.sub)[1]
    renewed = replace(hub.holder(resident), device=key())
    stranger = replace(
        hub.holder(SimulatedResident(name="台帳　次郎", birth_date=date(1980, 5, 5))), device=key()
    )

    async def move(to: Holder) -> tuple[int, dict[str, object]]:
        statement = await hub.statement(to, "rebind-device", binding=old["binding"])
        attributes = await hub.statement(to, "confirm-attributes")
        body = {"statement": statement, "attributes": attributes}
        return await hub.ask("POST", "/bindings", body)

    early = await move(renewed)
    assert early[1]["code"] == "hub.other_resident"
    hub.hierarchy.authority(CertificateKind.AUTHENTICATION).revoke(
        holder.authentication.certificate, RevocationReason.RENEWED, hub.now
    )
    for _ in range(8):
        await hub.pass_time(1_000)
    assert (await move(stranger))[1]["code"] == "hub.other_resident"
    status, _ = await move(renewed)
    assert status == 201
    shown = (await hub.own(renewed, "GET", "/status"))[1]
    assert (shown["status"], renewed.sub) == ("verified", sub)


async def test_attributes_off_the_text_application_stay_unverified(hub: RunningHub) -> None:
    holder = hub.holder()
    await hub.bind(holder)
    told = {
        "name": "台帳　花子",
        "birth_date": "1990-02-17",
        "sex": "female",
        "address": "茨城県猿島郡境町",
    }
    assert (await hub.own(holder, "POST", "/attributes/text", told))[1]["status"] == "unverified"
    await confirm(hub, holder)
    assert (await hub.own(holder, "POST", "/attributes/text", told))[1]["status"] == "confirmed"
    wrong = {**told, "birth_date": "1990-02-31"}
    assert (await hub.own(holder, "POST", "/attributes/text", wrong))[0] == 422
    exported = (await hub.own(holder, "GET", "/export"))[1]
    assert exported["birth_date"] == "1990-02-17"


async def test_a_resident_sees_which_service_asked(hub: RunningHub) -> None:
    holder = hub.holder()
    await hub.bind(holder)
    name = hub.keyring.name_in("library", await resident_id(hub, holder)).hex()
    question = {"sub": name, "reason": "library.lend"}
    status, told = await hub.ask("POST", "/residents/status", question, hub.partner_headers())
    assert (status, told["status"], told["proofing_level"]) == (200, "verified", 3)
    election = hub.keyring.name_in("election", await resident_id(hub, holder)).hex()
    foreign = {"sub": election, "reason": "library.lend"}
    assert (await hub.ask("POST", "/residents/status", foreign, hub.partner_headers()))[0] == 404

    queries = (await hub.own(holder, "GET", "/queries"))[1]["queries"]
    assert [(each["service"], each["purpose"]) for each in queries] == [("library", "library.lend")]


async def resident_id(hub: RunningHub, holder: Holder) -> ResidentId:
    await hub.own(holder, "GET", "/status")
    async with hub.database.read() as tx:
        found = await people.find_by_name(tx, tenant="goka", name=holder.sub)
    assert found is not None
    return found.id


async def test_a_helper_acts_by_a_grant_of_the_principal(hub: RunningHub) -> None:
    principal, helper = hub.holder(), hub.holder()
    await hub.bind(principal)
    await hub.bind(helper)
    code = (await hub.own(helper, "POST", "/grants/codes"))[1]["code"]
    until = (hub.now + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wish = {"delegate": code, "scope": ["library.lend"], "expires_at": until, "basis": "family"}
    status, given = await hub.own(principal, "POST", "/grants", {**wish, "place": "図書館"})
    assert (status, given["is_confirmed"], given["role"]) == (201, True, "principal")
    again = await hub.own(principal, "POST", "/grants", wish)
    assert again[1]["code"] == "hub.code_refused"

    held = (await hub.own(helper, "GET", "/grants"))[1]["grants"]
    assert [(each["role"], each["place"]) for each in held] == [("delegate", "図書館")]
    lend = {"audience": "library", "purposes": ("library.lend",)}
    acting = claims_of(await hub.token(helper, **lend, grant=given["grant"]))
    names = [claims_of(await hub.token(each, **lend))["sub"] for each in (principal, helper)]
    assert (acting["sub"], acting["act"]) == (names[0], {"sub": names[1]})
    assert acting["place"] == "図書館"
    assert given["grant"] not in str(acting)
    queries = (await hub.own(principal, "GET", "/queries"))[1]["queries"]
    assert [each["what"] for each in queries] == [f"grant:{given['grant']}"]

    assert await refused(hub, principal, grant=given["grant"], **lend) == "hub.grant_refused"
    elsewhere = {"audience": "election", "purposes": ("election.credential",)}
    assert await refused(hub, helper, grant=given["grant"], **elsewhere) == "hub.grant_refused"
    assert await refused(hub, helper, grant=given["grant"]) == "hub.grant_refused"
    body = hub.token_body(helper, **lend, grant=given["grant"])
    unsigned = await hub.ask("POST", "/tokens", {**body, "grant": "0" * 32})
    assert unsigned[1]["code"] == "hub.request_refused"
    assert (await hub.own(principal, "DELETE", f"/grants/{given['grant']}"))[0] == 204
    ended = (await hub.own(helper, "GET", "/grants"))[1]["grants"][0]
    assert ended["ended_at"] is not None
    assert await refused(hub, helper, grant=given["grant"], **lend) == "hub.grant_refused"


async def refused(hub: RunningHub, holder: Holder, **wish: Any) -> str:
    status, answer = await hub.ask("POST", "/tokens", hub.token_body(holder, **wish))
    assert status == 403
    return str(answer["code"])


async def test_a_token_under_a_grant_ends_with_it_and_not_while_either_is_stopped(
    hub: RunningHub,
) -> None:
    principal, helper = hub.holder(), hub.holder()
    await hub.bind(principal)
    await hub.bind(helper)
    code = (await hub.own(helper, "POST", "/grants/codes"))[1]["code"]
    until = (hub.now + timedelta(minutes=4)).replace(microsecond=0)
    wish = {
        "delegate": code,
        "scope": ["library.lend"],
        "expires_at": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "basis": "carer",
    }
    grant = (await hub.own(principal, "POST", "/grants", wish))[1]["grant"]
    lend = {"audience": "library", "purposes": ("library.lend",), "grant": grant}
    claims = claims_of(await hub.token(helper, **lend))
    assert claims["exp"] == int(until.timestamp())
    assert "place" not in claims

    code = (await hub.own(principal, "POST", "/grants/codes"))[1]["code"]
    body = {"code": code, "event": "left"}
    await hub.ask("POST", "/staff/record-events", body, hub.staff_headers())
    assert await refused(hub, helper, **lend) == "hub.resident_stopped"

    await hub.pass_time(300)
    assert await refused(hub, helper, **lend) == "hub.grant_refused"


async def test_a_grant_at_the_counter_needs_two_members_of_staff(hub: RunningHub) -> None:
    principal, helper = hub.holder(), hub.holder()
    codes = []
    for holder in (principal, helper):
        await hub.bind(holder)
        codes.append((await hub.own(holder, "POST", "/grants/codes"))[1]["code"])
    until = (hub.now + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "principal": codes[0],
        "delegate": codes[1],
        "scope": ["library.lend"],
        "expires_at": until,
        "basis": "guardian",
    }
    status, entered = await hub.ask("POST", "/staff/grants", body, hub.staff_headers())
    assert (status, entered["is_confirmed"]) == (201, False)
    path = f"/staff/grants/{entered['grant']}/confirmation"
    alone = await hub.ask("POST", path, headers=hub.staff_headers())
    assert alone[1]["code"] == "hub.same_person"
    wish = {"audience": "library", "purposes": ("library.lend",), "grant": entered["grant"]}
    assert await refused(hub, helper, **wish) == "hub.grant_refused"
    confirmed = await hub.ask("POST", path, headers=hub.staff_headers("chief"))
    assert "act" in claims_of(await hub.token(helper, **wish))

    assert confirmed[1]["is_confirmed"]
    assert (await hub.own(principal, "GET", "/queries"))[1]["queries"]


async def test_somebody_who_left_is_stopped_and_the_attributes_are_gone(hub: RunningHub) -> None:
    holder = hub.holder()
    await hub.bind(holder)
    await confirm(hub, holder)
    code = (await hub.own(holder, "POST", "/grants/codes"))[1]["code"]
    body = {"code": code, "event": "left"}
    status, shown = await hub.ask("POST", "/staff/record-events", body, hub.staff_headers())

    assert (status, shown["status"], shown["attributes"]) == (200, "removed", None)
    asked = await hub.ask("POST", "/tokens", hub.token_body(holder))
    assert asked[1]["code"] == "hub.device_inactive"
    again = replace(holder, device=key())
    assert (await hub.bind(again))[1]["code"] == "hub.resident_stopped"


async def test_a_death_is_entered_of_somebody_who_is_not_there(hub: RunningHub) -> None:
    # The hub is the module's: nobody else there has this name.
    person = replace(RESIDENT, name="封印　三郎")
    namesake = replace(person, address="茨城県古河市台帳町９番")
    twin = replace(person, address="茨城県古河市双子町１番")
    confirmed = [hub.holder(each) for each in (person, namesake, twin, twin)]
    dead, alive, *twins = confirmed
    other = hub.holder(person)
    for holder in (*confirmed, other):
        await hub.bind(holder)
        if holder is not other:
            await confirm(hub, holder)
    text = {
        "name": person.name,
        "birth_date": person.birth_date.isoformat(),
        "sex": "female",
        "address": person.address,
    }
    assert (await hub.own(other, "POST", "/attributes/text", text))[0] == 200

    entry = {
        "name": person.name.replace("　", " "),
        "birth_date": person.birth_date.isoformat(),
        "address": person.address.replace("２", "2"),
        "event": "died",
    }
    entries = [
        {**entry, "birth_date": "1931-01-01"},
        {**entry, "address": "茨城県古河市別町１番"},
        {**entry, "address": twin.address},
        entry,
        entry,
    ]
    path = "/staff/record-events/import"
    answer = await hub.ask("POST", path, {"events": entries}, hub.staff_headers())

    assert answer == (
        200,
        {"outcomes": ["unknown", "unknown", "ambiguous", "done", "unknown"]},
    )
    stopped = await hub.ask("POST", "/tokens", hub.token_body(dead))
    assert stopped[1]["code"] == "hub.device_inactive"
    for holder in (alive, other, *twins):
        status = (await hub.own(holder, "GET", "/status"))[1]
        assert status["status"] in ("verified", "attributes-unconfirmed")


async def test_names_are_found_without_asking_everybody(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []
    walk = people.list_references

    async def counted(*args: Any, **fields: Any) -> Any:
        walks.append(fields)
        return await walk(*args, **fields)

    monkeypatch.setattr(people, "list_references", counted)
    first, late = hub.holder(), hub.holder()
    await hub.bind(first)

    async def ask_about(name: str) -> int:
        question = {"sub": name, "reason": "library.lend"}
        return (await hub.ask("POST", "/residents/status", question, hub.partner_headers()))[0]

    async def name_of(holder: Holder) -> str:
        lend = {"audience": "library", "purposes": ("library.lend",)}
        return str(claims_of(await hub.token(holder, **lend))["sub"])

    assert await ask_about(await name_of(first)) == 200
    walked = len(walks)
    await hub.bind(late)
    names = [await name_of(each) for each in (first, late)]
    assert [await ask_about(each) for each in (*names, "00" * 32)] == [200, 200, 404]
    assert len(walks) == walked
    assert (await hub.own(late, "POST", "/erasure", {"confirm": "erase"}))[0] == 200
    assert [await ask_about(each) for each in names] == [200, 404]


async def test_an_erased_person_leaves_tombstones_and_nothing_else(hub: RunningHub) -> None:
    holder = hub.holder()
    await hub.bind(holder, label="消える電話")
    await confirm(hub, holder)
    sub = holder.sub
    status, answer = await hub.own(holder, "POST", "/erasure", {"confirm": "erase"})
    assert (status, len(answer["commitments"])) == (200, 3)

    async with hub.database.read() as tx:
        assert all(check.is_met for check in await verify_shredding(tx, tenant="goka"))
        assert not (await verify_log(tx, tenant="goka")).findings
    asked = await hub.ask("POST", "/tokens", hub.token_body(holder))
    assert asked[1]["code"] == "hub.device_inactive"
    anew = replace(holder, device=key())
    assert (await hub.bind(anew))[0] == 201
    await hub.own(anew, "GET", "/status")
    assert anew.sub != sub
