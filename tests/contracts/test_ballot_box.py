"""The ballot box: who may cast when, what is recorded, how a key's ballots follow each other.

BOX-WINDOW, BOX-SEQUENCE, BOX-CHAIN, BOX-BATCH, BOX-WITHDRAW, BOX-CLOSE. Numbers are those of the
protocol's list of attacks. What a single ballot may look like is in test_ballot_forgeries.py.
"""

import hashlib
from collections.abc import Iterator

import boa
import pytest
from eth_abi import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.voting.ballot import tracking_code, withdrawal_hash
from clients.voting.batch import (
    BALLOT_COUNT_MAX,
    BATCH_SIZE_MAX,
    OversizedBatch,
    Refusal,
    encode_batch,
    encode_item,
)
from clients.voting.encoding import encode_i8
from node.primitives.crypto import PrivateKey
from tests.support.city import City, actor
from tests.support.election import (
    CLOSES_AT_S,
    MAX_SEQUENCE,
    MIN_INTERVAL_S,
    OPENS_AT_S,
    Election,
    Terms,
    Voter,
    go_to,
)
from tests.support.voting import EID

UNKNOWN_EID = b"\x0e" * 32
GOOD = (Voter("first").make_ballot(), Voter("last", style=7).make_ballot())
NOT_RELAY = "ballot_box: sender is no relay"


@pytest.fixture(scope="module")
def opened() -> Iterator[Election]:
    with boa.env.anchor():
        election = Election(City())
        election.announce()
        go_to(OPENS_AT_S)
        yield election


@pytest.fixture
def election(opened: Election) -> Iterator[Election]:
    with boa.env.anchor():
        yield opened


def withdraw(
    election: Election, voter: Voter, sequence: int, *, key: PrivateKey | None = None
) -> None:
    signature = (key or voter.secret).sign(withdrawal_hash(EID, voter.key, sequence))
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    with election.acting_as_relay():
        election.box.withdraw(EID, *voter.coordinates, 27 + signature[64], r, s)


def test_a_ballot_is_recorded_with_its_hash_time_and_place(election: Election) -> None:
    voter = Voter("a", style=9)
    ballot = voter.make_ballot()

    election.cast(Voter("before").make_ballot())
    outcome = election.cast(ballot)

    assert outcome.recorded == (ballot.hash,)
    standing = election.box.standing_of(EID, *voter.coordinates)
    height = boa.env.evm.patch.block_number
    assert standing == (ballot.hash, 1, election.city.now_s, height, 1, False)


def test_91_the_event_holds_the_very_core_whose_hash_is_stored(election: Election) -> None:
    voter = Voter("a", style=9)
    ballot = voter.make_ballot()
    election.cast(ballot)

    (event,) = election.box.get_logs()
    stored = election.box.standing_of(EID, *voter.coordinates).digest

    assert event.core == ballot.core.encode()
    tag = hashlib.sha256(b"JMEV1/ballot-sig").digest()
    assert hashlib.sha256(tag + tag + event.core).digest() == stored == event.digest
    assert len(tracking_code(stored)) == 19


def test_90_the_chain_binds_every_ballot_in_order(election: Election) -> None:
    ballots = [Voter(name).make_ballot() for name in "abc"]
    election.cast(*ballots[:2])
    election.cast(ballots[2])

    value = EID
    for index, ballot in enumerate(ballots):
        value = hashlib.sha256(value + ballot.hash + encode_i8(index)).digest()

    assert election.box.box_of(EID) == (value, 3, False)


def test_two_elections_have_boxes_of_their_own(election: Election) -> None:
    other = b"\x0f" * 32
    go_to(OPENS_AT_S - 1)
    election.announce(Terms(draft_id=b"\xd2" * 32), eid=other)
    go_to(OPENS_AT_S)
    voter = Voter("a")
    election.cast(voter.make_ballot())

    there = voter.make_ballot(sequence=1, eid=other)
    outcome = election.cast_bytes(encode_batch([there]), eid=other)

    assert outcome.recorded == (there.hash,)
    assert election.box.box_of(EID).count == election.box.box_of(other).count == 1


@pytest.mark.parametrize(
    ("at_s", "reason"),
    [
        pytest.param(OPENS_AT_S - 1, "ballot_box: not open", id="49 before opening"),
        pytest.param(CLOSES_AT_S, "ballot_box: closed", id="49 at closing"),
        pytest.param(CLOSES_AT_S + 1, "ballot_box: closed", id="49 after closing"),
    ],
)
def test_49_outside_the_window_nothing_is_taken(election: Election, at_s: int, reason: str) -> None:
    go_to(at_s)
    with boa.reverts(reason):
        election.cast(Voter("a").make_ballot())
    with boa.reverts(reason):
        withdraw(election, Voter("a"), 1)


