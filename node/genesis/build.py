"""Make a genesis file from the decisions the founding municipalities took.

Spec: EXEC-GENESIS-FORM, EXEC-GENESIS-PARAMETERS.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.genesis.checks import BLOCK_FORKS
from node.genesis.document import InvalidGenesis
from node.genesis.parameters import compute_parameters_hash
from node.genesis.parse import parse_genesis
from node.genesis.profile import (
    MUNICIPALITIES_ADDRESS,
    PERMISSIONS_ADDRESS,
    ChainProfile,
    GenesisAccount,
)
from node.genesis.system_contracts import (
    ENDPOINT_SIZE_MAX,
    Municipality,
    OpenCall,
    build_municipalities_account,
    build_permissions_account,
)
from node.primitives.header import DIFFICULTY, MIX_HASH, ExtraData
from node.primitives.types import ZERO_ADDRESS, ZERO_HASH, Address, BlockHash, Hash32
from node.version import PROTOCOL_VERSION

BLOCK_GAS_LIMIT: Final = 30_000_000
"""Gas limit of a block unless the founders choose another."""

TRANSACTION_GAS_MAX: Final = 8_000_000
"""Cap on a transaction's gas unless the founders choose another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisDescription:
    """What the founders decided."""

    chain_id: int
    """EIP-155 chain id."""
    timestamp_s: int
    """Time of the first header, in seconds."""
    municipalities: tuple[Municipality, ...]
    """Founders, in the order of their ids."""
    governors: tuple[Address, ...]
    """Accounts that may create contracts."""
    open_calls: tuple[OpenCall, ...] = ()
    """Calls open to anyone from the start."""
    accounts: Mapping[Address, GenesisAccount] = field(default_factory=dict)
    """Further accounts; none on a real network."""
    block_gas_limit: int = BLOCK_GAS_LIMIT
    """Gas limit of every block."""
    transaction_gas_max: int = TRANSACTION_GAS_MAX
    """Largest gas limit of one transaction."""
    block_period_s: int = 2
    """Least time between two blocks."""
    heartbeat_s: int = 30
    """After this long without content an empty block is made."""
    epoch_length: int = 30_000
    """Heights between two resets of the validator votes."""
    request_timeout_s: int = 4
    """How long round 0 lasts."""
    request_timeout_cap_s: int = 60
    """Longest a round may last."""
    fork_document_hash: Hash32 = ZERO_HASH
    """Keccak of the fork document in force; zero for none."""

    @property
    def validators(self) -> tuple[Address, ...]:
        """Return the validators of the founders, ascending."""
        return tuple(
            sorted(one.validator for one in self.municipalities if one.validator != ZERO_ADDRESS)
        )


