"""QBFT-EVIDENCE: which pairs of payloads convict, which do not, and that the proof travels."""

import pytest

from node.consensus.evidence import (
    Contradiction,
    Evidence,
    SignedPayload,
    decode_evidence,
    encode_evidence,
    find_contradiction,
    verify_evidence,
)
from node.primitives import rlp
from node.primitives.errors import InvalidInput
from node.primitives.types import Round
from tests.support.consensus import (
    BLOCK,
    OTHER_BLOCK,
    OUTSIDER,
    PROPOSER,
    SECOND,
    TALLY,
    certificate,
    commit,
    prepare,
    propose,
    round_change,
)

HELD = certificate()
OTHER_HELD = certificate(OTHER_BLOCK)

GUILTY = [
    pytest.param(
        propose().signed, propose(OTHER_BLOCK).signed, Contradiction.DOUBLE_PROPOSAL, id="proposals"
    ),
    pytest.param(
        prepare(SECOND).signed,
        prepare(SECOND, OTHER_BLOCK).signed,
        Contradiction.DOUBLE_VOTE,
        id="prepares",
    ),
    pytest.param(
        commit(SECOND).signed,
        commit(SECOND, OTHER_BLOCK).signed,
        Contradiction.DOUBLE_VOTE,
        id="commits",
    ),
    pytest.param(
        prepare(SECOND).signed,
        commit(SECOND, OTHER_BLOCK).signed,
        Contradiction.DOUBLE_VOTE,
        id="prepare one, commit another",
    ),
    pytest.param(
        round_change(SECOND, 1).signed,
        round_change(SECOND, 1, held=HELD).signed,
        Contradiction.DOUBLE_ROUND_CHANGE,
        id="round changes",
    ),
    pytest.param(
        commit(SECOND).signed,
        round_change(SECOND, 1).signed,
        Contradiction.DROPPED_LOCK,
        id="commit, then nothing prepared",
    ),
    pytest.param(
        commit(SECOND, BLOCK.with_round(Round(1))).signed,
        round_change(SECOND, 2, held=HELD).signed,
        Contradiction.DROPPED_LOCK,
        id="commit, then an earlier round prepared",
    ),
    pytest.param(
        commit(SECOND).signed,
        round_change(SECOND, 1, held=OTHER_HELD).signed,
        Contradiction.DROPPED_LOCK,
        id="commit, then another block prepared",
    ),
]


@pytest.mark.parametrize(("first", "second", "contradiction"), GUILTY)
def test_a_contradiction_is_found_and_its_proof_travels(
    first: SignedPayload, second: SignedPayload, contradiction: Contradiction
) -> None:
    assert find_contradiction(first, second) is contradiction

    evidence = Evidence(contradiction=contradiction, first=first, second=second)
    received = decode_evidence(encode_evidence(evidence))

    assert received == evidence
    assert verify_evidence(received, TALLY.validators).is_met


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(prepare(SECOND).signed, prepare(SECOND).signed, id="the same twice"),
        pytest.param(
            prepare(SECOND).signed, prepare(PROPOSER, OTHER_BLOCK).signed, id="two authors"
        ),
        pytest.param(
            prepare(SECOND).signed, prepare(SECOND, OTHER_BLOCK, at=1).signed, id="two rounds"
        ),
        pytest.param(
            prepare(SECOND).signed, prepare(SECOND, OTHER_BLOCK, height=2).signed, id="two heights"
        ),
        pytest.param(prepare(SECOND).signed, commit(SECOND).signed, id="prepare, then commit"),
        pytest.param(
            commit(SECOND).signed, round_change(SECOND, 1, held=HELD).signed, id="lock carried on"
        ),
        pytest.param(
            commit(SECOND, BLOCK.with_round(Round(1))).signed,
            round_change(SECOND, 1).signed,
            id="round change before the commit",
        ),
        pytest.param(
            round_change(SECOND, 1).signed, round_change(SECOND, 2, held=HELD).signed, id="progress"
        ),
    ],
)
def test_what_an_honest_validator_may_sign_convicts_nobody(
    first: SignedPayload, second: SignedPayload
) -> None:
    assert find_contradiction(first, second) is None


def test_a_strangers_contradiction_proves_nothing() -> None:
    evidence = Evidence(
        contradiction=Contradiction.DOUBLE_VOTE,
        first=prepare(OUTSIDER).signed,
        second=prepare(OUTSIDER, OTHER_BLOCK).signed,
    )

    report = verify_evidence(evidence, TALLY.validators)

    assert [check.name for check in report.failures] == ["author"]


def test_an_accusation_that_does_not_fit_is_refused() -> None:
    evidence = Evidence(
        contradiction=Contradiction.DOUBLE_VOTE,
        first=prepare(SECOND).signed,
        second=prepare(SECOND).signed,
    )

    assert not verify_evidence(evidence, TALLY.validators).is_met


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(rlp.encode([b"theft", [], []]), id="unknown contradiction"),
        pytest.param(rlp.encode([b"double_vote", [b"\x11", b""], []]), id="unknown code"),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_evidence(data)
