"""The five election contracts: where they are, what their events say, how they are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from contracts.artifact import load_artifact
from node.primitives.abi import decode, encode
from node.primitives.crypto import keccak256
from node.primitives.receipt import Log
from node.primitives.types import Address
from services.election.settings import ContractSettings
from services.kit.settings import parse_address

NAMES: Final = ("Elections", "Credentials", "BallotBox", "TallyBoard", "Bulletin")
"""The contracts, by their artifacts' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractEvent:
    """An event of one of the contracts."""

    name: str
    """Its name."""
    values: Mapping[str, Any]
    """Its values; a struct stays the tuple that the ABI has, see ``data``."""
    data: bytes
    """The part that is not indexed, as it was emitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """The contracts' addresses."""

    elections: Address
    credentials: Address
    ballot_box: Address
    tally_board: Address
    bulletin: Address

    @classmethod
    def parse(cls, settings: ContractSettings) -> "Contracts":
        """Read the addresses of the settings.

        Raises:
            Misconfigured: One is none.
        """
        return cls(
            elections=parse_address(settings.elections, "contracts.elections"),
            credentials=parse_address(settings.credentials, "contracts.credentials"),
            ballot_box=parse_address(settings.ballot_box, "contracts.ballot_box"),
            tally_board=parse_address(settings.tally_board, "contracts.tally_board"),
            bulletin=parse_address(settings.bulletin, "contracts.bulletin"),
        )

    @property
    def by_name(self) -> Mapping[str, Address]:
        """Return the addresses by the artifacts' names."""
        places = (
            self.elections,
            self.credentials,
            self.ballot_box,
            self.tally_board,
            self.bulletin,
        )
        return dict(zip(NAMES, places, strict=True))

    def read_event(self, log: Log) -> ContractEvent | None:
        """Return what an event says; None for other contracts' events."""
        name = next((name for name, at in self.by_name.items() if at == log.address), None)
        shape = None if name is None or not log.topics else _events(name).get(bytes(log.topics[0]))
        return None if shape is None else shape.read(log)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    name: str
    indexed: tuple[tuple[str, str], ...]
    plain: tuple[tuple[str, str], ...]

    def read(self, log: Log) -> ContractEvent:
        values: dict[str, Any] = {
            name: decode([kind], topic)[0]
            for (name, kind), topic in zip(self.indexed, log.topics[1:], strict=True)
        }
        found = decode([kind for _, kind in self.plain], log.data)
        values |= dict(zip((name for name, _ in self.plain), found, strict=True))
        return ContractEvent(name=self.name, values=values, data=log.data)


def encode_call(contract: str, name: str, *arguments: object) -> bytes:
    """Return the call data of a contract's function."""
    kinds = _functions(contract)[name]
    selector = keccak256(f"{name}({','.join(kinds)})".encode())[:4]
    return selector + encode(kinds, arguments)


@lru_cache(maxsize=8)
def _events(contract: str) -> Mapping[bytes, _Shape]:
    shapes = {}
    for entry in _entries(contract, "event"):
        inputs = [(each["name"], _kind(each), each["indexed"]) for each in entry["inputs"]]
        text = f"{entry['name']}({','.join(kind for _, kind, _ in inputs)})"
        shapes[bytes(keccak256(text.encode()))] = _Shape(
            name=entry["name"],
            indexed=tuple((name, kind) for name, kind, is_indexed in inputs if is_indexed),
            plain=tuple((name, kind) for name, kind, is_indexed in inputs if not is_indexed),
        )
    return shapes


@lru_cache(maxsize=8)
def _functions(contract: str) -> Mapping[str, list[str]]:
    return {
        entry["name"]: [_kind(each) for each in entry["inputs"]]
        for entry in _entries(contract, "function")
    }


def _entries(contract: str, kind: str) -> list[Any]:
    return [entry for entry in load_artifact(contract).abi if entry["type"] == kind]


def _kind(entry: Any) -> str:
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(_kind(each) for each in entry["components"])
    return f"({inner}){kind.removeprefix('tuple')}"
