"""A small real chain behind a real RPC port: our executor, store and pool, without consensus.

A submitted transaction is put into a block at once, unless the test holds blocks back. The server
runs on a thread and event loop of its own, so that any client, also a blocking one, can talk to it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import vyper

from node.pool.admission import HeadContext
from node.pool.limits import PoolLimits
from node.pool.pool import Pool
from node.primitives.errors import InvalidInput
from node.primitives.transaction import Transaction
from node.primitives.types import Address, Height, TransactionHash
from node.rpc.backend import Backends, ConsensusStatus, Json, SignerMetric, ValidatorStatus
from node.rpc.ledger import LedgerParts, NodeLedger
from node.rpc.limits import RpcLimits
from node.rpc.method import MethodTable
from node.rpc.methods.tables import PUBLIC_METHODS
from node.rpc.server import RpcServer, ServerAddress, new_id
from node.rpc.service import RpcService
from node.runtime.intake import PoolHead, make_simulation
from tests.support.ledger import VALIDATOR_KEYS, Ledger

BOOK_SOURCE = """
# pragma version 0.4.3
event Noted:
    author: indexed(address)
    page: indexed(uint256)
    text: Bytes[1024]

pages: public(uint256)
texts: public(HashMap[uint256, Bytes[1024]])

@external
def note(text: Bytes[1024]) -> uint256:
    assert len(text) > 0, "book: nothing to note"
    page: uint256 = self.pages
    self.texts[page] = text
    self.pages = page + 1
    log Noted(author=msg.sender, page=page, text=text)
    return page

@external
@view
def spin(rounds: uint256) -> uint256:
    total: uint256 = 0
    for at: uint256 in range(rounds, bound=10_000_000):
        total = unsafe_add(unsafe_mul(total, 31), at)
    return total
"""


@lru_cache(maxsize=1)
def book() -> Mapping[str, Any]:
    """Compile the contract the tests talk to: ABI, creation code, and where its storage lies."""
    return vyper.compile_code(
        BOOK_SOURCE,
        output_formats=["abi", "bytecode", "layout"],
        settings=vyper.compiler.settings.Settings(evm_version="shanghai"),
    )


async def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait until ``condition`` holds; fail when it takes too long."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - a socket's state has no event
            await asyncio.sleep(0.005)


class RpcChain:
    """A ledger in memory, its pool, and what RPC needs of both."""

    def __init__(self, pool_limits: PoolLimits | None = None, ledger: Ledger | None = None) -> None:
        """Start at genesis."""
        self.ledger = Ledger() if ledger is None else ledger
        self.pool = Pool(PoolLimits() if pool_limits is None else pool_limits)
        self.lock = threading.RLock()
        self.is_mining = True
        self.servers: list[RpcServer] = []
        self._refresh()
        self.backend = NodeLedger(
            LedgerParts(
                chain=self.ledger.chain,
                profile=self.ledger.profile,
                pool=self.pool,
                pool_lock=self.lock,
                submit=self.submit,
                monotonic_s=time.monotonic,
            )
        )

    def submit(self, raw: bytes, source: str) -> TransactionHash:
        """Take a transaction and, when mining, make a block of what waits."""
        with self.lock:
            added = self.pool.submit(raw, self.context, source=source, now_s=self.now_s)
            for server in self.servers:
                server.upon_pending(added.transaction)
            if self.is_mining:
                self.mine()
        return added.transaction.hash

    def mine(self, *, seconds: int = 2) -> Sequence[Transaction]:
        """Make a block of what waits, also an empty one, ``seconds`` after the last."""
        with self.lock:
            made = self.ledger.make(*self.pool.candidates(10_000), seconds=seconds)
            self._refresh()
            self.pool.upon_head(
                made.block.transactions,
                lambda address: self.context.account(address).nonce,
                now_s=self.now_s,
            )
        for server in self.servers:
            server.upon_head(made.block.height)
        return made.block.transactions

    @property
    def now_s(self) -> int:
        """Return the head's time."""
        return self.ledger.head.timestamp_s

    def _refresh(self) -> None:
        ledger = self.ledger
        at = PoolHead(header=ledger.head, view=ledger.chain.view_at(ledger.head.height))
        self.context = HeadContext(
            view=at.view,
            profile=ledger.profile,
            timestamp_s=at.header.timestamp_s,
            rule=ledger.rule,
            simulate=make_simulation(at, ledger.profile),
        )


