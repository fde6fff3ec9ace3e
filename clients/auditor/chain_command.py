"""`daicho audit chain`: recompute a chain from its bundle.

Spec: AUDIT-EXIT, AUDIT-CHECKPOINT.
"""

import time
from pathlib import Path
from typing import Final

import click

from clients.auditor.chain_audit import ChainInputs, Running, audit_chain
from clients.auditor.documents import CHECKPOINTS_MAX, Documents
from clients.auditor.executors import PROCESSES_MAX, open_executor
from clients.auditor.progress import Progress
from clients.auditor.reporting import (
    FILE,
    FOLDER,
    TOOL,
    Output,
    ReportOptions,
    finish,
    now_s,
    read_given,
    report_options,
)
from clients.auditor.work_folder import WorkFolder
from clients.core.trust import load_network
from node.genesis.document import GENESIS_SIZE_MAX
from node.genesis.parse import parse_genesis
from node.membership.document import Membership, decode_membership
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.types import Address

EXAMPLES: Final = """\b
Examples:
  daicho audit chain chain.bundle --genesis genesis.json --network network.toml \\
    --checkpoint gazette.json --report report.json --html report.html
  daicho audit chain chain.bundle --genesis genesis.json --processes 4 --work progress
"""


@click.command("chain", epilog=EXAMPLES)
@click.argument("bundle", type=FILE)
@click.option("--genesis", type=FILE, required=True, help="Genesis file of the network.")
@click.option(
    "--checkpoint", "checkpoints", type=FILE, multiple=True, help="Checkpoint, from elsewhere."
)
@click.option("--network", type=FILE, help="Description of the network: whose signatures count.")
@click.option("--membership", type=FILE, help="Membership document: who signs recoveries.")
@click.option("--exporter", metavar="ADDRESS", help="Node that must have signed the bundle.")
@click.option(
    "--file", "files", metavar="SHA256", multiple=True, help="File that must be attached."
)
@click.option("--unpack", type=FOLDER, help="Write attached files here, by their digests.")
@click.option("--work", type=FOLDER, help="Keep progress here; run again to continue.")
@click.option(
    "--processes",
    type=click.IntRange(1, PROCESSES_MAX),
    default=1,
    show_default=True,
    help="Processes that execute ranges; needs states in the bundle.",
)
@click.option("--dask", metavar="ADDRESS", help="Execute ranges on the Dask cluster there.")
@report_options
@click.pass_obj
def command(  # noqa: PLR0913 - an option each
    output: Output,
    *,
    options: ReportOptions,
    bundle: Path,
    genesis: Path,
    checkpoints: tuple[Path, ...],
    network: Path | None,
    membership: Path | None,
    exporter: str | None,
    files: tuple[str, ...],
    unpack: Path | None,
    work: Path | None,
    processes: int,
    dask: str | None,
) -> int:
    """Recompute the chain in BUNDLE: headers, seals, votes, permissions and every execution."""
    genesis_file = read_given(genesis, GENESIS_SIZE_MAX)
    documents = _load_documents(genesis_file, checkpoints, network, membership)
    inputs = ChainInputs(
        bundle=bundle,
        genesis_file=genesis_file,
        documents=documents,
        exporter=None if exporter is None else Address(_hex(exporter, 20, "--exporter")),
        files=tuple(_hex(each, 32, "--file") for each in files),
        unpack_to=_folder(unpack),
    )
    try:
        with open_executor(processes, dask) as executor:
            report = audit_chain(
                inputs,
                Running(
                    tool=TOOL,
                    now_s=now_s(),
                    clock=time.monotonic,
                    tell=lambda progress: output.progress(describe(progress)),
                    executor=executor,
                    work=WorkFolder(work),
                ),
            )
    finally:
        output.progress_done()
    return finish(output, report, options)


def describe(progress: Progress) -> str:
    """Return one line on how far an audit is."""
    percent = 100 * progress.done_bytes // max(1, progress.total_bytes)
    minutes, seconds = divmod(int(progress.remaining_s), 60)
    return (
        f"height {progress.height}, {percent} %, {progress.transactions_per_s:.0f} transactions/s, "
        f"{minutes} min {seconds:02d} s left"
    )


def _load_documents(
    genesis_file: bytes,
    checkpoints: tuple[Path, ...],
    network: Path | None,
    membership: Path | None,
) -> Documents:
    """Return the auditor's papers.

    Raises:
        Misconfigured: One cannot be read, or is not of this network.
    """
    if len(checkpoints) > CHECKPOINTS_MAX:
        raise Misconfigured(f"over {CHECKPOINTS_MAX} checkpoints; give fewer")
    genesis_hash = parse_genesis(genesis_file).profile.genesis_hash
    description = None if network is None else load_network(network)
    if description is not None and description.genesis_hash != genesis_hash:
        raise Misconfigured(
            f"{network}: describes another network than the genesis file; give the right one"
        )
    return Documents(
        genesis_hash=genesis_hash,
        checkpoints=[(path.name, read_given(path, 2**20)) for path in checkpoints],
        municipalities=None if description is None else description.municipalities,
        membership=None if membership is None else _load_membership(membership),
    )


def _load_membership(path: Path) -> Membership:
    try:
        return decode_membership(read_given(path, 2**24))
    except InvalidInput as error:
        raise Misconfigured(f"{path}: {error.message}; ask for the document in force") from error


def _folder(path: Path | None) -> Path | None:
    if path is not None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(
                f"{path}: cannot be made ({error.strerror}); choose another folder"
            ) from error
    return path


def _hex(text: str, size: int, what: str) -> bytes:
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != size:
        raise Misconfigured(f"{what}: expected {2 * size} hexadecimal digits; correct it")
    return data
