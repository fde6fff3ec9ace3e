"""Walks the headers of a chain one by one: links, constants, turns, votes, seals.

Whatever a header gets wrong, the walk goes on from it: the next one is held against it as parent,
and against the set that votes lead to, never against the set a wrong header lists.

Spec: AUDIT-WALK, QBFT-HEADER, QBFT-SEALS, QBFT-VOTE-TALLY, REC-APPLY.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from clients.auditor import chain_checks as asked
from clients.auditor.checks import Check, Worksheet
from node.consensus.header_rules import verify_header
from node.consensus.parameters import ConsensusParameters
from node.consensus.report import Report
from node.consensus.seals import recover_sealers, verify_commit_seals
from node.consensus.validators import ValidatorTally, apply_header
from node.membership.recovery import InvalidRecovery, Recovery, apply_recoveries
from node.primitives.header import Header
from node.primitives.types import Address, Hash32, Height

ANCESTORS_MAX: Final = 257
"""Hashes remembered: the newest block's, and those BLOCKHASH can ask for from within it."""

SETS_MAX: Final = 100_000
"""Most changes of the set remembered, to judge evidence by."""

_HEADER_CHECKS: Final[Mapping[str, Check]] = {
    "height": asked.HEIGHT,
    "parent hash": asked.PARENT,
    "mix hash": asked.MIX_HASH,
    "difficulty": asked.DIFFICULTY,
    "nonce": asked.NONCE,
    "ommers hash": asked.OMMERS,
    "base fee": asked.BASE_FEE,
    "withdrawals root": asked.WITHDRAWALS,
    "validators": asked.VALIDATORS,
    "coinbase": asked.PROPOSER,
    "timestamp": asked.TIME,
    "vote": asked.VOTE,
    "count of seals": asked.SEALS_FORM,
    "seals that recover nobody": asked.SEALS_FORM,
    "seals of strangers": asked.SEALS_STRANGER,
    "seals of one validator twice": asked.SEALS_REPEATED,
    "seals of distinct validators": asked.SEALS_QUORUM,
}
"""Which question of ours each finding of the consensus rules answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkRules:
    """What headers are held against."""

    parameters: ConsensusParameters
    """Of consensus."""
    block_gas_limit: int
    """Gas limit of every block."""
    recoveries: tuple[Recovery, ...] = ()
    """Recovery documents in the bundle."""


class HeaderWalk:
    """Where a walk over headers stands, and what it remembers."""

    def __init__(
        self, sheet: Worksheet, rules: WalkRules, *, parent: Header, tally: ValidatorTally
    ) -> None:
        """Stand at ``parent``, after which ``tally`` holds but for recovery documents."""
        self._sheet = sheet
        self._rules = rules
        self.parent = parent
        self.applied: set[Hash32] = set()
        self.tally = self._recover(tally, parent)
        self.sets = [(int(self.tally.next_height), self.tally.validators)]
        self.hashes: OrderedDict[int, Hash32] = OrderedDict({parent.height: parent.hash})

    def take(self, header: Header) -> None:
        """Ask everything of the next header, and step to it.

        Spec: AUDIT-WALK.
        """
        subject = f"block {header.height}"
        rules = self._rules
        made_by = ("0x" + header.coinbase.hex(),)
        self._note(
            verify_header(
                header, parent=self.parent, tally=self.tally, parameters=rules.parameters
            ),
            subject,
            made_by,
        )
        self._note(verify_commit_seals(header, self.tally.validators), subject, made_by)
        self._sheet.compare(
            asked.GAS_LIMIT,
            subject,
            expected=rules.block_gas_limit,
            found=header.gas_limit,
            blame=made_by,
        )
        self._sheet.ask(
            asked.GAS_BOUND,
            subject,
            is_met=header.gas_used <= header.gas_limit,
            expected=f"at most {header.gas_limit}",
            found=header.gas_used,
            blame=made_by,
        )
        self._step(header)

    def skip_to(self, header: Header) -> None:
        """Step to a header that only carries votes here: one before the range."""
        self._step(header)

    def validators_at(self, height: int) -> tuple[Address, ...]:
        """Return the set valid at a height walked over; none below the walk's start."""
        found: tuple[Address, ...] = ()
        for start, validators in self.sets:
            if start > height:
                break
            found = validators
        return found

    def _step(self, header: Header) -> None:
        before = self.tally.validators
        self.tally = self._follow(header)
        if self.tally.validators != before and len(self.sets) < SETS_MAX:
            self.sets.append((int(self.tally.next_height), self.tally.validators))
        self.hashes[header.height] = header.hash
        while len(self.hashes) > ANCESTORS_MAX:
            self.hashes.popitem(last=False)
        self.parent = header

    def _follow(self, header: Header) -> ValidatorTally:
        """Return the tally after a header, its vote counted whatever else it gets wrong.

        Spec: QBFT-VOTE-TALLY, AUDIT-WALK.
        """
        epoch_length = self._rules.parameters.epoch_length
        before = replace(self.tally, height=Height(header.height - 1))
        vote = header.extra_data.vote if header.height % epoch_length else None
        extra = replace(header.extra_data, validators=before.validators, vote=vote)
        counted = replace(header, extra_data=extra)
        return self._recover(apply_header(before, counted, epoch_length=epoch_length), header)

    def _recover(self, tally: ValidatorTally, header: Header) -> ValidatorTally:
        """Return the tally after the recovery documents that continue ``header``.

        Spec: REC-APPLY.
        """
        for document in self._rules.recoveries:
            if (document.height, document.parent_hash) != (header.height + 1, header.hash):
                continue
            self.applied.add(document.hash)
            try:
                tally = apply_recoveries(tally, header.hash, (document,))
            except InvalidRecovery as error:
                self._sheet.ask(
                    asked.RECOVERY,
                    f"recovery document for height {document.height}",
                    is_met=False,
                    expected="a set that could no longer decide",
                    found=error.message,
                )
        return tally

    def _note(self, report: Report, subject: str, blame: tuple[str, ...]) -> None:
        for check in report.checks:
            self._sheet.ask(
                _HEADER_CHECKS[check.name],
                subject,
                is_met=check.is_met,
                expected=check.expected,
                found=check.actual,
                blame=blame,
            )


def sealers_of(header: Header) -> tuple[str, ...]:
    """Return who sealed a header, for blame: a seal vouches for everything in the block."""
    found = {sealer for sealer in recover_sealers(header) if sealer is not None}
    return tuple("0x" + sealer.hex() for sealer in sorted(found))
