"""A ledger in memory with the permission contracts, four founders and every role's key.

No consensus runs: blocks are built, executed again as another node would, and sealed by all four
validators. Tests name the role they act as and send.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from eth_abi import encode

from contracts.artifact import load_artifact
from node.consensus.proposer import select_proposer
from node.execution.evm import compute_contract_address
from node.execution.executor import ExecutionResult, execute_block
from node.execution.permissions import PermissionRule
from node.execution.profile import Interpreter, profile_of_chain
from node.execution.proposal import BlockDraft, BuiltBlock, Skipped, build_block
from node.genesis.build import TRANSACTION_GAS_MAX, GenesisDescription, build_genesis
from node.genesis.parse import parse_genesis
from node.genesis.system_contracts import Municipality, OpenCall
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import ExtraData, Header
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address, Height, Round
from node.storage.chain import open_chain
from node.storage.first_state import changes_of
from node.storage.kv import MemoryStore
from node.storage.state_store import CommittedView, StateMode

CHAIN_ID: Final = 20_261
GENESIS_TIME_S: Final = 1_790_000_000
NAMES: Final = ("つくば市", "五霞町", "境町", "茨城県")


def key_of(role: str) -> PrivateKey:
    """Return the development key of a role, always the same."""
    return PrivateKey(keccak256(b"daicho development key: " + role.encode()))


def encode_call(signature: str, *arguments: object) -> bytes:
    """Return the call data of ``name(types)`` with ``arguments``."""
    types = signature[signature.index("(") + 1 : -1]
    selector = keccak256(signature.encode())[:4]
    return selector + encode(types.split(",") if types else [], arguments)


MUNICIPALITY_KEYS: Final = tuple(key_of(f"municipality {at}") for at in range(1, 5))
VALIDATOR_KEYS: Final = tuple(key_of(f"validator {at}") for at in range(1, 5))
SERVICE_KEYS: Final = tuple(key_of(f"service {at}") for at in range(1, 5))
GOVERNOR_KEY: Final = key_of("governor")
OUTSIDER_KEY: Final = key_of("outsider")


def describe(
    *, open_calls: tuple[OpenCall, ...] = (), municipality_count: int = 4
) -> GenesisDescription:
    """Describe a network of founders with a service each; the first's may attest residents."""
    return GenesisDescription(
        chain_id=CHAIN_ID,
        timestamp_s=GENESIS_TIME_S,
        municipalities=tuple(
            Municipality(
                name=NAMES[at],
                account=MUNICIPALITY_KEYS[at].address,
                validator=VALIDATOR_KEYS[at].address,
                endpoint=f"https://node{at + 1}.example.lg.jp",
                services=(SERVICE_KEYS[at].address,),
                attesters=(SERVICE_KEYS[at].address,) if at < 2 else (),
            )
            for at in range(municipality_count)
        ),
        governors=(GOVERNOR_KEY.address,),
        open_calls=open_calls,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A block the ledger made."""

    block: Block
    """Sealed by every validator."""
    result: ExecutionResult
    """What executing it gave."""
    skipped: tuple[Skipped, ...]
    """Transactions it does not hold, and why."""


class Ledger:
    """A chain in memory."""

    def __init__(
        self,
        description: GenesisDescription | None = None,
        interpreter: Interpreter = Interpreter.STOCK,
    ) -> None:
        """Start at genesis; blocks run on ``interpreter``."""
        self.interpreter = interpreter
        self.genesis_file = build_genesis(description or describe())
        self.genesis = parse_genesis(self.genesis_file)
        self.rule = PermissionRule()
        self.profile = profile_of_chain(self.genesis.profile)
        self.chain = open_chain(
            MemoryStore(),
            genesis=Block(header=self.genesis.header),
            alloc=changes_of(self.genesis),
            mode=StateMode.ARCHIVE,
        )

    @property
    def head(self) -> Header:
        """Return the header of the last block."""
        return self.chain.head

    @property
    def view(self) -> CommittedView:
        """Return the state after the last block."""
        return self.chain.head_view()

    def nonce_of(self, address: Address) -> int:
        """Return the next nonce of an account."""
        account = self.view.load_account(address)
        return 0 if account is None else account.nonce

    def call(
        self,
        key: PrivateKey,
        to: Address | None,
        data: bytes = b"",
        *,
        gas_limit: int = 500_000,
        nonce_ahead: int = 0,
        value_wei: int = 0,
    ) -> Transaction:
        """Sign a transaction at the sender's next nonce, or ``nonce_ahead`` after it."""
        return sign_transaction(
            key,
            chain_id=self.profile.chain_id,
            nonce=self.nonce_of(key.address) + nonce_ahead,
            gas_limit=gas_limit,
            to=to,
            data=data,
            value_wei=value_wei,
        )

    def build(self, *transactions: Transaction, seconds: int = 2) -> BuiltBlock:
        """Build the next block of what is admitted of ``transactions``, without accepting it."""
        parent = self.head
        proposer = select_proposer(
            self.genesis.profile.validators, parent_coinbase=parent.coinbase, at=Round(0)
        )
        return build_block(
            parent=parent,
            draft=BlockDraft(
                timestamp_s=parent.timestamp_s + seconds,
                coinbase=proposer,
                extra_data=ExtraData(validators=self.genesis.profile.validators),
            ),
            candidates=transactions,
            view=self.view,
            profile=self.profile,
            rule=self.rule,
            ancestor_hash=self.chain.load_hash,
            is_time_up=lambda: False,
            interpreter=self.interpreter,
        )

    def make(self, *transactions: Transaction, seconds: int = 2) -> Made:
        """Make the next block of what is admitted of ``transactions``, and accept it.

        The block is executed a second time from its bytes' records, as by another validator.
        """
        built = self.build(*transactions, seconds=seconds)
        result = self.execute(built.block)
        assert result.state_root == built.block.header.state_root
        block = seal(built.block)
        self.chain.commit_block(block, result.receipts, result.overlay)
        return Made(block=block, result=result, skipped=built.skipped)

    def execute(self, block: Block) -> ExecutionResult:
        """Execute a child of the head as a validator does, without accepting it."""
        return execute_block(
            parent=self.head,
            block=block,
            view=self.view,
            profile=self.profile,
            rule=self.rule,
            ancestor_hash=self.chain.load_hash,
            interpreter=self.interpreter,
        )

    def export(self) -> bytes:
        """Return every block after genesis as a stream of RLP."""
        blocks = self.chain.iterate_blocks(Height(1), self.head.height)
        return b"".join(block.encode() for block in blocks)


def deploy(ledger: Ledger, name: str, *contracts: Address) -> Address:
    """Let the governor create a contract from its artifact, and return its address.

    Its constructor takes the addresses of ``contracts``.
    """
    code = load_artifact(name).bytecode + encode(["address"] * len(contracts), contracts)
    creation = ledger.call(GOVERNOR_KEY, None, code, gas_limit=TRANSACTION_GAS_MAX // 2)
    assert ledger.make(creation).result.receipts[0].is_success
    return compute_contract_address(GOVERNOR_KEY.address, creation.nonce)


def seal(block: Block, keys: Sequence[PrivateKey] = VALIDATOR_KEYS) -> Block:
    """Return ``block`` with the commit seals of ``keys``."""
    return block.with_seals(tuple(key.sign(block.header.seal_hash) for key in keys))


def reclaim(block: Block, **changes: object) -> Block:
    """Return ``block`` with other claims in its header: a lying proposer's."""
    return Block(
        header=replace(block.header, **changes),  # type: ignore[arg-type]
        transactions=block.transactions,
    )
