"""`daicho network logs`: what every node and service of a local network says, in one view."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from node.cli.network import DIRECTORY_DEFAULT
from node.runtime.localnet import LocalNetwork
from node.runtime.localservices import find_services

TAIL_BYTES: Final = 262_144
"""How far back each log is looked at."""

POLL_S: Final = 0.3

_TIME: Final = re.compile(r'(?:{"time": "\d{4}-\d\d-\d\dT)?(?P<time>\d\d:\d\d:\d\d)')
"""Beginning of a line for people, or of one for a collector."""


@click.command("logs")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DIRECTORY_DEFAULT,
    show_default=True,
    help="Where the network lives.",
)
@click.option("--lines", type=click.IntRange(1, 10_000), default=40, show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Go on as lines are written, until Ctrl-C.")
def command(directory: Path, lines: int, follow: bool) -> None:
    """Show the last lines of every log in the order of their times, each with its writer."""
    paths = log_paths(directory)
    ends = {name: _size(path) for name, path in paths.items()}
    for line in merge_tails(paths)[-lines:]:
        click.echo(line)
    while follow:
        for line in _read_on(paths, ends):
            click.echo(line)
        time.sleep(POLL_S)


def log_paths(directory: Path) -> dict[str, Path]:
    """Return every log of the network under ``directory`` by its writer's name.

    Raises:
        Misconfigured: No network is there.
    """
    nodes = {node.name: node.log_path for node in LocalNetwork.load(directory).nodes}
    services = {each.program.name: each.program.log_path for each in find_services(directory)}
    return {**nodes, **services}


def merge_tails(paths: dict[str, Path]) -> list[str]:
    """Return the last lines of each log, merged by time and marked with their writers.

    A line that does not begin with a time, as of a traceback, stays behind the one before it.
    """
    width = max((len(name) for name in paths), default=0)
    found: list[tuple[str, str]] = []
    for name, path in paths.items():
        at = ""
        for line in _tail(path):
            at = _time_of(line) or at
            found.append((at, f"{name:<{width}} | {line}"))
    return [line for _, line in sorted(found, key=lambda each: each[0])]


def _read_on(paths: dict[str, Path], ends: dict[str, int]) -> Iterator[str]:
    """Yield the whole lines written since, and note how far each log was read."""
    width = max(len(name) for name in paths)
    for name, path in paths.items():
        size = _size(path)
        if size < ends[name]:
            ends[name] = 0
        if size == ends[name]:
            continue
        with path.open("rb") as file:
            file.seek(ends[name])
            whole, newline, _ = file.read(TAIL_BYTES).rpartition(b"\n")
        ends[name] += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            yield f"{name:<{width}} | {line}"


def _tail(path: Path) -> list[str]:
    size = _size(path)
    if not size:
        return []
    with path.open("rb") as file:
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read(TAIL_BYTES).decode(errors="replace").splitlines()
    return lines[1:] if size > TAIL_BYTES else lines


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _time_of(line: str) -> str:
    """Return the time at which a line of either log form was written; empty when it has none."""
    found = _TIME.match(line)
    return found["time"] if found else ""
