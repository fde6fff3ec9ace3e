"""The rules of a header that are consensus's own; gas, roots and transactions are execution's.

Used on a proposal before it is executed, and on a block from a peer before it is imported. Every
constant is checked, also those Besu lets pass: a field that may vary is a field someone can vary.

Spec: QBFT-HEADER.
"""

from node.consensus.parameters import ConsensusParameters
from node.consensus.proposer import possible_creators
from node.consensus.report import Check, Report, compare
from node.consensus.seals import verify_commit_seals
from node.consensus.validators import ValidatorTally
from node.primitives.header import (
    DIFFICULTY,
    EMPTY_OMMERS_HASH,
    EMPTY_ROOT,
    MIX_HASH,
    NONCE,
    Header,
)


def verify_header(
    header: Header, *, parent: Header, tally: ValidatorTally, parameters: ConsensusParameters
) -> Report:
    """Check a header, without its seals, against its parent and the tally after it.

    Spec: QBFT-HEADER, QBFT-VALIDATORS, QBFT-COINBASE, QBFT-BLOCK-TIME, QBFT-VOTE-EPOCH.
    """
    extra = header.extra_data
    creators = possible_creators(tally.validators, parent_coinbase=parent.coinbase, at=extra.round)
    earliest_s = parent.timestamp_s + parameters.period_s
    may_vote = header.height % parameters.epoch_length != 0
    return Report(
        checks=(
            compare("QBFT-HEADER", "height", parent.height + 1, header.height),
            compare("QBFT-HEADER", "parent hash", parent.hash, header.parent_hash),
            *verify_constants(header).checks,
            compare("QBFT-VALIDATORS", "validators", tally.validators, extra.validators),
            Check(
                rule="QBFT-COINBASE",
                name="coinbase",
                is_met=header.coinbase in creators,
                expected=sorted(creators),
                actual=header.coinbase,
            ),
            Check(
                rule="QBFT-BLOCK-TIME",
                name="timestamp",
                is_met=header.timestamp_s >= earliest_s,
                expected=f"{earliest_s} or later",
                actual=header.timestamp_s,
            ),
            Check(
                rule="QBFT-VOTE-EPOCH",
                name="vote",
                is_met=extra.vote is None or may_vote,
                expected="none in an epoch block",
                actual="none" if extra.vote is None else "a vote",
            ),
        )
    )


def verify_constants(header: Header) -> Report:
    """Check the fields that are the same in every header but the first.

    Spec: QBFT-HEADER.
    """
    rule = "QBFT-HEADER"
    return Report(
        checks=(
            compare(rule, "mix hash", MIX_HASH, header.mix_hash),
            compare(rule, "difficulty", DIFFICULTY, header.difficulty),
            compare(rule, "nonce", NONCE, header.nonce),
            compare(rule, "ommers hash", EMPTY_OMMERS_HASH, header.ommers_hash),
            compare(rule, "base fee", 0, header.base_fee_wei),
            compare(rule, "withdrawals root", EMPTY_ROOT, header.withdrawals_root),
        )
    )


def verify_sealed_header(
    header: Header, *, parent: Header, tally: ValidatorTally, parameters: ConsensusParameters
) -> Report:
    """Check a decided header: ``verify_header`` and its commit seals.

    Spec: QBFT-HEADER, QBFT-SEALS.
    """
    own = verify_header(header, parent=parent, tally=tally, parameters=parameters)
    return Report(checks=own.checks + verify_commit_seals(header, tally.validators).checks)


def check_sealed_header(
    header: Header, *, parent: Header, tally: ValidatorTally, parameters: ConsensusParameters
) -> None:
    """Refuse a header that no quorum decided or that breaks a rule of consensus.

    Cheap rules come first, so that seals are recovered only for a header that fits its parent.

    Raises:
        InvalidBlock: A rule is broken.

    Spec: QBFT-HEADER, QBFT-SEALS.
    """
    verify_header(header, parent=parent, tally=tally, parameters=parameters).raise_if_failed()
    verify_commit_seals(header, tally.validators).raise_if_failed()
