"""The parameters of a network: read from a genesis file, and hashed into its first extra data.

Spec: EXEC-GENESIS-CONFIG, EXEC-GENESIS-PARAMETERS.
"""

from collections.abc import Mapping
from typing import Final

from node.genesis.document import GenesisDocument, InvalidGenesis, as_hex, as_uint
from node.genesis.profile import ChainProfile
from node.genesis.system_contracts import MUNICIPALITY_COUNT_MAX, NAME_SIZE_MAX
from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.types import ZERO_HASH, BlockHash, Hash32

GAS_LIMIT_MAX: Final = 10**11
"""Largest block gas limit."""

SECONDS_MAX: Final = 86_400
"""Longest of any time in the file."""

PARAMETERS_DOMAIN: Final = b"daicho genesis parameters"


def build_profile(document: GenesisDocument, genesis_hash: BlockHash) -> ChainProfile:
    """Build the profile of a file whose form allows it.

    Raises:
        InvalidGenesis: A parameter is missing or out of range.

    Spec: EXEC-GENESIS-CONFIG.
    """
    if document.daicho is None:
        raise InvalidGenesis(
            "config.daicho is missing: not a genesis file of this ledger; "
            "make one with `daicho genesis build`",
            rule="EXEC-GENESIS-CONFIG",
        )
    qbft, daicho = document.qbft, document.daicho
    return ChainProfile(
        chain_id=document.chain_id,
        genesis_hash=genesis_hash,
        protocol_version=as_uint(
            _need(daicho, "protocolVersion"), "config.daicho.protocolVersion", 2**32 - 1
        ),
        fork_document_hash=Hash32(
            as_hex(
                daicho.get("forkDocumentHash", "0x" + ZERO_HASH.hex()),
                "config.daicho.forkDocumentHash",
                32,
            )
        ),
        validators=document.validators,
        municipality_names=_names_of(_need(daicho, "municipalities")),
        block_gas_limit=document.gas_limit,
        transaction_gas_max=as_uint(
            _need(daicho, "transactionGasMax"),
            "config.daicho.transactionGasMax",
            GAS_LIMIT_MAX,
        ),
        block_period_s=_seconds(qbft, "blockperiodseconds", 1),
        heartbeat_s=_seconds(daicho, "heartbeatSeconds", 0),
        epoch_length=as_uint(_need(qbft, "epochlength"), "config.qbft.epochlength", 2**32 - 1),
        request_timeout_ms=_seconds(qbft, "requesttimeoutseconds", 1) * 1_000,
        request_timeout_max_ms=_seconds(daicho, "requestTimeoutCapSeconds", 1) * 1_000,
    )


def compute_parameters_hash(profile: ChainProfile) -> Hash32:
    """Compute what the vanity of the first extra data must be: a hash over all parameters.

    Every parameter is thereby committed to by the genesis hash, however the file spells it. The
    genesis hash itself is left out.

    Spec: EXEC-GENESIS-PARAMETERS.
    """
    uint = rlp.encode_uint
    entries: dict[bytes, rlp.Item] = {
        b"block_gas_limit": uint(profile.block_gas_limit),
        b"block_period_s": uint(profile.block_period_s),
        b"chain_id": uint(profile.chain_id),
        b"epoch_length": uint(profile.epoch_length),
        b"fork_document_hash": profile.fork_document_hash,
        b"heartbeat_s": uint(profile.heartbeat_s),
        b"municipality_names": [name.encode() for name in profile.municipality_names],
        b"protocol_version": uint(profile.protocol_version),
        b"request_timeout_max_ms": uint(profile.request_timeout_max_ms),
        b"request_timeout_ms": uint(profile.request_timeout_ms),
        b"transaction_gas_max": uint(profile.transaction_gas_max),
        b"validators": list(profile.validators),
    }
    pairs: list[rlp.Item] = [[name, entries[name]] for name in sorted(entries)]
    return keccak256(rlp.encode([PARAMETERS_DOMAIN, pairs]))


def _seconds(section: Mapping[str, object], name: str, least: int) -> int:
    seconds = as_uint(_need(section, name), f"config {name}", SECONDS_MAX)
    if seconds < least:
        raise InvalidGenesis(
            f"config {name}: expected at least {least}; raise it", rule="EXEC-GENESIS-CONFIG"
        )
    return seconds


def _need(section: Mapping[str, object], name: str) -> object:
    if name not in section:
        raise InvalidGenesis(f"config {name} is missing; add it", rule="EXEC-GENESIS-CONFIG")
    return section[name]


def _names_of(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else []
    is_good = 0 < len(names) <= MUNICIPALITY_COUNT_MAX and all(
        isinstance(name, str) and name.isprintable() and 0 < len(name.encode()) <= NAME_SIZE_MAX
        for name in names
    )
    if not is_good or len(set(names)) != len(names):
        raise InvalidGenesis(
            f"config municipalities: expected 1 to {MUNICIPALITY_COUNT_MAX} different names "
            f"of 1 to {NAME_SIZE_MAX} bytes",
            rule="EXEC-GENESIS-CONFIG",
        )
    return tuple(names)
