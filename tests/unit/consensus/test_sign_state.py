"""QBFT-SIGN-STATE, QBFT-LOCK: the record of our votes goes forward and never contradicts itself."""

from dataclasses import replace
from typing import Any

import pytest

from node.consensus.messages import (
    CommitDraft,
    Draft,
    PreparePayload,
    ProposalDraft,
    ProposalPayload,
    RoundChangeDraft,
    RoundChangePayload,
)
from node.consensus.sign_state import (
    SignState,
    check_follows,
    decode_sign_state,
    encode_sign_state,
    follow,
)
from node.primitives import rlp
from node.primitives.block import Block
from node.primitives.errors import InvalidInput, InvariantViolation
from node.primitives.types import Height, Round
from tests.support.consensus import BLOCK, OTHER_BLOCK, certificate

HELD = certificate()
LAST = SignState(
    height=Height(1),
    round=Round(2),
    proposal=BLOCK.digest,
    prepare=BLOCK.digest,
    commit=BLOCK.digest,
    has_round_change=True,
    round_change_prepared=HELD.metadata,
    certificate=HELD,
    silent_through=Height(0),
)


def proposal(block: Block = BLOCK, height: int = 1, at: int = 2) -> Draft:
    payload = ProposalPayload(height=Height(height), round=Round(at), block=block)
    return ProposalDraft(payload=payload)


def prepare_draft(block: Block = BLOCK, height: int = 1, at: int = 2) -> Draft:
    return PreparePayload(height=Height(height), round=Round(at), digest=block.digest)


def commit_draft(block: Block = BLOCK, height: int = 1, at: int = 2) -> Draft:
    return CommitDraft(height=Height(height), round=Round(at), digest=block.digest)


def change_draft(*, is_prepared: bool = True, height: int = 1, at: int = 2) -> Draft:
    payload = RoundChangePayload(
        height=Height(height),
        round=Round(at),
        prepared=HELD.metadata if is_prepared else None,
    )
    return RoundChangeDraft(payload=payload, certificate=HELD if is_prepared else None)


SAME = [
    pytest.param(proposal(), id="proposal"),
    pytest.param(prepare_draft(), id="prepare"),
    pytest.param(commit_draft(), id="commit"),
    pytest.param(change_draft(), id="round change"),
]


@pytest.mark.parametrize("draft", SAME)
def test_the_same_vote_may_be_signed_again(draft: Draft) -> None:
    assert follow(LAST, draft, HELD) == LAST


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(proposal(OTHER_BLOCK), id="another proposal"),
        pytest.param(prepare_draft(OTHER_BLOCK), id="another prepare"),
        pytest.param(commit_draft(OTHER_BLOCK), id="another commit"),
        pytest.param(change_draft(is_prepared=False), id="another round change"),
        pytest.param(prepare_draft(at=1), id="an earlier round"),
        pytest.param(change_draft(at=1), id="a round change to an earlier round"),
        pytest.param(commit_draft(height=0, at=9), id="an earlier height"),
    ],
)
def test_a_contradicting_or_earlier_vote_is_never_signed(draft: Draft) -> None:
    assert follow(LAST, draft, HELD) is None


def test_a_commit_must_name_what_was_prepared() -> None:
    prepared = SignState(height=Height(1), round=Round(0), prepare=BLOCK.digest)

    assert follow(prepared, commit_draft(OTHER_BLOCK, at=0), None) is None
    assert follow(prepared, commit_draft(at=0), HELD) is not None


def test_no_round_change_is_made_to_a_round_voted_in() -> None:
    voted = SignState(height=Height(1), round=Round(2), prepare=BLOCK.digest)

    assert follow(voted, change_draft(), HELD) is None


@pytest.mark.parametrize(("height", "at"), [(1, 3), (2, 0)], ids=["later round", "later height"])
def test_a_later_vote_starts_the_record_afresh(height: int, at: int) -> None:
    record = follow(
        replace(LAST, silent_through=Height(0)), prepare_draft(OTHER_BLOCK, height, at), None
    )

    assert record == SignState(height=Height(height), round=Round(at), prepare=OTHER_BLOCK.digest)


@pytest.mark.parametrize(
    "change",
    [{"is_silent": True}, {"silent_through": Height(2)}],
    ids=["silent", "silent through this height"],
)
@pytest.mark.parametrize("draft", SAME)
def test_nothing_is_signed_while_silent(change: dict[str, Any], draft: Draft) -> None:
    assert follow(replace(LAST, **change), draft, HELD) is None


def test_silence_is_kept_by_later_records() -> None:
    record = follow(replace(LAST, silent_through=Height(4)), prepare_draft(height=5, at=0), None)

    assert record is not None
    assert record.silent_through == 4


def test_the_first_record_may_be_anything() -> None:
    check_follows(None, LAST)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"round": Round(1)}, id="earlier round"),
        pytest.param({"height": Height(0), "round": Round(9)}, id="earlier height"),
        pytest.param({"proposal": OTHER_BLOCK.digest}, id="second proposal"),
        pytest.param({"prepare": None}, id="forgotten prepare"),
        pytest.param({"commit": OTHER_BLOCK.digest}, id="second commit"),
        pytest.param({"round_change_prepared": None}, id="second round change"),
        pytest.param({"has_round_change": False}, id="forgotten round change"),
        pytest.param({"certificate": None}, id="dropped lock"),
        pytest.param({"round": Round(3), "certificate": None}, id="lock dropped in a later round"),
    ],
)
def test_a_signer_refuses_a_record_that_goes_back(change: dict[str, Any]) -> None:
    with pytest.raises(InvariantViolation, match="QBFT-"):
        check_follows(LAST, replace(LAST, **change))


def test_a_signer_accepts_a_record_that_goes_forward() -> None:
    check_follows(LAST, replace(LAST, round=Round(3), prepare=OTHER_BLOCK.digest))
    check_follows(LAST, SignState(height=Height(2), round=Round(0)))


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(LAST, id="all fields"),
        pytest.param(SignState(height=Height(0), round=Round(0)), id="no votes"),
        pytest.param(replace(LAST, is_silent=True, silent_through=Height(9)), id="silent"),
    ],
)
def test_a_record_survives_its_bytes(record: SignState) -> None:
    assert decode_sign_state(encode_sign_state(record)) == record


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_torn_record_does_not_decode(cut: int) -> None:
    with pytest.raises(InvalidInput):
        decode_sign_state(encode_sign_state(LAST)[:cut])


def test_a_record_of_another_format_does_not_decode() -> None:
    items = rlp.decode_list(encode_sign_state(LAST))

    with pytest.raises(InvalidInput, match="expected format 1, found 2"):
        decode_sign_state(rlp.encode([b"\x02", *items[1:]]))
