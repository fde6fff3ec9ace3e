"""WIRE-TLS, WIRE-EXPIRY, WIRE-RELOAD: certificates signed by node keys, renewed and replaced.

OpenSSL judges the certificates; whole networks judge the replacement of files at run time.
"""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from node.membership.document import InvalidMembership
from node.p2p.certificates import (
    CERTIFICATE_SIZE_MAX,
    RENEW_DAYS,
    InvalidCertificate,
    TlsFiles,
    check_curve,
    create_tls_identity,
    load_tls_identity,
    read_certificate,
    renew_tls_identity,
    save_tls_identity,
    trust_anchors_pem,
)
from node.p2p.roster import has_precedence
from node.primitives.errors import Misconfigured
from node.primitives.types import Address
from tests.support.peers import (
    DAY_S,
    NOW_S,
    build_node,
    build_test_member,
    free_port,
    mesh_of,
    node_key,
    running,
    signed_membership,
    until,
)


def files_in(folder: Path) -> TlsFiles:
    return TlsFiles(certificate=folder / "tls.crt", key=folder / "tls.key")


def test_a_certificate_names_its_node_and_when_to_renew() -> None:
    tls = create_tls_identity(node_key(0), now_s=NOW_S)

    assert tls.certificate.node == node_key(0).address
    assert tls.certificate.days_left(NOW_S) == 365
    assert "PRIVATE" not in repr(tls)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_a_certificate_against_the_anchor_of_its_node_only(
    tmp_path: Path,
) -> None:
    tls = create_tls_identity(node_key(0), now_s=NOW_S)
    (tmp_path / "leaf.pem").write_bytes(tls.certificate_pem)

    def verdict(*public_keys: bytes) -> bool:
        (tmp_path / "anchors.pem").write_text(trust_anchors_pem(public_keys))
        command = ["openssl", "verify", "-no_check_time", "-CAfile", "anchors.pem", "leaf.pem"]
        return (
            subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
        )

    assert verdict(node_key(0).public_key[1:])
    assert verdict(node_key(1).public_key[1:], node_key(0).public_key[1:])
    assert not verdict(node_key(1).public_key[1:])


