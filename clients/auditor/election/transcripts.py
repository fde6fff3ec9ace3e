"""Bytes and hashes as an auditor computes them, and the one way in which the auditor reads bytes.

Written from the rules, not from the producers' code; only the group is shared with them.

Spec: BALLOT-HASH, BALLOT-ENCODING, BALLOT-TRANSCRIPT.
"""

from hashlib import sha256
from typing import Final

from clients.voting.group import ORDER, Point, decode_point, decode_point_xy
from node.primitives.errors import InvalidInput


class InvalidRecord(InvalidInput):
    """Part of an election's record that is not in its format, or holds no proof."""

    code = "audit.election_record"


def int_bytes(value: int, size: int) -> bytes:
    """Write an unsigned big-endian integer."""
    return value.to_bytes(size, "big")


class TaggedHash:
    """TH under one tag; the tag's two digests are hashed once."""

    __slots__ = ("_start",)

    def __init__(self, name: str) -> None:
        """Take the tag's name without its common beginning."""
        tag = sha256(f"JMEV1/{name}".encode("ascii")).digest()
        self._start = sha256(tag + tag)

    def digest(self, *parts: bytes) -> bytes:
        """Return the hash of the joined parts.

        Spec: BALLOT-HASH.
        """
        state = self._start.copy()
        for part in parts:
            state.update(part)
        return state.digest()

    def scalar(self, *parts: bytes) -> int:
        """Return the hash mod n.

        Raises:
            InvalidRecord: It is zero.

        Spec: BALLOT-HASH.
        """
        value = int.from_bytes(self.digest(*parts), "big") % ORDER
        if not value:
            raise InvalidRecord("a challenge of zero", rule="BALLOT-HASH")
        return value


EID: Final = TaggedHash("eid")
DID: Final = TaggedHash("did")
EK_POK: Final = TaggedHash("ek-pok")
DKG_COMMIT: Final = TaggedHash("dkg-commit")
DKG_POK: Final = TaggedHash("dkg-pok")
DKG_SHARE: Final = TaggedHash("dkg-share")
DKG_COMPLAINT: Final = TaggedHash("dkg-complaint")
DKG_CONFIRM: Final = TaggedHash("dkg-confirm")
LEAF: Final = TaggedHash("leaf")
ROLL_ENTRY: Final = TaggedHash("roll-entry")
ROLL_POK: Final = TaggedHash("roll-pok")
ROLL_CM: Final = TaggedHash("roll-cm")
ROLL_RECEIPT: Final = TaggedHash("roll-receipt")
CANCEL: Final = TaggedHash("cancel")
CANCEL_CM: Final = TaggedHash("cancel-cm")
BALLOT_POK: Final = TaggedHash("ballot-pok")
BALLOT_SIG: Final = TaggedHash("ballot-sig")
BALLOT_RECEIPT: Final = TaggedHash("ballot-receipt")
WITHDRAW: Final = TaggedHash("withdraw")
LIST: Final = TaggedHash("list")
SHUF_SEED: Final = TaggedHash("shuf-seed")
SHUF_U: Final = TaggedHash("shuf-u")
SHUF_CHAL: Final = TaggedHash("shuf-chal")
DEC_LIST: Final = TaggedHash("dec-list")
DEC_W: Final = TaggedHash("dec-w")
DEC_DLEQ: Final = TaggedHash("dec-dleq")
RESULT: Final = TaggedHash("result")


class Bytes:
    """A file read from front to back, to its last byte."""

    __slots__ = ("_at", "_data", "_name")

    def __init__(self, data: bytes, name: str) -> None:
        """Begin at the front of ``data``, called ``name`` in refusals."""
        self._data, self._at, self._name = data, 0, name

    def take(self, size: int) -> bytes:
        """Take the next bytes.

        Raises:
            InvalidRecord: Fewer are left.
        """
        stop = self._at + size
        if stop > len(self._data):
            raise InvalidRecord(
                f"{self._name}: ends after {len(self._data)} bytes, expected {stop} at least",
                rule="BALLOT-ENCODING",
            )
        taken = self._data[self._at : stop]
        self._at = stop
        return taken

    def number(self, size: int) -> int:
        """Take an unsigned integer."""
        return int.from_bytes(self.take(size), "big")

    def scalar(self) -> int:
        """Take S32.

        Raises:
            InvalidRecord: Not below n.

        Spec: BALLOT-ENCODING.
        """
        value = self.number(32)
        if value >= ORDER:
            raise InvalidRecord(f"{self._name}: a scalar above n", rule="BALLOT-ENCODING")
        return value

    def scalars(self, count: int) -> list[int]:
        """Take that many S32."""
        data = self.take(32 * count)
        values = [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]
        if any(value >= ORDER for value in values):
            raise InvalidRecord(f"{self._name}: a scalar above n", rule="BALLOT-ENCODING")
        return values

    def p33(self) -> Point:
        """Take a compressed point."""
        return decode_point(self.take(33))

    def p64(self) -> Point:
        """Take a point of two coordinates."""
        return decode_point_xy(self.take(64))

    def end(self) -> None:
        """Refuse bytes that nobody took.

        Raises:
            InvalidRecord: Some are left.
        """
        if self._at != len(self._data):
            left = len(self._data) - self._at
            raise InvalidRecord(f"{self._name}: {left} bytes left over", rule="BALLOT-ENCODING")
