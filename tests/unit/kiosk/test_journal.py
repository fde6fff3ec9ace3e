"""KIOSK-JOURNAL, KIOSK-SEAL: what was taken down can be neither changed nor read at the kiosk."""

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.identity.attributes import FourAttributes, Sex
from clients.identity.certificate import decode_certificate
from clients.identity.revocation import Undetermined
from clients.identity.signature import is_card_signature
from clients.kiosk import journal as journals
from clients.kiosk.journal import (
    Journal,
    JournalBroken,
    JournalFull,
    open_entry,
    open_journal,
    read_entries,
)
from clients.kiosk.ladder import (
    CheckIn,
    KioskTrust,
    NumberBCheckIn,
    StaffCheckIn,
    TapCheckIn,
)
from clients.wallet.records import InvalidRecord, record_public_key
from node.primitives.crypto import PrivateKey
from tests.support.cards import HANAKO, card_of, certificate_of, hierarchy, order_for
from tests.support.identity import NOW
from tests.support.kiosks import KIOSK, SERVICE_SECRET, signed_check_in

SERVICE_KEY = record_public_key(SERVICE_SECRET)
ANOTHER_KIOSK = PrivateKey(b"\x44" * 32)
JIRO = StaffCheckIn(name="台帳　次郎", note="札12", entered_by="受付1")


def opened(path: Path, key: PrivateKey = KIOSK) -> Journal:
    return open_journal(path, key=key, service_key=SERVICE_KEY)


def filled(path: Path, *check_ins: CheckIn) -> list[bytes]:
    """Write check-ins and return the file's lines."""
    journal = opened(path)
    for check_in in check_ins:
        journal.append(check_in, at=NOW)
    return path.read_bytes().splitlines()


def records(lines: list[bytes]) -> list[dict[str, object]]:
    return [
        open_entry(entry, secret=SERVICE_SECRET, kiosk=KIOSK.address)
        for entry in read_entries(lines, kiosk=KIOSK.address)
    ]


def test_the_service_reads_what_the_kiosk_took_down(tmp_path: Path) -> None:
    certificate = decode_certificate(certificate_of("authentication", order_for()))
    attributes = FourAttributes(
        name=HANAKO.name, address=HANAKO.address, birth_date=date(1990, 2, 17), sex=Sex.FEMALE
    )
    tap = TapCheckIn(certificate=certificate, revocation=Undetermined(why="no list"))

    read = records(filled(tmp_path / "journal", NumberBCheckIn(attributes=attributes), tap, JIRO))

    assert [record["rung"] for record in read] == ["number-b", "tap", "staff"]
    assert [record["authenticated"] for record in read] == [False] * 3
    assert (read[0]["name"], read[0]["birth_date"]) == (HANAKO.name, "1990-02-17")
    assert read[1]["revocation"] == {"status": "unknown", "why": "no list"}
    assert read[2]["note"] == "札12"


def test_the_service_verifies_a_signed_check_in_again(tmp_path: Path) -> None:
    signed = signed_check_in(card_of(), KioskTrust(store=hierarchy().trust_store()))

    (record,) = records(filled(tmp_path / "journal", signed))

    certificate = decode_certificate(bytes.fromhex(str(record["certificate"])))
    text, signature = str(record["text"]).encode(), bytes.fromhex(str(record["signature"]))
    assert is_card_signature(certificate.key, text, signature)


def test_a_journal_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    filled(path, JIRO)

    lines = filled(path, JIRO)

    assert [entry.number for entry in read_entries(lines, kiosk=KIOSK.address)] == [0, 1]
    assert opened(path).count == 2


def test_the_file_tells_nothing_about_people(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    signed = signed_check_in(card_of(), KioskTrust(store=hierarchy().trust_store()))
    lines = filled(path, signed, JIRO)

    for line in lines:
        sealed = bytes.fromhex(json.loads(line)["sealed"])
        for known in (JIRO.name.encode(), signed.certificate.der.hex().encode()[:64]):
            assert known not in line + sealed
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_off_by_a_power_failure_is_dropped(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal"
    first, _ = filled(path, JIRO, JIRO)
    path.write_bytes(path.read_bytes()[:-cut])

    journal = opened(path)

    assert journal.count == 1
    assert path.read_bytes() == first + b"\n"
    journal.append(JIRO, at=NOW)
    assert opened(path).count == 2


def test_lines_that_were_moved_or_taken_out_show(tmp_path: Path) -> None:
    first, second, third = filled(tmp_path / "journal", JIRO, JIRO, JIRO)

    for lines in ([first, third], [second, first], [second, third], [first, first]):
        with pytest.raises(JournalBroken):
            read_entries(lines, kiosk=KIOSK.address)


def test_two_journals_of_one_kiosk_cannot_be_spliced(tmp_path: Path) -> None:
    first, _ = filled(tmp_path / "morning", JIRO, JIRO)
    _, second = filled(tmp_path / "evening", JIRO, JIRO)

    with pytest.raises(JournalBroken):
        read_entries([first, second], kiosk=KIOSK.address)


def test_another_kiosks_journal_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    filled(path, JIRO)

    with pytest.raises(JournalBroken):
        opened(path, ANOTHER_KIOSK)


def test_a_record_opens_in_its_own_place_only(tmp_path: Path) -> None:
    entries = read_entries(filled(tmp_path / "journal", JIRO, JIRO), kiosk=KIOSK.address)

    with pytest.raises(InvalidRecord):
        open_entry(entries[0], secret=SERVICE_SECRET, kiosk=ANOTHER_KIOSK.address)
    with pytest.raises(InvalidRecord):
        open_entry(entries[0], secret=b"\x55" * len(SERVICE_SECRET), kiosk=KIOSK.address)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_changed_byte_shows(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "journal"
    path.unlink(missing_ok=True)
    (line,) = filled(path, JIRO)
    at = data.draw(st.integers(0, len(line) - 1))
    changed = bytearray(line)
    changed[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(JournalBroken):
        read_entries([bytes(changed)], kiosk=KIOSK.address)


@given(st.binary(max_size=400))
def test_bytes_that_are_no_line_are_broken(line: bytes) -> None:
    with pytest.raises(JournalBroken):
        read_entries([line], kiosk=KIOSK.address)


def test_a_journal_takes_as_many_entries_as_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "ENTRIES_MAX", 2)
    path = tmp_path / "journal"
    filled(path, JIRO, JIRO)

    with pytest.raises(JournalFull):
        opened(path).append(JIRO, at=NOW)
