"""A small chain for execution tests: a funded state, a parent, signed transactions, blocks.

Blocks run in shadow mode unless a test says otherwise, so that both opcode loops are tested.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from node.execution.admission import TransactionRule, admit_all
from node.execution.executor import ExecutionResult, execute_block
from node.execution.profile import ExecutionProfile, Interpreter
from node.execution.proposal import BlockDraft, BuiltBlock, build_block
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import EMPTY_ROOT, ExtraData, Header
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import ZERO_HASH, Address, BlockHash, Hash32, Height
from node.storage.state import EMPTY_VIEW, StateOverlay, build_overlay
from node.storage.view import Account, BackedView, StateChanges

CHAIN_ID = 1_337
PROFILE = ExecutionProfile(chain_id=CHAIN_ID)
SENDER_KEY = PrivateKey(b"\x01" * 32)
SENDER = SENDER_KEY.address
OTHER_KEY = PrivateKey(b"\x02" * 32)
COINBASE = Address(b"\xc0" * 20)
CONTRACT = Address(b"\xcc" * 20)
FUNDS = 10**18
PARENT_TIMESTAMP = 1_700_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PreAccount:
    """An account the test starts with."""

    balance_wei: int = 0
    nonce: int = 0
    code: bytes = b""
    slots: Mapping[int, int] = field(default_factory=dict)


def make_view(accounts: Mapping[Address, PreAccount] | None = None) -> StateOverlay:
    """Return a state that holds the sender, funded, and ``accounts``."""
    accounts = {SENDER: PreAccount(balance_wei=FUNDS), **(accounts or {})}
    changes = StateChanges()
    for address, account in accounts.items():
        code_hash = keccak256(account.code)
        changes.accounts[address] = Account(account.nonce, account.balance_wei, code_hash)
        changes.codes[code_hash] = account.code
        if account.slots:
            changes.slots[address] = dict(account.slots)
    return build_overlay(EMPTY_VIEW, changes)


def make_contract(code: bytes, slots: Mapping[int, int] | None = None) -> StateOverlay:
    """Return a state whose ``CONTRACT`` runs ``code``."""
    return make_view({CONTRACT: PreAccount(nonce=1, code=code, slots=slots or {})})


def make_parent(view: BackedView, profile: ExecutionProfile = PROFILE) -> Header:
    """Return a header at height 7 whose state is ``view``."""
    return Header(
        parent_hash=BlockHash(ZERO_HASH),
        coinbase=COINBASE,
        state_root=view.root,
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        height=Height(7),
        gas_limit=profile.block_gas_limit,
        gas_used=0,
        timestamp_s=PARENT_TIMESTAMP,
        extra_data=ExtraData(validators=(COINBASE,)),
    )


def make_transaction(
    *,
    nonce: int = 0,
    to: Address | None = CONTRACT,
    data: bytes = b"",
    gas_limit: int = 500_000,
    value_wei: int = 0,
    key: PrivateKey = SENDER_KEY,
    chain_id: int = CHAIN_ID,
) -> Transaction:
    """Return a signed transaction with zero fees."""
    return sign_transaction(
        key,
        chain_id=chain_id,
        nonce=nonce,
        gas_limit=gas_limit,
        to=to,
        data=data,
        value_wei=value_wei,
    )


def ancestor_hash(at: Height) -> Hash32:
    """Return a recognisable hash for each height."""
    return Hash32(at.to_bytes(32, "big"))


def build(
    view: BackedView,
    candidates: Sequence[Transaction],
    *,
    profile: ExecutionProfile = PROFILE,
    rule: TransactionRule = admit_all,
    is_time_up: Callable[[], bool] = lambda: False,
    interpreter: Interpreter = Interpreter.SHADOW,
) -> BuiltBlock:
    """Build the child of ``make_parent(view)``."""
    return build_block(
        parent=make_parent(view, profile),
        draft=BlockDraft(
            timestamp_s=PARENT_TIMESTAMP + 2,
            coinbase=COINBASE,
            extra_data=ExtraData(validators=(COINBASE,)),
        ),
        candidates=candidates,
        view=view,
        profile=profile,
        rule=rule,
        ancestor_hash=ancestor_hash,
        is_time_up=is_time_up,
        interpreter=interpreter,
    )


def execute(
    view: BackedView,
    block: Block,
    *,
    profile: ExecutionProfile = PROFILE,
    rule: TransactionRule = admit_all,
    interpreter: Interpreter = Interpreter.SHADOW,
) -> ExecutionResult:
    """Execute a child of ``make_parent(view)``."""
    return execute_block(
        parent=make_parent(view, profile),
        block=block,
        view=view,
        profile=profile,
        rule=rule,
        ancestor_hash=ancestor_hash,
        interpreter=interpreter,
    )


def run(view: BackedView, *transactions: Transaction, **options: object) -> ExecutionResult:
    """Build a block of ``transactions``, all of which must fit, and return its result."""
    built = build(view, transactions, **options)  # type: ignore[arg-type]
    assert not built.skipped, built.skipped
    return built.result
