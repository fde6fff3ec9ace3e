"""`daicho election`: what officials do, from the draft of an election to its published record.

Every command can be repeated. Votes are sent with the voting account's key; everything else reads
a service's own settings, database and files, or asks a service as anyone may.

Spec: ELECTION-PLAN, ELECTION-DRAFT, ELECTION-ABANDON.
"""

import asyncio
import json
import secrets
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import click

from clients.cli.session import Output
from clients.voter.network import ElectionService
from clients.voting.ceremony import check_transcript
from clients.voting.group import decode_point_xy
from clients.voting.manifest import Manifest, decode_manifest
from clients.voting.terms import encode_announcement
from node.genesis.parse import parse_genesis
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, Misconfigured
from node.settings import read_secret
from services.cli_place import find_account
from services.election.board.contracts import encode_call
from services.election.board.export import export_record
from services.election.commands.incident import group as incident_group
from services.election.commands.manifest import Party, Plan, build_manifest
from services.election.commands.report import report
from services.election.commands.token_key import token_key
from services.election.commands.votes import send_vote
from services.election.commands.watch import watch
from services.election.commission.tokens import load_token_key
from services.election.service import SERVICE, build_context
from services.election.settings import ElectionSettings
from services.election.trustee.acts import Acts
from services.kit.clock import JAPAN, SystemClock
from services.kit.decisions import Operator
from services.kit.service import open_resources
from services.kit.settings import parse_address
from services.relay.signer import load_key

TIME_FORM: Final = "%Y-%m-%d %H:%M"

NEXT: Final[Mapping[str, str]] = {
    "announced": "opens at {opens_at}; electors enrol",
    "open": "takes ballots until {closes_at}",
    "closing": "a ballot relay closes the box",
    "closed": "the commission freezes the roll at {freezes_at}; witnesses confirm",
    "tally": "trustees mix, judge and decrypt",
    "done": "export the record and let it be recomputed",
    "abandoned": "nothing follows",
}
"""What is next in each phase."""

EXAMPLES: Final = """\b
Examples:
  daicho election draft --config election.toml --keystore governor.key.json --password-file p
  daicho election party --config election.toml > tsukuba.json
  daicho election manifest-build plan.toml --party tsukuba.json --party goka.json …
  daicho election status https://vote.example.lg.jp 3f…
  daicho election record 3f… /srv/records/3f --config election.toml
"""

_FILE: Final = click.Path(dir_okay=False, path_type=Path, exists=True)
_CONFIG = click.option(
    "--config", type=_FILE, required=True, help="Settings file of the election service."
)
_KEYSTORE = click.option(
    "--keystore", type=_FILE, required=True, help="Keystore of the municipality's voting account."
)
_PASSWORD = click.option("--password-file", type=_FILE, required=True, help="Its password.")


@click.group("election", epilog=EXAMPLES)
def group() -> None:
    """Hold an election: draft, manifest, announcement, status, record."""


@group.command("draft")
@_CONFIG
@_KEYSTORE
@_PASSWORD
@click.pass_obj
def draft(output: Output, config: Path, keystore: Path, password_file: Path) -> None:
    """Give an election to come its draft id, under which keys are made."""
    draft_id = secrets.token_bytes(32)
    sent = _vote(config, keystore, password_file, encode_call("Elections", "draft", draft_id))
    output.result({"draft": draft_id.hex(), "transaction": sent})


@group.command("announce")
@click.argument("manifest", type=_FILE)
@_CONFIG
@_KEYSTORE
@_PASSWORD
@click.pass_obj
def announce(
    output: Output, manifest: Path, config: Path, keystore: Path, password_file: Path
) -> None:
    """Vote for an election; with the majority of the municipalities it stands."""
    decoded = decode_manifest(manifest.read_bytes())
    problems = asyncio.run(_compare(decoded, config))
    if problems:
        raise InvalidInput(f"manifest: {'; '.join(problems)}; not announced")
    sent = _vote(config, keystore, password_file, encode_announcement(decoded))
    output.result({"eid": decoded.eid.hex(), "transaction": sent, **_timetable(decoded)})


@group.command("abandon")
@click.argument("eid")
@click.argument("notice", type=_FILE)
@_CONFIG
@_KEYSTORE
@_PASSWORD
@click.confirmation_option(prompt="This ends the election without a result. Vote for it")
@click.pass_obj
def abandon(
    output: Output, eid: str, notice: Path, config: Path, keystore: Path, password_file: Path
) -> None:
    """Vote to end an election without a result; NOTICE is the public reason."""
    digest = sha256(notice.read_bytes())
    data = encode_call("Elections", "abandon", bytes.fromhex(eid), digest)
    output.result({"transaction": _vote(config, keystore, password_file, data)})


