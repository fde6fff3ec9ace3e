"""What a kiosk took down, sealed for the identity service, in a file that only grows.

Each line holds a sealed record, the hash of the line before and the kiosk's signature, so that a
line that was changed, moved or taken out shows, and a stolen kiosk tells nothing about the people
it received. A cut-off tail shows only against a count kept elsewhere: the upload's receipt, or the
number on the last slip that was printed.

Spec: KIOSK-JOURNAL, KIOSK-SEAL.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from clients.identity.revocation import Good, Undetermined
from clients.kiosk.ladder import (
    CheckIn,
    NumberBCheckIn,
    SignedCheckIn,
    StaffCheckIn,
    TapCheckIn,
    is_authenticated,
    rung_of,
)
from clients.wallet.records import open_record, seal_record
from node.primitives.crypto import PrivateKey, keccak256, recover_address
from node.primitives.errors import InvalidInput, MalformedMessage, Unavailable
from node.primitives.json_text import decode_json
from node.primitives.types import Address, Hash32

ENTRIES_MAX: Final = 100_000
"""Entries in one journal; a larger shelter starts another."""

LINE_SIZE_MAX: Final = 64 * 1024
"""Longest line, in bytes; a signed check-in takes about 10 KiB, with the longest certificate 40."""

SECTOR: Final = "check-in"
"""Bound into the sealing of each record."""

_DOMAIN: Final = b"daicho kiosk journal v1"
_GENESIS: Final = Hash32(bytes(32))


class JournalBroken(InvalidInput):
    """A line is not the kiosk's, or does not follow the one before."""

    code = "kiosk.journal_broken"


class JournalFull(Unavailable):
    """The journal has as many entries as it may."""

    code = "kiosk.journal_full"


class MalformedRecord(MalformedMessage):
    """An opened record that is none."""

    code = "kiosk.malformed_record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a journal."""

    number: int
    """From zero."""
    previous: Hash32
    """Hash of the entry before; zeros for the first."""
    sealed: bytes = field(repr=False)
    """The record, for the identity service."""
    signature: bytes = field(repr=False)
    """The kiosk's, over everything before."""

    @property
    def digest(self) -> Hash32:
        """Return the hash the kiosk signs."""
        body = self.number.to_bytes(8, "big") + self.previous + keccak256(self.sealed)
        return keccak256(_DOMAIN + body)

    def encode(self) -> bytes:
        """Return the line, with its end."""
        fields = {
            "number": self.number,
            "previous": self.previous.hex(),
            "sealed": self.sealed.hex(),
            "signature": self.signature.hex(),
        }
        return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode() + b"\n"


class Journal:
    """An open journal; one process writes it."""

    def __init__(
        self, path: Path, *, key: PrivateKey, service_key: bytes, entries: tuple[Entry, ...]
    ) -> None:
        self._path = path
        self._key = key
        self._service_key = service_key
        self._count = len(entries)
        self._last = entries[-1].digest if entries else _GENESIS

    @property
    def count(self) -> int:
        """Return how many entries it has."""
        return self._count

    def append(self, check_in: CheckIn, *, at: datetime) -> Entry:
        """Seal and sign a check-in and write it; it is on the disk when this returns.

        Raises:
            JournalFull: There is no room.

        Spec: KIOSK-JOURNAL, KIOSK-SEAL.
        """
        if self._count >= ENTRIES_MAX:
            raise JournalFull(f"journal: it has {ENTRIES_MAX} entries; start another")
        sealed = seal_record(
            self._service_key,
            encode_record(check_in, at=at),
            sector=SECTOR,
            record_id=record_id(self._key.address, self._count),
        )
        unsigned = Entry(number=self._count, previous=self._last, sealed=sealed, signature=b"")
        entry = Entry(
            number=unsigned.number,
            previous=unsigned.previous,
            sealed=sealed,
            signature=self._key.sign(unsigned.digest),
        )
        with self._path.open("ab") as file:
            file.write(entry.encode())
            file.flush()
            os.fsync(file.fileno())
        self._count += 1
        self._last = entry.digest
        return entry


def open_journal(path: Path, *, key: PrivateKey, service_key: bytes) -> Journal:
    """Open a journal, or start one; a line that was being written when the power went is cut off.

    Raises:
        JournalBroken: A whole line is not ours, or does not follow.

    Spec: KIOSK-JOURNAL.
    """
    if not path.exists():
        path.touch(mode=0o600)
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    entries = read_entries(whole.splitlines(), kiosk=key.address)
    if len(whole) != len(data):
        os.truncate(path, len(whole))
    return Journal(path, key=key, service_key=service_key, entries=entries)


