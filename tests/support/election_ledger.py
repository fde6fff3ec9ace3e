"""The election contracts on a ledger in memory: deployed, announced, open; batches as sent."""

from eth_abi import encode

from clients.voting.ballot import Ballot
from clients.voting.batch import encode_batch
from node.execution.profile import Interpreter
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.transaction import Transaction
from node.primitives.types import Address
from tests.support.election import ANNOUNCE, CLOSES_AT_S, DRAFT_ID, OPENS_AT_S, STYLES, Terms, Voter
from tests.support.ledger import MUNICIPALITY_KEYS, SERVICE_KEYS, Ledger, Made, deploy, encode_call
from tests.support.voting import EID

RELAY_KEY = SERVICE_KEYS[0]
GAS_LIMIT = 8_000_000


class ElectionLedger:
    """A chain on which an election is open; service 1 is its relay."""

    def __init__(self, interpreter: Interpreter = Interpreter.STOCK) -> None:
        """Deploy, announce, and wait for opening."""
        self.ledger = Ledger(interpreter=interpreter)
        self.elections = deploy(self.ledger, "Elections")
        self.box = deploy(self.ledger, "BallotBox", self.elections)
        self.gas: dict[str, int] = {}
        self.announce()

    def announce(self) -> None:
        """Draft and announce, keeping what it costs."""
        draft = encode_call("draft(bytes32)", DRAFT_ID)
        self.measure("draft", MUNICIPALITY_KEYS[0], self.elections, draft)
        terms = Terms(
            registrars=tuple("0x" + key.address.hex() for key in SERVICE_KEYS),
            relays=("0x" + RELAY_KEY.address.hex(),),
        )
        _, _, inner = ANNOUNCE.partition(",")
        arguments = encode(["bytes32", inner[:-1]], [EID, terms.encode()])
        data = keccak256(ANNOUNCE.encode())[:4] + arguments
        for at, place in enumerate(("first", "second", "carrying")):
            self.measure(f"announce, {place} vote", MUNICIPALITY_KEYS[at], self.elections, data)
        self.ledger.make(seconds=OPENS_AT_S - self.ledger.head.timestamp_s)

    def measure(
        self, name: str, key: PrivateKey, to: Address, data: bytes, *, seconds: int = 2
    ) -> Made:
        """Send one call in a block of its own and keep its gas under ``name``."""
        made = self.ledger.make(
            self.ledger.call(key, to, data, gas_limit=GAS_LIMIT), seconds=seconds
        )
        assert made.result.receipts[0].is_success, name
        self.gas[name] = made.result.gas_used
        return made

    def send_batch(self, *ballots: Ballot) -> Transaction:
        """Return the relay's next transaction with these ballots."""
        data = encode_call("cast(bytes32,bytes)", EID, encode_batch(ballots))
        return self.ledger.call(RELAY_KEY, self.box, data, gas_limit=GAS_LIMIT)


def first_ballots(count: int, *, style: int = 8, name: str = "voter") -> list[Ballot]:
    """Return the first ballots of so many keys."""
    return [Voter(f"{name} {at}", style=style).make_ballot() for at in range(count)]


def measure_election_gas() -> dict[str, int]:
    """Return what an election's calls cost; both opcode loops run and must agree."""
    chain = ElectionLedger(Interpreter.SHADOW)
    for style, count in ((8, 1), (8, 10), (9, 10)):
        batch = encode_batch(first_ballots(count, style=style, name=f"{style} {count}"))
        data = encode_call("cast(bytes32,bytes)", EID, batch)
        name = f"cast, {count} of {len(STYLES[style])} race{'s' * (style == 9)}"
        made = chain.measure(name, RELAY_KEY, chain.box, data)
        assert len(made.result.receipts[0].logs) == count, name
    close = encode_call("close(bytes32)", EID)
    wait_s = CLOSES_AT_S - chain.ledger.head.timestamp_s
    chain.measure("close", MUNICIPALITY_KEYS[0], chain.box, close, seconds=wait_s)
    return chain.gas
