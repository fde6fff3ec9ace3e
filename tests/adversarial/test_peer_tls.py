"""WIRE-TLS, WIRE-PENDING, WIRE-TIMEOUT, WIRE-EXPIRY: the door, judged from outside.

OpenSSL's own client tries to get in; then connections that trickle, stall or come in crowds.
"""

import asyncio
import contextlib
import shutil
import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest

from node.p2p import listener as listener_module
from node.p2p.certificates import TlsFiles, create_tls_identity, save_tls_identity
from node.p2p.listener import PEER_PATH
from tests.support.peers import (
    NOW_S,
    QUICK,
    ScriptedPeer,
    TestNode,
    build_node,
    build_test_member,
    free_port,
    mesh_of,
    node_key,
    running,
    scripted,
    signed_membership,
    tls_files,
    until,
)

HASTY = replace(QUICK, handshake_ms=500)
OPENSSL = shutil.which("openssl")


def one_node(folder: Path) -> tuple[TestNode, ScriptedPeer]:
    """Build a hasty node, and a member that dials it."""
    members = [build_test_member(0, port=free_port()), build_test_member(1)]
    document = signed_membership(members)
    return build_node(folder, 0, document, timings=HASTY), ScriptedPeer(1, document)


async def s_client(port: int, *arguments: str) -> str:
    """Connect with OpenSSL's client, ask for the peer path, return all it prints."""
    if OPENSSL is None:
        pytest.skip("openssl is not installed")
    process = await asyncio.create_subprocess_exec(
        OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    request = f"GET {PEER_PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(10):
        output, _ = await process.communicate(request.encode())
    return output.decode(errors="replace")


async def test_openssl_without_a_certificate_is_turned_away(tmp_path: Path) -> None:
    node, _ = one_node(tmp_path)
    async with running(node):
        output = await s_client(node.network.port)
        await until(lambda: node.network.refusals.get("door") == 1)

    assert "HTTP/1.1" not in output


async def test_openssl_with_a_strangers_certificate_is_turned_away(tmp_path: Path) -> None:
    node, _ = one_node(tmp_path)
    files = tls_files(tmp_path, 5)
    async with running(node):
        output = await s_client(
            node.network.port, "-cert", str(files.certificate), "-key", str(files.key)
        )
        await until(lambda: node.network.refusals.get("door") == 1)

    assert "HTTP/1.1" not in output


async def test_a_certificate_that_only_names_a_member_is_turned_away(tmp_path: Path) -> None:
    """The issuer's name is a member's; the signature is the stranger's own."""

    class Impostor:
        address = node_key(1).address
        public_key = node_key(1).public_key
        sign = staticmethod(node_key(5).sign)

    node, _ = one_node(tmp_path)
    files = TlsFiles(certificate=tmp_path / "x.crt", key=tmp_path / "x.key")
    save_tls_identity(files, create_tls_identity(Impostor(), now_s=NOW_S))
    async with running(node):
        output = await s_client(
            node.network.port, "-cert", str(files.certificate), "-key", str(files.key)
        )
        await until(lambda: node.network.refusals.get("door") == 1)

    assert "HTTP/1.1" not in output


async def test_openssl_speaks_tls_1_3_or_nothing(tmp_path: Path) -> None:
    node, _ = one_node(tmp_path)
    files = tls_files(tmp_path, 1)
    identity = ("-cert", str(files.certificate), "-key", str(files.key))
    async with running(node):
        modern = await s_client(node.network.port, *identity)
        older = await s_client(node.network.port, *identity, "-tls1_2")

    assert "TLSv1.3" in modern
    assert "HTTP/1.1 404" in modern, "a member without a WebSocket finds nothing"
    assert "HTTP/1.1" not in older
    assert "Cipher    : 0000" in older or "(NONE)" in older, "no older version was agreed"


async def test_an_expired_certificate_warns_and_cuts_nobody_off(tmp_path: Path) -> None:
    members = [build_test_member(at, port=free_port()) for at in range(2)]
    document = signed_membership(members, valid_days=10)
    fresh = build_node(tmp_path, 0, document)
    expired = build_node(tmp_path, 1, document, days_left=-3)
    async with running(fresh, expired):
        await until(lambda: all(node.network.connected() for node in (fresh, expired)))

        assert fresh.peer(1).certificate_days_left == -3
        assert any("overdue by 3 days" in warning for warning in expired.network.warnings())
        assert any("10 days left" in warning for warning in fresh.network.warnings())
        assert not any("TLS" in warning for warning in fresh.network.warnings())


async def closed_after_s(reader: asyncio.StreamReader) -> float:
    """Return how long the other end kept the connection open."""
    began = time.monotonic()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        async with asyncio.timeout(5):
            while await reader.read(1_024):
                pass
    return time.monotonic() - began


async def test_a_connection_that_never_speaks_tls_is_closed(tmp_path: Path) -> None:
    node, _ = one_node(tmp_path)
    async with running(node):
        reader, writer = await asyncio.open_connection("127.0.0.1", node.network.port)
        assert await closed_after_s(reader) < 3
        writer.close()


async def test_a_member_that_trickles_its_request_is_closed(tmp_path: Path) -> None:
    """A slow loris with a stolen key: the handshake deadline covers HTTP too."""
    node, visitor = one_node(tmp_path)
    async with running(node):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", node.network.port, ssl=visitor.context(tmp_path)
        )
        writer.write(b"GET " + PEER_PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n")
        trickling = asyncio.create_task(trickle(writer))
        assert await closed_after_s(reader) < 3
        trickling.cancel()
        writer.close()


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Send a header a letter at a time."""
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)


async def test_a_member_that_opens_and_says_nothing_is_closed(tmp_path: Path) -> None:
    node, visitor = one_node(tmp_path)
    async with running(node), scripted(visitor):
        await visitor.open(tmp_path, node.network.port)
        await visitor.expect_hello()

        farewell = await visitor.farewell()
        assert farewell.reason in ("idle", "timeout")


async def test_a_crowd_at_the_door_is_bounded_and_members_still_get_in(tmp_path: Path) -> None:
    nodes = mesh_of(tmp_path, 2, timings=HASTY)
    async with running(nodes[0]):
        port = nodes[0].network.port
        crowd = [
            await asyncio.open_connection("127.0.0.1", port)
            for _ in range(listener_module.PENDING_PER_SOURCE_MAX + 5)
        ]
        turned_away = 0
        for reader, _writer in crowd[listener_module.PENDING_PER_SOURCE_MAX :]:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(0.2):
                    turned_away += await reader.read(1) == b""
        assert turned_away == 5, "beyond the bound connections are closed at once"
        async with running(nodes[1]):
            await until(lambda: all(node.network.connected() for node in nodes))
        for _reader, writer in crowd:
            writer.close()
