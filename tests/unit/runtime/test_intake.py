"""POOL-HEAD, POOL-RESTART, POOL-OPEN-CALL: the pool of a running node follows its head.

A ledger with the permission contracts; the governor may create contracts, the outsider nothing.
"""

import threading

import pytest

from node.pool.limits import PoolLimits
from node.pool.pool import Pool
from node.pool.refusals import NotPermitted, WrongChain
from node.primitives.transaction import Transaction, decode_transaction, sign_transaction
from node.runtime.clock import SystemClock
from node.runtime.intake import Intake, PoolHead, make_simulation
from node.runtime.metrics import Metrics
from tests.support.ledger import CHAIN_ID, GOVERNOR_KEY, OUTSIDER_KEY, Ledger

INIT_CODE = bytes.fromhex("600160005360016000f3")
REVERTING = bytes.fromhex("60006000fd")


class Node:
    """A ledger and the intake before it."""

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self.ledger = Ledger()
        self.announced: list[tuple[Transaction, str]] = []
        self.contents: list[bool] = []
        self.intake = Intake(
            Pool(limits or PoolLimits()),
            profile=self.ledger.profile,
            clock=SystemClock(),
            metrics=Metrics(),
            announce=lambda transaction, source: self.announced.append((transaction, source)),
            upon_content=self.contents.append,
        )
        self.intake.upon_jump(self.head)

    @property
    def head(self) -> PoolHead:
        return PoolHead(header=self.ledger.head, view=self.ledger.view)

    def create(self, *, ahead: int = 0, code: bytes = INIT_CODE) -> Transaction:
        return self.ledger.call(GOVERNOR_KEY, None, code, nonce_ahead=ahead)


def test_a_transaction_is_taken_announced_and_makes_content() -> None:
    node = Node()
    transaction = node.create()

    assert node.intake.submit(transaction.raw, "client") == transaction.hash

    assert node.announced == [(transaction, "client")]
    assert node.contents == [True]
    assert node.intake.candidates() == (transaction,)
    assert node.intake.load_raw([transaction.hash]) == [transaction.raw]


def test_a_refusal_names_its_reason_and_is_counted() -> None:
    node = Node()
    with pytest.raises(NotPermitted):
        node.intake.submit(node.ledger.call(OUTSIDER_KEY, None, INIT_CODE).raw, "client")
    assert node.contents == []
    assert b'daicho_pool_refusals_total{code="pool.not_permitted"} 1.0' in (
        node.intake._metrics.expose()
    )


def test_a_gap_is_no_content_until_it_closes() -> None:
    node = Node()
    node.intake.submit(node.create(ahead=1).raw, "client")
    assert node.contents == []
    node.intake.submit(node.create().raw, "client")
    assert node.contents == [True]


def test_a_block_empties_the_pool_of_what_it_holds() -> None:
    node = Node()
    node.intake.submit(node.create().raw, "client")
    made = node.ledger.make(*node.intake.candidates())

    node.intake.upon_head(node.head, made.block.transactions)

    assert node.contents == [True, False]
    assert len(node.intake.pool) == 0


def test_what_waited_is_admitted_anew_after_a_restart() -> None:
    before, after = Node(), Node()
    for ahead in (0, 1, 2):
        before.intake.submit(before.create(ahead=ahead).raw, "client")
    made = after.ledger.make(after.create())
    after.intake.upon_head(after.head, made.block.transactions)

    taken = after.intake.restore(before.intake.encode())

    assert taken == 2
    assert [each.nonce for each in after.intake.candidates()] == [1, 2]


def test_a_peers_batch_keeps_the_good_and_counts_the_malformed() -> None:
    node = Node()
    good = node.create()
    batch = [b"", b"\xc0", good.raw, good.raw, node.ledger.call(OUTSIDER_KEY, None, b"").raw]
    assert node.intake.submit_batch(batch, "peer 0x" + "11" * 20) == 2
    assert node.intake.holds(good.hash)


def test_a_block_of_what_waits_recovers_no_sender_again() -> None:
    node = Node()
    known, unknown = node.create(), node.create(ahead=1)
    node.intake.submit(known.raw, "client")
    heard = [decode_transaction(each.raw) for each in (known, unknown)]

    node.intake.lend_senders(heard)

    assert ["sender" in each.__dict__ for each in heard] == [True, False]
    assert heard[0].sender == GOVERNOR_KEY.address


def test_a_simulation_tells_success_and_leaves_nothing() -> None:
    node = Node()
    root = node.ledger.view.root
    would_succeed = make_simulation(node.head, node.ledger.profile)

    assert would_succeed(node.create())
    assert not would_succeed(node.create(code=REVERTING))
    assert node.ledger.view.root == root


def test_many_threads_lose_nothing() -> None:
    node = Node()
    transactions = [node.create(ahead=ahead) for ahead in range(60)]
    parts = [transactions[at::3] for at in range(3)]

    def submit(part: list[Transaction]) -> None:
        for each in part:
            node.intake.submit(each.raw, "client")

    threads = [threading.Thread(target=submit, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.nonce for each in node.intake.candidates()] == list(range(60))


def test_signatures_are_recovered_while_another_holds_the_pool() -> None:
    node = Node()
    foreign = sign_transaction(
        GOVERNOR_KEY, chain_id=CHAIN_ID + 1, nonce=0, gas_limit=100_000, to=None, data=INIT_CODE
    )
    refused: list[str] = []

    def submit() -> None:
        try:
            node.intake.submit(foreign.raw, "client")
        except WrongChain as error:
            refused.append(error.code)

    with node.intake.lock:
        client = threading.Thread(target=submit)
        client.start()
        client.join(60)

    assert refused == [WrongChain.code]
