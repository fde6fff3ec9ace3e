"""PERM-PARENT: a lying proposer cannot bring a transaction into a block that nobody admitted.

Each attack is tried twice: an honest proposer passes the transaction over, and a block a liar made
with it is refused by every validator that executes it. EXEC-OPEN-CALL: an open call that fails is
refused the same way.
"""

from dataclasses import replace

import pytest

from node.execution.admission import admit_all
from node.execution.proposal import BlockDraft, build_block
from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS
from node.genesis.system_contracts import OpenCall
from node.primitives.block import Block
from node.primitives.errors import InvalidBlock
from node.primitives.header import ExtraData
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.trie import compute_ordered_root
from node.primitives.types import Height
from tests.support.ledger import (
    GOVERNOR_KEY,
    MUNICIPALITY_KEYS,
    OUTSIDER_KEY,
    SERVICE_KEYS,
    VALIDATOR_KEYS,
    Ledger,
    describe,
    encode_call,
    key_of,
)

RESIDENT_KEY = key_of("resident")
OPEN_CALL = encode_call("is_governor(address)", OUTSIDER_KEY.address)
FAILING_CALL = encode_call("add_service(address)", OUTSIDER_KEY.address)
OPEN_GAS = 100_000


def governed_ledger() -> Ledger:
    """A ledger with two open calls, of which one fails for everyone but a municipality."""
    return Ledger(
        describe(
            open_calls=tuple(
                OpenCall(target=PERMISSIONS_ADDRESS, selector=call[:4], gas_max=OPEN_GAS)
                for call in (OPEN_CALL, FAILING_CALL)
            )
        )
    )


def attest(ledger: Ledger, seconds: int) -> None:
    """Attest the resident until ``seconds`` after the head."""
    data = encode_call(
        "attest_residents(address[],uint256)",
        [RESIDENT_KEY.address],
        ledger.head.timestamp_s + seconds,
    )
    made = ledger.make(ledger.call(SERVICE_KEYS[0], PERMISSIONS_ADDRESS, data))
    assert made.result.receipts[0].is_success


def forge(ledger: Ledger, transaction: Transaction) -> Block:
    """Build the block of a proposer who admits everyone; its roots are honestly computed."""
    parent = ledger.head
    return build_block(
        parent=parent,
        draft=BlockDraft(
            timestamp_s=parent.timestamp_s + 2,
            coinbase=VALIDATOR_KEYS[0].address,
            extra_data=ExtraData(validators=ledger.genesis.profile.validators),
        ),
        candidates=[transaction],
        view=ledger.view,
        profile=ledger.profile,
        rule=admit_all,
        ancestor_hash=ledger.chain.load_hash,
        is_time_up=lambda: False,
    ).block


def assert_kept_out(ledger: Ledger, transaction: Transaction, rule: str) -> None:
    forged = forge(ledger, transaction)
    assert forged.transactions == (transaction,), "the attack must be otherwise well-formed"

    with pytest.raises(InvalidBlock) as refused:
        ledger.execute(forged)
    assert refused.value.rule == rule

    made = ledger.make(transaction)
    assert made.block.transactions == ()
    assert [one.reason.rule for one in made.skipped] == [rule]


def test_a_stranger_sends_a_transaction() -> None:
    ledger = governed_ledger()
    stray = ledger.call(OUTSIDER_KEY, PERMISSIONS_ADDRESS, encode_call("governor_count()"))

    assert_kept_out(ledger, stray, "PERM-ORDER")


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(OUTSIDER_KEY, id="stranger"),
        pytest.param(SERVICE_KEYS[0], id="service"),
        pytest.param(MUNICIPALITY_KEYS[0], id="municipality"),
        pytest.param(VALIDATOR_KEYS[0], id="validator"),
    ],
)
def test_someone_who_is_no_governor_deploys(key: object) -> None:
    ledger = governed_ledger()
    deployment = ledger.call(key, None, b"\x60\x00\x60\x00\xf3")  # type: ignore[arg-type]

    assert_kept_out(ledger, deployment, "PERM-GOVERNOR")


def test_a_removed_service_sends_once_more() -> None:
    ledger = governed_ledger()
    remove = encode_call("remove_service(address)", SERVICE_KEYS[1].address)
    ledger.make(ledger.call(MUNICIPALITY_KEYS[1], PERMISSIONS_ADDRESS, remove))

    assert_kept_out(ledger, ledger.call(SERVICE_KEYS[1], PERMISSIONS_ADDRESS), "PERM-ORDER")


def test_a_service_of_a_municipality_that_was_shut_out_sends() -> None:
    ledger = governed_ledger()
    shut_out = encode_call("deactivate(uint256)", 2)
    ledger.make(
        *(ledger.call(key, MUNICIPALITIES_ADDRESS, shut_out) for key in MUNICIPALITY_KEYS[1:])
    )

    assert_kept_out(ledger, ledger.call(SERVICE_KEYS[1], PERMISSIONS_ADDRESS), "PERM-ORDER")
    stray = ledger.call(MUNICIPALITY_KEYS[1], MUNICIPALITIES_ADDRESS)
    assert_kept_out(ledger, stray, "PERM-ORDER")


