"""What services tell the relay, and what it tells them back: handlers of its inbox, its reports.

An operation that a final block already holds is answered from there and never sent. A service with
too many unsettled operations is asked to wait; its outbox keeps them and tries again.

Spec: RELAY-INTAKE, RELAY-QUOTA.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.types import Address
from services.kit.audit import ROOT_READY
from services.kit.clock import Clock
from services.kit.events import Event, new_event_id, to_milliseconds
from services.kit.intents import STATE_CHANGED, IntentState
from services.kit.outbox import INTENDED, EventConflict, publish
from services.kit.reports import ROOT_ANCHORED
from services.relay import store
from services.relay.operations import (
    DATA_SIZE_MAX,
    InvalidOperation,
    Operation,
    compute_void,
    compute_word,
)
from services.relay.roots import build_anchor, parse_root, read_root

WITHDRAWN: Final = "jp.daicho.chain.withdrawn.v1"
"""Type of the event by which a service gives an operation up."""

_HEX_LENGTH_MAX: Final = 2 + 2 * DATA_SIZE_MAX


class QuotaExceeded(Unavailable):
    """A service has as many unsettled operations as it may; later ones are taken later."""

    code = "relay.quota_exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Takes the events of one municipality's services."""

    tenant: str
    """The municipality."""
    source: str
    """The relay, as in its events."""
    unsettled_max: int
    """Most unsettled operations of one service."""
    anchors: Address
    """Contract that keeps roots."""
    clock: Clock
    """The present."""

    async def handle(self, tx: AsyncConnection, event: Event) -> None:
        """Take one event; an inbox handler.

        Raises:
            InvalidInput: It is of no type the relay knows, or malformed.
            QuotaExceeded: The service must wait.

        Spec: RELAY-INTAKE.
        """
        if event.tenant != self.tenant:
            raise InvalidInput(f"this relay signs for {self.tenant} alone")
        match event.type:
            case str(kind) if kind == INTENDED:
                await self._take(tx, event)
            case str(kind) if kind == ROOT_READY:
                await self._take_root(tx, event)
            case str(kind) if kind == WITHDRAWN:
                await self._withdraw(tx, event)
            case _:
                raise InvalidInput(
                    "expected a request for a transaction or a root, or a withdrawal"
                )

    async def _take(self, tx: AsyncConnection, event: Event) -> None:
        operation_id = _text(event.data.get("operation_id"), "operation_id", 128)
        try:
            operation = _parse_operation(event, operation_id)
        except InvalidOperation as error:
            await self.report(tx, event.source, operation_id, IntentState.FAILED, reason=error.code)
            return
        await self._add(tx, operation)

    async def _take_root(self, tx: AsyncConnection, event: Event) -> None:
        """Take a root to be anchored.

        Spec: RELAY-ROOTS.
        """
        request = parse_root(event)
        await self._add(
            tx, build_anchor(request, tenant=self.tenant, service=event.source, to=self.anchors)
        )

    async def _add(self, tx: AsyncConnection, operation: Operation) -> None:
        """Store an operation that is new, or answer how far a known one has come.

        Spec: RELAY-INTAKE.
        """
        known = await store.find_operation(tx, tenant=self.tenant, word=operation.word)
        if known is not None:
            if known.operation.fingerprint != operation.fingerprint:
                raise EventConflict(
                    f"operation {operation.operation_id} asked for another call before"
                )
            await self.report_known(tx, known)
            return
        await self._check_quota(tx, operation.service)
        await store.add_operation(tx, operation, received_ms=to_milliseconds(self.clock.now()))
        await self.recall(tx, operation)

    async def _check_quota(self, tx: AsyncConnection, service: str) -> None:
        """Keep one service from filling the relay.

        Raises:
            QuotaExceeded: It has ``unsettled_max`` operations under way or waiting.

        Spec: RELAY-QUOTA.
        """
        count = await store.count_unsettled(tx, tenant=self.tenant, service=service)
        if count >= self.unsettled_max:
            raise QuotaExceeded(
                f"{service} has {count} unsettled operations, at most {self.unsettled_max}; "
                "its outbox tries again",
                rule="RELAY-QUOTA",
            )

    async def recall(self, tx: AsyncConnection, operation: Operation) -> bool:
        """Settle an operation by what a final block holds of it; return whether one does.

        Spec: RELAY-INTAKE.
        """
        word = operation.word
        for name, is_void in ((word, False), (compute_void(word), True)):
            outcome = await store.find_settled(tx, tenant=self.tenant, word=name)
            if outcome is not None:
                await self.settle(tx, operation, outcome, is_void=is_void)
                return True
        return False

    async def settle(
        self,
        tx: AsyncConnection,
        operation: Operation,
        outcome: store.Outcome,
        *,
        is_void: bool,
        reason: str | None = None,
        is_failure: bool = False,
    ) -> None:
        """End an operation by a final block, and tell its service.

        Spec: RELAY-FINAL.
        """
        if is_void:
            state = IntentState.FAILED if is_failure else IntentState.REPLACED
            reason = reason or "given up"
        elif outcome.is_success:
            state, reason = IntentState.FINAL, None
        else:
            state, reason = IntentState.FAILED, "the call reverted"
        await store.change_operation(
            tx,
            tenant=self.tenant,
            word=operation.word,
            state=state.value,
            transaction_hash=outcome.transaction_hash,
            height=outcome.height,
            reason=reason,
        )
        await self.report(
            tx,
            operation.service,
            operation.operation_id,
            state,
            transaction_hash=outcome.transaction_hash,
            height=outcome.height,
            reason=reason,
        )
        root = read_root(operation, self.anchors)
        if state is IntentState.FINAL and root is not None:
            await self._tell_anchored(tx, operation, root, outcome)

    async def _tell_anchored(
        self, tx: AsyncConnection, operation: Operation, root: bytes, outcome: store.Outcome
    ) -> None:
        """Tell a service which block holds its root.

        Spec: RELAY-ROOTS.
        """
        data: dict[str, object] = {
            "service": operation.service,
            "root": "0x" + root.hex(),
            "transaction_hash": "0x" + outcome.transaction_hash.hex(),
            "height": outcome.height,
        }
        await self._publish(tx, ROOT_ANCHORED, operation.operation_id, data)

    async def _withdraw(self, tx: AsyncConnection, event: Event) -> None:
        """Note that an operation is no longer wanted; the chain decides whether it was in time.

        Spec: RELAY-REPLACE.
        """
        operation_id = _text(event.data.get("operation_id"), "operation_id", 128)
        word = compute_word(self.tenant, event.source, operation_id)
        known = await store.find_operation(tx, tenant=self.tenant, word=word)
        if known is None:
            raise InvalidInput(f"operation {operation_id}: this service asked for no such call")
        if known.state not in store.ENDS:
            await store.change_operation(tx, tenant=self.tenant, word=word, is_withdrawn=True)

    async def report_known(self, tx: AsyncConnection, known: store.Known) -> None:
        """Tell a service again how far its operation has come."""
        await self.report(
            tx,
            known.operation.service,
            known.operation.operation_id,
            known.state,
            transaction_hash=known.transaction_hash,
            height=known.height,
            reason=known.reason,
        )

    async def report(
        self,
        tx: AsyncConnection,
        service: str,
        operation_id: str,
        state: IntentState,
        *,
        transaction_hash: bytes | None = None,
        height: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Publish how far an operation has come, in the transaction that moved it."""
        data: dict[str, object] = {"service": service, "state": state.value}
        if transaction_hash is not None:
            data["transaction_hash"] = "0x" + transaction_hash.hex()
        if height is not None:
            data["height"] = height
        if reason is not None:
            data["reason"] = reason
        await self._publish(tx, STATE_CHANGED, operation_id, data)

    async def _publish(
        self, tx: AsyncConnection, kind: str, subject: str, data: dict[str, object]
    ) -> None:
        await publish(
            tx,
            Event(
                id=new_event_id(),
                source=self.source,
                type=kind,
                subject=subject,
                tenant=self.tenant,
                time=self.clock.now(),
                data=data,
            ),
        )


def _parse_operation(event: Event, operation_id: str) -> Operation:
    gas_limit = event.data.get("gas_limit")
    if not isinstance(gas_limit, int) or isinstance(gas_limit, bool):
        raise InvalidOperation("gas_limit: expected a number")
    return Operation(
        tenant=event.tenant,
        service=event.source,
        operation_id=operation_id,
        to=Address(_bytes(event.data.get("to"), "to")),
        data=_bytes(event.data.get("data"), "data"),
        gas_limit=gas_limit,
    )


def _text(value: object, what: str, length_max: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= length_max:
        raise InvalidInput(f"{what}: expected text of at most {length_max} characters")
    return value


def _bytes(value: object, what: str) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x") or len(value) > _HEX_LENGTH_MAX:
        raise InvalidOperation(f"{what}: expected 0x and hexadecimal digits")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise InvalidOperation(f"{what}: expected hexadecimal digits") from error
