"""Click groups whose commands are named by strings and imported when they are used."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One command that lives in another module."""

    target: str
    """``module:attribute`` of the click command, imported when first used."""
    help: str
    """One line for the group's ``--help``."""


class LazyGroup(click.Group):
    """A group with commands of its own and commands from a table."""

    def __init__(self, *args: object, table: Mapping[str, Attachment], **options: object) -> None:
        """Hold the table; nothing is imported yet."""
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name own commands, then those of the table."""
        return [*super().list_commands(ctx), *self.table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return an own command, import one of the table, or return None."""
        attachment = self.table.get(cmd_name)
        if attachment is None:
            return super().get_command(ctx, cmd_name)
        module_name, _, attribute = attachment.target.partition(":")
        command = getattr(importlib.import_module(module_name), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands with a line each, importing none of the table."""
        rows = [
            (name, command.get_short_help_str(80)) for name, command in self.commands.items()
        ] + [(name, attachment.help) for name, attachment in self.table.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
