"""A trustee's end of its custodian process."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from clients.voting.ceremony import (
    ComplaintsMessage,
    ConfirmMessage,
    RegisterMessage,
    RehearsalMessage,
    RevealMessage,
    SharesMessage,
)
from clients.voting.ciphertexts import ListKind
from clients.voting.dkg import KeyGeneration
from clients.voting.group import Point
from node.primitives.errors import MalformedMessage, Unavailable
from services.election.trustee.custodian import CustodianRefused
from services.election.trustee.custodian_wire import (
    ANSWER_TIMEOUT_S,
    Frame,
    receive_frame,
    send_frame,
    write_run,
)
from services.election.trustee.work import PROOF_SIZE

Message = TypeVar("Message", bound=BaseModel)


class CustodianDown(Unavailable):
    """The custodian process does not answer, or sees no final state of the ledger."""

    code = "custodian.down"


class RemoteCustodian:
    """Asks a custodian through its socket."""

    def __init__(self, path: Path) -> None:
        """Hold where it is."""
        self._path = path

    async def register(
        self, draft_id: bytes, *, chain_id: int, registry: bytes, node: Point
    ) -> RegisterMessage:
        """Return the encryption key of a draft, made when first asked for."""
        head = {
            "draft_id": draft_id.hex(),
            "chain_id": chain_id,
            "registry": registry.hex(),
            "node": node.encode().hex(),
        }
        return await self._message("register", RegisterMessage, head)

    async def commit(self, run: KeyGeneration, me: int) -> bytes:
        """Draw a dealing and return its commitment; the same ever after."""
        answer = await self._ask("commit", _about(run, me))
        if len(answer.body) != 32:
            raise self._confused()
        return answer.body

    async def reveal(self, run: KeyGeneration, me: int) -> RevealMessage:
        """Return the opened commitment."""
        return await self._message("reveal", RevealMessage, _about(run, me))

    async def deal(self, run: KeyGeneration, me: int) -> SharesMessage:
        """Return the dealing's shares for everyone else."""
        return await self._message("deal", SharesMessage, _about(run, me))

    async def receive(
        self,
        run: KeyGeneration,
        me: int,
        reveals: Mapping[int, RevealMessage],
        shares: Mapping[int, SharesMessage],
    ) -> ComplaintsMessage:
        """Open what the others dealt; keep the share of the key unless something is wrong."""
        head = {
            **_about(run, me),
            "reveals": [reveals[at].model_dump(mode="json") for at in sorted(reveals)],
            "shares": [shares[at].model_dump(mode="json") for at in sorted(shares)],
        }
        return await self._message("receive", ComplaintsMessage, head)

    async def confirm(self, run: KeyGeneration, me: int) -> ConfirmMessage:
        """Prove to hold the share."""
        return await self._message("confirm", ConfirmMessage, _about(run, me))

    async def rehearse(self, run: KeyGeneration, me: int) -> RehearsalMessage:
        """Decrypt the test point."""
        return await self._message("rehearse", RehearsalMessage, _about(run, me))

    async def decrypt(
        self, eid: bytes, kind: ListKind, number: int, rows: bytes
    ) -> tuple[bytes, bytes]:
        """Return the shares of a final list and their proof."""
        head = {"eid": eid.hex(), "kind": kind.value.decode(), "number": number}
        body = (await self._ask("decrypt", head, rows)).body
        if len(body) != len(rows) // 2 + PROOF_SIZE:
            raise self._confused()
        return body[:-PROOF_SIZE], body[-PROOF_SIZE:]

    async def _message(self, ask: str, kind: type[Message], head: Mapping[str, Any]) -> Message:
        answer = await self._ask(ask, head)
        try:
            return kind.model_validate(answer.head.get("message"))
        except ValidationError as error:
            raise self._confused() from error

    async def _ask(self, ask: str, head: Mapping[str, Any], body: bytes = b"") -> Frame:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._path)
                try:
                    await send_frame(writer, Frame(head={"ask": ask, **head}, body=body))
                    answer = await receive_frame(reader)
                finally:
                    writer.close()
        except (OSError, MalformedMessage) as error:
            reason = str(error) or "no answer in time"
            raise CustodianDown(f"{self._path}: {reason}; see that the custodian runs") from error
        if "down" in answer.head:
            raise CustodianDown(f"{self._path}: {answer.head['down']}")
        if "refusal" in answer.head:
            raise CustodianRefused(str(answer.head["refusal"])[:200])
        return answer

    def _confused(self) -> CustodianDown:
        return CustodianDown(f"{self._path}: another answer than was asked for; restart both")


def _about(run: KeyGeneration, me: int) -> dict[str, Any]:
    return {"run": write_run(run), "me": me}
