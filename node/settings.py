"""Operator settings: one TOML file into frozen records, everything checked once.

Network parameters live in the genesis file and constants in code; what is here concerns one
machine. An unknown key, a wrong type or a value out of bounds stops the start with the file, the
key and the nearest known key. Secrets are never values here: they are named by file, or arrive in
the environment. Relative paths are relative to the settings file.
"""

import dataclasses
import difflib
import os
import tomllib
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar, cast, get_args, get_origin, get_type_hints

from node.primitives.errors import Misconfigured

PASSWORD_VARIABLE: Final = "DAICHO_KEY_PASSWORD"  # noqa: S105  (a name, not a secret)
"""Environment variable that may hold the keystore's password."""

PORT_MAX: Final = 65_535
CACHE_MB_MAX: Final = 65_536

Record = TypeVar("Record")


class StorageMode(StrEnum):
    """How much past state a node keeps."""

    LIVE = "live"
    """The current state and periodic snapshots; enough to validate."""
    ARCHIVE = "archive"
    """Every state since genesis; needed for proofs and calls at past heights."""


class LogFormat(StrEnum):
    """Form of a log line."""

    HUMAN = "human"
    """For a person at a terminal."""
    JSON = "json"
    """For a collector: one object a line."""


class LogLevel(StrEnum):
    """Least severity logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """Where the node's key is: a keystore file, or a remote signer's socket."""

    keystore: Path | None = None
    """Web3 keystore (version 3, scrypt) with the node's key."""
    password_file: Path | None = None
    """File holding the keystore's password; else DAICHO_KEY_PASSWORD, else a prompt."""
    signer_socket: Path | None = None
    """Unix socket of a remote signer; instead of ``keystore``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """How peers reach this node, and who may.

    The TLS key and certificate are the node's own business: it makes them in ``data_dir``, signs
    them with its node key and renews them.
    """

    host: str = "0.0.0.0"  # noqa: S104  (peers come from other machines)
    """Address listened on."""
    port: int = 30_303
    """Port listened on; 0 lets the system choose."""
    membership: Path
    """Signed list of the nodes that may connect; read again on SIGHUP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcSettings:
    """The public JSON-RPC server."""

    is_enabled: bool = True
    """Serve JSON-RPC at all."""
    host: str = "127.0.0.1"
    """Address listened on; put a reverse proxy with TLS before anything wider."""
    port: int = 8_545
    """Port of HTTP and WebSocket; 0 lets the system choose."""
    cors_origins: tuple[str, ...] = ()
    """Web origins allowed to call from a browser; ``"*"`` allows all."""
    rate_per_s: int = 20_000
    """Cost units one address may spend each second; a small read costs 1, a transaction 10."""
    worker_count: int = 2
    """Threads for reads; heavy reads queue behind each other, never before consensus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    """Loopback server: `admin_*`, health and metrics."""

    host: str = "127.0.0.1"
    """Address listened on."""
    port: int = 8_546
    """Port; 0 lets the system choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Server of `/liveness`, `/readiness` and `/metrics`."""

    is_enabled: bool = True
    """Serve them at all."""
    host: str = "127.0.0.1"
    """Address listened on."""
    port: int = 9_545
    """Port; 0 lets the system choose."""
    peer_count_min: int = 1
    """Fewest peers at which the node calls itself ready."""
    lag_blocks_max: int = 2
    """Most heights behind the best peer at which the node calls itself ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """Bounds of the waiting transactions."""

    count_max: int = 20_000
    """Most transactions held."""
    size_mb_max: int = 64
    """Most bytes held, in mebibytes."""
    per_sender_max: int = 1_024
    """Most transactions held of one sender."""
    age_s_max: int = 10_800
    """Seconds after which a waiting transaction is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """What is kept, and how."""

    mode: StorageMode = StorageMode.LIVE
    """``live`` or ``archive``."""
    cache_mb: int = 64
    """LevelDB's block cache, in mebibytes."""
    snapshot_interval: int = 0
    """Blocks between automatic snapshots; 0 takes none."""
    free_mb_min: int = 512
    """Free disk below which readiness turns red, in mebibytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged."""

    level: LogLevel = LogLevel.INFO
    """Least severity logged; `admin_changeLogLevel` changes it while running."""
    format: LogFormat = LogFormat.HUMAN
    """``human`` or ``json``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything one machine's operator decides."""

    name: str
    """The node's name in logs, metrics and status, usually the municipality."""
    data_dir: Path
    """Directory of the database, the sign-state and the recorded ports."""
    genesis: Path
    """Genesis file of the network."""
    recoveries: tuple[Path, ...] = ()
    """Signed recovery documents, oldest first, of a network that had lost its quorum."""
    is_validator: bool = True
    """Vote when the chain lists this node's key; False only follows."""
    key: KeySettings
    """The node's key."""
    p2p: PeerSettings
    """Peers."""
    rpc: RpcSettings = field(default_factory=RpcSettings)
    """JSON-RPC."""
    admin: AdminSettings = field(default_factory=AdminSettings)
    """Administration."""
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    """Health and metrics."""
    pool: PoolSettings = field(default_factory=PoolSettings)
    """Waiting transactions."""
    storage: StorageSettings = field(default_factory=StorageSettings)
    """Database."""
    log: LogSettings = field(default_factory=LogSettings)
    """Logs."""


