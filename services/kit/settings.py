"""What every service is told by its operator: the ``[kit]`` table of its one TOML file.

A service's own settings are a record with a field ``kit: KitSettings`` and its own fields beside
it, read by ``load_service_settings``. Unknown keys, wrong types and numbers out of bounds stop the
start with the nearest known key or the bounds. Secrets are named by file, and the file must be its
owner's alone.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from node.primitives.errors import Misconfigured
from node.primitives.types import Address
from node.settings import PORT_MAX, LogSettings, check_bounds, load_record, read_secret

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""Form of the names of tenants, services and roles."""

POSTGRESQL: Final = "postgresql+asyncpg://"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The HTTP server; a reverse proxy with TLS stands before it."""

    host: str = "127.0.0.1"
    """Address listened on."""
    port: int = 8_600
    """Port listened on; 0 lets the system choose."""
    public_url: str = "http://127.0.0.1:8600"
    """Address under which callers reach this service; sender proofs are made for it."""
    body_kb_max: int = 256
    """Largest request body, in kibibytes."""
    body_timeout_s: int = 10
    """How long a body may take to arrive."""
    request_timeout_s: int = 30
    """How long an answer may take."""
    concurrent_max: int = 200
    """Requests answered at once; more are told to come back."""
    shutdown_timeout_s: int = 20
    """How long running requests may take to end when the service stops."""
    cors_origins: tuple[str, ...] = ()
    """Web origins whose pages may call from a browser; none by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """The service's own database."""

    url: str
    """``sqlite+aiosqlite:////srv/hub.db`` or ``postgresql+asyncpg://user@host/name``."""
    password_file: Path | None = None
    """File holding PostgreSQL's password; never part of the URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """A municipality that this service serves."""

    id: str
    """Its name in tokens, tables and events, as ``goka``."""
    name: str
    """Its name for people, as ``五霞町``."""
    hosts: tuple[str, ...] = ()
    """Host names under which its residents reach the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """Who may issue tokens to residents."""

    issuer: str
    """The ``iss`` of its tokens."""
    jwks_url: str = ""
    """Address of its public keys; or else ``jwks_file``."""
    jwks_file: Path | None = None
    """File of its public keys."""
    tenants: tuple[str, ...] = ()
    """Municipalities it may speak for; none means every one served here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerSettings:
    """Another service that may call this one."""

    name: str
    """Its name, the ``iss`` of its tokens."""
    key_file: Path
    """Its public key, a JWK."""
    purposes: tuple[str, ...]
    """What it may call for."""
    tenants: tuple[str, ...] = ()
    """Municipalities it may act for; none means every one served here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Who is believed."""

    audience: str
    """This service's name in the ``aud`` of tokens made for it."""
    issuers: tuple[IssuerSettings, ...] = ()
    """Issuers of residents' tokens."""
    staff_file: Path | None = None
    """Table of staff: keys, municipality, roles."""
    partners: tuple[PartnerSettings, ...] = ()
    """Services that may call."""
    key_file: Path | None = None
    """This service's private key, a JWK, for calls to others."""
    is_sender_constrained: bool = True
    """Take residents' tokens only with proof of the key they are bound to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KitSettings:
    """The ``[kit]`` table."""

    auth: AuthSettings
    """Authentication."""
    database: DatabaseSettings
    """Database."""
    tenants: tuple[TenantSettings, ...]
    """Municipalities served; at least one."""
    server: ServerSettings = field(default_factory=ServerSettings)
    """HTTP server."""
    log: LogSettings = field(default_factory=LogSettings)
    """Logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """A node whose public port a service reads."""

    name: str
    """For logs."""
    url: str
    """Its address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """The municipality's relay, as its other services reach it."""

    key_file: Path
    """Public key with which the relay signs its events, a JWK."""
    endpoint: str
    """Where it takes events, as ``http://127.0.0.1:8601/events``."""


class HasKit(Protocol):
    """A service's settings record: its own fields, and the kit's."""

    @property
    def kit(self) -> KitSettings:
        """Return the ``[kit]`` table."""
        ...


Record = TypeVar("Record", bound=HasKit)


def load_service_settings(kind: type[Record], path: Path) -> Record:
    """Read a service's settings file and check its ``[kit]`` table.

    Raises:
        Misconfigured: The file cannot be read, or a key or value in it is wrong.
    """
    settings = load_record(kind, path)
    check_kit(settings.kit, path)
    return settings


