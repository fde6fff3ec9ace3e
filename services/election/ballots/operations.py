"""What voters ask of a ballot relay over HTTP: cast, withdraw, look a ballot up.

Spec: CAST-CHECK, CAST-RECEIPT, CAST-RESULT.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import Field, StringConstraints

from clients.voting.manifest import Manifest
from services.election.ballots.checking import (
    BallotRefused,
    KeyWithdrawn,
    NotNext,
    NotOpen,
    TokenNeeded,
)
from services.election.ballots.limits import AddressLimited, AddressLimits
from services.election.ballots.relay import (
    BallotRelay,
    NoSuchElection,
    Present,
    QueueFull,
    WithdrawalRefused,
)
from services.election.board.contracts import Contracts
from services.kit.auth import Access
from services.kit.documents import Document
from services.kit.operations import Call, operation
from services.kit.problems import NotFound

_CORE_DIGITS_MAX = 2 * (107 + 226 * 64)

Core = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$", max_length=_CORE_DIGITS_MAX)]
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{130}$")]
Token = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{512}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class NewBallot(Document):
    """A ballot as it is handed in."""

    core: Core
    signature: Signature
    token: Token | None = None


class ReceiptDocument(Document):
    """The relay's promise."""

    ballot_hash: str
    deadline: int
    signature: str
    relay: str


class NewWithdrawal(Document):
    """A withdrawal as it is handed in."""

    key: Key
    signature: Signature


class BoxDocument(Document):
    """Where the ledger keeps ballots and roll; who reads it there proves the code first."""

    ballot_box: str
    credentials: str
    height: int
    pending: int
    """Ballots that wait at this relay or are under way."""


class BallotDocument(Document):
    """Where a ballot stands; the ledger proves it, this tells where to look."""

    state: str
    index: int | None = Field(default=None)
    height: int | None = Field(default=None)
    transaction: str | None = Field(default=None)
    reason: str | None = Field(default=None)


Find = Callable[[bytes], Awaitable[tuple[Manifest, Present] | None]]
"""Gives the manifest of an announced election, and the present, None when there is no such."""


class BallotOperations:
    """The handlers and what they need."""

    def __init__(
        self, relay: BallotRelay, contracts: Contracts, find: Find, limits: AddressLimits
    ) -> None:
        """Hold it."""
        self._limits = limits
        self._relay = relay
        self._contracts = contracts
        self._find = find

    @operation(
        "POST",
        "/elections/{eid}/ballots",
        purpose="election.cast",
        access=[Access.PUBLIC],
        request=NewBallot,
        response=ReceiptDocument,
        status=202,
        refusals=[
            BallotRefused,
            TokenNeeded,
            NotNext,
            KeyWithdrawn,
            NotOpen,
            NoSuchElection,
            QueueFull,
            AddressLimited,
        ],
    )
    async def cast_ballot(self, call: Call[NewBallot, None]) -> ReceiptDocument:
        """Take a ballot and promise to bring it to the box."""
        self._limits.check(call.address, call.at)
        manifest, present = await self._load(call.path["eid"])
        body = call.body
        receipt = await self._relay.take(
            manifest,
            present,
            core=bytes.fromhex(body.core),
            signature=bytes.fromhex(body.signature),
            token=None if body.token is None else bytes.fromhex(body.token),
        )
        return ReceiptDocument(
            ballot_hash=receipt.ballot_hash.hex(),
            deadline=receipt.deadline,
            signature=receipt.signature.hex(),
            relay="0x" + self._relay.account.hex(),
        )

    @operation(
        "POST",
        "/elections/{eid}/withdrawals",
        purpose="election.withdraw",
        access=[Access.PUBLIC],
        request=NewWithdrawal,
        response=BallotDocument,
        status=202,
        refusals=[WithdrawalRefused, NotOpen, NoSuchElection, AddressLimited],
    )
    async def withdraw_key(self, call: Call[NewWithdrawal, None]) -> BallotDocument:
        """Take the withdrawal of a ballot key."""
        self._limits.check(call.address, call.at)
        manifest, _ = await self._load(call.path["eid"])
        key, signature = bytes.fromhex(call.body.key), bytes.fromhex(call.body.signature)
        await self._relay.take_withdrawal(manifest, key=key, signature=signature)
        return BallotDocument(state="pending")

    @operation(
        "GET",
        "/elections/{eid}/ballots/{hash}",
        purpose="election.look-up",
        access=[Access.PUBLIC],
        response=BallotDocument,
        refusals=[NotFound, NoSuchElection],
    )
    async def find_ballot(self, call: Call[None, None]) -> BallotDocument:
        """Tell where a ballot stands."""
        manifest, _ = await self._load(call.path["eid"])
        found = await self._relay.find(manifest, _digest(call.path["hash"]))
        if found is None:
            raise NotFound("no such ballot here")
        placed = found.placed
        return BallotDocument(
            state="pending" if found.state == "sent" else found.state.value,
            index=None if placed is None else placed.index,
            height=None if placed is None else placed.height,
            transaction=None if placed is None else placed.transaction.hex(),
            reason=found.reason,
        )

    @operation(
        "GET",
        "/elections/{eid}/box",
        purpose="election.look-up",
        access=[Access.PUBLIC],
        response=BoxDocument,
        refusals=[NoSuchElection],
    )
    async def find_box(self, call: Call[None, None]) -> BoxDocument:
        """Tell where on the ledger ballots and roll are."""
        manifest, present = await self._load(call.path["eid"])
        return BoxDocument(
            ballot_box="0x" + self._contracts.ballot_box.hex(),
            credentials="0x" + self._contracts.credentials.hex(),
            height=present.height,
            pending=await self._relay.count_pending(manifest),
        )

    async def _load(self, eid: str) -> tuple[Manifest, Present]:
        found = await self._find(_digest(eid))
        if found is None or not self._relay.relays_for(found[0]):
            raise NoSuchElection("no such election, or no relay of it")
        return found


def _digest(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise NotFound("expected 64 hexadecimal digits") from error
    if len(data) != 32:
        raise NotFound("expected 64 hexadecimal digits")
    return data
