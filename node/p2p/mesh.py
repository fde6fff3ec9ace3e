"""The mesh: one connection to every other member, dialled, accepted and lost by rule.

Both ends of a pair may dial; of two connections the one dialled by the lower key stays. What
travels over a connection is the network's concern.

Spec: WIRE-MESH, WIRE-RELOAD.
"""

import asyncio
import logging
import random
import secrets
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from node.membership.document import Endpoint, Member, Membership
from node.membership.signatures import check_membership, check_successor
from node.p2p import frames
from node.p2p.certificates import (
    NodeIdentity,
    PeerCertificate,
    TlsFiles,
    check_curve,
    configure_tls,
    load_tls_identity,
    trust_anchors_pem,
)
from node.p2p.dialler import Dialler
from node.p2p.greeting import Greeter
from node.p2p.handshake import HandshakeRefused, LocalPeer, PeerFacts, Refusal
from node.p2p.limits import Lane, Offence
from node.p2p.listener import Listener
from node.p2p.peer import PeerConnection
from node.p2p.roster import Entry, PeerStatus, expiry_warnings, has_precedence
from node.p2p.socket import (
    ConnectionEnded,
    Ending,
    Timings,
    WebSocket,
    cut_off,
    refusal_of,
    say_goodbye,
)
from node.p2p.source import LedgerSource, PeerClock
from node.primitives.errors import InvalidInput, Misconfigured, Unavailable
from node.primitives.types import Address

POLL_MS: Final = 200
"""How soon a lost connection is noticed by the task that dials."""

_log = logging.getLogger("daicho.p2p")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSetup:
    """What a node brings to its network."""

    identity: NodeIdentity
    """The node key, or the remote signer that has it."""
    tls: TlsFiles
    """Files of the TLS key and certificate."""
    local: LocalPeer
    """Version, genesis and fork document that peers must share."""
    source: LedgerSource
    """What peers may ask of us."""
    clock: PeerClock
    """Wall and monotonic time."""
    dice: random.Random
    """Jitter of back-off; not secret."""
    host: str
    """Address of the interface listened on."""
    port: int
    """TCP port; 0 lets the system choose."""
    timings: Timings = field(default_factory=Timings)
    """Deadlines; other than the defaults in tests only."""
    draw_nonce: Callable[[int], bytes] = secrets.token_bytes
    """Fresh unpredictable bytes for handshakes."""


class Traffic(Protocol):
    """What the mesh tells the network above it."""

    def receive(self, peer: PeerConnection, frame: frames.Gossip, size: int) -> None:
        """Take a gossiped frame. Must not block."""
        ...

    def greet_status(self) -> frames.Status:
        """Return the status sent first over a new connection."""
        ...

    def connection_changed(self, peer: PeerConnection, *, is_connected: bool) -> None:
        """Hear that a peer came or went."""
        ...


