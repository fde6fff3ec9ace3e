"""OpenSC, which nobody here wrote, takes the simulated card for a My Number Card.

Its tools reach the card as in the field: PC/SC daemon, reader driver, commands. OpenSSL verifies
what the keys sign.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from clients.identity.certificate import CertificateKind
from services.sim.card.card import Fault, SimulatedCard
from services.sim.card.daemon import CardStackMissing, PrivateReaders, find_driver
from services.sim.card.files import CONTACTLESS_ATR, CardContents, Habits, LockedStatus
from services.sim.card.layout import lay_out
from services.sim.card.reader import HeldCard
from tests.support.cards import FOREIGNER, HANAKO, card_of, issued, order_for

PKCS11_MODULE = "opensc-pkcs11.so"


@pytest.fixture(scope="module")
def readers() -> Iterator[PrivateReaders]:
    try:
        find_driver()
    except CardStackMissing as error:
        pytest.skip(error.message)
    with PrivateReaders() as running:
        yield running


def run(readers: PrivateReaders, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **readers.environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def wait_for_card(readers: PrivateReaders, *, is_there: bool = True) -> None:
    """Return when the daemon has seen the card come or go."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = run(readers, "opensc-tool", "-l").stdout.splitlines()[2:]
        if any(" Yes " in line for line in lines) == is_there:
            return
        time.sleep(0.1)
    pytest.fail("the reader did not notice the card")


@pytest.fixture
def card(readers: PrivateReaders) -> Iterator[SimulatedCard]:
    with held(readers, card_of()) as one:
        yield one


class held:  # noqa: N801 - reads as a word in `with held(...)`
    """A card in the first reader for the length of a block."""

    def __init__(self, readers: PrivateReaders, card: SimulatedCard) -> None:
        self.readers = readers
        self.card = card
        self.holder = HeldCard(card, port=readers.ports[0])

    def __enter__(self) -> SimulatedCard:
        self.holder.insert()
        wait_for_card(self.readers)
        return self.card

    def __exit__(self, *error: object) -> None:
        self.holder.remove()
        wait_for_card(self.readers, is_there=False)


@pytest.mark.usefixtures("card")
def test_opensc_names_the_card(readers: PrivateReaders) -> None:
    assert run(readers, "opensc-tool", "-n").stdout.strip() == "jpki"


def test_opensc_knows_a_card_in_a_contactless_reader_too(readers: PrivateReaders) -> None:
    contents = lay_out(order_for())
    contactless = CardContents(applications=contents.applications, atr=CONTACTLESS_ATR)

    with held(readers, SimulatedCard(contactless)):
        assert run(readers, "opensc-tool", "-n").stdout.strip() == "jpki"
        atr = run(readers, "opensc-tool", "-a").stdout.strip().replace(":", "")

    assert bytes.fromhex(atr) == CONTACTLESS_ATR


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        pytest.param(
            ["--read-certificate", "01"], CertificateKind.AUTHENTICATION, id="authentication"
        ),
        pytest.param(
            ["--verify-pin", "--auth-id", "02", "--pin", "ABC123", "--read-certificate", "02"],
            CertificateKind.SIGNING,
            id="signing",
        ),
    ],
)
@pytest.mark.usefixtures("card")
def test_opensc_reads_the_certificate(
    readers: PrivateReaders, arguments: list[str], kind: CertificateKind
) -> None:
    printed = run(readers, "pkcs15-tool", *arguments).stdout

    found = load_pem_x509_certificate(printed.encode()).public_bytes(Encoding.DER)
    assert found == issued(kind, HANAKO).certificate


@pytest.mark.usefixtures("card")
def test_opensc_counts_two_keys_and_two_pins(readers: PrivateReaders) -> None:
    printed = run(readers, "pkcs15-tool", "--dump").stdout

    assert printed.count("Private RSA Key [") == 2
    assert printed.count("PIN [") == 2
    assert "Tries left     : 3" in printed
    assert "Tries left     : 5" in printed


@pytest.mark.parametrize(
    ("slot", "pin", "key", "kind"),
    [
        pytest.param("0", "1234", "01", CertificateKind.AUTHENTICATION, id="authentication"),
        pytest.param("1", "ABC123", "02", CertificateKind.SIGNING, id="signing"),
    ],
)
@pytest.mark.usefixtures("card")
def test_what_pkcs11_signs_openssl_verifies(
    readers: PrivateReaders, tmp_path: Path, slot: str, pin: str, key: str, kind: CertificateKind
) -> None:
    message, signature, public = (tmp_path / name for name in ("message", "signature", "public"))
    message.write_bytes("避難所への受付".encode())
    (tmp_path / "certificate").write_bytes(issued(kind, HANAKO).certificate)
    signed = run(
        readers, "pkcs11-tool", "--module", PKCS11_MODULE, "--slot", slot, "--login", "--pin", pin,
        "--sign", "-m", "SHA256-RSA-PKCS", "--id", key, "-i", message, "-o", signature,
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr

    run(readers, "openssl", "x509", "-inform", "DER", "-in", tmp_path / "certificate",
        "-pubkey", "-noout", "-out", public)  # fmt: skip
    verdict = run(
        readers, "openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, message
    )

    assert verdict.stdout.strip() == "Verified OK"


def test_a_wrong_pin_through_opensc_costs_a_try(
    readers: PrivateReaders, card: SimulatedCard
) -> None:
    refused = run(
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
        refused = run(
            readers, "pkcs11-tool", "--module", PKCS11_MODULE, "--slot", "0", "--login",
            "--pin", "1234", "-O",
        )  # fmt: skip

    assert error in refused.stderr


def test_a_foreign_residents_name_is_read_through_opensc(readers: PrivateReaders) -> None:
    with held(readers, card_of(FOREIGNER)):
        printed = run(
            readers, "pkcs15-tool", "--verify-pin", "--auth-id", "02", "--pin", "ABC123",
            "--read-certificate", "02",
        ).stdout  # fmt: skip

    assert (
        FOREIGNER.name.encode() in load_pem_x509_certificate(printed.encode()).tbs_certificate_bytes
    )


def test_a_childs_card_is_accepted_with_its_one_certificate(readers: PrivateReaders) -> None:
    with held(readers, SimulatedCard.issue(order_for(is_child=True))):
        printed = run(readers, "pkcs15-tool", "--read-certificate", "01").stdout

    assert printed.startswith("-----BEGIN CERTIFICATE-----")


def test_a_card_torn_away_is_an_error_to_opensc(
    readers: PrivateReaders, card: SimulatedCard
) -> None:
    card.plan(Fault.TORN_AWAY, instruction=0xB0, after=4)

    torn = run(readers, "pkcs15-tool", "--read-certificate", "01")

    assert torn.returncode != 0


def test_two_daemons_run_side_by_side(readers: PrivateReaders) -> None:
    with PrivateReaders() as others, HeldCard(card_of(), port=others.ports[1]):
        wait_for_card(others)

        seen = run(readers, "opensc-tool", "-l").stdout

    assert " Yes " not in seen
