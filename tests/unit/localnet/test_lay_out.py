"""Services of a local network as files: complete, marked for development, never written twice."""

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from clients.identity.certificate import decode_certificate
from contracts.artifact import load_artifact
from node.genesis.parse import parse_genesis
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.genesis.system_contracts import mapping_slot
from node.primitives.errors import Misconfigured
from node.runtime.keystore import load_keystore
from node.runtime.localnet import LocalNetwork, LocalPlan
from services.example.service import SERVICE as EXAMPLE
from services.hub.service import SERVICE as HUB
from services.hub.service import load_store
from services.hub.settings import Profile, check_hub
from services.kit.clock import SystemClock
from services.kit.issuers import load_trust
from services.kit.keys import load_private_key, load_public_key
from services.kit.master_keys import load_master_keys
from services.localhub import CARD_FILE, KEYS_FILE, MARK
from services.localnet import ISSUER, RESIDENTS_KEY_FILE, LocalTown, find_town, lay_out
from services.relay.service import SERVICE as RELAY
from services.relay.settings import check_relay
from services.sim.pki.keep import load_authorities, load_card
from services.sim.pki.service import SERVICE as AUTHORITIES

ANCHORS = "0x" + "a1" * 20


@pytest.fixture
def town(tmp_path: Path) -> LocalTown:
    network = LocalNetwork.create(tmp_path, LocalPlan(names=("Goka", "Tsukuba")))
    network.contracts["Anchors"] = ANCHORS
    network.save()
    return find_town(tmp_path, "Tsukuba")


def test_both_settings_files_load_and_the_services_know_one_another(town: LocalTown) -> None:
    relay_path, example_path = lay_out(town)
    relay, example = RELAY.load_settings(relay_path), EXAMPLE.load_settings(example_path)

    check_relay(relay)
    assert relay.anchors == example.anchors == ANCHORS
    assert [node.name for node in relay.nodes] == ["Tsukuba", "Goka"]
    assert relay.clients[0].endpoint == f"http://127.0.0.1:{example.kit.server.port}/events"
    assert example.relay.endpoint == f"http://127.0.0.1:{relay.kit.server.port}/events"
    for private, public in (
        (relay.events_key_file, example.relay.key_file),
        (example.events_key_file, relay.clients[0].key_file),
    ):
        assert load_private_key(private).thumbprint() == load_public_key(public).thumbprint()
    load_master_keys(example.master_file)
    assert set(load_trust(example.kit, SystemClock()).issuers) == {ISSUER}


def test_the_relay_s_account_is_a_service_of_its_municipality_from_genesis_on(
    town: LocalTown,
) -> None:
    relay = RELAY.load_settings(lay_out(town)[0])
    password = (town.keys / "relay.password").read_text().strip()
    account = load_keystore(town.keys / "relay.development-only.key.json", password).address
    genesis = parse_genesis(relay.genesis_file.read_bytes())
    base = load_artifact("AccountPermissions").layout["service_municipality"].slot
    stored = dict(genesis.alloc[PERMISSIONS_ADDRESS].storage)

    assert stored[mapping_slot(base, account.rjust(32, b"\0"))] == 2


def test_every_private_key_is_marked_and_its_owner_s_alone(town: LocalTown) -> None:
    lay_out(town)
    private = [path for path in town.network.rglob("*key*.json") if "pub" not in path.name]
    private += list(town.network.rglob("master*"))

    assert town.example / RESIDENTS_KEY_FILE in private
    assert [path.name for path in private if "development-only" not in path.name] == []
    assert [path for path in private if stat.S_IMODE(path.stat().st_mode) != 0o600] == []


