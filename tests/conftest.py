"""What holds for every test.

A property fails by its answer, never by a busy machine's clock; tests marked ``nightly`` run only
when the mark expression names them. Compiled modules are kept whatever the caller's environment
says: a process that a test starts would spend seconds compiling what the one before it compiled.
"""

import os
import sys

import pytest
from hypothesis import settings

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect nightly tests unless ``-m`` speaks of them."""
    if "nightly" in config.getoption("markexpr"):
        return
    kept = [item for item in items if item.get_closest_marker("nightly") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept
