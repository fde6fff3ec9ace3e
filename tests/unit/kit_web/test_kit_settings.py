"""One settings file for each service: what is wrong in it stops the start with its remedy."""

from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from node.primitives.errors import Misconfigured
from services.kit.settings import (
    AuthSettings,
    DatabaseSettings,
    IssuerSettings,
    KitSettings,
    PartnerSettings,
    ServerSettings,
    TenantSettings,
    database_url,
    load_service_settings,
)

ROOT = Path(__file__).parents[3]

GOOD = """
colour = "blue"

[kit.auth]
audience = "board"

[[kit.auth.issuers]]
issuer = "https://hub.goka.example"
jwks_url = "https://hub.goka.example/jwks.json"
tenants = ["goka"]

[[kit.auth.partners]]
name = "relay"
key_file = "relay.pub.json"
purposes = ["board.count"]

[kit.database]
url = "sqlite+aiosqlite:////srv/board.db"

[[kit.tenants]]
id = "goka"
name = "五霞町"
hosts = ["board.goka.example"]

[[kit.tenants]]
id = "sakai"
name = "境町"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSettings:
    """A service's settings."""

    colour: str
    """Its own."""
    kit: KitSettings
    """The kit's."""


def load(tmp_path: Path, text: str) -> BoardSettings:
    path = tmp_path / "board.toml"
    path.write_text(text)
    return load_service_settings(BoardSettings, path)


def test_a_good_file_is_read_and_paths_are_relative_to_it(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)

    assert [tenant.name for tenant in settings.kit.tenants] == ["五霞町", "境町"]
    assert settings.kit.auth.partners[0].key_file == tmp_path / "relay.pub.json"
    assert settings.kit.server.cors_origins == ()
    assert settings.kit.auth.is_sender_constrained


@pytest.mark.parametrize(
    ("found", "replacement", "told"),
    [
        pytest.param("colour", "color", "did you mean colour?", id="own key misspelt"),
        pytest.param("audience =", "audiance =", "did you mean kit.auth.audience?", id="kit's key"),
        pytest.param("hosts =", "host =", "did you mean kit.tenants.hosts?", id="in a list"),
        pytest.param('id = "goka"', "id = 1", "kit.tenants.id = 1: give a string", id="type"),
        pytest.param('id = "sakai"', 'id = "goka"', "a name is used twice", id="tenant twice"),
        pytest.param('id = "sakai"', 'id = "境"', "small letters", id="tenant's form"),
        pytest.param('tenants = ["goka"]', 'tenants = ["kyoto"]', "is no tenant", id="no tenant"),
        pytest.param(
            'jwks_url = "https:', 'jwks_url = "http:', "give an https address", id="plain http"
        ),
        pytest.param(
            'jwks_url = "https://hub.goka.example/jwks.json"',
            "",
            "one of jwks_url and jwks_file",
            id="issuer without keys",
        ),
        pytest.param(
            "[kit.database]",
            '[kit.server]\ncors_origins = ["*"]\n[kit.database]',
            "name each origin",
            id="any origin",
        ),
        pytest.param(
            "[kit.database]",
            "[kit.server]\nbody_kb_max = 65537\n[kit.database]",
            "from 1 to 65536",
            id="out of bounds",
        ),
        pytest.param(
            "sqlite+aiosqlite:////srv/board.db",
            "postgresql+asyncpg://board:secret@db/board",
            "password_file",
            id="password in the URL",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(
    tmp_path: Path, found: str, replacement: str, told: str
) -> None:
    assert found in GOOD

    with pytest.raises(Misconfigured, match=r"board\.toml") as raised:
        load(tmp_path, GOOD.replace(found, replacement))

    assert told in raised.value.message
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(("value", "is_taken"), [(65_536, True), (1, True), (0, False)])
def test_numbers_are_taken_up_to_their_bounds(tmp_path: Path, value: int, is_taken: bool) -> None:
    text = GOOD.replace("[kit.database]", f"[kit.server]\nbody_kb_max = {value}\n[kit.database]")

    if is_taken:
        assert load(tmp_path, text).kit.server.body_kb_max == value
    else:
        with pytest.raises(Misconfigured):
            load(tmp_path, text)


def test_a_password_comes_from_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("p@ss/word\n")
    settings = DatabaseSettings(
        url="postgresql+asyncpg://board@db.example/board", password_file=secret
    )

    secret.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        database_url(settings)
    secret.chmod(0o600)

    assert database_url(settings) == "postgresql+asyncpg://board:p%40ss%2Fword@db.example/board"


@dataclass(frozen=True, slots=True, kw_only=True)
class BareSettings:
    """A service without settings of its own."""

    kit: KitSettings
    """The kit's."""


def test_the_settings_file_we_ship_is_good() -> None:
    settings = load_service_settings(BareSettings, ROOT / "scripts" / "deploy" / "service.toml")

    assert settings.kit.tenants[0].name == "五霞町"


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("kit.server", ServerSettings),
        ("kit.database", DatabaseSettings),
        ("kit.auth", AuthSettings),
        ("[[kit.auth.issuers]]", IssuerSettings),
        ("[[kit.auth.partners]]", PartnerSettings),
        ("[[kit.tenants]]", TenantSettings),
    ],
)
def test_every_setting_is_explained(table: str, kind: type) -> None:
    page = (ROOT / "docs" / "services.md").read_text()
    rows = "\n".join(line for line in page.splitlines() if line.startswith("|"))

    assert table in rows
    forms = {
        field.name: (f"`{field.name}`", f".{field.name}`", f".{field.name}]]`")
        for field in fields(kind)
    }
    assert [name for name, known in forms.items() if not any(form in rows for form in known)] == []
