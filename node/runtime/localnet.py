"""A network of several nodes on one machine, for development and trials.

Writes what a real network's operators would make (keys, genesis, membership, settings) under one
directory and starts the same `daicho node run` that they would. Its keys are development keys and
are marked so in name and file; the addresses answer on the loopback interface only.
"""

import json
import secrets
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from node.genesis.build import BLOCK_GAS_LIMIT, GenesisDescription, build_genesis
from node.genesis.parse import parse_genesis
from node.genesis.system_contracts import Municipality
from node.membership.document import (
    Governor,
    Member,
    Membership,
    Role,
    build_member,
    build_membership,
    encode_membership,
    parse_endpoint,
)
from node.membership.signatures import sign_membership
from node.primitives.crypto import PrivateKey
from node.primitives.errors import Misconfigured, Unavailable
from node.runtime.keystore import create_key, load_keystore, save_keystore, save_private
from node.runtime.localprocess import LocalProcess, LocalProgram, stop_all
from node.settings import read_secret

CHAIN_ID: Final = 20_260
"""Chain id of local networks."""

NAMES: Final = ("Tsukuba", "Goka", "Sakai", "Ibaraki")
"""The founding municipalities and the prefecture."""

RECORD_FILE: Final = "network.json"
MEMBERSHIP_DAYS: Final = 365

PORT_RANGE: Final = range(12_000, 30_000)
"""Ports of trial networks, below those the system gives to outgoing connections."""

PORT_TRIES_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNode:
    """One node of a local network and where it answers."""

    name: str
    """Its municipality."""
    directory: str
    """Its own directory: settings, keys, data, log."""
    address: str
    """Address of its node key."""
    p2p_port: int
    """Port for peers."""
    rpc_port: int
    """Port of JSON-RPC over HTTP and WebSocket."""
    admin_port: int
    """Port of `admin_*`."""
    metrics_port: int
    """Port of health and metrics."""

    @property
    def path(self) -> Path:
        """Return its directory."""
        return Path(self.directory)

    @property
    def rpc_url(self) -> str:
        """Return the address of its JSON-RPC."""
        return f"http://127.0.0.1:{self.rpc_port}"

    @property
    def settings_path(self) -> Path:
        """Return its settings file."""
        return self.path / "node.toml"

    @property
    def log_path(self) -> Path:
        """Return its log."""
        return self.path / "node.log"

    @property
    def governor_path(self) -> Path:
        """Return the keystore of its municipality's governor."""
        return self.path / "governor.development-only.key.json"

    @property
    def relay_path(self) -> Path:
        """Return the keystore with which its municipality's relay signs."""
        return self.path / "relay.development-only.key.json"

    @property
    def relay_password_path(self) -> Path:
        """Return the file with that keystore's password."""
        return self.path / "relay.password"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlan:
    """How a local network is made."""

    names: tuple[str, ...] = NAMES
    """A node for each."""
    block_period_s: int = 2
    """Least time between blocks."""
    heartbeat_s: int = 30
    """Longest time without a block."""
    request_timeout_s: int = 4
    """How long round 0 lasts."""
    request_timeout_cap_s: int = 60
    """Longest a round lasts."""
    epoch_length: int = 30_000
    """Heights between resets of validator votes."""
    block_gas_limit: int = BLOCK_GAS_LIMIT
    """Gas a block may hold."""
    rpc_port: int = 0
    """First of the ports tried for JSON-RPC; 0 takes free ones."""
    extra_settings: str = ""
    """TOML appended to every settings file."""
    log_level: str = "info"
    """Least severity in the nodes' logs."""


