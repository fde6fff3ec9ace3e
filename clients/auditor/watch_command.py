"""`daicho audit watch`: follow nodes live, for ever or for a number of rounds.

Spec: AUDIT-WATCH, AUDIT-ALARM, AUDIT-EXIT.
"""

import asyncio
import json
import shlex
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from aiohttp import web

from clients.auditor.alarm_book import AlarmBook, build_pages
from clients.auditor.checks import Finding
from clients.auditor.reporting import FILE, FOLDER, Output, now_s, read_given
from clients.auditor.watch import Alarm, AlarmKind, Watch
from clients.auditor.watch_replay import LiveReplay
from clients.core.answers import data_of
from clients.core.transport import HttpNode, http_nodes
from clients.core.trust import SIGNERS_NEEDED, NetworkDescription, load_network, signers_of
from node.consensus.checkpoint import CHECKPOINT_SIZE_MAX, Checkpoint, decode_checkpoint
from node.consensus.seals import verify_commit_seals
from node.genesis.parse import parse_genesis
from node.genesis.profile import Genesis
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.header import Header, decode_header
from node.primitives.json_text import decode_json, is_object

STANDING_FILE: Final = "watch.json"
"""Where the watch stood when it last ended a round."""

EXAMPLES: Final = """\b
Examples:
  daicho audit watch --network network.toml --genesis genesis.json --folder watch
  daicho audit watch --network network.toml --genesis genesis.json --folder watch \\
    --execute --checkpoint gazette.json --port 8900 --on-alarm "/usr/local/bin/page-us"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How to watch."""

    network: NetworkDescription
    """Nodes, and whose signatures count."""
    genesis: Genesis
    """The network's first block."""
    checkpoints: tuple[Checkpoint, ...]
    """To be compared when their height is reached."""
    should_execute: bool
    """Also execute every block."""
    interval_s: float
    """Pause between rounds."""
    rounds: int | None
    """How many rounds; None for ever."""
    port: int | None
    """Port on loopback for the pages."""


@click.command("watch", epilog=EXAMPLES)
@click.option("--network", type=FILE, required=True, help="Description of the network.")
@click.option("--genesis", type=FILE, required=True, help="Genesis file of the network.")
@click.option("--folder", type=FOLDER, required=True, help="Where alarms and proofs are kept.")
@click.option(
    "--checkpoint", "checkpoints", type=FILE, multiple=True, help="Checkpoint, from elsewhere."
)
@click.option("--execute", is_flag=True, help="Also execute every block, from genesis on.")
@click.option("--interval", type=click.FloatRange(0.1, 3600), default=5.0, show_default=True)
@click.option("--rounds", type=click.IntRange(1), help="Stop after so many rounds.")
@click.option("--port", type=click.IntRange(1, 65535), help="Show alarms here, on loopback.")
@click.option("--on-alarm", metavar="COMMAND", help="Run this, the alarm at its standard input.")
@click.option("--webhook", metavar="URL", help="Post alarms there; on loopback only.")
@click.pass_obj
def command(  # noqa: PLR0913 - an option each
    output: Output,
    *,
    network: Path,
    genesis: Path,
    folder: Path,
    checkpoints: tuple[Path, ...],
    execute: bool,
    interval: float,
    rounds: int | None,
    port: int | None,
    on_alarm: str | None,
    webhook: str | None,
) -> int:
    """Follow the nodes of a network and raise an alarm at what must not be.

    Ends with 1 when there was an alarm.
    """
    description = load_network(network)
    parsed = parse_genesis(read_given(genesis, 16 * 2**20))
    if description.genesis_hash != parsed.profile.genesis_hash:
        raise Misconfigured(f"{network}: not of the network of {genesis}; give the right one")
    if not description.nodes:
        raise Misconfigured(f"{network}: names no node; add `node` to its municipalities")
    book = AlarmBook(folder, command=tuple(shlex.split(on_alarm or "")), webhook=webhook)
    options = WatchOptions(
        network=description,
        genesis=parsed,
        checkpoints=tuple(_load_checkpoint(each, description) for each in checkpoints),
        should_execute=execute,
        interval_s=interval,
        rounds=rounds,
        port=port,
    )
    count = asyncio.run(watch(output, book, options))
    output.result({"alarms": count, "folder": str(folder)})
    return 1 if count else 0