def test_the_first_municipality_gets_a_hub_that_may_attest_and_a_card(tmp_path: Path) -> None:
    network = LocalNetwork.create(tmp_path, LocalPlan(names=("Goka", "Tsukuba")))
    network.contracts |= {"Anchors": ANCHORS, "IdentityStatus": "0x" + "1d" * 20}
    network.save()
    town = find_town(tmp_path, "Goka")
    hub = HUB.load_settings(lay_out(town)[2])

    check_hub(hub)
    assert hub.profile is Profile.DEVELOPMENT
    store = load_store(hub)
    card = load_card(town.hub / CARD_FILE)
    found = store.find_issuer(decode_certificate(card.authentication.certificate))
    assert found is not None
    again = load_authorities(town.authorities / KEYS_FILE, now=SystemClock().now())
    kept = {each.key_hash for each in again.trust_store().authorities}
    assert kept == {each.key_hash for each in store.authorities}
    relay = RELAY.load_settings(town.relay / "service.toml")
    assert [each.name for each in relay.clients] == ["example", "hub"]
    password = (town.keys / "relay.password").read_text().strip()
    account = load_keystore(town.keys / "relay.development-only.key.json", password).address
    genesis = parse_genesis(relay.genesis_file.read_bytes())
    base = load_artifact("AccountPermissions").layout["is_attester"].slot
    stored = dict(genesis.alloc[PERMISSIONS_ADDRESS].storage)
    assert stored[mapping_slot(base, account.rjust(32, b"\0"))] == 1
    assert find_town(tmp_path, "Tsukuba").registry is None
    [issuer] = EXAMPLE.load_settings(town.example / "service.toml").kit.auth.issuers
    assert (issuer.issuer, issuer.jwks_file) == (hub.issuer, None)
    assert issuer.jwks_url == f"http://127.0.0.1:{hub.kit.server.port}/jwks"
    assert not (town.example / RESIDENTS_KEY_FILE).exists()
    private = [path for path in town.hub.iterdir() if MARK in path.name and path.suffix != ".der"]
    assert len(private) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_simulated_authorities_do_not_run_in_production(tmp_path: Path) -> None:
    network = LocalNetwork.create(tmp_path, LocalPlan(names=("Goka",)))
    network.contracts |= {"Anchors": ANCHORS, "IdentityStatus": "0x" + "1d" * 20}
    network.save()
    settings = AUTHORITIES.load_settings(lay_out(find_town(tmp_path, "Goka"))[3])

    with pytest.raises(Misconfigured, match="test machines"):
        asyncio.run(
            AUTHORITIES.build(replace(settings, profile="production"), None)  # type: ignore[arg-type]
        )


def test_what_is_laid_out_stays_as_it_is(town: LocalTown) -> None:
    lay_out(town)
    before = {path: path.read_bytes() for path in town.network.rglob("*") if path.is_file()}

    lay_out(town)

    assert {path: path.read_bytes() for path in before} == before


def test_an_interrupted_lay_out_is_begun_anew(town: LocalTown) -> None:
    lay_out(town)
    (town.example / "service.toml").unlink()

    assert all(path.exists() for path in lay_out(town))


def test_a_database_in_use_is_not_removed(town: LocalTown) -> None:
    lay_out(town)
    (town.relay / "service.db").touch()
    (town.example / "service.toml").unlink()

    with pytest.raises(Misconfigured, match="was in use"):
        lay_out(town)


def test_a_network_without_the_contract_is_told(tmp_path: Path) -> None:
    LocalNetwork.create(tmp_path, LocalPlan(names=("Goka",)))

    with pytest.raises(Misconfigured, match="network up"):
        find_town(tmp_path, "Goka")


def test_a_municipality_that_is_not_there_is_told(town: LocalTown) -> None:
    with pytest.raises(Misconfigured, match="'Sakai'"):
        find_town(town.network, "Sakai")


@pytest.mark.parametrize(
    ("name", "tenant"),
    [
        pytest.param("Tsukuba", "tsukuba", id="as it is"),
        pytest.param("Node A", "node-a", id="with a space"),
        pytest.param("つくば市", "municipality", id="without letters"),
    ],
)
def test_a_name_becomes_a_tenant(tmp_path: Path, name: str, tenant: str) -> None:
    network = LocalNetwork.create(tmp_path, LocalPlan(names=(name,)))
    network.contracts["Anchors"] = ANCHORS
    network.save()

    town = find_town(tmp_path, name)

    assert town.tenant == tenant
    assert EXAMPLE.load_settings(lay_out(town)[1]).kit.tenants[0].name == name
