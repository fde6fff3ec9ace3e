"""Who signed a membership document, and whether it may follow the one in force.

A document is good when a majority of its own governors signed it. It may replace another only
with a higher version and, besides, a majority of the *replaced* document's governors, so that no
group can name itself. Operators start from a document they checked by its hash.

Spec: WIRE-MEMBERSHIP-SIGNED, WIRE-MEMBERSHIP-SUCCESSION.
"""

from dataclasses import dataclass, replace

from node.membership.document import Governor, InvalidMembership, Membership
from node.primitives.crypto import InvalidSignature, PrivateKey, recover_address
from node.primitives.types import Address, BlockHash, Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureReport:
    """Which governors signed a document."""

    signed: tuple[Governor, ...]
    """Governors whose signature is there, once each."""
    missing: tuple[Governor, ...]
    """Governors who did not sign."""
    stray_count: int
    """Signatures of nobody named, repeated, or not canonical."""
    majority: int
    """How many governors must sign."""

    @property
    def is_enough(self) -> bool:
        """Tell whether a majority signed."""
        return len(self.signed) >= self.majority


def majority_of(count: int) -> int:
    """Return the least number that is more than half of ``count``.

    Spec: WIRE-MEMBERSHIP-SIGNED.
    """
    return count // 2 + 1


def verify_signatures(
    document: Membership, governors: tuple[Governor, ...] | None = None
) -> SignatureReport:
    """Report which of ``governors`` (the document's own when None) signed ``document``.

    Spec: WIRE-MEMBERSHIP-SIGNED.
    """
    named = document.governors if governors is None else governors
    signers = [_signer(document, signature) for signature in document.signatures]
    signed = tuple(governor for governor in named if governor.address in signers)
    return SignatureReport(
        signed=signed,
        missing=tuple(governor for governor in named if governor not in signed),
        stray_count=len(signers) - len(signed),
        majority=majority_of(len(named)),
    )


def sign_membership(
    document: Membership, key: PrivateKey, *, predecessor: Membership | None = None
) -> Membership:
    """Add a governor's signature, one per governor, in order of their addresses.

    Args:
        document: What is signed.
        key: Key of a governor of ``document``, or of ``predecessor``.
        predecessor: The document in force, whose governors must agree too.

    Raises:
        InvalidMembership: The key is no such governor.
    """
    named = {governor.address for governor in document.governors}
    if predecessor is not None:
        named |= {governor.address for governor in predecessor.governors}
    if key.address not in named:
        raise InvalidMembership(
            f"membership: 0x{key.address.hex()} is no governor of this document",
            rule="WIRE-MEMBERSHIP-SIGNED",
        )
    return merge_signatures(document, (key.sign(document.hash),))


def merge_signatures(document: Membership, signatures: tuple[Signature, ...]) -> Membership:
    """Add ``signatures``, keeping the first of each signer, in order of their addresses."""
    by_signer: dict[Address, Signature] = {}
    for signature in (*document.signatures, *signatures):
        signer = _signer(document, signature)
        if signer is not None:
            by_signer.setdefault(signer, signature)
    return replace(document, signatures=tuple(by_signer[each] for each in sorted(by_signer)))


def check_membership(document: Membership, *, genesis_hash: BlockHash) -> None:
    """Refuse a document that is not signed by a majority, or is for another network.

    Raises:
        InvalidMembership: Another genesis, or too few signatures; the message names who is
            missing.

    Spec: WIRE-MEMBERSHIP-SIGNED.
    """
    if document.genesis_hash != genesis_hash:
        raise InvalidMembership(
            f"membership: for genesis 0x{document.genesis_hash.hex()}, this network is "
            f"0x{genesis_hash.hex()}",
            rule="WIRE-MEMBERSHIP",
        )
    _check_enough(verify_signatures(document), "its governors", "WIRE-MEMBERSHIP-SIGNED")


def check_successor(current: Membership, document: Membership) -> None:
    """Refuse a document that may not replace ``current``. The same document passes.

    Raises:
        InvalidMembership: An older version, another document of the same version, another
            network, or too few signatures of its own or of the current governors.

    Spec: WIRE-MEMBERSHIP-SUCCESSION.
    """
    rule = "WIRE-MEMBERSHIP-SUCCESSION"
    check_membership(document, genesis_hash=current.genesis_hash)
    if document.hash == current.hash:
        return
    if document.version <= current.version:
        raise InvalidMembership(
            f"membership: version {document.version} cannot replace version {current.version}",
            rule=rule,
        )
    report = verify_signatures(document, current.governors)
    _check_enough(report, f"the governors of version {current.version}", rule)


def _check_enough(report: SignatureReport, of_whom: str, rule: str) -> None:
    if not report.is_enough:
        missing = ", ".join(governor.municipality for governor in report.missing)
        raise InvalidMembership(
            f"membership: signed by {len(report.signed)} of {of_whom}, needs {report.majority}; "
            f"missing: {missing}",
            rule=rule,
        )


def _signer(document: Membership, signature: Signature) -> Address | None:
    try:
        return recover_address(document.hash, signature)
    except InvalidSignature:
        return None
