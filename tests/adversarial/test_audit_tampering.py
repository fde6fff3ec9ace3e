"""AUDIT-WALK, AUDIT-REPLAY, AUDIT-CHECKPOINT, AUDIT-FILES: every lie is named by its check.

The attackers: whoever hands over the file, who edits it and closes it again; the exporting node,
which signs what it likes; and all validators together, who seal another chain, execute what is
forbidden, or rewrite history. Each lie is told alone. The auditor must fail exactly the checks
named, so that a report says what is wrong and nothing besides.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from clients.auditor.checks import Conclusion
from node.consensus.checkpoint import encode_checkpoint
from node.execution.admission import admit_all
from node.execution.proposal import BlockDraft, build_block
from node.execution.rules import compute_transactions_root
from node.genesis.build import build_genesis
from node.genesis.parse import parse_genesis
from node.membership.recovery import build_recovery, encode_recovery
from node.primitives import rlp
from node.primitives.block import Block
from node.primitives.bundle import (
    AncestorRecord,
    BlockRecord,
    BundleHeader,
    EndRecord,
    EvidenceRecord,
    FilePart,
    FileRecord,
    RecoveryRecord,
    SignatureRecord,
    SnapshotRecord,
    StateChunk,
)
from node.primitives.crypto import sha256
from node.primitives.header import ExtraData, ValidatorVote
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import BlockHash, Hash32, Height, Round
from node.storage.state import build_overlay
from tests.support.audit_chain import (
    GOVERNORS,
    JOINING_KEY,
    PASSER_KEY,
    RECORD,
    RECORDER,
    Audit,
    AuditedChain,
    audit_of,
    make_audited_chain,
)
from tests.support.ledger import (
    CHAIN_ID,
    OUTSIDER_KEY,
    SERVICE_KEYS,
    VALIDATOR_KEYS,
    describe,
    encode_call,
    seal,
)
from tests.support.tampering import (
    STRANGER,
    Draft,
    Tampering,
    at_record,
    evidence_against,
    flip_high_s,
    load_draft,
)

OTHER_HASH: Final = Hash32(b"\x11" * 32)
ATTACHED: Final = b"a proof that the chain names by its digest"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A good bundle and what an auditor holds besides."""

    chain: AuditedChain
    bundle: Path
    folder: Path

    def audit(self) -> Audit:
        audit = audit_of(self.chain)
        checkpoint = encode_checkpoint(self.chain.checkpoint(7)).encode()
        audit.checkpoints = [("gazette", checkpoint)]
        audit.files = (sha256(ATTACHED),)
        return audit


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("bundle")
    attached = folder / "proof.json"
    attached.write_bytes(ATTACHED)
    chain = make_audited_chain()
    evidence = [evidence_against(VALIDATOR_KEYS[2], height=4)]
    bundle = chain.export(folder / "good", files=(attached,), evidence=evidence)
    return Made(chain=chain, bundle=bundle, folder=folder)


def test_the_good_bundle_is_confirmed(made: Made) -> None:
    report = made.audit().run(made.bundle)

    assert report.failed == ()
    assert report.conclusion is Conclusion.CONFIRMED
    assert any(VALIDATOR_KEYS[2].address.hex() in note for note in report.notes)


# Lies about the file


def cut_at(kind: type, nth: int = 0) -> Callable[[bytes], bytes]:
    return lambda data: data[: at_record(data, kind, nth=nth)]


def insert(record: bytes, kind: type) -> Callable[[bytes], bytes]:
    def rewrite(data: bytes) -> bytes:
        at = at_record(data, kind)
        return data[:at] + record + data[at:]

    return rewrite


def end_with(**changes: object) -> Callable[[Draft], None]:
    def change(draft: Draft) -> None:
        draft.edit(EndRecord, **changes)
        draft.is_closed = False

    return change


def sign_with_strangers_key(draft: Draft) -> None:
    draft.signer = STRANGER


def leave_unsigned(draft: Draft) -> None:
    draft.signer = None


def drop_attached_file(draft: Draft) -> None:
    draft.remove(FileRecord)
    draft.remove(FilePart)


