"""What RPC asks of a node: the seam that the runtime and the test chain both fill.

``LedgerBackend`` is chain, state, calls and pool; ``ConsensusBackend`` is what only a running
validator knows; ``OperatorBackend`` is what only the loopback operator port may do. Methods of the
first two may be called from several threads at once: an implementation reads immutable state (a
height names it) or takes its own lock. None of them waits for consensus.

A height that does not exist is ``None`` or an empty answer; a height whose state was pruned raises
``StateUnavailable``.

Spec: RPC-BACKEND.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from node.execution.calls import CallOutcome, CallRequest
from node.execution.tracing import Trace, TraceOptions
from node.pool.pool import Pool
from node.primitives.errors import Unavailable
from node.primitives.types import Address, Hash32, Height, TransactionHash
from node.rpc.records import BlockRecord, HeaderRecord, ReceiptRecord
from node.storage.chain import AccountProof
from node.storage.view import Account

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A JSON value."""


class StateUnavailable(Unavailable):
    """The state at that height is not kept by this node."""

    code = "rpc.state_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgress:
    """How far a node that catches up has come."""

    start: Height
    """Where it began."""
    current: Height
    """Its head."""
    highest: Height
    """The highest head its peers told of."""


class LedgerBackend(Protocol):
    """Chain, state, calls and pool, as RPC reads them."""

    @property
    def chain_id(self) -> int:
        """Return the EIP-155 chain id; also the network id."""
        ...

    @property
    def block_gas_limit(self) -> int:
        """Return the gas limit of the next block."""
        ...

    @property
    def next_base_fee_wei(self) -> int:
        """Return the base fee of the next block; 0 on our chain."""
        ...

    def open_pool(self) -> AbstractContextManager[Pool]:
        """Return the pool of waiting transactions, for the length of a ``with`` block.

        Other threads are kept out meanwhile; keep it short.
        """
        ...

    def head(self) -> HeaderRecord:
        """Return the latest header; with QBFT it is final."""
        ...

    def load_header(self, at: Height) -> HeaderRecord | None:
        """Return the header at a height, or None beyond the head."""
        ...

    def load_block(self, at: Height) -> BlockRecord | None:
        """Return the block at a height, or None beyond the head."""
        ...

    def load_receipts(self, at: Height) -> tuple[ReceiptRecord, ...]:
        """Return the receipts of a block that exists."""
        ...

    def find_block(self, block_hash: Hash32) -> Height | None:
        """Return the height of the block with that hash, or None."""
        ...

    def find_transaction(self, transaction_hash: Hash32) -> tuple[Height, int] | None:
        """Return height and index of a transaction on chain, or None."""
        ...

    def find_log_heights(
        self,
        *,
        start: Height,
        stop: Height,
        addresses: Set[bytes],
        topics: Sequence[Set[Hash32]],
    ) -> Iterable[Height]:
        """Return the heights in [start, stop] that may hold wanted logs, ascending.

        Too many are fine (a bloom's false hits), too few are not.

        Args:
            start: First height.
            stop: Last height.
            addresses: Contracts, of which one must have logged; empty means any.
            topics: Choices by position; an empty choice means any.
        """
        ...

    def load_account(self, at: Height, address: Address) -> Account:
        """Return an account after the block at a height; empty when it does not exist.

        Raises:
            StateUnavailable: The state is not kept.
        """
        ...

    def load_code(self, at: Height, address: Address) -> bytes:
        """Return an account's code.

        Raises:
            StateUnavailable: The state is not kept.
        """
        ...

    def load_slot(self, at: Height, address: Address, slot: int) -> int:
        """Return a slot's value.

        Raises:
            StateUnavailable: The state is not kept.
        """
        ...

    def prove_account(self, at: Height, address: Address, slots: Sequence[int]) -> AccountProof:
        """Prove an account and some of its slots against the state root at a height.

        Raises:
            StateUnavailable: The trie at that height is not kept.
        """
        ...

    def run_call(self, request: CallRequest, at: Height) -> CallOutcome:
        """Run a message on the state after a block, in that block's context.

        Raises:
            CallRefused: It could not begin.
            CallTooLong: It ran past the steps or time it may take.
            StateUnavailable: The state is not kept.
        """
        ...

    def estimate_gas(self, request: CallRequest, at: Height) -> int:
        """Return gas with which a message succeeds.

        Raises:
            CallFailed: It fails even with all the gas it may have.
            CallRefused: It could not begin.
            CallTooLong: It ran past the steps or time it may take.
            StateUnavailable: The state is not kept.
        """
        ...

    def build_access_list(self, request: CallRequest, at: Height) -> CallOutcome:
        """Run a message with the access list it needs, which the outcome's ``accessed`` names.

        Raises:
            CallRefused: It could not begin.
            CallTooLong: It ran past the steps or time it may take.
            StateUnavailable: The state is not kept.
        """
        ...

    def trace_call(self, request: CallRequest, at: Height, options: TraceOptions) -> Trace:
        """Run a message as ``run_call`` and tell each step.

        Raises:
            CallRefused: It could not begin.
            StateUnavailable: The state is not kept.
        """
        ...

    def trace_block(
        self, at: Height, options: TraceOptions, *, index: int | None = None
    ) -> tuple[Trace, ...]:
        """Run a block's transactions again and tell each step, or of the one at ``index``.

        Raises:
            StateUnavailable: The parent's state is not kept.
        """
        ...

    def submit(self, raw: bytes, *, source: str) -> TransactionHash:
        """Admit a transaction to the pool and pass it on to peers.

        Args:
            raw: Canonical bytes.
            source: Who brought it (an RPC client's address); limits count by it.

        Raises:
            InvalidInput: It is malformed, or refused; the error's code says why.
        """
        ...

    def sync_progress(self) -> SyncProgress | None:
        """Return how far the node has caught up, or None when it has."""
        ...

    def peer_count(self) -> int:
        """Return how many peers are connected."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorStatus:
    """One validator as this node sees it."""

    address: Address
    """Its key."""
    name: str
    """Its municipality, from the membership file; empty when unknown."""
    is_connected: bool
    """A connection to its node is open (true of ourselves)."""
    last_proposed: Height | None
    """Height of its latest block seen."""
    last_sealed: Height | None
    """Latest height that carries its seal."""
    is_missing: bool
    """It neither answers nor seals: an operator should call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusStatus:
    """Where consensus stands and who is missing."""

    height: Height
    """Height being decided."""
    round: int
    """Round of it."""
    phase: str
    """waiting, proposed, prepared, committed or round_change."""
    proposer: Address
    """Expected proposer."""
    seconds_in_round: float
    """Time since the round began."""
    quorum: int
    """Votes needed."""
    validators: tuple[ValidatorStatus, ...]
    """Every validator, ascending by address."""
    prepared_by: tuple[Address, ...]
    """Whose Prepare of this round arrived."""
    committed_by: tuple[Address, ...]
    """Whose Commit of this round arrived."""
    waits_for: str
    """One sentence an operator can read at night."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerMetric:
    """A validator's share of recent blocks (Besu's ``qbft_getSignerMetrics``)."""

    address: Address
    """Its key."""
    proposed_count: int
    """Blocks proposed in the range."""
    last_proposed: Height
    """Latest of them; 0 when none."""


class ConsensusBackend(Protocol):
    """What only a node that runs consensus can tell."""

    def consensus_status(self) -> ConsensusStatus:
        """Return where consensus stands."""
        ...

    def validators_at(self, at: Height) -> tuple[Address, ...] | None:
        """Return the set that decides the block at a height, or None beyond the head."""
        ...

    def pending_votes(self) -> Mapping[Address, bool]:
        """Return our own pending votes: address to add (True) or drop (False)."""
        ...

    def propose_vote(self, address: Address, *, is_add: bool) -> None:
        """Vote for a validator's addition or removal in our coming blocks."""
        ...

    def discard_vote(self, address: Address) -> None:
        """Withdraw our pending vote about an address."""
        ...

    def signer_metrics(self, start: Height, stop: Height) -> tuple[SignerMetric, ...]:
        """Count who proposed the blocks in [start, stop]."""
        ...

    def request_timeout_s(self) -> int:
        """Return how long round 0 lasts."""
        ...

    def evidence(self) -> Sequence[Mapping[str, Json]]:
        """Return the stored evidence of equivocation, newest first, bounded."""
        ...

    def checkpoint(self) -> Mapping[str, Json]:
        """Return the latest checkpoint: height, hash, state root, validators, seals."""
        ...

    def config_hashes(self) -> Mapping[str, Json]:
        """Return the hashes that must agree among peers: genesis, membership, fork document."""
        ...


class OperatorBackend(Protocol):
    """What the operator's loopback port may ask and do."""

    def node_info(self) -> Mapping[str, Json]:
        """Return who this node is."""
        ...

    def peers(self) -> Sequence[Mapping[str, Json]]:
        """Return the connected peers."""
        ...

    def change_log_level(self, level: str, logger: str | None) -> None:
        """Set the level of the node's log, or of one logger."""
        ...

    def reload_membership(self) -> Mapping[str, Json]:
        """Read the membership file again and say what changed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """The parts of one node that RPC serves; an absent part removes its methods."""

    ledger: LedgerBackend
    """Chain, state, calls and pool."""
    consensus: ConsensusBackend | None = None
    """Absent on a node that only follows."""
    operator: OperatorBackend | None = None
    """Given to the operator's port alone."""
    clock_s: Callable[[], int] = field(default=lambda: 0)
    """Whole seconds; for filters and pool expiry."""
