"""What the commission shows other municipalities, and how a witness asks for it.

Batches and active lists, by service token. The bytes are checked by whoever fetches them.

Spec: ROLL-WITNESS.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp
from pydantic import ValidationError

from node.primitives.errors import Unavailable
from services.election.commission.batches import find_batch, list_active
from services.election.commission.desk_documents import ActiveView, BatchView
from services.election.commission.enrolment import Registrar
from services.election.commission.rolls import RollMissing, RollState, load_election, read_hex32
from services.election.settings import PeerSettings
from services.kit.auth import Access, TenantId
from services.kit.documents import Document
from services.kit.keys import Key
from services.kit.operations import Call, operation
from services.kit.tokens import sign_service_token

PURPOSE: Final = "election.roll"
TIMEOUT_S: Final = 30.0

Answer = TypeVar("Answer", bound=Document)


class ExchangeOperations:
    """The handlers for other municipalities' services."""

    def __init__(self, registrar: Registrar) -> None:
        """Hold what they need."""
        self._registrar = registrar

    @operation(
        "GET",
        "/elections/{eid}/roll/batches/{number}",
        purpose=PURPOSE,
        access=[Access.SERVICE],
        response=BatchView,
        refusals=[RollMissing],
    )
    async def show_batch(self, call: Call[None, None]) -> BatchView:
        """Show a batch of the roll, without identity."""
        number = _read_number(call.path["number"])
        async with self._registrar.database.read() as tx:
            roll = await load_election(tx, tenant=call.tenant, eid=read_hex32(call.path["eid"]))
            batch = await find_batch(tx, roll, number)
        if batch is None:
            raise RollMissing("there is no such batch yet")
        return BatchView(
            number=batch.number,
            entries=batch.entries,
            cancels=batch.cancels,
            root=batch.root.hex(),
            data=batch.body.hex(),
        )

    @operation(
        "GET",
        "/elections/{eid}/roll/active/{style}",
        purpose=PURPOSE,
        access=[Access.SERVICE],
        response=ActiveView,
        refusals=[RollMissing],
    )
    async def show_active(self, call: Call[None, None]) -> ActiveView:
        """Show a style's active list, once the roll is frozen."""
        style = _read_number(call.path["style"])
        async with self._registrar.database.read() as tx:
            roll = await load_election(tx, tenant=call.tenant, eid=read_hex32(call.path["eid"]))
            lists = await list_active(tx, roll)
        found = next((each for each in lists if each.style == style), None)
        if found is None or roll.state is RollState.ANNOUNCED:
            raise RollMissing("there is no such list yet")
        return ActiveView(
            style=found.style,
            count=found.count,
            root=found.root.hex(),
            file_digest=found.file_digest.hex(),
            data=found.body.hex(),
        )


def _read_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RollMissing("there is no such thing")
    return int(text)


class CommissionSilent(Unavailable):
    """The commission's service does not answer, or answers nonsense."""

    code = "election.commission_silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks another municipality's service."""

    name: str
    """This service, as partners know it."""
    key: Key
    """Its private key."""


class HttpCommission:
    """A witness's way to the commission's service."""

    def __init__(self, session: aiohttp.ClientSession, peer: PeerSettings, caller: Caller) -> None:
        """Hold the session, which the caller closes, and whom to ask."""
        self._session = session
        self._peer = peer
        self._caller = caller

    async def fetch_batch(self, eid: bytes, number: int, now: datetime) -> bytes | None:
        """Return a batch's file, None while there is none.

        Raises:
            CommissionSilent: The service does not answer.
        """
        path = f"/elections/{eid.hex()}/roll/batches/{number}"
        found = await self._get(path, BatchView, now)
        return None if found is None else bytes.fromhex(found.data)

    async def fetch_active(self, eid: bytes, style: int, now: datetime) -> bytes | None:
        """Return a style's active list, None while there is none.

        Raises:
            CommissionSilent: The service does not answer.
        """
        found = await self._get(f"/elections/{eid.hex()}/roll/active/{style}", ActiveView, now)
        return None if found is None else bytes.fromhex(found.data)

    async def _get(self, path: str, model: type[Answer], now: datetime) -> Answer | None:
        token = sign_service_token(
            self._caller.key,
            name=self._caller.name,
            audience=self._peer.name,
            tenant=TenantId(self._peer.tenant),
            now=now,
        )
        headers = {"Authorization": f"Bearer {token}", "Daicho-Tenant": self._peer.tenant}
        try:
            async with self._session.get(
                self._peer.url.rstrip("/") + path,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as response:
                if response.status == HTTPStatus.NOT_FOUND:
                    return None
                if response.status != HTTPStatus.OK:
                    raise CommissionSilent(f"commission: answers {response.status}")
                return model.model_validate_json(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
            raise CommissionSilent("commission: does not answer, or nonsense") from error
