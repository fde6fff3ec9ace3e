"""Transactions: the three forms this ledger admits, their bytes, hashes and senders.

Legacy transactions must carry a chain id (EIP-155); typed ones are EIP-2930 (type 1) and EIP-1559
(type 2). Blob and set-code types, and unprotected legacy transactions, do not decode. Whether the
chain id is ours and the sender may send is decided in ``pool.admission`` and ``execution.rules``.

Spec: EXEC-TYPES, EXEC-CHAIN-ID.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from node.primitives import rlp
from node.primitives.crypto import PrivateKey, keccak256, recover_address
from node.primitives.errors import InvalidTransaction, MalformedMessage
from node.primitives.once import once
from node.primitives.types import Address, Hash32, Signature, TransactionHash

TRANSACTION_SIZE_MAX: Final = 131_072
"""Longest transaction decoded, in bytes (128 KiB)."""

ACCESS_LIST_KEYS_MAX: Final = 1_024
"""Most addresses and storage keys, together, in one access list."""


class TransactionType(IntEnum):
    """EIP-2718 type of a transaction; 0 is the untyped legacy form."""

    LEGACY = 0
    ACCESS_LIST = 1
    DYNAMIC_FEE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessListEntry:
    """One address of an access list and its storage keys."""

    address: Address
    """Account declared warm."""
    storage_keys: tuple[Hash32, ...]
    """Slots declared warm."""


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A signed transaction of one of the three admitted types.

    ``raw``, ``hash`` and ``sender`` are computed once and kept with the instance.
    """

    type: TransactionType
    """Which form it takes on the wire."""
    chain_id: int
    """Chain it is meant for."""
    nonce: int
    """Count of the sender's earlier transactions."""
    max_priority_fee_wei: int
    """Tip per gas; equal to ``max_fee_wei`` except in type 2. Zero on this ledger's own clients."""
    max_fee_wei: int
    """Most paid per gas."""
    gas_limit: int
    """Gas allowed."""
    to: Address | None
    """Callee, or None to create a contract."""
    value_wei: int
    """Wei moved."""
    data: bytes
    """Call data or init code."""
    access_list: tuple[AccessListEntry, ...] = ()
    """Addresses and slots declared warm (types 1 and 2)."""
    signature: Signature
    """65 bytes r || s || v, v in {0, 1}."""

    @once
    def raw(self) -> bytes:
        """Canonical bytes: what travels, and what ``hash`` is taken over."""
        y_parity = self.signature[64]
        r = int.from_bytes(self.signature[:32], "big")
        s = int.from_bytes(self.signature[32:64], "big")
        v = y_parity + 35 + 2 * self.chain_id if self.type is TransactionType.LEGACY else y_parity
        tail = [rlp.encode_uint(number) for number in (v, r, s)]
        body = rlp.encode([*self._unsigned_items(), *tail])
        return body if self.type is TransactionType.LEGACY else bytes((self.type,)) + body

    @once
    def hash(self) -> TransactionHash:
        """Keccak of ``raw``."""
        return TransactionHash(keccak256(self.raw))

    @once
    def signing_hash(self) -> Hash32:
        """What the sender signed (EIP-155, EIP-2930, EIP-1559)."""
        if self.type is TransactionType.LEGACY:
            unsigned = [*self._unsigned_items(), rlp.encode_uint(self.chain_id), b"", b""]
            return keccak256(rlp.encode(unsigned))
        if "raw" in self.__dict__:
            return keccak256(bytes((self.type,)) + rlp.wrap_list(self._unsigned_body()))
        return keccak256(bytes((self.type,)) + rlp.encode(self._unsigned_items()))

    @once
    def sender(self) -> Address:
        """Address recovered from the signature.

        Raises:
            InvalidSignature: The signature is not canonical or recovers no key.
        """
        return recover_address(self.signing_hash, self.signature)

    def _unsigned_body(self) -> bytes:
        """Return a typed transaction's items but for the signature, cut out of ``raw``."""
        raw, signature = self.raw, self.signature
        begin = 2 if raw[1] < 0xF8 else raw[1] - 0xF5
        tail = 1 + _scalar_size(signature[:32]) + _scalar_size(signature[32:64])
        return raw[begin : len(raw) - tail]

    def adopt_sender(self, twin: "Transaction") -> None:
        """Take over the sender that ``twin``, decoded from the same bytes, has recovered.

        The bytes hold the signature, so that equal bytes have one sender.
        """
        if "sender" in twin.__dict__ and twin.raw == self.raw:
            self.__dict__["sender"] = twin.sender

    def _unsigned_items(self) -> list[rlp.Item]:
        to = self.to if self.to is not None else b""
        uint = rlp.encode_uint
        tail: list[rlp.Item] = [uint(self.gas_limit), to, uint(self.value_wei), self.data]
        if self.type is TransactionType.LEGACY:
            return [uint(self.nonce), uint(self.max_fee_wei), *tail]
        warm: list[rlp.Item] = [[entry.address, entry.storage_keys] for entry in self.access_list]
        if self.type is TransactionType.ACCESS_LIST:
            return [uint(self.chain_id), uint(self.nonce), uint(self.max_fee_wei), *tail, warm]
        fees = [uint(self.max_priority_fee_wei), uint(self.max_fee_wei)]
        return [uint(self.chain_id), uint(self.nonce), *fees, *tail, warm]


