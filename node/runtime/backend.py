"""What a running node tells RPC of its consensus, and lets its operator do.

Called from the RPC thread: it reads immutable records (the core's state, committed headers) and
hands every change over to the node's own loop.

Spec: RPC-BACKEND, RPC-ADMIN.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.consensus.proposer import select_proposer
from node.consensus.quorum import quorum_size
from node.consensus.state import State, Step
from node.log import set_log_level
from node.p2p.network import PeerNetwork
from node.p2p.roster import PeerStatus
from node.primitives.errors import InvalidInput
from node.primitives.types import Address, Height
from node.rpc.backend import ConsensusStatus, Json, SignerMetric, ValidatorStatus
from node.runtime.clock import Clock
from node.runtime.ledger import Documents
from node.runtime.observer import Observer, Presence
from node.runtime.votes import PendingVotes
from node.settings import LogLevel, Settings
from node.storage.chain import ChainStore
from node.version import PROTOCOL_VERSION, VERSION

MISSING_BLOCKS: Final = 8
"""A validator that is not connected and sealed none of so many blocks is called missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """What the answers are made from."""

    settings: Settings
    """The operator's settings."""
    documents: Documents
    """Genesis, membership and recoveries."""
    chain: ChainStore
    """The committed chain."""
    state: Callable[[], State]
    """The core's state now."""
    observer: Observer
    """What was seen of the validators."""
    network: PeerNetwork
    """Who is connected."""
    votes: PendingVotes
    """Our own pending validator votes."""
    clock: Clock
    """Time."""
    stopped_reason: Callable[[], str]
    """Why this node refuses to sign; empty when it does not."""
    reload_membership: Callable[[], None]
    """Reads the membership file again; raises what is wrong with it."""
    load_evidence: Callable[[], Sequence[Mapping[str, Json]]]
    """Stored evidence, newest first."""


class NodeConsensus:
    """``ConsensusBackend`` of a running node."""

    def __init__(self, parts: NodeParts) -> None:
        """Hold the parts."""
        self._parts = parts

    def consensus_status(self) -> ConsensusStatus:
        """Return where consensus stands."""
        parts = self._parts
        state = parts.state()
        peers = {peer.node: peer for peer in parts.network.peers()}
        validators = tuple(
            self._validator_status(state, each, peers.get(each)) for each in state.validators
        )
        round_ms = parts.clock.monotonic_ms() - parts.observer.round_started_ms
        return ConsensusStatus(
            height=state.height,
            round=state.round,
            phase=state.step.value,
            proposer=_proposer(state),
            seconds_in_round=round_ms / 1_000,
            quorum=quorum_size(len(state.validators)),
            validators=validators,
            prepared_by=tuple(sorted(state.prepares)),
            committed_by=tuple(sorted(state.commits)),
            waits_for=parts.stopped_reason() or describe_wait(state, validators),
        )

    def _validator_status(
        self, state: State, address: Address, peer: PeerStatus | None
    ) -> ValidatorStatus:
        member = self._parts.network.membership.find(address)
        seen = self._parts.observer.presence.get(address, Presence())
        is_connected = address == state.validator or (peer is not None and peer.is_connected)
        last = seen.last_sealed
        is_recent = last is not None and last + MISSING_BLOCKS >= state.head.height
        return ValidatorStatus(
            address=address,
            name=member.municipality if member else "",
            is_connected=is_connected,
            last_proposed=seen.last_proposed,
            last_sealed=last,
            is_missing=not is_connected and not is_recent,
        )

    def validators_at(self, at: Height) -> tuple[Address, ...] | None:
        """Return the set that decides the block at a height, or None beyond the head."""
        if at == self._parts.chain.head.height + 1:
            return self._parts.state().validators
        if not self._parts.chain.base <= at <= self._parts.chain.head.height:
            return None
        return self._parts.chain.load_header(at).extra_data.validators

    def pending_votes(self) -> Mapping[Address, bool]:
        """Return our own pending votes: address to add (True) or drop (False)."""
        return {vote.recipient: vote.is_add for vote in self._parts.votes.all()}

    def propose_vote(self, address: Address, *, is_add: bool) -> None:
        """Vote for a validator's addition or removal in our coming blocks."""
        self._parts.votes.propose(address, is_add=is_add)

    def discard_vote(self, address: Address) -> None:
        """Withdraw our pending vote about an address."""
        self._parts.votes.discard(address)

    def signer_metrics(self, start: Height, stop: Height) -> tuple[SignerMetric, ...]:
        """Count who proposed the blocks in [start, stop]."""
        counts: Counter[Address] = Counter()
        last: dict[Address, Height] = dict.fromkeys(self._parts.state().validators, Height(0))
        for at in range(max(start, 1), stop + 1):
            coinbase = self._parts.chain.load_header(Height(at)).coinbase
            counts[coinbase] += 1
            last[coinbase] = Height(at)
        return tuple(
            SignerMetric(address=each, proposed_count=counts[each], last_proposed=last[each])
            for each in sorted(last)
        )

    def request_timeout_s(self) -> int:
        """Return how long round 0 lasts."""
        return self._parts.documents.profile.request_timeout_ms // 1_000

    def evidence(self) -> Sequence[Mapping[str, Json]]:
        """Return the stored evidence of equivocation, newest first, bounded."""
        return self._parts.load_evidence()

    def checkpoint(self) -> Mapping[str, Json]:
        """Return the latest checkpoint: height, hash, state root, validators, seals."""
        head = self._parts.chain.head
        return {
            "height": head.height,
            "hash": _hex(head.hash),
            "stateRoot": _hex(head.state_root),
            "timestamp": head.timestamp_s,
            "validators": [_hex(each) for each in head.extra_data.validators],
            "round": head.extra_data.round,
            "seals": [_hex(each) for each in head.extra_data.seals],
        }

    def config_hashes(self) -> Mapping[str, Json]:
        """Return the hashes that must agree among peers: genesis, membership, fork document."""
        documents, membership = self._parts.documents, self._parts.network.membership
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "genesis": _hex(documents.profile.genesis_hash),
            "membership": _hex(membership.hash),
            "membershipVersion": membership.version,
            "forkDocument": _hex(documents.fork_hash),
        }


