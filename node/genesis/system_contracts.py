"""The two contracts that stand from genesis on: their code and their first storage.

No constructor runs at genesis, so the founding municipalities, governors and services are written
into storage directly, at the slots the compiler's layout names. Execution reads the same slots when
it decides who may send (``execution.permissions``).

Spec: PERM-ADDRESS, EXEC-GENESIS-CONTRACTS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from contracts.artifact import load_artifact
from node.genesis.profile import GenesisAccount
from node.primitives.crypto import keccak256
from node.primitives.types import ZERO_ADDRESS, Address

PERMISSIONS_NAME: Final = "AccountPermissions"
MUNICIPALITIES_NAME: Final = "Municipalities"

MUNICIPALITY_COUNT_MAX: Final = 64
"""Most municipalities, as in the contract."""

NAME_SIZE_MAX: Final = 64
"""Longest name of a municipality, in bytes of UTF-8."""

ENDPOINT_SIZE_MAX: Final = 128
"""Longest endpoint, in bytes."""


class MunicipalityRole(IntEnum):
    """Whether a municipality validates, as the contract's flag has it."""

    VALIDATOR = 1
    OBSERVER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Municipality:
    """A founding municipality as its contract records it."""

    name: str
    """1 to 64 bytes of UTF-8."""
    account: Address
    """With which it votes."""
    validator: Address = ZERO_ADDRESS
    """Its validator key's address; zero for an observer."""
    role: MunicipalityRole = MunicipalityRole.VALIDATOR
    """Whether it validates."""
    endpoint: str = ""
    """Where it can be reached; at most 128 bytes."""
    services: tuple[Address, ...] = ()
    """Accounts of its services."""
    attesters: tuple[Address, ...] = ()
    """Those of its services that may attest residents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call open to anyone from the first block on."""

    target: Address
    """Contract."""
    selector: bytes
    """Four bytes."""
    gas_max: int
    """Most gas the call may ask for."""


def mapping_slot(base: int, *keys: bytes) -> int:
    """Compute the slot of a Vyper mapping's entry: keccak of slot and key, once for each key.

    Each key is 32 bytes as the ABI has it: numbers and addresses padded on the left, ``bytes4`` on
    the right.

    Spec: PERM-SLOTS.
    """
    slot = base
    for key in keys:
        slot = int.from_bytes(keccak256(slot.to_bytes(32, "big") + key), "big")
    return slot


def word_of_address(address: Address) -> bytes:
    """Return the 32-byte word of an address."""
    return bytes(12) + address


def word_of_uint(value: int) -> bytes:
    """Return the 32-byte word of a number."""
    return value.to_bytes(32, "big")


def word_of_selector(selector: bytes) -> bytes:
    """Return the 32-byte word of a ``bytes4``."""
    return selector + bytes(28)


def build_municipalities_account(municipalities: Sequence[Municipality]) -> GenesisAccount:
    """Build the account of ``Municipalities`` with its founders, ids from 1 in the order given.

    Spec: EXEC-GENESIS-CONTRACTS.
    """
    layout = load_artifact(MUNICIPALITIES_NAME).layout
    slots: dict[int, int] = {
        layout["municipality_count"].slot: len(municipalities),
        layout["active_mask"].slot: sum(1 << at for at in range(1, len(municipalities) + 1)),
    }
    for number, municipality in enumerate(municipalities, start=1):
        id_slot = mapping_slot(layout["id_of"].slot, word_of_address(municipality.account))
        slots[id_slot] = number
        base = mapping_slot(layout["municipalities"].slot, word_of_uint(number))
        slots |= _record_slots(base, municipality)
    return _account(MUNICIPALITIES_NAME, slots)


def read_municipality_names(account: GenesisAccount) -> tuple[str, ...]:
    """Read the names of the municipalities that vote with an account, by id; stop at a bad one.

    Spec: EXEC-GENESIS-CONTRACTS.
    """
    layout = load_artifact(MUNICIPALITIES_NAME).layout
    slots = dict(account.storage)
    count = slots.get(layout["municipality_count"].slot, 0)
    names: list[str] = []
    for number in range(1, min(count, MUNICIPALITY_COUNT_MAX) + 1):
        base = mapping_slot(layout["municipalities"].slot, word_of_uint(number))
        voter = Address(word_of_uint(slots.get(base + 3, 0))[12:])
        if slots.get(mapping_slot(layout["id_of"].slot, word_of_address(voter))) != number:
            break
        names.append(_read_text(slots, base))
    return tuple(names)


def build_permissions_account(
    municipalities: Sequence[Municipality],
    *,
    governors: Sequence[Address],
    open_calls: Sequence[OpenCall] = (),
) -> GenesisAccount:
    """Build the account of ``AccountPermissions`` with its first governors, services and calls.

    Spec: EXEC-GENESIS-CONTRACTS.
    """
    layout = load_artifact(PERMISSIONS_NAME).layout
    slots: dict[int, int] = {layout["governor_count"].slot: len(governors)}
    for governor in governors:
        slots[mapping_slot(layout["is_governor"].slot, word_of_address(governor))] = 1
    for number, municipality in enumerate(municipalities, start=1):
        count_slot = mapping_slot(layout["service_count"].slot, word_of_uint(number))
        slots[count_slot] = len(municipality.services)
        for service in municipality.services:
            word = word_of_address(service)
            slots[mapping_slot(layout["service_municipality"].slot, word)] = number
        for attester in municipality.attesters:
            slots[mapping_slot(layout["is_attester"].slot, word_of_address(attester))] = 1
    for call in open_calls:
        slot = mapping_slot(
            layout["open_call_gas_max"].slot,
            word_of_address(call.target),
            word_of_selector(call.selector),
        )
        slots[slot] = call.gas_max
    return _account(PERMISSIONS_NAME, slots)


def _record_slots(base: int, municipality: Municipality) -> dict[int, int]:
    """Lay out the struct: name (3 slots), account, validator, role, endpoint (5 slots)."""
    return {
        **_text_slots(base, municipality.name),
        base + 3: int.from_bytes(municipality.account, "big"),
        base + 4: int.from_bytes(municipality.validator, "big"),
        base + 5: int(municipality.role),
        **_text_slots(base + 6, municipality.endpoint),
    }


def _text_slots(base: int, text: str) -> dict[int, int]:
    """Lay out a ``String``: its length, then its bytes padded on the right."""
    data = text.encode()
    slots = {base: len(data)}
    for at in range(0, len(data), 32):
        chunk = data[at : at + 32].ljust(32, b"\x00")
        slots[base + 1 + at // 32] = int.from_bytes(chunk, "big")
    return slots


def _read_text(slots: Mapping[int, int], base: int) -> str:
    size = min(slots.get(base, 0), NAME_SIZE_MAX)
    words = (slots.get(base + 1 + at, 0) for at in range((size + 31) // 32))
    return b"".join(word_of_uint(word) for word in words)[:size].decode(errors="replace")


def _account(name: str, slots: Mapping[int, int]) -> GenesisAccount:
    return GenesisAccount(
        nonce=1,
        code=load_artifact(name).runtime,
        storage=tuple(sorted((slot, value) for slot, value in slots.items() if value)),
    )
