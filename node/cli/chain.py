"""`daicho chain`: export, import and verify the chain of blocks; sign checkpoints of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from node.cli.client import RpcClient
from node.cli.output import Output
from node.consensus.checkpoint import (
    build_checkpoint,
    decode_checkpoint,
    encode_checkpoint,
    sign_checkpoint,
)
from node.consensus.parameters import parameters_of_chain
from node.consensus.seals import check_commit_seals
from node.execution.profile import profile_of_chain
from node.primitives.crypto import PrivateKey
from node.primitives.errors import Misconfigured
from node.primitives.header import decode_header
from node.primitives.types import Height
from node.runtime.bundle_file import BundlePlan, BundleReport, export_bundle
from node.runtime.chain_file import (
    ChainReport,
    ChainRules,
    export_chain,
    import_chain,
    verify_chain,
)
from node.runtime.keystore import load_key
from node.runtime.ledger import (
    Documents,
    load_documents,
    load_genesis,
    load_recovery,
    load_tally,
    open_ledger,
)
from node.runtime.node import VOTES_DIRECTORY
from node.settings import KeySettings, Settings, load_settings
from node.storage.leveldb import LevelDbStore
from node.storage.votes import VoteStore

EXAMPLES: Final = """\b
Examples:
  daicho chain export chain.bundle --config /etc/daicho/node.toml
  daicho chain export chain.rlp --format blocks --config /etc/daicho/node.toml
  daicho chain verify chain.bundle --genesis genesis.json
  daicho chain checkpoint c.json --genesis genesis.json --keystore governor.key.json
  daicho chain import chain.bundle --config /etc/daicho/node.toml
"""

_FILE = click.Path(dir_okay=False, path_type=Path)
_CONFIG = click.option(
    "--config",
    type=_FILE,
    default=Path("/etc/daicho/node.toml"),
    show_default=True,
    help="Settings file of the node, which must be stopped.",
)


@click.group("chain", epilog=EXAMPLES)
def group() -> None:
    """Export, import and verify the chain of blocks."""


@group.command("export")
@click.argument("file", type=_FILE)
@_CONFIG
@click.option("--from", "start", type=click.IntRange(0), help="First height.")
@click.option("--to", "stop", type=click.IntRange(0), help="Last height; the head when left out.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["bundle", "blocks"]),
    default="bundle",
    show_default=True,
    help="An audit bundle, or only blocks as Besu and geth write them.",
)
@click.option("--states-every", type=click.IntRange(1), help="Also the state every N heights.")
@click.option("--attach", type=_FILE, multiple=True, help="File to put into the bundle.")
@click.option("--unsigned", is_flag=True, help="Do not sign the bundle with the node's key.")
@click.pass_obj
def export(
    output: Output,
    file: Path,
    config: Path,
    *,
    start: int | None,
    stop: int | None,
    form: str,
    states_every: int | None,
    attach: tuple[Path, ...],
    unsigned: bool,
) -> None:
    """Write the chain to FILE for auditors, or continue an export that was interrupted."""
    settings = load_settings(config)
    documents = load_documents(settings)
    chain = open_ledger(settings, documents.genesis)
    try:
        head = chain.head.height
        last = Height(head if stop is None else min(stop, head))
        if form == "blocks":
            first = Height(start or 0)
            count = export_chain(
                chain, file, start=first, stop=last, progress=_shower(output, last)
            )
            shown: dict[str, object] = {"blocks written": count, "last height": last}
        else:
            plan = BundlePlan(
                profile=documents.profile,
                start=Height(max(1, start or 1)),
                stop=last,
                snapshot_interval=states_every or 0,
                recoveries=documents.recoveries,
                evidence=_load_evidence(settings),
                files=attach,
                key=None if unsigned else _find_key(settings),
            )
            shown = _shown_bundle(export_bundle(chain, file, plan, _shower(output, last)), plan)
    finally:
        chain.close()
        output.progress_done()
    output.result({"file": str(file), **shown})


def _shower(output: Output, last: Height) -> Callable[[int], None]:
    return lambda at: output.progress(f"height {at} of {last}")


def _find_key(settings: Settings) -> PrivateKey | None:
    """Return the node's key, if it is here: a remote signer signs votes and nothing else."""
    return None if settings.key.keystore is None else load_key(settings.key, _ask)


def _load_evidence(settings: Settings) -> list[bytes]:
    database = LevelDbStore(settings.data_dir / VOTES_DIRECTORY)
    try:
        return VoteStore(database).load_evidence()
    finally:
        database.close()


