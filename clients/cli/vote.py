"""`daicho resident vote`: enrol with a code and the card, choose, check or send, follow, prove.

Every step is plain sentences and numbers; nothing rests on colour. What services say is checked,
what the ledger holds is proven. A choice is never written to a file and never shown again.

Spec: WALLET-COMMANDS, VOTE-CHOICES, VOTE-RELAYS, VOTE-TRACK, VOTE-FOREIGN, BALLOT-CHECK.
"""

import asyncio
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import aiohttp
import click

from clients.card.card import CODE_OF, CardSignature
from clients.card.commands import ask_code
from clients.card.messages import Language as CardLanguage
from clients.card.signing import sign_text
from clients.cli.keys import PASSPHRASE, save_wallet, unlock_wallet
from clients.cli.session import Session
from clients.cli.vote_device import (
    Device,
    announce,
    commission_url,
    find_places,
    japan_time,
    learn_election,
    make_voter,
    one_service,
    open_device,
    roll_state,
)
from clients.core.light_client import LightClient
from clients.identity.certificate import CertificateKind
from clients.voter.checking import PreparedBallot, check_on_second_device, races_of
from clients.voter.evidence import decode_evidence, encode_evidence, judge_evidence
from clients.voter.network import ElectionService
from clients.voter.record import SentBallot
from clients.voter.tracking import Progress, Tracking
from clients.voter.voter import (
    Voter,
)
from clients.voting.ballot import encode_crockford, tracking_code
from clients.voting.manifest import Race
from clients.voting.roll import vote_code_bytes
from clients.wallet.wallet import Kind
from node.primitives.errors import LedgerError, Misconfigured

Value = TypeVar("Value")

JAPAN: Final = ZoneInfo("Asia/Tokyo")
SEND, CHECK, STOP = 1, 2, 3

EXAMPLES: Final = """\b
Examples:
  daicho resident vote list --service https://vote.example.lg.jp
  daicho resident vote enrol 3f… --service https://vote.example.lg.jp
  daicho resident vote ballot 3f…
  daicho resident vote status 3f…
"""

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_SERVICE = click.option(
    "--service",
    "services",
    multiple=True,
    envvar="DAICHO_ELECTION_SERVICE",
    help="Address of an election service; any municipality's will do.",
)
_RELAY = click.option(
    "--relay", "relays", multiple=True, help="Municipality whose relay is tried first."
)
_CHOOSE = click.option(
    "--choose", multiple=True, metavar="RACE=NUMBER", help="A choice; 0 is blank."
)
_SEND = click.option("--send", "is_sent", is_flag=True, help="Send without asking.")


@click.group(epilog=EXAMPLES)
def group() -> None:
    """Vote from your own device: every answer is verified, any relay will do."""


@group.command("list")
@_SERVICE
@click.pass_obj
def list_elections(session: Session, services: tuple[str, ...]) -> None:
    """List the elections of the ledger, as a service shows them."""

    async def work() -> list[dict[str, object]]:
        async with aiohttp.ClientSession(trust_env=False) as http:
            listed = await ElectionService(one_service(services), http).elections()
        return [
            {
                "eid": each.get("eid"),
                "is_mock": each.get("is_mock"),
                "opens": japan_time(each.get("opens_at")),
                "closes": japan_time(each.get("closes_at")),
            }
            for each in listed
        ]

    session.output.rows(asyncio.run(work()), empty=session.say("vote.no_elections"))