def check_kit(kit: KitSettings, path: Path) -> None:
    """Refuse values that are well typed and still wrong.

    Raises:
        Misconfigured: One is; the message names the key in ``path``.
    """
    server = kit.server
    check_bounds(
        path,
        (
            ("kit.server.port", server.port, 0, PORT_MAX),
            ("kit.server.body_kb_max", server.body_kb_max, 1, 65_536),
            ("kit.server.body_timeout_s", server.body_timeout_s, 1, 600),
            ("kit.server.request_timeout_s", server.request_timeout_s, 1, 600),
            ("kit.server.concurrent_max", server.concurrent_max, 1, 10_000),
            ("kit.server.shutdown_timeout_s", server.shutdown_timeout_s, 0, 600),
            ("kit.tenants", len(kit.tenants), 1, 1_000),
        ),
    )
    _check_url(server.public_url, "kit.server.public_url", path)
    if "*" in server.cors_origins:
        raise Misconfigured(f'{path}: kit.server.cors_origins: name each origin, not "*"')
    _check_names("kit.tenants", [tenant.id for tenant in kit.tenants], path)
    _check_names("kit.auth.partners", [partner.name for partner in kit.auth.partners], path)
    hosts = [host for tenant in kit.tenants for host in tenant.hosts]
    if len(set(hosts)) != len(hosts):
        raise Misconfigured(f"{path}: kit.tenants: a host name is listed twice; keep one")
    _check_auth(kit, path)
    if kit.database.url.startswith(POSTGRESQL) and urlsplit(kit.database.url).password:
        raise Misconfigured(
            f"{path}: kit.database.url: holds a password; move it to kit.database.password_file"
        )


def parse_address(text: str, key: str) -> Address:
    """Return the address written in the setting ``key``.

    Raises:
        Misconfigured: It is none.
    """
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise Misconfigured(f"{key}: expected 0x and 40 hexadecimal digits") from error
    if len(raw) != 20:
        raise Misconfigured(f"{key}: expected 0x and 40 hexadecimal digits")
    return Address(raw)


def database_url(settings: DatabaseSettings) -> str:
    """Return the database's URL with the password of its file.

    Raises:
        Misconfigured: The password file is missing or open to others.
    """
    if settings.password_file is None:
        return settings.url
    if not settings.url.startswith(POSTGRESQL):
        raise Misconfigured("kit.database.password_file: only PostgreSQL has one; remove it")
    user, at, rest = settings.url.removeprefix(POSTGRESQL).partition("@")
    if not at:
        raise Misconfigured("kit.database.url: names no user; write postgresql+asyncpg://user@…")
    password = quote(read_secret(settings.password_file), safe="")
    return f"{POSTGRESQL}{user}:{password}@{rest}"


def _check_auth(kit: KitSettings, path: Path) -> None:
    tenants = {tenant.id for tenant in kit.tenants}
    for issuer in kit.auth.issuers:
        if bool(issuer.jwks_url) == (issuer.jwks_file is not None):
            raise Misconfigured(
                f"{path}: kit.auth.issuers: give {issuer.issuer} one of jwks_url and jwks_file"
            )
        if issuer.jwks_url:
            _check_url(issuer.jwks_url, "kit.auth.issuers.jwks_url", path)
        _check_known(issuer.tenants, tenants, "kit.auth.issuers.tenants", path)
    issuers = [issuer.issuer for issuer in kit.auth.issuers]
    if len(set(issuers)) != len(issuers):
        raise Misconfigured(f"{path}: kit.auth.issuers: one issuer is listed twice; remove one")
    for partner in kit.auth.partners:
        _check_known(partner.tenants, tenants, "kit.auth.partners.tenants", path)


def _check_names(key: str, names: list[str], path: Path) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            raise Misconfigured(
                f"{path}: {key}: {name!r}: use up to 40 small letters, digits and hyphens"
            )
    if len(set(names)) != len(names):
        raise Misconfigured(f"{path}: {key}: a name is used twice; rename one")


def _check_known(named: tuple[str, ...], known: set[str], key: str, path: Path) -> None:
    for name in named:
        if name not in known:
            raise Misconfigured(f"{path}: {key}: {name!r} is no tenant; add it to kit.tenants")


def _check_url(url: str, key: str, path: Path) -> None:
    """Refuse plain HTTP to anywhere but this machine."""
    parts = urlsplit(url)
    is_local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_local)):
        raise Misconfigured(f"{path}: {key} = {url!r}: give an https address, or one on this host")
