"""Who may send a transaction, read from the storage of the two permission contracts.

A pure reader: it computes slots from the committed storage layout and asks the parent's view; no
EVM call is made. The contracts' own view functions judge it in the tests. Which transactions a
block may hold follows from the answer in ``execution.executor``.

Spec: PERM-PARENT, PERM-SLOTS, PERM-ORDER.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from contracts.artifact import load_artifact
from node.execution.admission import Admission, AdmissionKind
from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS
from node.genesis.system_contracts import (
    MUNICIPALITIES_NAME,
    PERMISSIONS_NAME,
    mapping_slot,
    word_of_address,
    word_of_selector,
)
from node.primitives.errors import InvalidTransaction
from node.primitives.transaction import Transaction
from node.primitives.types import ZERO_HASH, Address, Hash32
from node.storage.view import StateView

REMEMBERED_MAX: Final = 20_000
"""Most senders, and most calls, remembered of one state."""

EXPIRY_BITS: Final = 64
"""Low bits of a resident's entry that hold its expiry; the municipality stands above."""


class NotPermitted(InvalidTransaction):
    """A transaction of an account that may not send it."""

    code = "transaction.not_permitted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one account may do in one state, whatever the time."""

    is_governor: bool
    """May create contracts."""
    votes_for: int
    """Id of the active municipality it votes for; 0 for none."""
    serves: int
    """Id of the active municipality whose service it is; 0 for none."""
    resident_until_s: int
    """When its attestation by an active municipality expires; 0 without one."""


class PermissionRule:
    """The ``TransactionRule`` of a chain with permissions; remembers what the last state says.

    What is remembered belongs to one state root and is dropped with it, so the answer depends on
    the parent alone. A ballot from a one-time key is an open call and costs no look-up of its own.
    """

    def __init__(self, count_max: int = REMEMBERED_MAX) -> None:
        """Start with nothing remembered; at ``count_max`` senders or calls begin anew."""
        self._count_max = count_max
        self._remembered = _Remembered(root=ZERO_HASH)

    @property
    def remembered_count(self) -> int:
        """Return how many senders and calls are remembered now."""
        return len(self._remembered.standings) + len(self._remembered.open_calls)

    def __call__(self, view: StateView, timestamp_s: int, transaction: Transaction) -> Admission:
        """Admit ``transaction`` on top of the parent with this view and timestamp.

        Raises:
            NotPermitted: Its sender may not send it.

        Spec: PERM-PARENT, PERM-ORDER.
        """
        remembered = self._remembered
        if remembered.root != view.root or remembered.is_full(self._count_max):
            remembered = self._remembered = _Remembered(root=view.root)
        gas_max = remembered.open_call_gas_max(view, transaction)
        if gas_max and not transaction.value_wei and transaction.gas_limit <= gas_max:
            return Admission(kind=AdmissionKind.OPEN_CALL, gas_cap=gas_max)
        standing = remembered.standing(view, transaction.sender)
        return admit_by_role(transaction, standing, timestamp_s=timestamp_s, open_gas_max=gas_max)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    """What was read from one state."""

    root: Hash32
    standings: dict[Address, Standing] = field(default_factory=dict)
    open_calls: dict[tuple[Address, bytes], int] = field(default_factory=dict)

    def is_full(self, count_max: int) -> bool:
        return len(self.standings) >= count_max or len(self.open_calls) >= count_max

    def standing(self, view: StateView, account: Address) -> Standing:
        standing = self.standings.get(account)
        if standing is None:
            standing = self.standings[account] = read_standing(view, account)
        return standing

    def open_call_gas_max(self, view: StateView, transaction: Transaction) -> int:
        if transaction.to is None or len(transaction.data) < 4:
            return 0
        call = (transaction.to, transaction.data[:4])
        gas_max = self.open_calls.get(call)
        if gas_max is None:
            gas_max = self.open_calls[call] = read_open_call_gas_max(view, *call)
        return gas_max


