"""The services of one municipality of a local trial network, laid out as files.

Writes what an operator would write (keys, settings, the issuer that residents' tokens come from)
under the network's directory, where `daicho network up` finds and starts them. All keys are
development keys and are marked so in name and file. What is laid out already stays as it is, and a
settings file is written after all that it names. The network's own record is read as a file: the
program that made it stands apart.
"""

import json
import re
import secrets
import shutil
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.primitives.errors import Misconfigured, Unavailable
from services.kit.keys import Key, generate_key, private_document, public_document
from services.kit.master_keys import create_master_file
from services.kit.settings import NAME
from services.localhub import authorities_head, hub_head, hub_issuer, hub_tables, write_hub_files

RECORD_FILE: Final = "network.json"
SETTINGS_FILE: Final = "service.toml"
DATABASE_FILE: Final = "service.db"
RESIDENTS_KEY_FILE: Final = "residents.development-only.key.json"
"""Private key of the issuer that stands in for the identity hub where there is none."""

MARK: Final = "development-only"
ISSUER: Final = "urn:daicho:development-only:residents"
PORT_RANGE: Final = range(12_000, 30_000)
"""Below the ports that the system gives to outgoing connections."""

PORT_TRIES_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTown:
    """A municipality of a local network, with the folders of its services."""

    name: str
    """Its name in the network's record."""
    tenant: str
    """Its name in tokens and events."""
    network: Path
    """The network's directory."""
    keys: Path
    """Where its relay's keystore and password are."""
    anchors: str
    """Address of the contract Anchors."""
    registry: str | None = None
    """Address of the contract IdentityStatus, where this one's relay may attest residents."""
    nodes: tuple[tuple[str, str], ...]
    """Name and address of every node, its own first."""

    @property
    def relay(self) -> Path:
        """Return the relay's folder."""
        return self.network / "services" / f"relay@{self.tenant}"

    @property
    def example(self) -> Path:
        """Return the noticeboard's folder."""
        return self.network / "services" / f"example@{self.tenant}"

    @property
    def hub(self) -> Path:
        """Return the identity hub's folder."""
        return self.network / "services" / f"hub@{self.tenant}"

    @property
    def authorities(self) -> Path:
        """Return the folder of the simulated authorities."""
        return self.network / "services" / f"authorities@{self.tenant}"

    @property
    def services(self) -> tuple[Path, ...]:
        """Return the folders of all its services."""
        both = (self.relay, self.example)
        return both if self.registry is None else (*both, self.hub, self.authorities)


def find_town(network: Path, name: str) -> LocalTown:
    """Return a municipality of the network recorded under a directory.

    Raises:
        Misconfigured: No such network or municipality is recorded, or the contract is not.
    """
    try:
        record: dict[str, Any] = json.loads((network / RECORD_FILE).read_text(encoding="utf-8"))
        nodes = [(each["name"], each) for each in record["nodes"]]
        anchors = record["contracts"]["Anchors"]
        registry = record["contracts"].get("IdentityStatus")
        first = record["nodes"][0]["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            f"{network}: no local network with the contract Anchors; run `daicho network up`"
        ) from error
    nodes.sort(key=lambda each: each[0] != name)
    own_name, own = nodes[0]
    if own_name != name:
        raise Misconfigured(f"{network}: no municipality {name!r} in this network")
    return LocalTown(
        name=name,
        tenant=tenant_of(name),
        network=network.absolute(),
        keys=Path(own["directory"]),
        anchors=anchors,
        registry=registry if name == first else None,
        nodes=tuple((each, f"http://127.0.0.1:{node['rpc_port']}") for each, node in nodes),
    )


def lay_out(town: LocalTown) -> tuple[Path, ...]:
    """Write keys and settings of the services unless they are there; return the settings files.

    Raises:
        Misconfigured: A file cannot be written, or one of the services is gone.
        Unavailable: No port is free.
    """
    paths = tuple(folder / SETTINGS_FILE for folder in town.services)
    if all(path.exists() for path in paths):
        return paths
    for path in paths:
        if (path.parent / DATABASE_FILE).exists():
            raise Misconfigured(
                f"{path.parent}: was in use, and another service is gone; put it back, or "
                "remove this one too to begin anew"
            )
    try:
        for path in paths:
            # What an interrupted lay-out left: nothing has used it yet.
            shutil.rmtree(path.parent, ignore_errors=True)
            path.parent.mkdir(parents=True)
        _write_keys(town)
        ports = choose_ports(len(paths))
        texts = [_relay_settings(town, ports), _example_settings(town, ports)]
        if town.registry is not None:
            anchors = write_hub_files(town.hub, town.authorities)
            texts += [_hub_settings(town, ports, anchors), _authorities_settings(town, ports)]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"{town.network}: services not written: {error.strerror}") from error
    return paths