@pytest.mark.parametrize(
    "at_s",
    [
        pytest.param(OPENS_AT_S, id="49 first second"),
        pytest.param(CLOSES_AT_S - 1, id="49 last second"),
    ],
)
def test_49_inside_the_window_ballots_are_taken(election: Election, at_s: int) -> None:
    go_to(at_s)
    assert len(election.cast(Voter("a").make_ballot()).recorded) == 1


def test_50_only_relays_of_the_election_cast(election: Election) -> None:
    batch = encode_batch([Voter("a").make_ballot()])
    for account in (actor("outsider"), election.city.services[0], election.city.accounts[0]):
        with election.city.acting(account), boa.reverts(NOT_RELAY):
            election.box.cast(EID, batch)
    for relay in (1, 2, 3, 4):
        assert election.cast(Voter(f"of {relay}").make_ballot(), relay=relay).recorded


def test_a_ballot_may_come_again_through_any_relay_and_counts_once(election: Election) -> None:
    ballot = Voter("a").make_ballot()
    election.cast(ballot, relay=1)

    assert election.cast(ballot, relay=2).refused == {0: Refusal.SEQUENCE}
    assert election.box.box_of(EID).count == 1


def test_an_unknown_election_takes_nothing(election: Election) -> None:
    with boa.reverts("elections: no such election"):
        election.cast_bytes(encode_batch([Voter("a").make_ballot()]), eid=UNKNOWN_EID)


def test_an_abandoned_election_takes_nothing_more(election: Election) -> None:
    election.cast(Voter("a").make_ballot())
    city = election.city
    city.vote(election.elections, "abandon", EID, b"\x01" * 32, voters=(1, 2, 3))

    with boa.reverts("ballot_box: not open"):
        election.cast(Voter("b").make_ballot())
    assert election.box.box_of(EID).count == 1


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        pytest.param(0, Refusal.SEQUENCE, id="40 before the first"),
        pytest.param(1, Refusal.SEQUENCE, id="40 the same again"),
        pytest.param(2, None, id="41 the next"),
        pytest.param(3, Refusal.SEQUENCE, id="41 one skipped"),
        pytest.param(2**64 - 1, Refusal.SEQUENCE, id="41 the largest number"),
    ],
)
def test_40_41_a_keys_second_ballot_has_number_two(
    election: Election, sequence: int, reason: Refusal | None
) -> None:
    voter = Voter("a")
    election.cast(voter.make_ballot())
    go_to(OPENS_AT_S + MIN_INTERVAL_S)

    refused = election.cast(voter.make_ballot(sequence=sequence)).refused

    assert refused.get(0) is reason


def test_40_the_first_ballot_has_number_one(election: Election) -> None:
    assert election.cast(Voter("a").make_ballot(sequence=2)).refused == {0: Refusal.SEQUENCE}
    assert election.cast(Voter("a").make_ballot(sequence=0)).refused == {0: Refusal.SEQUENCE}
    assert election.cast(Voter("a").make_ballot(sequence=1)).recorded


def test_42_a_key_casts_no_more_often_than_the_terms_allow(election: Election) -> None:
    voter = Voter("a")
    for number in range(MAX_SEQUENCE):
        go_to(OPENS_AT_S + number * MIN_INTERVAL_S)
        assert election.cast(voter.make_ballot()).recorded

    go_to(OPENS_AT_S + MAX_SEQUENCE * MIN_INTERVAL_S)
    assert election.cast(voter.make_ballot()).refused == {0: Refusal.SEQUENCE}


@pytest.mark.parametrize(
    ("waited_s", "reason"),
    [
        pytest.param(MIN_INTERVAL_S - 1, Refusal.INTERVAL, id="42 a second too soon"),
        pytest.param(MIN_INTERVAL_S, None, id="42 just late enough"),
    ],
)
def test_42_ballots_of_a_key_keep_their_interval(
    election: Election, waited_s: int, reason: Refusal | None
) -> None:
    voter = Voter("a")
    election.cast(voter.make_ballot())
    go_to(OPENS_AT_S + waited_s)

    assert election.cast(voter.make_ballot()).refused.get(0) is reason


