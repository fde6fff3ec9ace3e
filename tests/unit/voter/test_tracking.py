"""VOTE-TRACK, VOTE-FOREIGN, VOTE-EVIDENCE, RECEIPT-BALLOT: what became of ballots, and whose fault.

Case 88: a receipt for a ballot that is not in the box after the deadline blames its relay.
"""

from dataclasses import replace

import pytest

from clients.voter.box import Standing
from clients.voter.evidence import (
    InvalidEvidence,
    Judgement,
    decode_evidence,
    encode_evidence,
    judge_evidence,
)
from clients.voter.record import (
    BallotReceipt,
    DeviceRecord,
    InvalidRecord,
    SentBallot,
    check_ballot_receipt,
    sent_ballot_of,
)
from clients.voter.tracking import Progress, Tracking, track
from clients.voting.receipts import InvalidReceipt, ballot_receipt_hash, sign_receipt
from node.primitives.errors import InvalidInput
from tests.support.electorate import Device, account_of, make_manifest, receipt_key

MANIFEST = make_manifest()
DEVICE = Device("tracked")
DEADLINE = 90


def promise(sent: SentBallot, *, relay: int = 2, deadline: int = DEADLINE) -> BallotReceipt:
    digest = ballot_receipt_hash(MANIFEST.eid, sent.hash, deadline)
    return BallotReceipt(
        relay=account_of(relay),
        deadline=deadline,
        signature=sign_receipt(digest, receipt_key(relay)),
    )


def sent(sequence: int) -> SentBallot:
    ballot = sent_ballot_of(DEVICE.ballot(MANIFEST, sequence), at_s=1)
    return replace(ballot, receipts=(promise(ballot),))


FIRST, SECOND = sent(1), sent(2)
RECORD = DeviceRecord(eid=MANIFEST.eid).with_ballot(FIRST).with_ballot(SECOND)


def standing(sequence: int, digest: bytes = b"\x00" * 32) -> Standing:
    return Standing(
        digest=digest, sequence=sequence, cast_at=0, height=0, index=0, is_withdrawn=False
    )


def states(tracking: Tracking) -> list[Progress]:
    return [each.progress for each in tracking.ballots]


def test_the_last_ballot_counts_and_those_before_do_not() -> None:
    tracking = track(RECORD, standing(2, SECOND.hash), height=50)

    assert states(tracking) == [Progress.SUPERSEDED, Progress.COUNTS]
    assert tracking.next_sequence == 3
    assert not tracking.is_alarming


def test_a_ballot_waits_until_its_deadline_and_is_suppressed_after() -> None:
    at_deadline = track(RECORD, standing(1, FIRST.hash), height=DEADLINE)
    after = track(RECORD, standing(1, FIRST.hash), height=DEADLINE + 1)

    assert states(at_deadline) == [Progress.COUNTS, Progress.WAITING]
    assert at_deadline.next_sequence == 3
    assert states(after) == [Progress.COUNTS, Progress.SUPPRESSED]
    assert after.is_alarming


def test_somebody_elses_ballot_with_the_key_is_shown() -> None:
    above = track(RECORD, standing(4, b"\x0f" * 32), height=50)
    instead = track(RECORD, standing(2, b"\x0f" * 32), height=50)

    assert above.foreign_count == 2
    assert above.is_alarming
    assert above.next_sequence == 5
    assert states(instead) == [Progress.SUPERSEDED, Progress.DISPLACED]
    assert instead.is_alarming


@pytest.mark.parametrize(
    ("height", "known", "verdict"),
    [
        pytest.param(DEADLINE, standing(0), Judgement.TOO_EARLY, id="at the deadline"),
        pytest.param(DEADLINE + 1, standing(0), Judgement.BROKEN, id="no ballot of the key"),
        pytest.param(DEADLINE + 1, standing(1, FIRST.hash), Judgement.KEPT, id="in the box"),
        pytest.param(DEADLINE + 1, standing(1, b"\x0f" * 32), Judgement.BROKEN, id="another one"),
        pytest.param(DEADLINE + 1, standing(2), Judgement.UNDECIDED, id="later ballots"),
    ],
)
def test_case_88_a_broken_promise_names_its_relay(
    height: int, known: Standing, verdict: Judgement
) -> None:
    evidence = decode_evidence(MANIFEST, encode_evidence(MANIFEST, FIRST, FIRST.receipts[0]))

    assert evidence.receipt.relay == account_of(2)
    assert judge_evidence(evidence, height=height, standing=known) is verdict


def test_the_record_decides_what_the_key_cannot() -> None:
    evidence = decode_evidence(MANIFEST, encode_evidence(MANIFEST, FIRST, FIRST.receipts[0]))
    later = standing(2, SECOND.hash)

    for recorded, verdict in (
        ({FIRST.hash, SECOND.hash}, Judgement.KEPT),
        ({SECOND.hash}, Judgement.BROKEN),
    ):
        judged = judge_evidence(evidence, height=DEADLINE + 1, standing=later, recorded=recorded)
        assert judged is verdict


def test_nobody_is_blamed_by_a_forged_promise() -> None:
    forged = replace(FIRST.receipts[0], relay=account_of(3))
    moved = replace(FIRST.receipts[0], deadline=DEADLINE - 1)

    for receipt in (forged, moved):
        with pytest.raises(InvalidReceipt):
            decode_evidence(MANIFEST, encode_evidence(MANIFEST, FIRST, receipt))


def test_nobody_is_blamed_for_a_ballot_that_no_box_takes() -> None:
    core = FIRST.core[:-1] + bytes([FIRST.core[-1] ^ 1])
    broken = replace(FIRST, core=core)
    broken = replace(broken, receipts=(promise(broken),))

    with pytest.raises(InvalidInput):
        decode_evidence(MANIFEST, encode_evidence(MANIFEST, broken, broken.receipts[0]))


def test_evidence_of_another_kind_or_election_is_refused() -> None:
    data = encode_evidence(MANIFEST, FIRST, FIRST.receipts[0])

    for other in (data.replace(b"suppressed", b"supported"), b"{}", b"[1]", data[:-1]):
        with pytest.raises(InvalidInput):
            decode_evidence(MANIFEST, other)
    with pytest.raises(InvalidEvidence):
        decode_evidence(make_manifest(title="別の投票"), data)


def test_a_receipt_of_no_relay_is_refused() -> None:
    stranger = replace(FIRST.receipts[0], relay="0x" + "00" * 20)

    with pytest.raises(InvalidRecord):
        check_ballot_receipt(MANIFEST, FIRST.hash, stranger)
