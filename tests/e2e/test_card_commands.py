"""CARD-MESSAGE, CARD-CODE, CARD-NUMBER: `daicho card` as a person uses it, in its own process."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from services.sim.card.card import SimulatedCard
from services.sim.card.daemon import PrivateReaders
from services.sim.card.layout import INDIVIDUAL_NUMBER, NUMBER_A, TEXT
from tests.support.cards import (
    HANAKO,
    card_of,
    certificate_of,
    held,
    order_for,
    run_with,
    running_readers,
)


@pytest.fixture(scope="module")
def readers() -> Iterator[PrivateReaders]:
    with running_readers() as running:
        yield running


@pytest.fixture
def card(readers: PrivateReaders) -> Iterator[SimulatedCard]:
    one = card_of()
    with held(readers, one):
        yield one
        assert {(TEXT, INDIVIDUAL_NUMBER), (TEXT, NUMBER_A)}.isdisjoint(one.selections)


def daicho(
    readers: PrivateReaders, *words: object, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    return run_with(readers.environment, sys.executable, "-m", "node", *words, typed=typed)


@pytest.mark.usefixtures("card")
def test_info_counts_tries_and_says_that_the_number_is_not_read(readers: PrivateReaders) -> None:
    told = daicho(readers, "--json", "card", "info")

    assert json.loads(told.stdout) == {
        "carrier": "card",
        "tries left, authentication": 3,
        "tries left, signing": 5,
        "tries left, text": 3,
        "tries left, number-b": 10,
        "authentication certificate ends": "2030-02-17",
    }
    assert "マイナンバー（個人番号）は読み取りません。" in told.stderr


@pytest.mark.usefixtures("card")
def test_cert_writes_a_file_for_its_owner_alone(readers: PrivateReaders, tmp_path: Path) -> None:
    out = tmp_path / "certificate.pem"

    told = daicho(readers, "card", "cert", "signing", "--out", out, typed="abc123\n")

    written = load_pem_x509_certificate(out.read_bytes()).public_bytes(Encoding.DER)
    assert written == certificate_of("signing", order_for())
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert HANAKO.name not in told.stdout + told.stderr


def test_test_has_the_card_sign(readers: PrivateReaders, card: SimulatedCard) -> None:
    told = daicho(readers, "--json", "card", "test", typed="１２３４\n")

    assert json.loads(told.stdout)["signature"] == "valid"
    assert not card.state.verified


@pytest.mark.usefixtures("card")
def test_attributes_are_shown_with_number_b(readers: PrivateReaders) -> None:
    number_b = order_for().codes.number_b

    told = daicho(
        readers, "--json", "card", "attributes", "--with", "number-b", typed=f"{number_b}\n"
    )

    shown = json.loads(told.stdout)
    assert (shown["name"], shown["birth date"]) == (HANAKO.name, HANAKO.birth_date.isoformat())
    assert shown["source"] == "read off the card, not verified"
    assert number_b not in told.stdout + told.stderr


@pytest.mark.parametrize(
    ("typed", "language", "expected", "left"),
    [
        pytest.param("9999", "ja", "あと2回でロックされます。", [2], id="wrong, Japanese"),
        pytest.param("9999", "en", "After 2 more it will be locked.", [2], id="wrong, English"),
        pytest.param("ABC123", "en", "looks like the password", [], id="another code"),
        pytest.param("12", "ja", "カードには送っていません。", [], id="too short"),
    ],
)
def test_a_code_that_is_not_right_is_explained(
    readers: PrivateReaders,
    card: SimulatedCard,
    typed: str,
    language: str,
    expected: str,
    left: list[int],
) -> None:
    told = daicho(readers, "card", "test", "--language", language, typed=f"{typed}\n")

    assert told.returncode == 1
    assert expected in told.stderr
    assert typed not in told.stderr
    assert list(card.state.tries.values()) == left


def test_without_a_card_the_next_step_is_said(readers: PrivateReaders) -> None:
    told = daicho(readers, "card", "info")

    assert told.returncode == 1
    assert "カードが見つかりません" in told.stderr


def test_without_a_daemon_the_next_step_is_said(tmp_path: Path) -> None:
    told = run_with(
        {"PCSCLITE_CSOCK_NAME": str(tmp_path / "nobody")},
        *(sys.executable, "-m", "node", "card", "info", "--language", "en"),
    )

    assert told.returncode == 1
    assert "install pcscd and start it" in told.stderr