def alter_state(draft: Draft) -> None:
    at = draft.find(StateChunk)
    chunk = draft.records[at]
    assert isinstance(chunk, StateChunk)
    entries = [
        [rlp.as_bytes(part) for part in rlp.as_list(e)] for e in rlp.decode_list(chunk.entries)
    ]
    slot = next(entry for entry in entries if entry[0] == b"s")
    slot[2] = b"\x07\x07"
    draft.records[at] = replace(chunk, entries=rlp.encode(entries))


def drop_first_state(draft: Draft) -> None:
    at = draft.find(SnapshotRecord)
    del draft.records[at : at + 2]


def swap_states(draft: Draft) -> None:
    first = draft.find(StateChunk)
    second = next(
        at
        for at in range(first + 1, len(draft.records))
        if isinstance(draft.records[at], StateChunk)
    )
    one, two = draft.records[first], draft.records[second]
    draft.records[first], draft.records[second] = two, one


def replace_evidence(evidence: bytes) -> Callable[[Draft], None]:
    return lambda draft: draft.edit(EvidenceRecord, evidence=evidence)


def add_recovery(draft: Draft) -> None:
    header = draft.records[0]
    assert isinstance(header, BundleHeader)
    document = build_recovery(
        genesis_hash=header.genesis_hash,
        height=Height(5),
        parent_hash=BlockHash(OTHER_HASH),
        validators=[STRANGER.address],
        lost=[],
        reason="a coup",
    )
    draft.records.insert(1, RecoveryRecord(document=encode_recovery(document).encode()))


def recover_a_living_network(draft: Draft) -> None:
    header = draft.records[0]
    assert isinstance(header, BundleHeader)
    document = build_recovery(
        genesis_hash=header.genesis_hash,
        height=Height(5),
        parent_hash=draft.block(4).hash,
        validators=[key.address for key in VALIDATOR_KEYS],
        lost=[],
        reason="a coup",
    )
    draft.records.insert(1, RecoveryRecord(document=encode_recovery(document).encode()))


