"""What the relay is told by its operator: one TOML file, secrets by file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from node.primitives.errors import Misconfigured
from services.kit.settings import KitSettings, NodeSettings

NODE_COUNT_MAX: Final = 16
UNSETTLED_MAX_BOUND: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """A service that may ask for transactions."""

    name: str
    """Its name; the source of its events is ``urn:daicho:TENANT:NAME``."""
    key_file: Path
    """Public key with which it signs its events, a JWK."""
    endpoint: str
    """Where it hears what became of them, as ``http://127.0.0.1:8601/events``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """The relay's settings file."""

    genesis_file: Path
    """The network's genesis file; reading starts there."""
    keystore_file: Path | None = None
    """Key that signs transactions; its account is a service of the municipality."""
    password_file: Path | None = None
    """File with the keystore's password."""
    signer_socket: Path | None = None
    """Unix socket of a signer process that holds the key; instead of ``keystore_file``."""
    events_key_file: Path
    """Key with which the relay signs its events, a JWK."""
    anchors: str
    """Address of the contract Anchors."""
    nodes: tuple[NodeSettings, ...]
    """Nodes to ask, in this order."""
    clients: tuple[ClientSettings, ...] = ()
    """Services it works for."""
    unsettled_max: int = 1_000
    """Most operations of one service that may be under way or waiting."""
    trusting_period_days: int = 3_650
    """Oldest block the relay may read on from, in days. A new database reads from genesis, so this
    is as long as networks live; a history forged with retired keys needs every node to show it."""
    staleness_s: int = 120
    """Oldest block that is still the present; several heartbeats of the network."""
    kit: KitSettings = field()
    """The kit's table; exactly one tenant."""


def check_relay(settings: RelaySettings) -> None:
    """Refuse values that are well typed and still wrong.

    Raises:
        Misconfigured: One is; the message names the key.
    """
    if (settings.keystore_file is None) == (settings.signer_socket is None):
        raise Misconfigured("keystore_file, signer_socket: give exactly one of them")
    if (settings.keystore_file is None) != (settings.password_file is None):
        raise Misconfigured("password_file: give it with keystore_file, and only then")
    if len(settings.kit.tenants) != 1:
        raise Misconfigured("kit.tenants: a relay signs for one municipality; name exactly one")
    if not 1 <= len(settings.nodes) <= NODE_COUNT_MAX:
        raise Misconfigured(f"nodes: name 1 to {NODE_COUNT_MAX}")
    if not 1 <= settings.unsettled_max <= UNSETTLED_MAX_BOUND:
        raise Misconfigured(f"unsettled_max: give 1 to {UNSETTLED_MAX_BOUND}")
    names = [client.name for client in settings.clients]
    if len(set(names)) != len(names):
        raise Misconfigured("clients: a name is used twice; rename one")
