"""What a transaction must be to wait here: one function per rule, each raising its own refusal.

The checks repeat what a block's validity asks (``execution.rules``) so that a sender hears the
reason at once, and add the pool's own. They read the head's state and the network's profile; what
room the pool has is ``pool.pool``'s business. Order matters: bytes before signatures, signatures
before state, state before simulation.

Spec: POOL-ADMISSION, POOL-REASONS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.execution.admission import Admission
from node.execution.profile import ExecutionProfile
from node.execution.validity import INITCODE_SIZE_MAX, compute_intrinsic_gas
from node.pool.limits import PoolLimits
from node.pool.refusals import (
    FeeInvalid,
    GasCap,
    InitCodeTooLarge,
    InsufficientBalance,
    IntrinsicGas,
    InvalidSender,
    NonceTooHigh,
    NonceTooLow,
    NotPermitted,
    OpenCallFails,
    SenderIsContract,
    TooLarge,
    WrongChain,
)
from node.primitives.crypto import InvalidSignature
from node.primitives.errors import InvalidTransaction
from node.primitives.transaction import Transaction, decode_transaction
from node.primitives.types import Address
from node.storage.view import EMPTY_CODE_HASH, Account, StateView

NO_ACCOUNT: Final = Account()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadContext:
    """The head as admission sees it; a new one for every block."""

    view: StateView
    """State after the head."""
    profile: ExecutionProfile
    """The network's numbers."""
    timestamp_s: int
    """The head's time; permissions may begin and end."""
    rule: Callable[[StateView, int, Transaction], Admission]
    """Who may send, a ``TransactionRule``."""
    simulate: Callable[[Transaction], bool]
    """Whether an open call succeeds on the head's state."""

    def account(self, address: Address) -> Account:
        """Return an account at the head; empty when it does not exist."""
        return self.view.load_account(address) or NO_ACCOUNT


def decode_submission(raw: bytes, limits: PoolLimits) -> Transaction:
    """Decode the bytes of a submitted transaction.

    Raises:
        TooLarge: More bytes than the pool takes.
        MalformedMessage: The bytes are no transaction.
        InvalidTransaction: A type this ledger refuses, or no chain id.

    Spec: POOL-ADMISSION.
    """
    check_size(raw, limits)
    return decode_transaction(raw)


def check_by_itself(transaction: Transaction, profile: ExecutionProfile) -> None:
    """Apply every rule that needs neither the head nor the pool, in their order.

    Recovering the sender takes longer than all other rules together, and no lock need be held.

    Raises:
        Refused: The first rule it breaks.

    Spec: POOL-ADMISSION.
    """
    check_chain_id(transaction, profile)
    check_gas_cap(transaction, profile)
    check_fees(transaction)
    check_init_code(transaction)
    check_intrinsic_gas(transaction)
    check_signature(transaction)


def check_at_head(
    transaction: Transaction, context: HeadContext, limits: PoolLimits
) -> tuple[Admission, Account]:
    """Apply every rule that asks the head, in their order.

    Returns:
        The permission rule's consent, and the sender's account.

    Raises:
        Refused: The first rule it breaks.

    Spec: POOL-ADMISSION.
    """
    account = context.account(transaction.sender)
    check_sender_has_no_code(account)
    check_nonce(transaction, account, limits)
    check_balance(transaction, account)
    return check_permission(transaction, context), account


def check_size(raw: bytes, limits: PoolLimits) -> None:
    """Refuse more bytes than one transaction may have.

    Raises:
        TooLarge: It has more.

    Spec: POOL-ADMISSION.
    """
    if len(raw) > limits.transaction_size_max_bytes:
        raise TooLarge(
            f"oversized data: transaction size {len(raw)},"
            f" limit {limits.transaction_size_max_bytes}",
            size=len(raw),
            limit=limits.transaction_size_max_bytes,
        )


def check_chain_id(transaction: Transaction, profile: ExecutionProfile) -> None:
    """Refuse what was signed for another chain.

    Raises:
        WrongChain: It names another.

    Spec: POOL-ADMISSION.
    """
    if transaction.chain_id != profile.chain_id:
        raise WrongChain(
            f"invalid chain id for signer: have {transaction.chain_id} want {profile.chain_id}",
            rule="EXEC-CHAIN-ID",
            have=transaction.chain_id,
            want=profile.chain_id,
        )


def check_signature(transaction: Transaction) -> Address:
    """Recover the sender.

    Raises:
        InvalidSender: The signature is not canonical or names no key.

    Spec: POOL-ADMISSION.
    """
    try:
        return transaction.sender
    except InvalidSignature as error:
        raise InvalidSender(f"invalid sender: {error.message}") from error


def check_sender_has_no_code(account: Account) -> None:
    """Refuse a sender that is a contract.

    Raises:
        SenderIsContract: Its account has code (EIP-3607).

    Spec: POOL-ADMISSION.
    """
    if account.code_hash != EMPTY_CODE_HASH:
        raise SenderIsContract("sender not an eoa: the account has code")