FILE_LIES: Final = (
    Tampering(
        name="torn inside a record",
        rewrite=lambda data: data[: at_record(data, BlockRecord, nth=4) + 100],
        caught_by=("bundle.form", "bundle.range", "bundle.files", "bundle.states"),
    ),
    Tampering(
        name="cut after a whole record",
        rewrite=cut_at(BlockRecord, 5),
        caught_by=("bundle.order", "bundle.range", "bundle.files", "bundle.states"),
    ),
    Tampering(name="without its end", rewrite=cut_at(EndRecord), caught_by=("bundle.order",)),
    Tampering(
        name="without its signature record",
        rewrite=cut_at(SignatureRecord),
        caught_by=("bundle.order",),
    ),
    Tampering(
        name="trailing garbage",
        rewrite=lambda data: data + b"\x00garbage",
        caught_by=("bundle.form",),
    ),
    Tampering(
        name="a record after the signature",
        rewrite=lambda data: data + RecoveryRecord(document=b"{}").encode(),
        caught_by=("bundle.order",),
    ),
    Tampering(
        name="a record of unknown kind",
        rewrite=insert(rlp.encode([b"comment", b"x"]), EndRecord),
        caught_by=("bundle.form",),
    ),
    Tampering(
        name="an ancestor among the blocks",
        rewrite=insert(AncestorRecord(header=b"\xc0").encode(), EvidenceRecord),
        caught_by=("bundle.order", "bundle.files"),
    ),
    Tampering(
        name="another magic line",
        rewrite=lambda data: b"X" + data[1:],
        caught_by=("bundle.form", "bundle.files"),
    ),
    Tampering(
        name="another digest",
        change=end_with(digest=bytes(32)),
        caught_by=("bundle.digest", "bundle.signature"),
    ),
    Tampering(
        name="other counts",
        change=end_with(transaction_count=3),
        caught_by=("bundle.digest", "bundle.signature"),
    ),
    Tampering(
        name="signed by a stranger",
        change=sign_with_strangers_key,
        caught_by=("bundle.signature",),
    ),
    Tampering(name="signature removed", change=leave_unsigned, caught_by=("bundle.signature",)),
    Tampering(
        name="another network named",
        change=lambda draft: draft.edit(BundleHeader, genesis_hash=OTHER_HASH),
        caught_by=("bundle.network",),
    ),
    Tampering(
        name="another chain id named",
        change=lambda draft: draft.edit(BundleHeader, chain_id=1),
        caught_by=("bundle.network",),
    ),
    Tampering(
        name="a longer range claimed",
        change=lambda draft: draft.edit(BundleHeader, last=Height(10)),
        caught_by=("bundle.range",),
    ),
    Tampering(
        name="an attached file altered",
        change=lambda draft: draft.edit(FilePart, data=b"another proof"),
        caught_by=("bundle.files",),
    ),
    Tampering(
        name="an attached file left out",
        change=drop_attached_file,
        caught_by=("bundle.files",),
    ),
    Tampering(name="a state altered", change=alter_state, caught_by=("bundle.states",)),
    Tampering(name="a state left out", change=drop_first_state, caught_by=("bundle.states",)),
    Tampering(name="two states swapped", change=swap_states, caught_by=("bundle.states",)),
    Tampering(
        name="a state of another height",
        change=lambda draft: draft.edit(SnapshotRecord, height=Height(2)),
        caught_by=("bundle.states",),
    ),
    Tampering(
        name="evidence against a stranger",
        change=replace_evidence(evidence_against(STRANGER, height=4)),
        caught_by=("chain.evidence",),
    ),
    Tampering(
        name="evidence of nothing",
        change=replace_evidence(evidence_against(VALIDATOR_KEYS[0], height=4, is_honest=True)),
        caught_by=("chain.evidence",),
    ),
    Tampering(
        name="evidence that is none",
        change=replace_evidence(b"\xc0"),
        caught_by=("chain.evidence",),
    ),
    Tampering(
        name="a recovery that never took place",
        change=add_recovery,
        caught_by=("chain.recovery",),
    ),
    Tampering(
        name="a recovery of a network that could decide",
        change=recover_a_living_network,
        caught_by=("chain.recovery",),
    ),
    Tampering(
        name="a recovery document that is none",
        change=lambda draft: draft.records.insert(1, RecoveryRecord(document=b"{}")),
        caught_by=("chain.recovery",),
    ),
    Tampering(
        name="a block that does not decode",
        change=lambda draft: draft.edit(BlockRecord, block=b"\xc0"),
        caught_by=(
            "bundle.form",
            "bundle.range",
            "chain.height",
            "chain.parent",
            "chain.proposer",
        ),
    ),
)


# Lies in headers, sealed by everyone


def claim(at: int, /, **changes: object) -> Callable[[Draft], None]:
    return lambda draft: draft.reclaim(at, **changes)


def expect_another_set(draft: Draft) -> None:
    extra = draft.block(3).header.extra_data
    draft.extra(3, validators=tuple(sorted((*extra.validators, STRANGER.address))))


def reverse_set(draft: Draft) -> None:
    draft.extra(3, validators=draft.block(3).header.extra_data.validators[::-1])


def take_a_turn(draft: Draft) -> None:
    header = draft.block(6).header
    members = header.extra_data.validators
    after = members[(members.index(header.coinbase) + 1) % len(members)]
    draft.reclaim(6, coinbase=after)


def vote_in_epoch_block(draft: Draft) -> None:
    draft.extra(8, vote=ValidatorVote(recipient=STRANGER.address, is_add=True))


def drop_a_vote(draft: Draft) -> None:
    draft.extra(4, vote=None)


def turn_a_vote(draft: Draft) -> None:
    draft.extra(5, vote=ValidatorVote(recipient=JOINING_KEY.address, is_add=False))


def hurry(draft: Draft) -> None:
    draft.reclaim(4, timestamp_s=draft.block(3).header.timestamp_s + 1)


def skip_a_height(draft: Draft) -> None:
    draft.reclaim(9, height=Height(10))


