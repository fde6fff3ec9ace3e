"""Who is at the other end: the node key, bound to both certificates and to this connection.

Both ends say Hello, then both prove, then both say Welcome or Goodbye. What is signed covers both
Hellos byte for byte (so both nonces and everything compared), both certificates and who dialled.
A proof is therefore worthless on any other connection: replayed, relayed, reflected, or with a
certificate exchanged. Python's ssl has no exporter, hence fingerprints and fresh nonces.

Pure: bytes, certificates and nonces come as arguments.

Spec: WIRE-HANDSHAKE, WIRE-BINDING, WIRE-MATCH.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.membership.document import Member, Membership
from node.p2p.certificates import PeerCertificate
from node.p2p.frames import Hello, Proof
from node.p2p.wire import encode_frame
from node.primitives import rlp
from node.primitives.crypto import keccak256, recover_address
from node.primitives.errors import InvalidInput, PeerMisbehaviour
from node.primitives.types import Address, BlockHash, Hash32

PROOF_DOMAIN: Final = b"daicho peer handshake v1"
"""Separates these signatures from every other use of the node key."""


class Refusal(StrEnum):
    """Why a connection was refused; sent to the other end and shown in the status."""

    NOT_A_MEMBER = "not_a_member"
    GENESIS_MISMATCH = "genesis_mismatch"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    FORK_DOCUMENT_MISMATCH = "fork_document_mismatch"
    WRONG_NODE = "wrong_node"
    CERTIFICATE_MISMATCH = "certificate_mismatch"
    BAD_PROOF = "bad_proof"
    SELF = "self"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    BACKING_OFF = "backing_off"
    STOPPING = "stopping"
    REMOVED = "removed"


class HandshakeRefused(PeerMisbehaviour):
    """The other end is not who it must be, or does not agree with us."""

    code = "peer.handshake_refused"

    def __init__(self, reason: Refusal, message: str, *, rule: str) -> None:
        super().__init__(f"{reason.value}: {message}", rule=rule, reason=reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPeer:
    """What this node says of itself and demands of others."""

    node: Address
    """Our node key."""
    protocol_version: int
    """The version we speak."""
    genesis_hash: BlockHash
    """Our network."""
    fork_document_hash: Hash32
    """Our fork document; zero when there is none."""
    agent: str
    """Our software, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """Both ends of one connection, as each must have seen them."""

    dialler_hello: Hello
    """Of the end that opened the connection."""
    listener_hello: Hello
    """Of the end that accepted it."""
    dialler_fingerprint: bytes
    """SHA-256 of the dialler's certificate."""
    listener_fingerprint: bytes
    """SHA-256 of the listener's certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFacts:
    """What the handshake established about the other end."""

    member: Member
    """Its entry in our membership document."""
    certificate: PeerCertificate
    """The certificate it presented."""
    agent: str
    """Its software, as it says."""
    membership_version: int
    """Version of its membership document."""
    membership_hash: Hash32
    """Its membership document."""


def build_hello(local: LocalPeer, membership: Membership, nonce: bytes) -> Hello:
    """Build our Hello around 32 fresh random bytes.

    Spec: WIRE-HANDSHAKE.
    """
    return Hello(
        protocol_version=local.protocol_version,
        genesis_hash=local.genesis_hash,
        fork_document_hash=local.fork_document_hash,
        membership_hash=membership.hash,
        membership_version=membership.version,
        node=local.node,
        nonce=nonce,
        agent=local.agent,
    )


def proof_hash(transcript: Transcript, *, signer_dialled: bool) -> Hash32:
    """Return what the dialler (or the listener) signs to prove its node key.

    The signer's side is part of it, so that a proof cannot be sent back to its author.

    Spec: WIRE-BINDING.
    """
    parts = [
        b"\x01" if signer_dialled else b"\x00",
        transcript.dialler_fingerprint,
        transcript.listener_fingerprint,
        encode_frame(transcript.dialler_hello),
        encode_frame(transcript.listener_hello),
    ]
    return keccak256(PROOF_DOMAIN + rlp.encode(parts))


def check_hello(
    hello: Hello,
    *,
    local: LocalPeer,
    membership: Membership,
    certificate: PeerCertificate,
    expected: Address | None,
) -> Member:
    """Refuse a Hello that cannot lead to a connection, before anything is signed for it.

    Args:
        hello: What the other end said.
        local: What we are and demand.
        membership: The document in force.
        certificate: What the other end presented in TLS.
        expected: The node we dialled; None when it dialled us.

    Raises:
        HandshakeRefused: Named by what differs.

    Spec: WIRE-MATCH.
    """
    if hello.genesis_hash != local.genesis_hash:
        raise _mismatch(Refusal.GENESIS_MISMATCH, "genesis", local.genesis_hash, hello.genesis_hash)
    if hello.protocol_version != local.protocol_version:
        raise HandshakeRefused(
            Refusal.PROTOCOL_MISMATCH,
            f"protocol version here {local.protocol_version}, there {hello.protocol_version}",
            rule="WIRE-MATCH",
        )
    if hello.fork_document_hash != local.fork_document_hash:
        raise _mismatch(
            Refusal.FORK_DOCUMENT_MISMATCH,
            "fork document",
            local.fork_document_hash,
            hello.fork_document_hash,
        )
    return _check_identity(
        hello, local=local, membership=membership, certificate=certificate, expected=expected
    )


def check_proof(
    proof: Proof, transcript: Transcript, *, hello: Hello, signer_dialled: bool
) -> None:
    """Refuse a proof that the node key of ``hello`` did not make for this very connection.

    Raises:
        HandshakeRefused: Another key, or another connection.

    Spec: WIRE-BINDING.
    """
    try:
        signer = recover_address(
            proof_hash(transcript, signer_dialled=signer_dialled), proof.signature
        )
    except InvalidInput as error:
        raise HandshakeRefused(
            Refusal.BAD_PROOF, "the proof is no signature", rule="WIRE-BINDING"
        ) from error
    if signer != hello.node:
        raise HandshakeRefused(
            Refusal.BAD_PROOF,
            f"the proof for 0x{hello.node.hex()} was not made by its key for this connection",
            rule="WIRE-BINDING",
        )


def describe_membership_mismatch(ours: Membership, version: int, their_hash: Hash32) -> str:
    """Say how the other end's membership document differs from ours; empty when it does not.

    A difference is named and does not refuse: members replace their files one after another.

    Spec: WIRE-MATCH.
    """
    if ours.hash == their_hash:
        return ""
    return (
        f"membership here version {ours.version} (0x{ours.hash.hex()[:16]}), "
        f"there version {version} (0x{their_hash.hex()[:16]})"
    )


def _check_identity(
    hello: Hello,
    *,
    local: LocalPeer,
    membership: Membership,
    certificate: PeerCertificate,
    expected: Address | None,
) -> Member:
    named = f"0x{hello.node.hex()}"
    if hello.node == local.node:
        raise HandshakeRefused(
            Refusal.SELF, "the other end uses this node's own key", rule="WIRE-HANDSHAKE"
        )
    if expected is not None and hello.node != expected:
        raise HandshakeRefused(
            Refusal.WRONG_NODE, f"dialled 0x{expected.hex()}, met {named}", rule="WIRE-HANDSHAKE"
        )
    if certificate.node != hello.node:
        raise HandshakeRefused(
            Refusal.CERTIFICATE_MISMATCH,
            f"the certificate is of 0x{certificate.node.hex()}, not of {named}",
            rule="WIRE-BINDING",
        )
    member = membership.find(hello.node)
    if member is None:
        raise HandshakeRefused(
            Refusal.NOT_A_MEMBER,
            f"{named} is not in membership version {membership.version}",
            rule="WIRE-MEMBERSHIP",
        )
    return member


def _mismatch(reason: Refusal, what: str, ours: bytes, theirs: bytes) -> HandshakeRefused:
    return HandshakeRefused(
        reason, f"{what} here 0x{ours.hex()}, there 0x{theirs.hex()}", rule="WIRE-MATCH"
    )
