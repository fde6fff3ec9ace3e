"""`daicho audit election`: recompute an election from its published record.

Spec: AUDIT-ELECTION, AUDIT-EXIT.
"""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from clients.auditor.checks import Report
from clients.auditor.election.accredited import RestrictedInput
from clients.auditor.election.audit import ElectionAudit
from clients.auditor.election.box import Progress
from clients.auditor.election.records import RECORD_NAME, Folder
from clients.auditor.election.restricted import load_export_key
from clients.auditor.election.revocations import load_authorities
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
  daicho audit election 5f0c…e1 --record election-2027 --chain chain.bundle --roll roll.export \\
    --roll-key auditor.pem --authority jpki-sign-2.crt --revocations jpki-sign-2.crl
"""


def restricted_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of an accredited audit; the command receives them as ``restricted``."""

    @click.option("--roll", type=FILE, help="The commission's accredited export of the roll.")
    @click.option("--roll-key", type=FILE, help="Your X25519 key in PEM, to open it (mode 0600).")
    @click.option(
        "--authority",
        "authorities",
        type=FILE,
        multiple=True,
        help="Certificate of an authority of signing certificates; once for each generation.",
    )
    @click.option(
        "--revocations",
        type=FILE,
        multiple=True,
        help="A revocation list of such an authority, from after the roll froze.",
    )
    @wraps(command)
    def with_options(
        *args: object,
        roll: Path | None,
        roll_key: Path | None,
        authorities: tuple[Path, ...],
        revocations: tuple[Path, ...],
        **kwargs: object,
    ) -> int:
        restricted = load_restricted(roll, roll_key, authorities, revocations)
        return command(*args, restricted=restricted, **kwargs)

    return with_options


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
@restricted_options
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
    restricted: RestrictedInput | None,
) -> int:
    """Recompute election ID: keys, ballots, roll, mixes, decryption and results.

    With the accredited export, also ask who is behind the roll.
    """
    if restricted is not None and dask is not None:
        raise Misconfigured("--roll: restricted data stay on this machine; leave out --dask")
    if not (record / RECORD_NAME).is_file():
        raise Misconfigured(f"{record}: holds no {RECORD_NAME}; give a published record")
    try:
        with open_executor(processes, dask) as opened, ThreadPoolExecutor(1) as here:
            report = audit_election(
                record,
                opened or here,
                eid=eid.lower().removeprefix("0x"),
                bundle=bundle,
                restricted=restricted,
                tell=lambda step, done, total: output.progress(f"{step}: {done} of {total}"),
            )
    finally:
        output.progress_done()
    return finish(output, report, options)


def load_restricted(
    roll: Path | None,
    roll_key: Path | None,
    authorities: tuple[Path, ...],
    revocations: tuple[Path, ...],
) -> RestrictedInput | None:
    """Read what an accredited auditor gives; None for a public audit.

    Raises:
        Misconfigured: Part of it is missing, or a file is not what it should be.

    Spec: AUDIT-ACCREDITED.
    """
    if (roll is None) != (roll_key is None):
        raise Misconfigured("give both --roll and --roll-key, or neither")
    if roll is None or roll_key is None:
        if authorities or revocations:
            raise Misconfigured("--authority and --revocations: give --roll and --roll-key as well")
        return None
    return RestrictedInput(
        path=roll,
        key=load_export_key(roll_key),
        authorities=load_authorities(authorities, revocations),
    )


def audit_election(
    record: Path,
    executor: Executor,
    *,
    eid: str,
    bundle: Path | None,
    restricted: RestrictedInput | None = None,
    tell: Progress,
) -> Report:
    """Audit a record and report on it.

    Raises:
        Misconfigured: The record is of another election than asked for.

    Spec: AUDIT-ELECTION.
    """
    run = ElectionAudit(Folder(record), executor, tell, bundle, restricted)
    found = run.run()
    if found.index is not None and found.index.eid != eid:
        raise Misconfigured(
            f"{record}: the record of election {found.index.eid}; give that id or another record"
        )
    inputs = {RECORD_NAME: _digest_of(record / RECORD_NAME)}
    if bundle is not None:
        inputs["bundle"] = _digest_of(bundle)
    if restricted is not None:
        inputs["roll"] = _digest_of(restricted.path)
    title = "unknown" if found.manifest is None else found.manifest.title
    notes = list(found.notes)
    if bundle is not None:
        notes.append(f"the chain's events are those of bundle {inputs['bundle']}; audit it too")
    if restricted is not None and not restricted.authorities.revoked:
        notes.append("no revocation list was given: that cards were good is the commission's word")
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
