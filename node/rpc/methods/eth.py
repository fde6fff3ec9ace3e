"""``eth_*``: the chain, its state and its transactions, as execution-apis has them.

Spec: RPC-METHODS, RPC-BLOCK, RPC-PROOF.
"""

from collections.abc import Sequence
from typing import Final

from node.execution.calls import CallFailed
from node.primitives.types import Height
from node.rpc.backend import Json
from node.rpc.blocks import find_height, state_height
from node.rpc.errors import ExecutionFailed, InvalidParams, LimitExceeded, NotSupported
from node.rpc.hex import data, parse_address, parse_quantity, parse_slot, quantity, word
from node.rpc.logs import search_logs
from node.rpc.messages import check_succeeded, parse_request
from node.rpc.method import Context, Lane, Method, MethodTable
from node.rpc.params import Params, parse_bool, parse_list, parse_object
from node.rpc.records import BlockRecord, transaction_record
from node.rpc.render import (
    render_access_list,
    render_block,
    render_proof,
    render_receipt,
    render_receipts,
    render_transaction,
)


def chain_id(context: Context, params: Params) -> Json:
    """Answer ``eth_chainId``."""
    params.at_most(0)
    return quantity(context.backends.ledger.chain_id)


def block_number(context: Context, params: Params) -> Json:
    """Answer ``eth_blockNumber``."""
    params.at_most(0)
    return quantity(context.backends.ledger.head().height)


def syncing(context: Context, params: Params) -> Json:
    """Answer ``eth_syncing``."""
    params.at_most(0)
    progress = context.backends.ledger.sync_progress()
    if progress is None:
        return False
    return {
        "startingBlock": quantity(progress.start),
        "currentBlock": quantity(progress.current),
        "highestBlock": quantity(progress.highest),
    }


def accounts(context: Context, params: Params) -> Json:
    """Answer ``eth_accounts``: a node holds no accounts of its own."""
    del context
    params.at_most(0)
    return []


def coinbase(context: Context, params: Params) -> Json:
    """Refuse ``eth_coinbase``: nothing is paid to anyone."""
    raise NotSupported("eth_coinbase: there are no rewards here; see qbft_getValidators*")


def get_block_by_number(context: Context, params: Params) -> Json:
    """Answer ``eth_getBlockByNumber``."""
    params.at_most(2)
    return _shown_block(context, params)


def get_block_by_hash(context: Context, params: Params) -> Json:
    """Answer ``eth_getBlockByHash``."""
    params.at_most(2)
    params.hash(0)
    return _shown_block(context, params)


def get_header_by_number(context: Context, params: Params) -> Json:
    """Answer ``eth_getHeaderByNumber`` and ``eth_getHeaderByHash`` (geth's)."""
    params.at_most(1)
    block = _block(context, params)
    if block is None:
        return None
    shown = render_block(block, is_full=False)
    return {name: shown[name] for name in shown if name not in ("transactions", "uncles", "size")}


def get_block_transaction_count(context: Context, params: Params) -> Json:
    """Answer ``eth_getBlockTransactionCountByNumber`` and ``...ByHash``."""
    params.at_most(1)
    block = _block(context, params)
    return None if block is None else quantity(len(block.transactions))


def get_uncle_count(context: Context, params: Params) -> Json:
    """Answer ``eth_getUncleCountByBlockNumber`` and ``...ByBlockHash``."""
    params.at_most(1)
    block = _block(context, params)
    return None if block is None else quantity(len(block.ommer_hashes))


def get_uncle(context: Context, params: Params) -> Json:
    """Answer ``eth_getUncleByBlockNumberAndIndex`` and ``...ByBlockHashAndIndex``: there are none.

    The parameters are still checked.
    """
    params.at_most(2)
    _block(context, params)
    params.quantity(1)
    return None


def get_block_receipts(context: Context, params: Params) -> Json:
    """Answer ``eth_getBlockReceipts``."""
    params.at_most(1)
    block = _block(context, params)
    if block is None:
        return None
    receipts = context.backends.ledger.load_receipts(block.header.height)
    return list(render_receipts(block, receipts))


def get_transaction_by_index(context: Context, params: Params) -> Json:
    """Answer ``eth_getTransactionByBlockNumberAndIndex`` and ``...ByBlockHashAndIndex``."""
    params.at_most(2)
    block = _block(context, params)
    index = params.quantity(1)
    if block is None or index >= len(block.transactions):
        return None
    return render_transaction(block.transactions[index], block.header, index)


