"""The chain of ethereum/execution-apis behind ``LedgerBackend``, imported and run by py-evm.

A chain of every fork from Frontier to Osaka, with miners, fees, blobs and set-code: nothing of it
is ours but the RPC layer that serves it. py-evm (up to Prague, which the later blocks of this
chain do not outgrow) imports it and must reach the published head; its states are read where it
left them. Our own pool holds what is sent, without the rule that there be no fees.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import rlp
from eth.chains.base import Chain
from eth.consensus.noproof import NoProofConsensus
from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from eth.vm.forks import (
    ArrowGlacierVM,
    BerlinVM,
    ByzantiumVM,
    CancunVM,
    ConstantinopleVM,
    GrayGlacierVM,
    HomesteadVM,
    IstanbulVM,
    LondonVM,
    MuirGlacierVM,
    ParisVM,
    PetersburgVM,
    PragueVM,
    ShanghaiVM,
    SpuriousDragonVM,
    TangerineWhistleVM,
)
from eth.vm.message import Message
from eth.vm.transaction_context import BaseTransactionContext
from trie import HexaryTrie

from node.execution.calls import CallFailed, CallOutcome, CallRefused, CallRequest
from node.execution.tracing import CallFrame, StructLog, Trace, TraceOptions
from node.execution.validity import compute_intrinsic_gas
from node.pool.limits import PoolLimits
from node.pool.pool import Pool
from node.pool.queue import Entry
from node.pool.refusals import WrongChain
from node.primitives.crypto import keccak256
from node.primitives.header import EMPTY_ROOT
from node.primitives.receipt import Log
from node.primitives.transaction import AccessListEntry, decode_transaction
from node.primitives.types import Address, BlockHash, Hash32, Height, TransactionHash
from node.rpc.backend import SyncProgress
from node.rpc.logs import LogFilter
from node.rpc.records import (
    Authorization,
    BlockRecord,
    HeaderRecord,
    ReceiptRecord,
    TransactionRecord,
)
from node.storage.chain import AccountProof, SlotProof
from node.storage.view import Account

FORKS = (
    (0, HomesteadVM.configure(support_dao_fork=False)),
    (3, TangerineWhistleVM),
    (6, SpuriousDragonVM),
    (9, ByzantiumVM),
    (12, ConstantinopleVM),
    (15, PetersburgVM),
    (18, IstanbulVM),
    (21, MuirGlacierVM),
    (24, BerlinVM),
    (27, LondonVM),
    (30, ArrowGlacierVM),
    (33, GrayGlacierVM),
    (36, ParisVM),
    (39, ShanghaiVM),
    (42, CancunVM),
    (45, PragueVM),
)
MERGE_HEIGHT = 36
DELEGATION_PREFIX = b"\xef\x01\x00"
BASE_FEE_DENOMINATOR = 8
PRECOMPILE_LAST = 0x11


@lru_cache(maxsize=1)
def load_fixture_chain(folder: Path) -> "FixtureChain":
    """Import the chain in ``folder``, once for all tests of a process."""
    genesis = json.loads((folder / "genesis.json").read_text())
    return FixtureChain(genesis, (folder / "chain.rlp").read_bytes())


class FixtureChain:
    """The imported chain; a ``LedgerBackend``."""

    def __init__(self, genesis: dict[str, Any], blocks: bytes) -> None:
        """Import every block, checking each state root on the way."""
        self.chain_id = int(genesis["config"]["chainId"])
        self._pool = Pool(PoolLimits())
        self._lock = threading.RLock()
        self._db = AtomicDB()
        self._chain = _configure_chain(self.chain_id).from_genesis(
            self._db, _genesis_parameters(genesis), _genesis_state(genesis)
        )
        self._blocks = [self._chain.get_canonical_block_by_number(0)]
        for raw in _split(blocks):
            number = len(self._blocks)
            vm_class = self._chain.get_vm_class_for_block_number(number)
            block = rlp.decode(raw, sedes=vm_class.get_block_class())
            self._import(block)
            self._blocks.append(block)
        self._records = [self._block_record(block) for block in self._blocks]
        self._heights = {record.header.hash: Height(at) for at, record in enumerate(self._records)}
        self._places = {
            tx.hash: (Height(at), index)
            for at, record in enumerate(self._records)
            for index, tx in enumerate(record.transactions)
        }

    def _import(self, block: Any) -> None:
        self._chain.import_block(block, perform_validation=False)
        head = self._chain.get_canonical_head()
        assert head.hash == block.hash, f"block {block.number} executes to another hash"

    # Chain

    @property
    def block_gas_limit(self) -> int:
        """Return the gas limit of the head."""
        return self.head().gas_limit

    @property
    def next_base_fee_wei(self) -> int:
        """Return the base fee EIP-1559 gives the next block."""
        head = self.head()
        assert head.base_fee_wei is not None
        target = head.gas_limit // 2
        change = head.base_fee_wei * abs(head.gas_used - target) // target // BASE_FEE_DENOMINATOR
        if head.gas_used > target:
            return head.base_fee_wei + max(change, 1)
        return head.base_fee_wei - change

    @contextmanager
    def open_pool(self) -> Iterator[Pool]:
        """Yield the pool under a lock."""
        with self._lock:
            yield self._pool

    def head(self) -> HeaderRecord:
        """Return the last header."""
        return self._records[-1].header

    def load_header(self, at: Height) -> HeaderRecord | None:
        """Return a header."""
        return self._records[at].header if at < len(self._records) else None

    def load_block(self, at: Height) -> BlockRecord | None:
        """Return a block."""
        return self._records[at] if at < len(self._records) else None

    def load_receipts(self, at: Height) -> tuple[ReceiptRecord, ...]:
        """Return the receipts of a block."""
        block = self._blocks[at]
        receipts = block.get_receipts(self._chain.chaindb)
        blob_price = _blob_price(block.header)
        return tuple(
            _receipt_record(receipt, tx.type, blob_price)
            for receipt, tx in zip(receipts, self._records[at].transactions, strict=True)
        )

    def find_block(self, block_hash: Hash32) -> Height | None:
        """Return a block's height."""
        return self._heights.get(BlockHash(block_hash))

    def find_transaction(self, transaction_hash: Hash32) -> tuple[Height, int] | None:
        """Return a transaction's place."""
        return self._places.get(TransactionHash(transaction_hash))

    def find_log_heights(
        self,
        *,
        start: Height,
        stop: Height,
        addresses: Set[bytes],
        topics: Sequence[Set[Hash32]],
    ) -> Iterable[Height]:
        """Return the heights whose bloom fits."""
        wanted = LogFilter(
            addresses=frozenset(addresses), topics=tuple(frozenset(each) for each in topics)
        )
        return [
            record.header.height
            for record in self._records[start : stop + 1]
            if wanted.may_be_in(record.header.bloom)
        ]

    # State

    def load_account(self, at: Height, address: Address) -> Account:
        """Return an account."""
        state = self._state(at)
        return Account(
            state.get_nonce(address),
            state.get_balance(address),
            Hash32(state.get_code_hash(address)),
        )

    def load_code(self, at: Height, address: Address) -> bytes:
        """Return an account's code."""
        code: bytes = self._state(at).get_code(address)
        return code

    def load_slot(self, at: Height, address: Address, slot: int) -> int:
        """Return a slot."""
        value: int = self._state(at).get_storage(address, slot)
        return value

    def prove_account(self, at: Height, address: Address, slots: Sequence[int]) -> AccountProof:
        """Prove an account with py-trie."""
        trie = HexaryTrie(self._db, self._records[at].header.state_root)
        key = keccak256(address)
        leaf = trie.get(key)
        root = Hash32(rlp.decode(leaf)[2]) if leaf else EMPTY_ROOT
        storage = HexaryTrie(self._db, root)
        return AccountProof(
            account=self.load_account(at, address) if leaf else None,
            storage_root=root,
            nodes=_nodes(trie, key),
            slots=tuple(
                SlotProof(
                    slot=slot,
                    value=self.load_slot(at, address, slot),
                    nodes=_nodes(storage, keccak256(slot.to_bytes(32, "big"))),
                )
                for slot in slots
            ),
        )

    # Calls

    def run_call(self, request: CallRequest, at: Height) -> CallOutcome:
        """Run a message on the state after a block."""
        return self._run(request, at)[0]

    def estimate_gas(self, request: CallRequest, at: Height) -> int:
        """Search for the least gas that succeeds."""
        whole = self.run_call(request, at)
        if not whole.is_success:
            raise CallFailed(whole)
        low, high = compute_intrinsic_gas(request) - 1, request.gas_limit
        while low + 1 < high:
            middle = (low + high) // 2
            if self.run_call(replace(request, gas_limit=middle), at).is_success:
                high = middle
            else:
                low = middle
        return high

    def build_access_list(self, request: CallRequest, at: Height) -> CallOutcome:
        """Run a message until its access list is stable."""
        while True:
            outcome = self.run_call(request, at)
            if outcome.accessed == request.access_list:
                return outcome
            request = replace(request, access_list=outcome.accessed)

    def trace_call(self, request: CallRequest, at: Height, options: TraceOptions) -> Trace:
        """Run a message and tell each step."""
        steps: list[StructLog] = []
        outcome, _ = self._run(request, at, steps, options)
        return _trace(outcome, steps, request.sender, request.to, request.value_wei, request.data)

    def trace_block(
        self, at: Height, options: TraceOptions, *, index: int | None = None
    ) -> tuple[Trace, ...]:
        """Run a block's transactions again on its parent's state."""
        block = self._blocks[at]
        parent_root = self._records[at - 1].header.state_root
        header = block.header.copy(state_root=parent_root, gas_used=0)
        vm = self._chain.get_vm(header)
        traces = []
        for transaction, record in zip(
            block.transactions, self._records[at].transactions, strict=True
        ):
            steps: list[StructLog] = []
            vm.state.computation_class = _watched(type(vm.state).computation_class, steps, options)
            receipt, computation = vm.apply_transaction(header, transaction)
            gas_used = receipt.gas_used - header.gas_used
            header = vm.add_receipt_to_header(header, receipt)
            outcome = CallOutcome(
                is_success=computation.is_success,
                output=bytes(computation.output),
                gas_used=gas_used,
                error="" if computation.is_success else str(computation.error),
            )
            traces.append(
                _trace(outcome, steps, record.sender, record.to, record.value_wei, record.data)
            )
        return tuple(traces) if index is None else (traces[index],)

    # The rest

    def submit(self, raw: bytes, *, source: str) -> TransactionHash:
        """Take a transaction of our own three types, whatever it pays."""
        transaction = decode_transaction(raw)
        if transaction.chain_id != self.chain_id:
            raise WrongChain(f"invalid chain id for signer: have {transaction.chain_id}")
        nonce = self.load_account(self.head().height, transaction.sender).nonce
        entry = Entry(transaction=transaction, source=source, arrived_s=0)
        with self._lock:
            return self._pool.insert(entry, account_nonce=nonce, now_s=0).transaction.hash

    def sync_progress(self) -> SyncProgress | None:
        """Return None: the chain is whole."""
        return None

    def peer_count(self) -> int:
        """Return 0."""
        return 0

    def _state(self, at: Height) -> AccountDB:
        return AccountDB(self._db, self._records[at].header.state_root)

    def _run(
        self,
        request: CallRequest,
        at: Height,
        steps: list[StructLog] | None = None,
        options: TraceOptions | None = None,
    ) -> tuple[CallOutcome, Any]:
        """Send a message to the EVM of the block at ``at``, after that block."""
        state = self._chain.get_vm(self._blocks[at].header).state
        if steps is not None and options is not None:
            state.computation_class = _watched(type(state).computation_class, steps, options)
        seen = _record_access(state)
        price = _effective_price(state, request)
        intrinsic = compute_intrinsic_gas(request)
        if request.gas_limit < intrinsic:
            raise CallRefused(f"intrinsic gas too low: have {request.gas_limit}, want {intrinsic}")
        needed = request.value_wei + request.gas_limit * request.max_fee_wei
        if state.get_balance(request.sender) < needed:
            raise CallRefused("insufficient funds for gas * price + value")
        state.increment_nonce(request.sender)
        message = _message(state, request, intrinsic)
        _warm(state, request, message)
        context = BaseTransactionContext(gas_price=price, origin=request.sender)
        apply = (
            state.computation_class.apply_create_message
            if request.to is None
            else state.computation_class.apply_message
        )
        computation = apply(state, message, context)
        used = request.gas_limit - computation.get_gas_remaining()
        executor = state.get_transaction_executor()
        refund = executor.calculate_gas_refund(computation, used) if computation.is_success else 0
        is_revert = computation.is_error and type(computation.error).__name__ == "Revert"
        return (
            CallOutcome(
                is_success=computation.is_success,
                is_revert=is_revert,
                output=bytes(computation.output),
                gas_used=used - refund,
                gas_refunded=refund,
                error=_error_text(computation, is_revert=is_revert),
                accessed=_accessed(state, request, message, seen),
            ),
            computation,
        )

    def _block_record(self, block: Any) -> BlockRecord:
        return BlockRecord(
            header=_header_record(block.header),
            transactions=tuple(_transaction_record(tx) for tx in block.transactions),
            raw=rlp.encode(block),
            ommer_hashes=tuple(Hash32(ommer.hash) for ommer in getattr(block, "uncles", ())),
        )