HEADER_LIES: Final = (
    Tampering(
        name="another parent",
        change=claim(3, parent_hash=OTHER_HASH),
        caught_by=("chain.parent",),
    ),
    Tampering(
        name="another mix hash", change=claim(3, mix_hash=OTHER_HASH), caught_by=("chain.mix-hash",)
    ),
    Tampering(
        name="another difficulty", change=claim(3, difficulty=2), caught_by=("chain.difficulty",)
    ),
    Tampering(name="another nonce", change=claim(3, nonce=b"\x01" * 8), caught_by=("chain.nonce",)),
    Tampering(name="ommers", change=claim(3, ommers_hash=OTHER_HASH), caught_by=("chain.ommers",)),
    Tampering(name="a base fee", change=claim(3, base_fee_wei=7), caught_by=("chain.base-fee",)),
    Tampering(
        name="withdrawals",
        change=claim(3, withdrawals_root=OTHER_HASH),
        caught_by=("chain.withdrawals",),
    ),
    Tampering(
        name="another gas limit",
        change=claim(3, gas_limit=60_000_000),
        caught_by=("chain.gas-limit",),
    ),
    Tampering(
        name="more gas used than allowed",
        change=claim(3, gas_used=31_000_000),
        caught_by=("chain.gas-bound", "execution.gas"),
    ),
    Tampering(name="a block too early", change=hurry, caught_by=("chain.time",)),
    Tampering(name="out of turn", change=take_a_turn, caught_by=("chain.proposer",)),
    Tampering(
        name="made by a stranger",
        change=claim(9, coinbase=STRANGER.address),
        caught_by=("chain.proposer",),
    ),
    Tampering(
        name="a validator nobody voted for",
        change=expect_another_set,
        caught_by=("chain.validators",),
    ),
    Tampering(
        name="the set in another order",
        change=reverse_set,
        caught_by=("chain.validators",),
    ),
    Tampering(
        name="a vote in an epoch block", change=vote_in_epoch_block, caught_by=("chain.vote",)
    ),
    Tampering(
        name="a vote left out, its effect kept",
        change=drop_a_vote,
        caught_by=(
            "chain.validators",
            "chain.proposer",
            "seals.form",
            "seals.stranger",
        ),
    ),
    Tampering(
        name="a vote turned round, its effect kept",
        change=turn_a_vote,
        caught_by=(
            "chain.validators",
            "chain.proposer",
            "seals.form",
            "seals.stranger",
        ),
    ),
    Tampering(
        name="a height skipped",
        change=skip_a_height,
        caught_by=(
            "bundle.range",
            "bundle.states",
            "chain.height",
        ),
    ),
    Tampering(
        name="another state root",
        change=claim(5, state_root=OTHER_HASH),
        caught_by=("execution.state-root",),
    ),
    Tampering(
        name="another receipts root",
        change=claim(5, receipts_root=OTHER_HASH),
        caught_by=("execution.receipts-root",),
    ),
    Tampering(
        name="another bloom",
        change=claim(5, bloom=b"\x01" * 256),
        caught_by=("execution.bloom",),
    ),
    Tampering(
        name="another gas used", change=claim(5, gas_used=21_000), caught_by=("execution.gas",)
    ),
    Tampering(
        name="another transactions root",
        change=claim(5, transactions_root=OTHER_HASH),
        caught_by=("execution.body",),
    ),
)


# Lies in seals


def sealed_by(*keys: object) -> Callable[[Draft], None]:
    return lambda draft: draft.seals(
        7,
        lambda header: tuple(key.sign(header.seal_hash) for key in keys),  # type: ignore[attr-defined]
    )


def seal_twice(draft: Draft) -> None:
    draft.seals(7, lambda header: (header.extra_data.seals[0], *header.extra_data.seals[:4]))


def take_seals_of_another_block(draft: Draft) -> None:
    draft.seals(7, lambda _header: draft.block(6).header.extra_data.seals)


def malleate(draft: Draft) -> None:
    draft.seals(
        7,
        lambda header: (
            flip_high_s(header.extra_data.seals[0]),
            *header.extra_data.seals[1:],
        ),
    )


def add_seals(draft: Draft) -> None:
    draft.seals(7, lambda header: (*header.extra_data.seals, STRANGER.sign(header.seal_hash)))


def seal_another_round(draft: Draft) -> None:
    """Keep the block and its seals, and claim another round: hash (b) stays the same."""
    block = draft.block(7)
    header = replace(block.header, extra_data=replace(block.header.extra_data, round=Round(2)))
    draft.put(7, Block(header=header, transactions=block.transactions))


