"""ID-OIDC-REQUEST: which providers a hub's settings may name, and with which key."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from node.primitives.errors import Misconfigured
from services.hub.provider_binding import build_federation
from services.hub.settings import HubSettings, Profile, ProviderSettings, check_hub
from services.kit.clock import SystemClock
from services.kit.keys import Key, generate_key, private_document
from tests.support.example import write_private
from tests.support.hub import HubTown, hub_settings
from tests.support.identity import new_hierarchy

AGENCY = ProviderSettings(
    name="digital-agency",
    issuer="https://auth-and-sign.go.jp/api/realms/main",
    client_id="hub",
    key_file=Path("oidc.key.json"),
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> HubSettings:
    folder = tmp_path_factory.mktemp("hub")
    return hub_settings(
        HubTown(), new_hierarchy(), folder, node="http://127.0.0.1:1", pki="http://127.0.0.1:2",
        ports=(3, 4), providers=(AGENCY,), profile=Profile.PRODUCTION,
    )  # fmt: skip


def test_a_provider_over_https_is_taken(settings: HubSettings) -> None:
    check_hub(settings)


@pytest.mark.parametrize(
    "providers",
    [
        pytest.param((AGENCY, replace(AGENCY, client_id="other")), id="one name twice"),
        pytest.param((replace(AGENCY, name="a/b"),), id="name that makes another path"),
        pytest.param((replace(AGENCY, issuer="http://auth.example"),), id="open to others"),
        pytest.param((replace(AGENCY, issuer="http://127.0.0.1:1/x"),), id="simulated"),
        pytest.param((replace(AGENCY, issuer="https://"),), id="no host"),
        pytest.param(tuple(replace(AGENCY, name=f"p{at}") for at in range(9)), id="too many"),
    ],
)
def test_others_stop_the_start(
    settings: HubSettings, providers: tuple[ProviderSettings, ...]
) -> None:
    with pytest.raises(Misconfigured):
        check_hub(replace(settings, providers=providers))


@pytest.mark.parametrize(
    ("issuer", "is_taken"),
    [
        pytest.param("http://127.0.0.1:1/api", True, id="this machine"),
        pytest.param("http://127.0.0.1:80@evil.example", False, id="looks like it"),
        pytest.param("http://127.0.0.1.evil.example", False, id="begins like it"),
    ],
)
def test_a_simulated_provider_runs_on_this_machine_in_development_only(
    settings: HubSettings, issuer: str, is_taken: bool
) -> None:
    named = replace(
        settings, providers=(replace(AGENCY, issuer=issuer),), profile=Profile.DEVELOPMENT
    )

    if is_taken:
        check_hub(named)
    else:
        with pytest.raises(Misconfigured):
            check_hub(named)


@pytest.mark.parametrize("kind", ["P-256", "Ed25519"])
def test_assertions_need_a_key_the_provider_takes(
    settings: HubSettings, tmp_path: Path, kind: str
) -> None:
    key: Key = ECKey.generate_key("P-256") if kind == "P-256" else generate_key()
    write_private(tmp_path / "key.json", json.dumps(private_document(key)))
    named = replace(settings, providers=(replace(AGENCY, key_file=tmp_path / "key.json"),))

    if kind == "P-256":
        assert build_federation(named, SystemClock()).pages
    else:
        with pytest.raises(Misconfigured, match="P-256"):
            build_federation(named, SystemClock())
