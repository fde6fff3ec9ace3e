"""PERM-ORDER, PERM-GOVERNOR, PERM-MUNICIPALITY, PERM-SERVICE, PERM-RESIDENT, PERM-OPEN-CALL.

Which transactions the rule admits, and as what. The contracts' storage is written directly, at the
slots of PERM-SLOTS, computed here a second time. Addresses are those of PERM-ADDRESS.
"""

from collections.abc import Mapping

import pytest
from eth_utils import keccak

from contracts.artifact import load_artifact
from node.execution.admission import AdmissionKind
from node.execution.permissions import NotPermitted, PermissionRule
from node.primitives.crypto import PrivateKey
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address
from tests.support.ledger import key_of
from tests.support.memory_view import MemoryView

PERMISSIONS = Address(bytes.fromhex("00000000000000000000000000000000da1c0001"))
MUNICIPALITIES = Address(bytes.fromhex("00000000000000000000000000000000da1c0002"))
SENDER = key_of("sender")
OTHER = key_of("someone else")
NOW_S = 1_790_000_000
TARGET = Address(b"\x77" * 20)
SELECTOR = b"\x01\x02\x03\x04"


def entry(contract: str, variable: str, *keys: bytes) -> int:
    slot = load_artifact(contract).layout[variable].slot.to_bytes(32, "big")
    for key in keys:
        slot = keccak(slot + key)
    return int.from_bytes(slot, "big")


def state(
    permissions: Mapping[tuple[str, bytes], int] | None = None,
    *,
    votes: int = 0,
    active: int = 0b11110,
    call_gas: int = 0,
) -> MemoryView:
    view = MemoryView()
    word = bytes(12) + SENDER.address
    slots = {
        entry("AccountPermissions", variable, key): value
        for (variable, key), value in (permissions or {}).items()
    }
    call = (bytes(12) + TARGET, SELECTOR + bytes(28))
    slots[entry("AccountPermissions", "open_call_gas_max", *call)] = call_gas
    view.put(PERMISSIONS, nonce=1, slots=slots)
    view.put(
        MUNICIPALITIES,
        nonce=1,
        slots={
            entry("Municipalities", "active_mask"): active,
            entry("Municipalities", "id_of", word): votes,
        },
    )
    return view


def holds(variable: str, value: int) -> dict[tuple[str, bytes], int]:
    return {(variable, bytes(12) + SENDER.address): value}


def attested(until_s: int, municipality: int = 2) -> dict[tuple[str, bytes], int]:
    return holds("residents", municipality << 64 | until_s)


def transaction(
    key: PrivateKey = SENDER,
    to: Address | None = TARGET,
    data: bytes = b"",
    gas_limit: int = 100_000,
    value_wei: int = 0,
) -> Transaction:
    return sign_transaction(
        key, chain_id=7, nonce=0, gas_limit=gas_limit, to=to, data=data, value_wei=value_wei
    )


def kind_of(view: MemoryView, sent: Transaction) -> AdmissionKind:
    return PermissionRule()(view, NOW_S, sent).kind


def refusal_of(view: MemoryView, sent: Transaction) -> str | None:
    with pytest.raises(NotPermitted) as caught:
        PermissionRule()(view, NOW_S, sent)
    return caught.value.rule


@pytest.mark.parametrize(
    ("view", "kind"),
    [
        pytest.param(state(holds("is_governor", 1)), AdmissionKind.GOVERNOR, id="governor"),
        pytest.param(state(votes=1), AdmissionKind.MUNICIPALITY, id="municipality"),
        pytest.param(state(holds("service_municipality", 3)), AdmissionKind.SERVICE, id="service"),
        pytest.param(state(attested(NOW_S + 1)), AdmissionKind.RESIDENT, id="resident"),
    ],
)
def test_each_role_may_call(view: MemoryView, kind: AdmissionKind) -> None:
    assert kind_of(view, transaction()) is kind


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(state(), id="no role"),
        pytest.param(MemoryView(), id="no contracts"),
        pytest.param(state(votes=1, active=0b11100), id="municipality shut out"),
        pytest.param(state(votes=255), id="id without a municipality"),
        pytest.param(state(votes=2**255), id="nonsense id"),
        pytest.param(
            state(holds("service_municipality", 3), active=0b10110), id="service of one shut out"
        ),
        pytest.param(state(attested(NOW_S)), id="resident expired this second"),
        pytest.param(state(attested(NOW_S + 1), active=0b11010), id="attested by one shut out"),
        pytest.param(state(attested(NOW_S + 1, municipality=0)), id="attested by nobody"),
        pytest.param(state(holds("is_attester", 1)), id="right to attest alone"),
    ],
)
def test_without_a_standing_role_nothing_may_be_sent(view: MemoryView) -> None:
    assert refusal_of(view, transaction()) == "PERM-ORDER"