def _shown_bundle(report: BundleReport, plan: BundlePlan) -> dict[str, object]:
    return {
        "blocks written": report.block_count,
        "first height": report.first,
        "last height": report.last,
        "size in bytes": report.size_bytes,
        "sha256": report.digest.hex(),
        "signed by": "nobody" if plan.key is None else f"0x{plan.key.address.hex()}",
    }


@group.command("import")
@click.argument("file", type=_FILE)
@_CONFIG
@click.pass_obj
def import_file(output: Output, file: Path, config: Path) -> None:
    """Check, execute and commit the blocks of FILE; run it again to continue."""
    settings = load_settings(config)
    documents = load_documents(settings)
    chain = open_ledger(settings, documents.genesis)
    try:
        tally = load_tally(chain, documents.profile.epoch_length, documents.recoveries)
        report = import_chain(
            chain,
            file,
            _rules(documents),
            tally,
            lambda at: output.progress(f"height {at}"),
        )
    finally:
        chain.close()
        output.progress_done()
    output.result(_shown(report))


@group.command("verify")
@click.argument("file", type=_FILE)
@click.option("--genesis", type=_FILE, required=True, help="Genesis file of the network.")
@click.option("--recovery", "recoveries", type=_FILE, multiple=True, help="Recovery document.")
@click.option("--expect", metavar="HASH", help="Hash the last block must have.")
@click.pass_obj
def verify(
    output: Output, file: Path, genesis: Path, recoveries: tuple[Path, ...], expect: str | None
) -> None:
    """Check links, seals and validators of every block in FILE, without executing."""
    found = load_genesis(genesis)
    rules = ChainRules(
        parameters=parameters_of_chain(found.profile),
        profile=profile_of_chain(found.profile),
        recoveries=tuple(load_recovery(path) for path in recoveries),
    )
    try:
        report = verify_chain(file, rules, found.header, lambda at: output.progress(f"height {at}"))
    finally:
        output.progress_done()
    output.result(_shown(report))
    if expect is not None and expect.lower() != f"0x{report.head_hash.hex()}":
        raise Misconfigured(
            f"the last block is 0x{report.head_hash.hex()}, not {expect}; get the file again"
        )


@group.command("checkpoint")
@click.argument("file", type=_FILE)
@click.option("--rpc", default="http://127.0.0.1:8545", show_default=True, help="Our own node.")
@click.option("--height", type=click.IntRange(1), help="Height to sign; the head when left out.")
@click.option("--keystore", type=_FILE, required=True, help="Keystore of the governor.")
@click.option("--password-file", type=_FILE, help="File with the password (mode 0600).")
@click.option("--genesis", type=_FILE, required=True, help="Genesis file of the network.")
@click.pass_obj
def checkpoint(
    output: Output,
    file: Path,
    rpc: str,
    height: int | None,
    keystore: Path,
    password_file: Path | None,
    genesis: Path,
) -> None:
    """Sign the checkpoint in FILE, or make it, after comparing it with our own node's block."""
    known = decode_checkpoint(file.read_bytes()) if file.exists() else None
    at = known.height if known is not None else height
    block = RpcClient(rpc).call("daicho_getFinality", "latest" if at is None else hex(at))
    if block is None:
        raise Misconfigured(f"our node has no block {at} yet; wait until it has caught up")
    header = decode_header(bytes.fromhex(block["header"][2:]))
    check_commit_seals(header, header.extra_data.validators)
    ours = build_checkpoint(header, load_genesis(genesis).profile.genesis_hash)
    if known is not None and known.hash != ours.hash:
        raise Misconfigured(
            f"{file}: names block 0x{known.block_hash.hex()}, our node has "
            f"0x{header.hash.hex()}; do not sign it"
        )
    key = load_key(KeySettings(keystore=keystore, password_file=password_file), _ask)
    signed = sign_checkpoint(known or ours, key)
    file.write_text(encode_checkpoint(signed), encoding="utf-8")
    output.result(
        {
            "height": header.height,
            "block": f"0x{header.hash.hex()}",
            "state root": f"0x{header.state_root.hex()}",
            "signatures": len(signed.signatures),
        }
    )


def _ask(question: str) -> str:
    password: str = click.prompt(question, hide_input=True, err=True)
    return password


def _rules(documents: Documents) -> ChainRules:
    return ChainRules(
        parameters=parameters_of_chain(documents.profile),
        profile=profile_of_chain(documents.profile),
        recoveries=documents.recoveries,
    )


def _shown(report: ChainReport) -> dict[str, object]:
    return {
        "first height": report.start,
        "last height": report.stop,
        "hash": f"0x{report.head_hash.hex()}",
        "transactions": report.transaction_count,
    }
