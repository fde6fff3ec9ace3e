"""The audit of services: what they disclose, held against what the ledger has of it.

A table says which audit reads which kind of disclosure; a service that arrives later adds a line
and its own checks. Files are all that is read.

Spec: AUDIT-SERVICES, AUDIT-DISCLOSURE, AUDIT-LOG, AUDIT-ERASURE.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Final

from clients.auditor import service_checks as asked
from clients.auditor.anchors import Anchor, compute_stream, load_anchors
from clients.auditor.checks import Report, Worksheet
from clients.auditor.disclosure import (
    Entry,
    Head,
    InvalidDisclosure,
    Leaf,
    Line,
    Root,
    read_disclosure,
)
from node.primitives.merkle import compute_root
from node.primitives.types import ZERO_HASH, Address, Hash32

KEY_CREATED: Final = "key.created"
KEY_SHREDDED: Final = "key.shredded"
"""Actions of the audit log that say a person's key was made, and destroyed."""

RECORDS_MAX: Final = 50_000_000
"""Most records of one disclosure; their hashes are kept in memory."""


@dataclass(slots=True)
class Batch:
    """The records of one disclosure, as hashes or leaves, and the roots over them."""

    head: Head
    leaves: list[bytes] = field(default_factory=list[bytes])
    roots: list[Root] = field(default_factory=list[Root])


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInputs:
    """What an audit of services rests on."""

    bundle: Path
    """The ledger's bundle, audited before."""
    anchors: Address
    """The contract ``Anchors``."""
    disclosures: tuple[Path, ...]
    """Files that services disclosed."""
    notices: tuple[str, ...] = ()
    """Commitments, in hex, on erasure notices that people were given."""


class LogAudit:
    """Reads the disclosed audit log of a service."""

    def __init__(self, sheet: Worksheet) -> None:
        """Start before the first entry."""
        self._sheet = sheet
        self._previous = ZERO_HASH
        self._sequence = 0
        self.created: set[str] = set()
        self.shredded: set[str] = set()

    def take(self, entry: Entry, subject: str) -> bytes:
        """Take the next entry; return its hash.

        Spec: AUDIT-LOG, AUDIT-ERASURE.
        """
        self._sheet.compare(
            asked.LOG_CHAIN,
            f"{subject}, entry {entry.sequence}",
            expected=(self._sequence + 1, self._previous.hex()),
            found=(entry.sequence, entry.previous),
        )
        self._sequence = entry.sequence
        self._previous = entry.compute_hash()
        if entry.action == KEY_CREATED:
            self.created.add(entry.after)
        if entry.action == KEY_SHREDDED:
            is_known = entry.after in self.created and entry.after not in self.shredded
            self._sheet.ask(
                asked.ERASURE_KNOWN,
                f"{subject}, entry {entry.sequence}",
                is_met=is_known,
                expected="a key made before and alive",
                found="destroyed before" if entry.after in self.shredded else "never made",
            )
            self.shredded.add(entry.after)
        return self._previous


Reader = Callable[[Line, Batch, "ServiceAudit"], None]


def read_log_line(line: Line, batch: Batch, audit: "ServiceAudit") -> None:
    """Take a line of an audit log."""
    if isinstance(line, Entry):
        batch.leaves.append(audit.log.take(line, batch.head.service))


def read_batch_line(line: Line, batch: Batch, audit: "ServiceAudit") -> None:
    """Take a line of a batch of records."""
    del audit
    if isinstance(line, Leaf):
        batch.leaves.append(line.data)


READERS: Final[dict[str, Reader]] = {"audit-log": read_log_line, "batch": read_batch_line}
"""Which disclosures are understood. Later services add a line here."""


