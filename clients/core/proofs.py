"""What a verified header proves: accounts, slots, receipts and the logs of a whole block.

Every function takes a header whose seals the caller has verified, and bytes that any node gave.
Trie proofs are ``primitives.trie``'s; here is what they say about the ledger. Pure.

Spec: LIGHT-PROOF, LIGHT-RECEIPT, LIGHT-LOGS.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from node.primitives.crypto import keccak256
from node.primitives.header import EMPTY_ROOT, Header
from node.primitives.receipt import Log, Receipt, bloom_bits, compute_bloom, decode_receipt
from node.primitives.transaction import Transaction, decode_transaction
from node.primitives.trie import (
    AccountLeaf,
    InvalidProof,
    compute_ordered_root,
    ordered_key,
    verify_account_proof,
    verify_proof,
    verify_slot_proof,
)
from node.primitives.types import Address, Hash32, TransactionHash


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProof:
    """What a node answers when asked for an account and slots."""

    account: tuple[bytes, ...]
    """Nodes from the state root to the account."""
    slots: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict[int, tuple[bytes, ...]])
    """For each slot, nodes from the account's storage root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenAccount:
    """An account as a sealed header's state has it."""

    address: Address
    """Whose."""
    leaf: AccountLeaf | None
    """None when the proof shows that there is no such account."""
    slots: Mapping[int, int]
    """Values of the slots asked for; 0 for one that is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptProof:
    """What a node answers when asked to prove a transaction's outcome."""

    index: int
    """Place in the block."""
    receipt: bytes
    """Consensus bytes."""
    receipt_nodes: tuple[bytes, ...]
    """Nodes from the receipts root."""
    transaction: bytes
    """Canonical bytes."""
    transaction_nodes: tuple[bytes, ...]
    """Nodes from the transactions root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenReceipt:
    """A transaction and its outcome, both under one sealed header."""

    index: int
    """Place in the block."""
    transaction: Transaction
    """What was sent."""
    receipt: Receipt
    """What came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenLog:
    """One event of a sealed block and where it stands."""

    log: Log
    """The event."""
    transaction_hash: TransactionHash
    """Transaction that emitted it."""
    transaction_index: int
    """The transaction's place in the block."""
    log_index: int
    """The log's place in the block."""


def prove_account(
    header: Header, address: Address, proof: AccountProof, slots: Sequence[int] = ()
) -> ProvenAccount:
    """Return the account, and the slots asked for, that ``proof`` shows under the state root.

    Raises:
        InvalidProof: A proof is missing, truncated, padded, altered, or of another root.
        MalformedMessage: A leaf is no account or no value.

    Spec: LIGHT-PROOF.
    """
    leaf = verify_account_proof(header.state_root, address, proof.account)
    storage_root = EMPTY_ROOT if leaf is None else leaf.storage_root
    if set(proof.slots) != set(slots):
        raise InvalidProof("account proof: other slots than were asked for", rule="LIGHT-PROOF")
    values = {slot: verify_slot_proof(storage_root, slot, proof.slots[slot]) for slot in slots}
    return ProvenAccount(address=address, leaf=leaf, slots=values)


def prove_code(account: ProvenAccount, code: bytes) -> bytes:
    """Return ``code`` if it is the code of a proven account.

    Raises:
        InvalidProof: It is not.

    Spec: LIGHT-PROOF.
    """
    expected = keccak256(b"") if account.leaf is None else account.leaf.code_hash
    if keccak256(code) != expected:
        raise InvalidProof("code: does not hash to the account's code hash", rule="LIGHT-PROOF")
    return code


def prove_receipt(
    header: Header, transaction_hash: TransactionHash, proof: ReceiptProof
) -> ProvenReceipt:
    """Return a transaction's outcome, shown at the same index of both tries of ``header``.

    Raises:
        InvalidProof: A proof fails, shows absence, or is of another transaction.
        MalformedMessage: The bytes proven are no receipt or no transaction.

    Spec: LIGHT-RECEIPT.
    """
    key = ordered_key(proof.index)
    shown = verify_proof(header.transactions_root, key, proof.transaction_nodes)
    if shown is None or shown != proof.transaction:
        raise InvalidProof("receipt proof: not the transaction at this index", rule="LIGHT-RECEIPT")
    if keccak256(shown) != transaction_hash:
        raise InvalidProof("receipt proof: of another transaction", rule="LIGHT-RECEIPT")
    receipt = verify_proof(header.receipts_root, key, proof.receipt_nodes)
    if receipt is None or receipt != proof.receipt:
        raise InvalidProof("receipt proof: not the receipt at this index", rule="LIGHT-RECEIPT")
    return ProvenReceipt(
        index=proof.index,
        transaction=decode_transaction(shown),
        receipt=decode_receipt(receipt),
    )


def prove_receipts(
    header: Header, transactions: Sequence[bytes], receipts: Sequence[bytes]
) -> tuple[ProvenReceipt, ...]:
    """Return every outcome of a block: nothing of it can be left out, added or reordered.

    Raises:
        InvalidProof: The transactions or receipts are not all of the block's, in order, or the
            header's bloom is not of their logs.
        MalformedMessage: One of them does not decode.

    Spec: LIGHT-LOGS.
    """
    if len(transactions) != len(receipts):
        raise InvalidProof("block: one receipt for each transaction", rule="LIGHT-LOGS")
    for name, items, root in (
        ("transactions", transactions, header.transactions_root),
        ("receipts", receipts, header.receipts_root),
    ):
        if compute_ordered_root(items) != root:
            raise InvalidProof(
                f"block {header.height}: these are not its {name}", rule="LIGHT-LOGS"
            )
    proven = tuple(
        ProvenReceipt(
            index=index, transaction=decode_transaction(raw), receipt=decode_receipt(receipt)
        )
        for index, (raw, receipt) in enumerate(zip(transactions, receipts, strict=True))
    )
    if compute_bloom(log for each in proven for log in each.receipt.logs) != header.bloom:
        raise InvalidProof(f"block {header.height}: bloom is not of its logs", rule="LIGHT-LOGS")
    return proven


def logs_of(receipts: Iterable[ProvenReceipt]) -> tuple[ProvenLog, ...]:
    """Return all logs of a block's receipts, in order, each with where it stands.

    Spec: LIGHT-LOGS.
    """
    found: list[ProvenLog] = []
    for proven in receipts:
        for log in proven.receipt.logs:
            found.append(
                ProvenLog(
                    log=log,
                    transaction_hash=proven.transaction.hash,
                    transaction_index=proven.index,
                    log_index=len(found),
                )
            )
    return tuple(found)


def may_hold_logs(
    header: Header, *, address: Address | None = None, topics: Sequence[Hash32] = ()
) -> bool:
    """Tell whether a block may hold a log of ``address`` with all of ``topics``.

    False is certain, because the bloom is sealed with the header and every honest execution
    checked it; True means that the receipts must be read.

    Spec: LIGHT-LOGS.
    """
    wanted = 0
    for word in (*(() if address is None else (address,)), *topics):
        wanted |= bloom_bits(word)
    return wanted & int.from_bytes(header.bloom, "big") == wanted