@group.command("party")
@_CONFIG
@click.option("--attestor-keystore", type=_FILE, help="The commission's attestor's keystore.")
@click.option("--attestor-password-file", type=_FILE, help="Its password.")
def party(
    config: Path, attestor_keystore: Path | None, attestor_password_file: Path | None
) -> None:
    """Print this municipality's public parts, for whoever builds the manifest."""
    settings = SERVICE.load_settings(config)
    if settings.ballots is None or settings.trustee is None:
        raise Misconfigured(f"{config}: turn on [trustee] and [ballots]")
    attestor = ""
    if attestor_keystore is not None and attestor_password_file is not None:
        attestor = _public_key(attestor_keystore, attestor_password_file)
    shown = Party(
        municipality=settings.kit.tenants[0].name,
        number=settings.municipality.id,
        account=settings.municipality.account,
        node=settings.trustee.node_key,
        receipt_key=_public_key(settings.ballots.receipt_key_file, settings.ballots.password_file),
        url=settings.kit.server.public_url,
        attestor_key=attestor,
        token_modulus=_token_modulus(settings),
    )
    click.echo(json.dumps(asdict(shown), ensure_ascii=False, indent=2))


@group.command("manifest-build")
@click.argument("plan", type=_FILE)
@click.option("--party", "parties", type=_FILE, multiple=True, required=True)
@click.option("--draft", "draft_id", required=True, help="The draft id.")
@click.option("--ballot-transcript", type=_FILE, required=True)
@click.option("--roll-transcript", type=_FILE, required=True)
@click.option("--eligible", type=_FILE, required=True, help="The fixed list of eligible slots.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.pass_obj
def manifest_build(
    output: Output,
    plan: Path,
    parties: tuple[Path, ...],
    draft_id: str,
    ballot_transcript: Path,
    roll_transcript: Path,
    eligible: Path,
    out: Path,
) -> None:
    """Put the manifest together from the PLAN; the first party is the commission."""
    transcripts = [path.read_bytes() for path in (ballot_transcript, roll_transcript)]
    checked = [(sha256(data), check_transcript(data)) for data in transcripts]
    leaves = eligible.read_bytes()
    built = build_manifest(
        read_plan(plan.read_text(encoding="utf-8")),
        [Party(**json.loads(path.read_text(encoding="utf-8"))) for path in parties],
        draft_id=bytes.fromhex(draft_id),
        transcripts=(checked[0], checked[1]),
        eligible=leaves,
    )
    out.write_bytes(built.encode())
    output.result({"eid": built.eid.hex(), "file": out, **_timetable(built)})


@group.command("manifest-check")
@click.argument("manifest", type=_FILE)
@_CONFIG
@click.pass_context
def manifest_check(ctx: click.Context, manifest: Path, config: Path) -> None:
    """Hold a manifest against what this municipality's own service knows, before voting."""
    decoded = decode_manifest(manifest.read_bytes())
    problems = asyncio.run(_compare(decoded, config))
    output: Output = ctx.obj
    output.result(
        {
            "eid": decoded.eid.hex(),
            "title": decoded.title,
            "mock": decoded.is_mock,
            **_timetable(decoded),
            "problems": problems or "none",
        }
    )
    ctx.exit(1 if problems else 0)


@group.command("status")
@click.argument("url")
@click.argument("eid")
@click.pass_obj
def status(output: Output, url: str, eid: str) -> None:
    """Show where an election stands, what is next, and who is missing."""

    async def ask() -> Mapping[str, Any]:
        async with aiohttp.ClientSession(trust_env=False) as http:
            return await ElectionService(url, http).election(bytes.fromhex(eid))

    output.result(describe_status(asyncio.run(ask())))


@group.command("record")
@click.argument("eid")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@_CONFIG
@click.pass_obj
def record(output: Output, eid: str, directory: Path, config: Path) -> None:
    """Write the published record of an election into a new DIRECTORY, for auditors."""
    settings = SERVICE.load_settings(config)

    async def export() -> dict[str, object]:
        async with open_resources(SERVICE, settings, clock=SystemClock()) as resources:
            with ThreadPoolExecutor(1) as pool:
                context = build_context(settings, resources, pool)
                found = await export_record(context, bytes.fromhex(eid), directory)
        return {"files": found.file_count, "height": found.height, "left_out": found.missing}

    output.result(asyncio.run(export()))


@group.command("resume")
@click.argument("subject")
@_CONFIG
@click.pass_obj
def resume(output: Output, subject: str, config: Path) -> None:
    """Have the acts of draft or election SUBJECT that were given up tried once more."""
    settings = SERVICE.load_settings(config)
    clock = SystemClock()
    operator = Operator(actor=f"operator:{find_account()}", at=clock.now())

    async def ask() -> list[dict[str, object]]:
        async with open_resources(SERVICE, settings, clock=clock) as resources:
            with ThreadPoolExecutor(1) as pool:
                acts = Acts(build_context(settings, resources, pool))
                name = bytes.fromhex(subject)
                found = await resources.database.transact(
                    lambda tx: acts.resume(tx, name, operator)
                )
        return [{"act": each.name, "attempts": each.attempts} for each in found]

    output.rows(asyncio.run(ask()))


group.add_command(incident_group)
group.add_command(report)
group.add_command(token_key)
group.add_command(watch)


def describe_status(shown: Mapping[str, Any]) -> dict[str, object]:
    """Return an election's state for people: phase, counts, what is next, who is missing."""
    phase = str(shown["phase"])
    times = {name: _japan(shown[name]) for name in ("opens_at", "closes_at", "freezes_at")}
    waiting = {
        f"{tally['kind']} {tally['number']}": tally["waits_for"]
        for tally in shown["lists"]
        if tally["waits_for"]
    }
    return {
        "phase": phase,
        "mock": shown["is_mock"],
        "next": NEXT.get(phase, "").format(**times),
        "ballots": shown["ballot_count"],
        "entries": shown["entry_count"],
        "waits_for": waiting or "nobody",
        "results": len(shown["results"]),
    }


def read_plan(text: str) -> Plan:
    """Read a plan: a TOML file with times in Japan's.

    Raises:
        InvalidInput: A field is missing or malformed.

    Spec: ELECTION-PLAN.
    """
    try:
        shown = tomllib.loads(text)
        return Plan(
            title=shown["title"],
            is_mock=shown["is_mock"],
            opens_at=_seconds(shown["opens_at"]),
            closes_at=_seconds(shown["closes_at"]),
            freezes_at=_seconds(shown["freezes_at"]),
            races=[(each["race"], each["name"], each["candidates"]) for each in shown["races"]],
            styles=[(each["style"], each["name"], each["races"]) for each in shown["styles"]],
            attestations=shown["attestations"],
            mixers=shown["mixers"],
            min_mixes=shown["min_mixes"],
            limits=shown["limits"],
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"plan: {error}; see docs/operate/election.md") from error


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, TIME_FORM).replace(tzinfo=JAPAN).timestamp())


