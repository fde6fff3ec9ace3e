"""Named checks of a machine and its settings, each with a remedy: what `daicho doctor` runs.

Nothing is changed. A check that cannot be made because an earlier one failed is left out.
"""

import os
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from node.membership.signatures import verify_signatures
from node.p2p.certificates import RENEW_DAYS, read_certificate
from node.primitives.crypto import check_backends
from node.primitives.errors import LedgerError, Misconfigured
from node.primitives.types import Address
from node.runtime.clock import OFFSET_WARN_MS, load_kernel_clock
from node.runtime.keystore import DEVELOPMENT_MARK, load_keystore_info
from node.runtime.ledger import CHAIN_DIRECTORY, Documents, load_documents
from node.settings import Settings, check_private, load_settings
from node.storage.chain import open_stored
from node.storage.errors import DatabaseLocked
from node.storage.leveldb import LevelDbStore

FREE_BYTES_MIN: Final = 5 * 2**30
"""Free disk below which growth should be planned for."""

DIAL_TIMEOUT_S: Final = 3.0
MEMBERSHIP_WARN_DAYS: Final = 30


class Verdict(StrEnum):
    """How a check came out."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "BAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One named check and what to do about it."""

    check: str
    """Stable name."""
    verdict: Verdict
    """How it came out."""
    found: str
    """What was found."""
    remedy: str = ""
    """What to do; empty when nothing."""


def examine(config: Path, *, now_s: int) -> Iterator[Finding]:
    """Run every check that can be run, in order."""
    yield _python()
    yield _backends()
    yield _clock()
    try:
        settings = load_settings(config)
    except Misconfigured as error:
        yield _bad("settings", error)
        return
    yield Finding(check="settings", verdict=Verdict.GOOD, found=str(config))
    yield _data_dir(settings)
    yield _disk(settings)
    yield _key(settings)
    yield _certificate(settings, now_s)
    yield _database(settings)
    yield from _ports(settings)
    try:
        documents = load_documents(settings)
    except LedgerError as error:
        yield _bad("documents", error)
        return
    yield _membership(settings, documents, now_s)
    yield from _peers(settings, documents)


def _python() -> Finding:
    found = f"{sys.version_info.major}.{sys.version_info.minor}, {ssl.OPENSSL_VERSION}"
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        return Finding(
            check="python",
            verdict=Verdict.WARNING,
            found=found,
            remedy="use Python 3.11 or 3.12; others are not tested",
        )
    return Finding(check="python", verdict=Verdict.GOOD, found=found)


def _backends() -> Finding:
    try:
        check_backends()
    except Misconfigured as error:
        return _bad("crypto", error)
    return Finding(check="crypto", verdict=Verdict.GOOD, found="libsecp256k1 and keccak compiled")


def _clock() -> Finding:
    kernel = load_kernel_clock()
    if kernel is None:
        return Finding(check="clock", verdict=Verdict.WARNING, found="the kernel does not tell")
    found = f"off by {kernel.offset_ms:.1f} ms, at most {kernel.error_max_ms:.0f} ms"
    if not kernel.is_synchronised or abs(kernel.offset_ms) > OFFSET_WARN_MS:
        return Finding(
            check="clock",
            verdict=Verdict.WARNING,
            found=found if kernel.is_synchronised else "no time daemon keeps it",
            remedy="run chrony or systemd-timesyncd and wait until it has settled",
        )
    return Finding(check="clock", verdict=Verdict.GOOD, found=found)


def _data_dir(settings: Settings) -> Finding:
    path = settings.data_dir
    if not path.exists():
        return Finding(
            check="data directory",
            verdict=Verdict.WARNING,
            found=f"{path} is not there",
            remedy="the node makes it; let its user own the directory above",
        )
    if not os.access(path, os.W_OK):
        return Finding(
            check="data directory",
            verdict=Verdict.BAD,
            found=f"{path} cannot be written by this user",
            remedy=f"run: chown -R <the node's user> {path}",
        )
    return Finding(check="data directory", verdict=Verdict.GOOD, found=str(path))


def _disk(settings: Settings) -> Finding:
    place = next(each for each in [settings.data_dir, *settings.data_dir.parents] if each.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.1f} GiB free"
    if free < settings.storage.free_mb_min * 2**20:
        return Finding(
            check="disk", verdict=Verdict.BAD, found=found, remedy="free space, or move data_dir"
        )
    if free < FREE_BYTES_MIN:
        return Finding(
            check="disk", verdict=Verdict.WARNING, found=found, remedy="plan for a larger disk"
        )
    return Finding(check="disk", verdict=Verdict.GOOD, found=found)


def _key(settings: Settings) -> Finding:
    if settings.key.signer_socket is not None:
        if not settings.key.signer_socket.is_socket():
            return Finding(
                check="key",
                verdict=Verdict.BAD,
                found=f"no signer at {settings.key.signer_socket}",
                remedy="start it: daicho key serve",
            )
        return Finding(check="key", verdict=Verdict.GOOD, found="remote signer")
    assert settings.key.keystore is not None
    try:
        check_private(settings.key.keystore)
        if settings.key.password_file is not None:
            check_private(settings.key.password_file)
        info = load_keystore_info(settings.key.keystore)
    except Misconfigured as error:
        return _bad("key", error)
    if info.is_development:
        return Finding(
            check="key",
            verdict=Verdict.WARNING,
            found=f"0x{info.address.hex()} is marked {DEVELOPMENT_MARK}",
            remedy="make a real one before a real network: daicho key new",
        )
    return Finding(check="key", verdict=Verdict.GOOD, found=f"0x{info.address.hex()}")