def decode_transaction(raw: bytes) -> Transaction:
    """Decode the canonical bytes of a transaction (EIP-2718 envelope or legacy list).

    Raises:
        MalformedMessage: The bytes are no transaction.
        InvalidTransaction: A type this ledger refuses, or no chain id.

    Spec: EXEC-TYPES.
    """
    if not raw:
        raise MalformedMessage("transaction: empty")
    if len(raw) > TRANSACTION_SIZE_MAX:
        raise MalformedMessage(f"transaction: {len(raw)} bytes, at most {TRANSACTION_SIZE_MAX}")
    if raw[0] >= 0xC0:
        return _decode_legacy(raw)
    if raw[0] == 2:
        return _decode_dynamic_fee(raw)
    if raw[0] == 1:
        return _decode_access_list_type(raw)
    raise InvalidTransaction(
        f"transaction type {raw[0]}: only legacy, 1 and 2 are admitted", rule="EXEC-TYPES"
    )


def sign_transaction(
    key: PrivateKey,
    *,
    chain_id: int,
    nonce: int,
    gas_limit: int,
    to: Address | None,
    data: bytes = b"",
    value_wei: int = 0,
) -> Transaction:
    """Build and sign a type-2 transaction with zero fees, the ledger's usual form."""
    unsigned = Transaction(
        type=TransactionType.DYNAMIC_FEE,
        chain_id=chain_id,
        nonce=nonce,
        max_priority_fee_wei=0,
        max_fee_wei=0,
        gas_limit=gas_limit,
        to=to,
        value_wei=value_wei,
        data=data,
        signature=Signature(b"\x00" * 65),
    )
    return replace(unsigned, signature=key.sign(unsigned.signing_hash))


def _decode_legacy(raw: bytes) -> Transaction:
    items = rlp.as_list(rlp.decode(raw), 9, "legacy transaction")
    v = rlp.as_uint(items[6], 9, "transaction.v")
    if v < 35:
        raise InvalidTransaction(
            "transaction without a chain id (unprotected legacy form)", rule="EXEC-CHAIN-ID"
        )
    price = rlp.as_uint(items[1], 32, "transaction.gasPrice")
    return _with_raw(
        raw,
        Transaction(
            type=TransactionType.LEGACY,
            chain_id=(v - 35) // 2,
            nonce=_nonce(items[0]),
            max_priority_fee_wei=price,
            max_fee_wei=price,
            gas_limit=rlp.as_uint(items[2], 8, "transaction.gasLimit"),
            to=_to(items[3]),
            value_wei=rlp.as_uint(items[4], 32, "transaction.value"),
            data=rlp.as_bytes(items[5], what="transaction.data"),
            signature=_signature((v - 35) % 2, items[7], items[8]),
        ),
    )