def admit_by_role(
    transaction: Transaction, standing: Standing, *, timestamp_s: int, open_gas_max: int
) -> Admission:
    """Admit a transaction that is no open call, or say why not.

    Args:
        transaction: What was sent.
        standing: Of its sender.
        timestamp_s: The parent's.
        open_gas_max: Cap of the open call it would be but for its gas or value; 0 for none.

    Raises:
        NotPermitted: No role of the sender allows it.

    Spec: PERM-GOVERNOR, PERM-MUNICIPALITY, PERM-SERVICE, PERM-RESIDENT.
    """
    if standing.is_governor:
        return Admission(kind=AdmissionKind.GOVERNOR)
    if transaction.to is None:
        raise NotPermitted(
            f"sender 0x{transaction.sender.hex()} is no governor and may not create a contract",
            rule="PERM-GOVERNOR",
        )
    if standing.votes_for:
        return Admission(kind=AdmissionKind.MUNICIPALITY)
    if standing.serves:
        return Admission(kind=AdmissionKind.SERVICE)
    if standing.resident_until_s > timestamp_s:
        return Admission(kind=AdmissionKind.RESIDENT)
    raise _refusal(transaction, standing, open_gas_max)


def _refusal(transaction: Transaction, standing: Standing, open_gas_max: int) -> NotPermitted:
    """Say why a sender without a role may not send this.

    Spec: PERM-OPEN-CALL.
    """
    if open_gas_max and transaction.value_wei:
        return NotPermitted("an open call moves no value", rule="PERM-OPEN-CALL")
    if open_gas_max:
        return NotPermitted(
            f"open call: gas limit {transaction.gas_limit}, at most {open_gas_max}",
            rule="PERM-OPEN-CALL",
        )
    role = "is a resident no longer" if standing.resident_until_s else "has no role"
    to = transaction.to or b""
    return NotPermitted(
        f"sender 0x{transaction.sender.hex()} {role}, and the call 0x{transaction.data[:4].hex()} "
        f"of 0x{to.hex()} is not open",
        rule="PERM-ORDER",
    )


def read_standing(view: StateView, account: Address) -> Standing:
    """Read what ``account`` may do in the state of ``view``.

    Spec: PERM-GOVERNOR, PERM-MUNICIPALITY, PERM-SERVICE, PERM-RESIDENT.
    """
    slots = _slots()
    word = word_of_address(account)
    active = view.load_slot(MUNICIPALITIES_ADDRESS, slots.active_mask)
    attested = _load_permission(view, slots.residents, word)
    is_attested = _is_active(active, attested >> EXPIRY_BITS)
    votes_for = view.load_slot(MUNICIPALITIES_ADDRESS, mapping_slot(slots.id_of, word))
    serves = _load_permission(view, slots.service_municipality, word)
    return Standing(
        is_governor=_load_permission(view, slots.is_governor, word) != 0,
        votes_for=votes_for if _is_active(active, votes_for) else 0,
        serves=serves if _is_active(active, serves) else 0,
        resident_until_s=attested & ((1 << EXPIRY_BITS) - 1) if is_attested else 0,
    )


def read_open_call_gas_max(view: StateView, target: Address, selector: bytes) -> int:
    """Read the gas cap of an open call; 0 when the call is not open.

    Spec: PERM-OPEN-CALL.
    """
    words = (word_of_address(target), word_of_selector(selector))
    return _load_permission(view, _slots().open_call_gas_max, *words)


def _is_active(active: int, municipality: int) -> bool:
    return 0 < municipality < 256 and bool(active >> municipality & 1)


def _load_permission(view: StateView, base: int, *keys: bytes) -> int:
    return view.load_slot(PERMISSIONS_ADDRESS, mapping_slot(base, *keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slots:
    """Where the variables that matter here are stored."""

    active_mask: int
    id_of: int
    is_governor: int
    service_municipality: int
    residents: int
    open_call_gas_max: int


@lru_cache(maxsize=1)
def _slots() -> _Slots:
    municipalities = load_artifact(MUNICIPALITIES_NAME).layout
    permissions = load_artifact(PERMISSIONS_NAME).layout
    return _Slots(
        active_mask=municipalities["active_mask"].slot,
        id_of=municipalities["id_of"].slot,
        is_governor=permissions["is_governor"].slot,
        service_municipality=permissions["service_municipality"].slot,
        residents=permissions["residents"].slot,
        open_call_gas_max=permissions["open_call_gas_max"].slot,
    )
