"""What one ballot costs a validator on each step of the transaction path, in processor time.

``python -m tests.bench path [--ballots 400] [--rounds 5]``. One process and one thread at a time:
a proposer and a follower with LevelDB of their own, the real intake, blocks and codecs, no sockets.
Wall clock and other load do not matter; the least of several rounds is kept. The sum for a
validator weighs the steps by how often a node of four does them: it takes a quarter of the ballots
from clients and three quarters from peers, builds every fourth block and checks the others.
"""

import argparse
import asyncio
import gc
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import vyper
from eth_abi import encode

from node.consensus.codec import decode_message, encode_message
from node.consensus.effects import BuildBlock
from node.consensus.messages import Proposal, ProposalDraft, ProposalPayload, sign_draft
from node.execution.evm import compute_contract_address
from node.execution.profile import profile_of_chain
from node.genesis.build import build_genesis
from node.genesis.parse import parse_genesis
from node.genesis.system_contracts import OpenCall
from node.p2p import frames
from node.p2p.network import batches
from node.p2p.wire import decode_frame, encode_frame
from node.pool.limits import PoolLimits
from node.pool.pool import Pool
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import ExtraData
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Height, Round
from node.rpc.backend import Backends
from node.rpc.ledger import LedgerParts, NodeLedger
from node.rpc.limits import RpcLimits
from node.rpc.methods.tables import PUBLIC_METHODS
from node.rpc.server import new_id
from node.rpc.service import RpcService
from node.runtime.blocks import Blocks, Waiting
from node.runtime.clock import SystemClock
from node.runtime.intake import Intake, PoolHead
from node.runtime.metrics import Metrics
from node.storage.chain import open_chain
from node.storage.first_state import changes_of
from node.storage.leveldb import LevelDbStore
from node.storage.state_store import StateMode
from tests.bench.record import record
from tests.bench.rpc import measure_machine
from tests.support.ballots import ELECTION, GAS_LIMIT, REGISTRAR, SOURCE, make_ballot
from tests.support.ledger import CHAIN_ID, GOVERNOR_KEY, VALIDATOR_KEYS, describe, seal
from tests.support.rpc import QuietConsensus, RpcChain

BATCH: Final = 50
"""Ballots in one request, as a relay sends them."""

VALIDATORS: Final = 4
BLOCK_GAS_LIMIT: Final = 300_000_000
"""So that one block holds a round."""

GENEROUS: Final = RpcLimits(rate_per_s=10**8, rate_burst=10**8)

T = TypeVar("T")


class Validator:
    """A node without sockets: pool, execution thread and store as the runtime joins them."""

    def __init__(self, folder: Path, genesis_file: bytes) -> None:
        genesis = parse_genesis(genesis_file)
        self.profile = profile_of_chain(genesis.profile)
        self.validators = genesis.profile.validators
        self.chain = open_chain(
            LevelDbStore(folder),
            genesis=Block(header=genesis.header),
            alloc=changes_of(genesis),
            mode=StateMode.ARCHIVE,
        )
        self.metrics = Metrics()
        clock = SystemClock()
        self.intake = Intake(
            Pool(PoolLimits(count_max=10**6, per_source_max=10**6)),
            profile=self.profile,
            clock=clock,
            metrics=self.metrics,
            announce=lambda _transaction, _source: None,
            upon_content=lambda _has_content: None,
        )
        self.blocks = Blocks(
            self.chain,
            profile=self.profile,
            build_time_ms=10**6,
            waiting=Waiting(
                candidates=self.intake.candidates,
                drop_skipped=self.intake.drop_skipped,
                lend_senders=self.intake.lend_senders,
            ),
            clock=clock,
            metrics=self.metrics,
        )
        self.judge()
        ledger = NodeLedger(
            LedgerParts(
                chain=self.chain,
                profile=self.profile,
                pool=self.intake.pool,
                pool_lock=self.intake.lock,
                submit=self.intake.submit,
                monotonic_s=time.monotonic,
            )
        )
        self.rpc = RpcService(
            backends=Backends(
                ledger=ledger, consensus=QuietConsensus(RpcChain()), clock_s=lambda: 0
            ),
            table=PUBLIC_METHODS,
            limits=GENEROUS,
            new_id=new_id,
            monotonic_s=time.monotonic,
            observe=self._observe,
        )

    def _observe(self, method: str, seconds: float, is_success: bool) -> None:
        self.metrics.saw_call(method, seconds)
        assert is_success

    def judge(self) -> None:
        """Judge by the chain's head as after a jump."""
        self.intake.upon_jump(PoolHead(header=self.chain.head, view=self.chain.head_view()))

    def take_bodies(self, bodies: list[bytes]) -> None:
        """Answer requests of clients."""

        async def work() -> None:
            for body in bodies:
                await self.rpc.answer_body(body, "client")

        asyncio.run(work())

    def take_frames(self, received: list[bytes]) -> None:
        """Take what a peer shares."""
        for data in received:
            frame = decode_frame(data)
            assert isinstance(frame, frames.TransactionBatch)
            assert not self.intake.submit_batch(frame.transactions, "peer 0x00")

    def build(self) -> Block:
        """Build the next block of everything that waits."""
        parent = self.chain.head
        asked = BuildBlock(
            height=Height(parent.height + 1),
            round=Round(0),
            parent=parent,
            coinbase=self.validators[0],
            timestamp_s=parent.timestamp_s + 2,
            extra_data=ExtraData(validators=self.validators),
            may_be_empty=True,
        )
        block = asyncio.run(self.blocks.build(asked))
        assert block is not None
        return block

    def check(self, block: Block) -> None:
        """Check a proposed block."""
        assert self.blocks._validate(self.chain.head, block)

    def commit(self, block: Block) -> None:
        """Write a decided block."""
        asyncio.run(self.blocks.commit(block))

    def hear(self, block: Block) -> None:
        """Judge by the new head."""
        head = PoolHead(header=block.header, view=self.chain.head_view())
        self.intake.upon_head(head, block.transactions)


