"""How much RPC takes and gives: every bound of the server and its methods.

Operator settings with defaults.

Spec: RPC-BOUNDS.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcLimits:
    """Bounds of one RPC server."""

    body_size_max_bytes: int = 5 * 1024 * 1024
    """Bytes of one request body or WebSocket message."""
    batch_count_max: int = 1_000
    """Requests in one batch."""
    response_size_max_bytes: int = 16 * 1024 * 1024
    """Bytes of one response; a batch stops there."""
    params_depth_max: int = 12
    """Nesting of lists and objects in a request."""
    connection_count_max: int = 1_024
    """Open connections, HTTP and WebSocket together."""
    websocket_count_max: int = 256
    """Open WebSockets."""
    request_count_max: int = 256
    """HTTP and WebSocket messages in work at once."""
    read_thread_count: int = 2
    """Threads that read blocks, receipts and proofs."""
    run_thread_count: int = 1
    """Threads that run calls, traces and log searches."""
    lane_queue_max: int = 128
    """Requests of one lane that wait or run."""
    lane_share_max: int = 32
    """Of these, requests of one source."""
    method_timeout_s: float = 20.0
    """Longest a method may take on a thread, waiting included."""
    loop_slice_s: float = 0.005
    """Longest a batch keeps the event loop before others have their turn."""
    read_timeout_s: float = 30.0
    """Longest a client may take to send a request."""
    write_timeout_s: float = 30.0
    """Longest a client may take to receive a message before it is cut off."""
    idle_timeout_s: float = 75.0
    """Longest a connection stays open without a request."""
    rate_per_s: int = 20_000
    """Cost units a source may spend each second."""
    rate_burst: int = 60_000
    """Cost units a source may have saved."""
    rate_sources_max: int = 4_096
    """Sources whose spending is remembered."""
    call_gas_max: int = 30_000_000
    """Gas of a call, an estimate or a traced call."""
    log_block_span_max: int = 100_000
    """Blocks one log search may span."""
    log_count_max: int = 10_000
    """Logs one search may return."""
    topic_choice_max: int = 1_000
    """Addresses, or choices of one topic, in a filter."""
    filter_count_max: int = 1_000
    """Installed filters."""
    filter_idle_max_s: int = 300
    """Seconds a filter lives without being asked."""
    filter_backlog_max: int = 10_000
    """Items a filter collects before it is dropped."""
    subscription_count_max: int = 32
    """Subscriptions of one WebSocket."""
    notification_backlog_max: int = 1_024
    """Notifications that wait for a slow WebSocket before it is cut off."""
    fee_history_max: int = 1_024
    """Blocks in one fee history."""
    proof_slot_max: int = 256
    """Slots in one proof or one storage query."""
    trace_step_max: int = 50_000
    """Steps in one answer."""
    trace_size_max_bytes: int = 16 * 1024 * 1024
    """Bytes of stacks, memory, storage and call data in one answer."""
