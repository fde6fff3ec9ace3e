"""The founders' decisions as they write them down: a small TOML or JSON file.

Unknown keys are refused, so a misspelt decision never goes unnoticed.

Spec: EXEC-GENESIS-CONTRACTS.
"""

from collections.abc import Mapping, Set
from typing import Final

from node.genesis.build import GenesisDescription
from node.genesis.document import UINT64_MAX, InvalidGenesis, as_hex, as_object, as_uint
from node.genesis.system_contracts import Municipality, MunicipalityRole, OpenCall
from node.primitives.types import ZERO_ADDRESS, ZERO_HASH, Address, Hash32

NUMBERS: Final = frozenset(
    (
        "block_gas_limit",
        "transaction_gas_max",
        "block_period_s",
        "heartbeat_s",
        "epoch_length",
        "request_timeout_s",
        "request_timeout_cap_s",
    )
)
"""Parameters with a default."""

_KEYS: Final = NUMBERS | {
    "chain_id",
    "timestamp_s",
    "municipality",
    "governors",
    "open_call",
    "fork_document_hash",
}
_MUNICIPALITY_KEYS: Final = frozenset(
    ("name", "account", "validator", "role", "endpoint", "services", "attesters")
)
_OPEN_CALL_KEYS: Final = frozenset(("target", "selector", "gas_max"))


def parse_description(record: Mapping[str, object]) -> GenesisDescription:
    """Read the founders' decisions.

    Raises:
        InvalidGenesis: A key is unknown or missing, or a value of the wrong form.
    """
    _check_keys(record, _KEYS, "description")
    numbers = {
        name: as_uint(record[name], name, UINT64_MAX) for name in sorted(NUMBERS & set(record))
    }
    fork_document_hash = record.get("fork_document_hash", "0x" + ZERO_HASH.hex())
    return GenesisDescription(
        chain_id=as_uint(_need(record, "chain_id"), "chain_id", UINT64_MAX),
        timestamp_s=as_uint(_need(record, "timestamp_s"), "timestamp_s", UINT64_MAX),
        municipalities=tuple(
            _parse_municipality(as_object(entry, "municipality"))
            for entry in _list_of(_need(record, "municipality"), "municipality")
        ),
        governors=_addresses(_need(record, "governors"), "governors"),
        open_calls=tuple(
            _parse_open_call(as_object(entry, "open_call"))
            for entry in _list_of(record.get("open_call", []), "open_call")
        ),
        fork_document_hash=Hash32(as_hex(fork_document_hash, "fork_document_hash", 32)),
        accounts={},
        **numbers,
    )


def _parse_municipality(record: Mapping[str, object]) -> Municipality:
    _check_keys(record, _MUNICIPALITY_KEYS, "municipality")
    role = _text(record.get("role", "validator"), "role")
    if role not in ("validator", "observer"):
        raise InvalidGenesis(f"municipality role {role}: expected validator or observer")
    is_validator = role == "validator"
    validator = ZERO_ADDRESS
    if is_validator or "validator" in record:
        validator = Address(as_hex(_need(record, "validator"), "validator", 20))
    return Municipality(
        name=_text(_need(record, "name"), "name"),
        account=Address(as_hex(_need(record, "account"), "account", 20)),
        validator=validator,
        role=MunicipalityRole.VALIDATOR if is_validator else MunicipalityRole.OBSERVER,
        endpoint=_text(record.get("endpoint", ""), "endpoint"),
        services=_addresses(record.get("services", []), "services"),
        attesters=_addresses(record.get("attesters", []), "attesters"),
    )


def _parse_open_call(record: Mapping[str, object]) -> OpenCall:
    _check_keys(record, _OPEN_CALL_KEYS, "open_call")
    return OpenCall(
        target=Address(as_hex(_need(record, "target"), "target", 20)),
        selector=as_hex(_need(record, "selector"), "selector", 4),
        gas_max=as_uint(_need(record, "gas_max"), "gas_max", UINT64_MAX),
    )


def _check_keys(record: Mapping[str, object], known: Set[str], what: str) -> None:
    unknown = sorted(set(record) - known)
    if unknown:
        raise InvalidGenesis(
            f"{what}: unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )


def _need(record: Mapping[str, object], name: str) -> object:
    if name not in record:
        raise InvalidGenesis(f"genesis description: {name} is missing; add it")
    return record[name]


def _list_of(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise InvalidGenesis(f"{what}: expected a list")
    return value


def _addresses(value: object, what: str) -> tuple[Address, ...]:
    return tuple(Address(as_hex(entry, what, 20)) for entry in _list_of(value, what))


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise InvalidGenesis(f"{what}: expected printable text")
    return value
