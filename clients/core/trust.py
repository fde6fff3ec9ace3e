"""Where trust begins: a network described by file, a checkpoint of two municipalities, a state.

The description names the municipalities, their governors' keys and their nodes; it is what a
resident's application ships with. Who starts from a checkpoint believes two municipalities once;
after that, seals alone.

Spec: LIGHT-START.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.core.answers import data_of
from clients.core.headers import HeaderRefused, TrustLimits
from node.consensus.checkpoint import (
    Checkpoint,
    verify_checkpoint,
    verify_checkpoint_header,
)
from node.consensus.report import Check, Report
from node.consensus.seals import verify_commit_seals
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.header import Header, decode_header
from node.primitives.json_text import decode_json, is_object
from node.primitives.types import Address, BlockHash, Hash32
from node.settings import check_bounds, load_record

SIGNERS_NEEDED: Final = 2
"""Municipalities that must have signed a checkpoint."""

MUNICIPALITY_COUNT_MAX: Final = 64
GOVERNOR_COUNT_MAX: Final = 16
"""Most keys of one municipality."""

STATE_SIZE_MAX: Final = 131_072
"""Longest state file read, in bytes."""


class InvalidTrust(InvalidInput):
    """A light client's state file that cannot be read back."""

    code = "light.invalid_state"


@dataclass(frozen=True, slots=True, kw_only=True)
class MunicipalityEntry:
    """One municipality, as the description names it."""

    name: str
    """For reports."""
    governors: tuple[str, ...]
    """Addresses of keys that sign for it, 0x and 40 digits."""
    node: str | None = None
    """URL of its node's public RPC port."""
    hub: str | None = None
    """URL of its identity hub."""
    hub_name: str | None = None
    """Host name that statements for its hub are addressed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEntry:
    """The description of a network, as its TOML file has it."""

    chain_id: int
    """Chain id of transactions."""
    genesis_hash: str
    """Hash of the genesis block, 0x and 64 digits."""
    trusting_period_days: int = 14
    """How long a verified header vouches for later ones."""
    staleness_s: int = 120
    """Oldest head that is still the present, in seconds."""
    identity_status: str | None = None
    """Address of the contract IdentityStatus, 0x and 40 digits."""
    municipalities: tuple[MunicipalityEntry, ...]
    """Who signs checkpoints, and where their nodes answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Municipality:
    """Whose word counts for a checkpoint, and where its node is."""

    name: str
    """For reports."""
    governors: frozenset[Address]
    """Keys that sign for it; of no other municipality."""
    node_url: str | None
    """Where its node answers, if it serves residents."""
    hub_url: str | None = None
    """Where its identity hub answers, if it has one."""
    hub_name: str | None = None
    """Whom statements for its hub are addressed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDescription:
    """A network, checked."""

    chain_id: int
    """Chain id of transactions."""
    genesis_hash: BlockHash
    """Hash of the genesis block."""
    limits: TrustLimits
    """How long trust lasts here."""
    municipalities: tuple[Municipality, ...]
    """Two or more."""
    identity_status: Address | None = None
    """The contract that says who is identified, where there is one."""

    @property
    def nodes(self) -> tuple[tuple[str, str], ...]:
        """Return name and URL of every node that serves residents."""
        return tuple((each.name, each.node_url) for each in self.municipalities if each.node_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a light client keeps: the header it started from, and the newest it verified."""

    genesis_hash: BlockHash
    """The network."""
    origin: Header
    """Header of the checkpoint."""
    head: Header
    """Newest verified header; ``origin`` at first."""


def load_network(path: Path) -> NetworkDescription:
    """Read and check the description of a network.

    Raises:
        Misconfigured: The file cannot be read, a key is unknown, or a value is wrong.

    Spec: LIGHT-START.
    """
    entry = load_record(NetworkEntry, path)
    check_bounds(
        path,
        (
            ("chain_id", entry.chain_id, 1, 2**53),
            ("trusting_period_days", entry.trusting_period_days, 1, 60),
            ("staleness_s", entry.staleness_s, 10, 86_400),
            ("municipalities", len(entry.municipalities), 2, MUNICIPALITY_COUNT_MAX),
        ),
    )
    try:
        municipalities = tuple(_municipality_of(each) for each in entry.municipalities)
        genesis_hash = BlockHash(Hash32(_sized(entry.genesis_hash, 32, "genesis_hash")))
        registry = entry.identity_status
        identity_status = None if registry is None else Address(_sized(registry, 20, "contract"))
    except InvalidInput as error:
        raise Misconfigured(f"{path}: {error.message}; correct it") from error
    keys = [key for each in municipalities for key in each.governors]
    if len(set(keys)) < len(keys) or len({each.name for each in municipalities}) < len(
        municipalities
    ):
        raise Misconfigured(
            f"{path}: a name or a governor stands under two municipalities; remove one"
        )
    return NetworkDescription(
        chain_id=entry.chain_id,
        genesis_hash=genesis_hash,
        limits=TrustLimits(
            trusting_period_s=entry.trusting_period_days * 86_400, staleness_s=entry.staleness_s
        ),
        municipalities=municipalities,
        identity_status=identity_status,
    )


