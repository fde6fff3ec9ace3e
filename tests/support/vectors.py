"""Where the published vectors lie that nobody in the project wrote."""

import os
from pathlib import Path

import pytest


def find_vectors() -> Path | None:
    """Return the folder of shared vectors, or None when it is absent."""
    path = _expected()
    return path if path.is_dir() else None


def vectors_path() -> Path:
    """Return the folder of shared vectors, or skip the calling test when it is absent."""
    path = find_vectors()
    if path is None:
        pytest.skip(f"no vectors at {_expected()}; set DAICHO_VECTORS to the folder that has them")
    return path


def _expected() -> Path:
    default = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"
    return Path(os.environ.get("DAICHO_VECTORS", default))