def test_files_are_private_and_come_back(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    tls = create_tls_identity(node_key(0), now_s=NOW_S)
    save_tls_identity(files, tls)

    assert files.key.stat().st_mode & 0o777 == 0o600
    assert load_tls_identity(files, identity=node_key(0)) == tls


def test_another_nodes_files_are_refused(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    save_tls_identity(files, create_tls_identity(node_key(0), now_s=NOW_S))

    with pytest.raises(Misconfigured, match="another node"):
        load_tls_identity(files, identity=node_key(1))


def test_a_key_and_a_certificate_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    files, other = files_in(tmp_path), create_tls_identity(node_key(0), now_s=NOW_S)
    save_tls_identity(files, create_tls_identity(node_key(0), now_s=NOW_S))
    files.key.write_bytes(other.key_pem)

    with pytest.raises(Misconfigured, match="belong together"):
        load_tls_identity(files, identity=node_key(0))
    files.key.write_bytes(b"no key")
    with pytest.raises(Misconfigured, match="unreadable"):
        load_tls_identity(files, identity=node_key(0))
    files.key.unlink()
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_tls_identity(files, identity=node_key(0))


def test_a_certificate_is_renewed_in_time_and_not_before(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    assert renew_tls_identity(files, identity=node_key(0), now_s=NOW_S)
    first = load_tls_identity(files, identity=node_key(0))
    last_day_s = NOW_S + (365 - RENEW_DAYS) * DAY_S
    assert not renew_tls_identity(files, identity=node_key(0), now_s=last_day_s)
    assert renew_tls_identity(files, identity=node_key(0), now_s=last_day_s + 1)
    second = load_tls_identity(files, identity=node_key(0))

    assert first.certificate.fingerprint != second.certificate.fingerprint
    assert second.certificate.node == first.certificate.node


def test_a_certificate_of_nobody_is_refused() -> None:
    own = ssl.PEM_cert_to_DER_cert(trust_anchors_pem([node_key(0).public_key[1:]]))
    assert read_certificate(own).node == node_key(0).address
    with pytest.raises(InvalidCertificate, match="at most"):
        read_certificate(bytes(CERTIFICATE_SIZE_MAX + 1))
    with pytest.raises(InvalidCertificate):
        read_certificate(own[:-1])


def test_an_openssl_without_the_curve_is_named() -> None:
    check_curve()
    with pytest.raises(Misconfigured, match="without the curve secp256z1"):
        check_curve("secp256z1")


async def test_a_renewed_certificate_is_presented_without_a_restart(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    first, files = (
        nodes[0].network,
        TlsFiles(certificate=tmp_path / "0.crt", key=tmp_path / "0.key"),
    )
    async with running(nodes[0]):
        async with running(nodes[1]):
            await until(first.connected)
        save_tls_identity(files, create_tls_identity(node_key(0), now_s=NOW_S + 100 * DAY_S))
        first.reload_certificate()
        again = build_node(tmp_path, 1, first.membership)
        async with running(again):
            await until(again.network.connected)
            assert again.peer(0).certificate_days_left == 465


async def test_members_come_and_go_without_a_restart(tmp_path: Path) -> None:
    members = [build_test_member(at, port=free_port()) for at in range(3)]
    nodes = [build_node(tmp_path, at, signed_membership(members[:2])) for at in range(2)]
    grown = signed_membership(members, version=2)
    shrunk = signed_membership([members[0], members[2]], version=3)
    newcomer = build_node(tmp_path, 2, grown)
    async with running(*nodes, newcomer):
        await until(lambda: all(node.network.connected() for node in nodes))
        nodes[0].network.reload(grown)
        await until(lambda: len(nodes[0].network.connected()) == 2)
        await until(lambda: "there version 1" in nodes[0].peer(1).membership_mismatch)
        nodes[1].network.reload(grown)
        await until(lambda: not nodes[0].peer(1).membership_mismatch)
        await until(lambda: len(newcomer.network.connected()) == 2)

        nodes[0].network.reload(shrunk)
        await until(lambda: nodes[0].network.connected() == (node_key(2).address,))
        await until(lambda: "removed" in nodes[1].peer(0).why_not
                    or "not_a_member" in nodes[1].peer(0).why_not)  # fmt: skip


async def test_a_document_that_may_not_follow_changes_nothing(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2)
    before = nodes[0].network.membership
    async with running(*nodes):
        await until(nodes[0].network.connected)
        for document in (
            signed_membership(before.members[:1], version=2, signer_count=2),
            signed_membership(before.members[:1], version=1),
        ):
            with pytest.raises(InvalidMembership):
                nodes[0].network.reload(document)

        assert nodes[0].network.membership == before
        assert nodes[0].network.connected()


async def test_a_node_without_a_good_document_does_not_start(tmp_path: Path) -> None:
    node = build_node(tmp_path, 0, signed_membership([build_test_member(0)], signer_count=1))

    with pytest.raises(Misconfigured, match="install a document"):
        await node.network.start()


async def test_a_taken_port_is_the_operators_to_change(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 1)
    async with running(nodes[0]):
        twin = build_node(tmp_path, 0, nodes[0].network.membership)
        with pytest.raises(Misconfigured, match=r"choose p2p\.host"):
            await twin.network.start()
        await twin.network.stop()


def test_both_ends_prefer_the_same_connection() -> None:
    low, high = Address(b"\x01" * 20), Address(b"\x02" * 20)

    assert has_precedence(low, high, is_dialled=True)
    assert has_precedence(high, low, is_dialled=False)
    assert not has_precedence(low, high, is_dialled=False)
    assert not has_precedence(high, low, is_dialled=True)
