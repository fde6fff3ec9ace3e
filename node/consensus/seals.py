"""Commit seals: what makes a header final, for nodes, light clients and auditors.

A seal is a validator's signature over hash (a). Two honest nodes may hold different, equally good
sets of seals for one block; compare blocks by hash (b), never by bytes.

Spec: QBFT-SEALS.
"""

from collections.abc import Collection
from dataclasses import dataclass

from node.consensus.quorum import fault_count_max, quorum_size
from node.consensus.report import Check, Report, compare
from node.primitives.crypto import InvalidSignature, recover_address
from node.primitives.header import Header
from node.primitives.types import Address, Digest, Signature


def recover_sealers(header: Header) -> tuple[Address | None, ...]:
    """Recover who made each seal, in order; None for one that recovers to nobody.

    Spec: QBFT-SEALS.
    """
    return tuple(recover_sealer(header.seal_hash, seal) for seal in header.extra_data.seals)


def recover_sealer(digest: Digest, seal: Signature) -> Address | None:
    """Recover who sealed ``digest``, or None when the seal is not canonical or recovers no key.

    Spec: QBFT-SEALS.
    """
    try:
        return recover_address(digest, seal)
    except InvalidSignature:
        return None


def verify_commit_seals(header: Header, validators: tuple[Address, ...]) -> Report:
    """Check the seals of a header against the set valid at its height.

    Spec: QBFT-SEALS.
    """
    return _examine_seals(header, validators)[0]


def _examine_seals(
    header: Header, validators: tuple[Address, ...]
) -> tuple[Report, tuple[Address | None, ...]]:
    """Check the seals, and return who made them: to recover a signer is what costs the time.

    Seals beyond one for each validator are refused unseen, and nobody is returned for them.
    """
    count = len(header.extra_data.seals)
    if count > len(validators):
        return Report(checks=(compare("QBFT-SEALS", "count of seals", len(validators), count),)), ()
    sealers = recover_sealers(header)
    return Report(checks=_seal_checks(sealers, validators)), sealers


def _seal_checks(
    sealers: tuple[Address | None, ...], validators: tuple[Address, ...]
) -> tuple[Check, ...]:
    members = frozenset(validators)
    counted = {sealer for sealer in sealers if sealer in members}
    strangers = [sealer for sealer in sealers if sealer is not None and sealer not in members]
    quorum = quorum_size(len(validators))
    return (
        compare("QBFT-SEALS", "seals that recover nobody", 0, sealers.count(None)),
        compare("QBFT-SEALS", "seals of strangers", [], strangers),
        compare("QBFT-SEALS", "seals of one validator twice", 0, _repeats(sealers)),
        Check(
            rule="QBFT-SEALS",
            name="seals of distinct validators",
            is_met=bool(validators) and len(counted) >= quorum,
            expected=f"{quorum} or more of {len(validators)}",
            actual=len(counted),
        ),
    )


def check_commit_seals(header: Header, validators: tuple[Address, ...]) -> None:
    """Refuse a header without a quorum of good seals.

    Raises:
        InvalidBlock: A seal is bad, repeated or a stranger's, or there are too few.

    Spec: QBFT-SEALS.
    """
    verify_commit_seals(header, validators).raise_if_failed()


def verify_step(header: Header, *, trusted: tuple[Address, ...]) -> Report:
    """Let a light client take the next header, or the next one whose set differs.

    The header's own set must have sealed it, and f+1 of the set trusted so far must be among the
    sealers: at least one honest old member vouches for the new set.

    Args:
        header: The header to step to.
        trusted: The set the client trusts, of the header before.

    Constants of the header are ``header_rules.verify_constants``; parent links are the caller's.

    Spec: QBFT-LIGHT-STEP, QBFT-VALIDATORS.
    """
    own, sealers = _examine_own_set(header)
    vouching = _count_among(sealers, trusted)
    needed = fault_count_max(len(trusted)) + 1
    return Report(
        checks=(
            *own.checks,
            Check(
                rule="QBFT-LIGHT-STEP",
                name="seals of the trusted set",
                is_met=bool(trusted) and vouching >= needed,
                expected=f"{needed} or more of {len(trusted)}",
                actual=vouching,
            ),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedHeader:
    """What a light client knows from its last verified header or checkpoint."""

    timestamp_s: int
    """Timestamp of that header."""
    validators: tuple[Address, ...]
    """The set that sealed it."""


def verify_skip(
    header: Header, *, trusted: TrustedHeader, now_s: int, trusting_period_s: int, drift_s: int
) -> Report:
    """Let a light client skip to a much later header, inside a trusting period.

    More than a third of the last trusted set must have sealed it, and a quorum of its own set.

    Args:
        header: The header to skip to.
        trusted: Where the client stands.
        now_s: The client's clock, in seconds.
        trusting_period_s: How long the trusted set answers for itself after its header.
        drift_s: How far ahead of the client's clock the header may be.

    Spec: QBFT-LIGHT-SKIP.
    """
    rule = "QBFT-LIGHT-SKIP"
    expiry_s = trusted.timestamp_s + trusting_period_s
    own, sealers = _examine_own_set(header)
    vouching = _count_among(sealers, trusted.validators)
    return Report(
        checks=(
            *own.checks,
            Check(
                rule=rule,
                name="seals of the trusted set",
                is_met=3 * vouching > len(trusted.validators),
                expected=f"more than a third of {len(trusted.validators)}",
                actual=vouching,
            ),
            Check(
                rule=rule,
                name="trusting period",
                is_met=now_s < expiry_s,
                expected=f"before {expiry_s}",
                actual=now_s,
            ),
            Check(
                rule=rule,
                name="timestamp",
                is_met=trusted.timestamp_s < header.timestamp_s <= now_s + drift_s,
                expected=f"after {trusted.timestamp_s}, at most {now_s + drift_s}",
                actual=header.timestamp_s,
            ),
        )
    )


def _examine_own_set(header: Header) -> tuple[Report, tuple[Address | None, ...]]:
    """Check the list a header carries, and that a quorum of it sealed the header."""
    listed = header.extra_data.validators
    form = compare("QBFT-VALIDATORS", "validators", tuple(sorted(set(listed))), listed)
    seals, sealers = _examine_seals(header, listed)
    return Report(checks=(form, *seals.checks)), sealers


def _count_among(sealers: tuple[Address | None, ...], members: Collection[Address]) -> int:
    return len({sealer for sealer in sealers if sealer in members})


def _repeats(sealers: tuple[Address | None, ...]) -> int:
    named = [sealer for sealer in sealers if sealer is not None]
    return len(named) - len(set(named))
