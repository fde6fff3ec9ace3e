"""A resident's folder of one election: the manifest, and what the device keeps of it.

Spec: VOTE-RECORD, WALLET-COMMANDS.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.cli.home import Home, write_private
from clients.voter.record import DeviceRecord, decode_record, encode_record
from clients.voting.manifest import Manifest, decode_manifest
from node.primitives.errors import Misconfigured

ELECTIONS: Final = "elections"
PREFIX_MIN: Final = 4
"""Fewest digits by which a known election may be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionHome:
    """The folder of one election."""

    path: Path
    """Where it is."""

    @classmethod
    def of(cls, home: Home, eid: bytes) -> "ElectionHome":
        """Return the folder of an election, whether it is there or not."""
        return cls(path=home.path / ELECTIONS / eid.hex())

    @property
    def manifest_path(self) -> Path:
        """Return where the manifest is."""
        return self.path / "manifest.json"

    @property
    def record_path(self) -> Path:
        """Return where the device's record is."""
        return self.path / "record.json"

    def load_manifest(self) -> Manifest:
        """Read the manifest and hold it against the folder's name, its id.

        Raises:
            Misconfigured: It is not there, or another.
        """
        try:
            manifest = decode_manifest(self.manifest_path.read_bytes())
        except OSError as error:
            raise Misconfigured(f"{self.path}: no manifest; run `vote enrol` first") from error
        if manifest.eid.hex() != self.path.name:
            raise Misconfigured(f"{self.manifest_path}: another manifest; remove it")
        return manifest

    def load_record(self, eid: bytes) -> DeviceRecord:
        """Read what the device kept; an empty record when there is none.

        Raises:
            InvalidRecord: It cannot be read back.
        """
        if not self.record_path.exists():
            return DeviceRecord(eid=eid)
        return decode_record(self.record_path.read_bytes())

    def save_record(self, record: DeviceRecord) -> None:
        """Keep the record, whole or not at all."""
        write_private(self.record_path, encode_record(record))


def find_election_home(home: Home, name: str) -> ElectionHome:
    """Return the folder of the known election whose id begins with ``name``.

    Raises:
        Misconfigured: None is known under that beginning, or several.
    """
    prefix = name.removeprefix("0x").lower()
    folder = home.path / ELECTIONS
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    matching = [each for each in found if each.name.startswith(prefix)]
    if len(prefix) < PREFIX_MIN or len(matching) != 1:
        raise Misconfigured(f"{name}: no known election begins so; run `vote enrol` first")
    return ElectionHome(path=matching[0])