def put_the_chain_in_other_hands(draft: Draft) -> None:
    """From block 9 on another set lists and seals itself."""
    block = draft.block(9)
    extra = replace(block.header.extra_data, validators=(STRANGER.address,))
    header = replace(block.header, extra_data=extra, coinbase=STRANGER.address)
    draft.put(9, seal(Block(header=header, transactions=block.transactions), [STRANGER]))


SEAL_LIES: Final = (
    Tampering(name="no seals", change=sealed_by(), caught_by=("seals.quorum",)),
    Tampering(
        name="too few seals", change=sealed_by(*VALIDATOR_KEYS[:3]), caught_by=("seals.quorum",)
    ),
    Tampering(name="one seal twice", change=seal_twice, caught_by=("seals.repeated",)),
    Tampering(
        name="a stranger's seal",
        change=sealed_by(*VALIDATOR_KEYS, STRANGER),
        caught_by=("seals.stranger",),
    ),
    Tampering(
        name="strangers' seals only",
        change=sealed_by(STRANGER),
        caught_by=("seals.stranger", "seals.quorum"),
    ),
    Tampering(
        name="the seals of another block",
        change=take_seals_of_another_block,
        caught_by=("seals.stranger", "seals.quorum"),
    ),
    Tampering(name="a seal in its other form", change=malleate, caught_by=("seals.form",)),
    Tampering(name="more seals than validators", change=add_seals, caught_by=("seals.form",)),
    Tampering(
        name="the seals of another round",
        change=seal_another_round,
        caught_by=("seals.stranger", "seals.quorum"),
    ),
    Tampering(
        name="another set takes over",
        change=put_the_chain_in_other_hands,
        caught_by=(
            "chain.validators",
            "chain.proposer",
            "seals.stranger",
            "seals.quorum",
        ),
    ),
)


# Lies about order, transactions and receipts


def swap_blocks(draft: Draft) -> None:
    one, two = draft.index(4), draft.index(5)
    draft.records[one], draft.records[two] = draft.records[two], draft.records[one]


def drop_block(height: int) -> Callable[[Draft], None]:
    def change(draft: Draft) -> None:
        del draft.records[draft.index(height)]

    return change


def repeat_block(draft: Draft) -> None:
    at = draft.index(5)
    draft.records.insert(at, draft.records[at])


def body(
    height: int, change: Callable[[tuple[Transaction, ...]], tuple[Transaction, ...]]
) -> Callable[[Draft], None]:
    """Change the transactions under an unchanged header."""

    def apply(draft: Draft) -> None:
        block = draft.block(height)
        draft.put(height, Block(header=block.header, transactions=change(block.transactions)))

    return apply


def sealed_body(
    height: int, change: Callable[[tuple[Transaction, ...]], tuple[Transaction, ...]]
) -> Callable[[Draft], None]:
    """Let a majority add transactions that cannot be executed, and seal the block as if."""

    def with_body(block: Block) -> Block:
        transactions = change(block.transactions)
        root = compute_transactions_root(transactions)
        return Block(
            header=replace(block.header, transactions_root=root), transactions=transactions
        )

    return lambda draft: draft.reforge(height, with_body)


def foreign_transaction(**changes: object) -> Transaction:
    fields: dict[str, object] = {
        "chain_id": CHAIN_ID,
        "nonce": 0,
        "gas_limit": 100_000,
        "to": RECORDER,
        "data": encode_call(RECORD, 3),
        "value_wei": 0,
        **changes,
    }
    return sign_transaction(PASSER_KEY, **fields)  # type: ignore[arg-type]


def refused_type(draft: Draft) -> None:
    """Put a blob transaction into a block; nobody can decode it."""
    at = draft.index(6)
    record = draft.records[at]
    assert isinstance(record, BlockRecord)
    header, transactions, ommers, withdrawals = rlp.decode_list(record.block)
    assert isinstance(transactions, list)
    raw = rlp.encode([header, [*transactions, b"\x03\xc0"], ommers, withdrawals])
    draft.records[at] = replace(record, block=raw)


