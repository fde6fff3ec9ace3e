"""OpenSC, which nobody here wrote, takes the simulated card for a My Number Card.

Its tools reach the card as in the field: PC/SC daemon, reader driver, commands. OpenSSL verifies
what the keys sign.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from services.sim.card.card import Fault, SimulatedCard
from services.sim.card.daemon import PrivateReaders
from services.sim.card.files import CONTACTLESS_ATR, CardContents, Habits, LockedStatus
from services.sim.card.layout import lay_out
from services.sim.card.reader import HeldCard
from tests.support.cards import (
    FOREIGNER,
    card_of,
    certificate_of,
    held,
    order_for,
    run_beside,
    running_readers,
    wait_for_card,
)

PKCS11_MODULE = "opensc-pkcs11.so"


@pytest.fixture(scope="module")
def readers() -> Iterator[PrivateReaders]:
    with running_readers() as running:
        yield running


@pytest.fixture
def card(readers: PrivateReaders) -> Iterator[SimulatedCard]:
    one = card_of()
    with held(readers, one):
        yield one


@pytest.mark.usefixtures("card")
def test_opensc_names_the_card(readers: PrivateReaders) -> None:
    assert run_beside(readers, "opensc-tool", "-n").stdout.strip() == "jpki"


def test_opensc_knows_a_card_in_a_contactless_reader_too(readers: PrivateReaders) -> None:
    contents = lay_out(order_for())
    contactless = CardContents(applications=contents.applications, atr=CONTACTLESS_ATR)

    with held(readers, SimulatedCard(contactless)):
        assert run_beside(readers, "opensc-tool", "-n").stdout.strip() == "jpki"
        atr = run_beside(readers, "opensc-tool", "-a").stdout.strip().replace(":", "")

    assert bytes.fromhex(atr) == CONTACTLESS_ATR


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        pytest.param(["--read-certificate", "01"], "authentication", id="authentication"),
        pytest.param(
            ["--verify-pin", "--auth-id", "02", "--pin", "ABC123", "--read-certificate", "02"],
            "signing",
            id="signing",
        ),
    ],
)
@pytest.mark.usefixtures("card")
def test_opensc_reads_the_certificate(
    readers: PrivateReaders, arguments: list[str], kind: str
) -> None:
    printed = run_beside(readers, "pkcs15-tool", *arguments).stdout

    found = load_pem_x509_certificate(printed.encode()).public_bytes(Encoding.DER)
    assert found == certificate_of(kind, order_for())


@pytest.mark.usefixtures("card")
def test_opensc_counts_two_keys_and_two_pins(readers: PrivateReaders) -> None:
    printed = run_beside(readers, "pkcs15-tool", "--dump").stdout

    assert printed.count("Private RSA Key [") == 2
    assert printed.count("PIN [") == 2
    assert "Tries left     : 3" in printed
    assert "Tries left     : 5" in printed


@pytest.mark.parametrize(
    ("slot", "pin", "key", "kind"),
    [
        pytest.param("0", "1234", "01", "authentication", id="authentication"),
        pytest.param("1", "ABC123", "02", "signing", id="signing"),
    ],
)
@pytest.mark.usefixtures("card")
def test_what_pkcs11_signs_openssl_verifies(
    readers: PrivateReaders, tmp_path: Path, slot: str, pin: str, key: str, kind: str
) -> None:
    message, signature, public = (tmp_path / name for name in ("message", "signature", "public"))
    message.write_bytes("避難所への受付".encode())
    (tmp_path / "certificate").write_bytes(certificate_of(kind, order_for()))
    signed = run_beside(
        readers, "pkcs11-tool", "--module", PKCS11_MODULE, "--slot", slot, "--login", "--pin", pin,
        "--sign", "-m", "SHA256-RSA-PKCS", "--id", key, "-i", message, "-o", signature,
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr

    run_beside(readers, "openssl", "x509", "-inform", "DER", "-in", tmp_path / "certificate",
        "-pubkey", "-noout", "-out", public)  # fmt: skip
    verdict = run_beside(
        readers, "openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, message
    )

    assert verdict.stdout.strip() == "Verified OK"


def test_a_wrong_pin_through_opensc_costs_a_try(
    readers: PrivateReaders, card: SimulatedCard
) -> None:
    refused = run_beside(
        readers, "pkcs11-tool", "--module", PKCS11_MODULE, "--slot", "0", "--login",
        "--pin", "9999", "-O",
    )  # fmt: skip

    assert "CKR_PIN_INCORRECT" in refused.stderr
    assert list(card.state.tries.values()) == [2]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(LockedStatus.NO_TRIES, "CKR_PIN_INCORRECT", id="63C0"),
        pytest.param(LockedStatus.AUTHENTICATION_BLOCKED, "CKR_PIN_LOCKED", id="6983"),
        pytest.param(LockedStatus.REFERENCE_DATA_UNUSABLE, "CKR_GENERAL_ERROR", id="6984"),
    ],
)
def test_opensc_maps_the_answers_of_a_locked_card_each_in_its_way(
    readers: PrivateReaders, status: LockedStatus, error: str
) -> None:
    locked = card_of(habits=Habits(locked_status=status))
    for command in ("00a4040c0ad392f000260100000001", "00a4020c020018", *["00200080020000"] * 3):
        locked.transmit(bytes.fromhex(command))

    with held(readers, locked):
        refused = run_beside(
            readers, "pkcs11-tool", "--module", PKCS11_MODULE, "--slot", "0", "--login",
            "--pin", "1234", "-O",
        )  # fmt: skip

    assert error in refused.stderr


def test_a_foreign_residents_name_is_read_through_opensc(readers: PrivateReaders) -> None:
    with held(readers, card_of(FOREIGNER)):
        printed = run_beside(
            readers, "pkcs15-tool", "--verify-pin", "--auth-id", "02", "--pin", "ABC123",
            "--read-certificate", "02",
        ).stdout  # fmt: skip

    assert (
        FOREIGNER.name.encode() in load_pem_x509_certificate(printed.encode()).tbs_certificate_bytes
    )


def test_a_childs_card_is_accepted_with_its_one_certificate(readers: PrivateReaders) -> None:
    with held(readers, SimulatedCard.issue(order_for(is_child=True))):
        printed = run_beside(readers, "pkcs15-tool", "--read-certificate", "01").stdout

    assert printed.startswith("-----BEGIN CERTIFICATE-----")


def test_a_card_torn_away_is_an_error_to_opensc(
    readers: PrivateReaders, card: SimulatedCard
) -> None:
    card.plan(Fault.TORN_AWAY, instruction=0xB0, after=4)

    torn = run_beside(readers, "pkcs15-tool", "--read-certificate", "01")

    assert torn.returncode != 0


def test_two_daemons_run_side_by_side(readers: PrivateReaders) -> None:
    with PrivateReaders() as others, HeldCard(card_of(), port=others.ports[1]):
        wait_for_card(others)

        seen = run_beside(readers, "opensc-tool", "-l").stdout

    assert " Yes " not in seen
