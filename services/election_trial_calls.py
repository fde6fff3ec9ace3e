"""How a trial of an election talks to the network: officials' calls, governors' votes, patience."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import aiohttp

from clients.core.transport import HttpNode
from clients.voter.network import ServiceRefused
from node.primitives.errors import Misconfigured, Unavailable
from node.primitives.transaction import sign_transaction
from node.primitives.types import Address
from services.election.board.export import RecordIncomplete
from services.election_localnet import OFFICERS, ElectionNetwork, ElectionTown, load_governor
from services.election_trial_cast import staff_headers
from services.kit.clock import SystemClock

STEP_TIMEOUT_S: Final = 300.0
"""Longest one step may take, on a machine that does much else."""

VOTE_GAS: Final = 3_000_000

Say = Callable[[str], None]


class TrialFailed(Misconfigured):
    """The election did not go as it must."""

    code = "election.trial_failed"


class TrialCalls:
    """Calls of officials and governors, and waiting for what they bring about."""

    _http: aiohttp.ClientSession
    _nodes: tuple[HttpNode, ...]

    def __init__(self, network: ElectionNetwork, say: Say) -> None:
        """Hold what is needed; a subclass opens session and nodes."""
        self.network = network
        self._say = say
        self._started = time.monotonic()
        self._clock = SystemClock()
        self._chain_id = 0
        self._reason = ""

    def say(self, text: str) -> None:
        """Tell how far the election is."""
        self._say(f"  {time.monotonic() - self._started:5.0f} s  {text}")

    async def send_vote(self, town: ElectionTown, data: bytes) -> None:
        """Send a call of ``Elections`` from a municipality's voting account, and wait for it."""
        key = load_governor(town)
        node = self._nodes[0]
        account = "0x" + key.address.hex()
        nonce = await node.call("eth_getTransactionCount", account, "pending")
        transaction = sign_transaction(
            key,
            chain_id=self._chain_id,
            nonce=int(str(nonce), 16),
            gas_limit=VOTE_GAS,
            to=Address(bytes.fromhex(self.network.contracts["Elections"][2:])),
            data=data,
        )
        await node.call("eth_sendRawTransaction", f"0x{transaction.raw.hex()}")
        name = f"0x{transaction.hash.hex()}"

        async def receipt() -> Mapping[str, Any] | None:
            found = await node.call("eth_getTransactionReceipt", name)
            return found if isinstance(found, dict) else None

        found = await self.until("a vote's block", receipt)
        if found["status"] != "0x1":
            raise TrialFailed(f"the vote of {town.town.name} failed")

    async def officer(
        self,
        town: ElectionTown,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
    ) -> Mapping[str, Any]:
        """Make an officer's call.

        Raises:
            Unavailable: The service refuses.
        """
        headers = staff_headers(town, OFFICERS[0], now_s=self._now_s())
        async with self._http.request(
            method, town.url + path, json=body, headers=headers
        ) as response:
            data = await response.read()
            if response.status >= 400:
                raise Unavailable(
                    f"{town.town.name} answers {method} {path.partition('?')[0]} with "
                    f"{response.status}: {data[:300].decode(errors='replace')}"
                )
            answer: Mapping[str, Any] = await response.json() if data else {}
        return answer

    async def get(self, town: ElectionTown, path: str) -> Mapping[str, Any]:
        """Ask what anyone may.

        Raises:
            Unavailable: The service refuses.
        """
        async with self._http.get(town.url + path) as response:
            if response.status >= 400:
                raise Unavailable(f"{town.town.name} answers {path} with {response.status}")
            answer: Mapping[str, Any] = await response.json()
        return answer

    async def _officer_or_none(
        self, town: ElectionTown, method: str, path: str, body: Mapping[str, object]
    ) -> Any:
        return await self._or_none(partial(self.officer, town, method, path, body))

    async def _or_none(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return an answer, None while there is none; ``until`` names the last reason."""
        try:
            return await ask()
        except (Unavailable, RecordIncomplete, ServiceRefused, aiohttp.ClientError) as error:
            self._reason = str(error)
            return None

    async def until(
        self,
        what: str,
        ask: Callable[[], Awaitable[Any]],
        *,
        timeout_s: float = STEP_TIMEOUT_S,
    ) -> Any:
        """Ask again and again until there is an answer.

        Raises:
            TrialFailed: There is none in time.
        """
        self._reason = ""
        deadline = time.monotonic() + timeout_s
        while (found := await ask()) is None:
            if time.monotonic() > deadline:
                raise TrialFailed(
                    f"waited {timeout_s:.0f} s for {what}; {self._reason}; see the services' logs"
                )
            await asyncio.sleep(0.5)
        return found

    async def wait_until_time(self, at_s: int) -> None:
        """Sleep until a time has come."""
        await asyncio.sleep(max(0, at_s - time.time()))  # noqa: TID251

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())
