"""Opens what a node keeps on disk: genesis file, chain, documents; and reads where it stands.

Everything an operator can have wrong is found here, before a socket is opened.

Spec: STORE-OPEN, REC-SIGNED, REC-APPLY.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.consensus.validators import ValidatorTally, tally_at_base
from node.genesis.parse import parse_genesis
from node.genesis.profile import ChainProfile, Genesis
from node.membership.document import Membership, decode_membership
from node.membership.recovery import (
    Recovery,
    apply_recoveries,
    check_signed,
    compute_fork_hash,
    decode_recovery,
    follow_header,
)
from node.membership.signatures import check_membership
from node.primitives.block import Block
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.types import Hash32, Height
from node.settings import Settings, StorageMode
from node.storage.chain import ChainStore, open_chain
from node.storage.first_state import changes_of
from node.storage.leveldb import LevelDbStore
from node.storage.state_store import StateMode

CHAIN_DIRECTORY: Final = "chain"
"""Directory of the database inside the data directory."""

NODE_CACHE_SHARE: Final = 2
"""Trie nodes in memory take as much as one LevelDB cache; both make ``storage.cache_mb``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What the operators agreed on, read and checked."""

    genesis: Genesis
    """The network."""
    membership: Membership
    """Who may connect."""
    recoveries: tuple[Recovery, ...]
    """Recovery documents in force, oldest first."""

    @property
    def profile(self) -> ChainProfile:
        """Return the network's parameters."""
        return self.genesis.profile

    @property
    def fork_hash(self) -> Hash32:
        """Return what peers compare: genesis' fork document and every recovery.

        Spec: REC-HANDSHAKE.
        """
        return compute_fork_hash(self.profile.fork_document_hash, self.recoveries)


def load_documents(settings: Settings) -> Documents:
    """Read genesis, membership and recovery documents.

    Raises:
        Misconfigured: One is missing, malformed, for another network, or not signed.
    """
    genesis = load_genesis(settings.genesis)
    membership = load_membership(settings.p2p.membership)
    recoveries = tuple(load_recovery(path) for path in settings.recoveries)
    try:
        check_membership(membership, genesis_hash=genesis.profile.genesis_hash)
    except InvalidInput as error:
        raise Misconfigured(f"{error.message}; install the right document") from error
    return Documents(genesis=genesis, membership=membership, recoveries=recoveries)


def check_recoveries(documents: Documents, head: Height) -> None:
    """Refuse recovery documents still to be applied that the municipalities did not sign.

    One that the chain has passed is history: its set has sealed blocks since, and the membership
    document may name other governors by now.

    Raises:
        Misconfigured: Too few signatures.

    Spec: REC-SIGNED.
    """
    for document in documents.recoveries:
        if document.height <= head:
            continue
        try:
            check_signed(document, documents.membership)
        except InvalidInput as error:
            raise Misconfigured(f"{error.message}; collect the missing signatures") from error


def load_genesis(path: Path) -> Genesis:
    """Read the genesis file.

    Raises:
        Misconfigured: It is missing or not one this software can run.
    """
    return parse_genesis(_read(path, "genesis"))


def load_membership(path: Path) -> Membership:
    """Read the membership file; who signed it is not judged here.

    Raises:
        Misconfigured: It is missing or malformed.
    """
    try:
        return decode_membership(_read(path, "p2p.membership"))
    except InvalidInput as error:
        raise Misconfigured(f"{path}: {error.message}; ask for the current document") from error


def load_recovery(path: Path) -> Recovery:
    """Read a recovery document; who signed it is not judged here.

    Raises:
        Misconfigured: It is missing or malformed.
    """
    try:
        return decode_recovery(_read(path, "recoveries"))
    except InvalidInput as error:
        raise Misconfigured(f"{path}: {error.message}; ask for the current document") from error


def open_ledger(settings: Settings, genesis: Genesis) -> ChainStore:
    """Open the node's database, beginning it with genesis when it is empty.

    Raises:
        Misconfigured: Locked, not writable, damaged, or of another chain or mode.
        Unavailable: The disk refused.
    """
    mode = StateMode.ARCHIVE if settings.storage.mode is StorageMode.ARCHIVE else StateMode.LIVE
    store = LevelDbStore(settings.data_dir / CHAIN_DIRECTORY)
    return open_chain(
        store,
        genesis=Block(header=genesis.header),
        alloc=changes_of(genesis),
        mode=mode,
        node_cache_size=settings.storage.cache_mb * 2**20 // NODE_CACHE_SHARE,
    )


def load_tally(
    chain: ChainStore, epoch_length: int, recoveries: tuple[Recovery, ...]
) -> ValidatorTally:
    """Return the tally after the head, by replaying the headers of its epoch.

    A node that joined by snapshot holds the headers from its epoch's start on.

    Raises:
        Misconfigured: Headers of the epoch are missing here.

    Spec: QBFT-VOTE-EPOCH, REC-APPLY.
    """
    start = chain.head.height - chain.head.height % epoch_length
    if start < chain.base:
        raise Misconfigured(
            f"the headers from {start} on are needed to know the validators, this database "
            f"begins at {chain.base}; restore a snapshot taken with them"
        )
    base = chain.load_header(Height(start))
    tally = apply_recoveries(tally_at_base(base), base.hash, recoveries)
    for height in range(start + 1, chain.head.height + 1):
        header = chain.load_header(Height(height))
        tally = follow_header(tally, header, epoch_length, recoveries)
    return tally


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"{path}: cannot be read ({error.strerror}); check {what} in the settings"
        ) from error
