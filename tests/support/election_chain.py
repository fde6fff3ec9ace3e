"""The chain of the small held election: what its contracts emitted, in sealed blocks, as a bundle.

The blocks are not executed: each transaction is there to have a receipt. Everything else is as on a
network: headers follow one another, are made in turn and sealed by the validators of the genesis
file, and commit to transactions and receipts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode

from clients.auditor.election.events import _EVENTS, LoggedEvent
from clients.auditor.election.records import ChainRecord, ElectionManifest, parse_json
from node.consensus.proposer import select_proposer
from node.execution.rules import compute_transactions_root
from node.genesis.build import build_genesis
from node.genesis.parse import parse_genesis
from node.primitives.block import Block
from node.primitives.bundle import (
    MAGIC,
    BlockRecord,
    BundleHeader,
    EndRecord,
    SignatureRecord,
)
from node.primitives.crypto import PrivateKey
from node.primitives.header import ExtraData, Header, ValidatorVote
from node.primitives.receipt import Log, Receipt, compute_bloom
from node.primitives.transaction import sign_transaction
from node.primitives.trie import compute_ordered_root
from node.primitives.types import ZERO_ADDRESS, Address, Hash32, Height, Round
from tests.support.election_record import CONTRACTS, HeldElection, record_files
from tests.support.ledger import OUTSIDER_KEY, VALIDATOR_KEYS, describe

KINDS: Final = {"ballots": 66, "roll": 82}
BY_NAME: Final = {event.name: event for event in _EVENTS}
LAST_HEIGHT: Final = 212
EPOCH: Final = 50


def logged(
    held: HeldElection,
    name: str,
    topics: list[Any],
    values: list[Any],
    *,
    height: int = 100,
    time_s: int = 0,
) -> LoggedEvent:
    """Return an event as its contract emits it."""
    event = BY_NAME[name]
    places = {
        "elections": held.manifest["registry"],
        "credentials": CONTRACTS["Credentials"],
        "ballot_box": CONTRACTS["BallotBox"],
        "tally_board": CONTRACTS["TallyBoard"],
        "bulletin": CONTRACTS["Bulletin"],
    }
    subject = bytes.fromhex(held.manifest["draft_id"]) if name == "Posted" else held.eid
    words = [
        encode([kind], [value])
        for kind, value in zip(event.indexed, [subject, *topics], strict=True)
    ]
    return LoggedEvent(
        height=height,
        time_s=time_s,
        log=Log(
            address=Address(bytes.fromhex(places[event.contract][2:])),
            topics=tuple(Hash32(word) for word in (event.topic, *words)),
            data=encode(list(event.data), values),
        ),
    )


def all_events(held: HeldElection) -> list[LoggedEvent]:
    """Return what the chain emitted in a held election, at heights that the record has."""
    files = record_files(held)
    manifest = parse_json(files["manifest.json"], ElectionManifest, "manifest.json")
    chain = parse_json(files["chain.json"], ChainRecord, "chain.json")
    values = tuple(
        bytes.fromhex(value) if name == "draft_id" else value
        for name, value in manifest.terms().items()
    )

    def at(height: int, name: str, topics: list[Any], data: list[Any]) -> LoggedEvent:
        time_s = 0 if height < chain.box.closed_height else manifest.freezes_at + height
        return logged(held, name, topics, data, height=height, time_s=time_s)

    events = [at(20, "Announced", [bytes.fromhex(manifest.draft_id)], [values])]
    events += [
        at(
            b.height,
            "BatchPosted",
            [],
            [b.number, bytes.fromhex(b.root), b.entry_count, b.cancel_count],
        )
        for b in chain.batches
    ]
    events += [
        logged(
            held,
            "BallotCast",
            [b"\x01" * 32, each.digest],
            [place, each.core],
            height=each.height,
            time_s=each.time_s,
        )
        for place, each in enumerate(held.ballots)
    ]
    events += [
        at(p.height, "Posted", [p.municipality], [p.step, bytes.fromhex(p.digest)])
        for p in chain.bulletin
    ]
    box = chain.box
    events.append(at(box.closed_height, "BoxClosed", [], [box.count, bytes.fromhex(box.value)]))
    events += [
        at(
            202,
            "StyleFrozen",
            [],
            [f.style, bytes.fromhex(f.root), f.count, bytes.fromhex(f.file_digest)],
        )
        for f in chain.frozen
    ]
    for each in chain.lists:
        key = [KINDS[each.kind], each.number]
        events.append(at(204, "ListStarted", key, [each.row_count, bytes.fromhex(each.digest)]))
        for turn in each.rounds:
            output, proof = bytes.fromhex(turn.output), bytes.fromhex(turn.proof)
            events.append(at(204, "MixPosted", key, [turn.round, turn.mixer, output, proof]))
            events.append(at(204, "MixEnded", key, [turn.round, turn.mixer, turn.is_valid, output]))
        events += [
            at(
                204,
                "SharePosted",
                key,
                [share.trustee, bytes.fromhex(share.shares), bytes.fromhex(share.proof)],
            )
            for share in each.shares
        ]
    events += [
        at(
            208,
            "ResultPublished",
            [r.race, r.is_mock],
            [bytes.fromhex(r.result), b"".join(n.to_bytes(8, "big") for n in r.numbers)],
        )
        for r in chain.results
    ]
    return events


@dataclass(frozen=True, kw_only=True)
class BuiltChain:
    """A chain from its first block on."""

    chain_id: int
    genesis_file: bytes
    genesis: Header
    blocks: tuple[Block, ...]
    receipts: tuple[tuple[bytes, ...], ...]

    def with_block(self, height: int, block: Block) -> "BuiltChain":
        """Return the chain with another block at a height; what follows is as it was."""
        blocks = list(self.blocks)
        blocks[height - 1] = block
        return replace(self, blocks=tuple(blocks))

    def encode(self) -> bytes:
        """Return the bundle."""
        header = BundleHeader(
            chain_id=self.chain_id,
            genesis_hash=self.genesis.hash,
            first=Height(1),
            last=Height(len(self.blocks)),
            tool="tests",
            exporter=ZERO_ADDRESS,
        )
        records = [
            BlockRecord(block=block.encode(), receipts=receipts).encode()
            for block, receipts in zip(self.blocks, self.receipts, strict=True)
        ]
        data = b"".join((MAGIC, header.encode(), *records))
        return data + end_of(data, self.blocks) + SignatureRecord(signature=b"").encode()

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write bundle and genesis file, and return their places."""
        bundle, genesis = folder / "chain.bundle", folder / "genesis.json"
        bundle.write_bytes(self.encode())
        genesis.write_bytes(self.genesis_file)
        return bundle, genesis


