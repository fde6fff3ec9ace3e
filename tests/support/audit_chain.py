"""A chain worth auditing, in memory: every role sends, a validator is voted in, an epoch begins.

Whoever builds it holds all keys. `AuditedChain.make` is an honest proposer unless told otherwise;
with another rule it is a majority that colludes, and what it makes is consistent in itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from clients.auditor.chain_audit import ChainInputs, Running, audit_chain
from clients.auditor.checks import Report
from clients.auditor.documents import Documents
from clients.auditor.work_folder import WorkFolder
from clients.core.trust import Municipality
from node.consensus.checkpoint import Checkpoint, build_checkpoint, sign_checkpoint
from node.consensus.proposer import select_proposer
from node.consensus.validators import ValidatorTally, apply_header, tally_at_base
from node.execution.admission import TransactionRule
from node.execution.evm import compute_contract_address
from node.execution.profile import Interpreter
from node.execution.proposal import BlockDraft, build_block
from node.genesis.profile import PERMISSIONS_ADDRESS
from node.genesis.system_contracts import OpenCall
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey
from node.primitives.header import ExtraData, Header, ValidatorVote
from node.primitives.transaction import Transaction
from node.primitives.types import Height, Round
from node.runtime.bundle_file import BundlePlan, export_bundle
from tests.support.assembler import assemble
from tests.support.ledger import (
    GOVERNOR_KEY,
    SERVICE_KEYS,
    VALIDATOR_KEYS,
    Ledger,
    describe,
    encode_call,
    key_of,
    seal,
)

EPOCH: Final = 8
JOINING_KEY: Final = key_of("validator 5")
RESIDENT_KEY: Final = key_of("resident")
PASSER_KEY: Final = key_of("passer-by")
EXPORTER_KEY: Final = VALIDATOR_KEYS[0]
GOVERNORS: Final = tuple(key_of(f"governor of municipality {at}") for at in range(3))
MUNICIPALITIES: Final = tuple(
    Municipality(name=f"municipality {at}", governors=frozenset({key.address}), node_url=None)
    for at, key in enumerate(GOVERNORS)
)
KEYS: Final = {key.address: key for key in (*VALIDATOR_KEYS, JOINING_KEY)}
RECORDER: Final = compute_contract_address(GOVERNOR_KEY.address, 0)
RECORD: Final = "record(uint256)"
_FAIL: Final = 26


def recorder_code() -> bytes:
    """Return a contract that keeps the argument for its caller and tells it; 0 makes it fail."""
    body = assemble(f"4 CALLDATALOAD ISZERO {_FAIL} JUMPI 4 CALLDATALOAD CALLER SSTORE")
    body += assemble("4 CALLDATALOAD 0 MSTORE 7 32 0 LOG1 STOP")
    assert len(body) == _FAIL
    runtime = body + assemble("JUMPDEST 0 0 REVERT")
    init = assemble(f"{len(runtime)} 12 0 CODECOPY {len(runtime)} 0 RETURN")
    assert len(init) == 12
    return init + runtime


class AuditedChain:
    """A ledger whose blocks follow votes, and whose builder holds every key."""

    def __init__(self, *, label: str = "") -> None:
        """Start at genesis; another label makes another history of the same network."""
        opened = OpenCall(target=RECORDER, selector=encode_call(RECORD, 1)[:4], gas_max=100_000)
        description = replace(describe(open_calls=(opened,)), epoch_length=EPOCH)
        self.ledger = Ledger(description, Interpreter.LOOP)
        self.tally: ValidatorTally = tally_at_base(self.ledger.genesis.header)
        self.label = label

    def make(
        self,
        *transactions: Transaction,
        vote: ValidatorVote | None = None,
        at: int = 0,
        rule: TransactionRule | None = None,
        seal_count: int | None = None,
    ) -> Block:
        """Make the next block, decided in round ``at``, of transactions that ``rule`` admits."""
        ledger, parent = self.ledger, self.ledger.head
        validators = self.tally.validators
        built = build_block(
            parent=parent,
            draft=BlockDraft(
                timestamp_s=parent.timestamp_s + 2,
                coinbase=select_proposer(validators, parent_coinbase=parent.coinbase, at=Round(at)),
                extra_data=ExtraData(
                    vanity=self.label.encode().ljust(32, b"\x00"),
                    validators=validators,
                    vote=vote,
                    round=Round(at),
                ),
            ),
            candidates=transactions,
            view=ledger.view,
            profile=ledger.profile,
            rule=rule or ledger.rule,
            ancestor_hash=ledger.chain.load_hash,
            is_time_up=lambda: False,
        )
        assert len(built.block.transactions) == len(transactions), built.skipped
        block = seal(built.block, self.sealers(seal_count))
        ledger.chain.commit_block(block, built.result.receipts, built.result.overlay)
        self.follow(block)
        return block

    def follow(self, block: Block) -> None:
        """Take the tally over a block that was committed."""
        self.tally = apply_header(self.tally, block.header, epoch_length=EPOCH)

    def sealers(self, count: int | None = None) -> list[PrivateKey]:
        """Return the keys of the present set, or the first ``count`` of them."""
        return [KEYS[each] for each in self.tally.validators][:count]

    def record(self, key: PrivateKey, value: int, *, ahead: int = 0) -> Transaction:
        """Sign a call of the recorder; of 0 a call that is not open, and fails."""
        data = encode_call(RECORD if value else "fail(uint256)", value)
        return self.ledger.call(key, RECORDER, data, gas_limit=100_000, nonce_ahead=ahead)

    def begin(self) -> None:
        """Make the first seven blocks: contract, roles, open calls, a validator voted in."""
        join = ValidatorVote(recipient=JOINING_KEY.address, is_add=True)
        until_s = self.ledger.head.timestamp_s + 1_000
        attest = encode_call("attest_residents(address[],uint256)", [RESIDENT_KEY.address], until_s)
        self.make(self.ledger.call(GOVERNOR_KEY, None, recorder_code(), gas_limit=1_000_000))
        self.make(
            self.ledger.call(SERVICE_KEYS[0], PERMISSIONS_ADDRESS, attest),
            self.record(SERVICE_KEYS[1], 5),
        )
        self.make(self.record(RESIDENT_KEY, 7), self.record(PASSER_KEY, 9), vote=join)
        self.make(self.record(SERVICE_KEYS[0], 0), vote=join, at=1, seal_count=3)
        self.make(vote=join)
        self.make(self.record(SERVICE_KEYS[1], 11), seal_count=4)
        self.make(self.record(SERVICE_KEYS[2], 12), self.record(SERVICE_KEYS[2], 13, ahead=1))

    def end(self) -> None:
        """Make the epoch block and one after it."""
        self.make(self.record(RESIDENT_KEY, 15), seal_count=4)
        self.make(self.record(SERVICE_KEYS[3], 16))

    def header(self, height: int) -> Header:
        """Return a header of the chain."""
        return self.ledger.chain.load_header(Height(height))

    def checkpoint(self, height: int, signers: Sequence[PrivateKey] = GOVERNORS[:2]) -> Checkpoint:
        """Return a checkpoint of the chain, signed."""
        made = build_checkpoint(self.header(height), self.ledger.genesis.profile.genesis_hash)
        for key in signers:
            made = sign_checkpoint(made, key)
        return made

    def export(
        self,
        path: Path,
        *,
        start: int = 1,
        snapshot_interval: int = 3,
        files: tuple[Path, ...] = (),
        evidence: Sequence[bytes] = (),
    ) -> Path:
        """Write the chain's bundle."""
        plan = BundlePlan(
            profile=self.ledger.genesis.profile,
            start=Height(start),
            stop=self.ledger.head.height,
            snapshot_interval=snapshot_interval,
            files=files,
            evidence=evidence,
            key=EXPORTER_KEY,
        )
        export_bundle(self.ledger.chain, path, plan, lambda _height: None)
        return path


