"""QBFT-MESSAGES, QBFT-BOUNDS, QBFT-SIGN-STATE, QBFT-EVIDENCE: bytes from outside and back.

Every record survives its bytes; every other byte string raises ``InvalidInput`` and nothing else.
"""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.consensus.codec import decode_message, encode_message, peek_message
from node.consensus.evidence import Contradiction, Evidence, decode_evidence, encode_evidence
from node.consensus.messages import Message
from node.consensus.sign_state import SignState, decode_sign_state, encode_sign_state
from node.primitives import rlp
from node.primitives.errors import InvalidInput
from node.primitives.types import Digest, Hash32, Height, Round
from tests.support.consensus import (
    BLOCK,
    KEYS,
    OTHER_BLOCK,
    SECOND,
    certificate,
    commit,
    prepare,
    propose,
    round_change,
)

DECODERS: list[Callable[[bytes], object]] = [
    decode_message,
    peek_message,
    decode_sign_state,
    decode_evidence,
]
HELD = certificate()
SAMPLES = [
    encode_message(propose()),
    encode_message(commit(SECOND)),
    encode_message(round_change(SECOND, 3, held=HELD)),
    encode_sign_state(SignState(height=Height(1), round=Round(0), certificate=HELD)),
    encode_evidence(
        Evidence(
            contradiction=Contradiction.DOUBLE_VOTE,
            first=prepare(SECOND).signed,
            second=prepare(SECOND, OTHER_BLOCK).signed,
        )
    ),
]

keys = st.sampled_from(KEYS)
rounds = st.integers(0, 1 << 24)
heights = st.integers(0, (1 << 64) - 1)
messages = st.one_of(
    st.builds(lambda key, at, h: prepare(key, at=at, height=h), keys, rounds, heights),
    st.builds(lambda key, at, h: commit(key, at=at, height=h), keys, rounds, heights),
    st.builds(lambda key, at, h: round_change(key, at, height=h), keys, rounds, heights),
    st.builds(lambda key, at: round_change(key, at, held=HELD), keys, rounds),
    st.builds(lambda key, at: propose(BLOCK.with_round(Round(at)), key), keys, rounds),
)
trees = st.recursive(
    st.binary(max_size=70), lambda children: st.lists(children, max_size=5), max_leaves=30
)
digests = st.none() | st.binary(min_size=32, max_size=32).map(lambda b: Digest(Hash32(b)))


@settings(max_examples=60, deadline=None)
@given(messages)
def test_messages_survive_their_bytes(message: Message) -> None:
    data = encode_message(message)

    assert decode_message(data) == message
    peek = peek_message(data)
    payload = message.signed.payload
    assert (peek.height, peek.round) == (payload.height, payload.round)


@settings(max_examples=60, deadline=None)
@given(heights, rounds, digests, digests, digests, st.booleans(), heights)
def test_sign_states_survive_their_bytes(
    height: int,
    at: int,
    proposal: Digest | None,
    prepared: Digest | None,
    committed: Digest | None,
    is_silent: bool,
    through: int,
) -> None:
    record = SignState(
        height=Height(height),
        round=Round(at),
        proposal=proposal,
        prepare=prepared,
        commit=committed,
        is_silent=is_silent,
        silent_through=Height(through),
    )

    assert decode_sign_state(encode_sign_state(record)) == record


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: str(decoder.__name__))
@given(data=st.binary(max_size=200))
@example(data=b"")
@example(data=b"\x12\xf8")
@example(data=b"\x13\xff\xff\xff\xff\xff\xff\xff\xff\xff")
def test_random_bytes_raise_invalid_input_only(
    decoder: Callable[[bytes], object], data: bytes
) -> None:
    survive(decoder, data)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: str(decoder.__name__))
@given(tree=trees, code=st.sampled_from([b"", b"\x12", b"\x13", b"\x14", b"\x15"]))
def test_well_formed_trees_raise_invalid_input_only(
    decoder: Callable[[bytes], object], tree: rlp.Item, code: bytes
) -> None:
    survive(decoder, code + rlp.encode(tree))


@pytest.mark.parametrize("sample", SAMPLES, ids=["proposal", "commit", "change", "state", "proof"])
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), is_cut=st.booleans())
@settings(max_examples=60, deadline=None)
def test_real_records_with_a_byte_changed_raise_invalid_input_only(
    sample: bytes, position: int, value: int, is_cut: bool
) -> None:
    at = position % len(sample)
    data = sample[:at] if is_cut else sample[:at] + bytes([value]) + sample[at + 1 :]
    for decoder in DECODERS:
        survive(decoder, data)


def survive(decoder: Callable[[bytes], object], data: bytes) -> None:
    try:
        decoder(data)
    except InvalidInput:
        return
