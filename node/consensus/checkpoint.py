"""Checkpoints: one final block, vouched for by municipalities, from which others may start.

A snapshot sync starts from one, a light client takes its first trust from one, and an auditor
holds one against keys of former validators. It is a small signed text that can be published in a
gazette; who must sign is decided by whoever relies on it. Pure.

Spec: SYNC-CHECKPOINT.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from node.consensus.report import Check, Report, compare
from node.primitives import rlp
from node.primitives.crypto import InvalidSignature, PrivateKey, keccak256, recover_address
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.header import VALIDATOR_COUNT_MAX, Header
from node.primitives.json_text import decode_json, is_list, is_object
from node.primitives.once import once
from node.primitives.types import Address, BlockHash, Hash32, Height, Signature

CHECKPOINT_SIZE_MAX: Final = 32_768
"""Longest checkpoint file read, in bytes."""

SIGNATURE_COUNT_MAX: Final = 64
"""Most signatures on one checkpoint."""

SIGNING_DOMAIN: Final = b"daicho checkpoint v1"
"""Separates these signatures from every other use of the same keys."""


class InvalidCheckpoint(InvalidInput):
    """A checkpoint that cannot be relied on."""

    code = "checkpoint.invalid"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a final block is known by, and who says so."""

    genesis_hash: BlockHash
    """The network."""
    height: Height
    """Height of the block."""
    block_hash: BlockHash
    """Hash (b) of the block."""
    state_root: Hash32
    """Root of the state after it."""
    validators: tuple[Address, ...]
    """The set that sealed it, ascending by bytes."""
    signatures: tuple[Signature, ...] = ()
    """Signatures over ``hash``, ascending by signer."""

    @once
    def hash(self) -> Hash32:
        """Hash of everything but the signatures: what is signed."""
        items: rlp.Item = [
            self.genesis_hash,
            rlp.encode_uint(self.height),
            self.block_hash,
            self.state_root,
            self.validators,
        ]
        return keccak256(SIGNING_DOMAIN + rlp.encode(items))


def build_checkpoint(header: Header, genesis_hash: BlockHash) -> Checkpoint:
    """Build the unsigned checkpoint of a final block."""
    return Checkpoint(
        genesis_hash=genesis_hash,
        height=header.height,
        block_hash=header.hash,
        state_root=header.state_root,
        validators=header.extra_data.validators,
    )


def sign_checkpoint(checkpoint: Checkpoint, key: PrivateKey) -> Checkpoint:
    """Add one signature, keeping the first of each signer, in order of their addresses."""
    by_signer: dict[Address, Signature] = {}
    for signature in (*checkpoint.signatures, key.sign(checkpoint.hash)):
        signer = _signer(checkpoint, signature)
        if signer is not None:
            by_signer.setdefault(signer, signature)
    return replace(checkpoint, signatures=tuple(by_signer[each] for each in sorted(by_signer)))


def verify_checkpoint(
    checkpoint: Checkpoint, *, genesis_hash: BlockHash, trusted: Collection[Address], needed: int
) -> Report:
    """Check that a checkpoint is for this network and that enough of ``trusted`` signed it.

    Args:
        checkpoint: What is relied on.
        genesis_hash: The network.
        trusted: Keys whose word counts, as the governors of two or more municipalities.
        needed: How many of them must have signed.

    Spec: SYNC-CHECKPOINT.
    """
    signers = {_signer(checkpoint, signature) for signature in checkpoint.signatures}
    counted = sorted(signer for signer in signers if signer is not None and signer in trusted)
    return Report(
        checks=(
            compare("SYNC-CHECKPOINT", "genesis hash", genesis_hash, checkpoint.genesis_hash),
            Check(
                rule="SYNC-CHECKPOINT",
                name="signatures of trusted keys",
                is_met=len(counted) >= needed,
                expected=f"{needed} or more of {len(trusted)}",
                actual=len(counted),
            ),
        )
    )


def verify_checkpoint_header(checkpoint: Checkpoint, header: Header) -> Report:
    """Check that a header is the one a checkpoint names.

    Spec: SYNC-CHECKPOINT.
    """
    rule = "SYNC-CHECKPOINT"
    return Report(
        checks=(
            compare(rule, "height", checkpoint.height, header.height),
            compare(rule, "block hash", checkpoint.block_hash, header.hash),
            compare(rule, "state root", checkpoint.state_root, header.state_root),
            compare(rule, "validators", checkpoint.validators, header.extra_data.validators),
        )
    )


def encode_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the checkpoint as the text of its file."""
    record = {
        "genesis_hash": _hex(checkpoint.genesis_hash),
        "height": checkpoint.height,
        "block_hash": _hex(checkpoint.block_hash),
        "state_root": _hex(checkpoint.state_root),
        "validators": [_hex(address) for address in checkpoint.validators],
        "signatures": [_hex(signature) for signature in checkpoint.signatures],
    }
    return json.dumps(record, indent=2) + "\n"


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Decode the bytes of a checkpoint file; who signed it is not judged here.

    Raises:
        InvalidCheckpoint: Not JSON, a key missing or unknown, or a value out of its domain.

    Spec: SYNC-CHECKPOINT.
    """
    names = {"genesis_hash", "height", "block_hash", "state_root", "validators", "signatures"}
    if len(data) > CHECKPOINT_SIZE_MAX:
        raise _invalid(f"{len(data)} bytes, at most {CHECKPOINT_SIZE_MAX}")
    try:
        record = decode_json(data)
    except MalformedMessage as error:
        raise _invalid("not UTF-8 JSON") from error
    if not is_object(record) or set(record) != names:
        raise _invalid(f"expected exactly the keys {', '.join(sorted(names))}")
    height = record["height"]
    if not isinstance(height, int) or isinstance(height, bool) or not 0 <= height < 2**63:
        raise _invalid("height: expected an integer from 0 to 2^63 - 1")
    validators = tuple(
        Address(_bytes(item, 20, "validator"))
        for item in _list(record["validators"], VALIDATOR_COUNT_MAX, "validators")
    )
    if not validators or list(validators) != sorted(set(validators)):
        raise _invalid("validators: expected one or more, ascending, once each")
    return Checkpoint(
        genesis_hash=BlockHash(Hash32(_bytes(record["genesis_hash"], 32, "genesis_hash"))),
        height=Height(height),
        block_hash=BlockHash(Hash32(_bytes(record["block_hash"], 32, "block_hash"))),
        state_root=Hash32(_bytes(record["state_root"], 32, "state_root")),
        validators=validators,
        signatures=tuple(
            Signature(_bytes(item, 65, "signature"))
            for item in _list(record["signatures"], SIGNATURE_COUNT_MAX, "signatures")
        ),
    )


def _signer(checkpoint: Checkpoint, signature: Signature) -> Address | None:
    try:
        return recover_address(checkpoint.hash, signature)
    except InvalidSignature:
        return None


def _list(value: object, most: int, what: str) -> list[object]:
    if not is_list(value) or len(value) > most:
        raise _invalid(f"{what}: expected a list of at most {most}")
    return value


def _bytes(value: object, size: int, what: str) -> bytes:
    digits = value.removeprefix("0x") if isinstance(value, str) else ""
    is_hex = all(mark in "0123456789abcdefABCDEF" for mark in digits)
    if not isinstance(value, str) or len(digits) != 2 * size or not is_hex:
        raise _invalid(f"{what}: expected 0x and {2 * size} hexadecimal digits")
    return bytes.fromhex(digits)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _invalid(message: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"checkpoint: {message}", rule="SYNC-CHECKPOINT")
