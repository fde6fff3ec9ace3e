"""The `daicho` command: a table of groups, global options, and errors as messages.

Groups are named by strings and imported only when used, so that `daicho key new` does not load
the EVM and packages above `node` can attach their own groups without being imported from below.
What a command does lives in its own module; here is only how it is found and how it fails: a
`LedgerError` becomes its message on standard error and an exit code, never a traceback.
"""

import json
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Final

import click

from node.cli.lazy import Attachment, LazyGroup
from node.cli.output import Output
from node.primitives.errors import InvariantViolation, LedgerError, Misconfigured
from node.version import PROTOCOL_VERSION, VERSION

EXIT_FAILED: Final = 1
EXIT_MISCONFIGURED: Final = 2
EXIT_INVARIANT: Final = 3
"""We are wrong: a supervisor must not start the node again before someone has looked."""

EXIT_INTERNAL: Final = 70
EXIT_INTERRUPTED: Final = 130


GROUPS: Final[dict[str, Attachment]] = {
    "genesis": Attachment(
        target="node.cli.genesis:group", help="Build and verify the genesis file of a network."
    ),
    "key": Attachment(
        target="node.cli.key:group", help="Make, show and import keys; serve a remote signer."
    ),
    "membership": Attachment(
        target="node.cli.membership:group", help="Keep the signed list of nodes that may connect."
    ),
    "node": Attachment(
        target="node.cli.node:group", help="Run a node, ask how it is, check its settings."
    ),
    "network": Attachment(
        target="node.cli.network:group", help="Run a local trial network; simulate faults."
    ),
    "governance": Attachment(
        target="node.cli.governance:group",
        help="Vote on municipalities, governors, services and open calls.",
    ),
    "validator": Attachment(
        target="node.cli.validator:group", help="List validators and vote on changes."
    ),
    "chain": Attachment(
        target="node.cli.chain:group", help="Export, import and verify the chain of blocks."
    ),
    "db": Attachment(
        target="node.cli.db:group", help="Check, compact, prune and snapshot a database."
    ),
    "backup": Attachment(
        target="node.cli.backup:group", help="Create, verify and restore a node's backup."
    ),
    "recovery": Attachment(
        target="node.cli.recovery:group", help="Recover a network whose quorum is lost for good."
    ),
    "service": Attachment(
        target="services.cli:group", help="Run and look after a municipality's services."
    ),
    "election": Attachment(
        target="services.election.commands.group:group",
        help="Hold an election: draft, manifest, announcement, status, record.",
    ),
    "resident": Attachment(
        target="clients.cli.resident:group",
        help="Read the ledger from one's own device, every answer verified.",
    ),
    "card": Attachment(
        target="clients.card.commands:group", help="Read a My Number Card, and try its keys."
    ),
    "kiosk": Attachment(
        target="clients.kiosk.commands:group",
        help="Receive residents with their card, also offline.",
    ),
    "audit": Attachment(
        target="clients.auditor.commands:group",
        help="Recompute what the ledger claims from files, and watch nodes live.",
    ),
    "doctor": Attachment(
        target="node.cli.doctor:command", help="Check this machine and name what to repair."
    ),
}
"""Every command group. Later packages add a line here."""

EXAMPLES: Final = """\b
Examples:
  daicho network up              start four validators on this machine
  daicho key new --out node.key.json
  daicho node check-config --config /etc/daicho/node.toml
  daicho node run --config /etc/daicho/node.toml
  daicho --json node status --rpc http://127.0.0.1:8545
  daicho doctor --config /etc/daicho/node.toml
"""


@click.group(
    cls=LazyGroup,
    table=GROUPS,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--json", "is_json", is_flag=True, help="Print results as JSON.")
@click.option("--verbose", "-v", is_flag=True, help="Say more; show tracebacks of internal errors.")
@click.version_option(f"{VERSION} (protocol {PROTOCOL_VERSION})", prog_name="daicho")
@click.pass_context
def cli(ctx: click.Context, is_json: bool, verbose: bool) -> None:
    """Run and look after a node of the municipal ledger."""
    ctx.obj = Output(is_json=is_json, is_verbose=verbose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, as ``exit_code_of`` has it; 0 when it worked."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.excepthook = _internal_error if not {"-v", "--verbose"} & set(words) else sys.__excepthook__
    try:
        result = cli.main(args=words, prog_name="daicho", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return EXIT_INTERRUPTED
    except LedgerError as error:
        _show(error, is_json="--json" in words)
        return exit_code_of(error)
    except BrokenPipeError:
        return EXIT_FAILED
    return result if isinstance(result, int) else 0


def exit_code_of(error: LedgerError) -> int:
    """Return the exit code that tells a supervisor whose turn it is."""
    match error:
        case Misconfigured():
            return EXIT_MISCONFIGURED
        case InvariantViolation():
            return EXIT_INVARIANT
        case _:
            return EXIT_FAILED


def _show(error: LedgerError, *, is_json: bool) -> None:
    if is_json:
        report = {"error": {"code": error.code, "message": str(error), "values": error.values}}
        click.echo(json.dumps(report, ensure_ascii=False, default=str), err=True)
    else:
        click.echo(f"{error.code}: {error}", err=True)


def _internal_error(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say that we are wrong, in one line; ``--verbose`` shows the traceback instead."""
    del trace
    click.echo(
        f"internal error: {kind.__name__}: {error}; run again with --verbose for the traceback",
        err=True,
    )
    sys.exit(EXIT_INTERNAL)
