"""The recovery document: how a network whose quorum is lost for good names a new validator set.

Votes travel in blocks, so a halted chain cannot vote its way out. What is left is an agreement
outside the chain: the governors of the municipalities that remain sign which validators decide the
next height. Every operator puts the same document into the node's settings; it then binds all who
verify the chain, at that one height and on that one parent, for ever. Pure; who reads the file and
when is the shell's business.

Spec: REC-DOCUMENT, REC-SIGNED, REC-LOST, REC-APPLY, REC-LOCK.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from node.consensus.messages import PreparedCertificate
from node.consensus.quorum import quorum_size
from node.consensus.validators import ValidatorTally, apply_header
from node.membership.document import Membership
from node.membership.signatures import majority_of
from node.primitives import rlp
from node.primitives.crypto import InvalidSignature, PrivateKey, keccak256, recover_address
from node.primitives.errors import InvalidInput, MalformedMessage
from node.primitives.header import VALIDATOR_COUNT_MAX, Header
from node.primitives.json_text import check_nesting
from node.primitives.once import once
from node.primitives.types import Address, BlockHash, Hash32, Height, Signature

RECOVERY_SIZE_MAX: Final = 65_536
"""Longest recovery document read, in bytes."""

REASON_SIZE_MAX: Final = 512
"""Longest reason, in bytes of UTF-8."""

SIGNING_DOMAIN: Final = b"daicho recovery v1"
"""Separates these signatures from every other use of the same keys."""

_KEYS: Final = frozenset(
    {"genesis_hash", "height", "parent_hash", "validators", "lost", "reason", "signatures"}
)


class InvalidRecovery(InvalidInput):
    """A recovery document that must not be applied."""

    code = "recovery.invalid"


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """A recovery document and its signatures."""

    genesis_hash: BlockHash
    """The network it is for."""
    height: Height
    """First height that the new set decides."""
    parent_hash: BlockHash
    """Hash (b) of the last block of the old set, at ``height - 1``."""
    validators: tuple[Address, ...]
    """The new set, ascending by bytes."""
    lost: tuple[Address, ...]
    """Governors of municipalities that are gone and cannot sign, ascending by bytes."""
    reason: str
    """What happened, for auditors."""
    signatures: tuple[Signature, ...] = ()
    """Governors' signatures over ``hash``."""

    @once
    def hash(self) -> Hash32:
        """Hash of everything but the signatures: what is signed and compared among peers."""
        items: list[rlp.Item] = [
            self.genesis_hash,
            rlp.encode_uint(self.height),
            self.parent_hash,
            self.validators,
            self.lost,
            self.reason.encode(),
        ]
        return keccak256(SIGNING_DOMAIN + rlp.encode(items))

    @property
    def signers(self) -> frozenset[Address]:
        """Return who signed, whether or not they may."""
        found = set()
        for signature in self.signatures:
            try:
                found.add(recover_address(self.hash, signature))
            except InvalidSignature:
                continue
        return frozenset(found)


def build_recovery(
    *,
    genesis_hash: BlockHash,
    height: Height,
    parent_hash: BlockHash,
    validators: Iterable[Address],
    lost: Iterable[Address],
    reason: str,
    signatures: tuple[Signature, ...] = (),
) -> Recovery:
    """Build a document in its canonical order.

    Raises:
        InvalidRecovery: A bound is passed or an address appears twice.

    Spec: REC-DOCUMENT.
    """
    new_set, gone = list(validators), list(lost)
    if not 0 < len(new_set) <= VALIDATOR_COUNT_MAX or len(set(new_set)) != len(new_set):
        raise _refuse("validators: expected 1 to 64 different addresses", "REC-DOCUMENT")
    if len(gone) > VALIDATOR_COUNT_MAX or len(set(gone)) != len(gone):
        raise _refuse("lost: expected at most 64 different addresses", "REC-DOCUMENT")
    if len(signatures) > VALIDATOR_COUNT_MAX:
        raise _refuse("signatures: more than 64", "REC-DOCUMENT")
    if not 0 < len(reason.encode()) <= REASON_SIZE_MAX:
        raise _refuse(f"reason: expected 1 to {REASON_SIZE_MAX} bytes", "REC-DOCUMENT")
    if height < 1:
        raise _refuse("height: genesis cannot be replaced", "REC-DOCUMENT")
    return Recovery(
        genesis_hash=genesis_hash,
        height=height,
        parent_hash=parent_hash,
        validators=tuple(sorted(new_set)),
        lost=tuple(sorted(gone)),
        reason=reason,
        signatures=signatures,
    )


def sign_recovery(document: Recovery, key: PrivateKey) -> Recovery:
    """Add a governor's signature, one per signer, in order of their addresses."""
    by_signer = {
        recover_address(document.hash, signature): signature for signature in document.signatures
    }
    by_signer[key.address] = key.sign(document.hash)
    return replace(document, signatures=tuple(by_signer[each] for each in sorted(by_signer)))


def check_signed(document: Recovery, membership: Membership) -> None:
    """Refuse a document that the remaining municipalities did not sign.

    Args:
        document: What is judged.
        membership: The membership document in force; it names the governors.

    Raises:
        InvalidRecovery: Another network, a lost governor nobody knows, or too few signatures.

    Spec: REC-SIGNED.
    """
    if document.genesis_hash != membership.genesis_hash:
        raise _refuse("it is for another network (genesis hashes differ)", "REC-SIGNED")
    governors = {governor.address: governor.municipality for governor in membership.governors}
    for gone in document.lost:
        if gone not in governors:
            raise _refuse(f"lost governor 0x{gone.hex()} is none of this network", "REC-SIGNED")
    remaining = {at: name for at, name in governors.items() if at not in document.lost}
    signed = document.signers & remaining.keys()
    needed = majority_of(len(remaining))
    if len(signed) < needed:
        missing = ", ".join(name for at, name in sorted(remaining.items()) if at not in signed)
        raise _refuse(
            f"signed by {len(signed)} of the {len(remaining)} remaining municipalities, needs "
            f"{needed}; missing: {missing}",
            "REC-SIGNED",
        )


