"""POOL-ADMISSION, POOL-PRICE-FREE, POOL-PERMISSION, POOL-OPEN-CALL, POOL-REASONS.

Each rule has the transaction that just passes it and the one that does not; the refusal's class
and code are what a sender is told. Cast: a service, and an outsider who may make open calls.
"""

from dataclasses import replace

import pytest

from node.execution.admission import Admission, AdmissionKind
from node.pool.limits import PoolLimits
from node.pool.refusals import (
    FeeInvalid,
    GasCap,
    InitCodeTooLarge,
    InsufficientBalance,
    IntrinsicGas,
    InvalidSender,
    NonceTooHigh,
    NonceTooLow,
    NotPermitted,
    OpenCallFails,
    Refused,
    SenderIsContract,
    TooLarge,
    WrongChain,
)
from node.primitives.crypto import CURVE_ORDER
from node.primitives.errors import InvalidTransaction, MalformedMessage
from node.primitives.transaction import Transaction
from node.primitives.types import Signature
from node.storage.view import StateView
from tests.support.memory_view import MemoryView
from tests.support.pool import NOW_S, RPC, SERVICE, admit_as, head, pool, transaction


def resigned(sent: Transaction, **changes: object) -> Transaction:
    """Return a transaction with other fields, signed again by the service."""
    fields = {name: getattr(sent, name) for name in sent.__dataclass_fields__}
    unsigned = Transaction(**{**fields, **changes, "signature": Signature(bytes(65))})
    signature = SERVICE.sign(unsigned.signing_hash)
    return Transaction(**{**fields, **changes, "signature": signature})


def high_s(sent: Transaction) -> Transaction:
    """Return the other signature of the same key, which is not canonical."""
    s = CURVE_ORDER - int.from_bytes(sent.signature[32:64], "big")
    flipped = sent.signature[:32] + s.to_bytes(32, "big") + bytes((1 - sent.signature[64],))
    return replace(sent, signature=Signature(flipped))


GOOD = transaction()
FROM_SERVICE = SERVICE.address


def funded(**account: int) -> MemoryView:
    view = MemoryView()
    view.put(FROM_SERVICE, **account)
    return view


@pytest.mark.parametrize(
    ("good", "view"),
    [
        pytest.param(transaction(), MemoryView(), id="first of an account that does not exist"),
        pytest.param(transaction(gas_limit=21_000), MemoryView(), id="exactly the intrinsic gas"),
        pytest.param(transaction(gas_limit=8_000_000), MemoryView(), id="exactly the gas cap"),
        pytest.param(transaction(nonce=7), funded(nonce=7), id="the account's nonce"),
        pytest.param(transaction(nonce=1_024), MemoryView(), id="the farthest nonce"),
        pytest.param(transaction(value_wei=5), funded(balance_wei=5), id="the whole balance"),
        pytest.param(
            transaction(to=None, data=bytes(49_152), gas_limit=8_000_000),
            MemoryView(),
            id="the longest init code",
        ),
    ],
)
def test_what_could_stand_in_a_block_is_taken(good: Transaction, view: MemoryView) -> None:
    empty = pool()

    added = empty.submit(good.raw, head(view), source=RPC, now_s=NOW_S)

    assert added.transaction == good
    assert good.hash in empty


@pytest.mark.parametrize(
    ("bad", "view", "refusal"),
    [
        pytest.param(transaction(chain_id=1), MemoryView(), WrongChain, id="another chain"),
        pytest.param(
            resigned(GOOD, max_fee_wei=1), MemoryView(), FeeInvalid, id="a fee of one wei"
        ),
        pytest.param(
            resigned(GOOD, max_fee_wei=1, max_priority_fee_wei=1),
            MemoryView(),
            FeeInvalid,
            id="tip",
        ),
        pytest.param(
            transaction(gas_limit=20_999), MemoryView(), IntrinsicGas, id="one gas too little"
        ),
        pytest.param(
            transaction(gas_limit=8_000_001), MemoryView(), GasCap, id="one gas above the cap"
        ),
        pytest.param(
            transaction(to=None, data=bytes(49_153), gas_limit=8_000_000),
            MemoryView(),
            InitCodeTooLarge,
            id="init code one byte too long",
        ),
        pytest.param(transaction(nonce=6), funded(nonce=7), NonceTooLow, id="a used nonce"),
        pytest.param(transaction(nonce=1_025), MemoryView(), NonceTooHigh, id="nonce too far"),
        pytest.param(
            transaction(value_wei=6), funded(balance_wei=5), InsufficientBalance, id="value"
        ),
        pytest.param(high_s(GOOD), MemoryView(), InvalidSender, id="high s"),
    ],
)
def test_what_could_not_is_refused_with_its_reason(
    bad: Transaction, view: MemoryView, refusal: type[Refused]
) -> None:
    empty = pool()

    with pytest.raises(refusal) as refused:
        empty.submit(bad.raw, head(view), source=RPC, now_s=NOW_S)

    assert refused.value.code == refusal.code
    assert len(empty) == 0


