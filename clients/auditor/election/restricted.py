"""The commission's accredited export, read piece by piece; people are in it, so it stays here.

The file is decrypted a chunk at a time and handed on line by line; a line is parsed strictly. None
of its texts appears in a message, a ``repr`` or a traceback: places are told as line numbers.

Spec: ROLL-EXPORT, AUDIT-ACCREDITED.
"""

import re
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import ConfigDict, Field, field_validator

from clients.auditor.election.records import Hash, HashOrNone, P33Text, Part, Small, Whole
from clients.auditor.election.transcripts import InvalidRecord, int_bytes
from node.primitives.errors import Misconfigured
from node.settings import check_private

LINE_SIZE_MAX: Final = 64 * 1024
"""Longest line: an entry with its certificate has about 5 KiB."""

KEY_FILE_SIZE_MAX: Final = 4_096

_MAGIC: Final = b"DAICHO-ROLL-EXPORT-1"
_LABEL: Final = b"JMEV1/roll-export"
_SEALED_KEY_SIZE: Final = 32 + 32 + 16
_CHUNK_SIZE_MAX: Final = 1024 * 1024 + 16
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_SLOT: Final = re.compile(rb'"slot":"([0-9a-f]{64})"')
_KIND: Final = re.compile(rb'"kind":"([a-z]{1,16})"')

Signature65 = Annotated[str, Field(pattern=r"^[0-9a-f]{130}$")]
EvenHex = r"^([0-9a-f]{2})*$"
PersonText = Annotated[str, Field(min_length=1, max_length=200)]


class Restricted(Part):
    """A line of the export; shows nothing of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    def __repr__(self) -> str:
        """Hide all of it."""
        return f"{type(self).__name__}(hidden)"

    __str__ = __repr__


class RollLine(Restricted):
    """The first line: which roll, and the key of its slots."""

    kind: Literal["roll"]
    version: Literal[1]
    eid: Hash
    draft_id: Hash
    slot_key: Annotated[str, Field(pattern=EvenHex, min_length=32, max_length=128)]
    registrar: P33Text
    attestor: P33Text


class ElectorLine(Restricted):
    """An elector as the register has them."""

    kind: Literal["elector"]
    slot: Hash
    number: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,32}$")]
    name: PersonText
    address: PersonText
    birth_date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    sex: Literal["male", "female", "unknown"] | None
    district: Annotated[str, Field(max_length=200)]
    style: Small
    certificate_name: Annotated[str, Field(max_length=200)]
    certificate_address: Annotated[str, Field(max_length=200)]

    @field_validator("birth_date")
    @classmethod
    def check_day(cls, text: str) -> str:
        """Refuse what is no day, without repeating it."""
        try:
            date.fromisoformat(text)
        except ValueError:
            raise ValueError("no day") from None
        return text


class StatusPart(Restricted):
    """What the registrar found of the certificate's revocation."""

    method: Literal["ocsp", "crl"]
    as_of: Whole
    checked_at: Whole
    authority: HashOrNone


class EntryLine(Restricted):
    """An accepted entry with all that speaks for it."""

    kind: Literal["entry"]
    slot: Hash
    entry_version: Annotated[int, Field(ge=1, le=2**32 - 1)]
    state: Literal["accepted", "superseded", "cancelled"]
    commitment: Hash
    batch: Annotated[int, Field(ge=0, le=2**32 - 1)]
    time: Whole
    registrar_signature: Signature65
    attestor_signature: Signature65
    entry: Annotated[str, Field(pattern=EvenHex, max_length=1_024)]
    signature: Annotated[str, Field(pattern=EvenHex, max_length=1_024)]
    certificate: Annotated[str, Field(pattern=EvenHex, max_length=16_384)]
    salt: Hash
    status: StatusPart


class CancelLine(Restricted):
    """A signed cancel record, opened."""

    kind: Literal["cancel"]
    slot: Hash
    reason: Literal[1, 2, 3, 4]
    evidence: Hash
    salt: Hash
    time: Whole
    commitment: Hash
    batch: Annotated[int, Field(ge=0, le=2**32 - 1)]
    registrar_signature: Signature65
    attestor_signature: Signature65


class CountsLine(Restricted):
    """The last line."""

    kind: Literal["counts"]
    electors: Whole
    entries: Whole
    cancels: Whole
    tokens: Whole


def kind_of(line: bytes) -> str:
    """Return what a line says it is; empty when it does not.

    Inside a JSON text a quotation mark is escaped, so that no name can look like a kind.
    """
    found = _KIND.search(line)
    return "" if found is None else found[1].decode("ascii")


def slot_of(line: bytes) -> bytes:
    """Return the slot that a line names, empty when it names none; parsing it comes later."""
    found = _SLOT.search(line)
    return b"" if found is None else bytes.fromhex(found[1].decode("ascii"))


def load_export_key(path: Path) -> X25519PrivateKey:
    """Read the auditor's X25519 key from a PEM file that its owner alone can read.

    Raises:
        Misconfigured: It is missing, open to others, or no such key.
    """
    check_private(path)
    try:
        with path.open("rb") as file:
            key = load_pem_private_key(file.read(KEY_FILE_SIZE_MAX), password=None)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise Misconfigured(
            f"{path}: no X25519 key in PEM without a password; make one with"
            " `openssl genpkey -algorithm x25519`"
        )
    return key


def read_lines(path: Path, key: X25519PrivateKey, eid: bytes) -> Iterator[bytes]:
    """Yield the lines of an export; never more than a chunk and a line are held.

    Raises:
        Misconfigured: It cannot be read, or is for another auditor or another election.
        InvalidRecord: It was altered or cut off, or a line is too long or does not end.

    Spec: ROLL-EXPORT, AUDIT-ACCREDITED.
    """
    try:
        with path.open("rb") as file:
            yield from _split(_open_chunks(file, path, key, eid))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _open_chunks(file: BinaryIO, path: Path, key: X25519PrivateKey, eid: bytes) -> Iterator[bytes]:
    start = len(_MAGIC) + 32
    head = file.read(start + _SEALED_KEY_SIZE)
    if head[:start] != _MAGIC + eid:
        raise Misconfigured(f"{path}: no export of this election; ask the commission for it")
    try:
        content_key = _SUITE.decrypt(head[start:], key, _LABEL + eid)
    except (InvalidTag, ValueError) as error:
        raise Misconfigured(
            f"{path}: not encrypted to this key; give the key whose public part the commission has"
        ) from error
    cipher, binding, place = AESGCM(content_key), sha256(head).digest(), 0
    length = file.read(4)
    while length:
        size = int.from_bytes(length, "big")
        sealed = file.read(size) if size <= _CHUNK_SIZE_MAX else b""
        length = file.read(4)
        try:
            is_last = int_bytes(0 if length else 1, 1)
            yield cipher.decrypt(bytes(4) + int_bytes(place, 8), sealed, binding + is_last)
        except (InvalidTag, ValueError) as error:
            raise InvalidRecord("roll export: altered or cut off", rule="ROLL-EXPORT") from error
        place += 1
    if not place:
        raise InvalidRecord("roll export: cut off", rule="ROLL-EXPORT")


def _split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in (*lines, rest):
            if len(line) > LINE_SIZE_MAX:
                raise InvalidRecord("roll export: a line is too long", rule="AUDIT-ACCREDITED")
        yield from lines
    if rest:
        raise InvalidRecord("roll export: the last line does not end", rule="AUDIT-ACCREDITED")
