"""ID-PROFILE, ID-TRUST: a hub in production believes no simulated authority."""

from dataclasses import replace
from pathlib import Path

import pytest

from node.primitives.errors import Misconfigured
from services.hub.keyring import add_sector, create_keyring, load_keyring
from services.hub.service import load_store
from services.hub.settings import Profile, check_hub
from tests.support.followed import Town
from tests.support.hub import HubTown, hub_settings
from tests.support.identity import new_hierarchy

HIERARCHY = new_hierarchy()


@pytest.fixture(scope="module")
def town() -> HubTown:
    return HubTown()


def settings_in(folder: Path, town: Town) -> object:
    for (kind, generation), authority in HIERARCHY.authorities.items():
        (folder / f"{kind}-{generation}.der").write_bytes(authority.der)
    return hub_settings(
        town,  # type: ignore[arg-type]
        HIERARCHY,
        folder,
        node="http://127.0.0.1:1",
        pki="http://127.0.0.1:1",
        ports=(0, 1),
    )


def test_simulated_authorities_are_for_development_only(tmp_path: Path, town: HubTown) -> None:
    settings = settings_in(tmp_path, town)
    assert len(load_store(settings).authorities) == 6  # type: ignore[arg-type]
    production = replace(settings, profile=Profile.PRODUCTION)  # type: ignore[type-var]

    with pytest.raises(Misconfigured, match="simulated authority"):
        load_store(production)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window_s": 0}, "window_s"),
        ({"statements_for": "https://hub"}, "statements_for"),
        ({"nodes": ()}, "nodes"),
    ],
)
def test_a_wrong_setting_stops_the_start(
    tmp_path: Path, town: HubTown, change: dict[str, object], message: str
) -> None:
    settings = settings_in(tmp_path, town)

    with pytest.raises(Misconfigured, match=message):
        check_hub(replace(settings, **change))  # type: ignore[type-var, arg-type]


def test_a_keyring_gains_a_sector_and_never_loses_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    create_keyring(path, ("hub", "library"))
    before = load_keyring(path)
    add_sector(path, "election")
    after = load_keyring(path)
    someone = b"\x01" * 16

    assert sorted(after.sectors) == ["election", "hub", "library"]
    assert before.name_in("library", someone) == after.name_in("library", someone)  # type: ignore[arg-type]
    for again in (lambda: add_sector(path, "library"), lambda: create_keyring(path, ("hub",))):
        with pytest.raises(Misconfigured):
            again()
    path.chmod(0o644)
    with pytest.raises(Misconfigured):
        load_keyring(path)
