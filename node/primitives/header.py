"""The block header, its extra data, and the three hashes taken over it.

A header is the 17-field Shanghai header with QBFT's constants. Three hashes exist and must not be
confused: the *commit-seal hash* (a), the *block hash* (b) and the *proposal digest* (c); here (c)
is (a) of the proposed block, as Besu has it. This module encodes and hashes; whether a header is
acceptable is decided in ``execution.rules`` and ``consensus.seals``.

Spec: QBFT-EXTRA, QBFT-HASH.
"""

from dataclasses import dataclass, replace
from typing import Final

from node.primitives import rlp
from node.primitives.crypto import keccak256
from node.primitives.errors import MalformedMessage
from node.primitives.once import once
from node.primitives.types import (
    Address,
    BlockHash,
    Digest,
    Hash32,
    Height,
    Round,
    Signature,
)

VALIDATOR_COUNT_MAX: Final = 64
"""Longest validator list decoded; bounds work before any signature is checked."""

EXTRA_DATA_SIZE_MAX: Final = 16_384
"""Longest extra data decoded, in bytes."""

VANITY_SIZE: Final = 32

EMPTY_OMMERS_HASH: Final = keccak256(rlp.encode([]))
EMPTY_ROOT: Final = keccak256(rlp.encode(b""))
"""Root of an empty trie."""

MIX_HASH: Final = Hash32(
    bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
)
"""Marks a BFT header ("ctical byzantine fault tolerance"); PREVRANDAO returns it."""

NONCE: Final = b"\x00" * 8
DIFFICULTY: Final = 1
FIELD_COUNT: Final = 17
EMPTY_BLOOM: Final = b"\x00" * 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorVote:
    """A proposer's vote to add or drop one validator."""

    recipient: Address
    """Whom the vote is about."""
    is_add: bool
    """True to add (0xff), False to drop (empty string)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraData:
    """The five items of a QBFT header's extra data."""

    vanity: bytes = b"\x00" * VANITY_SIZE
    """32 bytes of the operator's choice."""
    validators: tuple[Address, ...] = ()
    """The set valid for this height, ascending by bytes."""
    vote: ValidatorVote | None = None
    """At most one vote of the proposer."""
    round: Round = Round(0)
    """Round in which this form of the block was proposed or decided."""
    seals: tuple[Signature, ...] = ()
    """Commit seals over hash (a)."""

    def encode(self) -> bytes:
        """Encode as an RLP list of five items.

        Spec: QBFT-EXTRA.
        """
        vote: rlp.Item = []
        if self.vote is not None:
            vote = [self.vote.recipient, b"\xff" if self.vote.is_add else b""]
        return rlp.encode(
            [self.vanity, self.validators, vote, rlp.encode_uint(self.round), self.seals]
        )


def decode_extra_data(data: bytes) -> ExtraData:
    """Decode extra data, checking form and bounds but not order or signatures.

    Raises:
        MalformedMessage: Not the five items, or beyond a bound.

    Spec: QBFT-EXTRA.
    """
    if len(data) > EXTRA_DATA_SIZE_MAX:
        raise MalformedMessage(f"extraData: {len(data)} bytes, at most {EXTRA_DATA_SIZE_MAX}")
    vanity, validators, vote, round_item, seals = rlp.as_list(rlp.decode(data), 5, "extraData")
    validator_items = _bounded(validators, "extraData.validators")
    seal_items = _bounded(seals, "extraData.seals")
    return ExtraData(
        vanity=rlp.as_bytes(vanity, VANITY_SIZE, "extraData.vanity"),
        validators=tuple(
            Address(rlp.as_bytes(item, 20, "extraData.validator")) for item in validator_items
        ),
        vote=_decode_vote(rlp.as_list(vote, what="extraData.vote")),
        round=Round(rlp.as_uint(round_item, 4, "extraData.round")),
        seals=tuple(Signature(rlp.as_bytes(item, 65, "extraData.seal")) for item in seal_items),
    )


def _bounded(item: rlp.Decoded, what: str) -> list[rlp.Decoded]:
    items = rlp.as_list(item, what=what)
    if len(items) > VALIDATOR_COUNT_MAX:
        raise MalformedMessage(f"{what}: {len(items)} items, at most {VALIDATOR_COUNT_MAX}")
    return items


def _decode_vote(items: list[rlp.Decoded]) -> ValidatorVote | None:
    if not items:
        return None
    if len(items) != 2:
        raise MalformedMessage(f"extraData.vote: expected 2 items, found {len(items)}")
    kind = rlp.as_bytes(items[1], what="extraData.vote type")
    if kind not in (b"\xff", b""):
        raise MalformedMessage("extraData.vote type: expected 0xff (add) or empty (drop)")
    recipient = Address(rlp.as_bytes(items[0], 20, "extraData.vote recipient"))
    return ValidatorVote(recipient=recipient, is_add=kind == b"\xff")