async def watch(output: Output, book: AlarmBook, options: WatchOptions) -> int:
    """Watch; return how many alarms there were.

    Spec: AUDIT-WATCH.
    """
    start = load_standing(book.folder / STANDING_FILE, options.genesis)
    states: dict[str, str] = {}

    def raise_alarm(alarm: Alarm) -> None:
        book.write(alarm, now_s())
        output.say(f"ALARM {alarm.kind}: {alarm.node}, height {alarm.height}: {alarm.detail}")

    async with AsyncExitStack() as stack:
        nodes = await stack.enter_async_context(http_nodes(options.network.nodes))
        seen = Watch(
            nodes,
            options.genesis.header if options.should_execute else start,
            limits=options.network.limits,
            now_s=now_s,
            raise_alarm=raise_alarm,
            checkpoints=options.checkpoints,
        )
        replay = _live_replay(seen, options) if options.should_execute else None
        if options.port is not None:
            runner = web.AppRunner(build_pages(book, states))
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", options.port).start()
        done = 0
        while options.rounds is None or done < options.rounds:
            if done:
                await asyncio.sleep(options.interval_s)
            await _round(seen, replay, nodes)
            states.update(seen.states())
            output.progress("; ".join(f"{name}: {state}" for name, state in states.items()))
            for trouble in await book.tell():
                output.say(trouble)
            save_standing(book.folder / STANDING_FILE, seen.head)
            done += 1
        output.progress_done()
        for name, state in states.items():
            output.say(f"{name}: {state}")
        return seen.alarm_count


async def _round(seen: Watch, replay: LiveReplay | None, nodes: tuple[HttpNode, ...]) -> None:
    await seen.round()
    if replay is not None and not replay.is_lost:
        await replay.catch_up(nodes, seen.headers)


def _live_replay(seen: Watch, options: WatchOptions) -> LiveReplay:
    def tell(check: str, height: int, finding: Finding) -> None:
        seen.alarm(
            AlarmKind.EXECUTION,
            "all",
            height,
            f"{check}: {finding.subject}: expected {finding.expected}, found {finding.found}",
            {"check": check, "subject": finding.subject},
        )

    return LiveReplay(options.genesis, recoveries=(), tell=tell)


def save_standing(path: Path, head: Header) -> None:
    """Keep the newest verified header, so that a later watch begins there."""
    draft = path.with_name(path.name + ".partial")
    draft.write_text(json.dumps({"head": "0x" + head.encode().hex()}), encoding="utf-8")
    draft.replace(path)


def load_standing(path: Path, genesis: Genesis) -> Header:
    """Return where an earlier watch stood; genesis when there was none.

    Raises:
        Misconfigured: The file is damaged.
    """
    if not path.exists():
        return genesis.header
    try:
        record = decode_json(path.read_bytes())
        head = decode_header(data_of(record.get("head") if is_object(record) else None, "head"))
        if head.height:
            verify_commit_seals(head, head.extra_data.validators).raise_if_failed()
    except InvalidInput as error:
        raise Misconfigured(f"{path}: {error.message}; remove it to begin at genesis") from error
    return head


def _load_checkpoint(path: Path, network: NetworkDescription) -> Checkpoint:
    try:
        checkpoint = decode_checkpoint(read_given(path, CHECKPOINT_SIZE_MAX))
    except InvalidInput as error:
        raise Misconfigured(f"{path}: {error.message}; ask for it again") from error
    signers = signers_of(checkpoint, network.municipalities)
    if len(signers) < SIGNERS_NEEDED or checkpoint.genesis_hash != network.genesis_hash:
        raise Misconfigured(
            f"{path}: not signed by {SIGNERS_NEEDED} municipalities of this network; ask for it "
            "again"
        )
    return checkpoint
