"""The object ``eth_call`` and its relatives take, and the error a failed call becomes.

Spec: RPC-CALL.
"""

from collections.abc import Mapping

from node.execution.calls import CallOutcome, CallRequest
from node.primitives.transaction import ACCESS_LIST_KEYS_MAX, AccessListEntry
from node.primitives.types import ZERO_ADDRESS, Address, Hash32
from node.rpc.backend import Json, LedgerBackend
from node.rpc.errors import ExecutionFailed, ExecutionReverted, InvalidParams, NotSupported
from node.rpc.hex import parse_address, parse_data, parse_hash, parse_quantity
from node.rpc.limits import RpcLimits
from node.rpc.params import parse_list, parse_object
from node.rpc.render import revert_reason


def parse_request(value: Json, ledger: LedgerBackend, limits: RpcLimits) -> CallRequest:
    """Read a call object; unknown fields mean nothing, as in geth.

    Raises:
        InvalidParams: A field is of the wrong form, or two contradict each other.
        NotSupported: It asks for blobs or set-code, which this ledger does not have.

    Spec: RPC-CALL.
    """
    fields = {name: item for name, item in parse_object(value).items() if item is not None}
    for name in ("authorizationList", "blobVersionedHashes", "maxFeePerBlobGas", "blobs"):
        if name in fields:
            raise NotSupported(f"{name}: this ledger has no blob or set-code transactions")
    if "chainId" in fields and parse_quantity(fields["chainId"]) != ledger.chain_id:
        raise InvalidParams(f"chainId does not match node's (want={ledger.chain_id})")
    cap = min(limits.call_gas_max, ledger.block_gas_limit)
    gas = parse_quantity(fields["gas"]) if "gas" in fields else cap
    max_fee, tip = _parse_fees(fields)
    return CallRequest(
        sender=parse_address(fields["from"]) if "from" in fields else ZERO_ADDRESS,
        to=parse_address(fields["to"]) if "to" in fields else None,
        gas_limit=min(gas, cap),
        value_wei=parse_quantity(fields.get("value", "0x0"), 256),
        data=_parse_input(fields),
        max_fee_wei=max_fee,
        max_priority_fee_wei=tip,
        nonce=parse_quantity(fields["nonce"]) if "nonce" in fields else None,
        access_list=_parse_access_list(fields.get("accessList")),
    )


def check_succeeded(outcome: CallOutcome) -> None:
    """Turn a failed call into the error clients know.

    Raises:
        ExecutionReverted: It reverted; the output goes along.
        ExecutionFailed: It failed otherwise.

    Spec: RPC-REVERT.
    """
    if outcome.is_success:
        return
    if outcome.is_revert:
        reason = revert_reason(outcome.output)
        message = "execution reverted" if reason is None else f"execution reverted: {reason}"
        raise ExecutionReverted(message, outcome.output)
    raise ExecutionFailed(outcome.error or "execution failed")


def _parse_fees(fields: Mapping[str, Json]) -> tuple[int, int]:
    """Return fee and tip.

    Raises:
        InvalidParams: Both forms at once, or a tip above the fee.
    """
    if "gasPrice" in fields:
        if "maxFeePerGas" in fields or "maxPriorityFeePerGas" in fields:
            raise InvalidParams(
                "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"
            )
        price = parse_quantity(fields["gasPrice"], 256)
        return price, price
    max_fee = parse_quantity(fields.get("maxFeePerGas", "0x0"), 256)
    tip = parse_quantity(fields.get("maxPriorityFeePerGas", "0x0"), 256)
    if "maxFeePerGas" in fields and tip > max_fee:
        raise InvalidParams(f"maxFeePerGas ({max_fee}) < maxPriorityFeePerGas ({tip})")
    return max(max_fee, tip), tip


def _parse_input(fields: Mapping[str, Json]) -> bytes:
    """Return the call data, under whichever of its two names.

    Raises:
        InvalidParams: Both names with different values.
    """
    given = [parse_data(fields[name]) for name in ("input", "data") if name in fields]
    if len(given) == 2 and given[0] != given[1]:
        raise InvalidParams('both "data" and "input" are set and not equal')
    return given[0] if given else b""


def _parse_access_list(value: Json) -> tuple[AccessListEntry, ...]:
    """Return an access list.

    Raises:
        InvalidParams: It is of the wrong form, or too long.
    """
    if value is None:
        return ()
    entries = []
    for item in parse_list(value, ACCESS_LIST_KEYS_MAX):
        fields = parse_object(item)
        keys = parse_list(fields.get("storageKeys") or [], ACCESS_LIST_KEYS_MAX)
        entries.append(
            AccessListEntry(
                address=Address(parse_address(fields.get("address"))),
                storage_keys=tuple(Hash32(parse_hash(key)) for key in keys),
            )
        )
    if sum(1 + len(entry.storage_keys) for entry in entries) > ACCESS_LIST_KEYS_MAX:
        raise InvalidParams(f"access list over {ACCESS_LIST_KEYS_MAX} keys")
    return tuple(entries)
