"""Blocks, transactions, receipts, logs and traces as execution-apis writes them.

Records in, JSON values out; nothing is read or decided here.

Spec: RPC-RENDER.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.execution.evm import compute_contract_address
from node.execution.tracing import CallFrame, StructLog, Trace
from node.primitives.receipt import Log
from node.primitives.transaction import AccessListEntry
from node.primitives.types import BlockHash, Height, TransactionHash
from node.rpc.backend import Json
from node.rpc.hex import data, quantity, word
from node.rpc.records import (
    Authorization,
    BlockRecord,
    HeaderRecord,
    ReceiptRecord,
    TransactionRecord,
)
from node.storage.chain import AccountProof
from node.storage.view import Account

BLOB_GAS: Final = 131_072
"""Gas of one blob (EIP-4844); only other chains have blobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """Where a log stands."""

    block_hash: BlockHash
    """Its block."""
    height: Height
    """The block's number."""
    timestamp_s: int
    """The block's time."""
    transaction_hash: TransactionHash
    """Its transaction."""
    transaction_index: int
    """The transaction's place in the block."""
    log_index: int
    """Its own place in the block."""


def render_header(header: HeaderRecord) -> dict[str, Json]:
    """Render a header as ``newHeads`` and blocks show it.

    Spec: RPC-RENDER.
    """
    shown: dict[str, Json] = {
        "difficulty": quantity(header.difficulty),
        "extraData": data(header.extra_data),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "hash": data(header.hash),
        "logsBloom": data(header.bloom),
        "miner": data(header.coinbase),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "number": quantity(header.height),
        "parentHash": data(header.parent_hash),
        "receiptsRoot": data(header.receipts_root),
        "sha3Uncles": data(header.ommers_hash),
        "stateRoot": data(header.state_root),
        "timestamp": quantity(header.timestamp_s),
        "transactionsRoot": data(header.transactions_root),
    }
    for name, number in (
        ("baseFeePerGas", header.base_fee_wei),
        ("blobGasUsed", header.blob_gas_used),
        ("excessBlobGas", header.excess_blob_gas),
    ):
        if number is not None:
            shown[name] = quantity(number)
    for name, value in (
        ("withdrawalsRoot", header.withdrawals_root),
        ("parentBeaconBlockRoot", header.parent_beacon_root),
        ("requestsHash", header.requests_hash),
    ):
        if value is not None:
            shown[name] = data(value)
    return shown


def render_block(block: BlockRecord, *, is_full: bool) -> dict[str, Json]:
    """Render a block, with its transactions or only their hashes.

    Spec: RPC-RENDER.
    """
    shown = render_header(block.header)
    shown["size"] = quantity(len(block.raw))
    shown["uncles"] = [data(ommer) for ommer in block.ommer_hashes]
    if block.header.withdrawals_root is not None:
        shown["withdrawals"] = []
    if is_full:
        shown["transactions"] = [
            render_transaction(transaction, block.header, index)
            for index, transaction in enumerate(block.transactions)
        ]
    else:
        shown["transactions"] = [data(transaction.hash) for transaction in block.transactions]
    return shown


def render_transaction(
    transaction: TransactionRecord, header: HeaderRecord | None, index: int | None
) -> dict[str, Json]:
    """Render a transaction; without a header it is one that waits.

    Spec: RPC-RENDER.
    """
    tx = transaction
    shown: dict[str, Json] = {
        "blockHash": data(header.hash) if header else None,
        "blockNumber": quantity(header.height) if header else None,
        "blockTimestamp": quantity(header.timestamp_s) if header else None,
        "from": data(tx.sender),
        "gas": quantity(tx.gas_limit),
        "gasPrice": quantity(effective_price(tx, header)),
        "hash": data(tx.hash),
        "input": data(tx.data),
        "nonce": quantity(tx.nonce),
        "to": data(tx.to) if tx.to is not None else None,
        "transactionIndex": quantity(index) if index is not None else None,
        "value": quantity(tx.value_wei),
        "type": quantity(tx.type),
        "v": quantity(tx.v),
        "r": quantity(tx.r),
        "s": quantity(tx.s),
    }
    if tx.chain_id is not None:
        shown["chainId"] = quantity(tx.chain_id)
    if tx.type >= 1:
        shown["accessList"] = render_access_list(tx.access_list)
        shown["yParity"] = quantity(tx.v)
    if tx.type >= 2:
        shown["maxFeePerGas"] = quantity(tx.max_fee_wei)
        shown["maxPriorityFeePerGas"] = quantity(tx.max_priority_fee_wei)
    if tx.max_fee_per_blob_gas_wei is not None:
        shown["maxFeePerBlobGas"] = quantity(tx.max_fee_per_blob_gas_wei)
        shown["blobVersionedHashes"] = [data(blob) for blob in tx.blob_versioned_hashes]
    if tx.authorizations is not None:
        shown["authorizationList"] = [_render_authorization(item) for item in tx.authorizations]
    return shown


