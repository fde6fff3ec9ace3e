"""How commands print: a record as lines for people, or as JSON for programs.

Results go to standard output, progress to standard error, so that a pipe sees results only.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the global options asked for; every command receives it as ``ctx.obj``."""

    is_json: bool = False
    """Print JSON instead of lines."""
    is_verbose: bool = False
    """Say more while working."""

    def result(self, record: Mapping[str, object], *, title: str | None = None) -> None:
        """Print one record as the command's result."""
        if self.is_json:
            click.echo(json.dumps(record, ensure_ascii=False, default=str))
            return
        if title:
            click.echo(title)
        width = max((len(name) for name in record), default=0)
        for name, value in record.items():
            for index, line in enumerate(_lines(value)):
                click.echo(f"  {name if not index else '':<{width}}  {line}")

    def rows(self, rows: Sequence[Mapping[str, object]], *, empty: str = "none") -> None:
        """Print records of one shape as a table."""
        if self.is_json:
            click.echo(json.dumps(list(rows), ensure_ascii=False, default=str))
            return
        if not rows:
            click.echo(empty)
            return
        names = list(rows[0])
        widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in names}
        click.echo("  ".join(f"{name:<{widths[name]}}" for name in names).rstrip())
        for row in rows:
            click.echo("  ".join(f"{row[name]!s:<{widths[name]}}" for name in names).rstrip())

    def say(self, text: str) -> None:
        """Tell a person what is happening."""
        click.echo(text, err=True)

    def detail(self, text: str) -> None:
        """Tell a person more, when asked to be verbose."""
        if self.is_verbose:
            click.echo(text, err=True)

    @property
    def is_terminal(self) -> bool:
        """Tell whether a person watches: standard error is a terminal."""
        return sys.stderr.isatty()

    def progress(self, text: str) -> None:
        """Redraw one line of progress on a terminal; stay quiet elsewhere."""
        if self.is_terminal:
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)

    def progress_done(self) -> None:
        """End the line of progress."""
        if self.is_terminal:
            click.echo("\r\x1b[K", err=True, nl=False)


def _lines(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}: {item}" for name, item in value.items()] or ["none"]
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value] or ["none"]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [str(value)]