@group.command("enrol")
@click.argument("eid")
@_SERVICE
@PASSPHRASE
@click.option("--code", help="Invitation code; asked for when left out.")
@click.option(
    "--key",
    "kind",
    type=click.Choice([one.value for one in CertificateKind]),
    default=CertificateKind.SIGNING.value,
    show_default=True,
    help="Which of the card's keys signs the entry.",
)
@click.option("--reader", help="Reader to use, by its name or a part of it.")
@click.pass_obj
def enrol(
    session: Session,
    eid: str,
    services: tuple[str, ...],
    passphrase_file: Path | None,
    code: str | None,
    kind: str,
    reader: str | None,
) -> None:
    """Enrol this device with the invitation code and the card; again after a loss."""
    chosen = CertificateKind(kind)
    manifest, home = asyncio.run(learn_election(session, eid, services))
    announce(session, manifest)
    wallet = unlock_wallet(session, passphrase_file)
    if wallet.wallet.find(Kind.BALLOT, manifest.eid.hex()) is None:
        wallet.add_ballot_seed(manifest.eid)
        save_wallet(session, wallet.wallet)
    typed = code or click.prompt(session.say("vote.ask_code"), err=True)

    def sign(text: bytes) -> CardSignature:
        session.output.say(text.decode("ascii"))
        card_code = ask_code(CODE_OF[chosen], CardLanguage(session.language.value))
        return sign_text(chosen, text, card_code, reader=reader)

    async def work() -> Voter:
        voter = make_voter(wallet, manifest, home)
        async with aiohttp.ClientSession(trust_env=False) as http:
            commission = ElectionService(commission_url(manifest), http)
            if voter.record.pending is not None:
                session.output.say(session.say("vote.finishing"))
            opened = await commission.open_session(manifest.eid, typed)
            await voter.enrol(commission, opened, sign)
        return voter

    voter = asyncio.run(work())
    enrolment = voter.record.enrolment
    assert enrolment is not None
    shown = encode_crockford(vote_code_bytes(manifest.eid, voter.point))
    session.output.result(
        {
            "eid": manifest.eid.hex(),
            "style": enrolment.style,
            "version": enrolment.version,
            "batch": enrolment.receipt.batch,
            "vote_code": shown,
        },
        title=session.say("vote.enrolled", code=shown),
    )


@group.command("ballot")
@click.argument("eid")
@PASSPHRASE
@_RELAY
@_CHOOSE
@_SEND
@click.pass_obj
def ballot(
    session: Session,
    eid: str,
    passphrase_file: Path | None,
    relays: tuple[str, ...],
    choose: tuple[str, ...],
    is_sent: bool,
) -> None:
    """Choose, check or send: a first ballot, or one that takes the place of the last."""
    _vote(session, eid, passphrase_file, relays, choose, is_sent=is_sent)


@group.command("revote")
@click.argument("eid")
@PASSPHRASE
@_RELAY
@_CHOOSE
@_SEND
@click.pass_obj
def revote(
    session: Session,
    eid: str,
    passphrase_file: Path | None,
    relays: tuple[str, ...],
    choose: tuple[str, ...],
    is_sent: bool,
) -> None:
    """Vote again; the last ballot that is recorded counts."""
    _vote(session, eid, passphrase_file, relays, choose, is_sent=is_sent, needs_earlier=True)


@group.command("check")
@click.argument("eid")
@_SERVICE
@click.option("--promise", required=True, help="The first text, shown before you chose to check.")
@click.option("--opening", required=True, help="The second text.")
@click.pass_obj
def check(
    session: Session, eid: str, services: tuple[str, ...], promise: str, opening: str
) -> None:
    """On a second device: recompute a ballot that was opened, and show what it holds."""
    manifest, _ = asyncio.run(learn_election(session, eid, services))
    shown = check_on_second_device(manifest, promise, opening)
    blank = session.say("vote.blank_name")
    session.output.result(
        {each.race_name: each.candidate_name or blank for each in shown},
        title=session.say("vote.checked"),
    )


@group.command("send")
@click.argument("eid")
@PASSPHRASE
@_RELAY
@click.pass_obj
def send(session: Session, eid: str, passphrase_file: Path | None, relays: tuple[str, ...]) -> None:
    """Send again, byte for byte, what the box does not hold yet."""
    device = open_device(session, eid, passphrase_file)

    async def work(voter: Voter, client: LightClient, http: aiohttp.ClientSession) -> list[str]:
        tracking = await voter.track(client, await device.contracts(client, http))
        again = await voter.resubmit(tracking, http, relays=relays)
        return [tracking_code(sent.hash) for sent in again]

    codes = device.run(work)
    session.output.rows(
        [{"tracking_code": code} for code in codes], empty=session.say("vote.nothing_waits")
    )


