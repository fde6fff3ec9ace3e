"""``debug_*``: raw bytes of what is on chain, and traces of how it ran.

Tracers are ``callTracer`` and the struct logger (the default); others are refused, as is any
script. Steps are bounded.

Spec: RPC-TRACE, RPC-METHODS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.execution.tracing import Trace, TraceOptions
from node.primitives.types import Height
from node.rpc.backend import Json, LedgerBackend
from node.rpc.blocks import find_height, state_height
from node.rpc.errors import InvalidParams, LimitExceeded, NotFound, NotSupported, RpcError
from node.rpc.hex import data
from node.rpc.messages import parse_request
from node.rpc.method import Context, Lane, Method, MethodTable
from node.rpc.methods.eth import get_raw_transaction_by_hash
from node.rpc.params import Params, parse_bool, parse_object
from node.rpc.records import BlockRecord
from node.rpc.render import render_frame, render_trace

CALL_TRACER: Final = "callTracer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """Which tracer a client asked for, and how it is set."""

    options: TraceOptions
    """What the backend should collect."""
    is_call_tracer: bool = False
    """Show the call tree instead of steps."""
    is_top_only: bool = False
    """Of the call tree only the outermost frame."""

    def render(self, trace: Trace) -> Json:
        """Render one trace.

        Raises:
            LimitExceeded: It has more steps than are kept.

        Spec: RPC-TRACE.
        """
        if self.is_call_tracer:
            return render_frame(trace.frame, is_top_only=self.is_top_only)
        if trace.is_cut:
            raise LimitExceeded(
                f"trace of over {self.options.step_count_max} steps; use callTracer",
                limit=self.options.step_count_max,
            )
        return render_trace(trace)


def trace_transaction(context: Context, params: Params) -> Json:
    """Answer ``debug_traceTransaction``.

    Spec: RPC-TRACE.
    """
    params.at_most(2)
    ledger = context.backends.ledger
    place = ledger.find_transaction(params.hash(0))
    if place is None:
        raise NotFound("transaction not found")
    tracer = _tracer(context, params, 1)
    height, index = place
    return tracer.render(ledger.trace_block(height, tracer.options, index=index)[0])


def trace_block(context: Context, params: Params) -> Json:
    """Answer ``debug_traceBlockByNumber`` and ``debug_traceBlockByHash``.

    Spec: RPC-TRACE.
    """
    params.at_most(2)
    ledger = context.backends.ledger
    block = _existing_block(ledger, params)
    if block.header.height == 0:
        raise RpcError("genesis is not traceable")
    tracer = _tracer(context, params, 1)
    traces = ledger.trace_block(block.header.height, tracer.options)
    return [
        {"txHash": data(transaction.hash), "result": tracer.render(trace)}
        for transaction, trace in zip(block.transactions, traces, strict=True)
    ]


def trace_call(context: Context, params: Params) -> Json:
    """Answer ``debug_traceCall``.

    Spec: RPC-TRACE.
    """
    params.at_most(3)
    ledger = context.backends.ledger
    request = params.read(0, lambda value: parse_request(value, ledger, context.limits))
    at = state_height(ledger, params, 1)
    tracer = _tracer(context, params, 2)
    return tracer.render(ledger.trace_call(request, at, tracer.options))


def get_raw_header(context: Context, params: Params) -> Json:
    """Answer ``debug_getRawHeader``."""
    params.at_most(1)
    return data(_existing_block(context.backends.ledger, params).header.raw)


def get_raw_block(context: Context, params: Params) -> Json:
    """Answer ``debug_getRawBlock``."""
    params.at_most(1)
    return data(_existing_block(context.backends.ledger, params).raw)


def get_raw_receipts(context: Context, params: Params) -> Json:
    """Answer ``debug_getRawReceipts``."""
    params.at_most(1)
    ledger = context.backends.ledger
    height = _existing_block(ledger, params).header.height
    return [data(receipt.raw) for receipt in ledger.load_receipts(Height(height))]


def _existing_block(ledger: LedgerBackend, params: Params) -> BlockRecord:
    at = params.read(0, lambda value: find_height(ledger, value))
    block = None if at is None else ledger.load_block(at)
    if block is None:
        raise NotFound("block not found", block=str(params.values[0])[:80])
    return block


def _tracer(context: Context, params: Params, index: int) -> Tracer:
    fields: Mapping[str, Json] = params.optional(index, parse_object, {})
    name = fields.get("tracer")
    steps = context.limits.trace_step_max
    size = context.limits.trace_size_max_bytes
    if name == CALL_TRACER:
        config = parse_object(fields.get("tracerConfig") or {})
        return Tracer(
            options=TraceOptions(has_steps=False, step_count_max=steps, size_max_bytes=size),
            is_call_tracer=True,
            is_top_only=_flag(config, "onlyTopCall"),
        )
    if name is not None:
        raise NotSupported("tracer: only callTracer and the default struct logger are offered")
    limit = fields.get("limit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise InvalidParams(f"invalid argument {index}: limit must be a number")
    return Tracer(
        options=TraceOptions(
            has_stack=not _flag(fields, "disableStack"),
            has_memory=_flag(fields, "enableMemory"),
            has_storage=not _flag(fields, "disableStorage"),
            has_return_data=_flag(fields, "enableReturnData"),
            step_count_max=steps,
            size_max_bytes=size,
        )
    )


def _flag(fields: Mapping[str, Json], name: str) -> bool:
    value = fields.get(name)
    return False if value is None else parse_bool(value)


METHODS: Final[MethodTable] = {
    "debug_traceTransaction": Method(run=trace_transaction, cost=2_000, lane=Lane.RUN),
    "debug_traceBlockByNumber": Method(run=trace_block, cost=4_000, lane=Lane.RUN),
    "debug_traceBlockByHash": Method(run=trace_block, cost=4_000, lane=Lane.RUN),
    "debug_traceCall": Method(run=trace_call, cost=2_000, lane=Lane.RUN),
    "debug_getRawHeader": Method(run=get_raw_header, cost=4),
    "debug_getRawBlock": Method(run=get_raw_block, cost=10, lane=Lane.READ),
    "debug_getRawReceipts": Method(run=get_raw_receipts, cost=10, lane=Lane.READ),
    "debug_getRawTransaction": Method(run=get_raw_transaction_by_hash, cost=4),
}
