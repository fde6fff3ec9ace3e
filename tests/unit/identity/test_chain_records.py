"""ID-CHAIN-COARSE, ID-CHAIN-EXPIRY: calls, events and storage of the registry, as Python has them.

Judged by the contract itself on a chain in memory.
"""

from datetime import datetime, timedelta

import pytest

from clients.identity.chain import (
    BATCH_MAX,
    BUCKET_S,
    LIFETIME_S,
    ChainRecord,
    decode_event,
    encode_attest_call,
    encode_record_call,
    encode_revoke_call,
    read_record,
    round_down,
)
from clients.identity.lifecycle import FlagStatus
from node.execution.permissions import read_standing
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.primitives.errors import InvalidInput
from node.primitives.types import Address
from tests.support.identity import NOW
from tests.support.ledger import SERVICE_KEYS, Ledger, deploy, key_of

PEOPLE = [key_of(f"resident {at}").address for at in range(3)]


@pytest.mark.parametrize("status", [each for each in FlagStatus if each is not FlagStatus.EXPIRED])
def test_what_is_written_is_read_from_storage_and_from_the_event(status: FlagStatus) -> None:
    ledger = Ledger()
    registry = deploy(ledger, "IdentityStatus")
    checked_s = ledger.head.timestamp_s // BUCKET_S * BUCKET_S
    data = encode_record_call(PEOPLE, status=status, proofing_level=2, checked_s=checked_s)
    made = ledger.make(ledger.call(SERVICE_KEYS[0], registry, data))
    expected = ChainRecord(
        municipality=1,
        status=status,
        proofing_level=2,
        checked_s=checked_s,
        expires_s=checked_s + LIFETIME_S,
    )

    told = [decode_event(log) for log in made.result.receipts[0].logs]
    assert told == [(each, expected) for each in sorted(PEOPLE)]
    assert [read_record(ledger.view, registry, each) for each in PEOPLE] == [expected] * 3
    assert read_record(ledger.view, registry, key_of("nobody").address) is None


def test_attested_residents_may_send_until_revoked() -> None:
    ledger = Ledger()
    until_s = ledger.head.timestamp_s + 86_400
    for data, expected in (
        (encode_attest_call(PEOPLE, until_s=until_s), until_s),
        (encode_revoke_call(PEOPLE), 0),
    ):
        ledger.make(ledger.call(SERVICE_KEYS[0], PERMISSIONS_ADDRESS, data))
        found = {read_standing(ledger.view, each).resident_until_s for each in PEOPLE}
        assert found == {expected}


def test_a_record_runs_out_at_its_end_and_not_before() -> None:
    record = ChainRecord(
        municipality=1, status=FlagStatus.GRACE, proofing_level=3, checked_s=0, expires_s=100
    )

    assert record.is_verified_at(99, proofing_level=3)
    assert record.status_at(100) is FlagStatus.EXPIRED
    assert not record.is_verified_at(100, proofing_level=0)


def test_an_instant_is_rounded_down_to_its_bucket() -> None:
    start = datetime.fromtimestamp(round_down(NOW), NOW.tzinfo)

    assert start <= NOW < start + timedelta(seconds=BUCKET_S)
    assert round_down(start) == round_down(start + timedelta(seconds=BUCKET_S - 1))


@pytest.mark.parametrize(
    "accounts",
    [
        pytest.param([], id="none"),
        pytest.param([PEOPLE[0], PEOPLE[0]], id="one twice"),
        pytest.param(
            [Address(at.to_bytes(20, "big")) for at in range(1, BATCH_MAX + 2)], id="too many"
        ),
    ],
)
def test_a_batch_out_of_bounds_is_not_encoded(accounts: list[Address]) -> None:
    with pytest.raises(InvalidInput):
        encode_attest_call(accounts, until_s=1)


def test_no_exact_instant_and_no_expired_status_is_encoded() -> None:
    with pytest.raises(InvalidInput):
        encode_record_call(PEOPLE, status=FlagStatus.VERIFIED, proofing_level=3, checked_s=1)
    with pytest.raises(InvalidInput):
        encode_record_call(PEOPLE, status=FlagStatus.EXPIRED, proofing_level=3, checked_s=0)