def add_ommer(draft: Draft) -> None:
    at = draft.index(6)
    record = draft.records[at]
    assert isinstance(record, BlockRecord)
    header, transactions, _, withdrawals = rlp.decode_list(record.block)
    raw = rlp.encode([header, transactions, [header], withdrawals])
    draft.records[at] = replace(record, block=raw)


def alter_receipt(draft: Draft) -> None:
    draft.receipts(3, lambda receipts: receipts.__setitem__(0, receipts[1]))


BODY_LIES: Final = (
    Tampering(
        name="two blocks swapped",
        change=swap_blocks,
        caught_by=(
            "chain.height",
            "chain.parent",
            "chain.time",
            "chain.proposer",
        ),
    ),
    Tampering(
        name="a block left out",
        change=drop_block(4),
        caught_by=(
            "chain.height",
            "chain.parent",
            "chain.validators",
            "chain.proposer",
            "seals.form",
            "seals.stranger",
        ),
    ),
    Tampering(
        name="the first block left out",
        change=drop_block(1),
        caught_by=("bundle.range", "chain.height", "chain.parent", "chain.proposer"),
    ),
    Tampering(
        name="the last block left out",
        change=drop_block(9),
        caught_by=(
            "bundle.range",
            "bundle.states",
        ),
    ),
    Tampering(
        name="a block twice",
        change=repeat_block,
        caught_by=(
            "chain.height",
            "chain.parent",
            "chain.time",
            "chain.validators",
            "chain.proposer",
        ),
    ),
    Tampering(
        name="a transaction left out",
        change=body(7, lambda found: found[:1]),
        caught_by=("execution.body",),
    ),
    Tampering(
        name="transactions in another order",
        change=body(7, lambda found: found[::-1]),
        caught_by=("execution.body",),
    ),
    Tampering(
        name="a transaction replaced",
        change=body(6, lambda _found: (foreign_transaction(),)),
        caught_by=("execution.body",),
    ),
    Tampering(
        name="a transaction executed twice",
        change=sealed_body(6, lambda found: (*found, *found)),
        caught_by=("execution.transaction",),
    ),
    Tampering(
        name="a transaction of another network",
        change=sealed_body(6, lambda found: (*found, foreign_transaction(chain_id=1))),
        caught_by=("execution.transaction",),
    ),
    Tampering(
        name="a transaction ahead of its nonce",
        change=sealed_body(6, lambda found: (*found, foreign_transaction(nonce=7))),
        caught_by=("execution.transaction",),
    ),
    Tampering(
        name="a transaction that moves what it has not",
        change=sealed_body(6, lambda found: (*found, foreign_transaction(nonce=1, value_wei=5))),
        caught_by=("execution.transaction", "execution.permission"),
    ),
    Tampering(
        name="a transaction of a refused type",
        change=refused_type,
        caught_by=("execution.transaction",),
    ),
    Tampering(name="an ommer in the body", change=add_ommer, caught_by=("execution.body",)),
    Tampering(name="a receipt altered", change=alter_receipt, caught_by=("execution.receipts",)),
    Tampering(
        name="a receipt left out",
        change=lambda draft: draft.receipts(3, list.pop),
        caught_by=("execution.receipts",),
    ),
    Tampering(
        name="receipts in another order",
        change=lambda draft: draft.receipts(3, list.reverse),
        caught_by=("execution.receipts",),
    ),
)

LIES: Final = (*FILE_LIES, *HEADER_LIES, *SEAL_LIES, *BODY_LIES)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_is_named_by_its_checks(made: Made, tmp_path: Path, lie: Tampering) -> None:
    draft = load_draft(made.bundle)
    lie.change(draft)
    path = tmp_path / "bundle"
    path.write_bytes(lie.rewrite(draft.encode()))
    audit = made.audit()
    if lie not in FILE_LIES:
        audit.checkpoints = []

    report = audit.run(path)

    assert report.failed == lie.caught_by
    assert report.conclusion is Conclusion.REFUTED


def test_the_kit_is_large_enough_and_no_lie_is_told_twice() -> None:
    names = [lie.name for lie in LIES]

    assert len(set(names)) == len(names) >= 70


# A majority that executes what is forbidden


