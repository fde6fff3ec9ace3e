"""QBFT-SEALS, QBFT-SIGN-STATE, QBFT-LOCK, QBFT-BOUNDS: each checker reports what it is for.

Four validators, a quorum of three; every case is the smallest one that breaks its invariant,
beside the neighbouring one that does not.
"""

from dataclasses import replace

import pytest

from node.consensus.messages import (
    CommitDraft,
    Draft,
    PreparedCertificate,
    PreparedMetadata,
    PreparePayload,
    RoundChangeDraft,
    RoundChangePayload,
    sign_draft,
)
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import ExtraData
from node.primitives.types import Digest, Height, Round
from node.simulation.checkers import Broken, Checkers
from node.simulation.toyexecution import build_genesis, fill_block, make_transaction

KEYS = sorted((PrivateKey(bytes((n,)) * 32) for n in range(1, 5)), key=lambda key: key.address)
VALIDATORS = tuple(key.address for key in KEYS)
LIAR, HONEST = KEYS[3], KEYS[0]
GENESIS = build_genesis(VALIDATORS)
ONE, TWO = Digest(keccak256(b"one")), Digest(keccak256(b"two"))


def make_checkers() -> Checkers:
    return Checkers(GENESIS, 30_000, frozenset(VALIDATORS[:3]))


def block_on(parent: Block, *, creator: int = 0, transactions: int = 0, at: int = 0) -> Block:
    header = parent.header
    return fill_block(
        header,
        tuple(make_transaction(nonce) for nonce in range(transactions)),
        coinbase=VALIDATORS[creator],
        timestamp_s=header.timestamp_s + 1,
        extra_data=ExtraData(validators=VALIDATORS, round=Round(at)),
    )


def sealed(block: Block, *keys: PrivateKey) -> Block:
    return block.with_seals(tuple(key.sign(block.header.seal_hash) for key in keys))


FIRST = sealed(block_on(GENESIS), *KEYS[:3])


def signs(checkers: Checkers, draft: Draft, key: PrivateKey = HONEST) -> None:
    checkers.on_sign(sign_draft(draft, key.sign, key.address))


def prepare(digest: Digest, at: int = 0) -> PreparePayload:
    return PreparePayload(height=Height(1), round=Round(at), digest=digest)


def commit(digest: Digest, at: int = 0) -> CommitDraft:
    return CommitDraft(height=Height(1), round=Round(at), digest=digest)


def round_change(at: int, prepared: PreparedMetadata | None) -> RoundChangeDraft:
    payload = RoundChangePayload(height=Height(1), round=Round(at), prepared=prepared)
    held = None if prepared is None else PreparedCertificate(block=FIRST, prepares=())
    return RoundChangeDraft(payload=payload, certificate=held)


def test_a_block_may_carry_other_seals_at_another_node() -> None:
    checkers = make_checkers()

    checkers.on_import(0, FIRST)
    checkers.on_import(1, sealed(FIRST, *KEYS[1:]))

    assert checkers.height == 1


def test_two_blocks_at_one_height_break_i1() -> None:
    checkers = make_checkers()
    checkers.on_import(0, FIRST)

    with pytest.raises(Broken, match="I1"):
        checkers.on_import(1, sealed(block_on(GENESIS, transactions=1), *KEYS[:3]))


def test_a_final_block_that_is_gone_after_a_restart_breaks_i1() -> None:
    checkers = make_checkers()
    checkers.on_import(0, FIRST)
    checkers.on_boot(1, Height(0))

    with pytest.raises(Broken, match="I1"):
        checkers.on_boot(0, Height(0))


def test_a_node_whose_disk_was_replaced_may_begin_again() -> None:
    checkers = make_checkers()
    checkers.on_import(0, FIRST)
    checkers.on_restore(0)

    checkers.on_boot(0, Height(0))


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(sealed(FIRST, *KEYS[:2]), id="one seal short"),
        pytest.param(sealed(FIRST, KEYS[0], KEYS[1], KEYS[1]), id="one seal twice"),
        pytest.param(
            sealed(FIRST, *KEYS[:3], PrivateKey(b"\x09" * 32)), id="a stranger's seal besides"
        ),
        pytest.param(sealed(block_on(GENESIS, creator=1), *KEYS[:3]), id="not its turn"),
        pytest.param(
            FIRST.with_seals(sealed(block_on(GENESIS, at=1), *KEYS[:3]).header.extra_data.seals),
            id="seals of another round",
        ),
    ],
)
def test_a_block_no_quorum_decided_breaks_i2(block: Block) -> None:
    with pytest.raises(Broken, match="I2"):
        make_checkers().on_import(0, block)


def test_a_creator_of_an_earlier_round_had_its_turn() -> None:
    make_checkers().on_import(0, sealed(block_on(GENESIS, creator=0, at=2), *KEYS[:3]))


def test_the_same_vote_again_is_no_contradiction_and_another_breaks_i3() -> None:
    checkers = make_checkers()
    signs(checkers, prepare(ONE))
    signs(checkers, prepare(ONE))
    signs(checkers, prepare(TWO, at=1))

    with pytest.raises(Broken, match="I3"):
        signs(checkers, prepare(TWO))


def test_a_liars_votes_are_its_own_affair() -> None:
    checkers = make_checkers()
    signs(checkers, prepare(ONE), LIAR)
    signs(checkers, prepare(TWO), LIAR)


@pytest.mark.parametrize(
    "prepared",
    [
        pytest.param(None, id="given up"),
        pytest.param(PreparedMetadata(round=Round(1), digest=ONE), id="exchanged for an earlier"),
        pytest.param(PreparedMetadata(round=Round(2), digest=TWO), id="exchanged in its round"),
    ],
)
def test_a_lock_that_is_dropped_breaks_i4(prepared: PreparedMetadata | None) -> None:
    checkers = make_checkers()
    signs(checkers, commit(ONE, at=2))

    with pytest.raises(Broken, match="I4"):
        signs(checkers, round_change(3, prepared))


def test_a_lock_replaced_by_a_later_one_is_no_violation() -> None:
    checkers = make_checkers()
    signs(checkers, commit(ONE, at=2))
    signs(checkers, round_change(3, PreparedMetadata(round=Round(2), digest=ONE)))
    signs(checkers, commit(TWO, at=3))
    signs(checkers, round_change(4, PreparedMetadata(round=Round(3), digest=TWO)))


def test_a_state_root_that_does_not_follow_breaks_i6() -> None:
    header = replace(FIRST.header, state_root=keccak256(b"other"))
    wrong = sealed(replace(FIRST, header=header), *KEYS[:3])

    with pytest.raises(Broken, match="I6"):
        make_checkers().on_end(((GENESIS, wrong),))
