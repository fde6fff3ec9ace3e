"""What RPC asks of a node: the seam that the runtime and the test chain both fill.

``LedgerBackend`` is chain, state, calls and pool; ``ConsensusBackend`` is what only a running
validator knows; ``OperatorBackend`` is what only the loopback operator port may do. Methods of the
first two may be called from several threads at once: an implementation reads immutable state (a
height names it) or takes its own lock. None of them waits for consensus.

A height that does not exist is ``None`` or an empty answer; a height whose state was pruned raises
``StateUnavailable``.

Spec: RPC-BACKEND.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from node.pool.pool import Pool
from node.primitives.errors import Unavailable
from node.primitives.transaction import AccessListEntry
from node.primitives.types import Address, Hash32, Height, TransactionHash
from node.rpc.records import BlockRecord, HeaderRecord, ReceiptRecord
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A message to run without a signature; what ``eth_call`` takes."""

    sender: Address
    """Caller; the zero address when none was given."""
    to: Address | None
    """Callee, or None to run init code."""
    gas_limit: int
    """Gas allowed, already capped."""
    value_wei: int = 0
    """Wei moved."""
    data: bytes = b""
    """Call data or init code."""
    max_fee_wei: int = 0
    """Zero runs with a base fee of zero."""
    max_priority_fee_wei: int = 0
    """Tip per gas."""
    nonce: int | None = None
    """Sender's nonce; None takes the account's."""
    access_list: tuple[AccessListEntry, ...] = ()
    """Addresses and slots declared warm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """What a call did."""

    is_success: bool
    """False when it reverted or failed."""
    is_revert: bool = False
    """It failed by REVERT; ``output`` is the reason."""
    output: bytes = b""
    """Returned bytes, deployed code, or the reason of a revert."""
    gas_used: int = 0
    """Gas used, intrinsic gas included, refund subtracted."""
    gas_refunded: int = 0
    """The refund that was subtracted."""
    error: str = ""
    """Why it failed, for people; empty on success."""
    accessed: tuple[AccessListEntry, ...] = ()
    """Addresses and slots it touched, ascending; only when asked for."""


class CallRefused(Unavailable):
    """A call that could not begin (balance, intrinsic gas, nonce); the message says why."""

    code = "rpc.call_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class StructLog:
    """One step of the EVM."""

    pc: int
    """Program counter."""
    op: str
    """Mnemonic."""
    gas: int
    """Gas left before the step."""
    gas_cost: int
    """Gas the step takes, of a call the gas handed over included."""
    depth: int
    """1 for the outermost frame."""
    stack: tuple[int, ...] | None
    """Bottom first; None when not asked for."""
    memory: bytes | None
    """Whole memory before the step; None when not asked for."""
    storage: tuple[tuple[int, int], ...] | None
    """Slots of the frame's account read or written so far, ascending; None when not asked for."""
    return_data: bytes | None
    """Return buffer; None when not asked for."""
    error: str = ""
    """Why the step failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFrame:
    """One frame of the call tree."""

    kind: str
    """CALL, STATICCALL, DELEGATECALL, CALLCODE, CREATE or CREATE2."""
    sender: Address
    """Caller."""
    to: Address | None
    """Callee or created account."""
    value_wei: int
    """Wei moved."""
    gas_limit: int
    """Gas given."""
    gas_used: int
    """Gas taken."""
    data: bytes
    """Input."""
    output: bytes
    """Output or reason of a revert."""
    error: str = ""
    """Why it failed."""
    calls: tuple["CallFrame", ...] = ()
    """Inner frames in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """What a trace should hold."""

    has_stack: bool = True
    """With the stack of each step."""
    has_memory: bool = False
    """With the memory of each step."""
    has_storage: bool = True
    """With the storage each step of SLOAD and SSTORE leaves."""
    has_return_data: bool = False
    """With the return buffer."""
    has_steps: bool = True
    """False collects call frames only."""
    step_count_max: int = 100_000
    """Steps kept; the trace stops beyond and says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How one transaction or call ran."""

    gas_used: int
    """Gas of the transaction."""
    is_success: bool
    """False when it reverted or failed."""
    output: bytes
    """Returned bytes."""
    steps: tuple[StructLog, ...]
    """Empty when only frames were asked for."""
    frame: CallFrame
    """The call tree."""
    is_cut: bool = False
    """Steps beyond the bound were dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotProof:
    """A slot's value and the trie nodes that prove it."""

    slot: int
    """Which slot."""
    value: int
    """Its value."""
    nodes: tuple[bytes, ...]
    """From the storage root down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProof:
    """An account, its slots, and the trie nodes that prove them (EIP-1186)."""

    account: Account
    """The account; empty when it does not exist."""
    storage_root: Hash32
    """Root of its storage."""
    nodes: tuple[bytes, ...]
    """From the state root down."""
    slots: tuple[SlotProof, ...]
    """In the order asked."""


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

    @property
    def pool(self) -> Pool:
        """Return the pool of waiting transactions."""
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
        self, *, start: Height, stop: Height, bloom_groups: Sequence[Sequence[int]]
    ) -> Sequence[Height]:
        """Return the heights in [start, stop] whose bloom fits every group, ascending.

        Args:
            start: First height.
            stop: Last height.
            bloom_groups: Each group holds bloom bit patterns of which one at least must be set.
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

    def run_call(
        self, request: CallRequest, at: Height, *, is_access_wanted: bool = False
    ) -> CallOutcome:
        """Run a message on the state after a block, in that block's context.

        Raises:
            CallRefused: It could not begin.
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
