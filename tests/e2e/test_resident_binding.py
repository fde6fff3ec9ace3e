"""WALLET-BIND: a resident binds a device with a card, and `status` proves it off the ledger.

Hub, relay, authorities, node, PC/SC daemon and OpenSC are as in the field; card and time are
simulated. Commands run as a person types them.
"""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clients.cli import binding, resident
from clients.hub.network import HubClient
from clients.wallet.wallet import Kind, decode_wallet
from node.cli.main import main
from node.consensus.checkpoint import build_checkpoint, encode_checkpoint, sign_checkpoint
from node.primitives.types import Address
from services.hub.settings import ProviderSettings
from services.kit.keys import private_document
from services.sim.card.card import SimulatedCard
from services.sim.card.daemon import PrivateReaders
from services.sim.card.issue import order_card
from services.sim.card.layout import AUTHENTICATION_KEY, JPKI
from services.sim.oidc.app import log_in
from services.sim.oidc.provider import ISSUER_PATH
from tests.support import hub as hub_support
from tests.support.cards import held
from tests.support.example import free_port, write_private
from tests.support.federation import PROVIDER, ticket_of
from tests.support.hub import STATEMENTS_FOR, HubTown, RunningHub, running_hub
from tests.support.identity import RESIDENT
from tests.support.ledger import MUNICIPALITY_KEYS
from tests.support.oidc import (
    HUB,
    RunningProvider,
    card_issued_at,
    holder_of,
    running_provider,
)

PASSPHRASE = "correct horse battery"


@dataclass(kw_only=True)
class Person:
    """A resident at a terminal, with a folder of their own."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    async def run(self, *words: object, typed: str = "") -> tuple[int, Any, str]:
        """Run a command; return its exit code, what it printed as JSON, and what it said."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        options = ["--json", "resident", "--home", str(self.folder / "home"), "--language", "en"]
        code = await asyncio.to_thread(main, [*options, *(str(word) for word in words)])
        out, err = self.capsys.readouterr()
        return code, json.loads(out) if out.strip() else None, err

    async def with_key(self, *words: object, typed: str = "") -> tuple[int, Any, str]:
        """Run a command that opens the wallet."""
        return await self.run(*words, "--passphrase-file", self.folder / "passphrase", typed=typed)

    def sector(self, name: str) -> Address:
        """Return the address of a sector in the wallet."""
        entry = decode_wallet((self.folder / "home" / "wallet.json").read_bytes()).find(
            Kind.SECTOR, name
        )
        assert entry is not None
        return Address(entry.public)


@pytest.fixture
def town() -> HubTown:
    return HubTown()


