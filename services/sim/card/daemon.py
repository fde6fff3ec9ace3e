"""A private pcscd with two virtual readers, for tests and the trial network; needs no root.

pcscd takes its listening socket as systemd would hand it over, so every instance has a socket of
its own in its own directory. Clients find it through ``PCSCLITE_CSOCK_NAME``. libpcsclite keeps the
first daemon it reached, so a process talks to one instance in its life. vpcd has two slots for the
whole daemon: a second block of settings adds readers that show the same two cards, so more cards
need more daemons. It listens on all interfaces: this is for development machines only.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from node.primitives.errors import Misconfigured

SOCKET_VARIABLE: Final = "PCSCLITE_CSOCK_NAME"
"""Where libpcsclite looks for its daemon."""

_DAEMON: Final = "/usr/sbin/pcscd"
_DRIVERS: Final = "pcsc/drivers/serial/libifdvpcd.so"
_DRIVER_ROOTS: Final = (Path("/usr/lib"), Path("/usr/local/lib"), Path("/usr/lib64"))
_STOP_TIMEOUT_S: Final = 5.0

# Runs in the child: the socket becomes descriptor 3 and the process says that it is meant.
_HAND_OVER: Final = """
import os, sys
listening = int(sys.argv[1])
os.dup2(listening, 3)
os.set_inheritable(3, True)
os.environ["LISTEN_FDS"] = "1"
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class CardStackMissing(Misconfigured):
    """pcscd or the virtual reader's driver is not installed."""

    code = "card.stack_missing"


@dataclass(kw_only=True)
class PrivateReaders:
    """A running pcscd with two virtual readers; enter it to start, leave it to stop."""

    ports: tuple[int, int] = field(default=(0, 0), init=False)
    """A port for each reader, in pcscd's order."""
    directory: Path | None = field(default=None, init=False)
    """Its socket, configuration and log."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    """The daemon."""

    @property
    def socket_path(self) -> Path:
        """Return the socket clients connect to."""
        assert self.directory is not None
        return self.directory / "pcscd.comm"

    @property
    def environment(self) -> dict[str, str]:
        """Return what a client's environment must hold."""
        return {SOCKET_VARIABLE: str(self.socket_path)}

    def __enter__(self) -> Self:
        """Start the daemon.

        Raises:
            CardStackMissing: A system package is missing.
        """
        driver = find_driver()
        self.directory = Path(tempfile.mkdtemp(prefix="daicho-pcsc-"))
        settings = self.directory / "readers"
        settings.mkdir()
        self.ports = _free_port_pair()
        (settings / "vpcd").write_text(reader_settings(self.ports[0], driver))
        with (
            socket.socket(socket.AF_UNIX) as listening,
            (self.directory / "pcscd.log").open("wb") as log,
        ):
            listening.bind(str(self.socket_path))
            listening.listen()
            self.process = subprocess.Popen(  # noqa: S603 - fixed programs, no shell
                [
                    *(sys.executable, "-c", _HAND_OVER, str(listening.fileno()), _DAEMON),
                    *("--foreground", "--info", "-c", str(settings)),
                ],
                pass_fds=(listening.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(os.environ),
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the daemon and remove its directory."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)


def find_driver() -> Path:
    """Return the driver of the virtual reader.

    Raises:
        CardStackMissing: It or pcscd is not installed.
    """
    drivers = [root / _DRIVERS for root in _DRIVER_ROOTS if (root / _DRIVERS).exists()]
    if not drivers or not Path(_DAEMON).exists():
        raise CardStackMissing(
            "virtual card reader: pcscd or vsmartcard-vpcd is missing; run scripts/setup-system"
        )
    return drivers[0]


def reader_settings(port: int, driver: Path) -> str:
    """Return pcscd's settings for readers that listen on ``port`` and the next."""
    return (
        'FRIENDLYNAME "Daicho Virtual Reader"\n'
        f"DEVICENAME   /dev/null:{port}\n"
        f"LIBPATH      {driver}\n"
        f"CHANNELID    {port}\n"
    )


def _free_port_pair() -> tuple[int, int]:
    """Return two neighbouring ports that were free a moment ago."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port: int = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("", port + 1))
                return port, port + 1