@dataclass(frozen=True, kw_only=True)
class Collusion:
    """What all validators together do between two honest parts of the chain."""

    name: str
    act: Callable[[AuditedChain], object]
    caught_by: tuple[str, ...]


def send_as_outsider(chain: AuditedChain) -> None:
    call = chain.ledger.call(OUTSIDER_KEY, RECORDER, encode_call("other(uint256)", 8))
    chain.make(call, rule=admit_all)


def create_as_service(chain: AuditedChain) -> None:
    chain.make(chain.ledger.call(SERVICE_KEYS[0], None, b"\x00"), rule=admit_all)


def fail_an_open_call(chain: AuditedChain) -> None:
    call = chain.ledger.call(PASSER_KEY, RECORDER, encode_call(RECORD, 0), gas_limit=100_000)
    chain.make(call, rule=admit_all)


def exceed_the_open_calls_gas(chain: AuditedChain) -> None:
    call = chain.ledger.call(PASSER_KEY, RECORDER, encode_call(RECORD, 1), gas_limit=100_001)
    chain.make(call, rule=admit_all)


def send_as_expired_resident(chain: AuditedChain) -> None:
    """A resident of another attester: its attestation never happened."""
    call = chain.ledger.call(STRANGER, RECORDER, encode_call("other(uint256)", 8))
    chain.make(chain.record(SERVICE_KEYS[0], 4), call, rule=admit_all)


def edit_the_state(chain: AuditedChain) -> None:
    """Write a slot without any transaction, and go on from there."""
    ledger, parent = chain.ledger, chain.ledger.head
    members = chain.tally.validators
    proposer = members[(members.index(parent.coinbase) + 1) % len(members)]
    built = build_block(
        parent=parent,
        draft=BlockDraft(
            timestamp_s=parent.timestamp_s + 2,
            coinbase=proposer,
            extra_data=ExtraData(validators=members),
        ),
        candidates=[],
        view=ledger.view,
        profile=ledger.profile,
        rule=ledger.rule,
        ancestor_hash=ledger.chain.load_hash,
        is_time_up=lambda: False,
    )
    changes = built.result.changes
    changes.slots[RECORDER] = {int.from_bytes(STRANGER.address, "big"): 1_000_000}
    overlay = build_overlay(ledger.view, changes)
    header = replace(built.block.header, state_root=overlay.root)
    block = seal(Block(header=header), chain.sealers())
    ledger.chain.commit_block(block, (), overlay)
    chain.follow(block)


COLLUSIONS: Final = (
    Collusion(name="an outsider sends", act=send_as_outsider, caught_by=("execution.permission",)),
    Collusion(
        name="a service creates a contract",
        act=create_as_service,
        caught_by=("execution.permission",),
    ),
    Collusion(name="an open call fails", act=fail_an_open_call, caught_by=("execution.open-call",)),
    Collusion(
        name="an open call asks for too much gas",
        act=exceed_the_open_calls_gas,
        caught_by=("execution.permission",),
    ),
    Collusion(
        name="nobody attested the resident",
        act=send_as_expired_resident,
        caught_by=("execution.permission",),
    ),
    Collusion(
        name="the state is edited by hand",
        act=edit_the_state,
        caught_by=("execution.state-root",),
    ),
)


@pytest.mark.parametrize("collusion", COLLUSIONS, ids=lambda collusion: collusion.name)
def test_a_majority_cannot_do_what_is_forbidden(tmp_path: Path, collusion: Collusion) -> None:
    """Everything is consistent and sealed by all; only executing again tells."""
    chain = AuditedChain()
    chain.begin()
    collusion.act(chain)
    chain.make(chain.record(SERVICE_KEYS[3], 16))

    report = audit_of(chain).run(chain.export(tmp_path / "bundle"))

    assert report.failed == collusion.caught_by
    failed = next(each for each in report.outcomes if each.check.name == collusion.caught_by[0])
    assert failed.failed_count == 1
    assert failed.findings[0].subject.startswith("block 8")
    assert len(failed.findings[0].blame) == 5


# Checkpoints


