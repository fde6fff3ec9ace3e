"""The custodian process: answers one trustee's service over a socket, and reads the ledger itself.

Run by ``daicho service election custodian``, under a user of its own. Its view of the ledger comes
through a light client from the nodes that its own settings name; what the service claims to be
final does not count.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from clients.voting.ceremony import RevealMessage, SharesMessage
from clients.voting.ciphertexts import ListKind
from clients.voting.group import decode_point
from node.log import Log
from node.primitives.errors import InvalidInput, MalformedMessage, Unavailable
from services.election.board.follow import Board
from services.election.board.state import ElectionState
from services.election.board.store import BoardStore
from services.election.trustee.custodian import Custodian
from services.election.trustee.custodian_wire import (
    ANSWER_TIMEOUT_S,
    Frame,
    read_run,
    receive_frame,
    send_frame,
)
from services.kit.follower import Follower

CONNECTIONS_MAX: Final = 8

_log = Log("election-custodian")


class ChainView:
    """The custodian's own reading of the ledger."""

    def __init__(self, follower: Follower, board: Board, store: BoardStore) -> None:
        """Hold the follower of its own database."""
        self._follower = follower
        self._board = board
        self._store = store

    async def find_election(self, eid: bytes) -> ElectionState | None:
        """Read up to the newest final block, then return the election.

        Raises:
            Unavailable: No node gives blocks that verify.
        """
        await self._follower.follow_to_head(self._board.take)
        async with self._store.database.read() as tx:
            return await self._store.load_election(tx, eid)


class CustodianServer:
    """Answers requests, one at a time."""

    def __init__(self, custodian: Custodian) -> None:
        """Hold who knows the answers."""
        self._custodian = custodian
        self._turn = asyncio.Lock()
        self._connections = 0
        self._answers: Mapping[str, Callable[[Frame], Awaitable[Frame]]] = {
            "register": self._register,
            "commit": self._commit,
            "reveal": self._reveal,
            "deal": self._deal,
            "receive": self._receive,
            "confirm": self._confirm,
            "rehearse": self._rehearse,
            "decrypt": self._decrypt,
        }

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request, one answer."""
        self._connections += 1
        try:
            if self._connections > CONNECTIONS_MAX:
                return
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                request = await receive_frame(reader)
                await send_frame(writer, await self.answer(request))
        except (OSError, MalformedMessage) as error:
            _log.warning("a connection ended early", why=str(error) or "too slow")
        finally:
            self._connections -= 1
            writer.close()

    async def answer(self, request: Frame) -> Frame:
        """Answer a request; what it does not do it refuses with a reason."""
        ask = self._answers.get(str(request.head.get("ask")))
        if ask is None:
            return Frame(head={"refusal": "no such request"})
        try:
            async with self._turn:
                return await ask(request)
        except Unavailable as error:
            _log.warning("the ledger cannot be read", code=error.code)
            return Frame(head={"down": error.code})
        except (InvalidInput, ValidationError, KeyError, TypeError, ValueError) as error:
            why = error.message if isinstance(error, InvalidInput) else "malformed request"
            _log.warning("refused", ask=str(request.head.get("ask")), why=why)
            return Frame(head={"refusal": why})

    async def _register(self, request: Frame) -> Frame:
        head = request.head
        message = await self._custodian.register(
            _hex(head["draft_id"], 32),
            chain_id=int(head["chain_id"]),
            registry=_hex(head["registry"], 20),
            node=decode_point(bytes.fromhex(head["node"])),
        )
        return _message(message)

    async def _commit(self, request: Frame) -> Frame:
        run, me = read_run(request.head["run"]), int(request.head["me"])
        return Frame(head={}, body=await self._custodian.commit(run, me))

    async def _reveal(self, request: Frame) -> Frame:
        run, me = read_run(request.head["run"]), int(request.head["me"])
        return _message(await self._custodian.reveal(run, me))

    async def _deal(self, request: Frame) -> Frame:
        run, me = read_run(request.head["run"]), int(request.head["me"])
        return _message(await self._custodian.deal(run, me))

    async def _receive(self, request: Frame) -> Frame:
        run, me = read_run(request.head["run"]), int(request.head["me"])
        reveals = [RevealMessage.model_validate(each) for each in request.head["reveals"]]
        shares = [SharesMessage.model_validate(each) for each in request.head["shares"]]
        if len(reveals) != len(run.trustees) or len(shares) != len(run.trustees):
            raise MalformedMessage("not one message of each trustee")
        return _message(
            await self._custodian.receive(
                run, me, dict(enumerate(reveals, 1)), dict(enumerate(shares, 1))
            )
        )

    async def _confirm(self, request: Frame) -> Frame:
        run, me = read_run(request.head["run"]), int(request.head["me"])
        return _message(await self._custodian.confirm(run, me))

    async def _rehearse(self, request: Frame) -> Frame:
        run, me = read_run(request.head["run"]), int(request.head["me"])
        return _message(await self._custodian.rehearse(run, me))

    async def _decrypt(self, request: Frame) -> Frame:
        head = request.head
        shares, proof = await self._custodian.decrypt(
            _hex(head["eid"], 32),
            ListKind(head["kind"].encode()),
            int(head["number"]),
            request.body,
        )
        return Frame(head={}, body=shares + proof)


def _message(message: BaseModel) -> Frame:
    return Frame(head={"message": message.model_dump(mode="json")})


def _hex(text: Any, size: int) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != size:
        raise MalformedMessage(f"expected {size} bytes")
    return found
