"""What registrar and attestor say to each other over a Unix socket: bounded JSON in frames.

A frame is a length in four bytes and a JSON object. A connection carries one request and one
answer. Byte strings are lower-case hex.

Spec: ROLL-ATTESTOR.
"""

from datetime import date
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from clients.identity.attributes import Sex
from node.primitives.errors import MalformedMessage
from services.kit.documents import Document

FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
ANSWER_TIMEOUT_S: Final = 20.0
ROWS_MAX: Final = 5_000
"""Electors in one page of a roll."""

Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=200)]


class RollRow(Document):
    """A slot of the fixed roll, and the digest of who it is."""

    slot: Hex32
    style: Annotated[int, Field(ge=0, le=65_535)]
    elector: Hex32


class AskRollPage(Document):
    """Take over a part of the roll that was fixed; the last page closes it for good."""

    kind: Literal["roll"] = "roll"
    draft: Hex32
    rows: Annotated[list[RollRow], Field(max_length=ROWS_MAX)]
    root: Hex32 | None = None
    """Of the eligible list, with the last page."""


class AskManifest(Document):
    """Take over the manifest of the announced election."""

    kind: Literal["manifest"] = "manifest"
    manifest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=2_097_152)]


class ElectorBody(Document):
    """Who the certificate must name."""

    name: Text
    address: Text
    birth_date: date
    sex: Sex | None


class AskEntry(Document):
    """Check an entry again, and sign its receipt."""

    kind: Literal["entry"] = "entry"
    eid: Hex32
    entry: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=654)]
    signature: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=1_024)]
    certificate: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=16_384)]
    salt: Hex32
    elector: ElectorBody
    batch: Annotated[int, Field(ge=0, le=2**32 - 1)]
    time: Annotated[int, Field(ge=0, le=2**53 - 1)]


class AskCancel(Document):
    """Sign a cancel record, and remember it."""

    kind: Literal["cancel"] = "cancel"
    eid: Hex32
    slot: Hex32
    reason: Annotated[int, Field(ge=1, le=4)]
    evidence: Hex32
    time: Annotated[int, Field(ge=0, le=2**53 - 1)]


class AskForget(Document):
    """Forget who the electors of a roll were; nothing is signed for it any more."""

    kind: Literal["forget"] = "forget"
    draft: Hex32


Ask = AskRollPage | AskManifest | AskEntry | AskCancel | AskForget

_ASK: Final[TypeAdapter[Ask]] = TypeAdapter(Annotated[Ask, Field(discriminator="kind")])


class AttestorAnswer(Document):
    """What the attestor says."""

    signature: str = ""
    """SIG65, or empty where there is nothing to sign."""
    refusal: str = ""
    """Fixed word of why not; empty when it does."""


def encode_ask(ask: Ask) -> bytes:
    """Encode a request."""
    return ask.model_dump_json().encode()


def decode_ask(data: bytes) -> Ask:
    """Decode a request.

    Raises:
        MalformedMessage: Not one of the requests, or out of its bounds.

    Spec: ROLL-ATTESTOR.
    """
    try:
        return _ASK.validate_json(data)
    except ValidationError:
        raise MalformedMessage("attestor request: not one of its forms") from None


def decode_answer(data: bytes) -> AttestorAnswer:
    """Decode an answer.

    Raises:
        MalformedMessage: Of another form.
    """
    try:
        return AttestorAnswer.model_validate_json(data)
    except ValidationError:
        raise MalformedMessage("attestor answer: of another form") from None