def effective_price(transaction: TransactionRecord, header: HeaderRecord | None) -> int:
    """Return what was paid per gas, or at most will be while it waits."""
    if header is None or header.base_fee_wei is None:
        return transaction.max_fee_wei
    return min(transaction.max_fee_wei, header.base_fee_wei + transaction.max_priority_fee_wei)


def render_access_list(entries: Iterable[AccessListEntry]) -> list[Json]:
    """Render an access list."""
    return [
        {
            "address": data(entry.address),
            "storageKeys": [data(key) for key in entry.storage_keys],
        }
        for entry in entries
    ]


def _render_authorization(item: Authorization) -> dict[str, Json]:
    return {
        "chainId": quantity(item.chain_id),
        "address": data(item.address),
        "nonce": quantity(item.nonce),
        "yParity": quantity(item.y_parity),
        "r": quantity(item.r),
        "s": quantity(item.s),
    }


def render_receipts(
    block: BlockRecord, receipts: Sequence[ReceiptRecord]
) -> Iterator[dict[str, Json]]:
    """Yield every receipt of a block, rendered, in order.

    Spec: RPC-RENDER.
    """
    logs_before = 0
    for index, receipt in enumerate(receipts):
        yield _render_receipt(block, receipts, index, logs_before)
        logs_before += len(receipt.logs)


def render_receipt(
    block: BlockRecord, receipts: Sequence[ReceiptRecord], index: int
) -> dict[str, Json]:
    """Render one receipt of a block.

    Spec: RPC-RENDER.
    """
    logs_before = sum(len(receipt.logs) for receipt in receipts[:index])
    return _render_receipt(block, receipts, index, logs_before)


def _render_receipt(
    block: BlockRecord, receipts: Sequence[ReceiptRecord], index: int, logs_before: int
) -> dict[str, Json]:
    header, tx, receipt = block.header, block.transactions[index], receipts[index]
    gas_before = receipts[index - 1].cumulative_gas_used if index else 0
    created = compute_contract_address(tx.sender, tx.nonce) if tx.to is None else None
    shown: dict[str, Json] = {
        "blockHash": data(header.hash),
        "blockNumber": quantity(header.height),
        "contractAddress": data(created) if created is not None else None,
        "cumulativeGasUsed": quantity(receipt.cumulative_gas_used),
        "effectiveGasPrice": quantity(effective_price(tx, header)),
        "from": data(tx.sender),
        "gasUsed": quantity(receipt.cumulative_gas_used - gas_before),
        "logs": [
            render_log(log, place)
            for log, place in place_logs(header, tx.hash, index, receipt.logs, logs_before)
        ],
        "logsBloom": data(receipt.bloom),
        "to": data(tx.to) if tx.to is not None else None,
        "transactionHash": data(tx.hash),
        "transactionIndex": quantity(index),
        "type": quantity(receipt.type),
    }
    if receipt.state_root is not None:
        shown["root"] = data(receipt.state_root)
    if receipt.is_success is not None:
        shown["status"] = "0x1" if receipt.is_success else "0x0"
    if tx.max_fee_per_blob_gas_wei is not None:
        shown["blobGasUsed"] = quantity(BLOB_GAS * len(tx.blob_versioned_hashes))
        shown["blobGasPrice"] = quantity(receipt.blob_gas_price_wei or 0)
    return shown


def place_logs(
    header: HeaderRecord,
    transaction_hash: TransactionHash,
    transaction_index: int,
    logs: Sequence[Log],
    first_index: int,
) -> Iterator[tuple[Log, LogPlace]]:
    """Yield a transaction's logs with where they stand."""
    for offset, log in enumerate(logs):
        yield (
            log,
            LogPlace(
                block_hash=header.hash,
                height=header.height,
                timestamp_s=header.timestamp_s,
                transaction_hash=transaction_hash,
                transaction_index=transaction_index,
                log_index=first_index + offset,
            ),
        )


