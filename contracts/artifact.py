"""Compiled contracts: what was built from which source, and proof that it was not changed since.

``scripts/build_contracts.py`` writes ``artifacts/<Contract>.json``; this module reads them and
refuses a file whose digest does not fit its content. A test compiles the sources again and
compares, so an artifact always belongs to the source beside it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

ARTIFACT_FOLDER: Final = "artifacts"


class CorruptArtifact(Exception):
    """An artifact that is missing or does not fit its digest; the installation is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """Where a contract keeps one storage variable."""

    slot: int
    """First slot, or the slot that seeds a mapping's keys."""
    type: str
    """Its Vyper type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One compiled contract."""

    name: str
    """Name of the contract, as its file."""
    compiler: str
    """Version of the compiler."""
    evm_version: str
    """Instruction set it was compiled for."""
    source_sha256: str
    """Digest of the source and of everything it imports."""
    abi: tuple[Mapping[str, object], ...]
    """Its interface."""
    bytecode: bytes
    """Init code."""
    runtime: bytes
    """Code as it stands on chain; genesis places it without running a constructor."""
    layout: Mapping[str, Variable]
    """Storage variables by name; those of modules as ``module.name``."""


@lru_cache(maxsize=64)
def load_artifact(name: str) -> Artifact:
    """Load a committed artifact by its contract's name.

    Raises:
        CorruptArtifact: There is none, or its digest does not fit.
    """
    try:
        text = files("contracts").joinpath(ARTIFACT_FOLDER, f"{name}.json").read_text("utf-8")
        return parse_artifact(text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(f"contract artifact {name}: {error}; install again") from error


def parse_artifact(text: str) -> Artifact:
    """Read an artifact from its file's text.

    Raises:
        CorruptArtifact: Its digest does not fit its content.
    """
    record = json.loads(text)
    digest = record.pop("digest")
    if digest != compute_digest(record):
        raise CorruptArtifact(f"contract artifact {record.get('name')}: digest does not fit")
    return Artifact(
        name=record["name"],
        compiler=record["compiler"],
        evm_version=record["evm_version"],
        source_sha256=record["source_sha256"],
        abi=tuple(record["abi"]),
        bytecode=bytes.fromhex(record["bytecode"][2:]),
        runtime=bytes.fromhex(record["runtime"][2:]),
        layout={
            name: Variable(slot=entry["slot"], type=entry["type"])
            for name, entry in record["layout"].items()
        },
    )


def compute_digest(record: Mapping[str, object]) -> str:
    """Compute the SHA-256 of an artifact's content without its digest."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
