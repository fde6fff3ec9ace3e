"""ID-STANDING, ID-SWEEP, ID-LIFECYCLE: certificates that are over, and lists that lie or are late.

Enrolment asks the authority; the sweep holds everybody against its lists. The flag is looked at
where others see it: in answers, in tokens, and in what is wanted on the ledger.
"""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from clients.identity.certificate import CertificateKind
from clients.identity.revocation import RevocationReason
from node.primitives.crypto import PrivateKey
from services.hub.addresses import TABLE
from services.hub.statuses import NAMES
from tests.support.hub import Holder, RunningHub, running_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY_S = 86_400
AUTHENTICATION, SIGNING = CertificateKind.AUTHENTICATION, CertificateKind.SIGNING


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningHub]:
    async with running_hub(tmp_path_factory.mktemp("hub"), has_relay=False) as running:
        yield running


async def status_by_card(hub: RunningHub, holder: Holder) -> dict[str, Any]:
    return (await hub.own(holder, "GET", "/status"))[1]


async def wanted(hub: RunningHub, address: bytes) -> str:
    async with hub.database.read() as tx:
        query = select(TABLE.c.status).where(TABLE.c.address == address)
        return NAMES[(await tx.execute(query)).scalar_one()]


async def until_wanted(hub: RunningHub, key: PrivateKey, status: str) -> None:
    """Let lists be fetched and everybody be held against them until the ledger is to say this."""

    async def is_wanted() -> bool:
        return await wanted(hub, key.address) == status

    await hub.until(is_wanted, seconds=900)


async def sweep(hub: RunningHub, seconds: float = 3_700) -> None:
    """Let lists be fetched and everybody be held against them."""
    for _ in range(8):
        await hub.pass_time(seconds / 4)


@pytest.mark.parametrize("reason", list(RevocationReason), ids=lambda each: each.name)
async def test_a_revoked_card_binds_nothing_whatever_the_reason(
    hub: RunningHub, reason: RevocationReason
) -> None:
    holder = hub.holder(generation=1)
    issued = holder.authentication
    hub.hierarchy.authority(AUTHENTICATION, 1).revoke(issued.certificate, reason, hub.now)
    status, answer = await hub.bind(holder)
    hub.hierarchy.authority(AUTHENTICATION, 1).revocations.clear()

    assert status == 403
    assert {fault["kind"] for fault in answer["faults"]} == {"ID-REVOCATION-STATUS"}


async def test_equal_numbers_of_two_generations_are_two_people(hub: RunningHub) -> None:
    for generation in (1, 2):
        # Both generations number from the same place: let the next cards have one number.
        hub.hierarchy.authority(AUTHENTICATION, generation)._serial = 7_000
    older, newer = hub.holder(generation=1), hub.holder(generation=2)
    numbers = {each.authentication.certificate.serial_number for each in (older, newer)}
    assert len(numbers) == 1
    assert (await hub.bind(older))[0] == (await hub.bind(newer))[0] == 201
    await hub.own(older, "GET", "/status")
    await hub.own(newer, "GET", "/status")
    assert older.sub != newer.sub
    keys = [PrivateKey(secrets.token_bytes(32)) for _ in range(2)]
    for holder, key in zip((older, newer), keys, strict=True):
        await hub.register(holder, "library", key)
    hub.hierarchy.authority(AUTHENTICATION, 1).revoke(
        older.authentication.certificate, RevocationReason.ON_HOLD, hub.now
    )
    await until_wanted(hub, keys[0], "suspended")

    assert await wanted(hub, keys[1].address) == "verified"


