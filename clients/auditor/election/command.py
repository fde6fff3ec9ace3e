"""`daicho audit election`: recompute an election from its published record.

Spec: AUDIT-ELECTION, AUDIT-EXIT.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from clients.auditor.checks import Report
from clients.auditor.election.audit import ElectionAudit
from clients.auditor.election.box import Progress
from clients.auditor.election.records import RECORD_NAME, Folder
from clients.auditor.executors import PROCESSES_MAX, open_executor
from clients.auditor.reporting import (
    FILE,
    TOOL,
    Output,
    ReportOptions,
    finish,
    now_s,
    report_options,
)
from node.primitives.errors import Misconfigured

EXAMPLES: Final = """\b
Examples:
  daicho audit election 5f0c…e1 --record election-2027 --chain chain.bundle --processes 2
  daicho audit election 5f0c…e1 --record election-2027 --report report.json --html report.html
"""


@click.command("election", epilog=EXAMPLES)
@click.argument("eid", metavar="ID")
@click.option(
    "--record",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    required=True,
    help="Directory of the published record.",
)
@click.option("--chain", "bundle", type=FILE, help="Bundle of the chain, audited by `audit chain`.")
@click.option(
    "--processes",
    type=click.IntRange(1, PROCESSES_MAX),
    default=1,
    show_default=True,
    help="Processes that verify proofs.",
)
@click.option("--dask", metavar="ADDRESS", help="Verify proofs on the Dask cluster there.")
@report_options
@click.pass_obj
def command(
    output: Output,
    *,
    options: ReportOptions,
    eid: str,
    record: Path,
    bundle: Path | None,
    processes: int,
    dask: str | None,
) -> int:
    """Recompute election ID: keys, ballots, roll, mixes, decryption and results."""
    if not (record / RECORD_NAME).is_file():
        raise Misconfigured(f"{record}: holds no {RECORD_NAME}; give a published record")
    try:
        with open_executor(processes, dask) as opened, ThreadPoolExecutor(1) as here:
            report = audit_election(
                record,
                opened or here,
                eid=eid.lower().removeprefix("0x"),
                bundle=bundle,
                tell=lambda step, done, total: output.progress(f"{step}: {done} of {total}"),
            )
    finally:
        output.progress_done()
    return finish(output, report, options)


def audit_election(
    record: Path,
    executor: Executor,
    *,
    eid: str,
    bundle: Path | None,
    tell: Progress,
) -> Report:
    """Audit a record and report on it.

    Raises:
        Misconfigured: The record is of another election than asked for.

    Spec: AUDIT-ELECTION.
    """
    run = ElectionAudit(Folder(record), executor, tell, bundle)
    found = run.run()
    if found.index is not None and found.index.eid != eid:
        raise Misconfigured(
            f"{record}: the record of election {found.index.eid}; give that id or another record"
        )
    inputs = {RECORD_NAME: _digest_of(record / RECORD_NAME)}
    if bundle is not None:
        inputs["bundle"] = _digest_of(bundle)
    title = "unknown" if found.manifest is None else found.manifest.title
    notes = list(found.notes)
    if bundle is not None:
        notes.append(f"the chain's events are those of bundle {inputs['bundle']}; audit it too")
    return Report(
        kind="election",
        tool=TOOL,
        made_at_s=now_s(),
        subject={"election": eid, "title": title},
        inputs=inputs,
        outcomes=run.sheet.outcomes(),
        notes=tuple(notes),
        charts=tuple(found.charts),
    )


def _digest_of(path: Path) -> str:
    digest = sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return digest.hexdigest()