@dataclass(frozen=True, kw_only=True)
class Header:
    """A 17-field Shanghai header. Hashes are computed once and kept with the instance."""

    parent_hash: BlockHash
    """Hash (b) of the parent."""
    ommers_hash: Hash32 = EMPTY_OMMERS_HASH
    """Keccak of an empty list, always."""
    coinbase: Address
    """Who created the block; kept when a prepared block is proposed again."""
    state_root: Hash32
    """Root of the state after this block."""
    transactions_root: Hash32
    """Root of the trie of transactions by index."""
    receipts_root: Hash32
    """Root of the trie of receipts by index."""
    bloom: bytes = EMPTY_BLOOM
    """256 bytes: union of the receipts' blooms."""
    difficulty: int = DIFFICULTY
    """Always 1."""
    height: Height
    """Position in the chain."""
    gas_limit: int
    """Gas allowed in the block; fixed by genesis."""
    gas_used: int
    """Gas its transactions used."""
    timestamp_s: int
    """Seconds since the epoch, by the proposer's clock."""
    extra_data: ExtraData
    """Validators, vote, round and seals."""
    mix_hash: Hash32 = MIX_HASH
    """Constant."""
    nonce: bytes = NONCE
    """Eight zero bytes."""
    base_fee_wei: int = 0
    """Always 0."""
    withdrawals_root: Hash32 = EMPTY_ROOT
    """Root of the empty trie, always."""

    def encode(self) -> bytes:
        """Return the header as it travels: with its round and seals."""
        return self._encode_with(self.extra_data)

    @once
    def seal_hash(self) -> Digest:
        """Hash (a): what a commit seal signs.

        Spec: QBFT-HASH.
        """
        return Digest(keccak256(self._encode_with(replace(self.extra_data, seals=()))))

    @once
    def digest(self) -> Digest:
        """Hash (c): what Prepare and Commit name; by our rule the same as (a).

        Spec: QBFT-HASH.
        """
        return self.seal_hash

    @once
    def hash(self) -> BlockHash:
        """Hash (b): the block's name on chain, equal whatever round decided it.

        Spec: QBFT-HASH.
        """
        bare = replace(self.extra_data, seals=(), round=Round(0))
        return BlockHash(keccak256(self._encode_with(bare)))

    def with_round(self, at: Round) -> "Header":
        """Return the same header proposed in round ``at``, without seals."""
        return replace(self, extra_data=replace(self.extra_data, round=at, seals=()))

    def with_seals(self, seals: tuple[Signature, ...]) -> "Header":
        """Return the same header carrying ``seals``."""
        return replace(self, extra_data=replace(self.extra_data, seals=seals))

    def _encode_with(self, extra_data: ExtraData) -> bytes:
        return rlp.encode(
            [
                self.parent_hash,
                self.ommers_hash,
                self.coinbase,
                self.state_root,
                self.transactions_root,
                self.receipts_root,
                self.bloom,
                rlp.encode_uint(self.difficulty),
                rlp.encode_uint(self.height),
                rlp.encode_uint(self.gas_limit),
                rlp.encode_uint(self.gas_used),
                rlp.encode_uint(self.timestamp_s),
                extra_data.encode(),
                self.mix_hash,
                self.nonce,
                rlp.encode_uint(self.base_fee_wei),
                self.withdrawals_root,
            ]
        )


def decode_header(data: bytes) -> Header:
    """Decode a header from its bytes.

    Raises:
        MalformedMessage: Not a 17-field header with QBFT extra data.
    """
    return header_from_items(rlp.decode_list(data))


def header_from_items(items: list[rlp.Decoded]) -> Header:
    """Build a header from its decoded RLP items.

    Raises:
        MalformedMessage: A field is missing or of the wrong form.
    """
    if len(items) != FIELD_COUNT:
        raise MalformedMessage(f"header: expected {FIELD_COUNT} fields, found {len(items)}")
    return Header(
        parent_hash=BlockHash(_hash(items[0], "parentHash")),
        ommers_hash=_hash(items[1], "ommersHash"),
        coinbase=Address(rlp.as_bytes(items[2], 20, "header.coinbase")),
        state_root=_hash(items[3], "stateRoot"),
        transactions_root=_hash(items[4], "transactionsRoot"),
        receipts_root=_hash(items[5], "receiptsRoot"),
        bloom=rlp.as_bytes(items[6], 256, "header.logsBloom"),
        difficulty=rlp.as_uint(items[7], 32, "header.difficulty"),
        height=Height(rlp.as_uint(items[8], 8, "header.number")),
        gas_limit=rlp.as_uint(items[9], 8, "header.gasLimit"),
        gas_used=rlp.as_uint(items[10], 8, "header.gasUsed"),
        timestamp_s=rlp.as_uint(items[11], 8, "header.timestamp"),
        extra_data=decode_extra_data(rlp.as_bytes(items[12], what="header.extraData")),
        mix_hash=_hash(items[13], "mixHash"),
        nonce=rlp.as_bytes(items[14], 8, "header.nonce"),
        base_fee_wei=rlp.as_uint(items[15], 32, "header.baseFeePerGas"),
        withdrawals_root=_hash(items[16], "withdrawalsRoot"),
    )


def _hash(item: rlp.Decoded, name: str) -> Hash32:
    return Hash32(rlp.as_bytes(item, 32, f"header.{name}"))
