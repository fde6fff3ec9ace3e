"""QBFT-SEALS, QBFT-LIGHT-STEP, QBFT-LIGHT-SKIP: what makes a header final, and what lets one step.

Four validators, so a quorum is three.
"""

from itertools import combinations

import pytest

from node.consensus.quorum import fault_count_max, quorum_size
from node.consensus.seals import (
    TrustedHeader,
    check_commit_seals,
    recover_sealers,
    verify_commit_seals,
    verify_skip,
    verify_step,
)
from node.primitives.crypto import CURVE_ORDER, PrivateKey
from node.primitives.errors import InvalidBlock
from node.primitives.header import Header
from node.primitives.types import Address, Round, Signature
from tests.support.consensus import (
    BLOCK,
    FOURTH,
    KEYS,
    OUTSIDER,
    PROPOSER,
    SECOND,
    TALLY,
    THIRD,
    addresses,
    block_by,
    make_keys,
    sealed,
)


def failed(header: Header) -> list[str]:
    report = verify_commit_seals(header, TALLY.validators)
    return [check.name for check in report.failures]


def high_s(signature: Signature) -> Signature:
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return Signature(signature[:32] + s.to_bytes(32, "big") + bytes((1 - signature[64],)))


@pytest.mark.parametrize("by", list(combinations(KEYS, 3)))
def test_any_three_of_four_seals_are_enough(by: tuple[PrivateKey, ...]) -> None:
    assert failed(sealed(BLOCK, by).header) == []


def test_two_of_four_seals_are_not() -> None:
    assert failed(sealed(BLOCK, KEYS[:2]).header) == ["seals of distinct validators"]


def test_one_author_twice_does_not_make_a_quorum() -> None:
    assert failed(sealed(BLOCK, [PROPOSER, SECOND, SECOND]).header) == [
        "seals of one validator twice",
        "seals of distinct validators",
    ]


def test_a_stranger_among_enough_seals_is_refused() -> None:
    assert failed(sealed(BLOCK, [*KEYS[:3], OUTSIDER]).header) == ["seals of strangers"]


def test_a_malleated_seal_is_refused() -> None:
    good = sealed(BLOCK, KEYS).header.extra_data.seals
    header = BLOCK.with_seals((*good[:3], high_s(good[3]))).header

    assert failed(header) == ["seals that recover nobody"]


def test_more_seals_than_validators_are_refused_without_recovering_any() -> None:
    header = BLOCK.with_seals((Signature(b"\x00" * 65),) * 5).header

    assert failed(header) == ["count of seals"]


def test_seals_hold_for_the_round_they_were_made_in_only() -> None:
    seals = sealed(BLOCK).header.extra_data.seals
    moved = BLOCK.with_round(Round(1)).with_seals(seals).header

    assert not set(recover_sealers(moved)) & set(TALLY.validators)


def test_an_empty_set_seals_nothing() -> None:
    assert not verify_commit_seals(BLOCK.header, ()).is_met


def test_check_names_the_rule() -> None:
    with pytest.raises(InvalidBlock, match="3 or more of 4, found 0"):
        check_commit_seals(BLOCK.header, TALLY.validators)


def step_header(keys: tuple[PrivateKey, ...], by: tuple[PrivateKey, ...]) -> Header:
    return sealed(block_by(validators=addresses(keys)), by).header


@pytest.mark.parametrize("size", range(3, 8))
@pytest.mark.parametrize("is_add", [True, False], ids=["add", "drop"])
def test_every_quorum_of_a_set_changed_by_one_lets_a_client_step(size: int, is_add: bool) -> None:
    keys = make_keys(size + 1)
    old = keys[:size] if is_add else keys
    new = keys if is_add else keys[:size]
    if len(old) < 3:
        pytest.skip("sets below three have no such rule")

    for by in combinations(new, quorum_size(len(new))):
        assert verify_step(step_header(new, by), trusted=addresses(old)).is_met


def test_a_set_of_strangers_cannot_vouch_for_itself() -> None:
    strangers = make_keys(4, "stranger")

    report = verify_step(step_header(strangers, strangers), trusted=TALLY.validators)

    assert [check.rule for check in report.failures] == ["QBFT-LIGHT-STEP"]


def test_f_old_members_are_too_few_for_a_step() -> None:
    strangers = make_keys(3, "stranger")
    mixed = (PROPOSER, *strangers)
    assert fault_count_max(4) == 1

    assert not verify_step(step_header(mixed, mixed), trusted=TALLY.validators).is_met
    more = (PROPOSER, SECOND, *strangers[:2])
    assert verify_step(step_header(more, more), trusted=TALLY.validators).is_met


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(TALLY.validators[::-1], id="out of order"),
        pytest.param((TALLY.validators[0], *TALLY.validators[:2]), id="one twice"),
    ],
)
def test_a_list_not_ascending_lets_nobody_step(listed: tuple[Address, ...]) -> None:
    header = sealed(block_by(validators=listed), KEYS[:2]).header

    failures = verify_step(header, trusted=TALLY.validators).failures

    assert failures[0].rule == "QBFT-VALIDATORS"


TRUSTED = TrustedHeader(timestamp_s=1_000, validators=TALLY.validators)


def skip_failures(header: Header, *, now_s: int = 1_100) -> list[str]:
    report = verify_skip(header, trusted=TRUSTED, now_s=now_s, trusting_period_s=500, drift_s=10)
    return [check.name for check in report.failures]


def test_a_skip_needs_more_than_a_third_of_the_trusted_set() -> None:
    strangers = make_keys(2, "stranger")
    one, two = (PROPOSER, *strangers), (PROPOSER, SECOND, *strangers)

    assert skip_failures(step_header(two, two)) == []
    assert skip_failures(step_header(one, one)) == ["seals of the trusted set"]


def test_a_skip_ends_with_the_trusting_period() -> None:
    header = step_header(KEYS, (PROPOSER, THIRD, FOURTH))

    assert skip_failures(header, now_s=1_499) == []
    assert skip_failures(header, now_s=1_500) == ["trusting period"]


@pytest.mark.parametrize(("timestamp_s", "is_met"), [(1_000, False), (1_110, True), (1_111, False)])
def test_a_skip_goes_forward_and_not_into_the_future(timestamp_s: int, is_met: bool) -> None:
    header = sealed(block_by(timestamp_s=timestamp_s)).header

    assert (skip_failures(header) == []) is is_met
