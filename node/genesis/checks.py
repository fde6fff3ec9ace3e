"""Can this software run the network a genesis file describes? Named checks, all of them reported.

Each check names the rule it keeps, what it expected and what it found. ``parse`` refuses a file
with any failed check; ``daicho genesis verify`` prints them all.

Spec: EXEC-GENESIS-CONFIG, EXEC-GENESIS-HEADER, EXEC-GENESIS-VALIDATORS, EXEC-GENESIS-PARAMETERS,
EXEC-GENESIS-CONTRACTS.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from contracts.artifact import load_artifact
from node.genesis.document import GenesisDocument, InvalidGenesis
from node.genesis.parameters import GAS_LIMIT_MAX, build_profile, compute_parameters_hash
from node.genesis.profile import (
    MUNICIPALITIES_ADDRESS,
    PERMISSIONS_ADDRESS,
    ChainProfile,
    GenesisAccount,
)
from node.genesis.system_contracts import (
    MUNICIPALITIES_NAME,
    PERMISSIONS_NAME,
    read_municipality_names,
)
from node.primitives.crypto import keccak256
from node.primitives.header import DIFFICULTY, MIX_HASH, VALIDATOR_COUNT_MAX
from node.primitives.types import ZERO_ADDRESS, ZERO_HASH, Address, BlockHash
from node.version import PROTOCOL_VERSION

CHAIN_ID_MAX: Final = 2**53 - 1
"""Largest chain id; JavaScript clients hold it as a number."""

TRANSACTION_GAS_MIN: Final = 1_000_000
"""Least cap on a transaction's gas; below it contracts cannot be deployed."""

BLOCK_FORKS: Final = (
    "homesteadBlock",
    "eip150Block",
    "eip155Block",
    "eip158Block",
    "byzantiumBlock",
    "constantinopleBlock",
    "petersburgBlock",
    "istanbulBlock",
    "berlinBlock",
    "londonBlock",
)
"""Forks that other clients want named; all are in force from the first block."""

