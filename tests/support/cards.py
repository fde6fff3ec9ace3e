"""Simulated cards of invented people, a channel to one without a reader, and patience for readers.

One hierarchy serves a whole run, and orders are remembered, because RSA keys are slow to make.
"""

import functools
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from os import environ

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.sim.card.card import Fault, SimulatedCard
from services.sim.card.daemon import CardStackMissing, PrivateReaders, find_driver
from services.sim.card.files import Habits
from services.sim.card.issue import order_card
from services.sim.card.layout import CardOrder
from services.sim.card.reader import HeldCard
from services.sim.pki.profiles import SimulatedResident
from tests.support.identity import new_hierarchy

ISSUED_AT = datetime(2026, 2, 1, 0, 0, tzinfo=UTC)
NEXT_GENERATION = 3
HANAKO = SimulatedResident()
FOREIGNER = SimulatedResident(name="ＳＭＩＴＨ　ＪＯＨＮ", birth_date=date(1985, 2, 28))
STRICT = Habits()

hierarchy = functools.cache(new_hierarchy)
"""The one hierarchy of a run."""


def order_for(
    resident: SimulatedResident = HANAKO, *, generation: int = 2, is_child: bool = False
) -> CardOrder:
    """Return the order for a resident's card, the same throughout a run."""
    return _order(resident, generation, is_child)


@functools.cache
def _order(resident: SimulatedResident, generation: int, is_child: bool) -> CardOrder:
    return order_card(hierarchy(), resident, at=ISSUED_AT, generation=generation, is_child=is_child)


def card_of(resident: SimulatedResident = HANAKO, *, habits: Habits = STRICT) -> SimulatedCard:
    """Return a resident's card as handed over at the counter."""
    return SimulatedCard.issue(replace(order_for(resident), habits=habits))


def certificate_of(kind: str, order: CardOrder) -> bytes:
    """Return a certificate the order puts on the card."""
    issued = order.authentication if kind == "authentication" else order.signing
    assert issued is not None
    return issued.certificate


@functools.cache
def rsa_key_of_another() -> rsa.RSAPrivateKey:
    """Return a key that no card holds."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class DirectChannel:
    """A channel to a simulated card on the table, that remembers what was sent."""

    def __init__(self, card: SimulatedCard) -> None:
        self.card = card
        self.commands: list[bytes] = []
        self.closed_count = 0

    def transmit(self, command: bytes) -> bytes:
        """Hand a command over; a card torn away answers nothing, as PC/SC has it."""
        self.commands.append(command)
        answer = self.card.transmit(command)
        return b"" if isinstance(answer, Fault) else answer

    def close(self) -> None:
        """Reset the card, as a reader does."""
        self.closed_count += 1
        self.card.reset()


@contextmanager
def running_readers() -> Iterator[PrivateReaders]:
    """Run a private daemon, or skip the test where the system packages are missing."""
    try:
        find_driver()
    except CardStackMissing as error:
        pytest.skip(error.message)
    with PrivateReaders() as readers:
        yield readers


def run_beside(readers: PrivateReaders, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a program that reaches the card through ``readers``."""
    return run_with(readers.environment, *command)


def run_with(
    variables: Mapping[str, str], *command: object, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program with these variables added to the environment, and ``typed`` as its input."""
    return subprocess.run(
        [str(word) for word in command],
        env={**environ, **variables},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        input=typed,
    )


def wait_for_card(readers: PrivateReaders, count: int = 1) -> None:
    """Return when the daemon sees ``count`` cards."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        lines = run_beside(readers, "opensc-tool", "-l").stdout.splitlines()[2:]
        if sum(" Yes " in line for line in lines) == count:
            return
        time.sleep(0.1)
    pytest.fail(f"the daemon does not see {count} cards")


@contextmanager
def held(readers: PrivateReaders, card: SimulatedCard, slot: int = 0) -> Iterator[HeldCard]:
    """Hold a card into a slot for the length of a block, with the daemon seeing it come and go."""
    with HeldCard(card, port=readers.ports[slot]) as holder:
        wait_for_card(readers)
        yield holder
    wait_for_card(readers, 0)
