"""Who may have a transaction in a block: the answer's form and the rule's shape.

The rule itself (``execution.permissions``) is read from the parent's state and handed to the
executor as a function, so that a chain without permissions, a fixture and an auditor's replay run
the same executor. Whoever asks, the answer depends on the parent block (its state and its
timestamp) and the transaction alone.

Spec: EXEC-ADMISSION.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from node.primitives.transaction import Transaction
from node.storage.view import StateView


class AdmissionKind(StrEnum):
    """Why a transaction is admitted."""

    GOVERNOR = "governor"
    """Deploys contracts and configures them."""
    MUNICIPALITY = "municipality"
    """The account with which a municipality votes."""
    SERVICE = "service"
    """An account of a municipality's service."""
    RESIDENT = "resident"
    """An address the hub attested."""
    OPEN_CALL = "open_call"
    """Anyone, calling a listed contract and selector; only if it succeeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A rule's consent to one transaction."""

    kind: AdmissionKind
    """Why it is admitted. An ``OPEN_CALL`` must also succeed (EXEC-OPEN-CALL)."""
    gas_cap: int | None = None
    """Most gas it may ask for; None leaves only the profile's cap."""

    @property
    def must_succeed(self) -> bool:
        """Tell whether a block may hold the transaction only if it does not fail."""
        return self.kind is AdmissionKind.OPEN_CALL


TransactionRule: TypeAlias = Callable[[StateView, int, Transaction], Admission]
"""From the parent's view, its timestamp in seconds (attestations expire by it) and a transaction
to an admission, or InvalidTransaction."""


def admit_all(view: StateView, timestamp_s: int, transaction: Transaction) -> Admission:
    """Admit every transaction: the rule of a chain that has none."""
    del view, timestamp_s, transaction
    return Admission(kind=AdmissionKind.GOVERNOR)