class LocalNetwork:
    """The nodes under one directory."""

    def __init__(
        self, root: Path, nodes: Sequence[LocalNode], contracts: Mapping[str, str] | None = None
    ) -> None:
        """Hold what ``create`` or ``load`` found.

        Args:
            root: Its directory.
            nodes: Its nodes.
            contracts: Addresses, by name, of the contracts created on it for services.
        """
        self.root = root
        self.nodes = tuple(nodes)
        self.contracts = dict(contracts or {})
        self._processes: dict[str, LocalProcess] = {}

    @classmethod
    def create(cls, root: Path, plan: LocalPlan) -> "LocalNetwork":
        """Make keys, genesis, membership and settings for a new network under ``root``.

        Raises:
            Misconfigured: A network is there already, or the place cannot be written.
        """
        if (root / RECORD_FILE).exists():
            raise Misconfigured(f"{root}: holds a network already; remove it or start that one")
        (root / "nodes").mkdir(parents=True, exist_ok=True)
        node_keys = [create_key() for _ in plan.names]
        governor_keys = [create_key() for _ in plan.names]
        relay_keys = [create_key() for _ in plan.names]
        ports = iter(_choose_ports(plan))
        nodes = [
            LocalNode(
                name=name,
                directory=str((root / "nodes" / name.lower()).absolute()),
                address=f"0x{key.address.hex()}",
                p2p_port=next(ports),
                rpc_port=next(ports),
                admin_port=next(ports),
                metrics_port=next(ports),
            )
            for name, key in zip(plan.names, node_keys, strict=True)
        ]
        genesis = _build_genesis(plan, node_keys, governor_keys, relay_keys)
        (root / "genesis.json").write_bytes(genesis)
        members = [_member_of(node, key) for node, key in zip(nodes, node_keys, strict=True)]
        governors = [
            Governor(municipality=node.name, address=key.address)
            for node, key in zip(nodes, governor_keys, strict=True)
        ]
        document = build_membership(
            version=1,
            genesis_hash=parse_genesis(genesis).profile.genesis_hash,
            issued_at_s=_now_s(),
            valid_until_s=_now_s() + MEMBERSHIP_DAYS * 86_400,
            governors=tuple(governors),
            members=tuple(members),
        )
        save_membership(root / "membership.json", document, governor_keys)
        for node, key, governor in zip(nodes, node_keys, governor_keys, strict=True):
            _write_node(root, plan, node, key, governor)
        for node, key in zip(nodes, relay_keys, strict=True):
            _write_relay_key(node, key)
        network = cls(root, nodes)
        network.save()
        return network

    @classmethod
    def load(cls, root: Path) -> "LocalNetwork":
        """Return the network recorded under ``root``.

        Raises:
            Misconfigured: None is recorded there.
        """
        try:
            record = json.loads((root / RECORD_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Misconfigured(
                f"{root}: no local network here; make one with `daicho network up`"
            ) from error
        nodes = [LocalNode(**node) for node in record["nodes"]]
        return cls(root, nodes, record.get("contracts"))

    def save(self) -> None:
        """Record nodes, ports and contracts, at once."""
        record = {
            "chain_id": CHAIN_ID,
            "nodes": [asdict(node) for node in self.nodes],
            "contracts": self.contracts,
        }
        text = json.dumps(record, indent=2, ensure_ascii=False)
        draft = self.root / f"{RECORD_FILE}.new"
        draft.write_text(text + "\n", encoding="utf-8")
        draft.rename(self.root / RECORD_FILE)

    def find(self, name: str) -> LocalNode:
        """Return the node called ``name``.

        Raises:
            Misconfigured: There is none.
        """
        for node in self.nodes:
            if node.name.lower() == name.lower():
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise Misconfigured(f"no node {name!r} in this network; there are {names}")

    def governor_key(self, node: LocalNode) -> PrivateKey:
        """Open the development key of a municipality's governor."""
        return load_keystore(node.governor_path, read_secret(node.path / "password"))

    def start(self, node: LocalNode, prelude: str = "") -> None:
        """Start a node's process unless it runs already; it outlives this one.

        Args:
            node: Which.
            prelude: Python run in the node's process before it starts; for trials of nodes that
                differ from the others.
        """
        self._process(node).start(prelude)

    def process_id(self, node: LocalNode) -> int | None:
        """Return the id of a node's running process, or None."""
        return self._process(node).id

    def send_signal(self, node: LocalNode, number: signal.Signals) -> None:
        """Send a signal to a node's process, if it runs."""
        self._process(node).send_signal(number)

    def stop(self, node: LocalNode, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop a node and wait for its end; its exit code when we started it.

        Raises:
            Unavailable: It does not end.
        """
        return self._process(node).stop(number)

    def stop_all(self) -> None:
        """Ask every node to stop, then wait for each.

        Raises:
            Unavailable: One does not end.
        """
        stop_all([self._process(node) for node in self.nodes])

    def _process(self, node: LocalNode) -> LocalProcess:
        if node.name not in self._processes:
            self._processes[node.name] = LocalProcess(_program(node))
        return self._processes[node.name]


def _program(node: LocalNode) -> LocalProgram:
    return LocalProgram(
        name=node.name,
        words=("node", "run", "--config", str(node.settings_path)),
        settings_path=node.settings_path,
        log_path=node.log_path,
        pid_path=node.path / "node.pid",
    )


def save_membership(path: Path, document: Membership, keys: Sequence[PrivateKey]) -> Membership:
    """Sign ``document`` with the governors' ``keys`` and put it in place at once."""
    for key in keys:
        document = sign_membership(document, key)
    draft = path.with_suffix(".new")
    draft.write_text(encode_membership(document), encoding="utf-8")
    draft.rename(path)
    return document


def _build_genesis(
    plan: LocalPlan,
    node_keys: Sequence[PrivateKey],
    governor_keys: Sequence[PrivateKey],
    relay_keys: Sequence[PrivateKey],
) -> bytes:
    founders = tuple(
        Municipality(
            name=name,
            account=governor.address,
            validator=key.address,
            endpoint="",
            services=(relay.address,),
            # The first municipality's hub attests residents, through its relay.
            attesters=(relay.address,) if name == plan.names[0] else (),
        )
        for name, key, governor, relay in zip(
            plan.names, node_keys, governor_keys, relay_keys, strict=True
        )
    )
    return build_genesis(
        GenesisDescription(
            chain_id=CHAIN_ID,
            # As old as the heartbeat, so that the first block is due at once.
            timestamp_s=_now_s() - plan.heartbeat_s,
            municipalities=founders,
            governors=tuple(key.address for key in governor_keys),
            block_period_s=plan.block_period_s,
            heartbeat_s=plan.heartbeat_s,
            epoch_length=plan.epoch_length,
            block_gas_limit=plan.block_gas_limit,
            request_timeout_s=plan.request_timeout_s,
            request_timeout_cap_s=plan.request_timeout_cap_s,
        )
    )


def _member_of(node: LocalNode, key: PrivateKey) -> Member:
    return build_member(
        name=node.name.lower(),
        municipality=node.name,
        public_key=key.public_key,
        role=Role.VALIDATOR,
        endpoints=(parse_endpoint(f"127.0.0.1:{node.p2p_port}"),),
    )


def _write_node(
    root: Path, plan: LocalPlan, node: LocalNode, key: PrivateKey, governor: PrivateKey
) -> None:
    password = secrets.token_hex(16)
    save_private(node.path / "password", password + "\n")
    save_keystore(node.path / "node.development-only.key.json", key, password, is_development=True)
    save_keystore(node.governor_path, governor, password, is_development=True)
    node.settings_path.write_text(
        f"""# A node of a local trial network. Never copy its keys into a real one.
name = "{node.name}"
data_dir = "data"
genesis = "{(root / "genesis.json").absolute()}"

[key]
keystore = "node.development-only.key.json"
password_file = "password"

[p2p]
host = "127.0.0.1"
port = {node.p2p_port}
membership = "{(root / "membership.json").absolute()}"

[rpc]
port = {node.rpc_port}
cors_origins = ["*"]

[admin]
port = {node.admin_port}

[metrics]
port = {node.metrics_port}

[log]
level = "{plan.log_level}"
{plan.extra_settings}""",
        encoding="utf-8",
    )


def _write_relay_key(node: LocalNode, key: PrivateKey) -> None:
    """Write a service account's key with a password of its own: it opens no other key."""
    password = secrets.token_hex(16)
    save_private(node.relay_password_path, password + "\n")
    save_keystore(node.relay_path, key, password, is_development=True)


def _choose_ports(plan: LocalPlan) -> list[int]:
    """Return four free ports a node; JSON-RPC at the usual ones when they are free."""
    ports: list[int] = []
    with ExitStack() as held:
        for index in range(len(plan.names)):
            wanted = plan.rpc_port + 10 * index if plan.rpc_port else 0
            ports.append(_take_port(held))
            ports.append(_take_port(held, wanted))
            ports.append(_take_port(held, wanted + 1 if wanted else 0))
            ports.append(_take_port(held))
    return ports


def _take_port(held: ExitStack, wanted: int = 0) -> int:
    """Hold ``wanted`` if nothing listens there, else a free port, until ``held`` closes.

    Ports are chosen below the range that outgoing connections use, so that none of those takes
    one while its node is down.
    """
    candidates = [wanted] if wanted else []
    candidates += [secrets.choice(PORT_RANGE) for _ in range(PORT_TRIES_MAX)]
    for port in candidates:
        probe = held.enter_context(socket.socket())
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    raise Unavailable("no free port found on this machine; stop what listens on loopback")


def _now_s() -> int:
    return time.time_ns() // 1_000_000_000
