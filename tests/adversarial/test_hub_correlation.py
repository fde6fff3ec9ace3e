"""ID-CHAIN-APART, ID-CHAIN-COARSE, ID-HUB-STORE, ID-BIND: who looks for a person finds none.

Three people register two sectors each within a minute. The searchers have the whole chain; the
hub's database file without keyring and master keys; its logs; a card read in passing; two services
that compare what they know. None of them connects two sectors, or a sector with a card.
"""

import logging
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode

from clients.identity.certificate import decode_certificate
from clients.identity.chain import BUCKET_S, decode_event
from node.primitives.crypto import PrivateKey, keccak256
from services.sim.pki.profiles import SimulatedResident
from tests.support.hub import Holder, HubTown, RunningHub, claims_of, running_hub
from tests.support.identity import new_hierarchy

NAMES = ("台帳　花子", "照会　太郎", "封印　次郎")
SECTORS = ("library", "election")
RECORD = keccak256(b"record(address[],uint256,uint256,uint256,uint256)")[:4]


class Person:
    """Somebody with an address in each sector, and everything secret about it."""

    def __init__(self, hub: RunningHub, name: str) -> None:
        self.name = name
        self.holder: Holder = hub.holder(SimulatedResident(name=name))
        self.keys = {sector: PrivateKey(secrets.token_bytes(32)) for sector in SECTORS}

    @property
    def card_marks(self) -> list[bytes]:
        """Return what can be read off the card, and plain hashes of it."""
        marks = []
        for issued in (self.holder.authentication, self.holder.signing):
            certificate = decode_certificate(issued.der)
            serial = certificate.serial.to_bytes(20, "big")
            subject = certificate.parsed.subject.rfc4514_string()
            marks += [
                issued.der[40:],
                certificate.key_hash,
                keccak256(issued.der),
                keccak256(serial),
                subject.rpartition("CN=")[2].partition(",")[0].encode(),
            ]
        return marks


async def enrol(hub: RunningHub) -> list[Person]:
    people = await register_all(hub)
    await until_all_recorded(hub, people)
    return people


async def until_all_recorded(hub: RunningHub, people: list[Person]) -> None:
    for person in people:
        for sector in SECTORS:
            await hub.until_recorded(person.keys[sector].address)


async def register_all(hub: RunningHub) -> list[Person]:
    people = [Person(hub, name) for name in NAMES]
    for person in people:
        assert (await hub.bind(person.holder, label=f"{person.name}の電話"))[0] == 201
        statement = await hub.statement(person.holder, "confirm-attributes")
        answer = await hub.own(person.holder, "POST", "/attributes", {"statement": statement})
        assert answer[0] == 200
    for person in people:
        for sector in SECTORS:
            assert (await hub.register(person.holder, sector, person.keys[sector]))[0] == 200
    return people


def batches_of(hub: RunningHub) -> Iterator[tuple[int, list[bytes]]]:
    """Yield time and accounts of every batch on the chain."""
    ledger = hub.town.chain.ledger
    from_first = range(1, ledger.head.height + 1)
    for block in ledger.chain.iterate_blocks(from_first[0], ledger.head.height):  # type: ignore[arg-type]
        for transaction in block.transactions:
            if transaction.to == hub.town.registry and transaction.data[:4] == RECORD:
                types = ["address[]", "uint256", "uint256", "uint256", "uint256"]
                fields = decode(types, transaction.data[4:])
                accounts = [bytes.fromhex(each[2:]) for each in fields[0]]
                assert accounts == sorted(accounts)
                assert fields[3] % BUCKET_S == fields[4] % BUCKET_S == 0
                yield block.header.timestamp_s, accounts


