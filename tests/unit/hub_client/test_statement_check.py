"""WALLET-BIND: a device signs only the statement it asked for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clients.hub.requests import (
    SKEW_MAX,
    StrangeStatement,
    Wish,
    check_statement,
    sector_key_text,
    token_request_text,
)
from clients.identity.statement import (
    MalformedStatement,
    Purpose,
    Statement,
    encode_statement,
)
from node.primitives.types import Address
from services.hub.issuing import SectorClaim, TokenRequest
from tests.support.identity import NOW

DEVICE = Address(b"\x19" * 20)
OTHER = Address(b"\x20" * 20)
WISH = Wish(
    purpose=Purpose.BIND_DEVICE,
    audience="hub.sakai.example",
    device=DEVICE,
    record_key_hash=b"\x22" * 32,
)
STATEMENT = Statement(
    purpose=Purpose.BIND_DEVICE,
    audience="hub.sakai.example",
    nonce=bytes(range(32)),
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=10),
    device=DEVICE,
    record_key_hash=b"\x22" * 32,
)


def test_the_statement_asked_for_is_taken() -> None:
    assert check_statement(encode_statement(STATEMENT), wish=WISH, now=NOW) == STATEMENT


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(replace(STATEMENT, device=OTHER), id="another device"),
        pytest.param(replace(STATEMENT, record_key_hash=b"\x23" * 32), id="another record key"),
        pytest.param(replace(STATEMENT, record_key_hash=None), id="no record key"),
        pytest.param(replace(STATEMENT, audience="hub.goka.example"), id="another hub"),
        pytest.param(
            replace(STATEMENT, purpose=Purpose.REBIND_DEVICE, binding_id=bytes(16)), id="re-binding"
        ),
        pytest.param(
            replace(STATEMENT, purpose=Purpose.LOG_IN, device=None, record_key_hash=None),
            id="a log-in",
        ),
    ],
)
def test_another_statement_is_not(asked: Statement) -> None:
    with pytest.raises(StrangeStatement):
        check_statement(encode_statement(asked), wish=WISH, now=NOW)


def test_another_binding_than_the_one_named_is_not_replaced() -> None:
    wish = replace(WISH, purpose=Purpose.REBIND_DEVICE, binding=b"\x01" * 16)
    asked = replace(STATEMENT, purpose=Purpose.REBIND_DEVICE, binding_id=b"\x02" * 16)

    with pytest.raises(StrangeStatement):
        check_statement(encode_statement(asked), wish=wish, now=NOW)


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(timedelta(minutes=10), id="expired"),
        pytest.param(-SKEW_MAX - timedelta(seconds=1), id="of the future"),
    ],
)
def test_a_statement_of_another_time_is_not_signed(late: timedelta) -> None:
    text = encode_statement(STATEMENT)

    assert check_statement(text, wish=WISH, now=NOW - SKEW_MAX)
    with pytest.raises(StrangeStatement):
        check_statement(text, wish=WISH, now=NOW + late)


def test_something_else_is_no_statement() -> None:
    with pytest.raises(MalformedStatement):
        check_statement(b"SIMULATED DIGITAL AUTHENTICATION APP\n", wish=WISH, now=NOW)


def test_the_texts_are_those_the_hub_publishes() -> None:
    token = token_request_text(
        audience="hub.sakai.example",
        device=DEVICE,
        service="library",
        purposes=("library.return", "library.lend"),
        thumbprint="T",
        issued_at=NOW,
        nonce="00" * 16,
    )
    sector = sector_key_text(
        audience="hub.sakai.example",
        resident="ab" * 32,
        sector="library",
        address=DEVICE,
        issued_at=NOW,
    )

    assert token.decode().splitlines() == [
        "DAICHO TOKEN REQUEST 1",
        "For: hub.sakai.example",
        "Device: 0x" + "19" * 20,
        "Service: library",
        "Purposes: library.lend library.return",
        "Key: T",
        "Issued: 2026-04-01T03:00:00Z",
        "Nonce: " + "00" * 16,
    ]
    assert sector.decode().splitlines() == [
        "DAICHO SECTOR KEY 1",
        "For: hub.sakai.example",
        "Resident: " + "ab" * 32,
        "Sector: library",
        "Address: 0x" + "19" * 20,
        "Issued: 2026-04-01T03:00:00Z",
    ]


def test_who_acts_for_another_signs_the_grant_too() -> None:
    text = token_request_text(
        audience="hub.sakai.example",
        device=DEVICE,
        service="library",
        purposes=("library.lend",),
        thumbprint="T",
        issued_at=NOW,
        nonce="00" * 16,
        grant="11" * 16,
    )

    assert text.decode().splitlines()[4:6] == ["Purposes: library.lend", "Grant: " + "11" * 16]


def test_the_hub_reads_the_same_texts() -> None:
    request = TokenRequest(
        audience="hub.sakai.example",
        device=DEVICE,
        service="library",
        purposes=("library.return", "library.lend"),
        thumbprint="T",
        issued_at=NOW,
        nonce="00" * 16,
    )
    claim = SectorClaim(
        audience="hub.sakai.example",
        resident="ab" * 32,
        sector="library",
        address=DEVICE,
        issued_at=NOW,
    )

    assert request.encode() == token_request_text(
        audience=request.audience,
        device=DEVICE,
        service="library",
        purposes=request.purposes,
        thumbprint="T",
        issued_at=NOW,
        nonce=request.nonce,
    )
    assert claim.encode() == sector_key_text(
        audience=claim.audience,
        resident=claim.resident,
        sector="library",
        address=DEVICE,
        issued_at=NOW,
    )
