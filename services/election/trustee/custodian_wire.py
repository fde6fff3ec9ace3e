"""What a trustee's service and its custodian say to each other over a Unix socket.

A message is two parts, each with its length in four bytes: a JSON object, and bytes (the rows of a
list, or shares). A connection carries one request and one answer.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from clients.voting.dkg import KeyGeneration, KeyPurpose, Trustee
from clients.voting.group import decode_point
from node.primitives.canonical import encode_canonical
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.json_text import decode_json
from services.kit import sockets

HEAD_SIZE_MAX: Final = 4_194_304
"""Longest object: what 64 trustees dealt to each other."""

BODY_SIZE_MAX: Final = 128 * 1024 * 1024
"""Longest list, about two million rows."""

CONNECT_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 900.0
"""Longest wait for an answer: decrypting a large list takes minutes on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A request or an answer."""

    head: Mapping[str, Any]
    body: bytes = field(default=b"", repr=False)


async def send_frame(writer: asyncio.StreamWriter, frame: Frame) -> None:
    """Write one message.

    Raises:
        OSError: The other end is gone.
    """
    await sockets.send_frame(writer, encode_canonical(frame.head))
    await sockets.send_frame(writer, frame.body)


async def receive_frame(reader: asyncio.StreamReader) -> Frame:
    """Read one message.

    Raises:
        MalformedMessage: It is longer than any may be, of another form, or ends too early.
        OSError: The other end is gone.
    """
    head = await sockets.receive_frame(reader, size_max=HEAD_SIZE_MAX, what="custodian message")
    body = await sockets.receive_frame(reader, size_max=BODY_SIZE_MAX, what="custodian message")
    try:
        document = decode_json(head)
    except InvalidInput as error:
        raise MalformedMessage("custodian message: not JSON") from error
    if not isinstance(document, dict):
        raise MalformedMessage("custodian message: not an object")
    return Frame(head=document, body=body)


def write_run(run: KeyGeneration) -> dict[str, Any]:
    """Write a run's parameters."""
    return {
        "chain_id": run.chain_id,
        "registry": run.registry.hex(),
        "draft_id": run.draft_id.hex(),
        "purpose": run.purpose.value.decode(),
        "threshold": run.threshold,
        "trustees": [
            [each.node.encode().hex(), each.encryption.encode().hex()] for each in run.trustees
        ],
    }


def read_run(document: Mapping[str, Any]) -> KeyGeneration:
    """Read a run's parameters.

    Raises:
        MalformedMessage: Of another form.
    """
    try:
        trustees = tuple(
            Trustee(
                node=decode_point(bytes.fromhex(node)),
                encryption=decode_point(bytes.fromhex(encryption)),
            )
            for node, encryption in document["trustees"]
        )
        run = KeyGeneration(
            chain_id=int(document["chain_id"]),
            registry=bytes.fromhex(document["registry"]),
            draft_id=bytes.fromhex(document["draft_id"]),
            purpose=KeyPurpose(document["purpose"].encode()),
            threshold=int(document["threshold"]),
            trustees=trustees,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedMessage("custodian message: no parameters of a run") from error
    if len(run.registry) != 20 or len(run.draft_id) != 32:
        raise MalformedMessage("custodian message: no parameters of a run")
    if not 1 <= run.threshold <= len(run.trustees) <= 64:
        raise MalformedMessage("custodian message: no parameters of a run")
    return run
