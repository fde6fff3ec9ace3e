"""`daicho resident`: read the ledger from one's own device, every answer verified.

Nothing here believes a node: heads are verified by their seals, values by proofs, and what each
node said is shown. Keys are `keys`'s.

Spec: WALLET-COMMANDS.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from clients.cli.binding import bind_group, devices, register, unbind
from clients.cli.home import Home, fetch_start, synced
from clients.cli.keys import group as keys_group
from clients.cli.keys import sector_address
from clients.cli.session import Session
from clients.cli.texts import Language
from clients.cli.vote import group as vote_group
from clients.core.headers import ForkDetected
from clients.core.light_client import LightClient, Observation, Proven, SyncReport, Verdict
from clients.core.state import read_proven
from clients.core.trust import load_network, signers_of
from clients.identity.chain import ChainRecord, read_record
from node.consensus.checkpoint import decode_checkpoint
from node.consensus.seals import recover_sealers
from node.execution.permissions import Standing, read_standing
from node.primitives.errors import Misconfigured
from node.primitives.header import Header
from node.primitives.types import Address, Hash32, TransactionHash

Value = TypeVar("Value")

DEFAULT_HOME: Final = Path("~/.daicho/resident")

EXAMPLES: Final = """\b
Examples:
  daicho resident init --network network.toml --checkpoint checkpoint.json
  daicho resident status --sector health
  daicho resident keys create
  daicho resident keys add health
  daicho resident bind card --label phone
  daicho resident devices
  daicho resident proof transaction 0x…
  daicho resident proof account 0x… --slot 0
"""


class HexBytes(click.ParamType[bytes]):
    """0x and a fixed number of bytes."""

    def __init__(self, size: int, name: str) -> None:
        """Take ``size`` bytes."""
        self.size = size
        self.name = name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Return the bytes, or say what was expected."""
        if isinstance(value, bytes):
            return value
        text = str(value).removeprefix("0x")
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
        if len(data) != self.size or len(text) != 2 * self.size:
            self.fail(f"expected 0x and {2 * self.size} hexadecimal digits", param, ctx)
        return data


ADDRESS: Final = HexBytes(20, "address")
HASH: Final = HexBytes(32, "hash")


def now_s() -> int:
    """Return the device's time."""
    return int(time.time())  # noqa: TID251 - a command is where the clock is read


@click.group(epilog=EXAMPLES)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_HOME,
    envvar="DAICHO_RESIDENT_HOME",
    show_default=True,
    help="Folder of the resident's state.",
)
@click.option(
    "--language",
    type=click.Choice([each.value for each in Language]),
    default=Language.JAPANESE.value,
    envvar="DAICHO_LANGUAGE",
    show_default=True,
    help="Language of sentences: 日本語 or English.",
)
@click.pass_context
def group(ctx: click.Context, home: Path, language: str) -> None:
    """Keep your keys and read the ledger from your own device; every answer is verified."""
    ctx.obj = Session(
        home=Home(path=home.expanduser()), language=Language(language), output=ctx.obj
    )


group.add_command(keys_group, "keys")
for _command in (bind_group, devices, unbind, register):
    group.add_command(_command)
group.add_command(vote_group, "vote")


