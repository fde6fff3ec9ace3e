"""An election on the contracts: four municipalities announce it, voters make real ballots."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import boa
from eth_abi import encode

from clients.voting.ballot import Ballot, build_core, sign_core
from clients.voting.batch import Refusal, encode_batch
from clients.voting.group import Point, decode_point_xy, generator_multiple
from contracts.artifact import load_artifact
from node.primitives.crypto import PrivateKey
from tests.support.city import City, actor, text_of
from tests.support.ledger import GENESIS_TIME_S, SERVICE_KEYS, key_of
from tests.support.voting import EID, SeededNonces

DRAFT_ID: Final = b"\xd1" * 32
OPENS_AT_S: Final = GENESIS_TIME_S + 10_000
CLOSES_AT_S: Final = OPENS_AT_S + 86_400
FREEZES_AT_S: Final = CLOSES_AT_S + 3_600
MIN_INTERVAL_S: Final = 60
MIX_TIME_S: Final = 1_800
MAX_SEQUENCE: Final = 5
ELECTION_SECRET: Final = 1_234_567
ELECTION_KEY: Final = generator_multiple(ELECTION_SECRET)
RACES: Final = {1: 3, 4: 2, 9: 50}
"""Race and number of candidates."""
STYLES: Final = {7: (1, 4), 8: (1,), 9: (1, 4, 9)}
"""Style and its races."""
ANNOUNCE: Final = (
    "announce(bytes32,(bytes32,bool,uint256,uint256,uint256,uint256,uint256,uint256,uint256,"
    "uint256,uint256,uint256[],address[],uint256[],address[],address[],(uint256,uint256)[],"
    "(uint256,uint256)[]))"
)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of an election, in the order in which the contract takes them."""

    draft_id: bytes = DRAFT_ID
    is_mock: bool = True
    opens_at: int = OPENS_AT_S
    closes_at: int = CLOSES_AT_S
    freezes_at: int = FREEZES_AT_S
    max_sequence: int = MAX_SEQUENCE
    min_interval_s: int = MIN_INTERVAL_S
    mix_time_s: int = MIX_TIME_S
    threshold: int = 3
    attestations: int = 2
    min_mixes: int = 3
    trustees: tuple[int, ...] = (1, 2, 3, 4)
    trustee_accounts: tuple[str, ...] = tuple(text_of(key.address) for key in SERVICE_KEYS)
    mixers: tuple[int, ...] = (2, 1, 4, 3)
    registrars: tuple[str, ...] = tuple(actor(f"registrar {at}") for at in range(1, 5))
    relays: tuple[str, ...] = tuple(actor(f"relay {at}") for at in range(1, 5))
    races: tuple[tuple[int, int], ...] = tuple(RACES.items())
    style_races: tuple[tuple[int, int], ...] = tuple(
        (style, race) for style, races in STYLES.items() for race in races
    )

    def encode(self) -> tuple[object, ...]:
        """Return the tuple that the ABI takes."""
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)


def create(name: str, *arguments: str) -> Any:
    """Create a contract from its artifact with addresses for its constructor."""
    artifact = load_artifact(name)
    code = artifact.bytecode + encode(["address"] * len(arguments), list(arguments))
    where, _ = boa.env.deploy_code(bytecode=code)
    return boa.loads_abi(json.dumps(list(artifact.abi)), name=name).at(where)


@dataclass
class Voter:
    """A ballot key and what its device remembers."""

    name: str
    style: int = 8
    cast_count: int = 0
    source: SeededNonces = field(init=False)
    secret: PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        """Make the key."""
        self.source = SeededNonces(f"voter {self.name}")
        self.secret = key_of(f"voter {self.name}")

    @property
    def key(self) -> Point:
        """Return K."""
        return decode_point_xy(self.secret.public_key[1:])

    @property
    def coordinates(self) -> tuple[int, int]:
        """Return K as the contract's views take it."""
        x_and_y = self.secret.public_key[1:]
        return int.from_bytes(x_and_y[:32], "big"), int.from_bytes(x_and_y[32:], "big")

    def make_ballot(
        self,
        *,
        sequence: int | None = None,
        eid: bytes = EID,
        style: int | None = None,
        choices: Sequence[tuple[int, int]] | None = None,
    ) -> Ballot:
        """Make a ballot with ``sequence``, else the next one, for the first candidates."""
        if sequence is None:
            self.cast_count += 1
            sequence = self.cast_count
        core, _ = build_core(
            eid=eid,
            style=self.style if style is None else style,
            key=self.key,
            sequence=sequence,
            choices=choices or [(race, 1) for race in STYLES[self.style]],
            election_key=ELECTION_KEY,
            source=self.source,
        )
        return sign_core(core, self.secret)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the box did with a batch."""

    recorded: tuple[bytes, ...]
    """Digests, in order."""
    refused: dict[int, Refusal]
    """By place in the batch."""


class Election:
    """The five contracts, and who acts on them."""

    def __init__(self, city: City) -> None:
        """Create the contracts."""
        self.city = city
        self.elections = create("Elections")
        self.box = create("BallotBox", self.elections.address)
        self.credentials = create("Credentials", self.elections.address)
        self.bulletin = create("Bulletin", self.elections.address)
        self.board = create(
            "TallyBoard", self.elections.address, self.credentials.address, self.box.address
        )

    def announce(self, terms: Terms | None = None, *, eid: bytes = EID) -> None:
        """Draft and announce an election, with three of four votes."""
        terms = terms or Terms()
        with self.city.acting(self.city.accounts[0]):
            self.elections.draft(terms.draft_id)
        self.city.vote(self.elections, "announce", eid, terms.encode(), voters=(1, 2, 3))

    def cast(self, *ballots: Ballot, relay: int = 1) -> Outcome:
        """Send a batch of ballots."""
        return self.cast_bytes(encode_batch(ballots), relay=relay)

    def cast_bytes(self, batch: bytes, *, eid: bytes = EID, relay: int = 1) -> Outcome:
        """Send a batch as it stands."""
        with self.acting_as_relay(relay):
            self.box.cast(eid, batch)
        events = self.box.get_logs()
        cast = [event.digest for event in events if type(event).__name__ == "BallotCast"]
        refused = {
            event.item: Refusal(event.reason)
            for event in events
            if type(event).__name__ == "BallotRefused"
        }
        assert len(cast) + len(refused) == len(events)
        return Outcome(recorded=tuple(cast), refused=refused)

    @contextmanager
    def acting_as_relay(self, number: int = 1) -> Iterator[None]:
        """Send as one of the relays."""
        with self.city.acting(actor(f"relay {number}")):
            yield

    def register(self, call: str, *arguments: object, registrars: Sequence[int]) -> bool:
        """Let these registrars confirm in order; return what the last got."""
        is_done = False
        for number in registrars:
            with self.city.acting(actor(f"registrar {number}")):
                is_done = getattr(self.credentials, call)(EID, *arguments)
        return is_done

    def confirm(self, call: str, *arguments: object, trustees: Sequence[int]) -> bool:
        """Let these trustees confirm in order; return what the last got."""
        is_done = False
        for number in trustees:
            with self.city.acting(self.city.services[number - 1]):
                is_done = getattr(self.board, call)(EID, *arguments)
        return is_done


def go_to(time_s: int) -> None:
    """Let the next block have this time."""
    boa.env.timestamp = time_s
