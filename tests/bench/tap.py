"""Times a card from the tap to the bound device, through all layers of the field but the chip.

Card, time and certificate authorities are simulated; reader driver, PC/SC daemon, OpenSC, its own
process, HTTP, hub and database are real. The chip of a real card adds what an RSA signature takes
it: some tenths of a second.
"""

import asyncio
import base64
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from clients.card.codes import CodeKind, parse_code
from clients.card.session import open_card
from clients.card.signing import sign_text
from clients.identity.certificate import CertificateKind
from clients.identity.statement import compute_device_hash
from node.primitives.crypto import PrivateKey
from services.sim.card.card import SimulatedCard
from services.sim.card.daemon import SOCKET_VARIABLE, PrivateReaders
from services.sim.card.issue import order_card
from services.sim.card.reader import HeldCard
from tests.bench.record import record
from tests.support.cards import card_of, wait_for_card
from tests.support.hub import RunningHub, running_hub
from tests.support.identity import RESIDENT

ROUNDS: Final = 10
KIND: Final = CertificateKind.AUTHENTICATION
PIN: Final = parse_code(CodeKind.AUTHENTICATION, "1234")


def time_ms(work: Callable[[], object]) -> float:
    """Return the median time of ``work`` over some rounds, in milliseconds."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken) * 1000, 1)


def sign_by_apdu() -> None:
    """Sign by the client's own commands."""
    with open_card() as card:
        card.sign(KIND, b"text", PIN)


async def bind_once(hub: RunningHub) -> tuple[float, float]:
    """Return the seconds from the tap to the binding, and those of them spent at the hub."""
    device = PrivateKey(os.urandom(32))
    asked = await hub.challenge("bind-device", device=f"0x{device.address.hex()}")
    text = asked["text"].encode()
    start = time.perf_counter()
    signed = await asyncio.to_thread(sign_text, KIND, text, PIN)
    signed_at = time.perf_counter()
    statement = {
        "challenge": asked["challenge"],
        "text": asked["text"],
        "certificate": base64.b64encode(signed.certificate.der).decode(),
        "card_signature": base64.b64encode(signed.signature).decode(),
        "device_signature": f"0x{bytes(device.sign(compute_device_hash(text))).hex()}",
    }
    status, answer = await hub.ask("POST", "/bindings", {"statement": statement, "label": None})
    if status != 201:
        raise SystemExit(f"the hub refused a binding: {answer}")
    end = time.perf_counter()
    return end - start, end - signed_at


async def time_bindings(folder: Path, readers: PrivateReaders) -> dict[str, object]:
    """Return figures of whole bindings; one person has ten devices at most."""
    async with running_hub(folder, has_relay=False) as hub:
        order = order_card(hub.hierarchy, RESIDENT, at=hub.now - timedelta(days=30))
        with HeldCard(SimulatedCard.issue(order), port=readers.ports[0]):
            wait_for_card(readers)
            taken = [await bind_once(hub) for _ in range(ROUNDS)]
    return {
        "tap_to_bound_ms": round(statistics.median(each[0] for each in taken) * 1000, 1),
        "hub_of_it_ms": round(statistics.median(each[1] for each in taken) * 1000, 1),
    }


def time_signatures(readers: PrivateReaders) -> dict[str, object]:
    """Return figures of signatures alone, by OpenSC and by our own commands."""
    with HeldCard(card_of(), port=readers.ports[0]):
        wait_for_card(readers)
        return {
            "signature_by_opensc_ms": time_ms(lambda: sign_text(KIND, b"text", PIN)),
            "signature_by_apdu_ms": time_ms(sign_by_apdu),
        }


def main() -> None:
    """Measure and record."""
    with PrivateReaders() as readers, tempfile.TemporaryDirectory() as folder:
        os.environ[SOCKET_VARIABLE] = str(readers.socket_path)
        figures = asyncio.run(time_bindings(Path(folder), readers))
        wait_for_card(readers, 0)
        figures |= time_signatures(readers)
    record("tap", figures)


if __name__ == "__main__":
    main()
