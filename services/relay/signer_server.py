"""The relay's signer process: holds the key behind a Unix socket, under a user of its own.

Run by ``daicho service relay signer``. It signs what a relay may send and nothing else: type 2,
without fees and value, of one chain, with a relay's tail, and if the operator names targets, only
calls of these. Whoever takes over the relay can ask for signatures while it is there, and takes no
key away. The signer remembers nothing; nonces are the relay's duty.

Spec: RELAY-SIGNER.
"""

import asyncio
from typing import Final

from node.log import Log
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput
from node.primitives.types import Address
from services.kit.sockets import receive_frame, send_frame
from services.relay.operations import TAIL_SIZE
from services.relay.signer import Draft, SignerRefused, sign_draft
from services.relay.signer_wire import (
    ANSWER_TIMEOUT_S,
    FRAME_SIZE_MAX,
    Answer,
    AskAccount,
    AskSignature,
    decode_ask,
    encode_answer,
)

CONNECTIONS_MAX: Final = 16
"""Connections served at once; one more is closed."""

_log = Log("relay-signer")


class SignerServer:
    """Answers the requests of one relay."""

    def __init__(
        self, key: PrivateKey, *, chain_id: int, targets: frozenset[Address] = frozenset()
    ) -> None:
        """Hold the key; without ``targets`` any contract may be called."""
        self._key = key
        self._chain_id = chain_id
        self._targets = targets
        self._connections = 0

    async def answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request, one answer."""
        self._connections += 1
        try:
            if self._connections > CONNECTIONS_MAX:
                return
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await send_frame(
                    writer,
                    encode_answer(
                        self.answer(
                            await receive_frame(
                                reader, size_max=FRAME_SIZE_MAX, what="signer frame"
                            )
                        )
                    ),
                )
        except (OSError, InvalidInput) as error:
            _log.warning("a connection ended early", why=str(error) or "too slow")
        finally:
            self._connections -= 1
            writer.close()

    def answer(self, request: bytes) -> Answer:
        """Answer a request; what it does not sign it refuses with a reason.

        Spec: RELAY-SIGNER.
        """
        try:
            match decode_ask(request):
                case AskAccount():
                    chain_id = self._chain_id.to_bytes(8, "big")
                    return Answer(values=(self._key.address, chain_id))
                case AskSignature(chain_id=chain_id, draft=draft):
                    self._check(chain_id, draft)
                    signed = sign_draft(self._key, self._chain_id, draft)
                    return Answer(values=(signed.signature,))
        except (InvalidInput, SignerRefused) as error:
            _log.warning("refused to sign", why=error.message)
            return Answer(refusal=error.message)

    def _check(self, chain_id: int, draft: Draft) -> None:
        if chain_id != self._chain_id:
            raise SignerRefused(f"chain {chain_id}; this signer is for chain {self._chain_id}")
        if draft.to == self._key.address:
            if len(draft.data) != TAIL_SIZE:
                raise SignerRefused("a call of the relay's own account carries no data")
        elif self._targets and draft.to not in self._targets:
            raise SignerRefused(
                f"target 0x{draft.to.hex()} is not among the signer's; add it with --target"
            )
