"""A `daicho` process that outlives the command that started it: found again, signalled, stopped.

Known by a file with its process id and the moment it was started, so that another process which was
given the same id is never taken for it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.primitives.errors import Unavailable
from node.runtime.nursery import NurseryChild, current_nursery

STARTED_AT: Final = 19
"""Place of the start among the fields of `/proc/PID/stat` after the name."""

STOP_TIMEOUT_S: Final = 45.0
"""Longest a process may take to end; a service lets running requests end first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalProgram:
    """What is started, and where its traces are."""

    name: str
    """Its name for people."""
    words: tuple[str, ...]
    """Words of the `daicho` command; the settings file is among them."""
    settings_path: Path
    """Its settings file."""
    log_path: Path
    """Where its output goes."""
    pid_path: Path
    """Where its process id is kept."""


class LocalProcess:
    """The process of a program, running or not."""

    def __init__(self, program: LocalProgram) -> None:
        """Hold the program; nothing is started."""
        self.program = program
        self._started: subprocess.Popen[bytes] | NurseryChild | None = None

    @property
    def id(self) -> int | None:
        """Return the id of the running process, or None."""
        if self._started is not None:
            return self._started.pid if self._started.poll() is None else None
        try:
            pid, moment = map(int, self.program.pid_path.read_text(encoding="ascii").split())
        except (OSError, ValueError):
            return None
        return pid if moment and moment == _moment_of(pid) else None

    def start(self, prelude: str = "") -> None:
        """Start the process unless it runs already.

        Args:
            prelude: Python run in the process before the command; for trials of programs that
                differ from the shipped one.
        """
        if self.id is not None:
            return
        self._started = self._copy(prelude) or self._new(prelude)
        pid = self._started.pid
        self.program.pid_path.write_text(f"{pid} {_moment_of(pid)}\n", encoding="ascii")

    def _copy(self, prelude: str) -> NurseryChild | None:
        """Start the process from the nursery, if there is one."""
        nursery = current_nursery()
        if nursery is None:
            return None
        log = self.program.log_path
        return nursery.start(self.program.words, output=log, errors=log, prelude=prelude)

    def _new(self, prelude: str) -> subprocess.Popen[bytes]:
        code = f"{prelude}\nimport sys\nfrom node.cli.main import main\nsys.exit(main())"
        with self.program.log_path.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  (our own interpreter and module)
                [sys.executable, "-c", code, *self.program.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=Path(__file__).parents[2],
            )

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        pid = self.id
        if pid is not None:
            os.kill(pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop the process and wait for its end; its exit code when we started it.

        Raises:
            Unavailable: It does not end.
        """
        self.send_signal(number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self.id is not None:
            if time.monotonic() > deadline:
                raise Unavailable(f"{self.program.name} does not stop; see {self.program.log_path}")
            time.sleep(0.05)
        started, self._started = self._started, None
        self.program.pid_path.unlink(missing_ok=True)
        return None if started is None else started.returncode


def _moment_of(pid: int) -> int:
    """Return when a process was started, in ticks since the machine was; 0 when there is none."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The name in brackets may hold anything; the start is the 22nd field.
    fields = told.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[STARTED_AT])


def stop_all(processes: Sequence[LocalProcess]) -> None:
    """Ask every process to stop, then wait for each.

    Raises:
        Unavailable: One does not end.
    """
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.stop()