def _configure_chain(chain_id: int) -> type[Chain]:
    vms = tuple(
        (
            height,
            vm.configure(consensus_class=NoProofConsensus) if height < MERGE_HEIGHT else vm,
        )
        for height, vm in FORKS
    )
    return Chain.configure("FixtureChain", vm_configuration=vms, chain_id=chain_id)


def _genesis_parameters(genesis: dict[str, Any]) -> dict[str, Any]:
    return {
        "difficulty": int(genesis["difficulty"], 16),
        "extra_data": bytes.fromhex(genesis["extraData"][2:]),
        "gas_limit": int(genesis["gasLimit"], 16),
        "nonce": int(genesis["nonce"], 16).to_bytes(8, "big"),
        "mix_hash": bytes.fromhex(genesis["mixHash"][2:]),
        "timestamp": int(genesis["timestamp"], 16),
        "coinbase": bytes.fromhex(genesis["coinbase"][2:]),
    }


def _genesis_state(genesis: dict[str, Any]) -> dict[bytes, dict[str, Any]]:
    return {
        bytes.fromhex(address.removeprefix("0x")): {
            "balance": int(entry.get("balance", "0x0"), 16),
            "nonce": int(entry.get("nonce", "0x0"), 16),
            "code": bytes.fromhex(entry.get("code", "0x")[2:]),
            "storage": {
                int(slot, 16): int(value, 16) for slot, value in entry.get("storage", {}).items()
            },
        }
        for address, entry in genesis["alloc"].items()
    }


