"""What the contracts' calls cost, measured as receipts of a chain in memory."""

from dataclasses import dataclass

from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS
from node.primitives.crypto import PrivateKey
from node.primitives.types import Address
from tests.support.election_ledger import measure_election_gas
from tests.support.ledger import (
    MUNICIPALITY_KEYS,
    SERVICE_KEYS,
    Ledger,
    deploy,
    encode_call,
    key_of,
)

CANDIDATE = key_of("candidate").address
SELECTOR = b"\x01\x02\x03\x04"
BUCKET_S = 6 * 60 * 60
LIFETIME_S = 48 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A call whose cost is kept."""

    name: str
    """Contract and call, and in which case."""
    key: PrivateKey
    """Who sends it."""
    to: Address
    """Contract."""
    data: bytes
    """Call data."""


def measure_gas() -> dict[str, int]:
    """Return the gas of each call, by name, in the order sent on one chain."""
    ledger = Ledger()
    until_s = ledger.head.timestamp_s + 86_400
    report: dict[str, int] = {}
    for call in _calls(until_s):
        sent = ledger.call(call.key, call.to, call.data, gas_limit=8_000_000)
        made = ledger.make(sent)
        assert made.result.receipts[0].is_success, call.name
        report[call.name] = made.result.gas_used
    report |= _measure_anchors(ledger) | _measure_identity_status(ledger)
    return report | measure_election_gas()


def _measure_anchors(ledger: Ledger) -> dict[str, int]:
    """Measure the first anchor of a stream and a later one."""
    anchors = deploy(ledger, "Anchors")
    signature = "anchor(bytes32,bytes32,bytes32,uint256)"
    report = {}
    for operation, name in ((1, "anchor, first of a stream"), (2, "anchor, later")):
        data = encode_call(signature, b"\x01" * 32, operation.to_bytes(32, "big"), b"\xaa" * 32, 20)
        made = ledger.make(ledger.call(SERVICE_KEYS[0], anchors, data))
        assert made.result.receipts[0].is_success, name
        report[name] = made.result.gas_used
    return report


def _measure_identity_status(ledger: Ledger) -> dict[str, int]:
    """Measure records of one address and of the most in a batch, first and renewed."""
    registry = deploy(ledger, "IdentityStatus")
    signature = "record(address[],uint256,uint256,uint256,uint256)"
    checked_s = ledger.head.timestamp_s // BUCKET_S * BUCKET_S
    report = {}
    for count in (1, 100):
        accounts = sorted(key_of(f"resident {at} of {count}").address for at in range(count))
        for status, name in ((1, f"record, {count} new"), (2, f"record, {count} again")):
            data = encode_call(signature, accounts, status, 3, checked_s, checked_s + LIFETIME_S)
            made = ledger.make(ledger.call(SERVICE_KEYS[0], registry, data, gas_limit=8_000_000))
            assert made.result.receipts[0].is_success, name
            report[name] = made.result.gas_used
    return report


def _calls(until_s: int) -> list[Measured]:
    votes = [
        ("add_governor", PERMISSIONS_ADDRESS, encode_call("add_governor(address)", CANDIDATE)),
        (
            "open_call",
            PERMISSIONS_ADDRESS,
            encode_call("open_call(address,bytes4,uint256)", CANDIDATE, SELECTOR, 300_000),
        ),
        (
            "register",
            MUNICIPALITIES_ADDRESS,
            encode_call(
                "register(string,address,address,uint256,string)",
                "つくばみらい市",
                CANDIDATE,
                CANDIDATE,
                1,
                "https://node5.example.lg.jp",
            ),
        ),
    ]
    calls = [
        Measured(name=f"{name}, {place} vote", key=MUNICIPALITY_KEYS[at], to=to, data=data)
        for name, to, data in votes
        for at, place in enumerate(("first", "second", "carrying"))
    ]
    add = encode_call("add_service(address)", CANDIDATE)
    remove = encode_call("remove_service(address)", CANDIDATE)
    calls += [
        _by(MUNICIPALITY_KEYS[0], "add_service", add),
        _by(MUNICIPALITY_KEYS[0], "remove_service", remove),
    ]
    for count in (1, 100):
        residents = [key_of(f"resident {at} of {count}").address for at in range(count)]
        attest = encode_call("attest_residents(address[],uint256)", residents, until_s)
        again = encode_call("attest_residents(address[],uint256)", residents, until_s + 1)
        revoke = encode_call("revoke_residents(address[])", residents)
        calls += [
            _by(SERVICE_KEYS[0], f"attest_residents, {count} new", attest),
            _by(SERVICE_KEYS[0], f"attest_residents, {count} again", again),
            _by(SERVICE_KEYS[0], f"revoke_residents, {count}", revoke),
        ]
    return calls


def _by(key: PrivateKey, name: str, data: bytes) -> Measured:
    return Measured(name=name, key=key, to=PERMISSIONS_ADDRESS, data=data)
