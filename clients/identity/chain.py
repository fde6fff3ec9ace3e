"""What the ledger says about an address: the records of ``IdentityStatus``, written and read.

The identity service builds calls and reads events; a resident's client and other services read
records from proven storage, without asking anybody. Instants are rounded down to whole buckets
before they leave the service, so that they tell nothing of the minute in which somebody tapped.

Spec: ID-CHAIN-COARSE, ID-CHAIN-EXPIRY.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from clients.identity.lifecycle import FLAG_LIFETIME, FlagStatus
from contracts.artifact import load_artifact
from node.genesis.system_contracts import mapping_slot, word_of_address
from node.primitives.abi import encode
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.receipt import Log
from node.primitives.types import Address
from node.storage.view import StateView

CONTRACT: Final = "IdentityStatus"

BUCKET_S: Final = 6 * 60 * 60
"""Instants on the ledger are multiples of this."""

BATCH_MAX: Final = 100
"""Most addresses in one call."""

LIFETIME_S: Final = int(FLAG_LIFETIME.total_seconds())
"""How long a record lives from its check."""

LEVEL_MAX: Final = 3

STATUS_RECORDED: Final = keccak256(
    b"StatusRecorded(address,uint256,uint256,uint256,uint256,uint256)"
)
"""First topic of the contract's event."""

_RECORD: Final = "record(address[],uint256,uint256,uint256,uint256)"
_ATTEST: Final = "attest_residents(address[],uint256)"
_REVOKE: Final = "revoke_residents(address[])"
_INSTANT_MASK: Final = 2**64 - 1
_BYTE_MASK: Final = 2**8 - 1

_NUMBERS: Final = {
    FlagStatus.VERIFIED: 1,
    FlagStatus.ATTRIBUTES_UNCONFIRMED: 2,
    FlagStatus.GRACE: 3,
    FlagStatus.DOWNGRADED: 4,
    FlagStatus.SUSPENDED: 5,
    FlagStatus.REMOVED: 6,
}
_STATUSES: Final = {number: status for status, number in _NUMBERS.items()}

STANDING: Final = (FlagStatus.VERIFIED, FlagStatus.ATTRIBUTES_UNCONFIRMED, FlagStatus.GRACE)
"""Statuses of a person who counts as identified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRecord:
    """A record about one address, as written."""

    municipality: int
    """Who wrote it; 0 in what is still to be written."""
    status: FlagStatus
    """Never EXPIRED."""
    proofing_level: int
    """How well the person was identified."""
    checked_s: int
    """The instant the authority vouched for, rounded down."""
    expires_s: int
    """From when on it says nothing."""

    def status_at(self, now_s: int) -> FlagStatus:
        """Return the status at an instant.

        Spec: ID-CHAIN-EXPIRY.
        """
        if self.status in (FlagStatus.SUSPENDED, FlagStatus.REMOVED) or now_s < self.expires_s:
            return self.status
        return FlagStatus.EXPIRED

    def is_verified_at(self, now_s: int, *, proofing_level: int) -> bool:
        """Return whether an identified person stands behind the address at an instant."""
        return self.status_at(now_s) in STANDING and self.proofing_level >= proofing_level


def round_down(at: datetime) -> int:
    """Return an instant in seconds, at the beginning of its bucket.

    Spec: ID-CHAIN-COARSE.
    """
    seconds = int(at.astimezone(UTC).timestamp())
    return seconds - seconds % BUCKET_S


def encode_record_call(
    accounts: Sequence[Address], *, status: FlagStatus, proofing_level: int, checked_s: int
) -> bytes:
    """Return the call that writes one record for each address, in the order of their numbers.

    Raises:
        InvalidInput: No address, too many, one twice, or a value out of range.

    Spec: ID-CHAIN-COARSE.
    """
    ordered = _order(accounts)
    if status not in _NUMBERS or not 0 <= proofing_level <= LEVEL_MAX or checked_s % BUCKET_S:
        raise InvalidInput("identity record: status, level or instant out of range")
    numbers = (_NUMBERS[status], proofing_level, checked_s, checked_s + LIFETIME_S)
    return _call(_RECORD, ordered, *numbers)


def encode_attest_call(accounts: Sequence[Address], *, until_s: int) -> bytes:
    """Return the call of ``AccountPermissions`` that lets addresses send until an instant.

    Raises:
        InvalidInput: No address, too many, or one twice.
    """
    return _call(_ATTEST, _order(accounts), until_s)


def encode_revoke_call(accounts: Sequence[Address]) -> bytes:
    """Return the call of ``AccountPermissions`` that takes back that addresses may send.

    Raises:
        InvalidInput: No address, too many, or one twice.
    """
    return _call(_REVOKE, _order(accounts))


def decode_event(log: Log) -> tuple[Address, ChainRecord] | None:
    """Return whom an event of the contract is about and what it says; None for another event."""
    if len(log.topics) != 3 or log.topics[0] != STATUS_RECORDED or len(log.data) != 4 * 32:
        return None
    words = [int.from_bytes(log.data[at : at + 32], "big") for at in range(0, 128, 32)]
    if words[0] not in _STATUSES:
        return None
    record = ChainRecord(
        municipality=int.from_bytes(log.topics[2], "big"),
        status=_STATUSES[words[0]],
        proofing_level=words[1],
        checked_s=words[2],
        expires_s=words[3],
    )
    return Address(log.topics[1][12:]), record


def read_record(view: StateView, contract: Address, account: Address) -> ChainRecord | None:
    """Return the record of an address in a state, None when there is none.

    For ``clients.core.state.read_proven``, so that no node has a say in it.

    Spec: ID-CHAIN-EXPIRY.
    """
    entry = view.load_slot(contract, mapping_slot(_slot(), word_of_address(account)))
    status = entry >> 136 & _BYTE_MASK
    if status not in _STATUSES:
        return None
    return ChainRecord(
        municipality=entry >> 128 & _BYTE_MASK,
        status=_STATUSES[status],
        proofing_level=entry >> 144 & _BYTE_MASK,
        checked_s=entry >> 64 & _INSTANT_MASK,
        expires_s=entry & _INSTANT_MASK,
    )


def _order(accounts: Sequence[Address]) -> list[Address]:
    ordered = sorted(set(accounts))
    if not 0 < len(ordered) == len(accounts) <= BATCH_MAX:
        raise InvalidInput(f"identity record: 1 to {BATCH_MAX} addresses, each once")
    return ordered


def _call(signature: str, *arguments: object) -> bytes:
    types = signature[signature.index("(") + 1 : -1].split(",")
    return keccak256(signature.encode())[:4] + encode(types, list(arguments))


@lru_cache(maxsize=1)
def _slot() -> int:
    return load_artifact(CONTRACT).layout["records"].slot