def _split(blocks: bytes) -> Iterator[bytes]:
    """Yield the RLP lists that stand one after the other."""
    at = 0
    while at < len(blocks):
        _, _, length, start = rlp.codec.consume_length_prefix(blocks, at)
        yield blocks[at : start + length]
        at = start + length


def _header_record(header: Any) -> HeaderRecord:
    def optional(name: str) -> Any:
        return getattr(header, name, None)

    return HeaderRecord(
        hash=BlockHash(Hash32(header.hash)),
        raw=rlp.encode(header),
        parent_hash=BlockHash(Hash32(header.parent_hash)),
        ommers_hash=Hash32(header.uncles_hash),
        coinbase=Address(header.coinbase),
        state_root=Hash32(header.state_root),
        transactions_root=Hash32(header.transaction_root),
        receipts_root=Hash32(header.receipt_root),
        bloom=header.bloom.to_bytes(256, "big"),
        difficulty=header.difficulty,
        height=Height(header.block_number),
        gas_limit=header.gas_limit,
        gas_used=header.gas_used,
        timestamp_s=header.timestamp,
        extra_data=header.extra_data,
        mix_hash=Hash32(header.mix_hash),
        nonce=header.nonce,
        base_fee_wei=_field(header, "base_fee_per_gas"),
        withdrawals_root=optional("withdrawals_root"),
        blob_gas_used=_field(header, "blob_gas_used"),
        excess_blob_gas=_field(header, "excess_blob_gas"),
        parent_beacon_root=_field(header, "parent_beacon_block_root"),
        requests_hash=_field(header, "requests_hash"),
    )