def check_lost(document: Recovery, validators: tuple[Address, ...]) -> None:
    """Refuse to replace a set that can still decide by itself.

    Args:
        document: What is judged.
        validators: The set that the chain lists for ``document.height``.

    Raises:
        InvalidRecovery: As many of the old set stay as make its quorum.

    Spec: REC-LOST.
    """
    kept = len(set(document.validators) & set(validators))
    if kept >= quorum_size(len(validators)):
        raise _refuse(
            f"{kept} of {len(validators)} validators stay, a quorum: vote with "
            "`daicho validator propose` instead",
            "REC-LOST",
        )


def apply_recoveries(
    tally: ValidatorTally, head_hash: BlockHash, documents: Iterable[Recovery]
) -> ValidatorTally:
    """Return the tally after the head with hash ``head_hash``, as recovery documents have it.

    Whoever applies headers (a node, a syncing node, an auditor) calls this after each.

    Raises:
        InvalidRecovery: The set it replaces could still decide.

    Spec: REC-APPLY.
    """
    for document in documents:
        if document.height == tally.height + 1 and document.parent_hash == head_hash:
            check_lost(document, tally.validators)
            return replace(tally, validators=document.validators, votes=())
    return tally


def follow_header(
    tally: ValidatorTally, header: Header, epoch_length: int, recoveries: Iterable[Recovery]
) -> ValidatorTally:
    """Return the tally after ``header``, with recovery documents applied.

    Spec: QBFT-VOTE-TALLY, REC-APPLY.
    """
    after = apply_header(tally, header, epoch_length=epoch_length)
    return apply_recoveries(after, BlockHash(header.hash), recoveries)


def keep_lock(
    certificate: PreparedCertificate | None, validators: tuple[Address, ...]
) -> PreparedCertificate | None:
    """Return what of a lock the new set can prove: the prepares of its members, if a quorum.

    Spec: REC-LOCK.
    """
    if certificate is None:
        return None
    prepares = tuple(each for each in certificate.prepares if each.author in validators)
    if len(prepares) < quorum_size(len(validators)):
        return None
    return replace(certificate, prepares=prepares)


def compute_fork_hash(genesis_fork_hash: Hash32, documents: Iterable[Recovery]) -> Hash32:
    """Return the fork hash compared in the handshake: genesis' own, chained with each document.

    Spec: REC-HANDSHAKE.
    """
    found = genesis_fork_hash
    for document in documents:
        found = keccak256(found + document.hash)
    return found


def encode_recovery(document: Recovery) -> str:
    """Return the document as the text of its file."""
    record = {
        "genesis_hash": _hex(document.genesis_hash),
        "height": document.height,
        "parent_hash": _hex(document.parent_hash),
        "validators": [_hex(each) for each in document.validators],
        "lost": [_hex(each) for each in document.lost],
        "reason": document.reason,
        "signatures": [_hex(each) for each in document.signatures],
    }
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def decode_recovery(data: bytes) -> Recovery:
    """Decode the bytes of a recovery file; who signed it is not judged here.

    Raises:
        InvalidRecovery: Not JSON, a key missing or unknown, or a value of the wrong form.

    Spec: REC-DOCUMENT.
    """
    if len(data) > RECOVERY_SIZE_MAX:
        raise _refuse(f"{len(data)} bytes, at most {RECOVERY_SIZE_MAX}", "REC-DOCUMENT")
    try:
        check_nesting(data)
        record = json.loads(data.decode("utf-8"))
    except (MalformedMessage, ValueError, RecursionError) as error:
        raise _refuse("not UTF-8 JSON", "REC-DOCUMENT") from error
    if not isinstance(record, dict) or set(record) != _KEYS:
        raise _refuse(f"expected exactly the keys {', '.join(sorted(_KEYS))}", "REC-DOCUMENT")
    height, reason = record["height"], record["reason"]
    if not isinstance(height, int) or isinstance(height, bool) or not 0 < height < 2**63:
        raise _refuse("height: expected a whole number above 0", "REC-DOCUMENT")
    if not isinstance(reason, str) or not reason.isprintable():
        raise _refuse("reason: expected printable text", "REC-DOCUMENT")
    return build_recovery(
        genesis_hash=BlockHash(Hash32(_bytes(record["genesis_hash"], 32))),
        height=Height(height),
        parent_hash=BlockHash(Hash32(_bytes(record["parent_hash"], 32))),
        validators=[Address(_bytes(item, 20)) for item in _list(record["validators"])],
        lost=[Address(_bytes(item, 20)) for item in _list(record["lost"])],
        reason=reason,
        signatures=tuple(Signature(_bytes(item, 65)) for item in _list(record["signatures"])),
    )


def _list(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > VALIDATOR_COUNT_MAX:
        raise _refuse("expected a list of at most 64", "REC-DOCUMENT")
    return value


def _bytes(value: object, size: int) -> bytes:
    text = value if isinstance(value, str) else ""
    try:
        data = bytes.fromhex(text[2:]) if text.startswith("0x") else b""
    except ValueError:
        data = b""
    if len(data) != size or len(text) != 2 + 2 * size:
        raise _refuse(f"expected 0x and {2 * size} hexadecimal digits", "REC-DOCUMENT")
    return data


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _refuse(message: str, rule: str) -> InvalidRecovery:
    return InvalidRecovery(f"recovery document: {message}", rule=rule)
