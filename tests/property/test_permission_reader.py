"""PERM-SLOTS: reading storage says what the contracts' own view functions say, in any state.

Random governance is executed by our EVM on a real chain; the reader then answers for everyone, and
the judges are the compiled view functions, called in the same state.
"""

from eth_abi import decode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.execution.calls import CallRequest, run_call
from node.execution.executor import make_context
from node.execution.permissions import Standing, read_open_call_gas_max, read_standing
from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS
from node.primitives.crypto import PrivateKey
from node.primitives.types import ZERO_ADDRESS, Address, Height
from tests.support.ledger import (
    GENESIS_TIME_S,
    GOVERNOR_KEY,
    MUNICIPALITY_KEYS,
    OUTSIDER_KEY,
    SERVICE_KEYS,
    Ledger,
    encode_call,
    key_of,
)

PEOPLE = (*MUNICIPALITY_KEYS, *SERVICE_KEYS, GOVERNOR_KEY, OUTSIDER_KEY, key_of("candidate"))
TARGETS = (PERMISSIONS_ADDRESS, Address(b"\x77" * 20))
SELECTORS = (b"\x01\x02\x03\x04", b"\x00\x00\x00\x00")
DAY_S = 86_400

people = st.sampled_from(PEOPLE).map(lambda key: key.address)
numbers = st.integers(0, 5)
voted = st.one_of(
    st.tuples(st.just("add_governor(address)"), people),
    st.tuples(st.just("expel_service(address)"), people),
    st.tuples(st.just("grant_attestation(address)"), people),
    st.tuples(
        st.just("open_call(address,bytes4,uint256)"),
        st.sampled_from(TARGETS),
        st.sampled_from(SELECTORS),
        st.integers(1, 10**6),
    ),
    st.tuples(st.just("deactivate(uint256)"), numbers),
    st.tuples(st.just("activate(uint256)"), numbers),
    st.tuples(st.just("set_account(uint256,address)"), numbers, people),
)
alone = st.one_of(
    st.tuples(st.sampled_from(MUNICIPALITY_KEYS), st.just("add_service(address)"), people),
    st.tuples(st.sampled_from(MUNICIPALITY_KEYS), st.just("remove_service(address)"), people),
    st.tuples(
        st.sampled_from(SERVICE_KEYS),
        st.just("attest_residents(address[],uint256)"),
        st.lists(people, max_size=3),
        st.integers(GENESIS_TIME_S, GENESIS_TIME_S + 3 * DAY_S),
    ),
)


def ask(ledger: Ledger, to: Address, types: list[str], call: str, *arguments: object) -> tuple:
    """Call a view function in the head's state, at the head's time."""
    head = ledger.head
    context = make_context(
        ledger.profile,
        height=Height(head.height + 1),
        timestamp_s=head.timestamp_s,
        coinbase=head.coinbase,
        ancestor_hash=ledger.chain.load_hash,
    )
    request = CallRequest(
        sender=ZERO_ADDRESS, to=to, data=encode_call(call, *arguments), gas_limit=1_000_000
    )
    outcome = run_call(ledger.view, context, request)
    assert outcome.is_success, outcome.error
    return tuple(decode(types, outcome.output))


def judge(ledger: Ledger, account: Address) -> tuple[Standing, bool]:
    """Compose an account's standing from the contracts' view functions."""
    rules = PERMISSIONS_ADDRESS
    (is_governor,) = ask(ledger, rules, ["bool"], "is_governor(address)", account)
    (is_service,) = ask(ledger, rules, ["bool"], "is_service(address)", account)
    (serves,) = ask(ledger, rules, ["uint256"], "service_municipality(address)", account)
    (is_resident,) = ask(ledger, rules, ["bool"], "is_resident(address)", account)
    by, until_s = ask(ledger, rules, ["uint256", "uint256"], "resident(address)", account)
    votes_for, active = ask(
        ledger, MUNICIPALITIES_ADDRESS, ["uint256", "uint256"], "voter(address)", account
    )
    standing = Standing(
        is_governor=is_governor,
        votes_for=votes_for if active >> votes_for & 1 else 0,
        serves=serves if is_service else 0,
        resident_until_s=until_s if active >> by & 1 else 0,
    )
    return standing, is_resident


def send_all(ledger: Ledger, calls: list[tuple[PrivateKey, tuple]], seconds: int) -> None:
    sent: dict[Address, int] = {}
    transactions = []
    for key, (signature, *arguments) in calls:
        is_registry = signature.split("(")[0] in ("deactivate", "activate", "set_account")
        to = MUNICIPALITIES_ADDRESS if is_registry else PERMISSIONS_ADDRESS
        ahead = sent.get(key.address, 0)
        sent[key.address] = ahead + 1
        data = encode_call(signature, *arguments)
        transactions.append(ledger.call(key, to, data, nonce_ahead=ahead))
    ledger.make(*transactions, seconds=seconds)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(voted | alone, min_size=1, max_size=10),
    st.sampled_from([2, DAY_S, 2 * DAY_S]),
)
def test_the_reader_says_what_the_contracts_say(steps: list[tuple], seconds: int) -> None:
    ledger = Ledger()
    calls: list[tuple[PrivateKey, tuple]] = []
    for step in steps:
        if isinstance(step[0], PrivateKey):
            calls.append((step[0], step[1:]))
        else:
            calls += [(key, step) for key in MUNICIPALITY_KEYS[:3]]
    send_all(ledger, calls, seconds)
    ledger.make(seconds=seconds)

    for account in (*(key.address for key in PEOPLE), ZERO_ADDRESS):
        standing = read_standing(ledger.view, account)
        expected, is_resident = judge(ledger, account)
        assert standing == expected
        assert (standing.resident_until_s > ledger.head.timestamp_s) == is_resident
    for target in TARGETS:
        for selector in SELECTORS:
            (gas_max,) = ask(
                ledger,
                PERMISSIONS_ADDRESS,
                ["uint256"],
                "open_call_gas_max(address,bytes4)",
                target,
                selector,
            )
            assert read_open_call_gas_max(ledger.view, target, selector) == gas_max
