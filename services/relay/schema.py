"""Where the relay's own migrations are, for ``services.kit.schema``."""

from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).parent / "migrations"
"""The relay's revisions; a branch beside the kit's."""
