"""Named checks of a service's machine and settings, each with its remedy.

The doctor changes nothing and needs no running service. A check that cannot be made because an
earlier one failed is left out, so that the first bad line is the one to repair.
"""

import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from node.primitives.errors import LedgerError, Misconfigured
from node.settings import check_private
from services.kit.clock import Clock
from services.kit.issuers import fetch_bounded, load_trust, parse_key_set
from services.kit.keys import load_private_key
from services.kit.service import Service, check_database, sqlite_path
from services.kit.settings import HasKit, KitSettings

FREE_BYTES_MIN: Final = 2**30
"""Free disk below which growth should be planned for."""


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


async def examine(service: Service[Any], config: Path, *, clock: Clock) -> AsyncIterator[Finding]:
    """Run every check that can be run, in order."""
    try:
        settings: HasKit = service.load_settings(config)
    except Misconfigured as error:
        yield bad("settings", error)
        return
    yield Finding(check="settings", verdict=Verdict.GOOD, found=str(config))
    try:
        texts = service.load_catalogue().texts
    except Misconfigured as error:
        yield bad("catalogue", error)
    else:
        count = len(next(iter(texts.values())))
        found = f"{count} texts in {len(texts)} languages"
        yield Finding(check="catalogue", verdict=Verdict.GOOD, found=found)
    yield _keys(settings.kit, clock)
    yield _secrets(settings.kit)
    async for finding in _issuers(settings.kit):
        yield finding
    yield _disk(settings.kit)
    yield await _database(service, settings)
    yield _port(settings.kit)


def _keys(kit: KitSettings, clock: Clock) -> Finding:
    try:
        trust = load_trust(kit, clock)
        if kit.auth.key_file is not None:
            load_private_key(kit.auth.key_file)
    except Misconfigured as error:
        return bad("keys", error)
    now = clock.now()
    members = trust.staff.list_all()
    ended = sum(member.valid_until <= now for member in members)
    found = f"{len(trust.issuers)} issuers, {len(trust.partners)} partners, {len(members)} staff"
    if ended:
        return Finding(
            check="keys",
            verdict=Verdict.WARNING,
            found=f"{found}; {ended} registrations have ended",
            remedy="remove leavers from the staff table, or renew their valid_until",
        )
    return Finding(check="keys", verdict=Verdict.GOOD, found=found)


def _secrets(kit: KitSettings) -> Finding:
    try:
        for path in (kit.database.password_file, kit.auth.key_file):
            if path is not None:
                check_private(path)
    except Misconfigured as error:
        return bad("secrets", error)
    return Finding(check="secrets", verdict=Verdict.GOOD, found="their owner's alone")


async def _issuers(kit: KitSettings) -> AsyncIterator[Finding]:
    for issuer in kit.auth.issuers:
        if not issuer.jwks_url:
            continue
        check = f"issuer {issuer.issuer}"
        try:
            keys = parse_key_set(await fetch_bounded(issuer.jwks_url))
        except LedgerError as error:
            yield bad(check, error)
            continue
        if keys:
            yield Finding(check=check, verdict=Verdict.GOOD, found=f"{len(keys)} keys")
        else:
            yield Finding(
                check=check,
                verdict=Verdict.BAD,
                found="no key of a kind that is taken",
                remedy="have it publish a P-256 or Ed25519 key",
            )


def _disk(kit: KitSettings) -> Finding:
    path = sqlite_path(kit)
    if path is None:
        return Finding(check="disk", verdict=Verdict.GOOD, found="the database is elsewhere")
    place = next((each for each in path.parents if each.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    found = f"{free / 2**30:.1f} GiB free at {place}"
    if free < FREE_BYTES_MIN:
        return Finding(
            check="disk", verdict=Verdict.WARNING, found=found, remedy="plan for a larger disk"
        )
    return Finding(check="disk", verdict=Verdict.GOOD, found=found)


async def _database(service: Service[Any], settings: HasKit) -> Finding:
    path = sqlite_path(settings.kit)
    if path is not None and not path.exists():
        return Finding(
            check="database",
            verdict=Verdict.BAD,
            found=f"{path} is not there",
            remedy=f"make it: daicho service {service.name} migrate",
        )
    try:
        found = await check_database(service, settings)
    except LedgerError as error:
        return bad("database", error)
    return Finding(check="database", verdict=Verdict.GOOD, found=found)


def _port(kit: KitSettings) -> Finding:
    host, port = kit.server.host, kit.server.port
    try:
        with socket.create_server((host, port), reuse_port=False):
            pass
    except OSError as error:
        return Finding(
            check="port",
            verdict=Verdict.WARNING,
            found=f"{host}:{port}: {error.strerror}",
            remedy="fine when this service is running; else change kit.server.port",
        )
    return Finding(check="port", verdict=Verdict.GOOD, found=f"{host}:{port} is free")


def bad(check: str, error: LedgerError) -> Finding:
    """Return a bad finding whose remedy is the last part of the error's message."""
    found, _, remedy = error.message.rpartition("; ")
    return Finding(check=check, verdict=Verdict.BAD, found=found or remedy, remedy=remedy)
