"""`daicho db`: check, compact, prune, snapshot, restore and repair a database.

The node must be stopped, since a database opens in one process only.
"""

from pathlib import Path

import click

from node.cli.output import Output
from node.consensus.seals import check_commit_seals
from node.genesis.document import as_hex
from node.primitives.errors import Misconfigured
from node.primitives.types import Height
from node.runtime.ledger import CHAIN_DIRECTORY, load_genesis
from node.settings import StorageMode, load_settings
from node.storage.chain import open_stored
from node.storage.check import Progress, verify_database
from node.storage.leveldb import LevelDbStore, repair
from node.storage.prune import prune_states
from node.storage.snapshot import InvalidSnapshot, SnapshotFile, restore_snapshot, write_snapshot
from node.storage.state_store import StateMode

_CONFIG = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("/etc/daicho/node.toml"),
    show_default=True,
    help="Settings file of the node, which must be stopped.",
)
_DATABASE = click.option(
    "--database",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Directory of the database itself, instead of --config.",
)


@click.group("db")
def group() -> None:
    """Check, compact, prune and snapshot a database."""


@group.command()
@_CONFIG
@_DATABASE
@click.option("--from-height", type=int, help="Check blocks from here on; continues a check.")
@click.pass_context
def check(ctx: click.Context, config: Path, database: Path | None, from_height: int | None) -> None:
    """Check schema, headers, blocks, indexes, state and trie; fail when one check does."""
    output: Output = ctx.obj
    store = LevelDbStore(_path_of(config, database))
    try:
        chain = open_stored(store)
        start = None if from_height is None else Height(from_height)
        checks = []
        for one in verify_database(chain, start=start, progress=_progress_of(output)):
            output.progress_done()
            output.detail(f"{one.name}: {'pass' if one.is_passed else 'FAIL'}")
            checks.append(one)
    finally:
        store.close()
    rows = [
        {
            "verdict": "pass" if one.is_passed else "FAIL",
            "check": one.name,
            "rule": one.rule,
            "expected": one.expected,
            "actual": one.actual,
        }
        for one in checks
    ]
    is_passed = all(one.is_passed for one in checks)
    if output.is_json:
        output.result({"passed": is_passed, "head": chain.head.height, "checks": rows})
    else:
        output.rows(rows)
    if not is_passed:
        ctx.exit(1)


@group.command()
@_CONFIG
@_DATABASE
@click.pass_obj
def compact(output: Output, config: Path, database: Path | None) -> None:
    """Give back the space of what was overwritten or deleted."""
    store = LevelDbStore(_path_of(config, database))
    try:
        before = store.measure_size_bytes()
        store.compact()
        after = store.measure_size_bytes()
    finally:
        store.close()
    output.result({"bytes_before": before, "bytes_after": after})


@group.command()
@_CONFIG
@_DATABASE
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def prune(output: Output, config: Path, database: Path | None, yes: bool) -> None:
    """Turn an archive into a live database: past states go, blocks stay.

    Interrupted, it is completed by running it again. Then set storage.mode to "live".
    """
    if not yes:
        click.confirm("States before the head cannot be read afterwards. Go on?", abort=True)
    store = LevelDbStore(_path_of(config, database))
    try:
        removed = prune_states(
            store, progress=lambda part, done: output.progress(f"{part}: {done:,}")
        )
        output.progress_done()
        store.compact()
        size = store.measure_size_bytes()
    finally:
        store.close()
    output.result({"nodes_removed": removed, "bytes_after": size, "mode": "live"})


@group.command()
@_CONFIG
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--height", type=int, help="Block whose state is written; the head when left out.")
@click.pass_obj
def snapshot(output: Output, config: Path, file: Path, height: int | None) -> None:
    """Write the state after a block, with the headers of its epoch, to FILE."""
    settings = load_settings(config)
    genesis = load_genesis(settings.genesis)
    store = LevelDbStore(settings.data_dir / CHAIN_DIRECTORY)
    try:
        chain = open_stored(store)
        at = chain.head.height if height is None else height
        epoch_start = at - at % genesis.profile.epoch_length
        manifest = write_snapshot(
            chain,
            file,
            height=Height(at),
            headers_from=Height(min(epoch_start, max(0, at - 256))),
            progress=lambda done, _total: output.progress(f"entries: {done:,}"),
        )
        output.progress_done()
    finally:
        store.close()
    output.result(
        {
            "file": str(file),
            "height": manifest.height,
            "block_hash": "0x" + manifest.header.hash.hex(),
            "state_root": "0x" + manifest.header.state_root.hex(),
            "chunks": len(manifest.chunks),
            "bytes": file.stat().st_size,
        },
        title="snapshot written; its block hash is what --trusted-hash asks for at restore",
    )


@group.command()
@_CONFIG
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option(
    "--trusted-hash",
    required=True,
    help="Hash of the snapshot's block, from a checkpoint of at least two municipalities.",
)
@click.pass_obj
def restore(output: Output, config: Path, file: Path, trusted_hash: str) -> None:
    """Restore the snapshot in FILE into the node's empty database."""
    settings = load_settings(config)
    genesis = load_genesis(settings.genesis)
    with SnapshotFile(file) as opened:
        header = opened.manifest.header
    if header.hash != as_hex(trusted_hash, "--trusted-hash", 32):
        raise InvalidSnapshot(
            f"the snapshot is of block 0x{header.hash.hex()} at height {header.height}, "
            f"--trusted-hash is {trusted_hash}"
        )
    if header.height:
        check_commit_seals(header, header.extra_data.validators)
    mode = StateMode.ARCHIVE if settings.storage.mode is StorageMode.ARCHIVE else StateMode.LIVE
    store = LevelDbStore(settings.data_dir / CHAIN_DIRECTORY)
    try:
        restore_snapshot(
            store,
            file,
            trusted=header,
            genesis_hash=genesis.header.hash,
            mode=mode,
            progress=lambda done, total: output.progress(f"chunk {done} of {total}"),
        )
        output.progress_done()
    finally:
        store.close()
    output.result(
        {"height": header.height, "block_hash": "0x" + header.hash.hex(), "mode": mode.value},
        title="snapshot restored; start the node",
    )


@group.command("repair")
@_CONFIG
@_DATABASE
@click.pass_obj
def repair_database(output: Output, config: Path, database: Path | None) -> None:
    """Rebuild the index of files of a damaged database; run `daicho db check` afterwards."""
    path = _path_of(config, database)
    repair(path)
    output.result({"repaired": str(path)}, title="now run `daicho db check`")


def _path_of(config: Path, database: Path | None) -> Path:
    path = load_settings(config).data_dir / CHAIN_DIRECTORY if database is None else database
    if not (path / "CURRENT").exists():
        raise Misconfigured(f"{path}: no database is there; name another --config or --database")
    return path


def _progress_of(output: Output) -> Progress:
    def report(part: str, done: int, total: int) -> None:
        output.progress(f"{part}: {done:,}" + (f" of {total:,}" if total else ""))

    return report
