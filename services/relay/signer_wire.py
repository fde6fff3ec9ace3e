"""What a relay and its signer process say to each other over a Unix socket: bytes and bounds.

A frame is a length in four bytes and an RLP list. A connection carries one request and one answer.
A request names only what a relay may choose, so fees, value and type cannot be asked for.

Spec: RELAY-SIGNER.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from node.primitives import rlp
from node.primitives.errors import MalformedMessage
from node.primitives.types import Address
from services.relay.operations import DATA_SIZE_MAX, GAS_LIMIT_MAX, TAIL_GAS, TAIL_SIZE, read_tail
from services.relay.signer import Draft

FRAME_SIZE_MAX: Final = 131_072
"""Longest frame, in bytes: the longest draft with room."""

ANSWER_TIMEOUT_S: Final = 5.0
"""Longest life of a connection, on either side."""

_ACCOUNT: Final = b"\x01"
_SIGN: Final = b"\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAccount:
    """Whose signer are you, and for which chain?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSignature:
    """Sign this."""

    chain_id: int
    """Chain the relay works on."""
    draft: Draft
    """The transaction."""


Ask: TypeAlias = AskAccount | AskSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the signer says."""

    refusal: str = ""
    """Why it does not do it, for operators; empty when it does."""
    values: tuple[bytes, ...] = ()
    """Account and chain id, or the signature."""


def encode_ask(ask: Ask) -> bytes:
    """Encode a request."""
    match ask:
        case AskAccount():
            return rlp.encode([_ACCOUNT])
        case AskSignature():
            draft = ask.draft
            numbers = [rlp.encode_uint(each) for each in (ask.chain_id, draft.nonce)]
            gas = rlp.encode_uint(draft.gas_limit)
            return rlp.encode([_SIGN, *numbers, gas, draft.to, draft.data])


def decode_ask(data: bytes) -> Ask:
    """Decode a request; a draft is one that a relay makes.

    Raises:
        MalformedMessage: Not one of the requests, or out of its bounds.

    Spec: RELAY-SIGNER.
    """
    items = [rlp.as_bytes(item, what="signer request") for item in rlp.decode_list(data)]
    match items:
        case [kind] if kind == _ACCOUNT:
            return AskAccount()
        case [kind, chain_id, nonce, gas_limit, to, call] if kind == _SIGN:
            draft = Draft(
                nonce=rlp.as_uint(nonce, 8, "draft.nonce"),
                gas_limit=rlp.as_uint(gas_limit, 8, "draft.gas_limit"),
                to=Address(rlp.as_bytes(to, 20, "draft.to")),
                data=call,
            )
            _check_draft(draft)
            return AskSignature(chain_id=rlp.as_uint(chain_id, 8, "chain id"), draft=draft)
        case _:
            raise MalformedMessage("signer request: unknown kind or length")


def _check_draft(draft: Draft) -> None:
    if draft.gas_limit > GAS_LIMIT_MAX + TAIL_GAS:
        raise MalformedMessage(f"draft.gas_limit: {draft.gas_limit}, more than a relay asks for")
    if len(draft.data) > DATA_SIZE_MAX + TAIL_SIZE:
        raise MalformedMessage(f"draft.data: {len(draft.data)} bytes, more than a relay sends")
    if read_tail(draft.data) is None:
        raise MalformedMessage("draft.data: without a relay's tail")


def encode_answer(answer: Answer) -> bytes:
    """Encode an answer."""
    return rlp.encode([answer.refusal.encode(), answer.values])


def decode_answer(data: bytes) -> Answer:
    """Decode an answer.

    Raises:
        MalformedMessage: Of another form.
    """
    refusal, values = rlp.as_list(rlp.decode(data), 2, "signer answer")
    parts = rlp.as_list(values, what="signer answer values")
    return Answer(
        refusal=rlp.as_bytes(refusal, what="signer refusal").decode(errors="replace"),
        values=tuple(rlp.as_bytes(part, what="signer answer value") for part in parts),
    )
