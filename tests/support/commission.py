"""An election's commission in memory: a roll, cards, an attestor, and the desk of both officers.

Everything but the network is real: the ledger and its contracts, the services' databases, the
card's signature and the authorities, the attestor behind its own bytes.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from clients.identity.certificate import CertificateKind
from clients.identity.revocation import Freshness, RevocationMethod
from clients.identity.verifier import DirectVerifier
from clients.voting.blind_signature import ADMISSION, BlindedToken, blind, token_message
from clients.voting.encoding import tagged_hash
from clients.voting.group import Point, generator_multiple
from clients.voting.manifest import Manifest
from clients.voting.roll import RollEntry, build_entry
from clients.voting.terms import encode_announcement
from node.primitives.crypto import PrivateKey
from services.election.commission.acts import Actor
from services.election.commission.attestor import Attestor
from services.election.commission.attestor_client import AttestorClient, AttestorDown
from services.election.commission.attestor_store import AttestorStore
from services.election.commission.attestor_wire import (
    Ask,
    AttestorAnswer,
    decode_answer,
    decode_ask,
    encode_ask,
)
from services.election.commission.batches import find_batch, list_active
from services.election.commission.checking import EntryEvidence
from services.election.commission.desk import take_announcement
from services.election.commission.duties import Duties
from services.election.commission.elector_file import Elector
from services.election.commission.enrolment import (
    Accepted,
    BegunEnrolment,
    HandedIn,
    Registrar,
    begin_enrolment,
    finish_enrolment,
)
from services.election.commission.invitations import Session
from services.election.commission.rolls import (
    Roll,
    Vaults,
    begin_roll,
    fix_roll,
    import_electors,
    load_roll,
)
from services.election.commission.tokens import TokenKey
from services.election.commission.witness import Witness
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.envelope import Envelope
from services.kit.master_keys import MasterKeys
from services.sim.pki.authority import IssuedCertificate, KeyType
from services.sim.pki.hierarchy import Hierarchy
from services.sim.pki.profiles import SimulatedResident
from tests.support.election_world import TENANTS, Town, World, open_world
from tests.support.identity import LocalSource, new_hierarchy, prepared_key, sign_as_card
from tests.support.ledger import SERVICE_KEYS, key_of
from tests.support.voting import SeededNonces

DRAFT = sha256(b"a draft of the commission's tests").digest()
RECEIPT_KEY = key_of("the registrar's receipt key")
ATTESTOR_KEY = key_of("the attestor's key")
ROLL_SECRET = 987_654_321
ROLL_KEY = generator_multiple(ROLL_SECRET)
STYLES = (1, 2)
TOWN = "茨城県猿島郡境町架空一丁目"


@cache
def token_key() -> rsa.RSAPrivateKey:
    """Return the token key of a run."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def public_point(key: PrivateKey) -> str:
    """Return a key's public part as manifests have it."""
    return (bytes([2 + key.public_key[64] % 2]) + key.public_key[1:33]).hex()


def resident(number: int, **changes: Any) -> SimulatedResident:
    """Return the n-th resident, who has a name, address and birth date of their own."""
    usual = SimulatedResident(
        name=f"台帳　{'太花次三四五六七八九'[number % 10]}{'一二三四五'[number // 10 % 5]}子",
        birth_date=date(1950 + number % 50, 1 + number % 12, 3),
        address=f"{TOWN}{number + 1}番{number + 2}号",
    )
    return replace(usual, **changes)


def elector(number: int, *, style: int = 1, district: str = "第一", **changes: Any) -> Elector:
    """Return the n-th elector as the register has them."""
    person = resident(number)
    usual = Elector(
        number=f"A{number:04}",
        name=person.name.replace("　", " "),
        address=person.address.replace("一丁目", "1丁目"),
        birth_date=person.birth_date,
        sex=person.sex,
        district=district,
        style=style,
    )
    return replace(usual, **changes)


