"""`daicho doctor`: check this machine and a node's settings, and name what to repair."""

import time
from dataclasses import asdict
from pathlib import Path

import click

from node.cli.output import Output
from node.runtime.doctor import Verdict, examine


@click.command("doctor")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("/etc/daicho/node.toml"),
    show_default=True,
    help="Settings file.",
)
@click.pass_context
def command(ctx: click.Context, config: Path) -> None:
    """Check this machine and a node's settings; the exit code is 1 when something is bad."""
    output: Output = ctx.obj
    found = list(examine(config, now_s=time.time_ns() // 1_000_000_000))
    output.rows([asdict(finding) for finding in found])
    ctx.exit(1 if any(finding.verdict is Verdict.BAD for finding in found) else 0)