def read_entries(lines: Iterable[bytes], *, kiosk: Address) -> tuple[Entry, ...]:
    """Read a journal's lines and check that each is the kiosk's and follows the one before.

    Raises:
        JournalBroken: One does not; ``values`` tell its number.

    Spec: KIOSK-JOURNAL.
    """
    entries: list[Entry] = []
    last = _GENESIS
    for number, line in enumerate(lines):
        entry = _decode_entry(line, number)
        try:
            is_ours = recover_address(entry.digest, entry.signature) == kiosk
        except InvalidInput as error:
            raise _broken(number) from error
        if not is_ours or entry.number != number or entry.previous != last:
            raise _broken(number)
        last = entry.digest
        entries.append(entry)
    return tuple(entries)


def open_entry(entry: Entry, *, secret: bytes, kiosk: Address) -> dict[str, object]:
    """Open an entry's record with the identity service's secret record key.

    Raises:
        InvalidRecord: It was sealed for another key, kiosk or place in the journal.
        MalformedRecord: It holds no record.

    Spec: KIOSK-SEAL.
    """
    record = open_record(
        secret, entry.sealed, sector=SECTOR, record_id=record_id(kiosk, entry.number)
    )
    try:
        decoded = decode_json(record)
    except MalformedMessage as error:
        raise MalformedRecord("journal: a record does not decode", rule="KIOSK-SEAL") from error
    if not isinstance(decoded, dict):
        raise MalformedRecord("journal: a record is no object", rule="KIOSK-SEAL")
    return decoded


def record_id(kiosk: Address, number: int) -> bytes:
    """Return what names an entry's record: kiosk and number."""
    return kiosk + number.to_bytes(8, "big")


def encode_record(check_in: CheckIn, *, at: datetime) -> bytes:
    """Return the record of a check-in, as JSON; it leaves this module sealed only."""
    fields: dict[str, object] = {
        "at": at.isoformat(),
        "rung": rung_of(check_in).value,
        "authenticated": is_authenticated(check_in),
    }
    match check_in:
        case SignedCheckIn():
            fields |= {
                "certificate": check_in.certificate.der.hex(),
                "text": check_in.text.decode(),
                "signature": check_in.signature.hex(),
                "revocation": _describe(check_in.revocation),
            }
        case TapCheckIn():
            fields |= {
                "certificate": check_in.certificate.der.hex(),
                "revocation": _describe(check_in.revocation),
            }
        case NumberBCheckIn(attributes=read):
            fields |= {
                "name": read.name,
                "address": read.address,
                "birth_date": read.birth_date.isoformat() if read.birth_date else None,
                "sex": read.sex.value,
                "source": "text application, unverified",
            }
        case StaffCheckIn():
            fields |= {
                "name": check_in.name,
                "note": check_in.note,
                "entered_by": check_in.entered_by,
            }
    return json.dumps(fields, ensure_ascii=False, sort_keys=True).encode()


def _describe(status: Good | Undetermined) -> dict[str, str]:
    match status:
        case Good(as_of=as_of):
            return {"status": "good", "as_of": as_of.isoformat()}
        case Undetermined(why=why):
            return {"status": "unknown", "why": why}


def _decode_entry(line: bytes, number: int) -> Entry:
    if len(line) > LINE_SIZE_MAX or number >= ENTRIES_MAX:
        raise _broken(number)
    try:
        fields: Any = decode_json(line)
        entry = Entry(
            number=int(fields["number"]),
            previous=Hash32(bytes.fromhex(fields["previous"])),
            sealed=bytes.fromhex(fields["sealed"]),
            signature=bytes.fromhex(fields["signature"]),
        )
        is_canonical = entry.encode() == line + b"\n"
    except (MalformedMessage, ValueError, KeyError, TypeError, OverflowError) as error:
        raise _broken(number) from error
    if not is_canonical or entry.number < 0:
        raise _broken(number)
    return entry


def _broken(number: int) -> JournalBroken:
    return JournalBroken(
        f"journal: entry {number} is not this kiosk's or does not follow the one before",
        rule="KIOSK-JOURNAL",
        number=number,
    )