def _decode_access_list_type(raw: bytes) -> Transaction:
    items = rlp.as_list(rlp.decode(raw[1:]), 11, "type-1 transaction")
    price = rlp.as_uint(items[2], 32, "transaction.gasPrice")
    return _decode_typed(raw, TransactionType.ACCESS_LIST, items, (price, price))


def _decode_dynamic_fee(raw: bytes) -> Transaction:
    items = rlp.as_list(rlp.decode(raw[1:]), 12, "type-2 transaction")
    tip = rlp.as_uint(items[2], 32, "transaction.maxPriorityFeePerGas")
    fee = rlp.as_uint(items.pop(3), 32, "transaction.maxFeePerGas")
    return _decode_typed(raw, TransactionType.DYNAMIC_FEE, items, (tip, fee))


def _decode_typed(
    raw: bytes, kind: TransactionType, items: list[rlp.Decoded], fees_wei: tuple[int, int]
) -> Transaction:
    """Read the items that types 1 and 2 share; ``items`` has one place for the fees."""
    chain_id, nonce, _, gas_limit, to, value, data, warm, y_parity, r, s = items
    return _with_raw(
        raw,
        Transaction(
            type=kind,
            chain_id=rlp.as_uint(chain_id, 8, "transaction.chainId"),
            nonce=_nonce(nonce),
            max_priority_fee_wei=fees_wei[0],
            max_fee_wei=fees_wei[1],
            gas_limit=rlp.as_uint(gas_limit, 8, "transaction.gasLimit"),
            to=_to(to),
            value_wei=rlp.as_uint(value, 32, "transaction.value"),
            data=rlp.as_bytes(data, what="transaction.data"),
            access_list=_decode_access_list(warm),
            signature=_signature(rlp.as_uint(y_parity, 1, "transaction.yParity"), r, s),
        ),
    )


def _with_raw(raw: bytes, transaction: Transaction) -> Transaction:
    """Keep the bytes a transaction was decoded from; canonical RLP makes them equal to ``raw``."""
    transaction.__dict__["raw"] = raw
    return transaction


def _nonce(item: rlp.Decoded) -> int:
    return rlp.as_uint(item, 8, "transaction.nonce")


def _to(item: rlp.Decoded) -> Address | None:
    data = rlp.as_bytes(item, what="transaction.to")
    if not data:
        return None
    return Address(rlp.as_bytes(item, 20, "transaction.to"))


def _signature(y_parity: int, r_item: rlp.Decoded, s_item: rlp.Decoded) -> Signature:
    if y_parity > 1:
        raise MalformedMessage(f"transaction.yParity: expected 0 or 1, found {y_parity}")
    r = rlp.as_scalar(r_item, 32, "transaction.r").rjust(32, b"\x00")
    s = rlp.as_scalar(s_item, 32, "transaction.s").rjust(32, b"\x00")
    return Signature(r + s + (b"\x01" if y_parity else b"\x00"))


def _scalar_size(word: bytes) -> int:
    """Return how many bytes a scalar takes in RLP."""
    scalar = word.lstrip(b"\x00")
    return 1 if len(scalar) == 1 and scalar[0] < 0x80 else 1 + len(scalar)


def _decode_access_list(item: rlp.Decoded) -> tuple[AccessListEntry, ...]:
    if item == []:
        return ()
    entries: list[AccessListEntry] = []
    count = 0
    for entry in rlp.as_list(item, what="transaction.accessList"):
        address, keys = rlp.as_list(entry, 2, "transaction.accessList entry")
        key_items = rlp.as_list(keys, what="transaction.accessList keys")
        count += 1 + len(key_items)
        if count > ACCESS_LIST_KEYS_MAX:
            raise MalformedMessage(f"transaction.accessList: over {ACCESS_LIST_KEYS_MAX} keys")
        entries.append(
            AccessListEntry(
                address=Address(rlp.as_bytes(address, 20, "accessList address")),
                storage_keys=tuple(
                    Hash32(rlp.as_bytes(key, 32, "accessList key")) for key in key_items
                ),
            )
        )
    return tuple(entries)