def build_manifest(roll: Roll, *, opens_at: int, closes_at: int, freezes_at: int) -> Manifest:
    """Return the manifest of a fixed roll."""
    assert roll.eligible_root is not None
    assert roll.eligible_digest is not None
    accounts = ["0x" + key.address.hex() for key in SERVICE_KEYS[:4]]
    names = list(TENANTS)
    return Manifest.model_validate(
        {
            "version": 1,
            "chain_id": 8100,
            "registry": "0x" + "11" * 20,
            "draft_id": roll.draft.hex(),
            "is_mock": True,
            "title": "模擬投票",
            "opens_at": opens_at,
            "closes_at": closes_at,
            "freezes_at": freezes_at,
            "styles": [{"style": style, "name": f"様式{style}", "races": [1]} for style in STYLES],
            "races": [
                {
                    "race": 1,
                    "name": "第1問",
                    "candidates": [{"number": 1, "name": "賛成"}, {"number": 2, "name": "反対"}],
                }
            ],
            "threshold": 3,
            "trustees": [
                {
                    "municipality": name,
                    "municipality_id": at,
                    "account": accounts[at - 1],
                    "node": _point(at),
                    "encryption_key": _point(at + 30),
                    "ballot_share": _point(at + 10),
                    "roll_share": _point(at + 20),
                    "url": f"https://{name}.example.lg.jp",
                }
                for at, name in enumerate(names, 1)
            ],
            "ballot_key": _point(40),
            "roll_key": ROLL_KEY.encode().hex(),
            "ballot_transcript": "33" * 32,
            "roll_transcript": "44" * 32,
            "registrars": [
                {
                    "municipality": name,
                    "account": accounts[at],
                    "receipt_key": public_point(RECEIPT_KEY) if at == 0 else _point(at + 50),
                    "attestor_key": public_point(ATTESTOR_KEY) if at == 0 else "",
                }
                for at, name in enumerate(names)
            ],
            "attestations": 2,
            "relays": [
                {
                    "municipality": names[0],
                    "account": accounts[0],
                    "receipt_key": _point(70),
                    "url": "https://relay.example.lg.jp",
                }
            ],
            "token_modulus": f"{token_key().public_key().public_numbers().n:0512x}",
            "limits": {
                "max_sequence": 50,
                "min_interval_s": 0,
                "max_rekey": 1,
                "mix_time_s": 600,
                "cast_blocks": 300,
            },
            "eligible": {
                "root": roll.eligible_root.hex(),
                "size": roll.eligible_size,
                "file_digest": roll.eligible_digest.hex(),
            },
            "mixers": [1, 2, 3, 4],
            "min_mixes": 3,
            "profile": "P",
        }
    )


def _point(scalar: int) -> str:
    return generator_multiple(scalar).encode().hex()


@dataclass
class Line:
    """A line to an attestor in the same process, through the bytes of the wire."""

    attestor: Attestor
    is_up: bool = True
    asked: list[Ask] = field(default_factory=list)

    async def ask(self, ask: Ask) -> AttestorAnswer:
        """Return its answer."""
        if not self.is_up:
            raise AttestorDown("attestor: no answer")
        self.asked.append(ask)
        answer = await self.attestor.answer(decode_ask(encode_ask(ask)))
        return decode_answer(answer.model_dump_json().encode())


@dataclass
class Device:
    """A voter's phone with a card beside it."""

    person: SimulatedResident
    card: IssuedCertificate
    nonces: SeededNonces
    key: Point
    blinded: BlindedToken | None = None

    def make_entry(self, begun: BegunEnrolment, eid: bytes, **changes: Any) -> RollEntry:
        """Make the roll entry of an enrolment."""
        parts: dict[str, Any] = {
            "eid": eid,
            "slot": begun.slot,
            "style": begun.style,
            "version": begun.version,
            "nonce": begun.nonce,
            "key": self.key,
            "roll_key": ROLL_KEY,
            "source": self.nonces,
        }
        return build_entry(**{**parts, **changes})

    def hand_in(self, entry: RollEntry, **changes: Any) -> HandedIn:
        """Sign an entry with the card, and blind a token."""
        message = token_message(entry.eid, self.key)
        self.blinded = blind(token_key().public_key(), message, ADMISSION, self.nonces)
        evidence = EntryEvidence(
            entry=entry.encode(),
            signature=sign_as_card(self.card.key, entry.card_text),
            certificate=self.card.der,
            salt=self.nonces.draw(32),
        )
        token = changes.pop("blinded_token", self.blinded.message)
        return HandedIn(evidence=replace(evidence, **changes), blinded_token=token)