def test_a_contract_may_not_send() -> None:
    view = MemoryView()
    view.put(FROM_SERVICE, nonce=0, code=b"\x00")

    with pytest.raises(SenderIsContract):
        pool().submit(GOOD.raw, head(view), source=RPC, now_s=NOW_S)


def test_bytes_over_the_bound_are_refused_before_they_are_decoded() -> None:
    small = pool(transaction_size_max_bytes=len(GOOD.raw) - 1)

    with pytest.raises(TooLarge):
        small.submit(GOOD.raw, head(), source=RPC, now_s=NOW_S)


def test_bytes_that_are_no_transaction_are_malformed() -> None:
    with pytest.raises(MalformedMessage):
        pool().submit(b"\x02\xc0", head(), source=RPC, now_s=NOW_S)


def test_who_is_not_permitted_hears_the_rule_that_said_so() -> None:
    def refuse(view: StateView, timestamp_s: int, sent: Transaction) -> Admission:
        raise InvalidTransaction("no role", rule="PERM-GOVERNOR")

    with pytest.raises(NotPermitted, match="no role") as refused:
        pool().submit(GOOD.raw, head(rule=refuse), source=RPC, now_s=NOW_S)

    assert refused.value.rule == "PERM-GOVERNOR"


def test_the_permission_is_asked_with_the_heads_time() -> None:
    asked: list[int] = []

    def note(view: StateView, timestamp_s: int, sent: Transaction) -> Admission:
        asked.append(timestamp_s)
        return Admission(kind=AdmissionKind.RESIDENT)

    pool().submit(GOOD.raw, head(rule=note), source=RPC, now_s=NOW_S + 999)

    assert asked == [NOW_S]


@pytest.mark.parametrize(
    ("gas_cap", "is_taken"),
    [pytest.param(100_000, True, id="at the cap"), pytest.param(99_999, False, id="above it")],
)
def test_the_cap_of_a_kind_of_sender_holds(gas_cap: int, is_taken: bool) -> None:
    capped = head(rule=admit_as(AdmissionKind.OPEN_CALL, gas_cap))
    empty = pool()

    if is_taken:
        empty.submit(GOOD.raw, capped, source=RPC, now_s=NOW_S)
    else:
        with pytest.raises(GasCap):
            empty.submit(GOOD.raw, capped, source=RPC, now_s=NOW_S)

    assert len(empty) == is_taken


def test_an_open_call_that_fails_at_the_head_is_refused() -> None:
    failing = head(rule=admit_as(AdmissionKind.OPEN_CALL), simulate=lambda _: False)

    with pytest.raises(OpenCallFails):
        pool().submit(GOOD.raw, failing, source=RPC, now_s=NOW_S)


def test_only_open_calls_are_simulated() -> None:
    never = head(rule=admit_as(AdmissionKind.SERVICE), simulate=lambda _: 1 // 0 == 0)

    assert pool().submit(GOOD.raw, never, source=RPC, now_s=NOW_S).is_pending


def test_there_is_no_room_to_simulate_for_when_the_sender_is_full() -> None:
    simulated: list[Transaction] = []
    context = head(
        rule=admit_as(AdmissionKind.OPEN_CALL),
        simulate=lambda sent: simulated.append(sent) is None,
    )
    narrow = pool(per_sender_max=1)
    narrow.submit(GOOD.raw, context, source=RPC, now_s=NOW_S)

    with pytest.raises(Refused):
        narrow.submit(transaction(nonce=1).raw, context, source=RPC, now_s=NOW_S)

    assert simulated == [GOOD]


def test_every_refusal_has_a_code_of_its_own() -> None:
    codes = [refusal.code for refusal in Refused.__subclasses__() if "pool" in refusal.__module__]

    assert len(set(codes)) == len(codes)
    assert all(code.startswith("pool.") for code in codes)


def test_limits_have_defaults() -> None:
    assert PoolLimits().count_max == 20_000