def placed_logs(
    block: BlockRecord, receipts: Sequence[ReceiptRecord]
) -> Iterator[tuple[Log, LogPlace]]:
    """Yield all logs of a block with where they stand."""
    seen = 0
    for index, (tx, receipt) in enumerate(zip(block.transactions, receipts, strict=True)):
        yield from place_logs(block.header, tx.hash, index, receipt.logs, seen)
        seen += len(receipt.logs)


def render_log(log: Log, place: LogPlace) -> dict[str, Json]:
    """Render a log.

    Spec: RPC-RENDER.
    """
    return {
        "address": data(log.address),
        "topics": [data(topic) for topic in log.topics],
        "data": data(log.data),
        "blockNumber": quantity(place.height),
        "transactionHash": data(place.transaction_hash),
        "transactionIndex": quantity(place.transaction_index),
        "blockHash": data(place.block_hash),
        "blockTimestamp": quantity(place.timestamp_s),
        "logIndex": quantity(place.log_index),
        "removed": False,
    }


def render_proof(address: bytes, proof: AccountProof, keys: Sequence[str]) -> dict[str, Json]:
    """Render an account proof (EIP-1186); ``keys`` are the slots as the client wrote them.

    Spec: RPC-PROOF.
    """
    account = proof.account or Account()
    return {
        "address": data(address),
        "accountProof": [data(node) for node in proof.nodes],
        "balance": quantity(account.balance_wei),
        "codeHash": data(account.code_hash),
        "nonce": quantity(account.nonce),
        "storageHash": data(proof.storage_root),
        "storageProof": [
            {
                "key": key,
                "value": quantity(slot.value),
                "proof": [data(node) for node in slot.nodes],
            }
            for key, slot in zip(keys, proof.slots, strict=True)
        ],
    }


def render_trace(trace: Trace) -> dict[str, Json]:
    """Render a trace as geth's struct logger does.

    Spec: RPC-TRACE.
    """
    return {
        "gas": trace.gas_used,
        "failed": not trace.is_success,
        "returnValue": data(trace.output),
        "structLogs": [_render_step(step) for step in trace.steps],
    }


def _render_step(step: StructLog) -> dict[str, Json]:
    shown: dict[str, Json] = {
        "pc": step.pc,
        "op": step.op,
        "gas": step.gas,
        "gasCost": step.gas_cost,
        "depth": step.depth,
    }
    if step.error:
        shown["error"] = step.error
    if step.stack is not None:
        shown["stack"] = [hex(item) for item in step.stack]
    if step.return_data:
        shown["returnData"] = data(step.return_data)
    if step.memory:
        shown["memory"] = [data(step.memory[at : at + 32]) for at in range(0, len(step.memory), 32)]
    if step.storage:
        shown["storage"] = {word(slot): word(value) for slot, value in step.storage}
    return shown


def render_frame(frame: CallFrame, *, is_top_only: bool = False) -> dict[str, Json]:
    """Render a call tree as geth's callTracer does.

    Spec: RPC-TRACE.
    """
    shown: dict[str, Json] = {
        "from": data(frame.sender),
        "gas": quantity(frame.gas_limit),
        "gasUsed": quantity(frame.gas_used),
        "input": data(frame.data),
        "type": frame.kind,
    }
    if frame.to is not None:
        shown["to"] = data(frame.to)
    if frame.output:
        shown["output"] = data(frame.output)
    if frame.error:
        shown["error"] = frame.error
        reason = revert_reason(frame.output)
        if reason is not None:
            shown["revertReason"] = reason
    if frame.calls and not is_top_only:
        shown["calls"] = [render_frame(call) for call in frame.calls]
    if frame.kind not in ("STATICCALL", "DELEGATECALL"):
        shown["value"] = quantity(frame.value_wei)
    return shown


ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")
PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")
PANICS: Final = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}
"""Solidity's panics in geth's words."""


def revert_reason(output: bytes) -> str | None:
    """Return the reason in a revert's output, when it is an Error(string) or a Panic(uint256)."""
    body = output[4:]
    if output[:4] == PANIC_SELECTOR and len(body) >= 32:
        number = int.from_bytes(body[:32], "big")
        return PANICS.get(number, f"unknown panic code: {number:#x}")
    if output[:4] != ERROR_SELECTOR or len(body) < 64:
        return None
    offset = int.from_bytes(body[:32], "big")
    if offset + 32 > len(body):
        return None
    size = int.from_bytes(body[offset : offset + 32], "big")
    text = body[offset + 32 : offset + 32 + size]
    return text.decode(errors="replace") if len(text) == size else None
