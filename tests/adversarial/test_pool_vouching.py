"""POOL-OPEN-CALL: a member passes open calls on that fail; its word is taken no more.

Anyone may call the contract here, and the call succeeds only with a one in its argument. The liar
sends calls without it; an honest peer sends good ones; clients are never believed.
"""

from dataclasses import replace

import pytest

from node.execution.evm import compute_contract_address
from node.genesis.system_contracts import OpenCall
from node.pool.limits import PoolLimits
from node.pool.pool import Pool
from node.pool.refusals import OpenCallFails
from node.pool.vouching import FAILURES_MAX, MEMORY_S, SOURCES_MAX, Vouching
from node.primitives.transaction import Transaction
from node.runtime.clock import SystemClock
from node.runtime.intake import CannotRun, Intake, PoolHead
from node.runtime.metrics import Metrics
from tests.support.ledger import GOVERNOR_KEY, Ledger, describe, key_of

RUNTIME = bytes.fromhex("6004356009575f5ffd5b00")
INIT_CODE = b"\x6a" + RUNTIME + bytes.fromhex("5f52600b6015f3")
SELECTOR = b"open"
GAS = 50_000
LIAR, HONEST, CLIENT = "peer 0x" + "66" * 20, "peer 0x" + "11" * 20, "192.0.2.1"


class Town:
    """A ledger with a contract that anyone may call, and the intake before it."""

    def __init__(self) -> None:
        self.contract = compute_contract_address(GOVERNOR_KEY.address, 0)
        opened = OpenCall(target=self.contract, selector=SELECTOR, gas_max=GAS)
        self.ledger = Ledger(replace(describe(open_calls=(opened,))))
        assert self.ledger.make(self.ledger.call(GOVERNOR_KEY, None, INIT_CODE)).block.transactions
        self.intake = Intake(
            Pool(PoolLimits()),
            profile=self.ledger.profile,
            clock=SystemClock(),
            metrics=Metrics(),
            announce=lambda _transaction, _source: None,
            upon_content=lambda _has_content: None,
        )
        self.intake.upon_jump(PoolHead(header=self.ledger.head, view=self.ledger.view))

    def sent(self, number: int, *, is_good: bool) -> Transaction:
        key = key_of(f"one-time {number}")
        data = SELECTOR + int(is_good).to_bytes(32, "big")
        return self.ledger.call(key, self.contract, data, gas_limit=GAS)

    def pass_on(self, source: str, *transactions: Transaction) -> list[bool]:
        """Let a peer pass transactions on; tell which of them wait."""
        assert self.intake.submit_batch([each.raw for each in transactions], source) == 0
        return [self.intake.holds(each.hash) for each in transactions]

    def build(self) -> tuple[Transaction, ...]:
        """Build a block of what waits, and drop what cannot run."""
        built = self.ledger.build(*self.intake.candidates())
        self.intake.drop_skipped(built.skipped)
        return built.block.transactions


def test_a_peers_word_is_taken_and_no_block_holds_what_it_lied_about() -> None:
    town = Town()
    good, bad = town.sent(1, is_good=True), town.sent(2, is_good=False)

    assert town.pass_on(HONEST, good) == [True]
    assert town.pass_on(LIAR, bad) == [True]
    assert town.build() == (good,)
    assert not town.intake.holds(bad.hash)
    drop = town.intake.pool.find_drop(bad.hash)
    assert drop is not None
    assert isinstance(drop.reason, CannotRun)


def test_a_peer_that_lied_too_often_is_not_believed_and_others_are() -> None:
    town = Town()
    lies = [town.sent(number, is_good=False) for number in range(FAILURES_MAX)]
    assert all(town.pass_on(LIAR, *lies))
    assert town.build() == ()

    more, good = town.sent(100, is_good=False), town.sent(101, is_good=True)
    assert town.pass_on(LIAR, more, good) == [False, True]
    assert town.pass_on(HONEST, more) == [True]


def test_one_lie_less_and_the_peer_is_still_believed() -> None:
    town = Town()
    lies = [town.sent(number, is_good=False) for number in range(FAILURES_MAX - 1)]
    town.pass_on(LIAR, *lies)
    town.build()

    assert town.pass_on(LIAR, town.sent(100, is_good=False)) == [True]


def test_clients_and_what_waited_at_a_restart_are_never_believed() -> None:
    town, after = Town(), Town()
    bad, good = town.sent(1, is_good=False), town.sent(2, is_good=True)
    with pytest.raises(OpenCallFails):
        town.intake.submit(bad.raw, CLIENT)
    town.pass_on(LIAR, bad, good)

    assert after.intake.restore(town.intake.encode()) == 1
    assert after.intake.candidates() == (good,)


def test_a_failed_call_is_forgotten_after_its_time() -> None:
    vouching = Vouching()
    for at in range(FAILURES_MAX):
        vouching.note_failure(LIAR, now_s=at)

    assert not vouching.is_trusted(LIAR, now_s=MEMORY_S - 1)
    assert vouching.is_trusted(LIAR, now_s=MEMORY_S)


def test_no_number_of_sources_is_remembered_without_bound() -> None:
    vouching = Vouching()
    for name in ("first", *map(str, range(SOURCES_MAX))):
        for _ in range(FAILURES_MAX):
            vouching.note_failure(name, now_s=0)

    assert vouching.is_trusted("first", now_s=1)
    assert not any(vouching.is_trusted(str(at), now_s=1) for at in range(SOURCES_MAX))
