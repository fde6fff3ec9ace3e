#!/usr/bin/env python3
"""Compile every contract under contracts/ and write its artifact; `--check` only compares."""

import argparse
import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vyper import __version__ as vyper_version  # noqa: E402
from vyper.compiler import compile_from_file_input  # noqa: E402
from vyper.compiler.input_bundle import FilesystemInputBundle  # noqa: E402
from vyper.compiler.settings import OptimizationLevel, Settings  # noqa: E402

from contracts.artifact import ARTIFACT_FOLDER, compute_digest  # noqa: E402

EVM_VERSION = "shanghai"
OUTPUTS = ["abi", "bytecode", "bytecode_runtime", "layout"]
CONTRACTS = ROOT / "contracts"
LIBRARIES = ("interfaces", "modules")


def sources() -> list[Path]:
    """Return the contracts: every .vy file that is no module."""
    return sorted(
        path
        for path in CONTRACTS.rglob("*.vy")
        if path.relative_to(CONTRACTS).parts[0] not in LIBRARIES
    )


def build(path: Path) -> str:
    """Compile one contract and return its artifact's text."""
    bundle = FilesystemInputBundle([ROOT])
    with bundle.search_path(path.parent):
        source = bundle.load_file(path)
        output = compile_from_file_input(
            source,
            input_bundle=bundle,
            settings=Settings(evm_version=EVM_VERSION, optimize=OptimizationLevel.GAS),
            output_formats=OUTPUTS,
            no_bytecode_metadata=True,
        )
    record: dict[str, object] = {
        "name": path.stem,
        "compiler": f"vyper {vyper_version}",
        "evm_version": EVM_VERSION,
        "source_sha256": hash_sources(path),
        "abi": output["abi"],
        "bytecode": output["bytecode"],
        "runtime": output["bytecode_runtime"],
        "layout": dict(flatten(output["layout"].get("storage_layout", {}))),
    }
    record["digest"] = compute_digest(record)
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def flatten(layout: dict, prefix: str = "") -> list[tuple[str, dict]]:
    """Return the storage variables with their modules' names in front."""
    variables: list[tuple[str, dict]] = []
    for name, entry in layout.items():
        if "slot" in entry:
            variables.append((prefix + name, {"slot": entry["slot"], "type": entry["type"]}))
        else:
            variables += flatten(entry, f"{prefix}{name}.")
    return variables


def hash_sources(path: Path) -> str:
    """Hash a contract together with all modules and interfaces it could import."""
    digest = hashlib.sha256(path.read_bytes())
    for library in LIBRARIES:
        for source in sorted((CONTRACTS / library).glob("*.vy*")):
            digest.update(source.name.encode() + b"\x00" + source.read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Write or compare every artifact; return 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments = parser.parse_args()
    is_stale = False
    for path in sources():
        target = CONTRACTS / ARTIFACT_FOLDER / f"{path.stem}.json"
        text = build(path)
        if target.exists() and target.read_text("utf-8") == text:
            print(f"{path.stem}: unchanged")
        elif arguments.check:
            print(f"{path.stem}: artifact differs from its source; run scripts/build_contracts.py")
            is_stale = True
        else:
            target.write_text(text, "utf-8")
            print(f"{path.stem}: written")
    return 1 if is_stale else 0


if __name__ == "__main__":
    sys.exit(main())
