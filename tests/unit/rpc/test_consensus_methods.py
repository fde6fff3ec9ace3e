"""RPC-QBFT, RPC-STATUS, RPC-FINALITY, RPC-RECEIPT-PROOF, RPC-ADMIN: what is ours alone.

Four validators sealed the small chain; one of them sleeps now.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from node.primitives.crypto import recover_address
from node.primitives.errors import InvalidInput
from node.primitives.header import decode_header
from node.primitives.trie import verify_proof
from node.primitives.types import Signature
from node.rpc.backend import Backends, Json
from node.rpc.errors import InvalidParams, NotFound, NotSupported
from node.rpc.filters import FilterRegistry
from node.rpc.limits import RpcLimits
from node.rpc.method import Context
from node.rpc.methods.tables import OPERATOR_METHODS
from node.rpc.params import Params
from node.rpc.server import new_id
from tests.support.ledger import GOVERNOR_KEY, OUTSIDER_KEY
from tests.support.rpc import QuietConsensus, RpcChain


class Desk:
    """An operator's side that notes what it is told."""

    def __init__(self) -> None:
        """Start with nothing done."""
        self.levels: list[tuple[str, str | None]] = []

    def node_info(self) -> Mapping[str, Json]:
        """Return a name."""
        return {"name": "test"}

    def peers(self) -> Sequence[Mapping[str, Json]]:
        """Return none."""
        return ()

    def change_log_level(self, level: str, logger: str | None) -> None:
        """Note the level."""
        self.levels.append((level, logger))

    def reload_membership(self) -> Mapping[str, Json]:
        """Return that nothing changed."""
        return {"changed": []}


class Asker:
    """Asks methods of one small chain."""

    def __init__(self) -> None:
        """Make a chain with one transfer in it."""
        self.chain = RpcChain()
        self.consensus = QuietConsensus(self.chain)
        self.desk = Desk()
        self.sent = [
            self.chain.ledger.call(
                GOVERNOR_KEY, OUTSIDER_KEY.address, gas_limit=21_000, nonce_ahead=at
            )
            for at in range(3)
        ]
        self.chain.is_mining = False
        for each in self.sent:
            self.chain.submit(each.raw, "test")
        self.chain.mine()

    def __call__(self, method: str, *params: Any, is_follower: bool = False) -> Any:
        """Ask."""
        context = Context(
            backends=Backends(
                ledger=self.chain.backend,
                consensus=None if is_follower else self.consensus,
                operator=None if is_follower else self.desk,
                clock_s=lambda: self.chain.now_s,
            ),
            limits=RpcLimits(),
            filters=FilterRegistry(RpcLimits(), new_id),
            source="test",
        )
        return OPERATOR_METHODS[method].run(context, Params(list(params)))


@pytest.fixture
def ask() -> Asker:
    return Asker()


def shown(data: bytes) -> str:
    return "0x" + data.hex()


def test_validators_are_listed_by_number_and_hash(ask: Asker) -> None:
    head = ask("eth_getBlockByNumber", "latest", False)

    by_number = ask("qbft_getValidatorsByBlockNumber", "latest")

    assert by_number == [shown(address) for address in ask.consensus.validators]
    assert ask("qbft_getValidatorsByBlockHash", head["hash"]) == by_number
    assert ask("qbft_getValidatorsByBlockNumber", "0x9") is None


def test_votes_are_proposed_listed_and_discarded(ask: Asker) -> None:
    candidate = shown(OUTSIDER_KEY.address)

    assert ask("qbft_proposeValidatorVote", candidate, True)
    assert ask("qbft_getPendingVotes") == {candidate: True}
    assert ask("qbft_discardValidatorVote", candidate)
    assert ask("qbft_getPendingVotes") == {}
    with pytest.raises(InvalidInput):
        ask("qbft_discardValidatorVote", candidate)


def test_metrics_count_proposers_and_bound_their_range(ask: Asker) -> None:
    metrics = ask("qbft_getSignerMetrics")

    assert sum(int(each["proposedBlockCount"], 16) for each in metrics) == 1
    assert ask("qbft_getRequestTimeoutSeconds") == 4
    with pytest.raises(InvalidParams):
        ask("qbft_getSignerMetrics", "0x1", "0x0")


def test_the_status_names_who_is_missing(ask: Asker) -> None:
    status = ask("daicho_consensusStatus")

    assert [each["name"] for each in status["missing"]] == ["municipality 4"]
    assert "municipality 4 is missing" in status["waitsFor"]
    assert status["quorum"] == "0x3"
    assert len(status["validators"]) == 4


