"""RELAY-SIGNER, RELAY-FINAL: the relay as operators run it: its service, its signer, four nodes.

Real processes throughout: nodes, a noticeboard, the relay without a key, and the signer that has
it. A resident's notice comes onto the ledger; the signer is killed and the relay says so and loses
nothing; the relay is killed while operations wait and does each once.
"""

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import aiohttp
import pytest
from joserfc.jwk import ECKey

from node.cli.client import fetch_json
from node.cli.network_services import create_contracts
from node.runtime.localnet import CHAIN_ID
from node.runtime.localprocess import LocalProcess, LocalProgram, stop_all
from node.runtime.localservices import find_address, find_services, start_service
from services.example.notices import STREAM
from services.example.service import SERVICE as EXAMPLE
from services.kit.clock import SystemClock
from services.kit.keys import load_private_key
from services.local_trial import CONTACT, TITLE, Resident, try_out
from services.localnet import (
    MARK,
    RESIDENTS_KEY_FILE,
    SETTINGS_FILE,
    LocalTown,
    find_town,
    lay_out,
)
from tests.support.network import TrialNetwork, running, wait_until

pytestmark = pytest.mark.slow

PATIENCE_S = 120.0
DOWN = "relay.signer_down"


class Office:
    """The processes of one municipality beside the network."""

    def __init__(self, network: TrialNetwork, town: LocalTown) -> None:
        self.network = network
        self.town = town
        services = {
            each.program.name.partition("@")[0]: each
            for each in find_services(network.local.root.absolute())
        }
        self.board, self.relay = services["example"], services["relay"]
        self.signer = LocalProcess(self._signer_program())

    def _signer_program(self) -> LocalProgram:
        """Take the key out of the relay's settings and give it to a process of its own."""
        folder = self.town.relay
        settings = folder / "service.toml"
        kept, given = [], {}
        for line in settings.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(" = ")
            if name in ("keystore_file", "password_file"):
                given[name] = value.strip('"')
            else:
                kept.append(line)
        socket = folder / "signer.sock"
        settings.write_text("\n".join([f'signer_socket = "{socket}"', *kept]), encoding="utf-8")
        words = (
            "service", "relay", "signer",
            "--keystore", given["keystore_file"],
            "--password-file", given["password_file"],
            "--chain-id", str(CHAIN_ID),
            "--socket", str(socket),
            "--target", self.town.anchors,
        )  # fmt: skip
        return LocalProgram(
            name="signer",
            words=words,
            settings_path=socket,
            log_path=folder / "signer.log",
            pid_path=folder / "signer.pid",
        )

    def readiness(self, process: LocalProcess) -> tuple[int, str]:
        """Return the status and text of a service's readiness; 0 when it does not answer."""
        try:
            status, document = fetch_json(f"{find_address(process)}/readiness")
        except Exception as error:  # noqa: BLE001  (whatever a process that starts answers)
            return 0, str(error)
        return status, str(document)

    def wait_until_ready(self, process: LocalProcess) -> None:
        """Wait until a service says that it is ready."""
        wait_until(
            lambda: self.readiness(process)[0] == 200,
            f"{process.program.name} to be ready",
            lambda: self.readiness(process)[1] + process.program.log_path.read_text()[-2_000:],
            PATIENCE_S,
        )

    def post(self) -> str:
        """Post a notice and return its id without waiting for the ledger."""
        return asyncio.run(_post(self.town))

    def height_of(self, notice: str) -> int | None:
        """Return the block that the noticeboard names for a notice."""
        _, answer = fetch_json(f"{find_address(self.board)}/notices")
        (found,) = [each for each in answer["notices"] if each["id"] == notice]
        height: int | None = found["height"]
        return height

    def wait_until_anchored(self, notice: str) -> None:
        """Wait until the noticeboard has heard that its notice is final."""
        wait_until(
            lambda: self.height_of(notice) is not None,
            f"notice {notice} on the ledger",
            lambda: self.relay.program.log_path.read_text()[-2_000:],
            PATIENCE_S,
        )

    def anchored(self) -> list[str]:
        """Return the commitments of notices that another municipality's node shows."""
        query = {
            "fromBlock": "0x0",
            "toBlock": "latest",
            "address": self.town.anchors,
            "topics": [None, None, "0x" + STREAM.hex()],
        }
        logs = self.network.call(self.network.nodes[2], "eth_getLogs", query)
        return [log["topics"][3] for log in logs]


async def _post(town: LocalTown) -> str:
    settings = EXAMPLE.load_settings(town.example / SETTINGS_FILE)
    resident = Resident(
        kit=settings.kit,
        issuer_key=load_private_key(town.example / RESIDENTS_KEY_FILE),
        device_key=ECKey.generate_key("P-256"),
    )
    headers = resident.headers("POST", "/notices", now_s=int(time.time()))
    body = {"title": TITLE, "contact": CONTACT}
    url = settings.kit.server.public_url + "/notices"
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.post(url, json=body, headers=headers) as response,
    ):
        answer = await response.json()
        assert response.status == 201, answer
        return str(answer["id"])


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with running(tmp_path_factory.mktemp("office")) as network:
        network.wait_for_mesh()
        create_contracts(network.local)
        # No hub runs here; the development issuer stands in for it.
        town = replace(find_town(network.local.root, network.nodes[0].name), registry=None)
        lay_out(town)
        office = Office(network, town)
        try:
            yield office
        finally:
            stop_all([office.board, office.relay, office.signer])


def test_a_notice_comes_onto_the_ledger_though_each_process_dies_in_turn(office: Office) -> None:
    for process in (office.board, office.relay):
        start_service(process)
    wait_until(lambda: DOWN in office.readiness(office.relay)[1], "the relay to miss its signer")
    waiting = office.post()

    office.signer.start()
    office.wait_until_ready(office.relay)
    office.wait_until_ready(office.board)
    office.wait_until_anchored(waiting)
    shown = asyncio.run(try_out(office.town, clock=SystemClock()))
    assert "a light client from genesis" in str(shown["proven by"])

    office.signer.stop(signal.SIGKILL)
    while_down = [office.post(), office.post()]
    office.relay.stop(signal.SIGKILL)
    office.signer.start()
    start_service(office.relay)
    for notice in while_down:
        office.wait_until_anchored(notice)

    office.wait_until_ready(office.relay)
    commitments = office.anchored()
    assert len(commitments) == len(set(commitments)) == 4
    key = office.town.keys / f"relay.{MARK}.key.json"
    assert str(key) not in office.relay.program.settings_path.read_text(encoding="utf-8")
    assert office.relay.stop() == 0
    assert office.signer.stop() == 0
