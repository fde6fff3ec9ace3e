"""`daicho service NAME …`: run, check, migrate, back up and examine a service.

Services are named by strings and imported when used; a new service adds a line to ``SERVICES``.
"""

import asyncio
import importlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from node.cli.output import Output
from node.primitives.errors import Misconfigured
from services import cli_backups, cli_queues, cli_records
from services.cli_local import (
    hold_election_command,
    lay_out_command,
    lay_out_elections_command,
    try_out_command,
)
from services.cli_place import choose
from services.kit.clock import SystemClock
from services.kit.doctor import Verdict, examine
from services.kit.issuers import load_trust
from services.kit.keys import generate_key, private_document, public_document
from services.kit.service import Service, migrate, run_service

SERVICES: Final[dict[str, tuple[str, str]]] = {
    "relay": (
        "services.relay.service:SERVICE",
        "Signs and sends what services write to the ledger.",
    ),
    "election": (
        "services.election.service:SERVICE",
        "Elections: commission, trustee, ballot relay, public record.",
    ),
    "hub": (
        "services.hub.service:SERVICE",
        "Identity: binds devices to cards, makes tokens, keeps statuses on the ledger.",
    ),
    "authorities": (
        "services.sim.pki.service:SERVICE",
        "Simulated certification authorities; for trial networks only.",
    ),
    "example": ("services.example.service:SERVICE", "A noticeboard; begin a new service from it."),
}
"""Every service: ``module:attribute`` of its ``Service``, and a line for the help."""

OWN_COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "relay": ("services.relay.signer_command:signer",),
    "hub": ("services.hub.keyring_command:keyring",),
    "election": (
        "services.election.trustee.custodian_command:custodian",
        "services.election.commission.attestor_server:attestor_command",
    ),
}
"""Commands that only one service has: ``module:attribute``."""


def load_service(name: str) -> Service[Any]:
    """Import the service called ``name``."""
    module_name, _, attribute = SERVICES[name][0].partition(":")
    service = getattr(importlib.import_module(module_name), attribute)
    assert isinstance(service, Service)
    return service


class ServiceGroup(click.Group):
    """A group of one subgroup for each service."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name own commands, then the services."""
        return [*super().list_commands(ctx), *SERVICES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return an own command, or the commands of a service."""
        if cmd_name not in SERVICES:
            return super().get_command(ctx, cmd_name)
        return _commands_of(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands and services with a line each, importing none."""
        rows = [(name, each.get_short_help_str(80)) for name, each in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        if SERVICES:
            with formatter.section("Services"):
                formatter.write_dl([(name, line) for name, (_, line) in SERVICES.items()])


SERVICE_EXAMPLES: Final = """\b
Examples:
  daicho service relay run --config /etc/daicho/relay.toml
  daicho service example backup /srv/backups/example
  daicho service relay dead-letters list
"""


@click.group("service", cls=ServiceGroup, epilog=SERVICE_EXAMPLES)
def group() -> None:
    """Run and look after the services of a municipality.

    Each service has: run, check-config, migrate, doctor; backup, restore, replay-since;
    dead-letters, quarantine, jobs; keys, shred, audit.
    """


@group.command("new-key")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File of the private key; the public key goes beside it as .pub.json.",
)
@click.pass_obj
def new_key(output: Output, out: Path) -> None:
    """Make the key with which a service signs its calls of others."""
    key = generate_key()
    public = out.with_suffix(".pub.json")
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Misconfigured(f"{out}: exists already; name another file") from error
    except OSError as error:
        raise Misconfigured(f"{out}: {error.strerror}; check the path") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(json.dumps(private_document(key)) + "\n")
    public.write_text(json.dumps(public_document(key)) + "\n", encoding="ascii")
    output.result({"private key": str(out), "public key": str(public), "kid": key.thumbprint()})


group.add_command(lay_out_command)
group.add_command(try_out_command)
group.add_command(lay_out_elections_command)
group.add_command(hold_election_command)


def _commands_of(name: str) -> click.Group:
    default = Path("/etc/daicho") / f"{name}.toml"
    config = click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=default,
        show_default=True,
        help="Settings file.",
    )

    @click.group(name, help=SERVICES[name][1])
    @click.pass_context
    def commands(ctx: click.Context) -> None:
        choose(ctx, name, load_service)

    @commands.command("run")
    @config
    def run(config: Path) -> None:
        """Run the service until SIGTERM or Ctrl-C; SIGHUP reads the staff table again."""
        run_service(load_service(name), config)

    @commands.command("check-config")
    @config
    @click.pass_obj
    def check_config(output: Output, config: Path) -> None:
        """Check the settings file and every file it names, without starting anything."""
        service = load_service(name)
        settings = service.load_settings(config)
        catalogue = service.load_catalogue()
        trust = load_trust(settings.kit, SystemClock())
        output.result(
            {
                "settings": str(config),
                "tenants": [f"{each.id} ({each.name})" for each in settings.kit.tenants],
                "issuers": sorted(trust.issuers),
                "partners": sorted(trust.partners),
                "staff": len(trust.staff),
                "languages": [str(language) for language in catalogue.texts],
            },
            title="settings are good",
        )

    @commands.command("migrate")
    @config
    @click.pass_obj
    def migrate_command(output: Output, config: Path) -> None:
        """Bring the database to the program's schema; back it up first."""
        service = load_service(name)
        asyncio.run(migrate(service, service.load_settings(config)))
        output.say(f"{name}: the database is at the program's schema")

    @commands.command("doctor")
    @config
    @click.pass_context
    def doctor(ctx: click.Context, config: Path) -> None:
        """Check this machine and the settings; the exit code is 1 when something is bad."""
        found = asyncio.run(_examine(load_service(name), config))
        output: Output = ctx.obj
        output.rows([asdict(finding) for finding in found])
        ctx.exit(1 if any(finding.verdict is Verdict.BAD for finding in found) else 0)

    for command in (*cli_backups.COMMANDS, *cli_queues.COMMANDS, *cli_records.COMMANDS):
        commands.add_command(command)
    for own in OWN_COMMANDS.get(name, ()):
        module_name, _, attribute = own.partition(":")
        commands.add_command(getattr(importlib.import_module(module_name), attribute))
    return commands


async def _examine(service: Service[Any], config: Path) -> list[Any]:
    return [finding async for finding in examine(service, config, clock=SystemClock())]