class QuietConsensus:
    """Four validators that decide everything at once, but one of which sleeps."""

    def __init__(self, chain: RpcChain) -> None:
        """Tell about ``chain``."""
        self.chain = chain
        self.votes: dict[Address, bool] = {}

    @property
    def validators(self) -> tuple[Address, ...]:
        """Return the set."""
        return tuple(sorted(key.address for key in VALIDATOR_KEYS))

    def consensus_status(self) -> ConsensusStatus:
        """Return a status with one validator missing."""
        sleeper = self.validators[3]
        height = self.chain.ledger.head.height
        return ConsensusStatus(
            height=Height(height + 1),
            round=0,
            phase="proposed",
            proposer=self.validators[0],
            seconds_in_round=0.5,
            quorum=3,
            validators=tuple(
                ValidatorStatus(
                    address=address,
                    name=f"municipality {at + 1}",
                    is_connected=address != sleeper,
                    last_proposed=None,
                    last_sealed=height or None,
                    is_missing=address == sleeper,
                )
                for at, address in enumerate(self.validators)
            ),
            prepared_by=self.validators[:2],
            committed_by=(),
            waits_for="one more Prepare of three; municipality 4 is missing",
        )

    def validators_at(self, at: Height) -> tuple[Address, ...] | None:
        """Return the set at a height that exists."""
        return self.validators if at <= self.chain.ledger.head.height else None

    def pending_votes(self) -> Mapping[Address, bool]:
        """Return our votes."""
        return self.votes

    def propose_vote(self, address: Address, *, is_add: bool) -> None:
        """Keep a vote."""
        self.votes[address] = is_add

    def discard_vote(self, address: Address) -> None:
        """Drop a vote.

        Raises:
            InvalidInput: There is none.
        """
        if self.votes.pop(address, None) is None:
            raise InvalidInput("no pending vote about this address")

    def signer_metrics(self, start: Height, stop: Height) -> tuple[SignerMetric, ...]:
        """Count proposers from the headers."""
        coinbases = [
            self.chain.ledger.chain.load_header(Height(at)).coinbase
            for at in range(max(start, 1), stop + 1)
        ]
        return tuple(
            SignerMetric(
                address=address, proposed_count=coinbases.count(address), last_proposed=Height(0)
            )
            for address in self.validators
        )

    def request_timeout_s(self) -> int:
        """Return four seconds."""
        return 4

    def evidence(self) -> Sequence[Mapping[str, Json]]:
        """Return none."""
        return ()

    def checkpoint(self) -> Mapping[str, Json]:
        """Return the head's name."""
        return {"blockHash": "0x" + self.chain.ledger.head.hash.hex()}

    def config_hashes(self) -> Mapping[str, Json]:
        """Return the genesis hash."""
        return {"genesis": "0x" + self.chain.ledger.genesis.header.hash.hex()}


class ServerThread:
    """A server on a thread of its own."""

    def __init__(self, server: RpcServer) -> None:
        """Hold the server; ``start`` runs it."""
        self.server = server
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Run until ``stop``."""
        self._thread.start()
        self.port = self.run(self.server.start())

    def stop(self) -> None:
        """Stop the server and its thread."""
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Any) -> Any:
        """Run a coroutine on the server's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


@contextmanager
def serving(
    chain: RpcChain,
    *,
    limits: RpcLimits | None = None,
    table: MethodTable = PUBLIC_METHODS,
    backends: Backends | None = None,
    address: ServerAddress | None = None,
) -> Iterator[ServerThread]:
    """Serve a chain on a free loopback port for the length of a ``with`` block."""
    service = RpcService(
        backends=backends or Backends(ledger=chain.backend, clock_s=lambda: chain.now_s),
        table=table,
        limits=limits or RpcLimits(),
        new_id=new_id,
        monotonic_s=time.monotonic,
    )
    thread = ServerThread(RpcServer(service, address or ServerAddress()))
    thread.start()
    chain.servers.append(thread.server)
    try:
        yield thread
    finally:
        chain.servers.remove(thread.server)
        thread.stop()