@group.command("init")
@click.option("--network", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--checkpoint", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.pass_obj
def init(session: Session, network: Path, checkpoint: Path) -> None:
    """Begin to trust the block of a checkpoint that two municipalities signed."""
    description = load_network(network)
    if not description.nodes:
        raise Misconfigured(f"{network}: names no node; add `node` to its municipalities")
    session.home.check_same_network(description)
    try:
        signed = decode_checkpoint(checkpoint.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{checkpoint}: cannot be read ({error.strerror}); check it") from error
    trust = asyncio.run(fetch_start(signed, description))
    session.home.save_network(network.read_bytes())
    session.home.save_trust(trust)
    names = signers_of(signed, description.municipalities)
    session.output.result(
        {"home": session.home.path, "signed_by": list(names), **_shown_header(trust.origin)},
        title=session.say("started", names=", ".join(names), height=trust.origin.height),
    )


@group.command("status")
@click.option("--sector", help="Tell the role of the wallet's address in this sector too.")
@click.option("--account", type=ADDRESS, help="Tell the role of this account too.")
@click.pass_obj
def status(session: Session, sector: str | None, account: bytes | None) -> None:
    """Show the verified head, what each node said, and the role of one account.

    One at a time: a node that is asked about two sectors at once could link them.
    """
    if sector is not None and account is not None:
        raise click.UsageError("give --sector or --account, not both")
    address = None if account is None else Address(account)
    if sector is not None:
        address = sector_address(session, sector)

    registry = session.home.load_network().identity_status

    async def ask(client: LightClient) -> dict[str, object]:
        if address is None:
            return {}
        found = await read_proven(client, lambda view: read_standing(view, address))
        shown: dict[str, object] = {"account": _shown_standing(session, address, found)}
        if registry is not None:
            said = await read_proven(client, lambda view: read_record(view, registry, address))
            shown["identity"] = _shown_identity(session, said)
        return shown

    report, shown = _run(session, ask)
    session.output.result(
        {
            "status": "verified",
            **_shown_header(report.head),
            "nodes": _shown_nodes(session, report.observations),
            **shown,
        },
        title=_title(session, report.head),
    )


@group.group("proof")
def proof() -> None:
    """Prove a transaction or an account to yourself."""


@proof.command("transaction")
@click.argument("transaction_hash", type=HASH)
@click.pass_obj
def prove_transaction(session: Session, transaction_hash: bytes) -> None:
    """Prove what came of a transaction, under the sealed header of its block."""

    async def ask(client: LightClient) -> dict[str, object]:
        found = await client.receipt(TransactionHash(Hash32(transaction_hash)))
        proven = found.value
        outcome = "succeeded" if proven.receipt.is_success else "failed"
        return {
            "transaction": _hex(proven.transaction.hash),
            "outcome": outcome if session.output.is_json else session.say(outcome),
            "from": _hex(proven.transaction.sender),
            "index": proven.index,
            "logs": len(proven.receipt.logs),
            **_shown_header(found.header),
        }

    report, shown = _run(session, ask)
    session.output.result(
        {"status": "verified", **shown, "nodes": _shown_nodes(session, report.observations)},
        title=_title(session, report.head),
    )


@proof.command("account")
@click.argument("address", type=ADDRESS)
@click.option("--slot", type=click.IntRange(0, 2**256 - 1), multiple=True, help="Storage slot.")
@click.pass_obj
def prove_account(session: Session, address: bytes, slot: tuple[int, ...]) -> None:
    """Prove an account, and slots of its storage, at the verified head."""

    async def ask(client: LightClient) -> dict[str, object]:
        found = await client.account(Address(address), sorted(set(slot)))
        leaf = found.value.leaf
        shown: dict[str, object] = {"account": _hex(address), "exists": leaf is not None}
        if leaf is None and not session.output.is_json:
            shown["exists"] = session.say("absent")
        if leaf is not None:
            shown |= {"nonce": leaf.nonce, "balance_wei": leaf.balance_wei}
            shown |= {"code_hash": _hex(leaf.code_hash), "storage_root": _hex(leaf.storage_root)}
        if slot:
            shown["slots"] = {hex(at): hex(value) for at, value in found.value.slots.items()}
        return {**shown, **_shown_header(found.header)}

    report, shown = _run(session, ask)
    session.output.result(
        {"status": "verified", **shown, "nodes": _shown_nodes(session, report.observations)},
        title=_title(session, report.head),
    )


def _run(
    session: Session, ask: Callable[[LightClient], Awaitable[Value]]
) -> tuple[SyncReport, Value]:
    """Verify the head, then ask; what is trusted after is kept, and so is proof of a fork.

    Raises:
        LedgerError: As the light client.

    Spec: LIGHT-FORK.
    """

    async def work() -> tuple[SyncReport, Value]:
        async with synced(session.home, now_s) as client:
            report = await client.sync()
            return report, await ask(client)

    try:
        return asyncio.run(work())
    except ForkDetected as fork:
        path = session.home.save_evidence(fork)
        session.output.say(session.say("evidence_kept", path=path))
        raise


def _title(session: Session, head: Header) -> str:
    validators = head.extra_data.validators
    sealed = set(recover_sealers(head)) & set(validators)
    verified = session.say(
        "verified", height=head.height, seals=len(sealed), validators=len(validators)
    )
    return f"{verified}\n{session.say('no_trust_in_nodes')}"


def _shown_header(header: Header) -> dict[str, object]:
    return {
        "height": header.height,
        "block_hash": _hex(header.hash),
        "time": _time(header.timestamp_s),
    }


def _shown_nodes(session: Session, observations: Sequence[Observation]) -> list[object]:
    if any(each.verdict is not Verdict.AGREES for each in observations):
        session.output.say(session.say("disagreement"))
    if session.output.is_json:
        return [
            {
                "node": each.node,
                "verdict": each.verdict.value,
                "height": each.height,
                "detail": each.detail,
                "code": each.code,
            }
            for each in observations
        ]
    return [_node_line(session, each) for each in observations]


def _node_line(session: Session, each: Observation) -> str:
    at = "" if each.height is None else f" ({each.height})"
    why = f": {each.detail}" if each.detail else ""
    return f"{each.node}{at} {session.say(each.verdict.value)}{why}"


def _shown_standing(
    session: Session, address: Address, found: Proven[Standing]
) -> dict[str, object] | str:
    roles = _roles(session, found.value, found.header.timestamp_s)
    if session.output.is_json:
        standing = found.value
        return {
            "account": _hex(address),
            "is_governor": standing.is_governor,
            "votes_for": standing.votes_for,
            "serves": standing.serves,
            "resident_until_s": standing.resident_until_s,
        }
    return f"{_hex(address)}: {', '.join(roles)}"


def _shown_identity(
    session: Session, found: Proven[ChainRecord | None]
) -> dict[str, object] | str | None:
    """Show what the ledger says of an address, at the time of the verified head."""
    record, at_s = found.value, found.header.timestamp_s
    if record is None:
        return None if session.output.is_json else session.say("no_identity")
    if session.output.is_json:
        return {
            "status": record.status_at(at_s).name.lower().replace("_", "-"),
            "proofing_level": record.proofing_level,
            "municipality": record.municipality,
            "checked_s": record.checked_s,
            "expires_s": record.expires_s,
        }
    return session.say(
        "identity",
        status=session.say(f"identity_{record.status_at(at_s).name.lower()}"),
        level=record.proofing_level,
        municipality=record.municipality,
        checked=_time(record.checked_s),
        expires=_time(record.expires_s),
    )


def _roles(session: Session, standing: Standing, head_s: int) -> list[str]:
    roles = []
    if standing.is_governor:
        roles.append(session.say("governor"))
    if standing.votes_for:
        roles.append(session.say("municipality", id=standing.votes_for))
    if standing.serves:
        roles.append(session.say("service", id=standing.serves))
    if standing.resident_until_s:
        is_valid = standing.resident_until_s > head_s
        name = "resident_until" if is_valid else "resident_expired"
        roles.append(session.say(name, until=_time(standing.resident_until_s)))
    return roles or [session.say("no_role")]


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