def test_a_later_ballot_replaces_what_is_stored_of_its_key(election: Election) -> None:
    voter = Voter("a")
    election.cast(voter.make_ballot())
    go_to(OPENS_AT_S + MIN_INTERVAL_S)
    second = voter.make_ballot(style=7, choices=[(1, 2), (4, 0)])
    election.cast(second)

    standing = election.box.standing_of(EID, *voter.coordinates)
    assert (standing.digest, standing.sequence, standing.index) == (second.hash, 2, 1)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_53_a_bad_ballot_blocks_none_of_those_around_it(election: Election, place: int) -> None:
    good = [Voter("a").make_ballot(), Voter("b", style=7).make_ballot()]
    bad = Voter("bad").make_ballot()
    items = [encode_batch([ballot]) for ballot in good]
    broken = bytearray(encode_batch([bad]))
    broken[-10] ^= 1
    items.insert(place, bytes(broken))

    outcome = election.cast_bytes(b"".join(items))

    assert outcome.recorded == tuple(ballot.hash for ballot in good)
    assert outcome.refused == {place: Refusal.SIGNATURE}
    assert election.box.standing_of(EID, *Voter("bad").coordinates).sequence == 0


def test_54_the_same_ballot_twice_in_a_batch_is_recorded_once(election: Election) -> None:
    ballot = Voter("a").make_ballot()

    outcome = election.cast(ballot, Voter("b").make_ballot(), ballot)

    assert len(outcome.recorded) == 2
    assert outcome.refused == {2: Refusal.SEQUENCE}


def test_54_two_ballots_of_a_key_in_a_batch_are_too_close(election: Election) -> None:
    voter = Voter("a")

    outcome = election.cast(voter.make_ballot(), voter.make_ballot())

    assert outcome.refused == {1: Refusal.INTERVAL}


def test_a_batch_of_refused_ballots_leaves_the_box_as_it_was(election: Election) -> None:
    election.cast(Voter("a").make_ballot())
    before = election.box.box_of(EID)

    outcome = election.cast(*[Voter(name).make_ballot(sequence=9) for name in "bc"])

    assert not outcome.recorded
    assert election.box.box_of(EID) == before


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        pytest.param(b"", "ballot_box: empty batch", id="empty"),
        pytest.param(b"\x00", "ballot_box: batch is cut off", id="half a size"),
        pytest.param(b"\x00\x01" + bytes(65), "ballot_box: batch is cut off", id="a byte missing"),
        pytest.param(b"\xff\xff" + bytes(99), "ballot_box: batch is cut off", id="size too large"),
        pytest.param(
            encode_item(b"", bytes(65)) * (BALLOT_COUNT_MAX + 1),
            "ballot_box: too many ballots",
            id="one ballot too many",
        ),
    ],
)
def test_framing_that_does_not_add_up_refuses_the_batch(
    election: Election, batch: bytes, reason: str
) -> None:
    with boa.reverts(reason):
        election.cast_bytes(batch)


def test_the_largest_count_of_items_is_gone_through(election: Election) -> None:
    outcome = election.cast_bytes(encode_item(b"", bytes(65)) * BALLOT_COUNT_MAX)

    assert len(outcome.refused) == BALLOT_COUNT_MAX


def test_call_data_in_another_encoding_is_refused(election: Election) -> None:
    """Items are read where the canonical encoding has them, so no other may be decoded."""
    batch = encode_batch([Voter("a").make_ballot()])
    canonical = encode(["bytes32", "bytes"], [EID, batch])
    shifted = canonical[:32] + (96).to_bytes(32, "big") + bytes(32) + canonical[64:]
    selector = election.box.cast.method_id
    with election.acting_as_relay():
        for data, is_taken in ((canonical, True), (shifted, False)):
            with boa.env.anchor():
                computation = boa.env.execute_code(
                    to_address=election.box.address,
                    sender=actor("relay 1"),
                    data=selector + data,
                )
            assert computation.is_success is is_taken


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cores=st.lists(st.binary(max_size=600), min_size=1, max_size=3),
    head=st.booleans(),
    races=st.integers(0, 2),
)
def test_53_no_bytes_whatsoever_block_the_ballots_around_them(
    election: Election, cores: list[bytes], head: bool, races: int
) -> None:
    """Some cores are given a right head and size, so that noise reaches the deeper checks."""
    good = GOOD
    shaped = [
        good[1].core.encode()[: 107 if head else 35].ljust(107, core[:1] or b"\x01")
        + (core * 600)[: 226 * races].ljust(226 * races, b"\x07")
        for core in cores
    ]
    items = [encode_item(core, (core + bytes(65))[:65]) for core in [*cores, *shaped]]

    with boa.env.anchor():
        outcome = election.cast_bytes(
            encode_batch(good[:1]) + b"".join(items) + encode_batch(good[1:])
        )

    assert outcome.recorded == tuple(ballot.hash for ballot in good)
    assert set(outcome.refused) == set(range(1, len(items) + 1))