def load_settings(path: Path) -> Settings:
    """Read and check the settings file at ``path``.

    Raises:
        Misconfigured: It cannot be read, is not TOML, or holds a key or value that is wrong.
    """
    settings = load_record(Settings, path)
    _check(settings, path)
    return settings


def load_record(kind: type[Record], path: Path) -> Record:
    """Read the TOML file at ``path`` into the frozen dataclass ``kind``.

    Fields may be strings, whole numbers, booleans, paths, ``StrEnum``s, records of these, and
    tuples of strings, paths or records; a field may be ``| None``.

    Raises:
        Misconfigured: The file cannot be read, is not TOML, or holds an unknown key or a wrong
        type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(
            f"{path}: cannot be read ({error.strerror}); name the settings file with --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: not TOML: {error}; correct that line") from error
    return _record(kind, table, path, "")


def check_bounds(path: Path, bounds: Iterable[tuple[str, int, int, int]]) -> None:
    """Refuse a number out of bounds; each row is a key, its value, the least and the most.

    Raises:
        Misconfigured: A value is out of its bounds.
    """
    for name, value, least, most in bounds:
        if not least <= value <= most:
            raise Misconfigured(f"{path}: {name} = {value}: give a number from {least} to {most}")


def read_secret(path: Path) -> str:
    """Read a one-line secret from a file that only its owner may read.

    Raises:
        Misconfigured: The file is missing, empty, or readable by others.
    """
    check_private(path)
    secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    if not secret:
        raise Misconfigured(f"{path}: is empty; write the password into it")
    return secret


def check_private(path: Path) -> None:
    """Refuse a file of secrets that others than its owner may open.

    Raises:
        Misconfigured: The file is missing or its mode is too open.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if mode & 0o077:
        raise Misconfigured(
            f"{path}: mode {mode & 0o777:04o} lets others in; run: chmod 600 {path}"
        )
    if not os.access(path, os.R_OK):
        raise Misconfigured(f"{path}: not readable by this user; run: chown it to the node's user")