def _field(header: Any, name: str) -> Any:
    """Return a field that py-evm's older headers refuse to tell, or None."""
    try:
        return getattr(header, name, None)
    except AttributeError:
        return None


def _transaction_record(tx: Any) -> TransactionRecord:
    kind = getattr(tx, "type_id", None) or 0
    raw = tx.encode()
    inner = getattr(tx, "_inner", tx)
    fee = tx.max_fee_per_gas if kind >= 2 else tx.gas_price
    tip = tx.max_priority_fee_per_gas if kind >= 2 else tx.gas_price
    blobs = kind == 3
    return TransactionRecord(
        hash=TransactionHash(Hash32(tx.hash)),
        raw=raw,
        type=kind,
        recover_sender=lambda: Address(tx.sender),
        chain_id=_legacy_chain_id(tx.v) if kind == 0 else tx.chain_id,
        nonce=tx.nonce,
        max_fee_wei=fee,
        max_priority_fee_wei=tip,
        gas_limit=tx.gas,
        to=Address(tx.to) if tx.to else None,
        value_wei=tx.value,
        data=tx.data,
        v=tx.v if kind == 0 else tx.y_parity,
        r=tx.r,
        s=tx.s,
        access_list=tuple(
            AccessListEntry(
                address=Address(address),
                storage_keys=tuple(Hash32(slot.to_bytes(32, "big")) for slot in slots),
            )
            for address, slots in (tx.access_list if kind >= 1 else ())
        ),
        max_fee_per_blob_gas_wei=inner.max_fee_per_blob_gas if blobs else None,
        blob_versioned_hashes=(
            tuple(Hash32(each) for each in inner.blob_versioned_hashes) if blobs else ()
        ),
        authorizations=(
            tuple(
                Authorization(
                    chain_id=each.chain_id,
                    address=Address(each.address),
                    nonce=each.nonce,
                    y_parity=each.y_parity,
                    r=each.r,
                    s=each.s,
                )
                for each in inner.authorization_list
            )
            if kind == 4
            else None
        ),
    )