@group.command("status")
@click.argument("eid")
@PASSPHRASE
@click.pass_obj
def status(session: Session, eid: str, passphrase_file: Path | None) -> None:
    """Show where this device's ballots stand, proven, and whether the roll holds the entry."""
    device = open_device(session, eid, passphrase_file)

    async def work(
        voter: Voter, client: LightClient, http: aiohttp.ClientSession
    ) -> tuple[Tracking, dict[bytes, str], str]:
        contracts = await device.contracts(client, http)
        tracking = await voter.track(client, contracts)
        places = await find_places(session, voter, client, contracts, http)
        return tracking, places, await roll_state(session, voter, client, contracts, http)

    tracking, places, roll = device.run(work)
    announce(session, device.manifest)
    _warn(session, tracking)
    rows = [
        {
            "ballot": each.ballot.sequence,
            "tracking_code": tracking_code(each.ballot.hash),
            "state": each.progress.value
            if session.output.is_json
            else session.say(f"vote.{each.progress.value}"),
            "where": places.get(each.ballot.hash, "-"),
        }
        for each in tracking.ballots
    ]
    session.output.rows(rows, empty=session.say("vote.no_ballots"))
    session.output.say(roll)


@group.command("withdraw")
@click.argument("eid")
@PASSPHRASE
@_RELAY
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def withdraw(
    session: Session,
    eid: str,
    passphrase_file: Path | None,
    relays: tuple[str, ...],
    yes: bool,
) -> None:
    """Take this device's ballots out of the count, for good."""
    if not yes:
        click.confirm(session.say("vote.ask_withdraw"), abort=True, err=True)
    device = open_device(session, eid, passphrase_file)

    async def work(voter: Voter, client: LightClient, http: aiohttp.ClientSession) -> str:
        tracking = await voter.track(client, await device.contracts(client, http))
        return await voter.withdraw(tracking, http, relays=relays)

    relay = device.run(work)
    session.output.result({"relay": relay}, title=session.say("vote.withdrawal_taken", relay=relay))


@group.command("evidence")
@click.argument("eid")
@PASSPHRASE
@click.option("--out", type=_FILE, help="Write evidence of a broken promise here.")
@click.option("--check", "file", type=_FILE, help="Check somebody's evidence instead.")
@click.pass_obj
def evidence(
    session: Session,
    eid: str,
    passphrase_file: Path | None,
    out: Path | None,
    file: Path | None,
) -> None:
    """Write, or check, evidence that a relay did not keep its promise."""
    device = open_device(session, eid, passphrase_file)
    if file is not None:
        _check_evidence(session, device, file)
        return

    async def work(
        voter: Voter, client: LightClient, http: aiohttp.ClientSession
    ) -> tuple[Tracking, int]:
        contracts = await device.contracts(client, http)
        standing, height = await voter.standing(client, contracts)
        del standing
        return await voter.track(client, contracts), height

    tracking, height = device.run(work)
    for each in tracking.ballots:
        broken = [one for one in each.ballot.receipts if one.deadline < height]
        if each.progress is Progress.SUPPRESSED and broken:
            path = out or Path(f"evidence-{each.ballot.hash.hex()[:16]}.json")
            path.write_bytes(encode_evidence(device.manifest, each.ballot, broken[0]))
            session.output.result(
                {"file": path, "relay": broken[0].relay, "deadline": broken[0].deadline},
                title=session.say("vote.evidence_written", path=path),
            )
            return
    session.output.say(session.say("vote.no_evidence"))


def _vote(
    session: Session,
    eid: str,
    passphrase_file: Path | None,
    relays: tuple[str, ...],
    choose: tuple[str, ...],
    *,
    is_sent: bool,
    needs_earlier: bool = False,
) -> None:
    device = open_device(session, eid, passphrase_file)
    announce(session, device.manifest)

    async def look(voter: Voter, client: LightClient, http: aiohttp.ClientSession) -> Tracking:
        return await voter.track(client, await device.contracts(client, http))

    tracking = device.run(look)
    if needs_earlier and not tracking.ballots:
        raise Misconfigured("no ballot was sent yet; use `vote ballot`")
    _warn(session, tracking)
    if tracking.foreign_count and not is_sent:
        click.confirm(session.say("vote.ask_foreign"), abort=True, err=True)
    voter = make_voter(device.wallet, device.manifest, device.home)
    prepared = _prepare(session, voter, tracking, choose, is_sent=is_sent)
    if prepared is None:
        session.output.say(session.say("vote.stopped"))
        return
    _deliver(session, device, voter.seal(prepared), relays)