def test_a_resident_sends_after_the_attestation_expired() -> None:
    ledger = governed_ledger()
    attest(ledger, seconds=10)
    sent = encode_call("governor_count()")
    assert ledger.make(ledger.call(RESIDENT_KEY, PERMISSIONS_ADDRESS, sent)).block.transactions
    ledger.make(seconds=10)

    assert_kept_out(ledger, ledger.call(RESIDENT_KEY, PERMISSIONS_ADDRESS, sent), "PERM-ORDER")


def test_a_proposer_cannot_stretch_an_attestation_by_its_own_clock() -> None:
    """The parent's timestamp decides, so a block's own timestamp changes nothing."""
    ledger = governed_ledger()
    attest(ledger, seconds=3)
    late = ledger.make(ledger.call(RESIDENT_KEY, PERMISSIONS_ADDRESS, bytes(4)), seconds=1_000)

    assert len(late.block.transactions) == 1
    stray = ledger.call(RESIDENT_KEY, PERMISSIONS_ADDRESS, bytes(4))
    assert_kept_out(ledger, stray, "PERM-ORDER")


def test_a_right_given_in_a_block_does_not_hold_within_it() -> None:
    ledger = governed_ledger()
    add = encode_call("add_service(address)", OUTSIDER_KEY.address)
    grant = ledger.call(MUNICIPALITY_KEYS[0], PERMISSIONS_ADDRESS, add)
    early = ledger.call(OUTSIDER_KEY, PERMISSIONS_ADDRESS, bytes(4))

    made = ledger.make(grant, early)

    assert made.block.transactions == (grant,)
    assert ledger.make(early).block.transactions == (early,)


def test_a_right_taken_in_a_block_still_holds_within_it() -> None:
    ledger = governed_ledger()
    remove = encode_call("remove_service(address)", SERVICE_KEYS[1].address)
    last = ledger.call(SERVICE_KEYS[1], PERMISSIONS_ADDRESS, bytes(4))

    made = ledger.make(ledger.call(MUNICIPALITY_KEYS[1], PERMISSIONS_ADDRESS, remove), last)

    assert len(made.block.transactions) == 2


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        pytest.param({"gas_limit": OPEN_GAS + 1}, "PERM-OPEN-CALL", id="gas over the cap"),
        pytest.param({"data": FAILING_CALL}, "EXEC-OPEN-CALL", id="call that reverts"),
        pytest.param(
            {"data": OPEN_CALL[:3] + b"\x00" + OPEN_CALL[4:]}, "PERM-ORDER", id="other selector"
        ),
        pytest.param({"to": MUNICIPALITIES_ADDRESS}, "PERM-ORDER", id="other contract"),
        pytest.param({"gas_limit": 22_000}, "EXEC-OPEN-CALL", id="too little gas"),
    ],
)
def test_a_stranger_stretches_an_open_call(change: dict[str, object], rule: str) -> None:
    ledger = governed_ledger()
    honest: dict[str, object] = {
        "to": PERMISSIONS_ADDRESS,
        "data": OPEN_CALL,
        "gas_limit": OPEN_GAS,
    }
    assert_kept_out(ledger, ledger.call(OUTSIDER_KEY, **{**honest, **change}), rule)  # type: ignore[arg-type]
    made = ledger.make(ledger.call(OUTSIDER_KEY, **honest))  # type: ignore[arg-type]
    assert made.result.receipts[0].is_success


def test_a_transaction_of_another_chain_is_replayed() -> None:
    ledger = governed_ledger()
    foreign = sign_transaction(
        GOVERNOR_KEY, chain_id=1, nonce=0, gas_limit=50_000, to=PERMISSIONS_ADDRESS
    )

    made = ledger.make(foreign)

    assert made.block.transactions == ()
    assert made.skipped[0].reason.rule == "EXEC-CHAIN-ID"
    empty = ledger.make().block
    header = replace(empty.header, parent_hash=empty.hash, height=Height(empty.height + 1))
    header = replace(
        header,
        timestamp_s=header.timestamp_s + 2,
        transactions_root=compute_ordered_root([foreign.raw]),
    )
    with pytest.raises(InvalidBlock) as refused:
        ledger.execute(Block(header=header, transactions=(foreign,)))
    assert refused.value.rule == "EXEC-CHAIN-ID"


def test_a_vote_is_not_counted_twice_by_sending_it_twice() -> None:
    ledger = governed_ledger()
    add = encode_call("add_governor(address)", OUTSIDER_KEY.address)
    votes = [
        ledger.call(MUNICIPALITY_KEYS[0], PERMISSIONS_ADDRESS, add, nonce_ahead=at)
        for at in range(3)
    ]

    made = ledger.make(*votes)

    assert [receipt.is_success for receipt in made.result.receipts] == [True, False, False]
    deployment = ledger.call(OUTSIDER_KEY, None, b"\x00")
    assert_kept_out(ledger, deployment, "PERM-GOVERNOR")
