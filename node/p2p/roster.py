"""What this node knows of every member: connected or why not, scores, back-off, certificates.

One record per member of the membership document, kept across connections, so that a status can
always say who is missing and for which reason. Pure; time comes as an argument.

Spec: WIRE-STATUS, WIRE-MESH.
"""

import random
from dataclasses import dataclass, field
from typing import Final

from node.membership.document import Member, Membership
from node.p2p.handshake import describe_membership_mismatch
from node.p2p.limits import BAN_MS, Offence, Score, backoff_ms
from node.p2p.peer import PeerConnection
from node.p2p.socket import Ending
from node.primitives.types import Address, BlockHash, Height

CERTIFICATE_WARN_DAYS: Final = 30
"""A certificate or membership document with fewer days left is warned of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """A member as operators see it."""

    node: Address
    """Its node key."""
    name: str
    """Its name in the membership document."""
    municipality: str
    """Whose node it is."""
    role: str
    """Its role in the membership document."""
    is_connected: bool
    """A connection stands."""
    why_not: str
    """When not connected: the last reason, in words."""
    is_dialled: bool
    """We opened the connection."""
    address: str
    """Where it is connected from or to; empty when not."""
    agent: str
    """Its software."""
    height: Height | None
    """Height of its head, as it says."""
    block_hash: BlockHash | None
    """Hash (b) of its head, as it says."""
    oldest_height: Height | None
    """Lowest height it serves."""
    snapshot_height: Height | None
    """Newest snapshot it serves; 0 for none."""
    latency_ms: int | None
    """Round trip of the last ping."""
    clock_offset_ms: int | None
    """Its clock minus ours."""
    connected_ms: int
    """How long the connection stands; 0 when not connected."""
    score: int
    """Points of misbehaviour left."""
    offences: tuple[tuple[str, int], ...]
    """How often each offence was seen."""
    dropped_count: int
    """Frames dropped because it reads too slowly."""
    certificate_days_left: int | None
    """Days until its certificate should be renewed, as last seen."""
    membership_mismatch: str
    """How its membership document differs from ours; empty when it does not."""


@dataclass(slots=True)
class Entry:
    """Everything remembered about one member."""

    member: Member
    """As the document in force names it."""
    connection: PeerConnection | None = None
    """The connection that stands."""
    failures: int = 0
    """Attempts in a row that led to no connection."""
    last_ending: Ending | None = None
    """Why there is no connection, or why the last one ended."""
    score: Score = field(default_factory=Score)
    """Its offences."""
    banned_until_ms: int = 0
    """Neither dialled nor let in before this."""
    certificate_not_after_s: int | None = None
    """Of the certificate last seen."""

    def offend(self, offence: Offence, now_ms: int) -> bool:
        """Count an offence; at the limit the node is banned for a while.

        Spec: WIRE-SCORE.
        """
        must_go = self.score.add(offence, now_ms)
        if must_go:
            self.banned_until_ms = now_ms + BAN_MS
        return must_go

    def wait_ms(self, now_ms: int, dice: random.Random) -> int:
        """Return how long to wait before dialling again.

        Spec: WIRE-BACKOFF.
        """
        ban_ms = max(0, self.banned_until_ms - now_ms)
        return max(ban_ms, backoff_ms(self.failures, dice) if self.failures else 0)

    def why_not(self, now_ms: int) -> str:
        """Say why the member is not connected.

        Spec: WIRE-STATUS.
        """
        if self.connection is not None:
            return ""
        ban_s = (self.banned_until_ms - now_ms) // 1_000
        ban = f"; kept out for {ban_s} s" if ban_s > 0 else ""
        if self.last_ending is None:
            hint = "" if self.member.endpoints else " and its entry names no endpoint"
            return f"no contact since this node started{hint}{ban}"
        side = " (they say)" if self.last_ending.is_theirs and self.last_ending.detail else ""
        return f"{self.last_ending.reason}: {self.last_ending.detail}{side}{ban}"

    def status(self, ours: Membership, *, now_ms: int, now_s: int) -> PeerStatus:
        """Return the member as operators see it."""
        peer = self.connection
        told = peer.status if peer is not None else None
        left = self.certificate_not_after_s
        return PeerStatus(
            node=self.member.address,
            name=self.member.name,
            municipality=self.member.municipality,
            role=self.member.role.value,
            is_connected=peer is not None,
            why_not=self.why_not(now_ms),
            is_dialled=peer is not None and peer.is_dialled,
            address=peer.address if peer is not None else "",
            agent=peer.facts.agent if peer is not None else "",
            height=told.height if told is not None else None,
            block_hash=told.block_hash if told is not None else None,
            oldest_height=told.oldest_height if told is not None else None,
            snapshot_height=told.snapshot_height if told is not None else None,
            latency_ms=peer.latency_ms if peer is not None else None,
            clock_offset_ms=peer.clock_offset_ms if peer is not None else None,
            connected_ms=now_ms - peer.connected_at_ms if peer is not None else 0,
            score=self.score.at(now_ms),
            offences=tuple((str(each), count) for each, count in sorted(self.score.counts.items())),
            dropped_count=peer.outbound.dropped_count if peer is not None else 0,
            certificate_days_left=None if left is None else (left - now_s) // 86_400,
            membership_mismatch=_mismatch(ours, peer),
        )


def has_precedence(own: Address, other: Address, *, is_dialled: bool) -> bool:
    """Tell whether a connection was dialled by the node with the lower key.

    Of two connections between one pair both ends keep that one.

    Spec: WIRE-MESH.
    """
    dialler, listener = (own, other) if is_dialled else (other, own)
    return dialler < listener


def expiry_warnings(
    *, membership: Membership, certificate_days_left: int, now_s: int, is_member: bool
) -> tuple[str, ...]:
    """Say what of this node must be renewed soon. Nothing stops when it is not.

    Spec: WIRE-EXPIRY.
    """
    warnings = []
    if certificate_days_left < CERTIFICATE_WARN_DAYS:
        warnings.append(
            f"TLS certificate: {_when(certificate_days_left)}; restart the node to renew it"
        )
    days = membership.days_left(now_s)
    if days < CERTIFICATE_WARN_DAYS:
        warnings.append(
            f"membership document version {membership.version}: {_when(days)}; "
            "issue the next with: daicho membership build"
        )
    if not is_member:
        warnings.append("this node's key is not in the membership document; peers refuse it")
    return tuple(warnings)


def _when(days_left: int) -> str:
    return f"{days_left} days left" if days_left >= 0 else f"overdue by {-days_left} days"


def _mismatch(ours: Membership, peer: PeerConnection | None) -> str:
    if peer is None:
        return ""
    if peer.status is None:
        version, hash_there = peer.facts.membership_version, peer.facts.membership_hash
    else:
        version, hash_there = peer.status.membership_version, peer.status.membership_hash
    return describe_membership_mismatch(ours, version, hash_there)
