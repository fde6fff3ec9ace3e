"""WIRE-HANDSHAKE, WIRE-BINDING, WIRE-MATCH: nobody gets in as somebody else, or on other rules.

The attacker is a member with a real key and certificate, or has stolen less than a node key. What
it sends in the handshake is scripted; the node under test is whole.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.p2p import handshake
from node.p2p.certificates import TlsIdentity, create_tls_identity
from node.p2p.frames import Goodbye, Hello, Proof, Welcome
from node.p2p.handshake import LocalPeer, Refusal
from node.p2p.wire import HANDSHAKE_FRAME_SIZE_MAX
from node.primitives.types import BlockHash, Hash32, Signature
from tests.support.peers import (
    NOW_S,
    ScriptedPeer,
    TestNode,
    build_node,
    build_test_member,
    free_port,
    local_peer,
    node_key,
    running,
    scripted,
    signed_membership,
    until,
)

OTHER_HASH = Hash32(b"\x99" * 32)


def one_node(folder: Path) -> tuple[TestNode, ScriptedPeer]:
    """Build a node, and a member that dials it."""
    members = [build_test_member(0, port=free_port()), build_test_member(1), build_test_member(2)]
    document = signed_membership(members)
    return build_node(folder, 0, document), ScriptedPeer(1, document)


async def test_an_honest_script_gets_in(tmp_path: Path) -> None:
    node, visitor = one_node(tmp_path)
    async with running(node), scripted(visitor):
        await visitor.connect(tmp_path, node.network.port)
        await until(node.network.connected)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            {"genesis_hash": BlockHash(OTHER_HASH)}, Refusal.GENESIS_MISMATCH, id="genesis"
        ),
        pytest.param({"protocol_version": 2}, Refusal.PROTOCOL_MISMATCH, id="protocol version"),
        pytest.param(
            {"fork_document_hash": OTHER_HASH}, Refusal.FORK_DOCUMENT_MISMATCH, id="fork document"
        ),
        pytest.param(
            {"node": node_key(2).address}, Refusal.CERTIFICATE_MISMATCH, id="another name"
        ),
        pytest.param({"node": node_key(0).address}, Refusal.SELF, id="the node's own name"),
    ],
)
async def test_a_hello_that_differs_is_refused_and_both_ends_know_why(
    tmp_path: Path, change: dict[str, object], reason: Refusal
) -> None:
    node, visitor = one_node(tmp_path)
    async with running(node), scripted(visitor):
        await visitor.open(tmp_path, node.network.port)
        await visitor.send(visitor.hello(**change))
        farewell = await visitor.farewell()

        assert farewell.reason == reason.value
        assert node.network.connected() == ()
        status = next(p for p in node.network.peers() if p.node == node_key(1).address)
        assert status.why_not.startswith(reason.value)
        assert node.network.refusals[reason.value] == 1


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        pytest.param("genesis_hash", BlockHash(OTHER_HASH), "genesis_mismatch", id="genesis"),
        pytest.param("protocol_version", 2, "protocol_mismatch", id="protocol version"),
        pytest.param(
            "fork_document_hash", OTHER_HASH, "fork_document_mismatch", id="fork document"
        ),
    ],
)
async def test_two_whole_nodes_that_differ_name_the_field_on_both_sides(
    tmp_path: Path, field: str, value: object, reason: str
) -> None:
    members = [build_test_member(at, port=free_port()) for at in range(2)]
    changed: LocalPeer = replace(local_peer(1), **{field: value})
    nodes = [
        build_node(tmp_path, 0, signed_membership(members)),
        build_node(
            tmp_path,
            1,
            signed_membership(members, genesis_hash=changed.genesis_hash),
            local=changed,
        ),
    ]
    async with running(*nodes):
        await until(lambda: all(reason in node.network.peers()[0].why_not for node in nodes))

        assert all(node.network.connected() == () for node in nodes)
        assert all("here" in node.network.peers()[0].why_not for node in nodes)


async def refuse_proof(folder: Path, make_proof: Callable[[ScriptedPeer, Hello], Proof]) -> Goodbye:
    """Shake hands up to a scripted proof; return how it was refused."""
    node, visitor = one_node(folder)
    async with running(node), scripted(visitor):
        await visitor.open(folder, node.network.port)
        await visitor.send(visitor.hello())
        theirs = await visitor.expect_hello()
        await visitor.send(make_proof(visitor, theirs))
        assert isinstance(await visitor.receive(), Proof)
        farewell = await visitor.farewell()
        assert node.network.connected() == ()
        return farewell


def sign_changed(**changes: object) -> Callable[[ScriptedPeer, Hello], Proof]:
    """Sign a transcript in which something is different."""

    def make(visitor: ScriptedPeer, theirs: Hello) -> Proof:
        transcript = replace(visitor.transcript(theirs), **changes)
        message = handshake.proof_hash(transcript, signer_dialled=True)
        return Proof(signature=visitor.key.sign(message))

    return make


def sign_as_listener(visitor: ScriptedPeer, theirs: Hello) -> Proof:
    message = handshake.proof_hash(visitor.transcript(theirs), signer_dialled=False)
    return Proof(signature=visitor.key.sign(message))


def sign_with_another_key(visitor: ScriptedPeer, theirs: Hello) -> Proof:
    message = handshake.proof_hash(visitor.transcript(theirs), signer_dialled=True)
    return Proof(signature=node_key(2).sign(message))


def sign_an_older_nonce(visitor: ScriptedPeer, theirs: Hello) -> Proof:
    older = replace(theirs, nonce=b"\x01" * 32)
    message = handshake.proof_hash(visitor.transcript(older), signer_dialled=True)
    return Proof(signature=visitor.key.sign(message))


@pytest.mark.parametrize(
    "make_proof",
    [
        pytest.param(sign_an_older_nonce, id="replayed from an earlier handshake"),
        pytest.param(
            sign_changed(listener_fingerprint=b"\x42" * 32), id="relayed from another listener"
        ),
        pytest.param(
            sign_changed(dialler_fingerprint=b"\x42" * 32), id="made for another certificate"
        ),
        pytest.param(sign_as_listener, id="reflected"),
        pytest.param(sign_with_another_key, id="signed by another member"),
        pytest.param(lambda *_: Proof(signature=Signature(b"\x00" * 65)), id="no signature"),
    ],
)
async def test_a_proof_counts_for_its_own_connection_only(
    tmp_path: Path, make_proof: Callable[[ScriptedPeer, Hello], Proof]
) -> None:
    farewell = await refuse_proof(tmp_path, make_proof)

    assert farewell.reason == Refusal.BAD_PROOF.value


async def test_a_replayed_proof_of_a_real_session_is_refused(tmp_path: Path) -> None:
    """Everything an eavesdropper at the node itself could have recorded is sent again."""
    node, visitor = one_node(tmp_path)
    async with running(node), scripted(visitor):
        await visitor.open(tmp_path, node.network.port)
        await visitor.send(visitor.hello())
        theirs = await visitor.expect_hello()
        message = handshake.proof_hash(visitor.transcript(theirs), signer_dialled=True)
        recorded = Proof(signature=visitor.key.sign(message))
        await visitor.send(recorded)
        assert isinstance(await visitor.receive(), Proof)
        assert isinstance(await visitor.receive(), Welcome)
        await visitor.close()
        again = ScriptedPeer(1, visitor.membership, tls=visitor.tls)
        async with scripted(again):
            await again.open(tmp_path, node.network.port)
            await again.send(again.hello())
            await again.expect_hello()
            await again.send(recorded)

            assert (await again.farewell()).reason == Refusal.BAD_PROOF.value


async def test_a_members_certificate_does_not_lend_another_members_key(tmp_path: Path) -> None:
    """Node 2's TLS key and certificate were stolen, not its node key: the thief is node 1."""
    node, visitor = one_node(tmp_path)
    stolen: TlsIdentity = create_tls_identity(node_key(2), now_s=NOW_S)
    thief = ScriptedPeer(1, visitor.membership, tls=stolen)
    async with running(node), scripted(thief):
        await thief.open(tmp_path, node.network.port)
        await thief.send(thief.hello())
        assert (await thief.farewell()).reason == Refusal.CERTIFICATE_MISMATCH.value
        await thief.close()

        await thief.open(tmp_path, node.network.port)
        await thief.send(thief.hello(node=node_key(2).address))
        await thief.prove(await thief.expect_hello())
        assert isinstance(await thief.receive(), Proof)
        assert (await thief.farewell()).reason == Refusal.BAD_PROOF.value


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Welcome(), id="welcome first"),
        pytest.param(Proof(signature=Signature(b"\x01" * 65)), id="proof first"),
    ],
)
async def test_frames_out_of_turn_are_refused(tmp_path: Path, first: Welcome | Proof) -> None:
    node, visitor = one_node(tmp_path)
    async with running(node), scripted(visitor):
        await visitor.open(tmp_path, node.network.port)
        await visitor.send(first)

        assert (await visitor.farewell()).reason == Refusal.MALFORMED.value


async def test_a_long_frame_before_the_peer_is_known_is_refused(tmp_path: Path) -> None:
    node, visitor = one_node(tmp_path)
    async with running(node), scripted(visitor):
        await visitor.open(tmp_path, node.network.port)
        await visitor.send_bytes(b"\x10" + bytes(HANDSHAKE_FRAME_SIZE_MAX))

        assert (await visitor.farewell()).reason == Refusal.MALFORMED.value


async def test_the_node_dialled_must_be_the_node_met(tmp_path: Path) -> None:
    """Node 1's endpoint leads to node 2, as after a changed DNS name."""
    port = free_port()
    low, high = 0, 1
    members = [build_test_member(low, port=free_port()), build_test_member(high, port=port)]
    members.append(build_test_member(2))
    document = signed_membership(members)
    moved = signed_membership([members[0], build_test_member(2, port=port)], version=2)
    nodes = [build_node(tmp_path, low, document), build_node(tmp_path, 2, moved)]
    async with running(*nodes):
        await until(lambda: any("wrong_node" in p.why_not for p in nodes[0].network.peers()))