class Commission:
    """The commission's service of a town, with the means to act on it."""

    def __init__(self, database: Database, clock: Clock, folder: Path) -> None:
        """Open registrar and attestor; the attestor has a file and keys of its own."""
        self.database = database
        self.clock = clock
        self.hierarchy: Hierarchy = new_hierarchy()
        self.source = LocalSource(self.hierarchy, clock.now())
        self.store = AttestorStore(folder / "attestor.db")
        self.attestor = Attestor(
            ATTESTOR_KEY,
            self.store,
            self._verifier(),
            method=RevocationMethod.OCSP,
            clock=clock,
        )
        self.line = Line(self.attestor)
        self.masters = MasterKeys((b"\x07" * 32,))
        self.registrar = Registrar(
            database=database,
            clock=clock,
            vaults=Vaults(Envelope(self.masters, actor="service:election")),
            key=RECEIPT_KEY,
            tokens=TokenKey(token_key()),
            attestor=AttestorClient(self.line),
            verifier=self._verifier(),
            method=RevocationMethod.OCSP,
        )
        self.tenant = TENANTS[0]

    def _verifier(self) -> DirectVerifier:
        return DirectVerifier(
            self.hierarchy.trust_store(), _Present(self.source, self.clock), freshness=Freshness()
        )

    def actor(self, name: str = "staff:officer-1") -> Actor:
        """Return an officer."""
        return Actor(name=name, role="election-officer", at=self.clock.now())

    async def roll(self) -> Roll:
        """Return the roll as it is."""
        async with self.database.read() as tx:
            return await load_roll(tx, tenant=self.tenant, draft=DRAFT)

    async def prepare(self, electors: list[Elector]) -> Roll:
        """Begin, import and fix a roll."""
        vaults = self.registrar.vaults

        async def work(tx: Any) -> None:
            root = await vaults.create(tx, self.tenant, DRAFT, self.clock)
            await begin_roll(
                tx,
                tenant=self.tenant,
                draft=DRAFT,
                reference_day=date(2026, 4, 1),
                styles=STYLES,
                root_key=root,
            )
            roll = await load_roll(tx, tenant=self.tenant, draft=DRAFT)
            vault = await vaults.open(tx, self.tenant, DRAFT)
            await import_electors(tx, roll, electors, vault, is_dry_run=False)
            await fix_roll(tx, roll, expected=len(electors))

        await self.database.transact(work)
        return await self.roll()

    async def announce(self, manifest: Manifest) -> Roll:
        """Take the manifest over and hand roll and manifest to the attestor."""
        roll = await self.roll()
        await self.database.transact(
            lambda tx: take_announcement(tx, self.registrar, roll, manifest, self.actor())
        )
        return await self.roll()

    def device(self, number: int, *, name: str = "", **changes: Any) -> Device:
        """Return a new phone of the n-th resident, with a new card."""
        person = resident(number, **changes)
        authority = self.hierarchy.authority(CertificateKind.SIGNING)
        card = authority.issue(
            person,
            key=prepared_key_for_cards(),
            at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        nonces = SeededNonces(f"device {number} {name} {secrets.token_hex(4)}")
        scalar = int.from_bytes(tagged_hash("JMEV1/tests", nonces.draw(32)), "big") % 2**250 + 1
        return Device(person=person, card=card, nonces=nonces, key=generator_multiple(scalar))

    async def slot(self, number: int) -> bytes:
        """Return the slot of the n-th elector."""
        async with self.database.read() as tx:
            vault = await self.registrar.vaults.open(tx, self.tenant, DRAFT)
        return vault.slot_of(f"A{number:04}")

    async def session(self, number: int, *, is_counter: bool = False) -> Session:
        """Return a session of the n-th elector."""
        return Session(slot=await self.slot(number), code=None, is_counter=is_counter)

    async def begin(self, number: int, *, is_counter: bool = False) -> BegunEnrolment:
        """Begin an enrolment of the n-th elector."""
        roll, session = await self.roll(), await self.session(number, is_counter=is_counter)
        return await self.database.transact(
            lambda tx: begin_enrolment(
                tx, roll, session, self.registrar.vaults, now=self.clock.now()
            )
        )

    async def finish(
        self, number: int, begun: BegunEnrolment, handed: HandedIn, *, is_counter: bool = False
    ) -> Accepted:
        """Hand an enrolment in."""
        session = await self.session(number, is_counter=is_counter)
        return await finish_enrolment(self.registrar, await self.roll(), session, begun.id, handed)

    async def enrol(
        self, number: int, device: Device | None = None, *, is_counter: bool = False
    ) -> Accepted:
        """Enrol the n-th elector."""
        device = device or self.device(number)
        eid, _ = (await self.roll()).announced
        begun = await self.begin(number, is_counter=is_counter)
        handed = device.hand_in(device.make_entry(begun, eid))
        return await self.finish(number, begun, handed, is_counter=is_counter)


@dataclass
class _Present:
    """The authorities as they answer now."""

    source: LocalSource
    clock: Clock

    async def fetch_list(self, authority: Any) -> bytes:
        """Return the newest list."""
        self.source.now = self.clock.now()
        return await self.source.fetch_list(authority)

    async def ask(self, question: Any) -> bytes:
        """Return the answer to a question."""
        self.source.now = self.clock.now()
        return await self.source.ask(question)


def prepared_key_for_cards() -> Any:
    """Return a card's key."""
    return prepared_key(KeyType.RSA_2048)


@dataclass
class DirectCommission:
    """A witness's way to the commission's database, in the same process."""

    commission: Commission
    changed_batch: Any = None
    changed_active: Any = None

    async def fetch_batch(self, eid: bytes, number: int, now: datetime) -> bytes | None:
        """Return a batch's file."""
        del eid, now
        async with self.commission.database.read() as tx:
            found = await find_batch(tx, await self.commission.roll(), number)
        if found is None:
            return None
        return found.body if self.changed_batch is None else self.changed_batch(found.body)

    async def fetch_active(self, eid: bytes, style: int, now: datetime) -> bytes | None:
        """Return a style's active list."""
        del eid, now
        async with self.commission.database.read() as tx:
            lists = await list_active(tx, await self.commission.roll())
        found = next((each for each in lists if each.style == style), None)
        if found is None:
            return None
        return found.body if self.changed_active is None else self.changed_active(found.body)


@dataclass
class Poll:
    """An election that is announced on a ledger, with its commission and witnesses."""

    world: World
    commission: Commission
    duties: Duties
    witnesses: list[Witness]
    ways: list[DirectCommission]
    manifest: Manifest

    @property
    def eid(self) -> bytes:
        """Return its id."""
        return self.manifest.eid

    @property
    def town(self) -> Town:
        """Return the commission's town."""
        return self.world.towns[0]

    async def turn(self, count: int = 1) -> None:
        """Let everyone do what is due, and blocks come."""
        for _ in range(count):
            await self.duties.run_once()
            for witness in self.witnesses:
                await witness.run_once()
            await self.world.relay()
            await self.world.make(seconds=11)

    async def freeze(self) -> None:
        """Go to freezing time and let everyone finish."""
        await self.world.go_to(self.manifest.freezes_at + 1)
        await self.turn(8)


@asynccontextmanager
async def open_poll(
    folder: Path, electors: list[Elector], *, towns: int = 3, kind: str = "sqlite"
) -> AsyncIterator[Poll]:
    """Announce an election of these electors and open commission and witnesses."""
    async with open_world(folder, count=towns, kind=kind) as world:
        commission = Commission(world.towns[0].board.database, world.clock, folder)
        roll = await commission.prepare(electors)
        manifest = build_manifest(
            roll,
            opens_at=world.now_s + 1_000,
            closes_at=world.now_s + 10_000,
            freezes_at=world.now_s + 20_000,
        )
        await world.draft(DRAFT)
        await world.vote(world.elections, encode_announcement(manifest))
        duties = Duties(world.towns[0].context, commission.registrar, batch_interval_s=10)
        await duties.run_once()
        await commission.announce(manifest)
        await duties.run_once()
        ways = [DirectCommission(commission) for _ in world.towns[1:]]
        witnesses = [
            Witness(town.context, {1: way}) for town, way in zip(world.towns[1:], ways, strict=True)
        ]
        try:
            yield Poll(world, commission, duties, witnesses, ways, manifest)
        finally:
            commission.store.close()