class NodeOperator:
    """``OperatorBackend`` of a running node."""

    def __init__(self, parts: NodeParts) -> None:
        """Hold the parts."""
        self._parts = parts

    def node_info(self) -> Mapping[str, Json]:
        """Return who this node is."""
        parts = self._parts
        state = parts.state()
        return {
            "name": parts.settings.name,
            "version": VERSION,
            "protocolVersion": PROTOCOL_VERSION,
            "address": _hex(state.validator) if state.validator else None,
            "isValidator": state.is_validator,
            "genesisHash": _hex(parts.documents.profile.genesis_hash),
            "p2pPort": parts.network.port,
            "storageMode": parts.settings.storage.mode.value,
            "head": parts.chain.head.height,
            "warnings": list(parts.network.warnings()),
            "signing": parts.stopped_reason() or "signing",
        }

    def peers(self) -> Sequence[Mapping[str, Json]]:
        """Return every other member and why it is not connected, when it is not."""
        return [describe_peer(peer) for peer in self._parts.network.peers()]

    def change_log_level(self, level: str, logger: str | None) -> None:
        """Set the level of the node's log.

        Raises:
            InvalidInput: No such level.
        """
        if level.lower() not in tuple(LogLevel):
            raise InvalidInput(f"log level {level[:20]!r}: one of {', '.join(LogLevel)}")
        set_log_level(LogLevel(level.lower()), logger)

    def reload_membership(self) -> Mapping[str, Json]:
        """Read the membership file again and say what changed."""
        before = self._parts.network.membership.version
        self._parts.reload_membership()
        after = self._parts.network.membership
        return {"before": before, "version": after.version, "members": len(after.members)}


def describe_wait(state: State, validators: Sequence[ValidatorStatus]) -> str:
    """Say in one sentence what consensus waits for, naming who is missing."""
    quorum = quorum_size(len(state.validators))
    missing = [each for each in validators if not each.is_connected]
    names = ", ".join(each.name or _hex(each.address) for each in missing)
    proposer = next((each for each in validators if each.address == _proposer(state)), None)
    turn = proposer.name or _hex(proposer.address) if proposer else "nobody"
    if len(validators) - len(missing) < quorum:
        return f"a quorum of {quorum} of {len(validators)}; not connected: {names}"
    what = ""
    match state.step:
        case Step.IDLE:
            what = "other nodes' blocks" if state.is_syncing else "this node's turn as validator"
        case Step.WAITING:
            what = f"the next block to be due, then a proposal of {turn}"
        case Step.PROPOSING:
            what = f"a proposal of {turn}"
        case Step.PREPARING:
            what = f"prepares: {len(state.prepares)} of {quorum}"
        case Step.COMMITTING:
            what = f"commits: {len(state.commits)} of {quorum}"
        case Step.DECIDED:
            what = "the decided block to be written"
    return f"{what}; not connected: {names}" if names else what


def describe_peer(peer: PeerStatus) -> Mapping[str, Json]:
    """Return a member as `admin_peers` shows it."""
    return {
        "name": peer.name,
        "municipality": peer.municipality,
        "role": peer.role,
        "node": _hex(peer.node),
        "connected": peer.is_connected,
        "whyNot": peer.why_not,
        "address": peer.address,
        "agent": peer.agent,
        "height": peer.height,
        "latencyMs": peer.latency_ms,
        "clockOffsetMs": peer.clock_offset_ms,
        "connectedSeconds": peer.connected_ms // 1_000,
        "score": peer.score,
        "offences": dict(peer.offences),
        "dropped": peer.dropped_count,
        "certificateDaysLeft": peer.certificate_days_left,
        "membershipMismatch": peer.membership_mismatch,
    }


def _proposer(state: State) -> Address:
    return select_proposer(state.validators, parent_coinbase=state.head.coinbase, at=state.round)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