def check_nonce(transaction: Transaction, account: Account, limits: PoolLimits) -> None:
    """Refuse a nonce that was used, or that is too far ahead.

    Raises:
        NonceTooLow: It was used.
        NonceTooHigh: It is beyond the gap the pool keeps.

    Spec: POOL-ADMISSION, POOL-NONCE.
    """
    if transaction.nonce < account.nonce:
        raise NonceTooLow(
            f"nonce too low: next nonce {account.nonce}, tx nonce {transaction.nonce}",
            next=account.nonce,
            nonce=transaction.nonce,
        )
    if transaction.nonce > account.nonce + limits.nonce_gap_max:
        raise NonceTooHigh(
            f"nonce too high: next nonce {account.nonce}, tx nonce {transaction.nonce},"
            f" at most {limits.nonce_gap_max} ahead",
            next=account.nonce,
            nonce=transaction.nonce,
        )


def check_intrinsic_gas(transaction: Transaction) -> None:
    """Refuse a gas limit below the transaction's own cost.

    Raises:
        IntrinsicGas: It is below.

    Spec: POOL-ADMISSION.
    """
    intrinsic_gas = compute_intrinsic_gas(transaction)
    if transaction.gas_limit < intrinsic_gas:
        raise IntrinsicGas(
            f"intrinsic gas too low: gas {transaction.gas_limit}, minimum needed {intrinsic_gas}",
            gas=transaction.gas_limit,
            needed=intrinsic_gas,
        )


def check_init_code(transaction: Transaction) -> None:
    """Refuse init code above its bound.

    Raises:
        InitCodeTooLarge: It is above.

    Spec: POOL-ADMISSION.
    """
    if transaction.to is None and len(transaction.data) > INITCODE_SIZE_MAX:
        raise InitCodeTooLarge(
            f"max initcode size exceeded: code size {len(transaction.data)},"
            f" limit {INITCODE_SIZE_MAX}",
            size=len(transaction.data),
        )


def check_gas_cap(transaction: Transaction, profile: ExecutionProfile) -> None:
    """Refuse more gas than one transaction, or one block, may use.

    Raises:
        GasCap: It asks for more.

    Spec: POOL-ADMISSION.
    """
    cap = min(profile.block_gas_limit, profile.transaction_gas_cap)
    if transaction.gas_limit > cap:
        raise GasCap(
            f"exceeds block gas limit: gas {transaction.gas_limit}, at most {cap}",
            gas=transaction.gas_limit,
            cap=cap,
        )


def check_fees(transaction: Transaction) -> None:
    """Refuse a fee or a tip: this network has none, so none may buy a place in the queue.

    Raises:
        FeeInvalid: It offers one.

    Spec: POOL-ADMISSION, POOL-PRICE-FREE.
    """
    if transaction.max_fee_wei or transaction.max_priority_fee_wei:
        raise FeeInvalid(
            "this network has no fees: set gas price, max fee and priority fee to 0, found"
            f" {transaction.max_fee_wei} and {transaction.max_priority_fee_wei}",
            rule="EXEC-FEES",
        )


def check_balance(transaction: Transaction, account: Account) -> None:
    """Refuse to move more than the account has.

    Raises:
        InsufficientBalance: It cannot.

    Spec: POOL-ADMISSION.
    """
    cost = transaction.value_wei
    if cost > account.balance_wei:
        raise InsufficientBalance(
            f"insufficient funds for gas * price + value: balance {account.balance_wei},"
            f" tx cost {cost}",
            balance=str(account.balance_wei),
            cost=str(cost),
        )


def check_permission(transaction: Transaction, context: HeadContext) -> Admission:
    """Ask the permissions at the head whether this sender may do this.

    Raises:
        NotPermitted: They do not.
        GasCap: More gas than this kind of sender may ask for.

    Spec: POOL-PERMISSION.
    """
    try:
        admission = context.rule(context.view, context.timestamp_s, transaction)
    except InvalidTransaction as error:
        raise NotPermitted(
            f"not permitted: {error.message}", rule=error.rule, **error.values
        ) from error
    if admission.gas_cap is not None and transaction.gas_limit > admission.gas_cap:
        raise GasCap(
            f"exceeds the gas cap of {admission.kind.value}: gas {transaction.gas_limit},"
            f" at most {admission.gas_cap}",
            gas=transaction.gas_limit,
            cap=admission.gas_cap,
        )
    return admission


def check_open_call(transaction: Transaction, admission: Admission, context: HeadContext) -> None:
    """Refuse an open call that fails when it is run on the head's state.

    Raises:
        OpenCallFails: It fails.

    Spec: POOL-OPEN-CALL.
    """
    if admission.must_succeed and not context.simulate(transaction):
        raise OpenCallFails(
            "open call fails at the head: anyone may send it only when it succeeds",
            rule="EXEC-OPEN-CALL",
        )
