"""The heavy steps of a tally, as functions of files: they run in processes of their own.

Each takes paths and small values, reads what it needs, and returns bytes or a verdict. Nothing here
decides; what a mix or share is judged by is in ``clients/voting``.

Spec: MIX-SHUFFLE, MIX-VERIFY, DEC-SHARE, DEC-COMBINE, TALLY-CLEANSE, TALLY-LIST, TALLY-RESULT.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from clients.voting.ballot import BallotCore, decode_core
from clients.voting.ciphertexts import CiphertextList, ListContext, ListKind, decode_list
from clients.voting.decryption import (
    DecryptionShare,
    DecryptionStatement,
    combine_shares,
    is_share_valid,
)
from clients.voting.encoding import decode_scalar, encode_scalar
from clients.voting.group import IDENTITY, Point, decode_point, decode_point_xy, decode_vector
from clients.voting.schnorr import EqualityProof
from clients.voting.shuffle import prove_shuffle, shuffle
from clients.voting.shuffle_check import find_faults, is_shuffle_valid
from clients.voting.shuffle_proof import ShuffleStatement, decode_shuffle_proof
from clients.voting.tally import EmptyList, build_race_list, cleanse, count_race
from node.primitives.errors import InvalidInput
from services.election.board.files import ENTRY_SIZE

PROOF_SIZE: Final = 98
"""Bytes of a file with a decryption proof."""

NOTHING: Final = bytes(33)
"""Stands for O, which has no encoding, among opened messages."""

FAULTS_NAMED_MAX: Final = 2_000
"""Rows up to which a refused mix is gone through equation by equation."""


class RollDiffers(InvalidInput):
    """A frozen roll names an entry that no batch has, or is not in order."""

    code = "election.roll_differs"


class SystemNonces:
    """The operating system's generator."""

    def draw(self, size: int) -> bytes:
        """Return ``size`` fresh bytes."""
        return secrets.token_bytes(size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListName:
    """Which list of which election, and the key its rows are encrypted under."""

    eid: bytes
    kind: ListKind
    number: int
    """Race, or style for a roll."""
    key: bytes
    """P33 of the ballot or roll key."""

    def context(self, round_: int) -> ListContext:
        """Return the context of a mixer's round; 0 for decryption."""
        return ListContext(eid=self.eid, kind=self.kind, list_id=self.number, round=round_)


def build_roll(style: int, active: Path, batches: Sequence[Path]) -> bytes:
    """Return the roll list of a style: the active entries in the order of their commitments.

    Raises:
        RollDiffers: The active file is not sorted, or names an entry that no batch has.
    """
    data = active.read_bytes()
    wanted = [data[at : at + 32] for at in range(0, len(data), 32)]
    if any(a >= b for a, b in pairwise(wanted)):
        raise RollDiffers(f"active file of style {style}: not ascending")
    found: dict[bytes, bytes] = {}
    missing = set(wanted)
    for path in batches:
        entries = _entries(path.read_bytes(), style)
        found |= {commitment: row for commitment, row in entries if commitment in missing}
    if len(found) != len(wanted):
        raise RollDiffers(
            f"active file of style {style}: {len(wanted) - len(found)} entries are in no batch"
        )
    return b"".join(found[commitment] for commitment in wanted)


def _entries(data: bytes, style: int) -> Iterator[tuple[bytes, bytes]]:
    count = int.from_bytes(data[:4], "big")
    for at in range(4, 4 + count * ENTRY_SIZE, ENTRY_SIZE):
        if int.from_bytes(data[at + 32 : at + 34], "big") == style:
            yield data[at : at + 32], data[at + 34 : at + ENTRY_SIZE]


def mix(name: ListName, round_: int, source: Path) -> tuple[bytes, bytes]:
    """Mix a list and prove it; return the output list and the proof.

    Spec: MIX-SHUFFLE.
    """
    nonces = SystemNonces()
    keys = (decode_point(name.key),)
    inputs = decode_list(source.read_bytes(), 1)
    outputs, secret = shuffle(inputs, keys, nonces)
    statement = ShuffleStatement(
        context=name.context(round_), keys=keys, inputs=inputs, outputs=outputs
    )
    proof = prove_shuffle(statement, secret, nonces)
    return outputs.encode(), proof.encode()


def verify_mix(name: ListName, round_: int, source: Path, output: Path, proof: Path) -> str:
    """Check a mix; return why it does not hold, empty when it does.

    Spec: MIX-VERIFY.
    """
    try:
        inputs = decode_list(source.read_bytes(), 1)
        outputs = decode_list(output.read_bytes(), 1)
        statement = ShuffleStatement(
            context=name.context(round_),
            keys=(decode_point(name.key),),
            inputs=inputs,
            outputs=outputs,
        )
        given = decode_shuffle_proof(proof.read_bytes(), count=len(inputs), width=1)
        if len(outputs) != len(inputs):
            return f"{len(outputs)} rows of {len(inputs)}"
        if is_shuffle_valid(statement, given, SystemNonces()):
            return ""
        if len(inputs) > FAULTS_NAMED_MAX:
            return "the proof does not hold"
        return "equations " + ", ".join(find_faults(statement, given)[:5])
    except InvalidInput as error:
        return error.message


def check_share(
    name: ListName, trustee: int, share_key: bytes, rows: Path, shares: Path, proof: Path
) -> bool:
    """Tell whether a trustee's decryption shares of a list hold.

    Spec: DEC-SHARE.
    """
    try:
        statement = DecryptionStatement(
            context=name.context(0),
            rows=decode_list(rows.read_bytes(), 1),
            column=0,
            trustee=trustee,
            share_key=decode_point(share_key),
        )
        given = DecryptionShare(
            shares=decode_vector(shares.read_bytes()), proof=decode_proof(proof.read_bytes())
        )
        return is_share_valid(statement, given)
    except InvalidInput:
        return False


def encode_proof(proof: EqualityProof) -> bytes:
    """Return P33(T1) || P33(T2) || S32(z)."""
    return proof.t1.encode() + proof.t2.encode() + encode_scalar(proof.z)


def decode_proof(data: bytes) -> EqualityProof:
    """Read a decryption proof.

    Raises:
        InvalidInput: It is none.
    """
    if len(data) != PROOF_SIZE:
        raise InvalidInput(f"decryption proof: {len(data)} bytes, expected {PROOF_SIZE}")
    return EqualityProof(
        t1=decode_point(data[:33]), t2=decode_point(data[33:66]), z=decode_scalar(data[66:])
    )


def open_list(rows: Path, shares: Mapping[int, Path], threshold: int) -> bytes:
    """Combine valid shares; return the messages, 33 bytes each.

    Spec: DEC-COMBINE.
    """
    given = {trustee: decode_vector(path.read_bytes()) for trustee, path in shares.items()}
    messages = combine_shares(decode_list(rows.read_bytes(), 1), 0, given, threshold)
    return b"".join(_encode_message(message) for message in messages)


def _encode_message(message: Point) -> bytes:
    return NOTHING if message.is_identity else message.encode()


def _decode_messages(path: Path) -> list[Point]:
    data = path.read_bytes()
    return [
        IDENTITY if data[at : at + 33] == NOTHING else decode_point(data[at : at + 33])
        for at in range(0, len(data), 33)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleansed:
    """What cleansing gave."""

    lists: Mapping[int, bytes]
    """By race; a race without ballots has none."""
    kept: int
    removed: Mapping[str, int]
    """By reason."""
    unmatched_pointers: Mapping[int, int]
    duplicate_pointers: Mapping[int, int]


def build_lists(
    ballots: Path, withdrawn: Sequence[bytes], roll: Mapping[int, Path], races: Sequence[int]
) -> Cleansed:
    """Cleanse the accepted ballots and build every race's list.

    Args:
        ballots: ``ballots.bin`` of the record.
        withdrawn: P64 of the keys withdrawn.
        roll: The opened pointers of every style that is not empty.
        races: The election's races.

    Spec: TALLY-CLEANSE, TALLY-LIST.
    """
    opened = {style: _decode_messages(path) for style, path in roll.items()}
    keys = {decode_point_xy(key) for key in withdrawn}
    cleansing = cleanse(list(iterate_cores(ballots)), keys, opened)
    lists: dict[int, bytes] = {}
    for race in races:
        try:
            rows: CiphertextList = build_race_list(cleansing.kept, race)
        except EmptyList:
            continue
        lists[race] = rows.encode()
    removed: dict[str, int] = {}
    for _, reason in cleansing.removed:
        removed[reason.name] = removed.get(reason.name, 0) + 1
    return Cleansed(
        lists=lists,
        kept=len(cleansing.kept),
        removed=removed,
        unmatched_pointers=cleansing.unmatched_pointers,
        duplicate_pointers=cleansing.duplicate_pointers,
    )


def iterate_cores(path: Path) -> Iterator[BallotCore]:
    """Yield the cores of ``ballots.bin``, one in memory at a time."""
    with path.open("rb") as file:
        while head := file.read(26):
            size = int.from_bytes(head[24:], "big")
            yield decode_core(file.read(size))
            file.read(65)


def count(eid: bytes, race: int, candidates: int, opened: Path) -> bytes:
    """Count the opened messages of a race: blank, every candidate, invalid, in 8 bytes each.

    Spec: TALLY-RESULT.
    """
    result = count_race(eid, race, candidates, _decode_messages(opened))
    return b"".join(number.to_bytes(8, "big") for number in (*result.counts, result.invalid))
