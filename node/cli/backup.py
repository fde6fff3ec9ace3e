"""`daicho backup`: create, verify and restore a node's backup. The node must be stopped."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from node.cli.output import Output
from node.runtime.backup import BackupReport, create_backup, restore_backup, verify_backup

EXAMPLES: Final = """\b
Examples:
  daicho backup create tsukuba.backup --config /etc/daicho/node.toml
  daicho backup verify tsukuba.backup
  daicho backup restore tsukuba.backup --config /etc/daicho/node.toml
"""

_FILE = click.Path(dir_okay=False, path_type=Path)
_CONFIG = click.option(
    "--config",
    type=_FILE,
    default=Path("/etc/daicho/node.toml"),
    show_default=True,
    help="Settings file of the node, which must be stopped.",
)


@click.group("backup", epilog=EXAMPLES)
def group() -> None:
    """Create, verify and restore a node's backup."""


@group.command("create")
@click.argument("file", type=_FILE)
@_CONFIG
@click.option("--with-key", is_flag=True, help="Take the keystore along (never its password).")
@click.pass_obj
def create(output: Output, file: Path, config: Path, with_key: bool) -> None:
    """Write settings, documents and the chain to FILE; the record of votes is left out."""
    now_s = time.time_ns() // 1_000_000_000
    report = create_backup(config, file, has_key=with_key, now_s=now_s, progress=output.progress)
    output.progress_done()
    output.result(_shown(report))


@group.command("verify")
@click.argument("file", type=_FILE)
@click.pass_obj
def verify(output: Output, file: Path) -> None:
    """Check every byte of FILE."""
    report = verify_backup(file, output.progress)
    output.progress_done()
    output.result(_shown(report), title="the backup is whole")


@group.command("restore")
@click.argument("file", type=_FILE)
@_CONFIG
@click.option("--expect", metavar="HASH", help="Hash of its block, from another municipality.")
@click.pass_obj
def restore(output: Output, file: Path, config: Path, expect: str | None) -> None:
    """Put a node back from FILE; files that are there already stay as they are."""
    report = restore_backup(file, config, expect=expect, progress=output.progress)
    output.progress_done()
    output.result(_shown(report), title="restored; start the node")
    output.say(
        "as a validator it stays silent until a quorum of the others has told how far they are; "
        "make sure that the old machine never starts again with the same key"
    )


def _shown(report: BackupReport) -> dict[str, object]:
    made = datetime.fromtimestamp(report.made_at_s, tz=UTC)
    return {
        "node": report.name,
        "made": made.isoformat(),
        "height": report.height,
        "block": report.block_hash,
        "files": list(report.files),
    }