def test_finality_shows_a_quorum_of_seals_over_the_header(ask: Asker) -> None:
    finality = ask("daicho_getFinality", "latest")
    header = decode_header(bytes.fromhex(finality["header"][2:]))

    signers = {
        shown(recover_address(header.seal_hash, Signature(bytes.fromhex(seal[2:]))))
        for seal in finality["seals"]
    }

    assert shown(header.hash) == finality["blockHash"]
    assert signers <= set(finality["validators"])
    assert len(signers) >= int(finality["quorum"], 16) == 3


def test_a_receipt_and_its_transaction_are_proved_under_the_header(ask: Asker) -> None:
    proof = ask("daicho_getReceiptProof", shown(ask.sent[1].hash))
    header = decode_header(bytes.fromhex(proof["header"][2:]))
    key = b"\x01"

    receipt, transaction = (
        verify_proof(root, key, [bytes.fromhex(node[2:]) for node in proof[name]])
        for root, name in (
            (header.receipts_root, "receiptProof"),
            (header.transactions_root, "transactionProof"),
        )
    )

    assert proof["transactionIndex"] == "0x1"
    assert shown(receipt or b"") == proof["receipt"]
    assert transaction == ask.sent[1].raw
    with pytest.raises(NotFound):
        ask("daicho_getReceiptProof", shown(bytes(32)))


def test_a_node_that_only_follows_says_so(ask: Asker) -> None:
    for method in ("daicho_consensusStatus", "qbft_getPendingVotes", "admin_peers"):
        with pytest.raises(NotSupported):
            ask(method, is_follower=True)


def test_an_operator_sets_levels_reloads_and_asks(ask: Asker) -> None:
    assert ask("admin_changeLogLevel", "debug", "node.p2p")
    assert ask.desk.levels == [("DEBUG", "node.p2p")]
    assert ask("admin_reloadMembership") == {"changed": []}
    assert ask("admin_peers") == []
    assert ask("admin_nodeInfo") == {"name": "test"}
    with pytest.raises(InvalidParams):
        ask("admin_changeLogLevel", "loud")


def test_an_operator_rules_the_pool_and_senders_hear_of_it(ask: Asker) -> None:
    waiting = ask.chain.ledger.call(GOVERNOR_KEY, OUTSIDER_KEY.address, gas_limit=21_000)
    name = shown(waiting.hash)
    ask.chain.submit(waiting.raw, "test")

    assert ask("daicho_transactionStatus", name)["status"] == "waiting"
    assert ask("admin_dropTransaction", name)
    assert ask("daicho_transactionStatus", name)["code"] == "pool.dropped_by_operator"
    assert ask("daicho_transactionStatus", shown(bytes(32))) == {"status": "unknown"}
    assert ask("daicho_transactionStatus", shown(ask.sent[0].hash))["status"] == "final"
    assert ask("admin_pausePool")
    assert ask("daicho_poolStatus")["isPaused"]
    with pytest.raises(InvalidInput):
        ask("eth_sendRawTransaction", shown(waiting.raw))
    assert ask("admin_clearPool") == 0


def test_the_views_of_the_pool_agree(ask: Asker) -> None:
    far = ask.chain.ledger.call(GOVERNOR_KEY, OUTSIDER_KEY.address, gas_limit=21_000, nonce_ahead=2)
    near = ask.chain.ledger.call(GOVERNOR_KEY, OUTSIDER_KEY.address, gas_limit=21_000)
    for each in (far, near):
        ask.chain.submit(each.raw, "test")

    content = ask("txpool_content")
    sender = shown(GOVERNOR_KEY.address)

    assert ask("txpool_status") == {"pending": "0x1", "queued": "0x1"}
    assert [list(each) for each in content["pending"].values()] == [["3"]]
    assert [list(each) for each in content["queued"].values()] == [["5"]]
    assert ask("txpool_contentFrom", sender) == {
        name: next(iter(content[name].values())) for name in ("pending", "queued")
    }
    assert "21000 gas" in str(ask("txpool_inspect")["pending"])
    assert ask("daicho_transactionStatus", shown(far.hash))["waitsForNonce"] == "0x4"
    assert ask("eth_getTransactionCount", sender, "pending") == "0x4"
    assert ask("eth_getTransactionCount", sender, "latest") == "0x3"
    assert ask("eth_getTransactionByHash", shown(near.hash))["blockHash"] is None