_TOP_KEYS: Final = frozenset(
    (
        "config",
        "nonce",
        "timestamp",
        "extraData",
        "gasLimit",
        "difficulty",
        "number",
        "mixHash",
        "coinbase",
        "parentHash",
        "baseFeePerGas",
        "alloc",
    )
)
_CONFIG_KEYS: Final = frozenset((*BLOCK_FORKS, "chainId", "shanghaiTime", "zeroBaseFee"))
_QBFT_KEYS: Final = frozenset(("epochlength", "blockperiodseconds", "requesttimeoutseconds"))
_DAICHO_KEYS: Final = frozenset(
    (
        "protocolVersion",
        "forkDocumentHash",
        "municipalities",
        "transactionGasMax",
        "heartbeatSeconds",
        "requestTimeoutCapSeconds",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The verdict of one check."""

    name: str
    """What was checked."""
    rule: str
    """Rule it keeps."""
    is_passed: bool
    """Verdict."""
    expected: str
    """What would pass."""
    actual: str
    """What was found."""


def verify_document(
    document: GenesisDocument, *, own_validator: Address | None = None
) -> tuple[Check, ...]:
    """Check a genesis file against everything this software needs of it.

    Args:
        document: The file as read.
        own_validator: When given, must be among the validators.
    """
    return (
        *_check_keys(document),
        *_check_forks(document),
        *_check_header(document),
        *_check_validators(document),
        *_check_parameters(document),
        *_check_contracts(document),
        *(() if own_validator is None else _check_own_key(document, own_validator)),
    )


def _check_keys(document: GenesisDocument) -> Iterator[Check]:
    sections: list[tuple[str, Iterable[str], frozenset[str]]] = [
        ("keys", document.keys, _TOP_KEYS),
        ("config keys", document.config, _CONFIG_KEYS),
        ("config.qbft keys", document.qbft, _QBFT_KEYS),
        ("config.daicho keys", document.daicho or (), _DAICHO_KEYS),
        ("alloc keys", document.unknown_account_keys, frozenset()),
    ]
    for name, keys, known in sections:
        unknown = sorted(set(keys) - known)
        yield _check(
            name, "EXEC-GENESIS-CONFIG", not unknown, "known keys only", ", ".join(unknown) or "-"
        )


def _check_forks(document: GenesisDocument) -> Iterator[Check]:
    config = document.config
    late = [name for name in (*BLOCK_FORKS, "shanghaiTime") if config.get(name, 0) != 0]
    is_shanghai = "shanghaiTime" in config and not late
    yield _check(
        "forks",
        "EXEC-GENESIS-CONFIG",
        is_shanghai,
        "Shanghai from the first block (shanghaiTime 0), no later fork",
        ", ".join(late) or ("shanghaiTime 0" if is_shanghai else "no shanghaiTime"),
    )
    is_free = config.get("zeroBaseFee") is True and document.base_fee_wei == 0
    yield _check("base fee", "EXEC-GENESIS-CONFIG", is_free, "zeroBaseFee true", str(is_free))
    yield _check(
        "chain id",
        "EXEC-GENESIS-CONFIG",
        0 < document.chain_id <= CHAIN_ID_MAX,
        f"1 to {CHAIN_ID_MAX}",
        str(document.chain_id),
    )


def _check_header(document: GenesisDocument) -> Iterator[Check]:
    wanted: dict[str, tuple[object, object]] = {
        "difficulty": (DIFFICULTY, document.difficulty),
        "mixHash": (MIX_HASH, document.mix_hash),
        "nonce": (0, document.nonce),
        "coinbase": (ZERO_ADDRESS, document.coinbase),
        "number": (0, document.number),
        "parentHash": (ZERO_HASH, document.parent_hash),
    }
    for name, (expected, actual) in wanted.items():
        yield _check(
            name, "EXEC-GENESIS-HEADER", expected == actual, _show(expected), _show(actual)
        )
    yield _check(
        "gasLimit",
        "EXEC-GENESIS-HEADER",
        TRANSACTION_GAS_MIN <= document.gas_limit <= GAS_LIMIT_MAX,
        f"{TRANSACTION_GAS_MIN} to {GAS_LIMIT_MAX}",
        str(document.gas_limit),
    )


def _check_validators(document: GenesisDocument) -> Iterator[Check]:
    rule = "EXEC-GENESIS-VALIDATORS"
    validators, extra = document.validators, document.extra_data
    yield _check(
        "validator mode",
        rule,
        bool(validators) and "validatorcontractaddress" not in document.qbft,
        "validators listed in extraData (header voting)",
        f"{len(validators)} listed"
        + (", validator contract named" if "validatorcontractaddress" in document.qbft else ""),
    )
    yield _check(
        "validator count",
        rule,
        len(validators) <= VALIDATOR_COUNT_MAX,
        f"at most {VALIDATOR_COUNT_MAX}",
        str(len(validators)),
    )
    order = ", ".join(_show(validator) for validator in validators)
    is_sorted = list(validators) == sorted(set(validators))
    yield _check("validator order", rule, is_sorted, "ascending by bytes, each once", order)
    is_bare = extra.vote is None and extra.round == 0 and not extra.seals
    yield _check(
        "extraData", rule, is_bare, "no vote, round 0, no seals", "so" if is_bare else "not so"
    )


def _check_parameters(document: GenesisDocument) -> Iterator[Check]:
    rule = "EXEC-GENESIS-CONFIG"
    try:
        profile = build_profile(document, BlockHash(ZERO_HASH))
    except InvalidGenesis as error:
        yield _check("parameters", rule, False, "every parameter, in range", error.message)
        return
    yield _check("parameters", rule, True, "every parameter, in range", "so")
    yield _check(
        "protocol version",
        rule,
        profile.protocol_version == PROTOCOL_VERSION,
        str(PROTOCOL_VERSION),
        str(profile.protocol_version),
    )
    yield from _check_ranges(profile)
    expected = compute_parameters_hash(profile)
    yield _check(
        "parameters hash",
        "EXEC-GENESIS-PARAMETERS",
        document.extra_data.vanity == expected,
        _show(expected),
        _show(document.extra_data.vanity),
    )


def _check_ranges(profile: ChainProfile) -> Iterator[Check]:
    rule = "EXEC-GENESIS-CONFIG"
    ranges = {
        "transaction gas": (
            TRANSACTION_GAS_MIN <= profile.transaction_gas_max <= profile.block_gas_limit,
            f"{TRANSACTION_GAS_MIN} to the block's {profile.block_gas_limit}",
            profile.transaction_gas_max,
        ),
        "heartbeat": (
            profile.heartbeat_s == 0 or profile.heartbeat_s >= profile.block_period_s,
            f"0, or at least the period of {profile.block_period_s} s",
            profile.heartbeat_s,
        ),
        "timeout cap": (
            profile.request_timeout_max_ms >= profile.request_timeout_ms,
            f"at least the base of {profile.request_timeout_ms} ms",
            profile.request_timeout_max_ms,
        ),
        "epoch length": (profile.epoch_length >= 1, "at least 1", profile.epoch_length),
    }
    for name, (is_passed, expected, actual) in ranges.items():
        yield _check(name, rule, is_passed, expected, str(actual))


def _check_contracts(document: GenesisDocument) -> Iterator[Check]:
    rule = "EXEC-GENESIS-CONTRACTS"
    standing = {
        PERMISSIONS_NAME: PERMISSIONS_ADDRESS,
        MUNICIPALITIES_NAME: MUNICIPALITIES_ADDRESS,
    }
    for name, address in standing.items():
        code_hash = keccak256(document.alloc.get(address, GenesisAccount()).code)
        expected = keccak256(load_artifact(name).runtime)
        yield _check(f"{name} code", rule, code_hash == expected, _show(expected), _show(code_hash))
    governor_count = _slot(document, PERMISSIONS_NAME, PERMISSIONS_ADDRESS, "governor_count")
    yield _check("governors", rule, governor_count > 0, "at least 1", str(governor_count))
    standing_names = read_municipality_names(
        document.alloc.get(MUNICIPALITIES_ADDRESS, GenesisAccount())
    )
    names = document.daicho.get("municipalities") if document.daicho else None
    listed = tuple(names) if isinstance(names, list) else ()
    yield _check(
        "municipalities",
        rule,
        standing_names == listed != (),
        ", ".join(map(str, listed)) or "at least 1",
        ", ".join(standing_names) or "none",
    )


def _check_own_key(document: GenesisDocument, own_validator: Address) -> Iterator[Check]:
    yield _check(
        "own validator key",
        "EXEC-GENESIS-VALIDATORS",
        own_validator in document.validators,
        f"{_show(own_validator)} listed",
        ", ".join(_show(validator) for validator in document.validators) or "none",
    )


def _slot(document: GenesisDocument, name: str, address: Address, variable: str) -> int:
    storage = dict(document.alloc.get(address, GenesisAccount()).storage)
    return storage.get(load_artifact(name).layout[variable].slot, 0)


def _check(name: str, rule: str, is_passed: bool, expected: str, actual: str) -> Check:
    return Check(name=name, rule=rule, is_passed=is_passed, expected=expected, actual=actual)


def _show(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
