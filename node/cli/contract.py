"""Calls and events of our contracts, as words an operator types and reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError

from contracts.artifact import Artifact
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.types import Hash32

STATE_CHANGING: Final = ("nonpayable", "payable")


class UnknownCall(InvalidInput):
    """A call that the contract does not have, or arguments that do not fit it."""

    code = "cli.unknown_call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of a contract."""

    name: str
    """As in the source."""
    inputs: tuple[tuple[str, str], ...]
    """Name and type of each argument."""
    outputs: tuple[str, ...]
    """Types of what it returns."""
    changes_state: bool
    """It needs a transaction."""

    @property
    def signature(self) -> str:
        """Return name and types, as hashed into the selector."""
        return f"{self.name}({','.join(kind for _, kind in self.inputs)})"

    def encode(self, words: Sequence[str]) -> bytes:
        """Return the call data for arguments as typed.

        Raises:
            UnknownCall: Too many or too few, or one is not of its type.
        """
        if len(words) != len(self.inputs):
            wanted = " ".join(f"<{name}: {kind}>" for name, kind in self.inputs) or "nothing"
            raise UnknownCall(f"{self.name}: expected {wanted}; found {len(words)} arguments")
        kinds = [kind for _, kind in self.inputs]
        try:
            values = [_value_of(kind, word) for kind, word in zip(kinds, words, strict=True)]
            return keccak256(self.signature.encode())[:4] + encode(kinds, values)
        except (ValueError, EncodingError) as error:
            raise UnknownCall(f"{self.signature}: {error}; correct the argument") from error

    def decode(self, output: bytes) -> tuple[Any, ...]:
        """Return what a call returned.

        Raises:
            UnknownCall: The bytes are no such answer.
        """
        try:
            return tuple(decode(self.outputs, output))
        except DecodingError as error:
            raise UnknownCall(f"{self.name}: the node's answer does not decode") from error


def functions_of(artifact: Artifact) -> dict[str, Function]:
    """Return a contract's functions by name, in the order of its interface."""
    return {
        str(entry["name"]): Function(
            name=str(entry["name"]),
            inputs=tuple((part["name"], _type_of(part)) for part in _parts(entry, "inputs")),
            outputs=tuple(_type_of(part) for part in _parts(entry, "outputs")),
            changes_state=entry["stateMutability"] in STATE_CHANGING,
        )
        for entry in artifact.abi
        if entry["type"] == "function"
    }


def read_events(artifact: Artifact, logs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each log of a receipt that the contract's interface names."""
    events = {
        keccak256(_event_signature(entry).encode()): entry
        for entry in artifact.abi
        if entry["type"] == "event"
    }
    for log in logs:
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        entry = events.get(Hash32(topics[0])) if topics else None
        if entry is not None:
            yield _event_line(entry, topics[1:], bytes.fromhex(log["data"][2:]))


def _event_line(entry: Mapping[str, object], topics: Sequence[bytes], data: bytes) -> str:
    parts = _parts(entry, "inputs")
    plain = iter(decode([_type_of(part) for part in parts if not part["indexed"]], data))
    indexed = iter(topics)
    words = []
    for part in parts:
        kind = _type_of(part)
        value = decode([kind], next(indexed))[0] if part["indexed"] else next(plain)
        words.append(f"{part['name']} {show(value)}")
    return f"{entry['name']}: {', '.join(words)}"


def show(value: object) -> str:
    """Return a decoded value as text."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, (tuple, list)):
        return ", ".join(show(each) for each in value)
    return str(value)


def _event_signature(entry: Mapping[str, object]) -> str:
    return f"{entry['name']}({','.join(_type_of(part) for part in _parts(entry, 'inputs'))})"


def _parts(entry: Mapping[str, object], name: str) -> list[dict[str, Any]]:
    parts = entry.get(name, [])
    return parts if isinstance(parts, list) else []


def _type_of(part: Mapping[str, Any]) -> str:
    if part["type"] == "tuple":
        return f"({','.join(_type_of(each) for each in part['components'])})"
    return str(part["type"])


def _value_of(kind: str, word: str) -> object:
    if kind.endswith("[]"):
        return [_value_of(kind[:-2], each) for each in word.split(",") if each]
    if kind == "address":
        return "0x" + bytes.fromhex(word.removeprefix("0x")).hex()
    if kind.startswith("bytes"):
        return bytes.fromhex(word.removeprefix("0x"))
    if kind.startswith("uint"):
        return int(word, 0)
    return word
