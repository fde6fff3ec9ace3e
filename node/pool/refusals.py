"""Why a transaction is not taken, or was dropped: one class and one stable code per reason.

Every refusal reaches the sender over RPC, with its code in ``error.data``. Messages begin with the
words that wallets look for ("nonce too low", "already known", ...).

Spec: POOL-REASONS.
"""

from typing import ClassVar

from node.primitives.errors import InvalidTransaction


class Refused(InvalidTransaction):
    """A transaction this node does not take into its pool."""

    code = "pool.refused"
    is_retryable: ClassVar[bool] = False
    """True when the same bytes may be taken later."""


class TooLarge(Refused):
    """More bytes than the pool takes."""

    code = "pool.too_large"


class WrongChain(Refused):
    """Signed for another chain."""

    code = "pool.wrong_chain"


class InvalidSender(Refused):
    """The signature is not canonical or names no key."""

    code = "pool.invalid_sender"


class SenderIsContract(Refused):
    """The sender's account has code (EIP-3607)."""

    code = "pool.sender_is_contract"


class NonceTooLow(Refused):
    """The nonce was used."""

    code = "pool.nonce_too_low"


class NonceTooHigh(Refused):
    """The nonce is farther ahead than the pool keeps."""

    code = "pool.nonce_too_high"
    is_retryable = True


class IntrinsicGas(Refused):
    """The gas limit does not cover the transaction's own cost."""

    code = "pool.intrinsic_gas"


class GasCap(Refused):
    """The gas limit is above the network's cap or the sender's."""

    code = "pool.gas_cap"


class InitCodeTooLarge(Refused):
    """Init code above EIP-3860's bound."""

    code = "pool.init_code_too_large"


class FeeInvalid(Refused):
    """It offers a fee; this network has none."""

    code = "pool.fee_invalid"


class InsufficientBalance(Refused):
    """The account does not have the value it would move."""

    code = "pool.insufficient_balance"
    is_retryable = True


class NotPermitted(Refused):
    """The permissions at the head do not let this sender do this."""

    code = "pool.not_permitted"
    is_retryable = True


class OpenCallFails(Refused):
    """An open call that does not succeed at the head."""

    code = "pool.open_call_fails"
    is_retryable = True


class AlreadyKnown(Refused):
    """The pool holds it already."""

    code = "pool.already_known"


class ReplacedTooOften(Refused):
    """The transaction of this nonce was replaced as often as is allowed."""

    code = "pool.replaced_too_often"


class SenderFull(Refused):
    """The sender has as many transactions waiting as one sender may."""

    code = "pool.sender_full"
    is_retryable = True


class SourceFull(Refused):
    """The source has as many transactions waiting as one source may."""

    code = "pool.source_full"
    is_retryable = True


class PoolFull(Refused):
    """The pool is full and this sender has its fair share of it."""

    code = "pool.full"
    is_retryable = True


class Paused(Refused):
    """An operator stopped intake."""

    code = "pool.paused"
    is_retryable = True


class Expired(Refused):
    """It waited longer than the pool keeps a transaction."""

    code = "pool.expired"
    is_retryable = True


class Evicted(Refused):
    """It made room for a sender with fewer transactions."""

    code = "pool.evicted"
    is_retryable = True


class Replaced(Refused):
    """A newer transaction of the same sender and nonce took its place."""

    code = "pool.replaced"


class DroppedByOperator(Refused):
    """An operator removed it."""

    code = "pool.dropped_by_operator"
