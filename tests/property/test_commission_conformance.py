"""Whatever is sent to the commission, its answer is one that its OpenAPI document names.

The commission is announced on a ledger in memory; every kind of caller asks every operation.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import schemathesis

from services.election.commission.decisions import DecisionOperations
from services.election.commission.desk import OFFICER, POLLING, DeskOperations
from services.election.commission.exchange import PURPOSE, ExchangeOperations
from services.election.commission.invitation_desk import InvitationOperations
from services.election.commission.reports import ReportOperations
from services.election.commission.voters import VoterOperations
from services.election.publication.incident_operations import IncidentOperations
from services.election.publication.incidents import IncidentLog
from services.election.service import SERVICE
from services.kit.app import ServiceDefinition
from services.kit.auth import TenantId
from services.kit.reads import audit_reads
from services.kit.service import serve
from services.kit.settings import (
    AuthSettings,
    DatabaseSettings,
    KitSettings,
    ServerSettings,
    TenantSettings,
)
from services.kit.staff import StaffMember, StaffTable
from services.kit.tokens import Issuer, TrustedPartner
from tests.support.commission import DRAFT, elector, open_poll
from tests.support.conformance import ask_everything, on_thread, operations_of, read_schema
from tests.support.tokens import AUDIENCE, ISSUER, NOW_S, PUBLIC_URL, People

PEOPLE = People()
TOWN = TenantId("tsukuba")
OPERATION_COUNT = 34


@asynccontextmanager
async def open_service(folder: Path) -> AsyncIterator[str]:
    """Serve a commission with an announced election."""
    async with open_poll(folder, [elector(0), elector(1)], towns=1) as poll:
        registrar, catalogue = poll.commission.registrar, SERVICE.load_catalogue()

        async def find_key(kid: str) -> object:
            return PEOPLE.issuer_key if kid == "k1" else None

        clerk = StaffMember(
            id="clerk",
            tenant=TOWN,
            roles=frozenset({OFFICER, POLLING}),
            key=PEOPLE.clerk_key,
            authentication_level=2,
            valid_until=registrar.clock.now() + timedelta(days=30_000),
        )
        partner = TrustedPartner(
            name="relay",
            key=PEOPLE.relay_key,
            tenants=frozenset({TOWN}),
            purposes=frozenset({PURPOSE}),
        )
        trust = PEOPLE.trust(
            issuers={ISSUER: Issuer(name=ISSUER, tenants=frozenset({TOWN}), find_key=find_key)},
            staff=StaffTable({"clerk": clerk}),
            partners={"relay": partner},
        )
        definition = ServiceDefinition(
            name="election",
            title="Elections",
            version="1.0.0",
            settings=KitSettings(
                auth=AuthSettings(audience=AUDIENCE),
                database=DatabaseSettings(url="sqlite+aiosqlite:////nowhere"),
                tenants=(TenantSettings(id=TOWN, name="つくば市"),),
                server=ServerSettings(port=0, public_url=PUBLIC_URL, shutdown_timeout_s=1),
            ),
            trust=trust,
            clock=registrar.clock,
            sources=(
                VoterOperations(registrar, b"\x01" * 32),
                DeskOperations(registrar),
                ReportOperations(registrar, catalogue),
                InvitationOperations(
                    registrar, catalogue, source="urn:test", public_url="https://vote.example"
                ),
                DecisionOperations(registrar, folder / "exports"),
                ExchangeOperations(registrar),
                IncidentOperations(poll.town.context, IncidentLog(poll.town.context)),
            ),
            catalogue=catalogue,
            record_read=audit_reads(registrar.database),
        )
        async with serve(definition) as address:
            times.append(int(registrar.clock.now().timestamp()))
            known.update({"eid": poll.eid.hex(), "draft": DRAFT.hex(), "draft_id": DRAFT.hex()})
            yield address


times: list[int] = [NOW_S]
known: dict[str, str] = {}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The commission, served by a loop on a thread of its own."""
    folder = tmp_path_factory.mktemp("commission")
    with on_thread(lambda: open_service(folder)) as at:
        yield at


@pytest.fixture(scope="module")
def schema(address: str) -> schemathesis.BaseSchema:
    return read_schema(address)


def headers_of(kind: str, method: str, path: str) -> dict[str, str]:
    """Return the headers with which a caller of that kind sends a request."""
    tenant, now_s = {"Daicho-Tenant": TOWN}, times[-1]
    claims = {"tenant": TOWN, "iat": now_s, "exp": now_s + 50}
    match kind:
        case "resident":
            token = PEOPLE.resident_token(**claims, scope="election.enrol")
            proof = PEOPLE.proof(token, method=method, path=path, iat=now_s)
            return {**tenant, "Authorization": f"DPoP {token}", "DPoP": proof}
        case "staff":
            return {**tenant, **PEOPLE.staff_headers(**claims)}
        case "partner":
            return {**tenant, **PEOPLE.partner_headers(**claims)}
        case _:
            return tenant


def test_the_document_has_every_operation(schema: schemathesis.BaseSchema) -> None:
    assert len(operations_of(schema)) == OPERATION_COUNT


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nobody", "resident", "staff", "partner"])
def test_every_answer_is_one_the_document_names(
    address: str, schema: schemathesis.BaseSchema, kind: str
) -> None:
    for path, method in sorted(operations_of(schema)):
        statuses = ask_everything(
            address,
            schema[path][method],
            lambda method, path: headers_of(kind, method, path),
            example_count=8,
        )

        assert statuses
        assert max(statuses) < 500, (path, method)