def _municipality_of(entry: MunicipalityEntry) -> Municipality:
    if not 1 <= len(entry.governors) <= GOVERNOR_COUNT_MAX:
        raise InvalidInput(f"{entry.name}: expected 1 to {GOVERNOR_COUNT_MAX} governors")
    if entry.node is not None and not entry.node.startswith(("http://", "https://")):
        raise InvalidInput(f"{entry.name}: node: expected an http or https address")
    if (entry.hub is None) is not (entry.hub_name is None):
        raise InvalidInput(f"{entry.name}: hub and hub_name go together")
    return Municipality(
        name=entry.name,
        governors=frozenset(Address(_sized(key, 20, "governor")) for key in entry.governors),
        node_url=entry.node,
        hub_url=entry.hub,
        hub_name=entry.hub_name,
    )


def _sized(value: object, size: int, what: str) -> bytes:
    data = data_of(value, what, size_max=size)
    if len(data) != size:
        raise InvalidInput(f"{what}: expected {size} bytes, found {len(data)}")
    return data


def signers_of(checkpoint: Checkpoint, municipalities: Sequence[Municipality]) -> tuple[str, ...]:
    """Return the names of the municipalities that signed a checkpoint, once each.

    Spec: LIGHT-START.
    """
    return tuple(
        municipality.name
        for municipality in municipalities
        if verify_checkpoint(
            checkpoint,
            genesis_hash=checkpoint.genesis_hash,
            trusted=municipality.governors,
            needed=1,
        ).is_met
    )


def verify_start(
    checkpoint: Checkpoint,
    header: Header,
    *,
    genesis_hash: BlockHash,
    municipalities: Sequence[Municipality],
) -> Report:
    """Check that two municipalities signed a checkpoint, and that ``header`` is its block.

    Keys of one municipality count once, however many of them signed.

    Spec: LIGHT-START.
    """
    signed = signers_of(checkpoint, municipalities)
    of_network = verify_checkpoint(checkpoint, genesis_hash=genesis_hash, trusted=(), needed=0)
    seals = () if not header.height else verify_commit_seals(header, checkpoint.validators).checks
    return Report(
        checks=(
            *of_network.checks,
            Check(
                rule="LIGHT-START",
                name="municipalities that signed",
                is_met=len(signed) >= SIGNERS_NEEDED,
                expected=f"{SIGNERS_NEEDED} or more of {len(municipalities)}",
                actual=len(signed),
            ),
            *verify_checkpoint_header(checkpoint, header).checks,
            *seals,
        )
    )


def start_trust(checkpoint: Checkpoint, header: Header, network: NetworkDescription) -> Trust:
    """Begin to trust the block of a checkpoint.

    Raises:
        HeaderRefused: Too few municipalities signed, or the header is not the checkpoint's.

    Spec: LIGHT-START.
    """
    report = verify_start(
        checkpoint,
        header,
        genesis_hash=network.genesis_hash,
        municipalities=network.municipalities,
    )
    for check in report.failures:
        raise HeaderRefused(f"checkpoint: {check}", rule=check.rule)
    return Trust(genesis_hash=network.genesis_hash, origin=header, head=header)


def encode_trust(trust: Trust) -> str:
    """Return the text of a light client's state file."""
    record = {
        "version": 1,
        "genesis_hash": "0x" + trust.genesis_hash.hex(),
        "origin": "0x" + trust.origin.encode().hex(),
        "head": "0x" + trust.head.encode().hex(),
    }
    return json.dumps(record, indent=2) + "\n"


def decode_trust(data: bytes) -> Trust:
    """Read a state file back; it is our own, so its seals are checked for damage, not for lies.

    Raises:
        InvalidTrust: It is not a state file, or its headers do not bear their seals.

    Spec: LIGHT-START.
    """
    if len(data) > STATE_SIZE_MAX:
        raise InvalidTrust(f"light client state: over {STATE_SIZE_MAX} bytes")
    try:
        record = decode_json(data)
        if not is_object(record) or set(record) != {
            "version",
            "genesis_hash",
            "origin",
            "head",
        }:
            raise InvalidInput("expected version, genesis_hash, origin and head")
        if record["version"] != 1:
            raise InvalidInput("made by another version")
        origin = decode_header(data_of(record["origin"], "origin"))
        head = decode_header(data_of(record["head"], "head"))
        for header in (origin, head):
            if header.height:
                verify_commit_seals(header, header.extra_data.validators).raise_if_failed()
        genesis_hash = BlockHash(Hash32(_sized(record["genesis_hash"], 32, "genesis_hash")))
    except InvalidInput as error:
        raise InvalidTrust(f"light client state: {error.message}; start anew") from error
    if head.height < origin.height:
        raise InvalidTrust("light client state: head below origin; start anew")
    return Trust(genesis_hash=genesis_hash, origin=origin, head=head)
