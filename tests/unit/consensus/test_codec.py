"""QBFT-MESSAGES, QBFT-SIGNED-HASH, QBFT-BOUNDS: the bytes of messages, and what does not decode."""

from dataclasses import replace

import pytest
import rlp as reference_rlp
from eth_keys.datatypes import Signature as ReferenceSignature
from eth_utils import keccak

from node.consensus import codec
from node.consensus.codec import decode_message, encode_message, peek_message
from node.consensus.messages import Message, MessageCode, RoundChange, encode_payload, signing_hash
from node.consensus.parameters import ROUND_MAX
from node.primitives.crypto import CURVE_ORDER, InvalidSignature
from node.primitives.errors import MalformedMessage
from node.primitives.header import VALIDATOR_COUNT_MAX
from tests.support.consensus import (
    BLOCK,
    FOURTH,
    KEYS,
    PROPOSER,
    SECOND,
    certificate,
    commit,
    prepare,
    propose,
    round_change,
)

HELD = certificate()
BARE = round_change(FOURTH, 2)
FULL = round_change(FOURTH, 2, held=HELD)
JUSTIFIED = propose(
    BLOCK.with_round(type(HELD.round)(2)),
    SECOND,
    round_changes=[BARE, FULL],
    prepares=[prepare(key) for key in KEYS],
)
ALL = [
    pytest.param(propose(), id="proposal"),
    pytest.param(JUSTIFIED, id="justified proposal"),
    pytest.param(prepare(SECOND), id="prepare"),
    pytest.param(commit(SECOND), id="commit"),
    pytest.param(BARE, id="round change"),
    pytest.param(FULL, id="round change with a certificate"),
]


@pytest.mark.parametrize("message", ALL)
def test_a_message_survives_its_bytes_and_its_authors_are_recovered(message: Message) -> None:
    data = encode_message(message)

    assert decode_message(data) == message
    assert encode_message(decode_message(data)) == data


@pytest.mark.parametrize("message", ALL)
def test_height_and_round_can_be_read_before_anything_is_verified(message: Message) -> None:
    peek = peek_message(encode_message(message))

    payload = message.signed.payload
    assert (peek.height, peek.round) == (payload.height, payload.round)


@pytest.mark.parametrize("message", ALL)
def test_the_author_signs_code_and_payload(message: Message) -> None:
    payload = message.signed.payload
    code = encode_message(message)[0]
    preimage = reference_rlp.encode([bytes([code]), reference_rlp.decode(encode_payload(payload))])
    signature = ReferenceSignature(message.signed.signature)

    recovered = signature.recover_public_key_from_msg_hash(keccak(preimage))

    assert signing_hash(payload) == keccak(preimage)
    assert recovered.to_canonical_address() == message.signed.author


def test_layouts_are_those_of_besu_25() -> None:
    votes = [reference_rlp.decode(encode_message(vote)[1:]) for vote in (prepare(SECOND), FULL)]
    proposal = reference_rlp.decode(encode_message(JUSTIFIED)[1:])

    (prepare_payload, prepare_signature), (signed, block, prepares) = votes
    assert [len(item) for item in prepare_payload] == [1, 0, 32]
    assert len(prepare_signature) == 65
    assert [len(part) for part in (signed, block, prepares)] == [2, 4, 3]
    assert [len(item) for item in signed[0][2]] == [0, 32]
    (payload, _signature), (round_changes, piggybacked) = proposal
    assert payload[:2] == [b"\x01", b"\x02"]
    assert [len(round_changes), len(piggybacked)] == [2, 4]
    assert [len(part) for part in round_changes[0]] == [3, 65]


def test_codes_are_those_of_the_message_space() -> None:
    messages = (propose(), prepare(SECOND), commit(SECOND), BARE)

    assert [encode_message(message)[0] for message in messages] == [0x12, 0x13, 0x14, 0x15]


def test_a_high_s_signature_does_not_decode() -> None:
    signed = prepare(SECOND).signed
    s = CURVE_ORDER - int.from_bytes(signed.signature[32:64], "big")
    twisted = signed.signature[:32] + s.to_bytes(32, "big") + bytes([1 - signed.signature[64]])
    data = encode_message(replace(prepare(SECOND), signed=replace(signed, signature=twisted)))

    with pytest.raises(InvalidSignature):
        decode_message(data)


@pytest.mark.parametrize(
    ("repeat", "is_decoded"),
    [(VALIDATOR_COUNT_MAX, True), (VALIDATOR_COUNT_MAX + 1, False)],
    ids=["at the bound", "beyond it"],
)
def test_lists_are_bounded_before_signatures_are_recovered(repeat: int, is_decoded: bool) -> None:
    long = replace(FULL, prepares=(prepare(SECOND).signed,) * repeat)
    data = encode_message(long)

    if is_decoded:
        assert decode_message(data) == long
    else:
        with pytest.raises(MalformedMessage, match="QBFT-BOUNDS"):
            decode_message(data)


@pytest.mark.parametrize(("at", "is_decoded"), [(ROUND_MAX, True), (ROUND_MAX + 1, False)])
def test_rounds_are_bounded(at: int, is_decoded: bool) -> None:
    data = encode_message(round_change(SECOND, at))

    if is_decoded:
        assert isinstance(decode_message(data), RoundChange)
    else:
        with pytest.raises(MalformedMessage, match="QBFT-BOUNDS"):
            decode_message(data)


@pytest.mark.parametrize("code", [MessageCode.PREPARE, MessageCode.COMMIT])
def test_votes_are_short(code: MessageCode) -> None:
    with pytest.raises(MalformedMessage, match="at most 512"):
        decode_message(bytes([code]) + b"\x00" * codec.VOTE_SIZE_MAX)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x11\xc0", id="unknown code"),
        pytest.param(encode_message(BARE) + b"\x00", id="trailing byte"),
        pytest.param(encode_message(BARE)[:-1], id="torn"),
        pytest.param(bytes([0x13]) + encode_message(commit(SECOND))[1:], id="commit as prepare"),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_message(data)


def test_the_code_is_signed_along_so_that_votes_cannot_change_kind() -> None:
    as_proposal_code = bytes([0x13]) + encode_message(prepare(PROPOSER))[1:]

    assert decode_message(as_proposal_code) == prepare(PROPOSER)
    assert signing_hash(prepare(PROPOSER).signed.payload) != keccak(
        reference_rlp.encode(
            [b"\x14", reference_rlp.decode(encode_payload(prepare(PROPOSER).signed.payload))]
        )
    )
