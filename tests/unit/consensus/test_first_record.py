"""QBFT-STALE: having no record of votes means to have lost it, except at the very first start.

A node that follows the chain without voting starts again at a height above 0; it must not then be
silent as if it had forgotten votes. Found by the simulator.
"""

from node.consensus.effects import Persist
from node.consensus.events import Started
from node.consensus.machine import start
from node.consensus.parameters import ConsensusParameters
from node.consensus.sign_state import SignState
from node.consensus.validators import ValidatorTally
from node.primitives.crypto import PrivateKey
from node.primitives.header import ExtraData
from node.primitives.types import Height
from node.simulation.toyexecution import build_genesis, fill_block

KEY = PrivateKey(b"\x01" * 32)
VALIDATORS = (KEY.address,)
GENESIS = build_genesis(VALIDATORS).header
FIRST = fill_block(
    GENESIS,
    (),
    coinbase=KEY.address,
    timestamp_s=GENESIS.timestamp_s + 2,
    extra_data=ExtraData(validators=VALIDATORS),
).header


def records_after(head_height: int, record: SignState | None) -> list[SignState]:
    head = (GENESIS, FIRST)[head_height]
    tally = ValidatorTally(height=Height(head_height), validators=VALIDATORS)
    event = Started(head=head, tally=tally, sign_state=record, is_restored=False, now_ms=0)
    effects = start(ConsensusParameters(), KEY.address, event).effects
    return [effect.sign_state for effect in effects if isinstance(effect, Persist)]


def test_the_first_start_writes_a_record_that_is_not_silent() -> None:
    (record,) = records_after(0, None)

    assert not record.is_silent


def test_a_node_that_never_voted_may_vote_after_it_followed_and_started_again() -> None:
    (record,) = records_after(0, None)

    assert records_after(1, record) == []


def test_a_missing_record_above_genesis_is_a_lost_one() -> None:
    (record, *_) = records_after(1, None)

    assert record.is_silent