def _prepare(
    session: Session,
    voter: Voter,
    tracking: Tracking,
    choose: tuple[str, ...],
    *,
    is_sent: bool,
) -> PreparedBallot | None:
    """Let the voter choose, and check as often as wished; None when the voter stops."""
    while True:
        choices = _parse_choices(choose) if choose else _ask_choices(session, voter)
        prepared = voter.prepare(choices, tracking)
        session.output.say(session.say("vote.promise", promise=prepared.promise))
        if is_sent:
            return prepared
        session.output.say(session.say("vote.ask_check"))
        answer = click.prompt(
            session.say("vote.ask_number"), type=click.IntRange(SEND, STOP), err=True
        )
        if answer == SEND:
            return prepared
        if answer == STOP:
            return None
        session.output.say(session.say("vote.opening", opening=prepared.reveal()))
        session.output.say(session.say("vote.thrown_away"))


def _deliver(session: Session, device: Device, sent: SentBallot, relays: tuple[str, ...]) -> None:
    async def work() -> str:
        voter = make_voter(device.wallet, device.manifest, device.home)
        async with aiohttp.ClientSession(trust_env=False) as http:
            receipt = await voter.deliver(sent, http, relays=relays)
        names = {relay.account: relay.municipality for relay in device.manifest.relays}
        return session.say(
            "vote.sent",
            relay=names[receipt.relay],
            code=tracking_code(sent.hash),
            deadline=receipt.deadline,
        )

    try:
        title = asyncio.run(work())
    except LedgerError:
        session.output.say(session.say("vote.kept"))
        raise
    session.output.result(
        {
            "ballot": sent.sequence,
            "hash": sent.hash.hex(),
            "tracking_code": tracking_code(sent.hash),
        },
        title=title,
    )


def _ask_choices(session: Session, voter: Voter) -> dict[int, int]:
    """Ask for a number in every race of the voter's ballot."""
    enrolment = voter.record.enrolment
    if enrolment is None:
        raise Misconfigured("this device is not enrolled; run `vote enrol` first")
    races = {race.race: race for race in voter.manifest.races}
    wanted = races_of(voter.manifest, enrolment.style)
    return {
        race: _ask_race(session, races[race], at, len(wanted)) for at, race in enumerate(wanted, 1)
    }


def _ask_race(session: Session, race: Race, at: int, count: int) -> int:
    say = session.output.say
    say(session.say("vote.race", race=race.name, at=at, count=count))
    for candidate in race.candidates:
        say(f"  {candidate.number}  {candidate.name}")
    say(session.say("vote.blank"))
    last = len(race.candidates)
    number: int = click.prompt(
        session.say("vote.ask_choice", last=last), type=click.IntRange(0, last), err=True
    )
    return number


def _parse_choices(choose: tuple[str, ...]) -> dict[int, int]:
    try:
        return {int(race): int(number) for race, number in (each.split("=") for each in choose)}
    except ValueError as error:
        raise click.UsageError("--choose takes RACE=NUMBER") from error


def _warn(session: Session, tracking: Tracking) -> None:
    if tracking.foreign_count:
        session.output.say(session.say("vote.foreign", count=tracking.foreign_count))
    for each in tracking.ballots:
        if each.progress in (Progress.SUPPRESSED, Progress.DISPLACED):
            session.output.say(session.say(f"vote.{each.progress.value}"))
    if tracking.is_withdrawn:
        session.output.say(session.say("vote.withdrawn"))


def _check_evidence(session: Session, device: Device, file: Path) -> None:
    found = decode_evidence(device.manifest, file.read_bytes())

    async def work(voter: Voter, client: LightClient, http: aiohttp.ClientSession) -> str:
        contracts = await device.contracts(client, http)
        key = found.sent.ballot.core.key
        standing, height = await voter.standing(client, contracts, key=key)
        return judge_evidence(found, height=height, standing=standing).value

    verdict = device.run(work)
    session.output.result(
        {
            "verdict": verdict,
            "relay": found.receipt.relay,
            "deadline": found.receipt.deadline,
            "tracking_code": tracking_code(found.sent.hash),
        }
    )