def _check(settings: Settings, path: Path) -> None:
    if (settings.key.keystore is None) == (settings.key.signer_socket is None):
        raise Misconfigured(f"{path}: key: give exactly one of key.keystore and key.signer_socket")
    bounds = (
        ("p2p.port", settings.p2p.port, 0, PORT_MAX),
        ("rpc.port", settings.rpc.port, 0, PORT_MAX),
        ("rpc.rate_per_s", settings.rpc.rate_per_s, 1, 1_000_000),
        ("rpc.worker_count", settings.rpc.worker_count, 1, 64),
        ("admin.port", settings.admin.port, 0, PORT_MAX),
        ("metrics.port", settings.metrics.port, 0, PORT_MAX),
        ("metrics.peer_count_min", settings.metrics.peer_count_min, 0, 64),
        ("metrics.lag_blocks_max", settings.metrics.lag_blocks_max, 0, 1_000_000),
        ("pool.count_max", settings.pool.count_max, 1, 1_000_000),
        ("pool.size_mb_max", settings.pool.size_mb_max, 1, 4_096),
        ("pool.per_sender_max", settings.pool.per_sender_max, 1, 100_000),
        ("pool.age_s_max", settings.pool.age_s_max, 1, 31_536_000),
        ("storage.cache_mb", settings.storage.cache_mb, 8, CACHE_MB_MAX),
        ("storage.snapshot_interval", settings.storage.snapshot_interval, 0, 10_000_000),
        ("storage.free_mb_min", settings.storage.free_mb_min, 0, 1_000_000),
    )
    check_bounds(path, bounds)
    ports = [settings.rpc.port, settings.admin.port, settings.metrics.port, settings.p2p.port]
    chosen = [port for port in ports if port]
    if len(set(chosen)) != len(chosen):
        raise Misconfigured(f"{path}: p2p, rpc, admin and metrics must use different ports")


def _record(kind: type[Record], table: dict[str, object], path: Path, prefix: str) -> Record:
    """Build the record ``kind`` from a TOML table."""
    assert dataclasses.is_dataclass(kind)
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise Misconfigured(_unknown(path, prefix + key, prefix, list(hints)))
    values: dict[str, object] = {}
    for spec in dataclasses.fields(kind):
        if spec.name in table:
            values[spec.name] = _value(hints[spec.name], table[spec.name], path, prefix + spec.name)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise Misconfigured(f"{path}: {prefix}{spec.name} is missing; add it")
    return cast(Record, kind(**values))


def _unknown(path: Path, name: str, prefix: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.removeprefix(prefix), known, n=1, cutoff=0.5)
    remedy = f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"{path}: unknown key {name}; {remedy}"


def _value(hint: object, value: object, path: Path, name: str) -> object:
    """Check and convert one TOML value to the type of its field."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        return _values(get_args(hint)[0], value, path, name)
    assert isinstance(hint, type)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise Misconfigured(f"{path}: {name}: is a table; write [{name}]")
        return _record(hint, value, path, f"{name}.")
    if hint is Path:
        return path.parent.joinpath(_typed(str, value, path, name)).absolute()
    if issubclass(hint, StrEnum):
        choices = [choice.value for choice in hint]
        if value not in choices:
            raise Misconfigured(f"{path}: {name} = {value!r}: give one of {', '.join(choices)}")
        return hint(value)
    return _typed(hint, value, path, name)


def _values(kind: type, value: object, path: Path, name: str) -> tuple[object, ...]:
    """Check and convert a TOML array to a tuple of ``kind``."""
    item_type = dict if dataclasses.is_dataclass(kind) else str
    if not isinstance(value, list) or not all(isinstance(item, item_type) for item in value):
        form = f"tables; write [[{name}]]" if item_type is dict else "strings"
        raise Misconfigured(f"{path}: {name}: give a list of {form}")
    if item_type is dict:
        return tuple(_record(kind, item, path, f"{name}.") for item in value)
    if kind is Path:
        return tuple(path.parent.joinpath(item).absolute() for item in value)
    return tuple(value)


def _typed(kind: type[Record], value: object, path: Path, name: str) -> Record:
    if type(value) is not kind:
        words = {str: "a string", int: "a whole number", bool: "true or false"}
        raise Misconfigured(f"{path}: {name} = {value!r}: give {words[kind]}")
    return value
