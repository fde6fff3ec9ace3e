"""How much the pool holds, and of whom.

Operator settings with defaults; none is a rule of the chain. A node with other limits stays in
agreement with its peers.

Spec: POOL-BOUNDS.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Bounds of one pool."""

    count_max: int = 20_000
    """Transactions in all."""
    size_max_bytes: int = 64 * 1024 * 1024
    """Their bytes in all."""
    transaction_size_max_bytes: int = 131_072
    """Bytes of one."""
    per_sender_max: int = 1_024
    """Transactions of one sender."""
    per_source_max: int = 10_000
    """Transactions brought by one source (a peer or an RPC client)."""
    nonce_gap_max: int = 1_024
    """How far a nonce may be ahead of the account's."""
    replacement_max: int = 8
    """Times the transaction of one nonce may be replaced."""
    age_max_s: int = 3 * 3_600
    """Seconds a transaction waits before it is dropped."""
    refusal_history_max: int = 4_096
    """Dropped transactions whose reason is remembered."""
