"""Builders for pool tests: keys by role, small transactions, and a head in memory."""

from collections.abc import Callable

from node.execution.admission import Admission, AdmissionKind, TransactionRule
from node.execution.profile import ExecutionProfile
from node.pool.admission import HeadContext
from node.pool.limits import PoolLimits
from node.pool.pool import Added, Pool
from node.pool.queue import Entry
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address
from node.storage.view import StateView
from tests.support.memory_view import MemoryView

CHAIN_ID = 1_337
PROFILE = ExecutionProfile(chain_id=CHAIN_ID)
CONTRACT = Address(b"\xcc" * 20)
NOW_S = 1_700_000_000
RPC = "192.0.2.1"
PEER = "peer"


def key_of(role: str) -> PrivateKey:
    """Return a role's key, always the same."""
    return PrivateKey(keccak256(role.encode()))


SERVICE = key_of("service")
RESIDENT = key_of("resident")
FLOODER = key_of("flooder")


def transaction(
    key: PrivateKey = SERVICE,
    nonce: int = 0,
    *,
    data: bytes = b"",
    gas_limit: int = 100_000,
    to: Address | None = CONTRACT,
    value_wei: int = 0,
    chain_id: int = CHAIN_ID,
) -> Transaction:
    """Sign a small transaction."""
    return sign_transaction(
        key,
        chain_id=chain_id,
        nonce=nonce,
        gas_limit=gas_limit,
        to=to,
        data=data,
        value_wei=value_wei,
    )


def admit_as(
    kind: AdmissionKind = AdmissionKind.SERVICE, gas_cap: int | None = None
) -> TransactionRule:
    """Return a rule that admits everyone as ``kind``."""

    def rule(view: StateView, timestamp_s: int, sent: Transaction) -> Admission:
        del view, timestamp_s, sent
        return Admission(kind=kind, gas_cap=gas_cap)

    return rule


def head(
    view: StateView | None = None,
    *,
    rule: TransactionRule | None = None,
    simulate: Callable[[Transaction], bool] = lambda _: True,
) -> HeadContext:
    """Return a head on which everyone is a service and open calls succeed."""
    return HeadContext(
        view=MemoryView() if view is None else view,
        profile=PROFILE,
        timestamp_s=NOW_S,
        rule=admit_as() if rule is None else rule,
        simulate=simulate,
    )


def pool(**limits: int) -> Pool:
    """Return an empty pool with some bounds of its own."""
    return Pool(PoolLimits(**limits))


def put(
    into: Pool, sent: Transaction, *, account_nonce: int = 0, source: str = RPC, now_s: int = NOW_S
) -> Added:
    """Insert a transaction that was checked already."""
    entry = Entry(transaction=sent, source=source, arrived_s=now_s)
    return into.insert(entry, account_nonce=account_nonce, now_s=now_s)
