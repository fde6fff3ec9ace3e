"""Revisions read from files are the ones that Alembic sees."""

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from services.cli import SERVICES, load_service
from services.kit.revisions import find_applied, find_heads, read_revisions
from services.kit.schema import MIGRATIONS

KIT = MIGRATIONS / "versions"


def scripts_of(folders: list[Path]) -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, folders)))
    return ScriptDirectory.from_config(config)


@pytest.mark.parametrize("service", SERVICES)
def test_heads_and_what_lacks_at_each_revision_are_as_alembic_has_them(service: str) -> None:
    folders = [KIT, *load_service(service).versions]
    scripts, known = scripts_of(folders), read_revisions(folders)

    assert set(known) == {script.revision for script in scripts.walk_revisions()}
    assert find_heads(known) == set(scripts.get_heads())
    for name in known:
        current = {script.revision for script in scripts.get_all_current((name,))}
        missing = set(scripts.get_heads()) - current
        assert find_heads(known) - find_applied(known, [name]) == missing


def test_a_merge_of_two_branches_follows_both(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("revision = 'a'\ndown_revision = None\n")
    (tmp_path / "b.py").write_text("revision: str = 'b'\ndown_revision: None = None\n")
    (tmp_path / "c.py").write_text("revision, down_revision = 'c', ('a', 'b')\n")
    (tmp_path / "d.py").write_text("revision = 'd'\ndown_revision = 'c'\ndepends_on = ['a']\n")

    known = read_revisions([tmp_path])

    assert find_heads(known) == {"d"}
    assert find_applied(known, ["c"]) == {"a", "b", "c"}
    assert find_applied(known, []) == frozenset()