def make_audited_chain(label: str = "") -> AuditedChain:
    """Make the whole chain, honestly."""
    chain = AuditedChain(label=label)
    chain.begin()
    chain.end()
    return chain


@dataclass(kw_only=True)
class Audit:
    """What an auditor in a test brings along."""

    genesis_file: bytes
    """The genesis file."""
    genesis_hash: bytes
    """Its hash."""
    checkpoints: list[tuple[str, bytes]] = field(default_factory=list)
    """Checkpoints' files."""
    files: tuple[bytes, ...] = ()
    """Files that must be attached."""

    def run(self, bundle: Path, **running: object) -> Report:
        """Audit a bundle."""
        documents = Documents(
            genesis_hash=self.genesis_hash,  # type: ignore[arg-type]
            checkpoints=self.checkpoints,
            municipalities=MUNICIPALITIES,
        )
        inputs = ChainInputs(
            bundle=bundle,
            genesis_file=self.genesis_file,
            documents=documents,
            files=self.files,
        )
        options: dict[str, object] = {
            "tool": "daicho",
            "now_s": 1_790_000_000,
            "clock": lambda: 0.0,
            "tell": lambda _progress: None,
            "work": WorkFolder(None),
            **running,
        }
        return audit_chain(inputs, Running(**options))  # type: ignore[arg-type]


def audit_of(chain: AuditedChain) -> Audit:
    """Return an auditor's papers for a chain."""
    return Audit(
        genesis_file=chain.ledger.genesis_file,
        genesis_hash=chain.ledger.genesis.profile.genesis_hash,
    )