class Mesh:
    """Connections to all members of the network."""

    def __init__(self, setup: NetworkSetup, membership: Membership, traffic: Traffic) -> None:
        """Hold what ``start`` needs."""
        self._refusals: dict[str, int] = {}
        self._setup = setup
        self._membership = membership
        self._traffic = traffic
        self._roster: dict[Address, Entry] = {}
        self._dialling: dict[Address, asyncio.Task[None]] = {}
        self._contexts: tuple[ssl.SSLContext, ...] = ()
        self._certificate: PeerCertificate | None = None
        self._listener: Listener | None = None
        self._dialler: Dialler | None = None
        self._visits: set[asyncio.Task[None]] = set()

    # Life

    async def start(self) -> None:
        """Listen and begin to dial every member.

        Raises:
            Misconfigured: TLS files, membership document or listening address are unusable.
        """
        try:
            check_membership(self._membership, genesis_hash=self._setup.local.genesis_hash)
        except InvalidInput as error:
            raise Misconfigured(f"{error.message}; install a document for this network") from error
        check_curve()
        certificate = load_tls_identity(self._setup.tls, identity=self._setup.identity).certificate
        self._certificate = certificate
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._contexts = (server, client)
        for context in self._contexts:
            configure_tls(context)
            context.load_cert_chain(self._setup.tls.certificate, self._setup.tls.key)
        self._trust(self._membership.members)
        timings = self._setup.timings
        door_ms = timings.handshake_ms + timings.farewell_ms
        self._listener = Listener(self._accept, server, door_ms)
        self._dialler = Dialler(client, self._setup.timings.handshake_ms)
        await self._dialler.start()
        await self._listener.start(self._setup.host, self._setup.port)
        self._enrol(self._membership)

    async def stop(self) -> None:
        """Tell every peer and close everything."""
        for task in self._dialling.values():
            task.cancel()
        await asyncio.gather(*self._dialling.values(), return_exceptions=True)
        for peer in self.connections():
            peer.end(Refusal.STOPPING.value, "this node is stopping")
        await self._wait_for_farewells()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        if self._listener is not None:
            await self._listener.stop()
        if self._dialler is not None:
            await self._dialler.stop()

    async def _wait_for_farewells(self) -> None:
        """Give every connection, dialled or accepted, the time it may take to say goodbye."""
        for _ in range(2 * self._setup.timings.farewell_ms // 10):
            if not self.connections():
                return
            await asyncio.sleep(0.01)

    def reload(self, document: Membership) -> None:
        """Replace the membership document without a restart. The same one changes nothing.

        Raises:
            InvalidMembership: It may not follow the one in force; that one stays.

        Spec: WIRE-MEMBERSHIP-SUCCESSION, WIRE-RELOAD.
        """
        check_successor(self._membership, document)
        self._membership = document
        self._trust(document.members)
        self._enrol(document)

    def reload_certificate(self) -> None:
        """Present a renewed certificate from the next connection on.

        Raises:
            Misconfigured: The files are unusable; the old certificate stays.
        """
        certificate = load_tls_identity(self._setup.tls, identity=self._setup.identity).certificate
        for context in self._contexts:
            context.load_cert_chain(self._setup.tls.certificate, self._setup.tls.key)
        self._certificate = certificate

    # What operators see

    @property
    def port(self) -> int:
        """Return the port listened on."""
        return self._listener.port if self._listener is not None else 0

    @property
    def membership(self) -> Membership:
        """Return the document in force."""
        return self._membership

    @property
    def certificate(self) -> PeerCertificate:
        """Return what our certificate says to peers. Only after ``start``."""
        assert self._certificate is not None
        return self._certificate

    def peers(self) -> tuple[PeerStatus, ...]:
        """Return the status of every other member, ascending by node key.

        Spec: WIRE-STATUS.
        """
        now_ms, now_s = self._setup.clock.monotonic_ms(), self._setup.clock.now_ms() // 1_000
        return tuple(
            entry.status(self._membership, now_ms=now_ms, now_s=now_s)
            for _node, entry in sorted(self._roster.items())
        )

    @property
    def refusals(self) -> dict[str, int]:
        """Return how many connections were refused, by reason; ``door`` is before any handshake."""
        at_door = self._listener.refused_count if self._listener is not None else 0
        return {**self._refusals, "door": at_door} if at_door else dict(self._refusals)

    def connected(self) -> tuple[Address, ...]:
        """Return the nodes connected now, ascending."""
        return tuple(sorted(peer.node for peer in self.connections()))

    def warnings(self) -> tuple[str, ...]:
        """Say what of this node must be renewed soon.

        Spec: WIRE-EXPIRY.
        """
        now_s = self._setup.clock.now_ms() // 1_000
        return expiry_warnings(
            membership=self._membership,
            certificate_days_left=self.certificate.days_left(now_s),
            now_s=now_s,
            is_member=self._membership.find(self._setup.local.node) is not None,
        )

    def connections(self) -> list[PeerConnection]:
        """Return the connections that stand."""
        found = [entry.connection for entry in self._roster.values()]
        return [peer for peer in found if peer is not None]

    def find(self, node: Address) -> PeerConnection | None:
        """Return the connection to ``node``, or None."""
        entry = self._roster.get(node)
        return entry.connection if entry is not None else None

    # Receiver of the connections

    def receive(self, peer: PeerConnection, frame: frames.Gossip, size: int) -> None:
        """Hand what a peer says to the network."""
        self._traffic.receive(peer, frame, size)

    def offend(self, node: Address, offence: Offence) -> bool:
        """Count an offence of a node and tell whether its connection must end.

        Spec: WIRE-SCORE.
        """
        entry = self._roster.get(node)
        if entry is None:
            return True
        must_go = entry.offend(offence, self._setup.clock.monotonic_ms())
        _tell(logging.WARNING, "peer misbehaved", peer=entry.member.name, offence=str(offence))
        return must_go

    # Connections

    def _enrol(self, document: Membership) -> None:
        """Bring roster, connections and dialling in line with the document in force.

        Spec: WIRE-RELOAD.
        """
        others = {
            member.address: member
            for member in document.members
            if member.address != self._setup.local.node
        }
        for node in sorted(set(self._roster) - set(others)):
            entry = self._roster.pop(node)
            self._dialling.pop(node).cancel()
            if entry.connection is not None:
                entry.connection.end(
                    Refusal.REMOVED.value, f"not in membership version {document.version}"
                )
        for node, member in others.items():
            known = self._roster.get(node)
            if known is not None:
                known.member = member
                continue
            self._roster[node] = Entry(member=member)
            self._dialling[node] = asyncio.create_task(
                self._keep_connected(node), name=f"dial-{member.name}"
            )

    async def _keep_connected(self, node: Address) -> None:
        """Dial one member whenever it is not connected, with back-off.

        Spec: WIRE-MESH, WIRE-BACKOFF.
        """
        while True:
            entry = self._roster[node]
            if entry.connection is not None or not entry.member.endpoints:
                await asyncio.sleep(POLL_MS / 1_000)
                continue
            wait_ms = entry.wait_ms(self._setup.clock.monotonic_ms(), self._setup.dice)
            own = self._membership.find(self._setup.local.node)
            if node < self._setup.local.node and own is not None and own.endpoints:
                wait_ms = max(wait_ms, self._setup.timings.fallback_ms)
            await asyncio.sleep(wait_ms / 1_000)
            if entry.connection is None:
                endpoints = entry.member.endpoints
                await self._dial(entry, endpoints[entry.failures % len(endpoints)])

    async def _dial(self, entry: Entry, endpoint: Endpoint) -> None:
        assert self._dialler is not None
        entry.failures += 1
        try:
            socket, certificate = await self._dialler.dial(endpoint)
        except Unavailable as error:
            ending = Ending(reason="unreachable", detail=error.message, is_theirs=False)
            self._note_refusal(entry, ending, str(endpoint))
            return
        visit = asyncio.create_task(
            self._visit_dialled(socket, certificate, str(endpoint), entry.member.address)
        )
        self._visits.add(visit)
        visit.add_done_callback(self._forget_visit)
        await asyncio.wait([visit])

    async def _visit_dialled(
        self,
        socket: WebSocket,
        certificate: PeerCertificate,
        address: str,
        expected: Address,
    ) -> None:
        """Run a connection that we opened, and let go of it however it ends."""
        try:
            await self._visit(socket, certificate, address, expected=expected)
        finally:
            await cut_off(socket, self._setup.timings)

    def _forget_visit(self, visit: asyncio.Task[None]) -> None:
        """Log what a connection could not explain; it ended that connection only."""
        self._visits.discard(visit)
        error = None if visit.cancelled() else visit.exception()
        if error is not None:
            _log.error("a connection failed", exc_info=error)

    async def _accept(
        self,
        socket: WebSocket,
        certificate: PeerCertificate,
        address: str,
        on_known: Callable[[], None],
    ) -> None:
        await self._visit(socket, certificate, address, expected=None, on_known=on_known)

    async def _visit(
        self,
        socket: WebSocket,
        certificate: PeerCertificate,
        address: str,
        *,
        expected: Address | None,
        on_known: Callable[[], None] | None = None,
    ) -> None:
        """Shake hands and run the connection until it ends."""
        try:
            facts = await self._greet(socket, certificate, expected)
        except (InvalidInput, HandshakeRefused, ConnectionEnded, Unavailable, OSError) as error:
            ending = refusal_of(error)
            entry = self._roster.get(expected if expected is not None else certificate.node)
            self._note_refusal(entry, ending, address)
            await say_goodbye(socket, ending, self._setup.timings)
            return
        if on_known is not None:
            on_known()
        await self._run(socket, facts, address, is_dialled=expected is not None)

    async def _greet(
        self, socket: WebSocket, certificate: PeerCertificate, expected: Address | None
    ) -> PeerFacts:
        greeter = Greeter(
            identity=self._setup.identity,
            local=self._setup.local,
            membership=self._membership,
            fingerprint=self.certificate.fingerprint,
            draw_nonce=self._setup.draw_nonce,
            timeout_ms=self._setup.timings.handshake_ms,
        )

        def admit(member: Member) -> None:
            self._check_admission(member, is_dialled=expected is not None)

        async with asyncio.timeout(self._setup.timings.handshake_ms / 1_000):
            return await greeter.greet(socket, certificate, expected=expected, admit=admit)

    def _check_admission(self, member: Member, *, is_dialled: bool) -> None:
        """Refuse a proven member that is banned or already connected.

        Raises:
            HandshakeRefused: With the reason.

        Spec: WIRE-MESH, WIRE-SCORE.
        """
        entry = self._roster.get(member.address)
        if entry is None:
            raise HandshakeRefused(
                Refusal.REMOVED, "removed from the membership document", rule="WIRE-MEMBERSHIP"
            )
        ban_ms = entry.banned_until_ms - self._setup.clock.monotonic_ms()
        if ban_ms > 0:
            raise HandshakeRefused(
                Refusal.BACKING_OFF, f"kept out for {ban_ms // 1_000} s", rule="WIRE-SCORE"
            )
        stands = entry.connection
        if stands is None:
            return
        own, other = self._setup.local.node, member.address
        if has_precedence(own, other, is_dialled=stands.is_dialled) and not has_precedence(
            own, other, is_dialled=is_dialled
        ):
            raise HandshakeRefused(Refusal.DUPLICATE, "another connection stands", rule="WIRE-MESH")

    async def _run(
        self, socket: WebSocket, facts: PeerFacts, address: str, *, is_dialled: bool
    ) -> None:
        entry = self._roster.get(facts.member.address)
        if entry is None:
            return
        peer = PeerConnection(
            socket,
            facts,
            is_dialled=is_dialled,
            address=address,
            clock=self._setup.clock,
            timings=self._setup.timings,
            receiver=self,
            source=self._setup.source,
        )
        if entry.connection is not None:
            entry.connection.end(Refusal.DUPLICATE.value, "replaced by a newer connection")
        entry.connection = peer
        entry.certificate_not_after_s = facts.certificate.not_after_s
        entry.failures = 0
        peer.send(self._traffic.greet_status(), Lane.CONTROL)
        _tell(logging.INFO, "peer connected", peer=facts.member.name, address=address)
        self._traffic.connection_changed(peer, is_connected=True)
        try:
            ending = await peer.run()
        finally:
            if entry.connection is peer:
                entry.connection = None
            self._traffic.connection_changed(peer, is_connected=False)
        if entry.connection is None:
            entry.last_ending = ending
        _tell(logging.INFO, "peer left", peer=facts.member.name, reason=ending.reason)

    def _note_refusal(self, entry: Entry | None, ending: Ending, address: str) -> None:
        """Remember and log why a connection did not come about.

        Spec: WIRE-STATUS.
        """
        self._refusals[ending.reason] = self._refusals.get(ending.reason, 0) + 1
        name = "stranger"
        if entry is not None:
            name = entry.member.name
            if ending.reason != Refusal.DUPLICATE.value:
                entry.last_ending = ending
        level = logging.DEBUG if ending.reason == Refusal.DUPLICATE.value else logging.WARNING
        _tell(
            level,
            "connection refused",
            peer=name,
            address=address,
            reason=ending.reason,
            detail=ending.detail,
            by="them" if ending.is_theirs else "us",
        )

    def _trust(self, members: Sequence[Member]) -> None:
        """Let TLS accept certificates that these members issue.

        Anchors of removed members stay until a restart; the handshake refuses them by name.
        """
        pem = trust_anchors_pem(member.public_key for member in members)
        for context in self._contexts:
            context.load_verify_locations(cadata=pem)


def _tell(level: int, sentence: str, **fields: object) -> None:
    _log.log(level, sentence, extra={"ledger_fields": fields})
