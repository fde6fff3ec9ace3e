"""EXEC-GENESIS-CONTRACTS: the committed artifacts are what the sources compile to.

The contracts are compiled again, for the instruction set of our chain, and compared byte for byte.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.artifact import CorruptArtifact, load_artifact, parse_artifact

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = sorted((ROOT / "contracts" / "artifacts").glob("*.json"))


def test_compiling_the_sources_again_gives_the_committed_artifacts() -> None:
    finished = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_contracts.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count("unchanged") == len(ARTIFACTS)


@pytest.mark.parametrize("path", ARTIFACTS, ids=lambda path: path.stem)
def test_every_artifact_loads_and_fits_its_name_and_target(path: Path) -> None:
    artifact = load_artifact(path.stem)

    assert artifact.name == path.stem
    assert artifact.evm_version == "shanghai"
    assert 0 < len(artifact.runtime) <= 24_576


def test_an_artifact_with_one_byte_changed_is_refused() -> None:
    text = ARTIFACTS[0].read_text("utf-8")
    record = json.loads(text)
    runtime = record["runtime"]
    changed = runtime[:-1] + ("0" if runtime[-1] != "0" else "1")

    with pytest.raises(CorruptArtifact, match="digest"):
        parse_artifact(text.replace(runtime, changed))


def test_a_missing_artifact_is_reported_as_a_broken_installation() -> None:
    with pytest.raises(CorruptArtifact, match="install again"):
        load_artifact("NoSuchContract")