def _japan(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).astimezone(JAPAN).strftime(TIME_FORM)


def _timetable(manifest: Manifest) -> dict[str, str]:
    return {
        "opens": _japan(manifest.opens_at),
        "closes": _japan(manifest.closes_at),
        "freezes": _japan(manifest.freezes_at),
    }


async def _compare(manifest: Manifest, config: Path) -> list[str]:
    """Return what in a manifest is not as this municipality's own service has it."""
    settings = SERVICE.load_settings(config)
    problems = []
    mine = [each for each in manifest.trustees if each.municipality_id == settings.municipality.id]
    trustee, ballots = settings.trustee, settings.ballots
    if trustee is not None and (len(mine) != 1 or mine[0].node != trustee.node_key):
        problems.append("another node key than ours, or none")
    if len(mine) == 1 and mine[0].account != settings.municipality.account.lower():
        problems.append("another account than ours")
    if ballots is not None:
        key = _public_key(ballots.receipt_key_file, ballots.password_file)
        if key not in [each.receipt_key for each in manifest.relays]:
            problems.append("our receipt key is not among the relays'")
    if manifest.registry.lower() != settings.contracts.elections.lower():
        problems.append("another registry than ours")
    return problems + await _compare_keys(manifest, settings)


async def _compare_keys(manifest: Manifest, settings: ElectionSettings) -> list[str]:
    """Go through both transcripts again as our own store has them."""
    problems = []
    async with open_resources(SERVICE, settings, clock=SystemClock()) as resources:
        with ThreadPoolExecutor(1) as pool:
            files = build_context(settings, resources, pool).files
    for name, digest, key, shares in (
        (
            "ballot",
            manifest.ballot_transcript,
            manifest.ballot_key,
            [each.ballot_share for each in manifest.trustees],
        ),
        (
            "roll",
            manifest.roll_transcript,
            manifest.roll_key,
            [each.roll_share for each in manifest.trustees],
        ),
    ):
        wanted = bytes.fromhex(digest)
        if not files.has(wanted):
            problems.append(f"the {name} key's transcript is not here")
            continue
        transcript = check_transcript(files.path(wanted).read_bytes())
        if transcript.public_key != key or list(transcript.share_keys) != shares:
            problems.append(f"the {name} key is not the transcript's")
    return problems


def _vote(config: Path, keystore: Path, password_file: Path, data: bytes) -> str:
    settings = SERVICE.load_settings(config)
    genesis = parse_genesis(settings.genesis_file.read_bytes())
    return asyncio.run(
        send_vote(
            settings.nodes[0].url,
            load_key(keystore, read_secret(password_file)),
            chain_id=genesis.profile.chain_id,
            elections=parse_address(settings.contracts.elections, "contracts.elections"),
            data=data,
        )
    )


def _public_key(keystore: Path, password_file: Path) -> str:
    key = load_key(keystore, read_secret(password_file))
    return decode_point_xy(key.public_key[1:]).encode().hex()


def _token_modulus(settings: ElectionSettings) -> str:
    """Return the modulus of the commission's token key; empty for others."""
    if settings.commission is None:
        return ""
    return f"{load_token_key(settings.commission.token_key_file).modulus:0512x}"
