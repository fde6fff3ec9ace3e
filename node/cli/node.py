"""`daicho node`: run a node, ask how it is, check its settings."""

import asyncio
from pathlib import Path
from typing import Final

import click

from node.cli.output import Output
from node.runtime.ledger import load_documents
from node.runtime.log import start_log
from node.runtime.node import Node
from node.settings import Settings, load_settings

CONFIG_DEFAULT: Final = Path("/etc/daicho/node.toml")

_CONFIG = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    default=CONFIG_DEFAULT,
    show_default=True,
    help="Settings file.",
)


@click.group("node")
def group() -> None:
    """Run a node, ask how it is, check its settings."""


@group.command("run")
@_CONFIG
def run(config: Path) -> None:
    """Run a node until SIGTERM or Ctrl-C; SIGHUP reads the membership file again."""
    settings = load_settings(config)
    log = start_log(settings.log.level, settings.log.format)
    try:
        asyncio.run(_run(settings))
    finally:
        log.stop()


async def _run(settings: Settings) -> None:
    await Node(settings, _ask).run()


def _ask(question: str) -> str:
    password: str = click.prompt(question, hide_input=True, err=True)
    return password


@group.command("check-config")
@_CONFIG
@click.pass_obj
def check_config(output: Output, config: Path) -> None:
    """Check the settings file and every document it names, without starting anything."""
    settings = load_settings(config)
    documents = load_documents(settings)
    output.result(
        {
            "settings": str(config),
            "name": settings.name,
            "network": f"0x{documents.profile.genesis_hash.hex()}",
            "chain_id": documents.profile.chain_id,
            "validators at genesis": [f"0x{each.hex()}" for each in documents.profile.validators],
            "membership": f"version {documents.membership.version}",
        },
        title="settings are good",
    )
