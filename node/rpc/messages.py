"""The object ``eth_call`` and its relatives take, and what they conclude from running it.

Gas estimates search for the least gas that succeeds; access lists are run until they no longer
grow. Both only use the backend's ``run_call``.

Spec: RPC-CALL.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from node.primitives.transaction import ACCESS_LIST_KEYS_MAX, AccessListEntry
from node.primitives.types import ZERO_ADDRESS, Address, Hash32, Height
from node.rpc.backend import CallOutcome, CallRefused, CallRequest, Json, LedgerBackend
from node.rpc.errors import ExecutionFailed, ExecutionReverted, InvalidParams, NotSupported
from node.rpc.hex import parse_address, parse_data, parse_hash, parse_quantity
from node.rpc.limits import RpcLimits
from node.rpc.params import parse_list, parse_object
from node.rpc.records import created_address
from node.rpc.render import revert_reason

GAS_TRANSFER: Final = 21_000
GAS_STIPEND: Final = 2_300
ESTIMATE_TOLERANCE_PERMILLE: Final = 15
"""An estimate may be this much above the least gas, as geth has it; it saves half the runs."""

ACCESS_ROUNDS_MAX: Final = 8
"""Runs until an access list must be stable."""

PRECOMPILES: Final = frozenset(bytes(19) + bytes((last,)) for last in range(1, 0x12))

KNOWN_FIELDS: Final = frozenset(
    (
        "from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "nonce",
        "data", "input", "accessList", "chainId", "type",
    )
)  # fmt: skip


def parse_request(value: Json, ledger: LedgerBackend, limits: RpcLimits) -> CallRequest:
    """Read a call object; unknown fields are refused rather than ignored.

    Raises:
        InvalidParams: A field is of the wrong form, or two contradict each other.
        NotSupported: It asks for blobs or set-code, which this ledger does not have.

    Spec: RPC-CALL.
    """
    fields = {name: item for name, item in parse_object(value).items() if item is not None}
    for name in ("authorizationList", "blobVersionedHashes", "maxFeePerBlobGas", "blobs"):
        if name in fields:
            raise NotSupported(f"{name}: this ledger has no blob or set-code transactions")
    unknown = sorted(set(fields) - KNOWN_FIELDS)
    if unknown:
        raise InvalidParams(f"unknown field {unknown[0][:64]!r}")
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


def estimate_gas(ledger: LedgerBackend, request: CallRequest, at: Height) -> int:
    """Return gas with which a call succeeds, at most 1.5 % above the least.

    Raises:
        ExecutionReverted: It reverts with all the gas it may have.
        ExecutionFailed: It fails otherwise.
        CallRefused: It could not begin.

    Spec: RPC-CALL.
    """
    if _is_transfer(ledger, request, at) and _run(ledger, request, at, GAS_TRANSFER):
        return GAS_TRANSFER
    full = ledger.run_call(request, at)
    if not full.is_success and not full.is_revert:
        reason = full.error or "execution failed"
        raise ExecutionFailed(f"gas required exceeds allowance ({request.gas_limit}): {reason}")
    check_succeeded(full)
    low, high = full.gas_used - 1, request.gas_limit
    guess = (full.gas_used + full.gas_refunded + GAS_STIPEND) * 64 // 63
    while (high - low) * 1_000 > high * ESTIMATE_TOLERANCE_PERMILLE and high - low > 1:
        middle = guess if low < guess < high else min((low + high) // 2, 2 * low)
        guess = 0
        if _run(ledger, request, at, middle):
            high = middle
        else:
            low = middle
    return high


def build_access_list(
    ledger: LedgerBackend, request: CallRequest, at: Height
) -> tuple[tuple[AccessListEntry, ...], CallOutcome]:
    """Return what a call touches beyond what is warm anyway, and how it runs with that list.

    Raises:
        CallRefused: It could not begin.

    Spec: RPC-CALL.
    """
    warm = _warm_anyway(ledger, request, at)
    entries = request.access_list
    for _ in range(ACCESS_ROUNDS_MAX):
        outcome = ledger.run_call(replace(request, access_list=entries), at, is_access_wanted=True)
        found = tuple(
            entry
            for entry in outcome.accessed
            if entry.storage_keys or bytes(entry.address) not in warm
        )
        if found == entries:
            return entries, outcome
        entries = found
    return entries, ledger.run_call(replace(request, access_list=entries), at)


def _is_transfer(ledger: LedgerBackend, request: CallRequest, at: Height) -> bool:
    if request.data or request.to is None or request.gas_limit < GAS_TRANSFER:
        return False
    return not ledger.load_code(at, request.to)


def _run(ledger: LedgerBackend, request: CallRequest, at: Height, gas_limit: int) -> bool:
    """Tell whether a call succeeds with so much gas; too little to begin is a failure."""
    try:
        return ledger.run_call(replace(request, gas_limit=gas_limit), at).is_success
    except CallRefused:
        return False


def _warm_anyway(ledger: LedgerBackend, request: CallRequest, at: Height) -> frozenset[bytes]:
    header = ledger.load_header(at)
    to = request.to
    if to is None:
        nonce = request.nonce
        if nonce is None:
            nonce = ledger.load_account(at, request.sender).nonce
        to = created_address(request.sender, nonce)
    coinbase = header.coinbase if header is not None else ZERO_ADDRESS
    return PRECOMPILES | {bytes(request.sender), bytes(to), bytes(coinbase)}


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
