"""A resident's folder: description of the network, what is trusted, wallet; private to its owner.

Written whole or not at all: a crash leaves the old file.

Spec: WALLET-COMMANDS.
"""

import json
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.core.answers import raw_header_of
from clients.core.headers import ForkDetected
from clients.core.light_client import LightClient, NoVerifiedAnswer
from clients.core.transport import HttpNode, NodeUnavailable, http_nodes
from clients.core.trust import (
    NetworkDescription,
    Trust,
    decode_trust,
    encode_trust,
    load_network,
    start_trust,
)
from node.consensus.checkpoint import Checkpoint
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, Misconfigured

NETWORK_FILE: Final = "network.toml"
TRUST_FILE: Final = "light-client.json"
WALLET_FILE: Final = "wallet.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A resident's folder."""

    path: Path
    """Where it is."""

    @property
    def network_path(self) -> Path:
        """Return where the network's description is."""
        return self.path / NETWORK_FILE

    @property
    def trust_path(self) -> Path:
        """Return where the light client's state is."""
        return self.path / TRUST_FILE

    @property
    def wallet_path(self) -> Path:
        """Return where the wallet is."""
        return self.path / WALLET_FILE

    def load_network(self) -> NetworkDescription:
        """Read the network's description.

        Raises:
            Misconfigured: There is none, or it is wrong.
        """
        self._check_made()
        network = load_network(self.network_path)
        if not network.nodes:
            raise Misconfigured(f"{self.network_path}: names no node; add `node` to municipalities")
        return network

    def load_trust(self, network: NetworkDescription) -> Trust:
        """Read the light client's state.

        Raises:
            Misconfigured: There is none, it is damaged, or it is of another network.
        """
        self._check_made()
        try:
            trust = decode_trust(self.trust_path.read_bytes())
        except OSError as error:
            raise Misconfigured(
                f"{self.trust_path}: cannot be read ({error.strerror}); check it"
            ) from error
        except InvalidInput as error:
            raise Misconfigured(
                f"{self.trust_path}: {error.message} with `daicho resident init`"
            ) from error
        if trust.genesis_hash != network.genesis_hash:
            raise Misconfigured(f"{self.trust_path}: of another network; use another --home")
        return trust

    def check_same_network(self, network: NetworkDescription) -> None:
        """Refuse to turn the folder of one network into that of another.

        Raises:
            Misconfigured: It is of another network.
        """
        if not self.network_path.exists():
            return
        if load_network(self.network_path).genesis_hash != network.genesis_hash:
            raise Misconfigured(f"{self.path}: of another network; use another --home")

    def save_network(self, description: bytes) -> None:
        """Keep the network's description."""
        write_private(self.network_path, description)

    def save_trust(self, trust: Trust) -> None:
        """Keep the light client's state."""
        write_private(self.trust_path, encode_trust(trust).encode())

    def save_evidence(self, fork: ForkDetected) -> Path:
        """Keep the two sealed headers of a fork beside the rest; return where.

        Spec: LIGHT-FORK.
        """
        text = json.dumps({"message": fork.message, **fork.values}, indent=2, ensure_ascii=False)
        data = (text + "\n").encode()
        path = self.path / f"fork-{sha256(data).hex()[:16]}.json"
        write_private(path, data)
        return path

    def _check_made(self) -> None:
        if not self.network_path.exists() or not self.trust_path.exists():
            raise Misconfigured(f"{self.path}: not set up; run `daicho resident init` first")


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        Misconfigured: The folder cannot be written.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise Misconfigured(f"{path}: cannot be written ({error.strerror}); check it") from error


@asynccontextmanager
async def synced(home: Home, now_s: Callable[[], int]) -> AsyncIterator[LightClient]:
    """Open a light client on a resident's folder, and keep what it came to trust.

    Raises:
        Misconfigured: The folder is not set up, or its trust has expired.
    """
    network = home.load_network()
    trust = home.load_trust(network)
    async with http_nodes(network.nodes) as nodes:
        client = LightClient(nodes, trust, limits=network.limits, now_s=now_s)
        try:
            yield client
        finally:
            if client.trust != trust:
                home.save_trust(client.trust)


async def fetch_start(checkpoint: Checkpoint, network: NetworkDescription) -> Trust:
    """Fetch a checkpoint's header from the first node that has it, and begin to trust it.

    Raises:
        NoVerifiedAnswer: No node gave the header that the checkpoint names.
        HeaderRefused: Too few municipalities signed the checkpoint.

    Spec: LIGHT-START.
    """
    async with http_nodes(network.nodes) as nodes:
        told = []
        for node in nodes:
            try:
                return await _start_from(node, checkpoint, network)
            except (InvalidInput, NodeUnavailable) as error:
                told.append(f"{node.name}: {error.message}")
    raise NoVerifiedAnswer(f"no node gave the checkpoint's block ({'; '.join(told)})")


async def _start_from(node: HttpNode, checkpoint: Checkpoint, network: NetworkDescription) -> Trust:
    answer = await node.call("debug_getRawHeader", hex(checkpoint.height))
    return start_trust(checkpoint, raw_header_of(answer), network)
