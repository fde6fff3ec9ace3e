"""Signed papers beside a bundle: checkpoints, recovery documents, and whose signatures count.

Checkpoints come from the auditor, by ways that do not pass through the node that exported; recovery
documents come in the bundle and bind by their signatures. Municipalities and their keys are in the
description of the network and in the membership document, both from the auditor.

Spec: AUDIT-CHECKPOINT, SYNC-CHECKPOINT, REC-SIGNED.
"""

from collections.abc import Sequence
from typing import Final

from clients.auditor import chain_checks as asked
from clients.auditor.checks import Worksheet
from clients.auditor.header_walk import HeaderWalk
from clients.core.trust import SIGNERS_NEEDED, Municipality, signers_of
from node.consensus.checkpoint import Checkpoint, decode_checkpoint, verify_checkpoint_header
from node.membership.document import Membership
from node.membership.recovery import InvalidRecovery, Recovery, check_signed, decode_recovery
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from node.primitives.header import Header
from node.primitives.types import BlockHash

CHECKPOINTS_MAX: Final = 1_000
"""Most checkpoints given to one audit."""


class Documents:
    """The papers of one audit, and what was asked of them."""

    def __init__(
        self,
        *,
        genesis_hash: BlockHash,
        checkpoints: Sequence[tuple[str, bytes]] = (),
        municipalities: Sequence[Municipality] | None = None,
        membership: Membership | None = None,
    ) -> None:
        """Take the auditor's papers.

        Args:
            genesis_hash: The network.
            checkpoints: Name and bytes of each checkpoint's file.
            municipalities: Whose signatures count on a checkpoint; None when nobody said.
            membership: Names the governors that sign recovery documents.
        """
        self._genesis_hash = genesis_hash
        self._files = tuple(checkpoints)
        self._municipalities = municipalities
        self._membership = membership
        self._checkpoints: dict[int, list[tuple[str, Checkpoint]]] = {}
        self._broken: list[tuple[str, str]] = []
        self._recoveries: list[Recovery] = []
        self._broken_recoveries: list[str] = []
        self.seen: set[int] = set()
        self.notes: list[str] = []
        for name, data in checkpoints:
            try:
                checkpoint = decode_checkpoint(data)
            except InvalidInput as error:
                self._broken.append((name, error.message))
                continue
            self._checkpoints.setdefault(checkpoint.height, []).append((name, checkpoint))

    @property
    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each checkpoint's file."""
        return {f"checkpoint {name}": sha256(data).hex() for name, data in self._files}

    @property
    def recoveries(self) -> tuple[Recovery, ...]:
        """Return the recovery documents of the bundle."""
        return tuple(self._recoveries)

    def take_recovery(self, document: bytes) -> None:
        """Take a recovery document from the bundle."""
        try:
            self._recoveries.append(decode_recovery(document))
        except InvalidRecovery as error:
            self._broken_recoveries.append(error.message)

    def take_header(self, header: Header, sheet: Worksheet) -> None:
        """Hold a header of the chain against the checkpoints of its height.

        Spec: AUDIT-CHECKPOINT.
        """
        for name, checkpoint in self._checkpoints.get(header.height, ()):
            self.seen.add(header.height)
            for check in verify_checkpoint_header(checkpoint, header).checks:
                sheet.ask(
                    asked.CHECKPOINT_BLOCK,
                    f"{name}, {check.name}",
                    is_met=check.is_met,
                    expected=check.expected,
                    found=check.actual,
                )

    def close(self, sheet: Worksheet, *, walk: HeaderWalk | None, base: Header | None) -> None:
        """Ask what only the whole bundle answers.

        Args:
            sheet: Where answers go.
            walk: Over the headers, at its end.
            base: What a range that begins later stands on.

        Spec: AUDIT-CHECKPOINT, AUDIT-RANGE.
        """
        signed = self._ask_signed(sheet)
        for height, group in self._checkpoints.items():
            if height not in self.seen:
                sheet.leave_open(
                    f"{group[0][0]}: height {height} is not in the bundle", asked.CHECKPOINT_BLOCK
                )
        if not self._files:
            sheet.leave_open(
                "no checkpoint was given: this may be another chain by the same keys",
                asked.CHECKPOINT_SIGNED,
                asked.CHECKPOINT_BLOCK,
            )
        if base is not None:
            self._ask_base(sheet, base, signed)
        self._ask_recoveries(sheet, walk)

    def _ask_signed(self, sheet: Worksheet) -> set[int]:
        """Ask who signed each checkpoint; return the heights of good ones."""
        good: set[int] = set()
        for name, message in self._broken:
            sheet.ask(
                asked.CHECKPOINT_SIGNED, name, is_met=False, expected="a checkpoint", found=message
            )
        for name, checkpoint in (each for group in self._checkpoints.values() for each in group):
            is_ours = sheet.compare(
                asked.CHECKPOINT_SIGNED,
                f"{name}, network",
                expected=self._genesis_hash,
                found=checkpoint.genesis_hash,
            )
            if self._municipalities is None:
                sheet.leave_open(
                    "no description of the network says whose signatures count",
                    asked.CHECKPOINT_SIGNED,
                )
                continue
            signers = signers_of(checkpoint, self._municipalities)
            is_signed = sheet.ask(
                asked.CHECKPOINT_SIGNED,
                name,
                is_met=len(signers) >= SIGNERS_NEEDED,
                expected=f"{SIGNERS_NEEDED} municipalities or more",
                found=", ".join(signers) or "none",
            )
            if is_ours and is_signed:
                good.add(checkpoint.height)
        return good

    def _ask_base(self, sheet: Worksheet, base: Header, signed: set[int]) -> None:
        """Ask whether a good checkpoint stands at the base or above it: hashes lead back."""
        anchored = sorted(height for height in signed & self.seen if height >= base.height)
        if anchored:
            sheet.count(asked.BASE, 1)
            self.notes.append(
                f"the range stands on block {base.height}, named by a checkpoint of height "
                f"{anchored[0]}; what came before is not in this bundle"
            )
            return
        sheet.leave_open(
            f"no signed checkpoint of height {base.height} or above is in the bundle's range",
            asked.BASE,
        )

    def _ask_recoveries(self, sheet: Worksheet, walk: HeaderWalk | None) -> None:
        for message in self._broken_recoveries:
            sheet.ask(
                asked.RECOVERY, "document", is_met=False, expected="a document", found=message
            )
        applied = set() if walk is None else walk.applied
        for document in self._recoveries:
            subject = f"recovery document for height {document.height}"
            if walk is None or document.height >= walk.sets[0][0]:
                sheet.ask(
                    asked.RECOVERY,
                    subject,
                    is_met=document.hash in applied,
                    expected=f"block 0x{document.parent_hash.hex()} at {document.height - 1}",
                    found="that block" if document.hash in applied else "another, or none",
                )
            self.notes.append(f"{subject} is in the bundle: {document.reason}")
            if self._membership is None:
                sheet.leave_open(
                    "no membership document says who may sign a recovery", asked.RECOVERY_SIGNED
                )
                continue
            try:
                check_signed(document, self._membership)
                sheet.count(asked.RECOVERY_SIGNED, 1)
            except InvalidRecovery as error:
                sheet.ask(
                    asked.RECOVERY_SIGNED,
                    subject,
                    is_met=False,
                    expected="a majority of the remaining municipalities",
                    found=error.message,
                )
