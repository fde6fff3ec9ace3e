"""KIOSK-RUNG, KIOSK-JOURNAL, KIOSK-SEAL: `daicho kiosk` at a shelter's desk, without a network."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.signature import is_card_signature
from clients.identity.statement import Purpose, decode_statement
from clients.kiosk.journal import open_entry, read_entries
from clients.wallet.records import record_public_key
from services.sim.card.daemon import PrivateReaders
from tests.support.cards import card_of, held, hierarchy, run_with, running_readers
from tests.support.kiosks import AUDIENCE, KIOSK, SERVICE_SECRET


@pytest.fixture(scope="module")
def readers() -> Iterator[PrivateReaders]:
    with running_readers() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a kiosk's settings and every file they name."""
    authority = hierarchy().authority(CertificateKind.AUTHENTICATION)
    an_hour_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    (tmp_path / "authority.der").write_bytes(authority.der)
    (tmp_path / "list.crl").write_bytes(authority.build_revocation_list(an_hour_ago))
    (tmp_path / "service.pub").write_text(record_public_key(SERVICE_SECRET).hex())
    (tmp_path / "development.key").write_text(KIOSK.export_secret().hex())
    (tmp_path / "development.key").chmod(0o600)
    path = tmp_path / "kiosk.toml"
    path.write_text(
        f'audience = "{AUDIENCE}"\nservice_key = "service.pub"\n'
        'kiosk_key = "development.key"\njournal = "journal"\n'
        'authorities = ["authority.der"]\nrevocation_lists = ["list.crl"]\n'
    )
    return path


def kiosk(
    readers: PrivateReaders, *words: object, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    return run_with(
        readers.environment, sys.executable, "-m", "node", "--json", "kiosk", *words, typed=typed
    )


def test_a_desk_receives_people_on_every_rung(readers: PrivateReaders, config: Path) -> None:
    with held(readers, card_of()):
        signed = kiosk(readers, "check-in", "signature", "--config", config, typed="1234\n")
        number = kiosk(
            readers, "check-in", "number-b", "--config", config, typed="90021720301234\n"
        )
        tapped = kiosk(readers, "check-in", "tap", "--config", config)
    staffed = kiosk(
        readers, "check-in", "staff", "--config", config, "--name", "台帳　次郎", "--by", "受付1"
    )
    verified = kiosk(readers, "verify", "--config", config)

    told = [json.loads(one.stdout) for one in (signed, number, tapped, staffed)]
    assert [one["number"] for one in told] == [0, 1, 2, 3]
    assert [one["authenticated"] for one in told] == [True, False, False, False]
    assert json.loads(verified.stdout) == {"entries": 4, "last receipt": told[3]["receipt"]}
    first = read_entries(
        (config.parent / "journal").read_bytes().splitlines(), kiosk=KIOSK.address
    )[0]
    record = open_entry(first, secret=SERVICE_SECRET, kiosk=KIOSK.address)
    text = str(record["text"])
    certificate = decode_certificate(bytes.fromhex(str(record["certificate"])))
    assert text in signed.stderr
    assert decode_statement(text.encode()).purpose is Purpose.CHECK_IN
    assert is_card_signature(
        certificate.key, text.encode(), bytes.fromhex(str(record["signature"]))
    )
    assert "good" in str(record["revocation"])


def test_a_wrong_pin_leaves_no_entry(readers: PrivateReaders, config: Path) -> None:
    with held(readers, card_of()):
        refused = kiosk(readers, "check-in", "signature", "--config", config, typed="9999\n")

    assert refused.returncode == 1
    assert json.loads(refused.stderr.splitlines()[-1])["error"]["code"] == "card.code_wrong"
    assert (config.parent / "journal").read_bytes() == b""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param('"list.crl"', '"service.pub"', "no configured authority", id="no list"),
        pytest.param("journal =", "diary =", "unknown key diary", id="unknown key"),
        pytest.param(AUDIENCE, "Not A Host", "host name", id="audience"),
        pytest.param("authority.der", "nowhere", "cannot be read", id="missing file"),
    ],
)
def test_settings_that_cannot_be_used_say_why(
    readers: PrivateReaders, config: Path, old: str, new: str, said: str
) -> None:
    config.write_text(config.read_text().replace(old, new))

    refused = kiosk(readers, "check-in", "tap", "--config", config)

    assert refused.returncode == 2
    assert said in refused.stderr


def test_a_key_that_others_may_read_stops_the_kiosk(readers: PrivateReaders, config: Path) -> None:
    (config.parent / "development.key").chmod(0o644)

    refused = kiosk(readers, "verify", "--config", config)

    assert refused.returncode == 2
    assert "chmod 600" in refused.stderr
