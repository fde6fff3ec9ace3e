"""A voter's device on the command line: wallet, record and manifest opened, the ledger at hand.

Spec: WALLET-COMMANDS, VOTE-RECORD, VOTE-TRACK, VOTE-ROLL.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import aiohttp
import click

from clients.cli.home import synced, write_private
from clients.cli.keys import unlock_wallet
from clients.cli.session import Session
from clients.cli.vote_home import ElectionHome, find_election_home
from clients.core.light_client import LightClient
from clients.voter.network import ElectionService, ServiceAway, ServiceRefused
from clients.voter.voter import (
    Contracts,
    DeviceNonces,
    NotOnRoll,
    Voter,
    check_contracts,
    fetch_manifest,
)
from clients.voting.manifest import Manifest
from clients.wallet.wallet import OpenWallet
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, LedgerError, Misconfigured
from node.primitives.types import Address

Value = TypeVar("Value")

JAPAN: Final = ZoneInfo("Asia/Tokyo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device with its wallet open for one election."""

    session: Session
    manifest: Manifest
    home: ElectionHome
    wallet: OpenWallet

    def run(
        self, work: Callable[[Voter, LightClient, aiohttp.ClientSession], Awaitable[Value]]
    ) -> Value:
        """Do some work with a light client at the head."""

        async def go() -> Value:
            async with self._online() as (client, http):
                return await work(make_voter(self.wallet, self.manifest, self.home), client, http)

        return asyncio.run(go())

    @asynccontextmanager
    async def _online(self) -> AsyncGenerator[tuple[LightClient, aiohttp.ClientSession]]:
        async with (
            synced(self.session.home, now_s) as client,
            aiohttp.ClientSession(trust_env=False) as http,
        ):
            await client.sync()
            yield client, http

    async def contracts(self, client: LightClient, http: aiohttp.ClientSession) -> Contracts:
        """Return where box and roll are, their code proven."""
        told = []
        for relay in self.manifest.relays:
            try:
                found = await ElectionService(relay.url, http).box(self.manifest.eid)
            except (ServiceAway, ServiceRefused) as error:
                told.append(error.message)
                continue
            contracts = Contracts(box=Address(found[0]), credentials=Address(found[1]))
            await check_contracts(client, self.manifest, contracts)
            return contracts
        raise ServiceAway(f"no service tells where the box is ({'; '.join(told)})")


def open_device(session: Session, eid: str, passphrase_file: Path | None) -> Device:
    """Open the wallet for an election this device knows."""
    home = find_election_home(session.home, eid)
    manifest = home.load_manifest()
    wallet = unlock_wallet(session, passphrase_file)
    return Device(session=session, manifest=manifest, home=home, wallet=wallet)


def make_voter(wallet: OpenWallet, manifest: Manifest, home: ElectionHome) -> Voter:
    """Return the voter with what the device kept."""
    key = PrivateKey(wallet.ballot_key(manifest.eid).to_bytes(32, "big"))
    return Voter(
        manifest,
        home.load_record(manifest.eid),
        key=key,
        source=DeviceNonces(secrets.token_bytes),
        save=partial(home.save_record),
        now_s=now_s,
    )


async def learn_election(
    session: Session, eid: str, services: tuple[str, ...]
) -> tuple[Manifest, ElectionHome]:
    """Return the manifest, kept or fetched and checked against its id."""
    try:
        home = find_election_home(session.home, eid)
        return home.load_manifest(), home
    except Misconfigured:
        pass
    wanted = parse_eid(eid)
    async with aiohttp.ClientSession(trust_env=False) as http:
        manifest = await fetch_manifest(
            [ElectionService(url, http) for url in services or (one_service(services),)], wanted
        )
    home = ElectionHome.of(session.home, wanted)
    write_private(home.manifest_path, manifest.encode())
    return manifest, home


def parse_eid(text: str) -> bytes:
    """Return the 32 bytes of an election's id."""
    try:
        eid = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise click.UsageError("the election's id has 64 hexadecimal digits") from error
    if len(eid) != 32:
        raise click.UsageError("the election's id has 64 hexadecimal digits")
    return eid


def commission_url(manifest: Manifest) -> str:
    """Return where the commission answers."""
    commission = manifest.registrars[0].municipality
    for trustee in manifest.trustees:
        if trustee.municipality == commission:
            return trustee.url
    raise InvalidInput(f"the manifest names no service of {commission}")


def announce(session: Session, manifest: Manifest) -> None:
    """Say which election it is, and whether it is a mock one."""
    session.output.say(
        session.say(
            "vote.election",
            title=manifest.title,
            opens=japan_time(manifest.opens_at),
            closes=japan_time(manifest.closes_at),
        )
    )
    if manifest.is_mock:
        session.output.say(session.say("vote.mock"))


def one_service(services: tuple[str, ...]) -> str:
    """Return the first address given, or say that one is needed."""
    if not services:
        raise click.UsageError("give --service with the address of an election service")
    return services[0]


def japan_time(at_s: object) -> str:
    """Return an instant in Japan's time."""
    if not isinstance(at_s, int):
        return "-"
    return datetime.fromtimestamp(at_s, UTC).astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")


def now_s() -> int:
    """Return the device's time."""
    return int(datetime.now(UTC).timestamp())  # noqa: TID251 - a command is where the clock is read


async def find_places(
    session: Session,
    voter: Voter,
    client: LightClient,
    contracts: Contracts,
    http: aiohttp.ClientSession,
) -> dict[bytes, str]:
    """Prove where each recorded ballot stands, with any relay's hint."""
    places: dict[bytes, str] = {}
    for sent in voter.record.ballots:
        for relay in voter.manifest.relays:
            try:
                hint = await ElectionService(relay.url, http).place_of(
                    voter.manifest.eid, sent.hash
                )
                if hint.transaction is None:
                    continue
                found = await voter.prove_inclusion(client, contracts, sent.hash, hint.transaction)
            except LedgerError:
                continue
            places[sent.hash] = session.say(
                "vote.proven_at", height=found.height, index=found.index
            )
            break
    return places


async def roll_state(
    session: Session,
    voter: Voter,
    client: LightClient,
    contracts: Contracts,
    http: aiohttp.ClientSession,
) -> str:
    """Say whether the frozen roll holds this device's entry."""
    services = [ElectionService(trustee.url, http) for trustee in voter.manifest.trustees]
    try:
        frozen = await voter.check_on_roll(client, contracts, services)
    except NotOnRoll:
        return session.say("vote.roll_lacks")
    if frozen is None:
        return session.say("vote.roll_open")
    return session.say("vote.roll_holds", count=frozen.count)
