"""The elections' files on disk, named by the digest that stands for them on the ledger.

A name says everything: whoever writes or fetches computes it from the bytes first. Each kind of
file has its own digest, so that a list of one race is never taken for another's.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.voting.ciphertexts import ListContext, ListKind
from clients.voting.encoding import encode_i2, encode_i8, tagged_hash
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from node.primitives.merkle import compute_root

SIZE_MAX: Final = 512 * 1024 * 1024
"""Longest file of any kind."""

POINT_SIZE: Final = 33
ENTRY_SIZE: Final = 32 + 2 + 2 * POINT_SIZE
"""Bytes of an entry in a roll batch."""

Digester = Callable[[bytes], bytes]
"""Computes the digest of a file's bytes."""


class WrongFile(InvalidInput):
    """Bytes whose digest is not the one they were asked for under."""

    code = "election.wrong_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """A file somebody needs."""

    subject: bytes
    """The draft or election it belongs to; under it peers are asked."""
    digest: bytes
    """Its name."""
    digester: Digester
    """How its digest is computed."""
    path: str
    """Its path in the published record; empty for a message of a ceremony."""
    size_max: int = SIZE_MAX
    """Longest it can be."""
    is_restricted: bool = False
    """Only for registrars, trustees and accredited auditors."""


def manifest_digest(data: bytes) -> bytes:
    """Return the election id of a manifest.

    Spec: ELECTION-ID.
    """
    return tagged_hash("JMEV1/eid", data)


def list_digester(eid: bytes, kind: ListKind, number: int) -> Digester:
    """Return how the digest of a list of one column is computed.

    Spec: MIX-CONTEXT.
    """

    def compute(data: bytes) -> bytes:
        shape = encode_i2(1) + encode_i8(len(data) // (2 * POINT_SIZE))
        return tagged_hash("JMEV1/list", eid + kind.value + encode_i2(number) + shape + data)

    return compute


def shares_digester(eid: bytes, kind: ListKind, number: int, trustee: int) -> Digester:
    """Return how the digest of a trustee's shares of a list is computed.

    Spec: DEC-SHARE.
    """
    context = ListContext(eid=eid, kind=kind, list_id=number, round=0).encode()

    def compute(data: bytes) -> bytes:
        head = context + encode_i2(trustee) + encode_i8(len(data) // POINT_SIZE)
        return tagged_hash("JMEV1/dec-list", head + data)

    return compute


def batch_digest(data: bytes) -> bytes:
    """Return the root of a roll batch's file; of anything else a digest that no batch has.

    Spec: ROLLC-BATCH.
    """
    count = int.from_bytes(data[:4], "big")
    end = 4 + count * ENTRY_SIZE
    cancels = int.from_bytes(data[end : end + 4], "big")
    if len(data) != end + 4 + 32 * cancels:
        return sha256(b"no roll batch" + data)
    commitments = [data[at : at + 32] for at in range(4, end, ENTRY_SIZE)]
    cancelled = [data[at : at + 32] for at in range(end + 4, len(data), 32)]
    return compute_root([*commitments, *cancelled])


class FileStore:
    """Files by digest in one folder, in 256 folders below it."""

    def __init__(self, root: Path) -> None:
        """Hold the folder; it is made when first written to."""
        self.root = root

    def path(self, digest: bytes) -> Path:
        """Return where a file lies, whether it is there or not."""
        name = digest.hex()
        return self.root / name[:2] / name

    def has(self, digest: bytes) -> bool:
        """Tell whether a file is there."""
        return self.path(digest).is_file()

    def read(self, ref: FileRef) -> bytes:
        """Read a file and check it again.

        Raises:
            WrongFile: It is damaged; it is removed, so that it can be fetched anew.
            FileNotFoundError: It is not there.
        """
        data = self.path(ref.digest).read_bytes()
        if ref.digester(data) != ref.digest:
            self.path(ref.digest).unlink(missing_ok=True)
            raise WrongFile(f"file {ref.digest.hex()[:16]} is damaged; it will be fetched again")
        return data

    def add(self, ref: FileRef, data: bytes) -> None:
        """Keep a file if it is the one; written whole or not at all.

        Raises:
            WrongFile: It is another, or too long.
        """
        if len(data) > ref.size_max or ref.digester(data) != ref.digest:
            raise WrongFile(f"not the file {ref.digest.hex()[:16]}")
        self.write(ref.digest, data)

    def write(self, digest: bytes, data: bytes) -> None:
        """Keep bytes whose digest the caller computed; written whole or not at all."""
        target = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