def test_another_s_role_does_not_count() -> None:
    assert refusal_of(state(holds("is_governor", 1)), transaction(OTHER)) == "PERM-ORDER"


def test_a_governor_creates_contracts() -> None:
    created = transaction(to=None, data=b"\x00")

    assert kind_of(state(holds("is_governor", 1)), created) is AdmissionKind.GOVERNOR


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(state(votes=1), id="municipality"),
        pytest.param(state(holds("service_municipality", 3)), id="service"),
        pytest.param(state(attested(NOW_S + 1)), id="resident"),
        pytest.param(state(call_gas=10**9), id="open call"),
    ],
)
def test_nobody_else_creates_contracts(view: MemoryView) -> None:
    assert refusal_of(view, transaction(to=None, data=b"\x00")) == "PERM-GOVERNOR"


def test_an_open_call_is_open_to_anyone_up_to_its_gas() -> None:
    view = state(call_gas=100_000)
    sent = transaction(data=SELECTOR + b"ballot", gas_limit=100_000)

    admission = PermissionRule()(view, NOW_S, sent)

    assert admission.kind is AdmissionKind.OPEN_CALL
    assert admission.must_succeed
    assert admission.gas_cap == 100_000


@pytest.mark.parametrize(
    ("sent", "rule"),
    [
        pytest.param(transaction(data=SELECTOR, gas_limit=100_001), "PERM-OPEN-CALL", id="gas"),
        pytest.param(transaction(data=SELECTOR, value_wei=1), "PERM-OPEN-CALL", id="value"),
        pytest.param(transaction(data=SELECTOR[:3]), "PERM-ORDER", id="three bytes"),
        pytest.param(transaction(data=b""), "PERM-ORDER", id="no data"),
        pytest.param(transaction(data=b"\x01\x02\x03\x05"), "PERM-ORDER", id="other selector"),
        pytest.param(
            transaction(to=Address(b"\x78" * 20), data=SELECTOR), "PERM-ORDER", id="other contract"
        ),
    ],
)
def test_next_to_an_open_call_nothing_is_open(sent: Transaction, rule: str) -> None:
    assert refusal_of(state(call_gas=100_000), sent) == rule


def test_a_resident_is_not_bound_by_an_open_call_s_gas() -> None:
    view = state(attested(NOW_S + 1), call_gas=50_000)

    assert kind_of(view, transaction(data=SELECTOR)) is AdmissionKind.RESIDENT


def test_a_resident_who_expired_may_still_make_an_open_call() -> None:
    view = state(attested(NOW_S), call_gas=100_000)

    assert kind_of(view, transaction(data=SELECTOR)) is AdmissionKind.OPEN_CALL


def test_what_is_remembered_of_one_state_is_not_used_in_another() -> None:
    rule = PermissionRule()
    assert rule(state(votes=1), NOW_S, transaction()).kind is AdmissionKind.MUNICIPALITY

    with pytest.raises(NotPermitted):
        rule(state(), NOW_S, transaction())


def test_a_remembered_resident_still_expires() -> None:
    rule, view = PermissionRule(), state(attested(NOW_S + 10))
    rule(view, NOW_S, transaction())

    with pytest.raises(NotPermitted):
        rule(view, NOW_S + 10, transaction())


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(state(holds("is_governor", 1), call_gas=100_000), id="governor"),
        pytest.param(state(attested(NOW_S + 1), call_gas=100_000), id="resident"),
    ],
)
def test_within_its_terms_an_open_call_is_one_whoever_sends_it(view: MemoryView) -> None:
    assert kind_of(view, transaction(data=SELECTOR)) is AdmissionKind.OPEN_CALL
    assert kind_of(view, transaction(data=SELECTOR, gas_limit=100_001)) in (
        AdmissionKind.GOVERNOR,
        AdmissionKind.RESIDENT,
    )


def test_no_more_calls_are_remembered_than_the_bound() -> None:
    rule, view = PermissionRule(count_max=3), state(holds("is_governor", 1))
    counts = []
    for at in range(4):
        rule(view, NOW_S, transaction(data=bytes((at, 0, 0, 0))))
        counts.append(rule.remembered_count)

    assert counts == [2, 3, 4, 2]


def test_no_more_senders_are_remembered_than_the_bound() -> None:
    rule, view = PermissionRule(count_max=2), state()
    counts = []
    for at in range(4):
        with pytest.raises(NotPermitted):
            rule(view, NOW_S, transaction(key_of(f"stranger {at}")))
        counts.append(rule.remembered_count)

    assert counts == [1, 2, 1, 2]
