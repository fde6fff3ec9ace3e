"""`daicho audit`: recompute what the ledger claims from files, and watch nodes live.

Each audit lives in a module of its own; here is only the group.
"""

from pathlib import Path
from typing import Final

import click

from clients.auditor.chain_command import command as chain_command
from clients.auditor.election.command import command as election_command
from clients.auditor.report import InvalidReport, decode_report
from clients.auditor.reporting import FILE, Output
from clients.auditor.service_command import command as service_command
from clients.auditor.watch_command import command as watch_command
from node.primitives.errors import Misconfigured

EXAMPLES: Final = """\b
Examples:
  daicho audit chain chain.bundle --genesis genesis.json --report report.json
  daicho audit watch --network network.toml --genesis genesis.json --folder watch
  daicho audit election 5f0c…e1 --record election-2027 --chain chain.bundle
  daicho audit report report.json
"""


@click.group("audit", epilog=EXAMPLES)
def group() -> None:
    """Audit the ledger from files and live nodes; believe nobody.

    Exit codes: 0 confirmed, 1 refuted, 2 incomplete or asked wrongly.
    """


group.add_command(chain_command, "chain")
group.add_command(watch_command, "watch")
group.add_command(service_command, "services")
group.add_command(election_command, "election")


@group.command("report")
@click.argument("file", type=FILE)
@click.option("--signer", metavar="ADDRESS", help="Auditor who must have signed it.")
@click.pass_obj
def check_report(output: Output, file: Path, signer: str | None) -> None:
    """Check the signature of a report and print what it came to."""
    try:
        signed = decode_report(file.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read ({error.strerror}); check the path") from error
    found = "nobody" if signed.signer is None else "0x" + signed.signer.hex()
    if signer is not None and signer.lower() != found:
        raise InvalidReport(
            f"audit report: signed by {found}, not by {signer}", rule="AUDIT-REPORT-SIGNED"
        )
    output.result(
        {
            "kind": signed.record["kind"],
            "conclusion": signed.record["conclusion"],
            "subject": signed.record["subject"],
            "signed by": found,
        }
    )