def test_a_rewritten_history_is_caught_by_a_checkpoint_alone(made: Made, tmp_path: Path) -> None:
    """The same validators seal a second chain; nothing in it is wrong in itself."""
    other = make_audited_chain(label="another history")
    bundle = other.export(tmp_path / "bundle")
    audit = audit_of(other)
    assert audit.run(bundle).conclusion is Conclusion.CONFIRMED

    audit.checkpoints = made.audit().checkpoints

    assert audit.run(bundle).failed == ("checkpoint.block",)


@pytest.mark.parametrize(
    ("change", "caught_by"),
    [
        pytest.param(
            lambda chain: replace(chain.checkpoint(7), signatures=()),
            ("checkpoint.signed",),
            id="not signed",
        ),
        pytest.param(
            lambda chain: chain.checkpoint(7, GOVERNORS[:1]),
            ("checkpoint.signed",),
            id="signed by one municipality",
        ),
        pytest.param(
            lambda chain: chain.checkpoint(7, [STRANGER, OUTSIDER_KEY]),
            ("checkpoint.signed",),
            id="signed by strangers",
        ),
        pytest.param(
            lambda chain: replace(chain.checkpoint(7), state_root=OTHER_HASH),
            ("checkpoint.signed", "checkpoint.block"),
            id="another state",
        ),
        pytest.param(
            lambda chain: replace(chain.checkpoint(7), genesis_hash=OTHER_HASH),
            ("checkpoint.signed",),
            id="of another network",
        ),
    ],
)
def test_a_forged_checkpoint_is_named(
    made: Made, change: Callable[[AuditedChain], object], caught_by: tuple[str, ...]
) -> None:
    audit = made.audit()
    audit.checkpoints = [("forged", encode_checkpoint(change(made.chain)).encode())]  # type: ignore[arg-type]

    assert audit.run(made.bundle).failed == caught_by


def test_a_checkpoint_that_is_none_is_named(made: Made) -> None:
    audit = made.audit()
    audit.checkpoints = [("torn", b"{")]

    assert audit.run(made.bundle).failed == ("checkpoint.signed",)


def test_a_checkpoint_beyond_the_bundle_confirms_nothing(made: Made, tmp_path: Path) -> None:
    longer = make_audited_chain()
    longer.make()
    audit = made.audit()
    audit.checkpoints = [("later", encode_checkpoint(longer.checkpoint(10)).encode())]

    report = audit.run(made.bundle)

    assert report.failed == ()
    outcome = next(each for each in report.outcomes if each.check.name == "checkpoint.block")
    assert "height 10 is not in the bundle" in outcome.reasons[0]


def test_another_genesis_file_is_another_network(made: Made) -> None:
    audit = made.audit()
    audit.genesis_file = build_genesis(replace(describe(), chain_id=5))
    audit.genesis_hash = parse_genesis(audit.genesis_file).profile.genesis_hash

    failed = audit.run(made.bundle).failed

    assert failed[0] == "bundle.network"
    assert "chain.parent" in failed


def test_a_range_alone_confirms_nothing_without_a_checkpoint(made: Made, tmp_path: Path) -> None:
    bundle = made.chain.export(tmp_path / "range", start=5)
    audit = audit_of(made.chain)

    assert audit.run(bundle).conclusion is Conclusion.INCOMPLETE
    audit.checkpoints = made.audit().checkpoints
    assert audit.run(bundle).conclusion is Conclusion.CONFIRMED


@pytest.mark.parametrize(
    ("change", "caught_by"),
    [
        pytest.param(lambda draft: draft.records.pop(2), ("bundle.base",), id="a header left out"),
        pytest.param(alter_state, ("bundle.states",), id="another state to start from"),
        pytest.param(lambda draft: draft.records.pop(1), ("bundle.base",), id="no epoch block"),
    ],
)
def test_a_lie_about_what_came_before_a_range_is_named(
    made: Made, tmp_path: Path, change: Callable[[Draft], object], caught_by: tuple[str, ...]
) -> None:
    draft = load_draft(made.chain.export(tmp_path / "range", start=5))
    change(draft)
    path = tmp_path / "lie"
    path.write_bytes(draft.encode())
    audit = made.audit()
    audit.files = ()

    report = audit.run(path)

    assert report.failed == caught_by
