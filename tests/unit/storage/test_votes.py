"""STORE-VOTES: sign-states never go back, damaged ones are refused, everything is bounded."""

import pytest

from node.primitives.errors import InvalidInput
from node.primitives.types import Height, Round
from node.storage.errors import DatabaseCorrupt, DiskFailed
from node.storage.kv import MemoryStore
from node.storage.schema import sign_state_key
from node.storage.votes import (
    EVIDENCE_COUNT_MAX,
    PENDING_VOTES_MAX,
    StaleSignState,
    VoteStore,
)
from tests.support.stores import FailingStore, address_of

ME = address_of(1)


def test_the_last_sign_state_is_found_after_reopening() -> None:
    store = MemoryStore()
    votes = VoteStore(store)
    assert votes.load_sign_state(ME) is None
    votes.save_sign_state(ME, b"prepared", height=Height(5), at=Round(0))
    votes.save_sign_state(ME, b"committed", height=Height(5), at=Round(0))

    assert VoteStore(store).load_sign_state(ME) == b"committed"
    assert VoteStore(store).load_sign_state(address_of(2)) is None


@pytest.mark.parametrize(
    ("height", "at"),
    [
        pytest.param(4, 9, id="earlier height"),
        pytest.param(5, 1, id="earlier round"),
    ],
)
def test_a_stale_sign_state_is_refused(height: int, at: int) -> None:
    votes = VoteStore(MemoryStore())
    votes.save_sign_state(ME, b"newest", height=Height(5), at=Round(2))

    with pytest.raises(StaleSignState, match="would replace"):
        votes.save_sign_state(ME, b"stale", height=Height(height), at=Round(at))
    assert votes.load_sign_state(ME) == b"newest"


def test_a_damaged_sign_state_is_refused_and_not_taken_for_none() -> None:
    store = MemoryStore()
    votes = VoteStore(store)
    votes.save_sign_state(ME, b"record", height=Height(5), at=Round(2))
    raw = store.get(sign_state_key(ME))
    assert raw is not None
    for damaged in (b"", raw[:-1], raw[:10] + b"\xff" + raw[11:], raw + b"x"):
        store.write({sign_state_key(ME): damaged}, sync=True)
        with pytest.raises(DatabaseCorrupt, match="do not delete it"):
            votes.load_sign_state(ME)


def test_a_sign_state_the_disk_refused_is_not_remembered() -> None:
    inner = MemoryStore()
    votes = VoteStore(FailingStore(inner, fails_at=2))
    votes.save_sign_state(ME, b"first", height=Height(1), at=Round(0))
    with pytest.raises(DiskFailed):
        votes.save_sign_state(ME, b"second", height=Height(2), at=Round(0))

    assert VoteStore(inner).load_sign_state(ME) == b"first"


def test_pending_votes_are_kept_replaced_and_discarded() -> None:
    votes = VoteStore(MemoryStore())
    votes.save_pending_vote(address_of(1), is_add=True)
    votes.save_pending_vote(address_of(2), is_add=True)
    votes.save_pending_vote(address_of(2), is_add=False)
    votes.discard_pending_vote(address_of(1))
    votes.discard_pending_vote(address_of(9))

    assert votes.load_pending_votes() == {address_of(2): False}


def test_pending_votes_are_bounded() -> None:
    votes = VoteStore(MemoryStore())
    for number in range(PENDING_VOTES_MAX):
        votes.save_pending_vote(address_of(number), is_add=True)
    with pytest.raises(InvalidInput, match="at most 64"):
        votes.save_pending_vote(address_of(PENDING_VOTES_MAX), is_add=True)
    votes.save_pending_vote(address_of(0), is_add=False)


def test_evidence_is_kept_once_and_newest_first() -> None:
    votes = VoteStore(MemoryStore())
    assert votes.save_evidence(Height(3), b"three")
    assert votes.save_evidence(Height(7), b"seven")
    assert not votes.save_evidence(Height(3), b"three")

    assert votes.load_evidence() == [b"seven", b"three"]
    assert votes.load_evidence(1) == [b"seven"]


def test_evidence_is_bounded_and_the_oldest_gives_way() -> None:
    votes = VoteStore(MemoryStore())
    for number in range(EVIDENCE_COUNT_MAX + 2):
        votes.save_evidence(Height(number), number.to_bytes(4, "big"))

    kept = votes.load_evidence()
    assert len(kept) == EVIDENCE_COUNT_MAX
    assert kept[-1] == (2).to_bytes(4, "big")