def _legacy_chain_id(v: int) -> int | None:
    return (v - 35) // 2 if v >= 35 else None


def _receipt_record(receipt: Any, kind: int, blob_price: int | None) -> ReceiptRecord:
    state_root = receipt.state_root
    is_root = len(state_root) == 32
    return ReceiptRecord(
        raw=receipt.encode(),
        type=kind,
        is_success=None if is_root else state_root == b"\x01",
        state_root=Hash32(state_root) if is_root else None,
        cumulative_gas_used=receipt.gas_used,
        bloom=receipt.bloom.to_bytes(256, "big"),
        logs=tuple(
            Log(
                address=Address(log.address),
                topics=tuple(Hash32(topic.to_bytes(32, "big")) for topic in log.topics),
                data=log.data,
            )
            for log in receipt.logs
        ),
        blob_gas_price_wei=blob_price,
    )


def _blob_price(header: Any) -> int | None:
    """Return the price of blob gas; this chain never leaves the least, 1."""
    excess = _field(header, "excess_blob_gas")
    return None if excess is None else 1


def _nodes(trie: HexaryTrie, key: bytes) -> tuple[bytes, ...]:
    if trie.root_hash == EMPTY_ROOT:
        return ()
    return tuple(rlp.encode(node) for node in trie.get_proof(key))


def _effective_price(state: Any, request: CallRequest) -> int:
    """Return the price of a call's gas; a call that names none sees a base fee of 0."""
    context = state.execution_context
    base_fee = getattr(context, "_base_fee_per_gas", None) or 0
    if not request.max_fee_wei:
        if base_fee:
            context._base_fee_per_gas = 0
        return 0
    if request.max_fee_wei < base_fee:
        raise CallRefused(f"max fee per gas less than block base fee: {request.max_fee_wei}")
    return min(request.max_fee_wei, base_fee + request.max_priority_fee_wei)


def _message(state: Any, request: CallRequest, intrinsic: int) -> Message:
    gas = request.gas_limit - intrinsic
    if request.to is None:
        nonce = state.get_nonce(request.sender) - 1
        created = keccak256(rlp.encode([request.sender, nonce]))[12:]
        return Message(
            gas=gas,
            to=b"",
            sender=request.sender,
            value=request.value_wei,
            data=b"",
            code=request.data,
            create_address=created,
        )
    code = state.get_code(request.to)
    if code[:3] == DELEGATION_PREFIX:
        code = state.get_code(code[3:])
    return Message(
        gas=gas,
        to=request.to,
        sender=request.sender,
        value=request.value_wei,
        data=request.data,
        code=code,
    )