class Costs:
    """The least processor time of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def measure(self, step: str, work: Callable[[], T]) -> T:
        """Do a step and note what it cost."""
        gc.collect()
        gc.disable()
        began_s = time.process_time()
        done = work()
        spent_s = time.process_time() - began_s
        gc.enable()
        self.seconds[step] = min(spent_s, self.seconds.get(step, spent_s))
        return done


def main() -> None:
    """Measure every step and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ballots", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    costs = Costs()
    with tempfile.TemporaryDirectory() as root:
        proposer, follower = _found(Path(root))
        for number in range(given.rounds):
            ballots = [_ballot(number * given.ballots + at) for at in range(given.ballots)]
            measure_round(costs, proposer, follower, ballots)
    steps = {step: round(s / given.ballots * 1e6, 1) for step, s in costs.seconds.items()}
    share = 1 / VALIDATORS
    total = (
        share * (steps["client's request"] + steps["share with peers"])
        + (1 - share) * steps["peer's gossip"]
        + share * (steps["build"] + steps["encode the proposal"])
        + (1 - share) * (steps["decode the proposal"] + steps["check the block"])
        + steps["commit"]
        + steps["new head at the pool"]
    )
    record(
        "path",
        {
            "million_additions_ms": measure_machine(),
            "us_per_ballot": steps,
            "validator_of_four_us_per_ballot": round(total, 1),
        },
    )


def measure_round(
    costs: Costs, proposer: Validator, follower: Validator, ballots: list[Transaction]
) -> None:
    """Take ballots to a final block at both, each step measured."""
    bodies = _bodies(ballots)
    costs.measure("client's request", lambda: proposer.take_bodies(bodies))
    shared = costs.measure("share with peers", lambda: _share(ballots))
    costs.measure("peer's gossip", lambda: follower.take_frames(shared))
    block = costs.measure("build", proposer.build)
    assert len(block.transactions) == len(ballots)
    proposal = _propose(block)
    data = costs.measure("encode the proposal", lambda: encode_message(proposal))
    heard = costs.measure("decode the proposal", lambda: decode_message(data))
    assert isinstance(heard, Proposal)
    copy = heard.signed.payload.block
    costs.measure("check the block", lambda: follower.check(copy))
    for validator, own in ((proposer, block), (follower, copy)):
        sealed = seal(own)
        costs.measure("commit", lambda at=validator, it=sealed: at.commit(it))  # type: ignore[misc]
        costs.measure("new head at the pool", lambda at=validator, it=sealed: at.hear(it))  # type: ignore[misc]
    assert not len(proposer.intake.pool) + len(follower.intake.pool)


def _found(root: Path) -> tuple[Validator, Validator]:
    """Return two nodes whose chain holds the ballot box, open to anyone."""
    out = vyper.compile_code(SOURCE.read_text(), output_formats=["bytecode", "method_identifiers"])
    ((selector,),) = [
        [value for name, value in out["method_identifiers"].items() if name.startswith("cast(")]
    ]
    box = compute_contract_address(GOVERNOR_KEY.address, 0)
    opened = OpenCall(target=box, selector=bytes.fromhex(selector[2:]), gas_max=GAS_LIMIT)
    description = replace(describe(open_calls=(opened,)), block_gas_limit=BLOCK_GAS_LIMIT)
    genesis = build_genesis(description)
    nodes = (Validator(root / "proposer", genesis), Validator(root / "follower", genesis))
    init = bytes.fromhex(out["bytecode"][2:]) + encode(["address"], [REGISTRAR.address])
    call = keccak256(b"open_election(uint256)")[:4] + encode(["uint256"], [ELECTION])
    for nonce, (to, data) in enumerate([(None, init), (box, call)]):
        sent = sign_transaction(
            GOVERNOR_KEY, chain_id=CHAIN_ID, nonce=nonce, gas_limit=3_000_000, to=to, data=data
        )
        for node in nodes:
            node.intake.submit(sent.raw, "governor")
        block = nodes[0].build()
        for node in nodes:
            node.commit(seal(block))
            node.hear(block)
    return nodes


def _ballot(number: int) -> Transaction:
    box = compute_contract_address(GOVERNOR_KEY.address, 0)
    voter = PrivateKey(keccak256(b"voter %d" % number))
    return make_ballot(number, key=voter, to=box, chain_id=CHAIN_ID)


def _share(ballots: list[Transaction]) -> list[bytes]:
    shared = [ballot.raw for ballot in ballots]
    return [encode_frame(frames.TransactionBatch(transactions=batch)) for batch in batches(shared)]


def _propose(block: Block) -> Proposal:
    payload = ProposalPayload(height=block.height, round=Round(0), block=block)
    key = VALIDATOR_KEYS[0]
    draft = ProposalDraft(payload=payload, round_changes=(), prepares=())
    proposal = sign_draft(draft, key.sign, key.address)
    assert isinstance(proposal, Proposal)
    return proposal


def _bodies(ballots: list[Transaction]) -> list[bytes]:
    calls = [
        {
            "jsonrpc": "2.0",
            "id": at,
            "method": "eth_sendRawTransaction",
            "params": ["0x" + ballot.raw.hex()],
        }
        for at, ballot in enumerate(ballots)
    ]
    return [json.dumps(calls[at : at + BATCH]).encode() for at in range(0, len(calls), BATCH)]


if __name__ == "__main__":
    main()