class ServiceAudit:
    """One pass over all disclosures."""

    def __init__(self, sheet: Worksheet, anchors: Sequence[Anchor]) -> None:
        """Hold disclosures against ``anchors``."""
        self._sheet = sheet
        self._by_stream: dict[Hash32, dict[Hash32, Anchor]] = {}
        for anchor in anchors:
            self._by_stream.setdefault(anchor.stream, {})[anchor.root] = anchor
        self.log = LogAudit(sheet)
        self.shredded: set[str] = set()

    def take(self, path: Path) -> None:
        """Read one disclosure to its end.

        Spec: AUDIT-DISCLOSURE.
        """
        batch: Batch | None = None
        self.log = LogAudit(self._sheet)
        try:
            for line in read_disclosure(path):
                if isinstance(line, Head):
                    batch = Batch(head=line)
                    reader = READERS.get(line.kind)
                    if reader is None:
                        raise InvalidDisclosure(f"a disclosure of unknown kind {line.kind}")
                elif batch is not None:
                    self._take_line(line, batch)
                self._sheet.count(asked.DISCLOSURE, 1)
        except InvalidDisclosure as error:
            self._sheet.ask(
                asked.DISCLOSURE,
                path.name,
                is_met=False,
                expected="a disclosure",
                found=error.message,
            )
        self.shredded |= self.log.shredded
        if batch is not None:
            self._close(batch)

    def _take_line(self, line: Line, batch: Batch) -> None:
        if isinstance(line, Root):
            batch.roots.append(line)
        elif len(batch.leaves) >= RECORDS_MAX:
            raise InvalidDisclosure(f"over {RECORDS_MAX} records")
        else:
            READERS[batch.head.kind](line, batch, self)

    def _close(self, batch: Batch) -> None:
        """Hold the roots against the records below and the ledger above.

        Spec: AUDIT-DISCLOSURE.
        """
        head = batch.head
        stream = compute_stream(head.tenant, head.service, head.subject)
        known = self._by_stream.get(stream, {})
        first = 1
        for root in batch.roots:
            subject = f"{head.service}, records {root.first} to {root.last}"
            leaves = batch.leaves[root.first - 1 : root.last] if root.first else []
            is_whole = root.first == first and len(leaves) == root.last - root.first + 1
            self._sheet.ask(
                asked.ROOT,
                subject,
                is_met=is_whole and compute_root(leaves) == root.root,
                expected=root.root,
                found=compute_root(leaves) if is_whole else f"records from {first} on",
            )
            first = root.last + 1
            anchor = known.get(root.root)
            self._sheet.ask(
                asked.ANCHORED,
                subject,
                is_met=anchor is not None and anchor.leaf_count == root.last - root.first + 1,
                expected=f"0x{root.root.hex()} over {root.last - root.first + 1}",
                found="not on the ledger" if anchor is None else f"over {anchor.leaf_count}",
            )
        disclosed = {root.root for root in batch.roots}
        for root_hash, anchor in known.items():
            self._sheet.ask(
                asked.WITHHELD,
                f"{head.service}, place {anchor.place} of its stream, block {anchor.height}",
                is_met=root_hash in disclosed,
                expected=root_hash,
                found="disclosed" if root_hash in disclosed else "withheld",
            )

    def close(self, notices: Sequence[str]) -> None:
        """Hold erasure notices against the logs.

        Spec: AUDIT-ERASURE.
        """
        for notice in notices:
            commitment = notice.removeprefix("0x").lower()
            self._sheet.ask(
                asked.ERASURE_NOTICE,
                f"notice {notice}",
                is_met=commitment in self.shredded,
                expected="destroyed",
                found="destroyed" if commitment in self.shredded else "not in any log",
            )


def audit_services(inputs: ServiceInputs, *, tool: str, now_s: int) -> Report:
    """Ask everything of what services disclosed.

    Raises:
        InvalidBundle: The bundle cannot be read.

    Spec: AUDIT-SERVICES.
    """
    sheet = Worksheet(asked.SERVICE_CHECKS)
    anchors = load_anchors(inputs.bundle, inputs.anchors, sheet)
    audit = ServiceAudit(sheet, anchors)
    digests = {"bundle": _digest(inputs.bundle)}
    for path in inputs.disclosures:
        digests[f"disclosure {path.name}"] = _digest(path)
        audit.take(path)
    audit.close(inputs.notices)
    return Report(
        kind="services",
        tool=tool,
        made_at_s=now_s,
        subject={"anchors": f"{len(anchors)}", "contract": "0x" + inputs.anchors.hex()},
        inputs=digests,
        outcomes=sheet.outcomes(),
        notes=("this rests on the audit of the chain in the same bundle; make it first",),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
