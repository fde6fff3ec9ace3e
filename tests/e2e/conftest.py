"""A card daemon for this process: libpcsclite keeps the first one that a process reached."""

from collections.abc import Iterator

import pytest

from services.sim.card.daemon import SOCKET_VARIABLE, PrivateReaders
from tests.support.cards import running_readers


@pytest.fixture(scope="session")
def daemon_of_this_process() -> Iterator[PrivateReaders]:
    """Run one daemon for the whole session."""
    with running_readers() as running:
        yield running


@pytest.fixture
def own_readers(
    daemon_of_this_process: PrivateReaders, monkeypatch: pytest.MonkeyPatch
) -> PrivateReaders:
    """Let this process's client, and programs it starts, find the daemon."""
    monkeypatch.setenv(SOCKET_VARIABLE, str(daemon_of_this_process.socket_path))
    return daemon_of_this_process