def end_of(data: bytes, blocks: Sequence[Block]) -> bytes:
    """Return the end of a bundle that holds these bytes."""
    return EndRecord(
        block_count=len(blocks),
        transaction_count=sum(len(block.transactions) for block in blocks),
        evidence_count=0,
        file_count=0,
        digest=sha256(data).digest(),
    ).encode()


def build_chain(
    held: HeldElection, events: Sequence[LoggedEvent], *, joining: PrivateKey | None = None
) -> BuiltChain:
    """Make the blocks that hold these events; with ``joining``, blocks 10 to 12 vote it in."""
    chain_id = held.manifest["chain_id"]
    genesis_file = build_genesis(replace(describe(), chain_id=chain_id, epoch_length=EPOCH))
    parent = genesis = parse_genesis(genesis_file).header
    keys = {key.address: key for key in VALIDATOR_KEYS}
    blocks, receipts = [], []
    members = genesis.extra_data.validators
    for height in range(1, LAST_HEIGHT + 1):
        vote = None
        if joining is not None and 10 <= height < 13:
            vote = ValidatorVote(recipient=joining.address, is_add=True)
        here = [each for each in events if each.height == height]
        block, results = _make_block(here, parent, members, vote, chain_id)
        keys_of_set = [keys[member] for member in members][: -(-2 * len(members) // 3)]
        blocks.append(seal_by(block, keys_of_set))
        receipts.append(results)
        parent = block.header
        if joining is not None and height == 12:
            keys[joining.address] = joining
            members = tuple(sorted((*members, joining.address)))
    return BuiltChain(
        chain_id=chain_id,
        genesis_file=genesis_file,
        genesis=genesis,
        blocks=tuple(blocks),
        receipts=tuple(receipts),
    )


def _make_block(
    events: Sequence[LoggedEvent],
    parent: Header,
    members: tuple[Address, ...],
    vote: ValidatorVote | None,
    chain_id: int,
) -> tuple[Block, tuple[bytes, ...]]:
    """Make a block with a transaction and a receipt for each event."""
    transactions = tuple(
        sign_transaction(
            OUTSIDER_KEY,
            chain_id=chain_id,
            nonce=at,
            to=each.log.address,
            data=b"",
            gas_limit=21_000,
        )
        for at, each in enumerate(events)
    )
    receipts = tuple(
        Receipt(
            type=2,
            is_success=True,
            cumulative_gas_used=at,
            bloom=compute_bloom((each.log,)),
            logs=(each.log,),
        ).encode()
        for at, each in enumerate(events, 1)
    )
    time_s = max([parent.timestamp_s + 1, *(each.time_s for each in events)])
    header = replace(
        parent,
        parent_hash=parent.hash,
        coinbase=select_proposer(members, parent_coinbase=parent.coinbase, at=Round(0)),
        height=Height(parent.height + 1),
        timestamp_s=time_s,
        transactions_root=compute_transactions_root(transactions),
        receipts_root=compute_ordered_root(list(receipts)),
        extra_data=ExtraData(validators=members, vote=vote, round=Round(0)),
    )
    return Block(header=header, transactions=transactions), receipts


def seal_by(block: Block, keys: Sequence[PrivateKey]) -> Block:
    """Return a block with the seals of these keys."""
    return block.with_seals(tuple(key.sign(block.header.seal_hash) for key in keys))
