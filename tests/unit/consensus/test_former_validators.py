"""QBFT-GATE: what a validator said ahead of time does not count once it has left the set.

Four validators decide height 2. One of them sends votes for height 3 early, and block 2 votes it
out: at height 3 it is a stranger. Found by the simulator.
"""

import pytest

from node.consensus.events import MessageReceived, NewHead, Started
from node.consensus.machine import start, step
from node.consensus.messages import (
    CommitDraft,
    Draft,
    PreparePayload,
    RoundChangeDraft,
    RoundChangePayload,
    sign_draft,
)
from node.consensus.parameters import ConsensusParameters
from node.consensus.validators import ValidatorTally
from node.primitives.crypto import PrivateKey
from node.primitives.header import ExtraData, Header
from node.primitives.types import Address, Digest, Hash32, Height, Round
from node.simulation.toyexecution import build_genesis, fill_block

KEYS = tuple(PrivateKey(bytes((number,)) * 32) for number in range(1, 5))
ME, LEAVING = KEYS[0], KEYS[3]
SET = tuple(sorted(key.address for key in KEYS))
REST = tuple(sorted(key.address for key in KEYS[:3]))
DIGEST = Digest(Hash32(b"\xaa" * 32))
NEXT = Height(3)


def header_at(parent: Header, validators: tuple[Address, ...]) -> Header:
    extra = ExtraData(validators=validators)
    time_s = parent.timestamp_s + 2
    return fill_block(parent, (), coinbase=SET[0], timestamp_s=time_s, extra_data=extra).header


@pytest.mark.parametrize(
    "early",
    [
        pytest.param(PreparePayload(height=NEXT, round=Round(0), digest=DIGEST), id="prepare"),
        pytest.param(CommitDraft(height=NEXT, round=Round(0), digest=DIGEST), id="commit"),
        pytest.param(
            RoundChangeDraft(
                payload=RoundChangePayload(height=NEXT, round=Round(1), prepared=None),
                certificate=None,
            ),
            id="round change",
        ),
    ],
)
def test_an_early_message_of_a_validator_that_left_meanwhile_takes_no_slot(early: Draft) -> None:
    first = header_at(build_genesis(SET).header, SET)
    second = header_at(first, SET)
    now_ms = second.timestamp_s * 1000
    tally = ValidatorTally(height=Height(1), validators=SET)
    started = Started(head=first, tally=tally, sign_state=None, is_restored=False, now_ms=now_ms)
    message = sign_draft(early, LEAVING.sign, LEAVING.address)
    received = MessageReceived(message=message, source=LEAVING.address, now_ms=now_ms)
    smaller = ValidatorTally(height=Height(2), validators=REST)

    state = start(ConsensusParameters(), ME.address, started).state
    state = step(state, received).state
    assert state.future
    state = step(state, NewHead(head=second, tally=smaller, now_ms=now_ms)).state

    assert LEAVING.address not in {*state.prepares, *state.commits, *state.round_changes}
