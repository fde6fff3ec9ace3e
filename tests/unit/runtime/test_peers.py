"""QBFT-MESSAGES: a proposal that several peers pass on is decoded once, to what its bytes say."""

import pytest

from node.consensus.codec import decode_message, encode_message
from node.consensus.messages import (
    Message,
    PreparePayload,
    Proposal,
    ProposalDraft,
    ProposalPayload,
    sign_draft,
)
from node.primitives.errors import InvalidInput
from node.primitives.types import Digest, Height, Round
from node.runtime.peers import LARGE_MESSAGE, REMEMBERED_MAX, MessageDecoder
from tests.support.ledger import GOVERNOR_KEY, VALIDATOR_KEYS, Ledger

PROPOSER = VALIDATOR_KEYS[0]


def proposal(number: int) -> bytes:
    """Return a proposal with a block of some size."""
    ledger = Ledger()
    creation = ledger.call(GOVERNOR_KEY, None, bytes((number,)) * LARGE_MESSAGE, gas_limit=500_000)
    payload = ProposalPayload(height=Height(1), round=Round(0), block=ledger.build(creation).block)
    draft = ProposalDraft(payload=payload, round_changes=(), prepares=())
    return encode_message(sign_draft(draft, PROPOSER.sign, PROPOSER.address))


def copy(data: bytes) -> bytes:
    """Return equal bytes of another object, as another peer sends them."""
    return bytes(bytearray(data))


def test_the_same_proposal_from_another_peer_is_the_same_message() -> None:
    decoder, data = MessageDecoder(), proposal(1)

    first, again = decoder.decode(data), decoder.decode(copy(data))

    assert first is again
    assert first == decode_message(data)
    assert isinstance(first, Proposal)


def test_another_signature_is_another_message() -> None:
    decoder, data = MessageDecoder(), proposal(1)
    first = decoder.decode(data)
    at = data.rindex(first.signed.signature[:32])
    changed = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]

    try:
        other: Message | None = decoder.decode(changed)
    except InvalidInput:
        other = None

    assert other is None or other.signed.author != PROPOSER.address


def test_what_is_malformed_is_refused_each_time() -> None:
    decoder, data = MessageDecoder(), proposal(1)[:-1]

    for _ in range(2):
        with pytest.raises(InvalidInput):
            decoder.decode(data)


def test_no_more_are_remembered_than_the_bound() -> None:
    decoder = MessageDecoder()
    sent = [proposal(number) for number in range(REMEMBERED_MAX + 1)]
    first = [decoder.decode(data) for data in sent]

    assert decoder.decode(copy(sent[-1])) is first[-1]
    assert decoder.decode(copy(sent[0])) is not first[0]


def test_votes_are_not_remembered() -> None:
    decoder = MessageDecoder()
    payload = PreparePayload(height=Height(1), round=Round(0), digest=Digest(b"\x01" * 32))
    data = encode_message(sign_draft(payload, PROPOSER.sign, PROPOSER.address))

    assert decoder.decode(data) == decoder.decode(data)
    assert decoder.decode(data) is not decoder.decode(data)
