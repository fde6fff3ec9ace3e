"""The files attached to a bundle: held against their digests, and written out by them.

Spec: AUDIT-FILES.
"""

from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from clients.auditor import chain_checks as asked
from clients.auditor.checks import Worksheet
from node.primitives.bundle import FilePart, FileRecord


class AttachedFiles:
    """Takes the files of a bundle as they come; keeps none in memory."""

    def __init__(self, sheet: Worksheet, *, folder: Path | None = None) -> None:
        """Write files into ``folder`` under their digests, if there is one."""
        self._sheet = sheet
        self._folder = folder
        self._record: FileRecord | None = None
        self._hash = sha256()
        self._size = 0
        self._file: BinaryIO | None = None
        self.found: dict[bytes, str] = {}

    def begin(self, record: FileRecord) -> None:
        """Take the announcement of a file."""
        self._record = record
        self._hash = sha256()
        self._size = 0
        if self._folder is not None:
            self._file = (self._folder / f"{record.digest.hex()}.partial").open("wb")

    def add(self, part: FilePart) -> None:
        """Take a piece; after the last, hold the file against its digest and length.

        Spec: AUDIT-FILES.
        """
        record = self._record
        if record is None:
            return
        self._hash.update(part.data)
        self._size += len(part.data)
        if self._file is not None:
            self._file.write(part.data)
        if not part.is_last:
            return
        is_met = self._sheet.compare(
            asked.FILES,
            f"file {record.name}",
            expected=(record.digest, record.size_bytes),
            found=(self._hash.digest(), self._size),
        )
        self._close(record, is_good=is_met)
        if is_met:
            self.found[record.digest] = record.name
        self._record = None

    def _close(self, record: FileRecord, *, is_good: bool) -> None:
        if self._file is None or self._folder is None:
            return
        self._file.close()
        draft = self._folder / f"{record.digest.hex()}.partial"
        if is_good:
            draft.replace(self._folder / record.digest.hex())
        else:
            draft.unlink()
        self._file = None
