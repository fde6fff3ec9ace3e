"""ENROL-DEVICE, RECEIPT-ROLL, TOKEN-BLIND, VOTE-RECORD: the device believes only what is proven."""

from dataclasses import replace

import pytest

from clients.voter.enrolment import (
    Enrolment,
    EnrolmentRefused,
    PendingEnrolment,
    begin_enrolment,
    finish_enrolment,
)
from clients.voter.record import (
    DeviceRecord,
    InvalidRecord,
    decode_record,
    encode_record,
    sent_ballot_of,
)
from clients.voting.blind_signature import InvalidToken, check_token, token_message
from clients.voting.receipts import InvalidReceipt
from clients.voting.roll import check_entry, decode_entry
from tests.support.electorate import (
    Device,
    accept,
    invite,
    make_manifest,
    slot_of,
    token_key,
)
from tests.support.voting import SeededNonces

MANIFEST = make_manifest()
DEVICE = Device("enrolling")


def begin(elector: int = 1) -> PendingEnrolment:
    return begin_enrolment(MANIFEST, invite(elector), DEVICE.point, SeededNonces("begin"))


def finish(pending: PendingEnrolment) -> Enrolment:
    receipt, signed = accept(MANIFEST, pending)
    return finish_enrolment(MANIFEST, pending, DEVICE.point, receipt, signed)


def test_an_accepted_entry_gives_a_receipt_and_a_token() -> None:
    pending = begin()
    enrolment = finish(pending)

    check_entry(decode_entry(pending.entry.encode()))
    assert enrolment.commitment == pending.commitment
    message = token_message(MANIFEST.eid, DEVICE.point)
    check_token(token_key().public_key(), message, enrolment.token)


def test_a_slot_outside_the_eligible_list_is_refused() -> None:
    with pytest.raises(EnrolmentRefused):
        begin_enrolment(MANIFEST, invite(1, slot=slot_of(2)), DEVICE.point, SeededNonces("x"))


def test_one_signature_alone_is_no_receipt() -> None:
    pending = begin()
    receipt, signed = accept(MANIFEST, pending)

    for forged in (
        replace(receipt, attestor=receipt.registrar),
        replace(receipt, registrar=receipt.attestor),
        replace(receipt, batch=receipt.batch + 1),
    ):
        with pytest.raises(InvalidReceipt):
            finish_enrolment(MANIFEST, pending, DEVICE.point, forged, signed)


def test_a_token_for_something_else_is_refused() -> None:
    pending = begin()
    receipt, signed = accept(MANIFEST, pending)
    other = bytes([signed[0] ^ 1]) + signed[1:]

    with pytest.raises(InvalidToken):
        finish_enrolment(MANIFEST, pending, DEVICE.point, receipt, other)


def test_a_record_comes_back_as_it_was_kept() -> None:
    pending = begin()
    record = DeviceRecord(
        eid=MANIFEST.eid, pending=pending, card_signature=b"\x01\x02", certificate=b"\x03"
    )
    enrolled = DeviceRecord(eid=MANIFEST.eid, enrolment=finish(pending)).with_ballot(
        sent_ballot_of(DEVICE.ballot(MANIFEST), at_s=5)
    )

    for each in (record, enrolled):
        assert decode_record(encode_record(each)) == each


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"version": 2}', b'{"version": 1}'])
def test_a_damaged_record_says_so(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        decode_record(data)


def test_a_record_tells_no_choice() -> None:
    one = sent_ballot_of(DEVICE.ballot(MANIFEST, choices={1: 1, 2: 1}), at_s=5)
    kept = encode_record(DeviceRecord(eid=MANIFEST.eid).with_ballot(one))

    assert b"choice" not in kept
    assert b"candidate" not in kept
    assert set(decode_record(kept).ballots[0].__dataclass_fields__) == {
        "core",
        "signature",
        "sent_at",
        "receipts",
    }