def get_transaction_by_hash(context: Context, params: Params) -> Json:
    """Answer ``eth_getTransactionByHash``, also of one that waits."""
    params.at_most(1)
    wanted = params.hash(0)
    ledger = context.backends.ledger
    place = ledger.find_transaction(wanted)
    if place is None:
        with ledger.open_pool() as pool:
            waiting = pool.find(wanted)
        if waiting is None:
            return None
        return render_transaction(transaction_record(waiting.transaction), None, None)
    height, index = place
    block = ledger.load_block(height)
    assert block is not None
    return render_transaction(block.transactions[index], block.header, index)


def get_raw_transaction_by_hash(context: Context, params: Params) -> Json:
    """Answer ``eth_getRawTransactionByHash`` and ``debug_getRawTransaction``."""
    params.at_most(1)
    wanted = params.hash(0)
    ledger = context.backends.ledger
    place = ledger.find_transaction(wanted)
    if place is None:
        with ledger.open_pool() as pool:
            waiting = pool.find(wanted)
        return None if waiting is None else data(waiting.transaction.raw)
    block = ledger.load_block(place[0])
    assert block is not None
    return data(block.transactions[place[1]].raw)


def get_transaction_receipt(context: Context, params: Params) -> Json:
    """Answer ``eth_getTransactionReceipt``."""
    params.at_most(1)
    ledger = context.backends.ledger
    place = ledger.find_transaction(params.hash(0))
    if place is None:
        return None
    height, index = place
    block = ledger.load_block(height)
    assert block is not None
    return render_receipt(block, ledger.load_receipts(height), index)


def get_balance(context: Context, params: Params) -> Json:
    """Answer ``eth_getBalance``."""
    params.at_most(2)
    address = params.address(0)
    at = state_height(context.backends.ledger, params, 1)
    return quantity(context.backends.ledger.load_account(at, address).balance_wei)


def get_code(context: Context, params: Params) -> Json:
    """Answer ``eth_getCode``."""
    params.at_most(2)
    address = params.address(0)
    at = state_height(context.backends.ledger, params, 1)
    return data(context.backends.ledger.load_code(at, address))


def get_transaction_count(context: Context, params: Params) -> Json:
    """Answer ``eth_getTransactionCount``; ``pending`` counts the sender's waiting ones as well."""
    params.at_most(2)
    address = params.address(0)
    ledger = context.backends.ledger
    at = state_height(ledger, params, 1)
    nonce = ledger.load_account(at, address).nonce
    if params.has(1) and params.values[1] == "pending":
        with ledger.open_pool() as pool:
            nonce = max(nonce, pool.next_nonce(address) or 0)
    return quantity(nonce)


def get_storage_at(context: Context, params: Params) -> Json:
    """Answer ``eth_getStorageAt``."""
    params.at_most(3)
    address = params.address(0)
    slot = params.read(1, parse_slot)
    at = state_height(context.backends.ledger, params, 2)
    return word(context.backends.ledger.load_slot(at, address, slot))


def get_storage_values(context: Context, params: Params) -> Json:
    """Answer ``eth_getStorageValues``: slots of several accounts at once."""
    params.at_most(2)
    wanted = params.read(0, parse_object)
    ledger = context.backends.ledger
    limit = context.limits.proof_slot_max
    slots: dict[str, list[int]] = {}
    for name, keys in wanted.items():
        slots[name] = [parse_slot(key) for key in parse_list(keys, limit)]
    count = sum(len(keys) for keys in slots.values())
    if not count:
        raise InvalidParams("empty request")
    if count > limit:
        raise LimitExceeded(f"too many slots (max {limit})", limit=limit)
    at = state_height(ledger, params, 1)
    return {
        name: [word(ledger.load_slot(at, parse_address(name), slot)) for slot in keys]
        for name, keys in slots.items()
    }


def get_proof(context: Context, params: Params) -> Json:
    """Answer ``eth_getProof``.

    Spec: RPC-PROOF.
    """
    params.at_most(3)
    address = params.address(0)
    keys: Sequence[Json] = ()
    if params.has(1):
        keys = params.read(1, lambda value: parse_list(value, context.limits.proof_slot_max))
    slots = [parse_slot(key) for key in keys]
    at = state_height(context.backends.ledger, params, 2)
    proof = context.backends.ledger.prove_account(at, address, slots)
    shown_keys = [_shown_key(key, slot) for key, slot in zip(keys, slots, strict=True)]
    return render_proof(address, proof, shown_keys)


def call(context: Context, params: Params) -> Json:
    """Answer ``eth_call``.

    Spec: RPC-CALL, RPC-REVERT.
    """
    _refuse_overrides(params, 2)
    ledger = context.backends.ledger
    request = params.read(0, lambda value: parse_request(value, ledger, context.limits))
    outcome = ledger.run_call(request, state_height(ledger, params, 1))
    check_succeeded(outcome)
    return data(outcome.output)