def _warm(state: Any, request: CallRequest, message: Message) -> None:
    if not hasattr(state, "mark_address_warm"):
        return
    state.mark_address_warm(request.sender)
    state.mark_address_warm(message.storage_address)
    for entry in request.access_list:
        state.mark_address_warm(entry.address)
        for key in entry.storage_keys:
            state.mark_storage_warm(entry.address, int.from_bytes(key, "big"))


def _record_access(state: Any) -> dict[Address, set[int]]:
    """Return what ``state`` will note as accessed, kept even when a call reverts."""
    seen: dict[Address, set[int]] = {}
    database = state._account_db
    mark_address, mark_storage = database.mark_address_warm, database.mark_storage_warm

    def note_address(address: bytes) -> None:
        seen.setdefault(Address(address), set())
        mark_address(address)

    def note_storage(address: bytes, slot: int) -> None:
        seen.setdefault(Address(address), set()).add(slot)
        mark_storage(address, slot)

    database.mark_address_warm, database.mark_storage_warm = note_address, note_storage
    return seen


def _accessed(
    state: Any, request: CallRequest, message: Message, seen: dict[Address, set[int]]
) -> tuple[AccessListEntry, ...]:
    """Return what the call touched, without what is warm anyway."""
    implied = {request.sender, message.storage_address, state.coinbase}
    return tuple(
        AccessListEntry(
            address=address,
            storage_keys=tuple(Hash32(slot.to_bytes(32, "big")) for slot in sorted(seen[address])),
        )
        for address in sorted(seen)
        if seen[address]
        or (address not in implied and int.from_bytes(address, "big") > PRECOMPILE_LAST)
    )


def _error_text(computation: Any, *, is_revert: bool) -> str:
    if computation.is_success:
        return ""
    return "execution reverted" if is_revert else str(computation.error)


def _watched(computation_class: Any, steps: list[StructLog], options: TraceOptions) -> type[Any]:
    """Return the computation class with every opcode noting its step."""
    slots: dict[int, dict[int, int]] = {}

    def note(opcode: Any) -> Any:
        def run(computation: Any) -> Any:
            if not computation.msg.code:
                return opcode(computation=computation)
            at = len(steps)
            stack = tuple(
                value if isinstance(value, int) else int.from_bytes(value, "big")
                for value in computation._stack.values
            )
            before = computation.get_gas_remaining()
            depth = computation.msg.depth + 1
            steps.append(
                StructLog(
                    pc=max(0, computation.code.program_counter - 1),
                    op={"SHA3": "KECCAK256"}.get(opcode.mnemonic, opcode.mnemonic),
                    gas=before,
                    gas_cost=0,
                    depth=depth,
                    stack=stack if options.has_stack else None,
                    memory=bytes(computation._memory._bytes) if options.has_memory else None,
                    storage=None,
                    return_data=(
                        bytes(computation.return_data) if options.has_return_data else None
                    ),
                )
            )
            error = ""
            try:
                return opcode(computation=computation)
            except Exception as failure:
                error = "" if type(failure).__name__ == "Halt" else str(failure)
                raise
            finally:
                seen = slots.setdefault(depth, {})
                storage = None
                if options.has_storage and opcode.mnemonic in ("SLOAD", "SSTORE") and not error:
                    slot = stack[-1]
                    address = computation.msg.storage_address
                    seen[slot] = computation.state.get_storage(address, slot)
                    storage = tuple(sorted(seen.items()))
                steps[at] = replace(
                    steps[at],
                    gas_cost=before - computation.get_gas_remaining(),
                    storage=storage,
                    error=error,
                )

        return run

    opcodes = {code: note(opcode) for code, opcode in computation_class.opcodes.items()}
    return type("Watched", (computation_class,), {"opcodes": opcodes})


def _trace(
    outcome: CallOutcome,
    steps: list[StructLog],
    sender: Address,
    to: Address | None,
    value_wei: int,
    data: bytes,
) -> Trace:
    """Return a trace; of the call tree it knows the outermost frame."""
    return Trace(
        gas_used=outcome.gas_used,
        is_success=outcome.is_success,
        output=outcome.output,
        steps=tuple(steps),
        frame=CallFrame(
            kind="CREATE" if to is None else "CALL",
            sender=sender,
            to=to,
            value_wei=value_wei,
            gas_limit=outcome.gas_used,
            gas_used=outcome.gas_used,
            data=data,
            output=outcome.output,
            error=outcome.error,
        ),
    )