def _certificate(settings: Settings, now_s: int) -> Finding:
    path = settings.data_dir / "tls.crt"
    if not path.exists():
        return Finding(
            check="certificate", verdict=Verdict.GOOD, found="the node makes it at its first start"
        )
    try:
        der = ssl.PEM_cert_to_DER_cert(path.read_text(encoding="ascii"))
        days = read_certificate(der).days_left(now_s)
    except (OSError, ValueError, LedgerError) as error:
        return Finding(
            check="certificate",
            verdict=Verdict.BAD,
            found=f"{path}: {error}",
            remedy="delete tls.crt and tls.key; the node makes new ones",
        )
    if days < RENEW_DAYS:
        return Finding(
            check="certificate",
            verdict=Verdict.WARNING,
            found=f"{days} days left",
            remedy="restart the node; it renews its certificate itself",
        )
    return Finding(check="certificate", verdict=Verdict.GOOD, found=f"{days} days left")


def _database(settings: Settings) -> Finding:
    path = settings.data_dir / CHAIN_DIRECTORY
    if not path.exists():
        return Finding(check="database", verdict=Verdict.GOOD, found="none yet")
    try:
        store = LevelDbStore(path)
    except DatabaseLocked:
        return Finding(check="database", verdict=Verdict.GOOD, found="in use by the running node")
    except LedgerError as error:
        return _bad("database", error)
    try:
        head = open_stored(store).head
    except LedgerError as error:
        return _bad("database", error)
    finally:
        store.close()
    return Finding(
        check="database",
        verdict=Verdict.GOOD,
        found=f"head {head.height}; `daicho db check` reads all of it",
    )


def _ports(settings: Settings) -> Iterator[Finding]:
    named: tuple[tuple[str, str, int, bool], ...] = (
        ("p2p", settings.p2p.host, settings.p2p.port, True),
        ("rpc", settings.rpc.host, settings.rpc.port, settings.rpc.is_enabled),
        ("admin", settings.admin.host, settings.admin.port, True),
        ("metrics", settings.metrics.host, settings.metrics.port, settings.metrics.is_enabled),
    )
    for name, host, port, is_wanted in named:
        if is_wanted and port:
            yield _port(name, host, port)


def _port(name: str, host: str, port: int) -> Finding:
    try:
        with socket.create_server((host, port), reuse_port=False):
            pass
    except OSError as error:
        return Finding(
            check=f"{name} port",
            verdict=Verdict.WARNING,
            found=f"{host}:{port}: {error.strerror}",
            remedy=f"fine when this node is running; else change {name}.port",
        )
    return Finding(check=f"{name} port", verdict=Verdict.GOOD, found=f"{host}:{port} is free")


def _membership(settings: Settings, documents: Documents, now_s: int) -> Finding:
    membership = documents.membership
    report = verify_signatures(membership)
    days = membership.days_left(now_s)
    found = (
        f"version {membership.version}, signed by {len(report.signed)} of "
        f"{len(membership.governors)} governors, {days} days left"
    )
    own = _own_address(settings)
    if own is not None and membership.find(own) is None:
        return Finding(
            check="membership",
            verdict=Verdict.BAD,
            found=f"{found}; this node's key is not in it",
            remedy="have the key added and signed: daicho membership",
        )
    if days < MEMBERSHIP_WARN_DAYS:
        return Finding(
            check="membership",
            verdict=Verdict.WARNING,
            found=found,
            remedy="have the governors sign the next version",
        )
    return Finding(check="membership", verdict=Verdict.GOOD, found=found)


def _peers(settings: Settings, documents: Documents) -> Iterator[Finding]:
    own = _own_address(settings)
    for member in documents.membership.members:
        if member.address == own or not member.endpoints:
            continue
        reached = [str(each) for each in member.endpoints if _answers(each.host, each.port)]
        if reached:
            yield Finding(
                check=f"peer {member.name}", verdict=Verdict.GOOD, found=f"{reached[0]} answers"
            )
        else:
            yield Finding(
                check=f"peer {member.name}",
                verdict=Verdict.WARNING,
                found=f"{', '.join(map(str, member.endpoints))}: no answer",
                remedy="check DNS and firewalls on both sides, or call its operator",
            )


def _own_address(settings: Settings) -> Address | None:
    """Return the node key's address, or None when the key check could not read it either."""
    if settings.key.keystore is None:
        return None
    try:
        return load_keystore_info(settings.key.keystore).address
    except Misconfigured:
        return None


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=DIAL_TIMEOUT_S):
            return True
    except OSError:
        return False


def _bad(check: str, error: LedgerError) -> Finding:
    found, _, remedy = error.message.rpartition("; ")
    return Finding(check=check, verdict=Verdict.BAD, found=found or remedy, remedy=remedy)