def estimate(context: Context, params: Params) -> Json:
    """Answer ``eth_estimateGas``.

    Spec: RPC-CALL.
    """
    _refuse_overrides(params, 2)
    ledger = context.backends.ledger
    request = params.read(0, lambda value: parse_request(value, ledger, context.limits))
    at = state_height(ledger, params, 1)
    try:
        return quantity(ledger.estimate_gas(request, at))
    except CallFailed as error:
        if not error.outcome.is_revert:
            raise ExecutionFailed(
                f"gas required exceeds allowance ({request.gas_limit}): {error.outcome.error}"
            ) from error
        check_succeeded(error.outcome)
        raise


def create_access_list(context: Context, params: Params) -> Json:
    """Answer ``eth_createAccessList``.

    Spec: RPC-CALL.
    """
    _refuse_overrides(params, 2)
    ledger = context.backends.ledger
    request = params.read(0, lambda value: parse_request(value, ledger, context.limits))
    outcome = ledger.build_access_list(request, state_height(ledger, params, 1))
    shown: dict[str, Json] = {
        "accessList": render_access_list(outcome.accessed),
        "gasUsed": quantity(outcome.gas_used),
    }
    if not outcome.is_success:
        shown["error"] = outcome.error or "execution failed"
    return shown


def get_logs(context: Context, params: Params) -> Json:
    """Answer ``eth_getLogs``.

    Spec: RPC-LOGS.
    """
    params.at_most(1)
    ledger = context.backends.ledger
    return params.read(0, lambda value: search_logs(ledger, value, context.limits))


def send_raw_transaction(context: Context, params: Params) -> Json:
    """Answer ``eth_sendRawTransaction``: the hash, or why the transaction is refused."""
    params.at_most(1)
    raw = params.data(0)
    return data(context.backends.ledger.submit(raw, source=context.source))


def gas_price(context: Context, params: Params) -> Json:
    """Answer ``eth_gasPrice``: the next base fee, which is 0 here."""
    params.at_most(0)
    return quantity(context.backends.ledger.next_base_fee_wei)


def max_priority_fee(context: Context, params: Params) -> Json:
    """Answer ``eth_maxPriorityFeePerGas``: 0, since a tip buys nothing."""
    del context
    params.at_most(0)
    return "0x0"


def fee_history(context: Context, params: Params) -> Json:
    """Answer ``eth_feeHistory``; on our chain every fee in it is zero.

    Spec: RPC-FEES.
    """
    params.at_most(3)
    ledger = context.backends.ledger
    count = min(params.read(0, _parse_count), context.limits.fee_history_max)
    newest = params.read(1, lambda value: find_height(ledger, value))
    if newest is None:
        raise InvalidParams("request beyond head block")
    percentiles = params.read(2, _parse_percentiles) if params.has(2) else ()
    count = min(count, newest + 1)
    if not count:
        return {"oldestBlock": "0x0", "gasUsedRatio": []}
    heights = [Height(at) for at in range(newest - count + 1, newest + 1)]
    blocks = [block for at in heights if (block := ledger.load_block(at)) is not None]
    shown: dict[str, Json] = {
        "oldestBlock": quantity(heights[0]),
        "baseFeePerGas": [quantity(block.header.base_fee_wei or 0) for block in blocks]
        + [quantity(_base_fee_after(context, newest))],
        "gasUsedRatio": [block.header.gas_used / block.header.gas_limit for block in blocks],
        "baseFeePerBlobGas": ["0x0"] * (count + 1),
        "blobGasUsedRatio": [0] * count,
    }
    if percentiles:
        shown["reward"] = [_rewards(block, percentiles) for block in blocks]
    return shown


def _base_fee_after(context: Context, at: Height) -> int:
    """Return the base fee of the block after ``at``."""
    ledger = context.backends.ledger
    header = ledger.load_header(Height(at + 1))
    return ledger.next_base_fee_wei if header is None else header.base_fee_wei or 0


def _rewards(block: BlockRecord, percentiles: Sequence[float]) -> list[Json]:
    """Return the tips paid in a block at the percentiles of its transactions, by count."""
    base_fee = block.header.base_fee_wei or 0
    tips = sorted(
        min(tx.max_priority_fee_wei, tx.max_fee_wei - base_fee) for tx in block.transactions
    )
    if not tips:
        return ["0x0"] * len(percentiles)
    last = len(tips) - 1
    return [quantity(tips[int(last * percentile / 100)]) for percentile in percentiles]


def _parse_count(value: Json) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return parse_quantity(value)


