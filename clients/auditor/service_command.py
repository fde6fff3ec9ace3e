"""`daicho audit services`: hold what services disclose against the ledger.

Spec: AUDIT-SERVICES, AUDIT-EXIT.
"""

from pathlib import Path
from typing import Final

import click

from clients.auditor.reporting import (
    FILE,
    TOOL,
    Output,
    ReportOptions,
    finish,
    now_s,
    report_options,
)
from clients.auditor.service_audit import ServiceInputs, audit_services
from node.primitives.errors import Misconfigured
from node.primitives.types import Address

EXAMPLES: Final = """\b
Example:
  daicho audit services --bundle chain.bundle --anchors 0x… board.disclosure --notice 0x…
"""


@click.command("services", epilog=EXAMPLES)
@click.argument("disclosures", type=FILE, nargs=-1, required=True)
@click.option("--bundle", type=FILE, required=True, help="The ledger's bundle, audited before.")
@click.option("--anchors", metavar="ADDRESS", required=True, help="The contract Anchors.")
@click.option(
    "--notice", "notices", multiple=True, metavar="HASH", help="Commitment of an erasure notice."
)
@report_options
@click.pass_obj
def command(
    output: Output,
    *,
    options: ReportOptions,
    disclosures: tuple[Path, ...],
    bundle: Path,
    anchors: str,
    notices: tuple[str, ...],
) -> int:
    """Check disclosed records against the roots on the ledger, and what was erased."""
    try:
        contract = bytes.fromhex(anchors.removeprefix("0x"))
    except ValueError:
        contract = b""
    if len(contract) != 20:
        raise Misconfigured("--anchors: expected an address; correct it")
    inputs = ServiceInputs(
        bundle=bundle, anchors=Address(contract), disclosures=disclosures, notices=notices
    )
    try:
        report = audit_services(inputs, tool=TOOL, now_s=now_s())
    except OSError as error:
        raise Misconfigured(
            f"{error.filename}: cannot be read ({error.strerror}); check the path"
        ) from error
    return finish(output, report, options)
