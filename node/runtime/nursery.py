"""Processes of a local network as copies of one that has imported everything already.

A trial network with its services is two dozen Python processes on one machine. Each would import
the same modules for seconds; instead one process imports them once and forks. A copy runs the same
command as a process of its own would, in a session of its own, and outlives the nursery.

Only local networks use it: a real node or service is started by its supervisor.
"""

import gc
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from node.primitives.errors import Unavailable

_PROGRAM: Final = "from node.runtime.nursery import serve; serve()"
_OPEN: Final[list["Nursery"]] = []


class NurseryChild:
    """A process that a nursery started; as much of ``subprocess.Popen`` as is needed."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        """Hold who can tell how it ended."""
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        if self.returncode is None:
            self.returncode = self._nursery.poll(self.pid)
        return self.returncode


class Nursery:
    """The process that forks, and how to talk to it."""

    def __init__(self, modules: Sequence[str]) -> None:
        """Start it; it imports ``modules`` before it answers for the first time."""
        self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _PROGRAM, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        )
        self._turn = threading.Lock()

    def start(
        self, words: Sequence[str], *, output: Path, errors: Path | None, prelude: str = ""
    ) -> NurseryChild:
        """Start a ``daicho`` command as a copy.

        Args:
            words: Its words.
            output: File that its output is appended to.
            errors: The same for its messages; None leaves them where the nursery's own go.
            prelude: Python run in the copy before the command.

        Raises:
            Unavailable: The nursery ended.
        """
        order = {
            "words": list(words),
            "output": str(output),
            "errors": None if errors is None else str(errors),
            "prelude": prelude,
        }
        return NurseryChild(self, self._ask(order)["pid"])

    def poll(self, pid: int) -> int | None:
        """Return how a copy ended, None while it runs.

        Raises:
            Unavailable: The nursery ended.
        """
        code: int | None = self._ask({"poll": pid})["code"]
        return code

    def run(
        self,
        words: Sequence[str],
        *,
        output: Path,
        errors: Path | None,
        timeout_s: float,
        prelude: str = "",
    ) -> int:
        """Run a ``daicho`` command to its end and return its exit code.

        Raises:
            Unavailable: It takes too long, and is killed; or the nursery ended.
        """
        child = self.start(words, output=output, errors=errors, prelude=prelude)
        deadline = time.monotonic() + timeout_s
        while (code := child.poll()) is None:
            if time.monotonic() > deadline:
                os.kill(child.pid, signal.SIGKILL)
                raise Unavailable(f"daicho {' '.join(words[:3])}: not done after {timeout_s:.0f} s")
            time.sleep(0.02)
        return code

    def close(self) -> None:
        """End the nursery; its copies go on."""
        with self._turn:
            self._process.communicate()

    def _ask(self, order: Mapping[str, object]) -> dict[str, Any]:
        with self._turn:
            to, back = self._process.stdin, self._process.stdout
            assert to is not None
            assert back is not None
            try:
                to.write(json.dumps(order).encode() + b"\n")
                to.flush()
                answer: dict[str, Any] = json.loads(back.readline())
            except (OSError, ValueError) as error:
                raise Unavailable("the process that starts the others ended") from error
        return answer


@contextmanager
def nursery(modules: Sequence[str]) -> Iterator[Nursery]:
    """Let processes of local networks be copies for the length of a ``with`` block."""
    opened = Nursery(modules)
    _OPEN.append(opened)
    try:
        yield opened
    finally:
        _OPEN.remove(opened)
        opened.close()


def current_nursery() -> Nursery | None:
    """Return the nursery of the ``with`` block we are in."""
    return _OPEN[-1] if _OPEN else None


def serve() -> None:
    """Fork what is asked for, line by line, until the asker is gone."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    # What was made so far is never collected: the copies share its pages.
    gc.collect()
    gc.freeze()
    while line := sys.stdin.buffer.readline():
        order = json.loads(line)
        if "poll" in order:
            _answer({"code": _poll(order["poll"])})
            continue
        pid = os.fork()
        if pid == 0:
            _become(order)
        _answer({"pid": pid})


def _answer(answer: dict[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _poll(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _become(order: dict[str, Any]) -> NoReturn:
    """Be the process that was asked for, in the copy."""
    os.setsid()
    random.seed()
    _redirect(sys.stdin, Path(os.devnull), os.O_RDONLY)
    _redirect(sys.stdout, Path(order["output"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if order["errors"] is not None:
        _redirect(sys.stderr, Path(order["errors"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - standard input
    sys.argv = ["daicho", *order["words"]]
    exec(order["prelude"], {"__name__": "prelude"})  # noqa: S102 - of whoever runs the trial
    command = importlib.import_module("node.cli.main")
    sys.exit(command.main())


def _redirect(stream: IO[str], path: Path, flags: int) -> None:
    opened = os.open(path, flags, 0o644)
    os.dup2(opened, stream.fileno())
    os.close(opened)
