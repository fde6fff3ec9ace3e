"""The card as a function: a command and a state give an answer and the next state.

Byte for byte what is known of the real card's commands; where sources disagree, ``Habits`` decides.
No sockets, no clock. Private keys sign deterministically, so the same commands give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed

from services.sim.card.files import (
    Application,
    CardContents,
    CardFile,
    CodeFile,
    DataFile,
    KeyFile,
)

OK: Final = 0x9000
WRONG_LENGTH: Final = 0x6700
NOT_OPENED: Final = 0x6982
NOT_SATISFIED: Final = 0x6985
NOT_FOUND: Final = 0x6A82
WRONG_PARAMETERS: Final = 0x6A86
WRONG_OFFSET: Final = 0x6B00
UNKNOWN_INSTRUCTION: Final = 0x6D00
UNKNOWN_CLASS: Final = 0x6E00
TRIES_LEFT: Final = 0x63C0

PADDED_SIZE_MAX: Final = 245
"""Longest input that PKCS#1 v1.5 fits into 2048 bits."""

_DIGEST_INFO_SHA256: Final = bytes.fromhex("3031300d060960864801650304020105000420")
_SHA384_SIZE: Final = 48

Place = tuple[bytes, int]
"""Application identifier and file id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardState:
    """What use changes. Reset forgets the selection and verified codes, not the tries."""

    application: bytes | None = None
    """Identifier of the selected application."""
    file: int | None = None
    """Selected file in it."""
    verified: frozenset[int] = frozenset()
    """Files of the codes verified in the selected application."""
    tries: Mapping[Place, int] = field(default_factory=dict)
    """Tries left of codes that were not right at last; others have all of them."""
    codes: Mapping[Place, bytes] = field(default_factory=dict, repr=False)
    """Codes that were changed."""

    def after_reset(self) -> "CardState":
        """Return the state after power-off or reset."""
        return CardState(tries=self.tries, codes=self.codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the card sends back, and what it is then."""

    state: CardState
    """The next state."""
    status: int
    """SW1 and SW2."""
    data: bytes = b""
    """Data before the status."""

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        return self.data + self.status.to_bytes(2, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    expected: int


def answer(contents: CardContents, state: CardState, command: bytes) -> Answer:
    """Answer one command APDU; bytes that are none get ``6700``."""
    parsed = _parse(command)
    if parsed is None:
        return Answer(state=state, status=WRONG_LENGTH)
    match (parsed.cla, parsed.ins):
        case (0x00, 0xA4):
            return _select(contents, state, parsed)
        case (0x00, 0xB0):
            return _read(contents, state, parsed)
        case (0x00, 0x20):
            return _verify(contents, state, parsed)
        case (0x00, 0x24):
            return _change_code(contents, state, parsed)
        case (0x80, 0x2A):
            return _sign(contents, state, parsed)
        case (0x00 | 0x80, _):
            return Answer(state=state, status=UNKNOWN_INSTRUCTION)
        case _:
            return Answer(state=state, status=UNKNOWN_CLASS)


def _parse(command: bytes) -> _Command | None:
    """Split a short APDU of any of the four cases; None when its lengths do not add up."""
    if not 4 <= len(command) <= 261:
        return None
    data, expected = b"", 0
    body = command[4:]
    if len(body) == 1:
        expected = body[0] or 256
    elif body:
        size, rest = body[0], body[1:]
        if size == 0 or len(rest) not in (size, size + 1):
            return None
        data = rest[:size]
        expected = (rest[size] or 256) if len(rest) > size else 0
    cla, ins, p1, p2 = command[:4]
    return _Command(cla=cla, ins=ins, p1=p1, p2=p2, data=data, expected=expected)


def _select(contents: CardContents, state: CardState, command: _Command) -> Answer:
    if (command.p1, command.p2) == (0x04, 0x0C):
        application = contents.find(command.data)
        if application is None:
            return Answer(state=state, status=NOT_FOUND)
        is_same = state.application == application.identifier
        keeps = is_same and not contents.habits.is_cleared_by_selecting
        following = replace(
            state,
            application=application.identifier,
            file=None,
            verified=state.verified if keeps else frozenset(),
        )
        return Answer(state=following, status=OK)
    if (command.p1, command.p2) == (0x02, 0x0C):
        application = _selected(contents, state)
        if len(command.data) != 2:
            return Answer(state=state, status=WRONG_LENGTH)
        file_id = int.from_bytes(command.data, "big")
        if application is None or file_id not in application.files:
            return Answer(state=state, status=NOT_FOUND)
        return Answer(state=replace(state, file=file_id), status=OK)
    return Answer(state=state, status=WRONG_PARAMETERS)


def _read(contents: CardContents, state: CardState, command: _Command) -> Answer:
    file = _file(contents, state, state.file)
    if not isinstance(file, DataFile):
        return Answer(state=state, status=0x6986)
    if file.opened_by and not file.opened_by & state.verified:
        return Answer(state=state, status=NOT_OPENED)
    offset = command.p1 << 8 | command.p2
    if offset >= 0x8000:
        return Answer(state=state, status=WRONG_PARAMETERS)
    if offset >= len(file.data):
        return Answer(state=state, status=WRONG_OFFSET)
    if command.expected == 0:
        return Answer(state=state, status=WRONG_LENGTH)
    return Answer(state=state, status=OK, data=file.data[offset : offset + command.expected])


def _verify(contents: CardContents, state: CardState, command: _Command) -> Answer:
    file = _file(contents, state, state.file)
    if (command.p1, command.p2) != (0x00, 0x80):
        return Answer(state=state, status=WRONG_PARAMETERS)
    if not isinstance(file, CodeFile) or state.application is None or state.file is None:
        return Answer(state=state, status=NOT_SATISFIED)
    place = (state.application, state.file)
    left = state.tries.get(place, file.tries_max)
    if not command.data:
        return Answer(state=state, status=TRIES_LEFT | left)
    if left == 0:
        return Answer(state=state, status=contents.habits.locked_status.value)
    if command.data != state.codes.get(place, file.code):
        following = replace(
            state,
            tries={**state.tries, place: left - 1},
            verified=state.verified - {state.file},
        )
        return Answer(state=following, status=TRIES_LEFT | left - 1)
    tries = {known: count for known, count in state.tries.items() if known != place}
    following = replace(state, tries=tries, verified=state.verified | {state.file})
    return Answer(state=following, status=OK)


def _change_code(contents: CardContents, state: CardState, command: _Command) -> Answer:
    file = _file(contents, state, state.file)
    if (command.p1, command.p2) != (0x01, 0x80):
        return Answer(state=state, status=WRONG_PARAMETERS)
    if not isinstance(file, CodeFile) or state.application is None or state.file is None:
        return Answer(state=state, status=NOT_SATISFIED)
    if state.file not in state.verified:
        return Answer(state=state, status=NOT_OPENED)
    shortest, longest = file.lengths
    if not shortest <= len(command.data) <= longest:
        return Answer(state=state, status=WRONG_LENGTH)
    codes = {**state.codes, (state.application, state.file): command.data}
    return Answer(state=replace(state, codes=codes), status=OK)


def _sign(contents: CardContents, state: CardState, command: _Command) -> Answer:
    short_id = command.p2 & 0x7F
    file = _file(contents, state, short_id or state.file)
    if not command.p2 & 0x80:
        return Answer(state=state, status=WRONG_PARAMETERS)
    if not isinstance(file, KeyFile):
        return Answer(state=state, status=NOT_SATISFIED)
    if file.opened_by not in state.verified:
        return Answer(state=state, status=NOT_OPENED)
    status, signature = _signature(file, command.p1, command.data)
    if status == OK and file.is_for_documents and contents.habits.is_cleared_by_signing:
        state = replace(state, verified=state.verified - {file.opened_by})
    return Answer(state=state, status=status, data=signature)


def _signature(file: KeyFile, scheme: int, data: bytes) -> tuple[int, bytes]:
    """Sign ``data`` by scheme P1: 0 pads, 1 pads a bare hash, 2 wraps a hash, 3 hashes."""
    if isinstance(file.key, ec.EllipticCurvePrivateKey):
        return _elliptic_signature(file.key, scheme, data)
    match scheme:
        case 0x00:
            payload = data
        case 0x01:
            payload = _sha256(data)
        case 0x02:
            payload = _DIGEST_INFO_SHA256 + data
        case 0x03:
            payload = _DIGEST_INFO_SHA256 + _sha256(data)
        case _:
            return WRONG_PARAMETERS, b""
    if scheme == 0x02 and len(data) != 32:
        return NOT_SATISFIED, b""
    if not data or len(payload) > PADDED_SIZE_MAX:
        return WRONG_LENGTH, b""
    return OK, _sign_padded(file.key, payload)


def _elliptic_signature(
    key: ec.EllipticCurvePrivateKey, scheme: int, data: bytes
) -> tuple[int, bytes]:
    """Sign a SHA-384 digest: our guess at the next card, of which no interface is published."""
    if scheme != 0x00:
        return WRONG_PARAMETERS, b""
    if len(data) != _SHA384_SIZE:
        return NOT_SATISFIED, b""
    return OK, key.sign(data, ec.ECDSA(Prehashed(hashes.SHA384()), deterministic_signing=True))


def _sign_padded(key: rsa.RSAPrivateKey, payload: bytes) -> bytes:
    """Pad whatever was handed over with PKCS#1 v1.5 and apply the private key, as the card does."""
    return key.sign(payload, padding.PKCS1v15(), NoDigestInfo())


def _sha256(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()


def _selected(contents: CardContents, state: CardState) -> Application | None:
    return None if state.application is None else contents.find(state.application)


def _file(contents: CardContents, state: CardState, file_id: int | None) -> CardFile | None:
    application = _selected(contents, state)
    return None if application is None or file_id is None else application.files.get(file_id)


def locked(contents: CardContents, file_ids: frozenset[int], identifier: bytes) -> CardState:
    """Return a fresh state in which the codes of these files have no tries left."""
    application = contents.find(identifier)
    known = frozenset() if application is None else file_ids & application.files.keys()
    return CardState(tries={(identifier, file_id): 0 for file_id in known})
