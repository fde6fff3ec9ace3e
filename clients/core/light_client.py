"""A light client over several nodes: follows the head, proves what it reads, reports who lied.

One honest node that can be reached is enough to know the newest head; no number of lying ones is
enough to forge it. What each node said is kept as an observation, so that disagreement shows. It
opens no connection (`transport` does) and reads no clock.

Spec: LIGHT-WITNESS, LIGHT-FORK, LIGHT-READ, LIGHT-ANCESTOR.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Generic, TypeVar

from clients.core.answers import (
    account_proof_of,
    block_of,
    data_of,
    header_of,
    raw_header_of,
    receipt_place_of,
    receipt_proof_of,
    receipts_of,
)
from clients.core.headers import (
    ForkEvidence,
    HeaderRefused,
    Path,
    TrustLimits,
    check_ancestor,
    check_fresh,
    check_next,
    check_period,
)
from clients.core.proofs import (
    ProvenAccount,
    ProvenLog,
    ProvenReceipt,
    logs_of,
    prove_account,
    prove_code,
    prove_receipt,
    prove_receipts,
)
from clients.core.transport import BATCH_COUNT_MAX, CallRefused, Node, NodeUnavailable
from clients.core.trust import Trust
from node.consensus.seals import verify_commit_seals
from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.header import Header
from node.primitives.types import Address, Height, TransactionHash

Value = TypeVar("Value")

NODE_COUNT_MAX: Final = 64
"""Most nodes asked."""

ANCESTOR_DISTANCE_MAX: Final = 20_000
"""Most headers walked back by their hashes to reach an old block."""


HEAD_TRIES_MAX: Final = 8
"""How often a read of the present state begins anew at a newer head."""

NODE_TIME_S: Final = 60.0
"""Longest one node may take for one question, however many headers that needs."""


class NoVerifiedAnswer(Unavailable):
    """No node gave an answer that could be verified."""

    code = "light.no_verified_answer"


class Verdict(StrEnum):
    """What is to be thought of one node's answer."""

    AGREES = "agrees"
    """Verified, and the same chain as the others'."""
    BEHIND = "behind"
    """Verified or already known, but older than the network allows."""
    REFUSED = "refused"
    """It gave a header or a proof that does not verify."""
    UNAVAILABLE = "unavailable"
    """It did not answer, or answered with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one node did, kept as evidence."""

    node: str
    """Its name."""
    verdict: Verdict
    """What is to be thought of it."""
    height: int | None = None
    """Height it answered for, when it named one."""
    detail: str = ""
    """Why, in a sentence."""
    code: str = ""
    """Stable code of the error behind a refusal."""
    header: str = ""
    """The header it gave, in hex, when that is what was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What came of asking all nodes for the head."""

    head: Header
    """The newest verified header."""
    observations: tuple[Observation, ...]
    """One for each node, in the order they were given."""

    @property
    def has_disagreement(self) -> bool:
        """Tell whether a node lied, withheld blocks, or did not answer."""
        return any(each.verdict is not Verdict.AGREES for each in self.observations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven(Generic[Value]):
    """A value and the sealed header that proves it."""

    value: Value
    """What was asked for."""
    header: Header
    """The verified header it is proven under; for headers, the one they follow."""
    node: str
    """Which node delivered it; it had no say in it."""
    observations: tuple[Observation, ...]
    """What nodes asked before it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reached:
    """A node and the head we verified through it."""

    node: Node
    header: Header


class LightClient:
    """Reads the ledger through nodes it does not trust."""

    def __init__(
        self,
        nodes: Sequence[Node],
        trust: Trust,
        *,
        limits: TrustLimits,
        now_s: Callable[[], int],
        node_time_s: float = NODE_TIME_S,
    ) -> None:
        """Stand at ``trust``.

        Raises:
            InvalidInput: There is no node, or too many.
        """
        if not 1 <= len(nodes) <= NODE_COUNT_MAX:
            raise InvalidInput(f"light client: expected 1 to {NODE_COUNT_MAX} nodes")
        self.trust = trust
        self._nodes = tuple(nodes)
        self._limits = limits
        self._now_s = now_s
        self._node_time_s = node_time_s
        self._following = asyncio.Lock()

    async def sync(self) -> SyncReport:
        """Ask every node for its head, verify each, and trust the newest.

        Raises:
            TrustExpired: What we trust is too old; start from a new checkpoint.
            ForkDetected: Two sealed chains exist; nothing is trusted further.
            StaleHead: The newest verified head is too old to be the present.
            NoVerifiedAnswer: No node gave a head that verifies.

        Spec: LIGHT-WITNESS, LIGHT-FORK.
        """
        async with self._following:
            return await self._sync()

    async def _sync(self) -> SyncReport:
        check_period(self.trust.head, now_s=self._now_s(), limits=self._limits)
        found: dict[Node, _Reached | Observation] = {}
        answers = await asyncio.gather(
            *(self._reach(node) for node in self._nodes), return_exceptions=True
        )
        for node, answer in zip(self._nodes, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            found[node] = answer
        head = await self._agree(found)
        self.trust = replace(self.trust, head=head)
        check_fresh(head, now_s=self._now_s(), limits=self._limits)
        observations = tuple(each for each in found.values() if isinstance(each, Observation))
        return SyncReport(head=head, observations=observations)

    async def _agree(self, found: dict[Node, "_Reached | Observation"]) -> Header:
        """Choose the newest head whose node shows every lower verified head as its own past.

        What was reached becomes an observation in ``found``.

        Raises:
            ForkDetected: Two verified heads are of different chains.
            NoVerifiedAnswer: None is left.

        Spec: LIGHT-WITNESS, LIGHT-FORK.
        """
        while reached := [each for each in found.values() if isinstance(each, _Reached)]:
            best = max(reached, key=lambda each: each.header.height)
            try:
                compared = {each.node: await self._compare(each, best) for each in reached}
            except (InvalidInput, NodeUnavailable) as error:
                found[best.node] = _observe(best.node, error, best.header)
                continue
            found.update(compared)
            return best.header
        failures = tuple(each for each in found.values() if isinstance(each, Observation))
        raise self._nothing("no node gave a head that verifies", failures)

    async def _reach(self, node: Node) -> _Reached | Observation:
        """Verify one node's head, coming from what we trust."""
        header: Header | None = None
        try:
            async with self._patience(node):
                header = header_of(await node.call("daicho_getFinality", "latest"))
                if header.height > self.trust.head.height:
                    verified = await self._follow(node, self.trust.head, header.height, header)
                    return _Reached(node=node, header=verified)
        except (InvalidInput, NodeUnavailable) as error:
            return _observe(node, error, header)
        return self._judge_known(node, header)

    def _judge_known(self, node: Node, header: Header) -> _Reached | Observation:
        """Judge a head that is not above the one we trust.

        Raises:
            ForkDetected: It is another block of that height, sealed by the set we trust.
        """
        head = self.trust.head
        if header.hash == head.hash:
            return _Reached(node=node, header=head)
        if header.height == head.height:
            if verify_commit_seals(header, head.extra_data.validators).is_met:
                raise ForkEvidence(first=head, second=header).to_error()
            error = HeaderRefused(
                f"light client: head {header.height} is not the sealed block", rule="LIGHT-FORK"
            )
            return _observe(node, error, header)
        return Observation(
            node=node.name,
            verdict=Verdict.BEHIND,
            height=header.height,
            detail=f"its head is below {head.height}, which is verified already",
        )

    async def _compare(self, other: _Reached, best: _Reached) -> Observation:
        """Compare a verified head with the best node's chain at that height.

        Raises:
            ForkDetected: Both are sealed and they differ.
            InvalidInput: The best node shows no header there that verifies.
            NodeUnavailable: It does not answer.

        Spec: LIGHT-FORK.
        """
        header, known = other.header, best.header
        if header.height < best.header.height:
            if header.hash == best.header.parent_hash:
                return _observed(other, Verdict.AGREES, "")
            async with self._patience(best.node):
                known = await self._header_from(best.node, header.height)
        if header.hash != known.hash:
            raise ForkEvidence(first=known, second=header).to_error()
        if best.header.timestamp_s - header.timestamp_s > self._limits.staleness_s:
            lag = best.header.height - header.height
            return _observed(other, Verdict.BEHIND, f"its head is {lag} blocks old")
        return _observed(other, Verdict.AGREES, "")

    async def _header_from(self, node: Node, height: Height) -> Header:
        if height == self.trust.head.height:
            return self.trust.head
        return await self._follow(node, self.trust.head, height, None)

    async def _follow(
        self, node: Node, trusted: Header, target: Height, last: Header | None
    ) -> Header:
        """Verify the header at ``target`` through one node; ``last`` if it is at hand."""
        path = Path(trusted, target, now_s=self._now_s(), limits=self._limits)
        if last is not None:
            path.take(last)
        while path.wanted is not None:
            path.take(raw_header_of(await node.call("debug_getRawHeader", hex(path.wanted))))
        return path.trusted

    async def read_present(self, read: Callable[[Header], Awaitable[Value]]) -> Value:
        """Return what ``read`` proves under the verified head, or under a newer one.

        A node that keeps no past states can prove the head alone, and the head moves on while we
        read: then we follow and read anew. Without a newer head the failure stands.

        Raises:
            NoVerifiedAnswer: Nothing was proven under any head.

        Spec: LIGHT-READ, LIGHT-PRESENT.
        """
        for _ in range(HEAD_TRIES_MAX):
            header = self.trust.head
            try:
                return await read(header)
            except NoVerifiedAnswer:
                await self.sync()
                if self.trust.head.height == header.height:
                    raise
        return await read(self.trust.head)

    async def account(
        self, address: Address, slots: Sequence[int] = (), *, under: Header | None = None
    ) -> Proven[ProvenAccount]:
        """Return an account, and slots of it, proven at the verified head.

        Args:
            address: Whose.
            slots: Slots of its storage.
            under: Another verified header to prove it under; nodes keep few past states.

        Raises:
            NoVerifiedAnswer: No node gave a proof that verifies.

        Spec: LIGHT-READ, LIGHT-PROOF.
        """
        if under is None:
            return await self.read_present(lambda header: self._account(address, slots, header))
        return await self._account(address, slots, under)

    async def _account(
        self, address: Address, slots: Sequence[int], header: Header
    ) -> Proven[ProvenAccount]:
        wanted = tuple(slots)

        async def ask(node: Node) -> ProvenAccount:
            answer = await node.call(
                "eth_getProof",
                "0x" + address.hex(),
                [f"0x{slot:064x}" for slot in wanted],
                hex(header.height),
            )
            proof = account_proof_of(answer, wanted)
            return prove_account(header, address, proof, wanted)

        return await self._first(ask, lambda _value: header, f"account 0x{address.hex()}")

    async def code(self, address: Address) -> Proven[bytes]:
        """Return an account's code, held against its proven code hash.

        Raises:
            NoVerifiedAnswer: No node gave code that verifies.

        Spec: LIGHT-READ, LIGHT-PROOF.
        """
        return await self.read_present(lambda header: self._code(address, header))

    async def _code(self, address: Address, header: Header) -> Proven[bytes]:
        account = await self._account(address, (), header)
        height = hex(account.header.height)

        async def ask(node: Node) -> bytes:
            answer = await node.call("eth_getCode", "0x" + address.hex(), height)
            return prove_code(account.value, data_of(answer, "code"))

        return await self._first(ask, lambda _value: account.header, f"code of 0x{address.hex()}")

    async def receipt(self, transaction_hash: TransactionHash) -> Proven[ProvenReceipt]:
        """Return a transaction and its outcome, proven under the sealed header of its block.

        That no node knows a transaction proves nothing: it may be withheld.

        Raises:
            NoVerifiedAnswer: No node gave a proof that verifies.

        Spec: LIGHT-READ, LIGHT-RECEIPT.
        """

        async def ask(node: Node) -> tuple[Header, ProvenReceipt]:
            answer = await node.call("daicho_getReceiptProof", "0x" + transaction_hash.hex())
            header = await self._header_through(node, Height(receipt_place_of(answer)))
            return header, prove_receipt(header, transaction_hash, receipt_proof_of(answer))

        found = await self._first(
            ask, lambda pair: pair[0], f"transaction 0x{transaction_hash.hex()}"
        )
        return Proven(
            value=found.value[1],
            header=found.header,
            node=found.node,
            observations=found.observations,
        )

    async def header(self, height: Height) -> Proven[Header]:
        """Return the verified header at a height not above the head.

        Raises:
            NoVerifiedAnswer: No node gave one that verifies.

        Spec: LIGHT-READ, LIGHT-ANCESTOR.
        """

        async def ask(node: Node) -> Header:
            return await self._header_through(node, height)

        return await self._first(ask, lambda value: value, f"header {height}")

    async def headers_after(self, header: Header, count: int) -> Proven[tuple[Header, ...]]:
        """Return up to ``count`` headers after a verified one, each verified, at most to the head.

        Raises:
            TrustExpired: The header is too old to build on.
            NoVerifiedAnswer: No node gave headers that verify.

        Spec: LIGHT-READ, LIGHT-STEP.
        """
        check_period(header, now_s=self._now_s(), limits=self._limits)
        room = self.trust.head.height - header.height
        heights = range(header.height + 1, header.height + 1 + min(count, room, BATCH_COUNT_MAX))

        async def ask(node: Node) -> tuple[Header, ...]:
            calls = [("debug_getRawHeader", [hex(at)]) for at in heights]
            headers = tuple(raw_header_of(answer) for answer in await node.batch(calls))
            trusted = header
            for each in headers:
                check_next(each, trusted=trusted, now_s=self._now_s(), limits=self._limits)
                trusted = each
            return headers

        return await self._first(ask, lambda _value: header, f"headers after {header.height}")

    async def block_receipts(self, header: Header) -> Proven[tuple[ProvenReceipt, ...]]:
        """Return every transaction and outcome of the block of a verified header.

        Raises:
            NoVerifiedAnswer: No node gave all of them.

        Spec: LIGHT-READ, LIGHT-LOGS.
        """

        async def ask(node: Node) -> tuple[ProvenReceipt, ...]:
            at = hex(header.height)
            block, receipts = await node.batch(
                [("debug_getRawBlock", [at]), ("debug_getRawReceipts", [at])]
            )
            transactions = [transaction.raw for transaction in block_of(block).transactions]
            return prove_receipts(header, transactions, receipts_of(receipts))

        return await self._first(ask, lambda _value: header, f"receipts of block {header.height}")

    async def block_logs(self, header: Header) -> Proven[tuple[ProvenLog, ...]]:
        """Return all logs of the block of a verified header, none left out.

        Raises:
            NoVerifiedAnswer: No node gave all of them.

        Spec: LIGHT-READ, LIGHT-LOGS.
        """
        found = await self.block_receipts(header)
        return Proven(
            value=logs_of(found.value),
            header=found.header,
            node=found.node,
            observations=found.observations,
        )

    async def _header_through(self, node: Node, height: Height) -> Header:
        """Return a verified header: known, ahead of the origin, or an ancestor by its hashes."""
        origin, head = self.trust.origin, self.trust.head
        if height > head.height:
            raise HeaderRefused(
                f"light client: height {height} is above the verified head {head.height}",
                rule="LIGHT-READ",
            )
        for known in (head, origin):
            if known.height == height:
                return known
        is_fresh = self._now_s() - origin.timestamp_s < self._limits.trusting_period_s
        if height > origin.height and is_fresh:
            return await self._follow(node, origin, height, None)
        return await self._ancestor(node, origin if height < origin.height else head, height)

    async def _ancestor(self, node: Node, child: Header, height: Height) -> Header:
        """Walk back from a verified header by parent hashes.

        Spec: LIGHT-ANCESTOR.
        """
        if child.height - height > ANCESTOR_DISTANCE_MAX:
            raise HeaderRefused(
                f"light client: height {height} is over {ANCESTOR_DISTANCE_MAX} below what is "
                "trusted; start from an older checkpoint",
                rule="LIGHT-ANCESTOR",
            )
        while child.height > height:
            stop = max(height, child.height - BATCH_COUNT_MAX)
            calls = [
                ("debug_getRawHeader", [hex(at)]) for at in range(child.height - 1, stop - 1, -1)
            ]
            for answer in await node.batch(calls):
                header = raw_header_of(answer)
                check_ancestor(header, child)
                child = header
        return child

    @asynccontextmanager
    async def _patience(self, node: Node) -> AsyncGenerator[None]:
        """Bound how long one node may take, so that none can hold up the others.

        Raises:
            NodeUnavailable: Time is up.

        Spec: LIGHT-BOUNDS.
        """
        try:
            async with asyncio.timeout(self._node_time_s):
                yield
        except TimeoutError as error:
            raise NodeUnavailable(
                f"{node.name} took over {self._node_time_s:g} s", rule="LIGHT-BOUNDS"
            ) from error

    async def _first(
        self,
        ask: Callable[[Node], Awaitable[Value]],
        header_for: Callable[[Value], Header],
        what: str,
    ) -> Proven[Value]:
        """Return the first answer that verifies, asking the nodes in their order.

        Spec: LIGHT-READ.
        """
        observations: list[Observation] = []
        for node in self._nodes:
            try:
                async with self._patience(node):
                    value = await ask(node)
            except (InvalidInput, NodeUnavailable) as error:
                observations.append(_observe(node, error, None))
                continue
            return Proven(
                value=value,
                header=header_for(value),
                node=node.name,
                observations=tuple(observations),
            )
        raise self._nothing(f"no node proved {what}", tuple(observations))

    def _nothing(self, message: str, observations: tuple[Observation, ...]) -> NoVerifiedAnswer:
        told = "; ".join(f"{each.node}: {each.detail}" for each in observations)
        return NoVerifiedAnswer(
            f"{message} ({told})",
            rule="LIGHT-READ",
            observations=[
                {"node": each.node, "verdict": each.verdict.value, "detail": each.detail}
                for each in observations
            ],
        )


def _observe(
    node: Node, error: InvalidInput | NodeUnavailable, header: Header | None
) -> Observation:
    """Keep what a node did wrong, with the header it gave."""
    is_away = isinstance(error, NodeUnavailable | CallRefused)
    return Observation(
        node=node.name,
        verdict=Verdict.UNAVAILABLE if is_away else Verdict.REFUSED,
        height=None if header is None else header.height,
        detail=str(error),
        code=error.code,
        header="" if header is None else "0x" + header.encode().hex(),
    )


def _observed(reached: _Reached, verdict: Verdict, detail: str) -> Observation:
    return Observation(
        node=reached.node.name, verdict=verdict, height=reached.header.height, detail=detail
    )