def rows_of(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield every row of every table."""
    with sqlite3.connect(path) as connection:
        names = [
            row[0]
            for row in connection.execute("select name from sqlite_master where type = 'table'")
        ]
        for name in names:
            for row in connection.execute(f"select * from {name}"):
                yield name, row


def is_marking(value: Any) -> bool:
    """Tell whether a value could mark a person: ids, keys, exact instants."""
    if isinstance(value, int):
        return value > 10**11
    return isinstance(value, bytes | str) and len(value) >= 12


def holds(row: tuple[Any, ...], address: bytes) -> bool:
    text = address.hex()
    return any(
        (isinstance(value, bytes) and (address in value or text.encode() in value))
        or (isinstance(value, str) and text in value)
        for value in row
    )


async def test_neither_chain_nor_database_nor_log_connects_anybody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running_hub(tmp_path) as hub:
        people = await enrol(hub)
        search_chain(hub, people)
        search_database(tmp_path / "hub.db", people)
        search_log(caplog.text, hub, people)
        await compare_services(hub, people)


async def test_an_outage_brings_no_two_sectors_of_anybody_together(tmp_path: Path) -> None:
    town, hierarchy = HubTown(), new_hierarchy()
    async with running_hub(tmp_path, town=town, hierarchy=hierarchy, has_relay=False) as hub:
        people = await register_all(hub)
        # The hub asks for what is due, and nobody carries it to the ledger.
        for _ in range(10):
            await hub.pass_time(hub.settings.window_s)
    town.clock.move(3_600)
    town.heartbeat()
    async with running_hub(tmp_path, town=town, hierarchy=hierarchy) as hub:
        await until_all_recorded(hub, people)
        search_chain(hub, people)


def search_chain(hub: RunningHub, people: list[Person]) -> None:
    seen: dict[bytes, int] = {}
    batches = list(batches_of(hub))
    for time_s, accounts in batches:
        for account in accounts:
            seen.setdefault(account, time_s)
        for person in people:
            assert len({key.address for key in person.keys.values()} & set(accounts)) <= 1
    for person in people:
        first, second = (seen[key.address] for key in person.keys.values())
        assert abs(first - second) >= hub.settings.window_s
    chain = hub.town.chain.ledger.export()
    for person in people:
        marks = [*person.card_marks, person.holder.device.address]
        assert not any(mark in chain for mark in marks)
    words = defaultdict(set)
    for receipt_owner, record in recorded(hub):
        words[receipt_owner].add((record.status, record.checked_s, record.expires_s))
    # Whatever is written about one is written, word for word, about everybody of that window.
    assert len({frozenset(each) for each in words.values()}) == 1


def recorded(hub: RunningHub) -> Iterator[tuple[bytes, Any]]:
    ledger = hub.town.chain.ledger
    for height in range(1, ledger.head.height + 1):
        for receipt in ledger.chain.load_receipts(height) or ():  # type: ignore[arg-type]
            for log in receipt.logs:
                told = decode_event(log) if log.address == hub.town.registry else None
                if told is not None:
                    yield told


def search_database(path: Path, people: list[Person]) -> None:
    raw = path.read_bytes()
    wal = path.with_name(path.name + "-wal")
    raw += wal.read_bytes() if wal.exists() else b""
    for person in people:
        assert not any(mark in raw for mark in person.card_marks)
        assert person.name.encode() not in raw
    rows = list(rows_of(path))
    marks: dict[bytes, set[Any]] = defaultdict(set)
    addresses = {key.address for person in people for key in person.keys.values()}
    for table, row in rows:
        for address in addresses:
            if holds(row, address):
                marks[address] |= {(table, value) for value in row if is_marking(value)}
    assert all(marks[address] for address in addresses)
    for person in people:
        first, second = (marks[key.address] for key in person.keys.values())
        others = [marks[each] for each in addresses - {k.address for k in person.keys.values()}]
        assert first & second <= set().union(*others)


def search_log(text: str, hub: RunningHub, people: list[Person]) -> None:
    for person in people:
        certificate = decode_certificate(person.holder.authentication.der)
        words = [person.name, person.holder.sub, certificate.key_hash.hex()]
        words += [each.address.hex() for each in (person.holder.device, *person.keys.values())]
        assert not any(word in text for word in words)


async def compare_services(hub: RunningHub, people: list[Person]) -> None:
    """Two services lay their tokens side by side."""
    for person in people:
        library = claims_of(
            await hub.token(person.holder, audience="library", purposes=("library.lend",))
        )
        election = claims_of(
            await hub.token(person.holder, audience="election", purposes=("election.credential",))
        )
        same = {name for name in library if library[name] == election.get(name)}
        # The key that shows a token is the client's to draw for each service.
        assert same <= {
            "iss", "tenant", "sub_version", "proofing_level", "authentication_level",
            "attributes", "iat", "exp", "cnf",
        }  # fmt: skip


async def test_a_certificate_read_in_passing_tells_nobody_who_is_enrolled(tmp_path: Path) -> None:
    async with running_hub(tmp_path, has_relay=False) as hub:
        known, unknown, reader = hub.holder(), hub.holder(), hub.holder()
        await hub.bind(known)
        answers = []
        for victim in (known, unknown):
            for purpose in ("log-in", "bind-device"):
                statement = await hub.statement(reader, purpose)
                read = await hub.statement(victim, "log-in")
                statement["certificate"] = read["certificate"]
                path, body = ("/card-logins", {"statement": statement})
                if purpose == "bind-device":
                    path = "/bindings"
                status, answer = await hub.ask("POST", path, body)
                answers.append((purpose, status, answer["code"], str(answer["faults"])))

        assert answers[:2] == answers[2:]
        for holder, expected in ((known, 200), (unknown, 404)):
            login = await hub.statement(holder, "log-in")
            assert (await hub.ask("POST", "/card-logins", {"statement": login}))[0] == expected
