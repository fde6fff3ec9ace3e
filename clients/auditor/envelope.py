"""What a bundle says about itself: its network, range, states, counts, digest and signature.

Spec: AUDIT-HEADER, AUDIT-DIGEST, AUDIT-SIGNATURE, AUDIT-FILES.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clients.auditor import chain_checks as asked
from clients.auditor.attached import AttachedFiles
from clients.auditor.checks import Chart, Worksheet
from clients.auditor.progress import Buckets
from node.genesis.profile import ChainProfile
from node.primitives.bundle import (
    BundleHeader,
    EndRecord,
    FilePart,
    FileRecord,
    SignatureRecord,
    compute_bundle_hash,
)
from node.primitives.crypto import InvalidSignature, recover_address
from node.primitives.header import Header
from node.primitives.types import ZERO_ADDRESS, Address, Height

TRANSACTIONS: Final = "Transactions by height"
GAS: Final = "Gas used by height"
SEALS: Final = "Seals by height"


class Envelope:
    """Counts what is in a bundle and holds it against what the bundle says."""

    def __init__(self, sheet: Worksheet, *, unpack_to: Path | None) -> None:
        """Start before the first record; attached files go to ``unpack_to``, if anywhere."""
        self._sheet = sheet
        self._files = AttachedFiles(sheet, folder=unpack_to)
        self._buckets = Buckets(0, 0)
        self.header: BundleHeader | None = None
        self.block_count = 0
        self.transaction_count = 0
        self.evidence_count = 0
        self._file_count = 0
        self._states: list[int] = []
        self.last_height: int | None = None

    def adopt_header(self, record: BundleHeader) -> None:
        """Take the first record without asking anything of it: that was done before."""
        self.header = record
        self._buckets = Buckets(record.first, record.last)

    def take_header(self, record: BundleHeader, profile: ChainProfile) -> None:
        """Take the first record.

        Spec: AUDIT-HEADER.
        """
        self.adopt_header(record)
        self._sheet.compare(
            asked.NETWORK,
            "bundle",
            expected=(profile.genesis_hash, profile.chain_id),
            found=(record.genesis_hash, record.chain_id),
        )

    def take_block(self, header: Header | None, transactions: int) -> None:
        """Count a block; without a header it could not be read."""
        self.block_count += 1
        self.transaction_count += transactions
        if header is None:
            return
        if self.last_height is None and self.header is not None:
            self._sheet.compare(
                asked.RANGE, "first block", expected=self.header.first, found=header.height
            )
        self.last_height = header.height
        self._buckets.add(TRANSACTIONS, header.height, transactions)
        self._buckets.add(GAS, header.height, header.gas_used)
        self._buckets.add(SEALS, header.height, len(header.extra_data.seals))

    def take_state(self, height: Height) -> None:
        """Count a state."""
        self._states.append(height)

    def take_file(self, record: FileRecord | FilePart) -> None:
        """Take a record of an attached file."""
        if isinstance(record, FileRecord):
            self._file_count += 1
            self._files.begin(record)
        else:
            self._files.add(record)

    def take_end(self, record: EndRecord, digest: bytes) -> None:
        """Hold the end against what came before, whose SHA-256 is ``digest``.

        Spec: AUDIT-DIGEST.
        """
        self._sheet.compare(asked.DIGEST, "digest", expected=digest, found=record.digest)
        self._sheet.compare(
            asked.DIGEST,
            "counts of blocks, transactions, evidence, files",
            expected=(
                self.block_count,
                self.transaction_count,
                self.evidence_count,
                self._file_count,
            ),
            found=(
                record.block_count,
                record.transaction_count,
                record.evidence_count,
                record.file_count,
            ),
        )

    def take_signature(
        self, record: SignatureRecord, digest: bytes, wanted: Address | None
    ) -> None:
        """Ask who signed the bundle.

        Args:
            record: The signature.
            digest: SHA-256 of every byte before it.
            wanted: Who must have signed, when that matters.

        Spec: AUDIT-SIGNATURE.
        """
        named = ZERO_ADDRESS if self.header is None else self.header.exporter
        if not record.signature and named == ZERO_ADDRESS and wanted is None:
            self._sheet.leave_open("the bundle is not signed", asked.SIGNATURE)
            return
        try:
            signer = recover_address(compute_bundle_hash(digest), record.signature)
        except InvalidSignature:
            signer = ZERO_ADDRESS
        self._sheet.ask(
            asked.SIGNATURE,
            "bundle",
            is_met=signer == named != ZERO_ADDRESS and wanted in (None, signer),
            expected=named if wanted is None else wanted,
            found="nobody" if signer == ZERO_ADDRESS else signer,
        )

    def close(self, wanted_files: tuple[bytes, ...]) -> None:
        """Ask what only the whole bundle answers.

        Spec: AUDIT-HEADER, AUDIT-FILES.
        """
        header = self.header
        if header is not None:
            nothing = header.first - 1
            self._sheet.compare(
                asked.RANGE,
                "last block",
                expected=header.last,
                found=nothing if self.last_height is None else self.last_height,
            )
            self._sheet.compare(
                asked.STATES,
                "heights whose state is here",
                expected=tuple(header.snapshots),
                found=tuple(self._states),
            )
        for digest in wanted_files:
            self._sheet.ask(
                asked.FILES,
                f"file 0x{digest.hex()}",
                is_met=digest in self._files.found,
                expected="attached",
                found=self._files.found.get(digest, "missing"),
            )

    def subject(self) -> dict[str, str]:
        """Return what the report says of the bundle."""
        found = {"blocks": str(self.block_count), "transactions": str(self.transaction_count)}
        header = self.header
        if header is not None:
            is_named = header.exporter != ZERO_ADDRESS
            found |= {
                "range": f"{header.first} to {header.last}",
                "exported with": header.tool,
                "exported by": "0x" + header.exporter.hex() if is_named else "nobody named",
            }
        return found

    def charts(self) -> tuple[Chart, ...]:
        """Return the figures of the report."""
        return (
            self._buckets.chart(TRANSACTIONS, "transactions"),
            self._buckets.chart(GAS, "gas"),
            self._buckets.chart(SEALS, "seals"),
        )

    def counts(self) -> dict[str, int]:
        """Return what is counted so far; files and evidence come after every block."""
        return {
            "blocks": self.block_count,
            "transactions": self.transaction_count,
            "last": -1 if self.last_height is None else self.last_height,
        }

    def states(self) -> list[int]:
        """Return the heights of the states so far."""
        return list(self._states)

    def sums(self) -> dict[str, dict[int, int]]:
        """Return the figures so far."""
        return self._buckets.sums

    def restore(
        self,
        counts: Mapping[str, int],
        states: list[int],
        sums: Mapping[str, Mapping[int, int]],
    ) -> None:
        """Take back what an earlier run counted.

        Spec: AUDIT-RESUME.
        """
        self.block_count = counts["blocks"]
        self.transaction_count = counts["transactions"]
        self.last_height = None if counts["last"] < 0 else counts["last"]
        self._states = list(states)
        self._buckets.sums = {name: dict(each) for name, each in sums.items()}