def tenant_of(name: str) -> str:
    """Return a municipality's name in the form tenants have."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return plain if NAME.fullmatch(plain) else "municipality"


def _write_keys(town: LocalTown) -> None:
    write_pair(town.relay / "events", generate_key())
    write_pair(town.example / "events", generate_key())
    if town.registry is None:
        key = generate_key()
        _write_private(town.example / RESIDENTS_KEY_FILE, key)
        key_set = json.dumps({"keys": [public_document(key)]}) + "\n"
        (town.example / "residents.jwks.json").write_text(key_set, encoding="ascii")
    create_master_file(town.example / f"master.{MARK}.keys")


def write_pair(path: Path, key: Key) -> None:
    """Write a key and its public half beside it."""
    _write_private(path.with_name(f"{path.name}.{MARK}.key.json"), key)
    text = json.dumps(public_document(key)) + "\n"
    path.with_name(f"{path.name}.pub.json").write_text(text, encoding="ascii")


def _write_private(path: Path, key: Key) -> None:
    path.touch(mode=0o600, exist_ok=False)
    text = json.dumps({**private_document(key), MARK: True})
    path.write_text(text + "\n", encoding="ascii")


def _relay_settings(town: LocalTown, ports: Sequence[int]) -> str:
    hub = ""
    if town.registry is not None:
        hub = f"""
[[clients]]
name = "hub"
key_file = {toml_text(town.hub / "events.pub.json")}
endpoint = "http://127.0.0.1:{ports[2]}/events"
"""
    return f"""# The relay of a local trial network. Never copy its keys into a real one.
genesis_file = {toml_text(town.network / "genesis.json")}
keystore_file = {toml_text(town.keys / f"relay.{MARK}.key.json")}
password_file = {toml_text(town.keys / "relay.password")}
events_key_file = "events.{MARK}.key.json"
anchors = "{town.anchors}"
{node_tables(town)}
[[clients]]
name = "example"
key_file = {toml_text(town.example / "events.pub.json")}
endpoint = "http://127.0.0.1:{ports[1]}/events"
{hub}
[kit.auth]
audience = "relay"
{kit_tables(town, town.relay, ports[0])}"""


def _hub_settings(town: LocalTown, ports: Sequence[int], anchors: list[tuple[str, Path]]) -> str:
    head = hub_head(
        town.tenant,
        registry=str(town.registry),
        genesis=toml_text(town.network / "genesis.json"),
        authorities_port=ports[3],
    )
    return f"""{head}{node_tables(town)}{hub_tables(anchors)}
[relay]
key_file = {toml_text(town.relay / "events.pub.json")}
endpoint = "http://127.0.0.1:{ports[0]}/events"

[kit.auth]
audience = "hub"
{kit_tables(town, town.hub, ports[2])}"""


def _authorities_settings(town: LocalTown, ports: Sequence[int]) -> str:
    return f"{authorities_head()}{kit_tables(town, town.authorities, ports[3])}"


def _example_settings(town: LocalTown, ports: Sequence[int]) -> str:
    if town.registry is not None:
        issuer = f"""[[kit.auth.issuers]]
issuer = "{hub_issuer(town.tenant)}"
jwks_url = "http://127.0.0.1:{ports[2]}/jwks"
"""
    else:
        issuer = f"""# Stands in for an identity hub: whoever holds its key is any resident.
[[kit.auth.issuers]]
issuer = "{ISSUER}"
jwks_file = "residents.jwks.json"
"""
    return f"""# A noticeboard of a local trial network. Never copy its keys into a real one.
genesis_file = {toml_text(town.network / "genesis.json")}
anchors = "{town.anchors}"
master_file = "master.{MARK}.keys"
events_key_file = "events.{MARK}.key.json"
{node_tables(town)}
[relay]
key_file = {toml_text(town.relay / "events.pub.json")}
endpoint = "http://127.0.0.1:{ports[0]}/events"

[kit.auth]
audience = "example"

{issuer}{kit_tables(town, town.example, ports[1])}"""


def node_tables(town: LocalTown) -> str:
    """Return the tables of all nodes, the municipality's own first."""
    return "".join(
        f'\n[[nodes]]\nname = {toml_text(name)}\nurl = "{url}"\n' for name, url in town.nodes
    )


def kit_tables(town: LocalTown, folder: Path, port: int) -> str:
    """Return the kit's tables of a service."""
    return f"""
[kit.server]
port = {port}
public_url = "http://127.0.0.1:{port}"
shutdown_timeout_s = 5

[kit.database]
url = {toml_text(f"sqlite+aiosqlite:///{folder / DATABASE_FILE}")}

[[kit.tenants]]
id = "{town.tenant}"
name = {toml_text(town.name)}
"""


def toml_text(value: object) -> str:
    """Write a TOML string; JSON's are such."""
    return json.dumps(str(value), ensure_ascii=False)


def choose_ports(count: int) -> list[int]:
    """Return free ports; none of them is taken by an outgoing connection later."""
    ports: list[int] = []
    with ExitStack() as held:
        for port in (secrets.choice(PORT_RANGE) for _ in range(PORT_TRIES_MAX)):
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise Unavailable("no free port found on this machine; stop what listens on loopback")