def build_genesis(description: GenesisDescription) -> bytes:
    """Build the bytes of a genesis file; the same description gives the same bytes.

    Raises:
        InvalidGenesis: The decisions contradict each other or a bound.

    Spec: EXEC-GENESIS-PARAMETERS.
    """
    _check_addresses(description)
    vanity = compute_parameters_hash(_profile_of(description))
    extra_data = ExtraData(vanity=vanity, validators=description.validators)
    record = {
        "config": _config_of(description),
        "nonce": "0x0",
        "timestamp": hex(description.timestamp_s),
        "extraData": _hex(extra_data.encode()),
        "gasLimit": hex(description.block_gas_limit),
        "difficulty": hex(DIFFICULTY),
        "number": "0x0",
        "mixHash": _hex(MIX_HASH),
        "coinbase": _hex(ZERO_ADDRESS),
        "parentHash": _hex(ZERO_HASH),
        "baseFeePerGas": "0x0",
        "alloc": {
            _hex(address): _account_record(account)
            for address, account in sorted(_alloc_of(description).items())
        },
    }
    data = (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()
    parse_genesis(data)
    return data


def _config_of(description: GenesisDescription) -> dict[str, object]:
    return {
        "chainId": description.chain_id,
        **dict.fromkeys(BLOCK_FORKS, 0),
        "shanghaiTime": 0,
        "zeroBaseFee": True,
        "qbft": {
            "epochLength": description.epoch_length,
            "blockPeriodSeconds": description.block_period_s,
            "requestTimeoutSeconds": description.request_timeout_s,
        },
        "daicho": {
            "protocolVersion": PROTOCOL_VERSION,
            "forkDocumentHash": _hex(description.fork_document_hash),
            "municipalities": [one.name for one in description.municipalities],
            "transactionGasMax": description.transaction_gas_max,
            "heartbeatSeconds": description.heartbeat_s,
            "requestTimeoutCapSeconds": description.request_timeout_cap_s,
        },
    }


def _profile_of(description: GenesisDescription) -> ChainProfile:
    return ChainProfile(
        chain_id=description.chain_id,
        genesis_hash=BlockHash(ZERO_HASH),
        protocol_version=PROTOCOL_VERSION,
        fork_document_hash=description.fork_document_hash,
        validators=description.validators,
        municipality_names=tuple(one.name for one in description.municipalities),
        block_gas_limit=description.block_gas_limit,
        transaction_gas_max=description.transaction_gas_max,
        block_period_s=description.block_period_s,
        heartbeat_s=description.heartbeat_s,
        epoch_length=description.epoch_length,
        request_timeout_ms=description.request_timeout_s * 1_000,
        request_timeout_max_ms=description.request_timeout_cap_s * 1_000,
    )


def _alloc_of(description: GenesisDescription) -> dict[Address, GenesisAccount]:
    return {
        **description.accounts,
        MUNICIPALITIES_ADDRESS: build_municipalities_account(description.municipalities),
        PERMISSIONS_ADDRESS: build_permissions_account(
            description.municipalities,
            governors=description.governors,
            open_calls=description.open_calls,
        ),
    }


def _check_addresses(description: GenesisDescription) -> None:
    """Refuse what the contracts themselves would have refused.

    Spec: EXEC-GENESIS-CONTRACTS.
    """
    founders = description.municipalities
    _refuse_repeated("municipality account", (one.account for one in founders))
    _refuse_repeated("validator", description.validators)
    _refuse_repeated("governor", description.governors)
    _refuse_repeated("service", (service for one in founders for service in one.services))
    for one in founders:
        if len(one.endpoint.encode()) > ENDPOINT_SIZE_MAX:
            _refuse(f"{one.name}: endpoint of over {ENDPOINT_SIZE_MAX} bytes; shorten it")
        if not set(one.attesters) <= set(one.services):
            _refuse(f"{one.name}: an attester is none of its services; list it there too")
        if len(one.services) > 64:
            _refuse(f"{one.name}: over 64 services; remove some")
    for call in description.open_calls:
        if len(call.selector) != 4 or call.gas_max <= 0 or call.target == ZERO_ADDRESS:
            _refuse("open call: expected a target, 4 bytes of selector and a gas cap; correct it")


def _refuse_repeated(what: str, addresses: Iterable[Address]) -> None:
    for address, count in Counter(addresses).items():
        if count > 1 or address == ZERO_ADDRESS:
            _refuse(f"{what} {_hex(address)}: empty or given twice; give each its own")


def _refuse(message: str) -> None:
    raise InvalidGenesis(f"genesis description: {message}", rule="EXEC-GENESIS-CONTRACTS")


def _account_record(account: GenesisAccount) -> dict[str, object]:
    record: dict[str, object] = {"nonce": hex(account.nonce), "balance": hex(account.balance_wei)}
    if account.code:
        record["code"] = _hex(account.code)
    if account.storage:
        record["storage"] = _storage_record(account.storage)
    return record


def _storage_record(storage: Sequence[tuple[int, int]]) -> dict[str, str]:
    return {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in storage}


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
