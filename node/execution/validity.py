"""What makes a transaction valid: its form alone, then its form against the sender's account.

Everything here is decided before execution changes anything. py-evm leaves several of these checks
out, or makes them after the nonce went up. Who may send is ``execution.permissions``' rule.

Spec: EXEC-CHAIN-ID, EXEC-FEES, EXEC-GAS-CAP, EXEC-INTRINSIC, EXEC-INITCODE, EXEC-NONCE,
EXEC-SENDER, EXEC-FUNDS.
"""

from typing import Final, Protocol

from node.execution.precompiles import count_words
from node.execution.profile import ExecutionProfile
from node.primitives.errors import InvalidTransaction
from node.primitives.transaction import AccessListEntry, Transaction
from node.primitives.types import Address
from node.storage.view import EMPTY_CODE_HASH, Account

GAS_TRANSACTION: Final = 21_000
GAS_CREATION: Final = 32_000
GAS_DATA_ZERO: Final = 4
GAS_DATA_NONZERO: Final = 16
GAS_ACCESS_ADDRESS: Final = 2_400
GAS_ACCESS_SLOT: Final = 1_900
GAS_INITCODE_WORD: Final = 2

INITCODE_SIZE_MAX: Final = 49_152
"""Longest init code, in bytes (EIP-3860)."""

NONCE_MAX: Final = 2**64 - 2
"""Highest nonce a transaction may carry (EIP-2681)."""


class NonceTooHigh(InvalidTransaction):
    """Earlier transactions of the sender are missing; a later block may take this one."""

    code = "transaction.nonce_too_high"


class Payload(Protocol):
    """What the intrinsic gas depends on: of a transaction, or of a call without a signature."""

    @property
    def to(self) -> Address | None:
        """Return the callee, or None to create a contract."""
        ...

    @property
    def data(self) -> bytes:
        """Return the call data or init code."""
        ...

    @property
    def access_list(self) -> tuple[AccessListEntry, ...]:
        """Return what is declared warm."""
        ...


def compute_intrinsic_gas(payload: Payload) -> int:
    """Compute the gas due before the first opcode.

    Spec: EXEC-INTRINSIC.
    """
    data = payload.data
    zeros = data.count(0)
    gas = GAS_TRANSACTION + GAS_DATA_ZERO * zeros + GAS_DATA_NONZERO * (len(data) - zeros)
    if payload.to is None:
        gas += GAS_CREATION + GAS_INITCODE_WORD * count_words(len(data))
    for entry in payload.access_list:
        gas += GAS_ACCESS_ADDRESS + GAS_ACCESS_SLOT * len(entry.storage_keys)
    return gas


def check_form(transaction: Transaction, profile: ExecutionProfile) -> None:
    """Refuse what no state could make valid on this network.

    Raises:
        InvalidTransaction: Another chain, a fee, too much or too little gas, oversized init code.

    Spec: EXEC-FEES, EXEC-GAS-CAP.
    """
    check_envelope(transaction, profile.chain_id)
    if transaction.max_fee_wei or transaction.max_priority_fee_wei:
        raise InvalidTransaction(
            f"this network has no fees: expected fee and tip 0, found {transaction.max_fee_wei} "
            f"and {transaction.max_priority_fee_wei}",
            rule="EXEC-FEES",
        )
    if transaction.gas_limit > profile.transaction_gas_cap:
        raise InvalidTransaction(
            f"gas limit {transaction.gas_limit}, at most {profile.transaction_gas_cap} here",
            rule="EXEC-GAS-CAP",
        )


def check_envelope(transaction: Transaction, chain_id: int) -> None:
    """Refuse what Ethereum's own rules call invalid whatever the state.

    Raises:
        InvalidTransaction: Another chain, tip above fee, too little gas, oversized init code, or
            the last nonce.
        InvalidSignature: The signature recovers no sender.

    Spec: EXEC-CHAIN-ID, EXEC-INTRINSIC, EXEC-INITCODE, EXEC-NONCE.
    """
    if transaction.chain_id != chain_id:
        raise InvalidTransaction(
            f"chain id {transaction.chain_id}, this chain is {chain_id}", rule="EXEC-CHAIN-ID"
        )
    if transaction.max_priority_fee_wei > transaction.max_fee_wei:
        raise InvalidTransaction("tip above the fee", rule="EXEC-FEES")
    if transaction.nonce > NONCE_MAX:
        raise InvalidTransaction(f"nonce {transaction.nonce} is past the last", rule="EXEC-NONCE")
    if transaction.to is None and len(transaction.data) > INITCODE_SIZE_MAX:
        raise InvalidTransaction(
            f"init code of {len(transaction.data)} bytes, at most {INITCODE_SIZE_MAX}",
            rule="EXEC-INITCODE",
        )
    intrinsic = compute_intrinsic_gas(transaction)
    if transaction.gas_limit < intrinsic:
        raise InvalidTransaction(
            f"gas limit {transaction.gas_limit} is below the intrinsic {intrinsic}",
            rule="EXEC-INTRINSIC",
        )


def check_sender(transaction: Transaction, account: Account | None, base_fee_wei: int) -> None:
    """Refuse what the sender's account does not allow.

    Raises:
        InvalidTransaction: Nonce not the next, a contract for a sender, fee below the base fee, or
            too little balance.

    Spec: EXEC-NONCE, EXEC-SENDER, EXEC-FUNDS.
    """
    account = account or Account()
    if transaction.nonce > account.nonce:
        raise NonceTooHigh(
            f"nonce {transaction.nonce}, expected {account.nonce}", rule="EXEC-NONCE"
        )
    if transaction.nonce < account.nonce:
        raise InvalidTransaction(
            f"nonce {transaction.nonce}, expected {account.nonce}", rule="EXEC-NONCE"
        )
    if account.code_hash != EMPTY_CODE_HASH:
        raise InvalidTransaction("the sender is a contract (EIP-3607)", rule="EXEC-SENDER")
    if transaction.max_fee_wei < base_fee_wei:
        raise InvalidTransaction(
            f"fee {transaction.max_fee_wei} is below the base fee {base_fee_wei}", rule="EXEC-FEES"
        )
    needed = transaction.gas_limit * transaction.max_fee_wei + transaction.value_wei
    if account.balance_wei < needed:
        raise InvalidTransaction(
            f"balance {account.balance_wei} wei, {needed} needed", rule="EXEC-FUNDS"
        )
