"""`daicho node`: run a node, ask how it is, check its settings."""

import asyncio
from pathlib import Path
from typing import Any, Final

import click

from node.cli.client import RpcClient, fetch_json
from node.cli.output import Output
from node.log import start_log
from node.runtime.joining import join
from node.runtime.ledger import load_documents
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


@group.command("join")
@_CONFIG
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Checkpoint signed by governors of two municipalities.",
)
@click.pass_obj
def join_network(output: Output, config: Path, checkpoint: Path) -> None:
    """Fetch the state of a checkpoint from peers into an empty database, then start the node."""
    settings = load_settings(config)
    log = start_log(settings.log.level, settings.log.format)
    try:
        manifest = asyncio.run(join(settings, checkpoint, _ask))
    finally:
        log.stop()
    output.result(
        {"height": manifest.height, "block": f"0x{manifest.header.hash.hex()}"},
        title="the state is here; start the node",
    )


async def _run(settings: Settings) -> None:
    await Node(settings, _ask).run()


def _ask(question: str) -> str:
    password: str = click.prompt(question, hide_input=True, err=True)
    return password


@group.command("status")
@click.option(
    "--rpc", default="http://127.0.0.1:8545", show_default=True, help="JSON-RPC of the node."
)
@click.option("--health", help="Address of health and metrics, to show what is not ready.")
@click.pass_context
def status(ctx: click.Context, rpc: str, health: str | None) -> None:
    """Show where consensus stands, who is missing, and what the node waits for.

    The exit code is 1 while consensus cannot go on, or the node is not ready.
    """
    output: Output = ctx.obj
    client = RpcClient(rpc)
    found = client.call("daicho_consensusStatus")
    missing = [_named(each) for each in found["missing"]]
    is_ready, checks = (True, []) if health is None else _ask_health(health)
    if output.is_json:
        output.result({**found, "ready": is_ready, "checks": checks})
    else:
        output.result(
            {
                "final": int(found["height"], 16) - 1,
                "deciding": f"height {int(found['height'], 16)}, round {int(found['round'], 16)}, "
                f"{found['phase']} for {found['secondsInRound']:.0f} s",
                "proposer": _named(found["proposer"]),
                "waits for": found["waitsFor"],
                "missing": missing,
                "config": client.call("daicho_configHashes"),
            }
        )
        output.rows([_validator_row(each) for each in found["validators"]])
        for check in checks:
            if not check["is_ok"] or check["is_warning"]:
                output.say(f"{check['name']}: {check['reason']}")
    present = sum(each["isConnected"] for each in found["validators"])
    ctx.exit(0 if is_ready and present >= int(found["quorum"], 16) else 1)


def _ask_health(address: str) -> tuple[bool, list[dict[str, Any]]]:
    _, body = fetch_json(f"{address.rstrip('/')}/readiness")
    return bool(body["ready"]), body["checks"]


def _validator_row(found: dict[str, Any]) -> dict[str, object]:
    def height(name: str) -> object:
        return "-" if found[name] is None else int(found[name], 16)

    return {
        "validator": found["name"] or "unknown",
        "address": found["address"],
        "connected": "yes" if found["isConnected"] else "NO",
        "last proposed": height("lastProposed"),
        "last sealed": height("lastSealed"),
    }


def _named(found: dict[str, str]) -> str:
    return f"{found['name']} ({found['address']})" if found["name"] else found["address"]


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