@pytest.fixture
def hub_url(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the hub's public address be the one it will listen at."""
    ports = [free_port(), free_port()]
    queue = list(ports)
    url = f"http://127.0.0.1:{ports[0]}"
    monkeypatch.setattr(hub_support, "free_port", lambda: queue.pop(0))
    monkeypatch.setattr(hub_support, "PUBLIC_URL", url)
    return url


@pytest.fixture
async def provider(hub_url: str, town: HubTown) -> AsyncIterator[RunningProvider]:
    """Run the simulated provider, where the hub is registered."""
    redirect_uri = f"{hub_url}/federation/{PROVIDER}/callback"
    async with running_provider(town.clock, redirect_uri=redirect_uri) as running:
        yield running


@pytest.fixture
async def hub(
    tmp_path: Path, town: HubTown, provider: RunningProvider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RunningHub]:
    folder = tmp_path / "hub"
    folder.mkdir()
    write_private(folder / "oidc.key.json", json.dumps(private_document(provider.keys[HUB])))
    registered = ProviderSettings(
        name=PROVIDER,
        issuer=provider.url + ISSUER_PATH,
        client_id=HUB,
        key_file=folder / "oidc.key.json",
    )
    async with running_hub(folder, town=town, providers=(registered,)) as running:
        monkeypatch.setattr(binding, "now", lambda: running.now)
        monkeypatch.setattr(binding, "POLL_S", 0.05)
        monkeypatch.setattr(resident, "now_s", lambda: int(running.now.timestamp()))
        yield running


@pytest.fixture
def card(own_readers: PrivateReaders, hub: RunningHub) -> Iterator[SimulatedCard]:
    order = order_card(hub.hierarchy, RESIDENT, at=hub.now - timedelta(days=30))
    one = SimulatedCard.issue(order)
    with held(own_readers, one):
        yield one


@pytest.fixture
async def person(
    tmp_path: Path,
    hub: RunningHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Person:
    made = Person(folder=tmp_path, monkeypatch=monkeypatch, capsys=capsys)
    made.write("passphrase", PASSPHRASE)
    ledger = hub.town.chain.ledger
    lines = [
        f"chain_id = {ledger.genesis.profile.chain_id}",
        f'genesis_hash = "0x{ledger.genesis.header.hash.hex()}"',
        f'identity_status = "0x{hub.town.registry.hex()}"',
    ]
    for at, key in enumerate(MUNICIPALITY_KEYS):
        lines += ["[[municipalities]]", f'name = "town {at}"']
        lines += [f'governors = ["0x{key.address.hex()}"]']
        if at == 0:
            lines += [f'node = "{hub.settings.nodes[0].url}"']
            lines += [f'hub = "{hub.url}"', f'hub_name = "{STATEMENTS_FOR}"']
    network = made.write("network.toml", "\n".join(lines))
    checkpoint = build_checkpoint(ledger.head, ledger.genesis.header.hash)
    for key in MUNICIPALITY_KEYS[:2]:
        checkpoint = sign_checkpoint(checkpoint, key)
    start = made.write("checkpoint.json", encode_checkpoint(checkpoint))
    assert (await made.run("init", "--network", network, "--checkpoint", start))[0] == 0
    assert (await made.with_key("keys", "create"))[0] == 0
    assert (await made.with_key("keys", "add", "library"))[0] == 0
    return made


async def bind(person: Person, *words: object, typed: str = "1234\n") -> tuple[int, Any, str]:
    return await person.with_key("bind", "card", *words, typed=typed)


async def test_a_card_binds_a_device_and_the_ledger_shows_it(
    hub: RunningHub, card: SimulatedCard, person: Person
) -> None:
    code, bound, said = await bind(person, "--label", "携帯")

    assert code == 0, said
    assert "3 tries left" in said
    assert "DAICHO CARD STATEMENT 1" in said
    assert "Individual Number is not read" in said
    assert (bound["status"], bound["method"], bound["label"]) == ("active", "card", "携帯")
    assert bound["this_device"]
    assert bound["sectors"][0]["sector"] == "library"
    assert bound["sectors"][0]["state"] == "waiting"
    assert not card.state.verified

    await hub.until_recorded(person.sector("library"))
    code, status, said = await person.run("status", "--sector", "library")
    assert code == 0, said
    assert status["status"] == "verified"
    assert status["identity"]["status"] == "verified"
    assert status["identity"]["proofing_level"] == 3
    assert status["account"]["resident_until_s"] > hub.now.timestamp()


@pytest.mark.usefixtures("card")
async def test_devices_are_listed_and_stopped_by_a_device_or_by_the_card(person: Person) -> None:
    _, first, _ = await bind(person)
    other = Person(
        folder=person.folder / "phone", monkeypatch=person.monkeypatch, capsys=person.capsys
    )
    other.folder.mkdir()
    other.write("passphrase", PASSPHRASE)
    files = [person.folder / "network.toml", person.folder / "checkpoint.json"]
    await other.run("init", "--network", files[0], "--checkpoint", files[1])
    await other.with_key("keys", "create")
    _, second, said = await bind(other)
    assert second is not None, said

    _, listed, _ = await person.with_key("devices")
    assert {each["binding"] for each in listed} == {first["binding"], second["binding"]}
    assert [each["this_device"] for each in listed if each["binding"] == first["binding"]] == [True]

    code, stopped, said = await person.with_key("unbind", second["binding"])
    assert (code, stopped["status"]) == (0, "revoked"), said
    code, _, said = await other.with_key("devices")
    assert code == 1
    assert "hub.device_inactive" in said

    code, stopped, said = await person.run("unbind", first["binding"], "--card", typed="1234\n")
    assert (code, stopped["status"]) == (0, "revoked"), said


@pytest.mark.usefixtures("card")
async def test_a_wrong_pin_binds_nothing(person: Person) -> None:
    code, bound, said = await bind(person, typed="9999\n")

    assert (code, bound) == (1, None)
    assert "card.code_wrong" in said
    assert "9999" not in said
    code, _, said = await person.with_key("devices")
    assert "hub.device_inactive" in said


async def test_a_hub_that_asks_for_something_else_gets_no_signature(
    card: SimulatedCard, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attacker is the hub, or sits before it, and puts a device of its own into the text."""
    ask = HubClient.ask

    async def swap(self: HubClient, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if path == "/challenges":
            body = {**body, "device": "0x" + "77" * 20}
        return await ask(self, method, path, body)

    monkeypatch.setattr(HubClient, "ask", swap)

    code, bound, said = await bind(person)

    assert (code, bound) == (1, None)
    assert "hub_client.strange_statement" in said
    assert (JPKI, AUTHENTICATION_KEY) not in card.selections


async def test_without_a_card_the_next_step_is_said(
    hub: RunningHub, own_readers: PrivateReaders, person: Person
) -> None:
    code, _, said = await bind(person)

    assert code == 1
    assert "card.no_card" in said


async def test_a_log_in_at_the_provider_binds_a_device_without_a_reader(
    hub: RunningHub, provider: RunningProvider, person: Person
) -> None:
    waiting = asyncio.create_task(person.with_key("bind", "provider", "--label", "tablet"))
    said, found = "", None
    while found is None:
        await asyncio.sleep(0.05)
        said += person.capsys.readouterr().err
        found = re.search(r"log in: (\S+)\n.*device (0x\w+), type this number there: (\d{6})", said)
        assert not waiting.done(), waiting.result()
    url, device, code = found.groups()

    address = await log_in(provider.session, url, holder_of(card_issued_at(hub.now)))
    async with provider.session.get(address) as page:
        shown = await page.text()
    assert device in shown
    form = {"ticket": ticket_of(shown), "code": code}
    async with provider.session.post(hub.url + "/federation/confirm", data=form) as page:
        assert page.status == 200
    exit_code, bound, said = await waiting

    assert exit_code == 0, said
    assert (bound["status"], bound["method"], bound["label"]) == ("active", "provider", "tablet")
    await hub.until_recorded(person.sector("library"))
    _, status, _ = await person.run("status", "--sector", "library")
    assert status["identity"]["status"] in ("verified", "attributes-unconfirmed")
    _, listed, _ = await person.with_key("devices")
    assert [each["device"] for each in listed] == [device]