@pytest.mark.parametrize("cast_count", [0, 1, 2])
def test_a_key_withdraws_with_the_number_of_its_next_ballot(
    election: Election, cast_count: int
) -> None:
    voter = Voter("a")
    for number in range(cast_count):
        go_to(OPENS_AT_S + number * MIN_INTERVAL_S)
        election.cast(voter.make_ballot())

    for sequence in (cast_count, cast_count + 2):
        with boa.reverts("ballot_box: not signed by the key"):
            withdraw(election, voter, sequence)
    withdraw(election, voter, cast_count + 1)

    standing = election.box.standing_of(EID, *voter.coordinates)
    assert (standing.sequence, standing.is_withdrawn) == (cast_count, True)


def test_52_another_key_withdraws_nothing(election: Election) -> None:
    voter = Voter("a")
    election.cast(voter.make_ballot())

    with boa.reverts("ballot_box: not signed by the key"):
        withdraw(election, voter, 2, key=Voter("thief").secret)
    assert not election.box.standing_of(EID, *voter.coordinates).is_withdrawn


def test_52_a_withdrawn_key_casts_no_more_and_withdraws_once(election: Election) -> None:
    voter = Voter("a")
    election.cast(voter.make_ballot())
    withdraw(election, voter, 2)
    go_to(OPENS_AT_S + MIN_INTERVAL_S)

    for sequence in (1, 2, 3):
        assert election.cast(voter.make_ballot(sequence=sequence)).refused == {0: Refusal.WITHDRAWN}
    with boa.reverts("ballot_box: key is withdrawn"):
        withdraw(election, voter, 2)


def test_a_withdrawal_keeps_what_is_recorded_of_the_last_ballot(election: Election) -> None:
    voter = Voter("a")
    ballot = voter.make_ballot()
    election.cast(ballot)
    before = election.box.standing_of(EID, *voter.coordinates)

    withdraw(election, voter, 2)

    after = election.box.standing_of(EID, *voter.coordinates)
    assert after == (*before[:5], True)


def test_52_a_withdrawal_signed_with_high_s_is_refused(election: Election) -> None:
    voter = Voter("a")
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    signature = voter.secret.sign(withdrawal_hash(EID, voter.key, 1))
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))

    with election.acting_as_relay(), boa.reverts("ballot_box: not signed by the key"):
        election.box.withdraw(EID, *voter.coordinates, 28 - signature[64], r, order - s)


def test_only_relays_bring_withdrawals(election: Election) -> None:
    with election.city.acting(actor("outsider")), boa.reverts(NOT_RELAY):
        election.box.withdraw(EID, *Voter("a").coordinates, 27, 1, 1)


def test_what_is_no_point_withdraws_nothing(election: Election) -> None:
    with election.acting_as_relay(), boa.reverts("ballot_box: not a key"):
        election.box.withdraw(EID, 0, 0, 27, 1, 1)


def test_anyone_closes_once_and_not_before_closing_time(election: Election) -> None:
    election.cast(Voter("a").make_ballot())
    before = election.box.box_of(EID)
    with election.city.acting(actor("outsider")):
        go_to(CLOSES_AT_S - 1)
        with boa.reverts("ballot_box: not yet closing time"):
            election.box.close(EID)
        go_to(CLOSES_AT_S)
        election.box.close(EID)
        (event,) = election.box.get_logs()
        with boa.reverts("ballot_box: already closed"):
            election.box.close(EID)

    assert (event.eid, event.count, event.value) == (EID, 1, before.value)
    assert election.box.box_of(EID) == (before.value, 1, True)


def test_an_empty_box_closes_with_the_elections_id_as_its_value(election: Election) -> None:
    go_to(CLOSES_AT_S)
    election.box.close(EID)

    assert election.box.box_of(EID) == (EID, 0, True)


def test_a_batch_too_large_for_the_box_is_not_encoded() -> None:
    ballot = Voter("a").make_ballot()
    assert len(encode_batch([ballot] * BALLOT_COUNT_MAX)) <= BATCH_SIZE_MAX
    with pytest.raises(OversizedBatch, match="send two"):
        encode_batch([ballot] * (BALLOT_COUNT_MAX + 1))
    wide = Voter("b", style=9).make_ballot()
    with pytest.raises(OversizedBatch, match="at most"):
        encode_batch([wide] * (BATCH_SIZE_MAX // (107 + 226 * 3 + 67) + 1))
