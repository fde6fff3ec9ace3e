"""The handshake over a socket: Hello, Proof and Welcome, each from both ends.

What is checked is in ``handshake``; here the frames are exchanged in order and within the caller's
deadline.

Spec: WIRE-HANDSHAKE.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from node.membership.document import Member, Membership
from node.p2p import handshake
from node.p2p.certificates import NodeIdentity, PeerCertificate
from node.p2p.frames import Frame, Goodbye, Hello, Proof, Welcome
from node.p2p.handshake import HandshakeRefused, LocalPeer, PeerFacts, Refusal, Transcript
from node.p2p.socket import ConnectionEnded, Ending, WebSocket, receive_bytes
from node.p2p.wire import HANDSHAKE_FRAME_SIZE_MAX, NONCE_SIZE, decode_frame, encode_frame
from node.primitives.types import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeter:
    """What this node brings to every handshake."""

    identity: NodeIdentity
    """Signs our proofs."""
    local: LocalPeer
    """What we are and demand."""
    membership: Membership
    """The document in force."""
    fingerprint: bytes
    """SHA-256 of our TLS certificate."""
    draw_nonce: Callable[[int], bytes]
    """Returns so many unpredictable bytes."""
    timeout_ms: int
    """Longest wait for one frame."""

    async def greet(
        self,
        socket: WebSocket,
        certificate: PeerCertificate,
        *,
        expected: Address | None,
        admit: Callable[[Member], None],
    ) -> PeerFacts:
        """Exchange the six frames and return who is there.

        Args:
            socket: An open WebSocket over mutual TLS.
            certificate: What the other end presented.
            expected: The node we dialled; None when it dialled us.
            admit: Called with the proven peer before it is welcomed; raises to refuse it.

        Raises:
            HandshakeRefused: The other end is not who it must be, or differs from us.
            ConnectionEnded: It refused us, said nothing in time, or left.
            MalformedMessage: It sent something else.

        Spec: WIRE-HANDSHAKE.
        """
        nonce = self.draw_nonce(NONCE_SIZE)
        ours = handshake.build_hello(self.local, self.membership, nonce)
        await socket.send_bytes(encode_frame(ours))
        theirs = await self._receive(socket)
        if not isinstance(theirs, Hello):
            raise _out_of_turn(theirs)
        member = handshake.check_hello(
            theirs,
            local=self.local,
            membership=self.membership,
            certificate=certificate,
            expected=expected,
        )
        await self._prove(socket, ours, theirs, certificate, we_dialled=expected is not None)
        admit(member)
        await socket.send_bytes(encode_frame(Welcome()))
        welcome = await self._receive(socket)
        if not isinstance(welcome, Welcome):
            raise _out_of_turn(welcome)
        return PeerFacts(
            member=member,
            certificate=certificate,
            agent=theirs.agent,
            membership_version=theirs.membership_version,
            membership_hash=theirs.membership_hash,
        )

    async def _prove(
        self,
        socket: WebSocket,
        ours: Hello,
        theirs: Hello,
        certificate: PeerCertificate,
        *,
        we_dialled: bool,
    ) -> None:
        """Send our proof and check theirs.

        Spec: WIRE-BINDING.
        """
        fingerprints = (self.fingerprint, certificate.fingerprint)
        transcript = Transcript(
            dialler_hello=ours if we_dialled else theirs,
            listener_hello=theirs if we_dialled else ours,
            dialler_fingerprint=fingerprints[0 if we_dialled else 1],
            listener_fingerprint=fingerprints[1 if we_dialled else 0],
        )
        message = handshake.proof_hash(transcript, signer_dialled=we_dialled)
        signature = await asyncio.to_thread(self.identity.sign, message)
        await socket.send_bytes(encode_frame(Proof(signature=signature)))
        proof = await self._receive(socket)
        if not isinstance(proof, Proof):
            raise _out_of_turn(proof)
        handshake.check_proof(proof, transcript, hello=theirs, signer_dialled=not we_dialled)

    async def _receive(self, socket: WebSocket) -> Frame:
        data = await receive_bytes(socket, self.timeout_ms)
        if len(data) > HANDSHAKE_FRAME_SIZE_MAX:
            raise HandshakeRefused(
                Refusal.MALFORMED,
                f"a handshake frame of {len(data)} bytes, at most {HANDSHAKE_FRAME_SIZE_MAX}",
                rule="WIRE-FRAME-SIZE",
            )
        frame = decode_frame(data)
        if isinstance(frame, Goodbye):
            raise ConnectionEnded(Ending(reason=frame.reason, detail=frame.detail, is_theirs=True))
        return frame


def _out_of_turn(frame: Frame) -> HandshakeRefused:
    return HandshakeRefused(
        Refusal.MALFORMED,
        f"a {type(frame).__name__.lower()} frame out of turn",
        rule="WIRE-HANDSHAKE",
    )
