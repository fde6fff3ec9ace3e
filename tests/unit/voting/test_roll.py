"""ROLL-ENTRY, ROLL-COMMITMENT, ROLL-LEAF, ROLL-KEY, BALLOT-WITHDRAW: the sealed roll.

Attacks 21, 22, 25 and 33 stand beside what they attack.
"""

from dataclasses import replace

import pytest

from clients.voting.ballot import address_of_key, withdrawal_hash
from clients.voting.group import GENERATOR, ORDER, decode_point_xy, generator_multiple, multiple
from clients.voting.roll import (
    ENTRY_SIZE,
    InvalidRollEntry,
    build_entry,
    check_entry,
    compute_commitment,
    compute_leaf,
    compute_slot,
    decode_entry,
    derive_ballot_key,
    roll_pointer,
    vote_code_bytes,
)
from node.primitives.crypto import PrivateKey
from tests.support.voting import EID, SeededNonces

SOURCE = SeededNonces("roll")
ROLL_SECRET = 4321
SEED = bytes(range(16))
KEY = generator_multiple(derive_ballot_key(SEED, EID))
ENTRY = build_entry(
    eid=EID,
    slot=b"\x01" * 32,
    style=7,
    version=1,
    nonce=b"\x02" * 32,
    key=KEY,
    roll_key=generator_multiple(ROLL_SECRET),
    source=SOURCE,
)


def test_an_entry_survives_its_bytes_and_its_proof_holds() -> None:
    data = ENTRY.encode()

    assert len(data) == ENTRY_SIZE
    assert decode_entry(data) == ENTRY
    check_entry(ENTRY)


def test_an_entry_hides_the_pointer_of_its_key() -> None:
    assert ENTRY.b - multiple(ENTRY.a, ROLL_SECRET) == roll_pointer(EID, KEY)


def test_the_card_signs_a_text_that_names_the_entry() -> None:
    assert ENTRY.card_text == b"JMEV1/roll-entry:" + ENTRY.digest.hex().encode()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"slot": b"\x03" * 32}, id="21 copied to another slot"),
        pytest.param({"version": 2}, id="25 another version"),
        pytest.param({"nonce": b"\x09" * 32}, id="25 another nonce"),
        pytest.param({"style": 8}, id="another style"),
        pytest.param({"eid": b"\x09" * 32}, id="another election"),
        pytest.param({"a": ENTRY.a + GENERATOR}, id="22 re-randomised"),
        pytest.param({"b": ENTRY.b + GENERATOR}, id="22 bent"),
        pytest.param({"response": (ENTRY.response + 1) % ORDER}, id="another response"),
    ],
)
def test_an_entry_moved_or_bent_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidRollEntry, match="ROLL-ENTRY"):
        check_entry(replace(ENTRY, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", ENTRY.encode()[:-1], b"\x02" + ENTRY.encode()[1:]])
def test_bytes_that_are_no_entry_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRollEntry):
        decode_entry(data)


def test_33_a_commitment_opens_with_its_own_salt_only() -> None:
    commitment = compute_commitment(ENTRY.digest, b"\x01" * 32)

    assert compute_commitment(ENTRY.digest, b"\x02" * 32) != commitment


def test_slots_differ_by_elector_draft_and_key() -> None:
    slots = {
        compute_slot(key, draft, elector)
        for key in (b"k1", b"k2")
        for draft in (b"\x01" * 32, b"\x02" * 32)
        for elector in (b"1", b"2")
    }

    assert len(slots) == 8
    assert compute_leaf(b"\x01" * 32, 1) != compute_leaf(b"\x01" * 32, 2)


def test_a_seed_gives_one_key_per_election() -> None:
    assert derive_ballot_key(SEED, EID) == derive_ballot_key(SEED, EID)
    assert derive_ballot_key(SEED, b"\x01" * 32) != derive_ballot_key(SEED, EID)
    assert len(vote_code_bytes(EID, KEY)) == 10


def test_the_address_of_a_key_is_the_ledgers() -> None:
    holder = PrivateKey(b"\x0c" * 32)

    assert address_of_key(decode_point_xy(holder.public_key[1:])) == holder.address


def test_a_withdrawal_names_election_key_and_sequence() -> None:
    hashes = {
        withdrawal_hash(eid, key, sequence)
        for eid in (EID, b"\x01" * 32)
        for key in (KEY, GENERATOR)
        for sequence in (1, 2)
    }

    assert len(hashes) == 8