@pytest.mark.parametrize(
    ("reason", "kind", "status", "device"),
    [
        (RevocationReason.ON_HOLD, AUTHENTICATION, "suspended", "suspended"),
        (RevocationReason.KEY_COMPROMISED, AUTHENTICATION, "suspended", "suspended"),
        (RevocationReason.RENEWED, AUTHENTICATION, "grace", "grace"),
        (RevocationReason.CONTENTS_CHANGED, SIGNING, "attributes-unconfirmed", "active"),
    ],
)
async def test_the_sweep_carries_a_revocation_to_devices_tokens_and_ledger(
    hub: RunningHub, reason: RevocationReason, kind: CertificateKind, status: str, device: str
) -> None:
    holder, key = hub.holder(), PrivateKey(secrets.token_bytes(32))
    await hub.bind(holder)
    confirm = await hub.statement(holder, "confirm-attributes")
    assert (await hub.own(holder, "POST", "/attributes", {"statement": confirm}))[0] == 200
    await hub.register(holder, "library", key)
    issued = holder.authentication if kind is AUTHENTICATION else holder.signing
    hub.hierarchy.authority(kind).revoke(issued.certificate, reason, hub.now)
    await until_wanted(hub, key, status)
    asked = await hub.ask("POST", "/tokens", hub.token_body(holder))
    if status == "suspended":
        assert asked[1]["code"] in ("hub.device_inactive", "hub.resident_stopped")
        return
    assert (await status_by_card(hub, holder))["status"] == status
    assert (await hub.own(holder, "GET", "/devices"))[1]["devices"][0]["status"] == device
    if kind is SIGNING:
        assert (await status_by_card(hub, holder))["attributes"]["status"] == "stale"
    else:
        await sweep(hub, 31 * DAY_S)
        await until_wanted(hub, key, "downgraded")
        late = await hub.ask("POST", "/tokens", hub.token_body(holder))
        assert late[1]["code"] == "hub.device_inactive"


async def test_a_suspension_is_not_lifted_by_a_list_that_forgets_it(hub: RunningHub) -> None:
    holder, key = hub.holder(), PrivateKey(secrets.token_bytes(32))
    await hub.bind(holder)
    await hub.register(holder, "library", key)
    authority = hub.hierarchy.authority(AUTHENTICATION)
    authority.revoke(holder.authentication.certificate, RevocationReason.ON_HOLD, hub.now)
    await until_wanted(hub, key, "suspended")
    del authority.revocations[holder.authentication.certificate.serial_number]
    await sweep(hub)

    assert await wanted(hub, key.address) == "suspended"


async def test_a_flag_runs_out_while_the_lists_are_forged(hub: RunningHub) -> None:
    holder = hub.holder()
    await hub.bind(holder)
    authority = hub.hierarchy.authority(AUTHENTICATION)
    honest = authority.build_revocation_list
    forger = hub.hierarchy.authority(AUTHENTICATION, 1)
    authority.build_revocation_list = forger.build_revocation_list  # type: ignore[method-assign]
    try:
        before = await status_by_card(hub, holder)
        await sweep(hub, 3 * DAY_S)
        after = await status_by_card(hub, holder)
    finally:
        authority.build_revocation_list = honest  # type: ignore[method-assign]
    assert (before["status"], after["status"]) == ("verified", "expired")
    assert after["proofing_level"] == 1

    async def is_back() -> bool:
        return bool((await status_by_card(hub, holder))["status"] == "verified")

    await hub.until(is_back, seconds=900)


async def test_a_stale_answer_of_the_responder_enrols_nobody(hub: RunningHub) -> None:
    holder = hub.holder()
    authority = hub.hierarchy.authority(AUTHENTICATION)
    honest = authority.answer_ocsp

    def late(request: bytes, at: Any) -> bytes:
        return honest(request, at - timedelta(hours=1))

    authority.answer_ocsp = late  # type: ignore[method-assign]
    try:
        status, answer = await hub.bind(holder)
    finally:
        authority.answer_ocsp = honest  # type: ignore[method-assign]

    assert status == 403
    assert {fault["kind"] for fault in answer["faults"]} == {"ID-REVOCATION-STATUS"}


async def test_one_certificate_revoked_for_its_authority_stops_the_generation(
    hub: RunningHub,
) -> None:
    one, other, apart = hub.holder(generation=3), hub.holder(generation=3), hub.holder()
    keys = [PrivateKey(secrets.token_bytes(32)) for _ in range(3)]
    for holder, key in zip((one, other, apart), keys, strict=True):
        assert (await hub.bind(holder))[0] == 201
        assert (await hub.register(holder, "library", key))[0] == 200
    hub.hierarchy.authority(AUTHENTICATION, 3).revoke(
        one.authentication.certificate, RevocationReason.AUTHORITY_COMPROMISED, hub.now
    )
    await until_wanted(hub, keys[1], "suspended")
    found = [await wanted(hub, key.address) for key in keys]
    assert found == ["suspended", "suspended", "verified"]
