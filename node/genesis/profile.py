"""What a genesis file says once it is read: network parameters, first header, first state.

``ChainProfile`` is everything consensus, execution, peers and RPC must agree on; it never changes
while the chain runs. ``parse`` makes these records from a file, ``build`` makes a file.

Spec: PERM-ADDRESS, EXEC-GENESIS-PARAMETERS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.primitives.header import Header
from node.primitives.types import Address, BlockHash, Hash32

PERMISSIONS_ADDRESS: Final = Address(bytes.fromhex("00000000000000000000000000000000da1c0001"))
"""Where ``AccountPermissions`` stands from genesis on."""

MUNICIPALITIES_ADDRESS: Final = Address(bytes.fromhex("00000000000000000000000000000000da1c0002"))
"""Where ``Municipalities`` stands from genesis on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainProfile:
    """The parameters of one network, all committed to by its genesis hash."""

    chain_id: int
    """EIP-155 chain id; also the network id."""
    genesis_hash: BlockHash
    """Hash (b) of the genesis header: the network's name among peers."""
    protocol_version: int
    """Version of the rules; peers with another are refused."""
    fork_document_hash: Hash32
    """Keccak of the fork document in force at genesis; zero when there is none."""
    validators: tuple[Address, ...]
    """The first validators, ascending by bytes."""
    municipality_names: tuple[str, ...]
    """Names of the founding municipalities, by their id on chain (from 1)."""
    block_gas_limit: int
    """Gas limit of every block."""
    transaction_gas_max: int
    """Largest gas limit of one transaction."""
    block_period_s: int
    """Least time between the timestamps of two blocks."""
    heartbeat_s: int
    """After this long without content an empty block is made; 0 makes every empty block."""
    epoch_length: int
    """Heights between two resets of the validator votes."""
    request_timeout_ms: int
    """How long round 0 lasts; doubles each round."""
    request_timeout_max_ms: int
    """Longest a round may last, whatever its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisAccount:
    """An account that exists before the first block."""

    nonce: int = 0
    """Its nonce."""
    balance_wei: int = 0
    """Its balance."""
    code: bytes = b""
    """Its run-time code; no constructor runs."""
    storage: tuple[tuple[int, int], ...] = ()
    """Pairs of slot and value, ascending by slot, no zero values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """A genesis file that passed every check."""

    profile: ChainProfile
    """The network's parameters."""
    header: Header
    """Header of height 0."""
    alloc: Mapping[Address, GenesisAccount]
    """The first state; ``header.state_root`` is its root."""