def _parse_percentiles(value: Json) -> tuple[float, ...]:
    given = parse_list(value, 100)
    percentiles = [item for item in given if isinstance(item, (int, float))]
    if len(percentiles) != len(given) or any(not 0 <= item <= 100 for item in percentiles):
        raise InvalidParams("invalid reward percentile: expected numbers from 0 to 100")
    if percentiles != sorted(percentiles):
        raise InvalidParams("invalid reward percentile: expected ascending numbers")
    return tuple(percentiles)


def _shown_key(key: Json, slot: int) -> str:
    """Return a proof's key as execution-apis writes it: as given in full, else as a quantity."""
    assert isinstance(key, str)
    return key if len(key) == 66 else quantity(slot)


def _refuse_overrides(params: Params, index: int) -> None:
    """Refuse state overrides rather than ignore them."""
    params.at_most(index + 1)
    if params.has(index) and params.read(index, parse_object):
        raise NotSupported("state overrides are not supported")


def _block(context: Context, params: Params) -> BlockRecord | None:
    """Return the block the first parameter names."""
    ledger = context.backends.ledger
    at = params.read(0, lambda value: find_height(ledger, value))
    return None if at is None else ledger.load_block(at)


def _shown_block(context: Context, params: Params) -> Json:
    block = _block(context, params)
    is_full = params.optional(1, parse_bool, default=False)
    return None if block is None else render_block(block, is_full=is_full)


METHODS: Final[MethodTable] = {
    "eth_chainId": Method(run=chain_id),
    "eth_blockNumber": Method(run=block_number),
    "eth_syncing": Method(run=syncing),
    "eth_accounts": Method(run=accounts),
    "eth_coinbase": Method(run=coinbase),
    "eth_getBlockByNumber": Method(run=get_block_by_number, cost=4, lane=Lane.READ),
    "eth_getBlockByHash": Method(run=get_block_by_hash, cost=4, lane=Lane.READ),
    "eth_getHeaderByNumber": Method(run=get_header_by_number, cost=4),
    "eth_getHeaderByHash": Method(run=get_header_by_number, cost=4),
    "eth_getBlockTransactionCountByNumber": Method(
        run=get_block_transaction_count, cost=4, lane=Lane.READ
    ),
    "eth_getBlockTransactionCountByHash": Method(
        run=get_block_transaction_count, cost=4, lane=Lane.READ
    ),
    "eth_getUncleCountByBlockNumber": Method(run=get_uncle_count, cost=4, lane=Lane.READ),
    "eth_getUncleCountByBlockHash": Method(run=get_uncle_count, cost=4, lane=Lane.READ),
    "eth_getUncleByBlockNumberAndIndex": Method(run=get_uncle, cost=4, lane=Lane.READ),
    "eth_getUncleByBlockHashAndIndex": Method(run=get_uncle, cost=4, lane=Lane.READ),
    "eth_getBlockReceipts": Method(run=get_block_receipts, cost=20, lane=Lane.READ),
    "eth_getTransactionByBlockNumberAndIndex": Method(
        run=get_transaction_by_index, cost=4, lane=Lane.READ
    ),
    "eth_getTransactionByBlockHashAndIndex": Method(
        run=get_transaction_by_index, cost=4, lane=Lane.READ
    ),
    "eth_getTransactionByHash": Method(run=get_transaction_by_hash, cost=4, lane=Lane.READ),
    "eth_getRawTransactionByHash": Method(run=get_raw_transaction_by_hash, cost=4, lane=Lane.READ),
    "eth_getTransactionReceipt": Method(run=get_transaction_receipt, cost=4, lane=Lane.READ),
    "eth_getBalance": Method(run=get_balance, cost=2),
    "eth_getCode": Method(run=get_code, cost=2),
    "eth_getTransactionCount": Method(run=get_transaction_count, cost=2),
    "eth_getStorageAt": Method(run=get_storage_at, cost=2),
    "eth_getStorageValues": Method(run=get_storage_values, cost=10, lane=Lane.READ),
    "eth_getProof": Method(run=get_proof, cost=20, lane=Lane.READ),
    "eth_call": Method(run=call, cost=20, lane=Lane.RUN),
    "eth_estimateGas": Method(run=estimate, cost=100, lane=Lane.RUN),
    "eth_createAccessList": Method(run=create_access_list, cost=50, lane=Lane.RUN),
    "eth_getLogs": Method(run=get_logs, cost=100, lane=Lane.RUN),
    "eth_sendRawTransaction": Method(run=send_raw_transaction, cost=2),
    "eth_gasPrice": Method(run=gas_price),
    "eth_baseFee": Method(run=gas_price),
    "eth_maxPriorityFeePerGas": Method(run=max_priority_fee),
    "eth_feeHistory": Method(run=fee_history, cost=50, lane=Lane.READ),
}
"""Chain and state methods; filters and subscriptions are in ``filters``."""
