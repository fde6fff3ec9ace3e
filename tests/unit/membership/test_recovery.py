"""REC-DOCUMENT, REC-SIGNED, REC-LOST, REC-APPLY, REC-LOCK, REC-HANDSHAKE.

Four municipalities, each with a governor and a validator; the third and fourth are gone.
"""

import json
from dataclasses import replace

import pytest

from node.consensus.messages import (
    PreparedCertificate,
    PreparePayload,
    recover_signed,
    signing_hash,
)
from node.consensus.validators import StandingVote, ValidatorTally
from node.membership.document import Governor, Membership, Role, build_member, build_membership
from node.membership.recovery import (
    RECOVERY_SIZE_MAX,
    InvalidRecovery,
    Recovery,
    apply_recoveries,
    build_recovery,
    check_lost,
    check_signed,
    compute_fork_hash,
    decode_recovery,
    encode_recovery,
    keep_lock,
    sign_recovery,
)
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey
from node.primitives.types import ZERO_HASH, Address, BlockHash, Digest, Hash32, Height, Round
from tests.support.consensus import GENESIS

GENESIS_HASH = BlockHash(Hash32(b"\x01" * 32))
PARENT = BlockHash(Hash32(b"\x02" * 32))
GOVERNORS = tuple(PrivateKey(bytes([at]) * 32) for at in range(1, 5))
KEYS = tuple(sorted((PrivateKey(bytes([at]) * 32) for at in range(5, 9)), key=lambda k: k.address))
VALIDATORS = tuple(key.address for key in KEYS)
STRANGER = PrivateKey(b"\x55" * 32)
NAMES = ("Tsukuba", "Goka", "Sakai", "Ibaraki")


def membership() -> Membership:
    return build_membership(
        version=1,
        genesis_hash=GENESIS_HASH,
        issued_at_s=1,
        valid_until_s=2,
        governors=tuple(
            Governor(municipality=name, address=key.address)
            for name, key in zip(NAMES, GOVERNORS, strict=True)
        ),
        members=(
            build_member(
                name="a", municipality="A", public_key=KEYS[0].public_key, role=Role.VALIDATOR
            ),
        ),
    )


def document(*signers: PrivateKey, lost: tuple[Address, ...] | None = None) -> Recovery:
    gone = (GOVERNORS[2].address, GOVERNORS[3].address) if lost is None else lost
    found = build_recovery(
        genesis_hash=GENESIS_HASH,
        height=Height(10),
        parent_hash=PARENT,
        validators=VALIDATORS[:2],
        lost=gone,
        reason="both sites burnt down",
    )
    for signer in signers:
        found = sign_recovery(found, signer)
    return found


def tally(height: int = 9) -> ValidatorTally:
    vote = StandingVote(voter=VALIDATORS[0], recipient=VALIDATORS[3], is_add=False)
    return ValidatorTally(height=Height(height), validators=VALIDATORS, votes=(vote,))


def test_a_document_survives_its_file() -> None:
    signed = document(*GOVERNORS[:2])
    assert decode_recovery(encode_recovery(signed).encode()) == signed


def test_all_who_remain_need_a_majority() -> None:
    check_signed(document(*GOVERNORS[:2]), membership())


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(document(), "needs 2; missing", id="nobody"),
        pytest.param(document(GOVERNORS[0]), "signed by 1 of the 2", id="half of those who remain"),
        pytest.param(document(GOVERNORS[0], STRANGER), "signed by 1", id="a stranger"),
        pytest.param(document(GOVERNORS[0], GOVERNORS[2]), "signed by 1", id="a lost governor"),
        pytest.param(
            document(*GOVERNORS[:2], lost=()), "signed by 2 of the 4", id="nobody declared lost"
        ),
        pytest.param(
            document(*GOVERNORS[:2], lost=(STRANGER.address,)), "none of this", id="unknown lost"
        ),
        pytest.param(
            replace(document(*GOVERNORS[:2]), genesis_hash=PARENT), "another network", id="network"
        ),
        pytest.param(
            replace(document(*GOVERNORS[:2]), height=Height(11)), "signed by 0", id="altered after"
        ),
    ],
)
def test_too_few_signatures_do_not_count(found: Recovery, said: str) -> None:
    with pytest.raises(InvalidRecovery, match=said):
        check_signed(found, membership())


def test_a_set_that_can_still_decide_is_not_replaced() -> None:
    check_lost(document(), VALIDATORS)
    with pytest.raises(InvalidRecovery, match="a quorum: vote"):
        check_lost(replace(document(), validators=VALIDATORS[:3]), VALIDATORS)


def test_the_document_binds_after_its_parent_and_nowhere_else() -> None:
    changed = apply_recoveries(tally(), PARENT, [document()])
    assert changed.validators == VALIDATORS[:2]
    assert changed.votes == ()
    assert apply_recoveries(tally(), GENESIS_HASH, [document()]) == tally()
    assert apply_recoveries(tally(8), PARENT, [document()]) == tally(8)


def certificate(*authors: PrivateKey) -> PreparedCertificate:
    payload = PreparePayload(height=Height(10), round=Round(0), digest=Digest(Hash32(b"\xaa" * 32)))
    prepares = tuple(recover_signed(payload, key.sign(signing_hash(payload))) for key in authors)
    return PreparedCertificate(block=Block(header=GENESIS), prepares=prepares)


def test_a_lock_stays_as_far_as_the_new_set_can_prove_it() -> None:
    kept = keep_lock(certificate(*KEYS[:3]), VALIDATORS[:2])
    assert kept is not None
    assert [each.author for each in kept.prepares] == list(VALIDATORS[:2])


def test_a_lock_the_new_set_cannot_prove_is_dropped() -> None:
    assert keep_lock(certificate(KEYS[0], KEYS[2], KEYS[3]), VALIDATORS[:2]) is None
    assert keep_lock(None, VALIDATORS) is None


def test_peers_compare_every_document_in_order() -> None:
    one, two = document(), replace(document(), height=Height(20))
    assert compute_fork_hash(ZERO_HASH, []) == ZERO_HASH
    hashes = {compute_fork_hash(ZERO_HASH, each) for each in ([one], [two], [one, two], [two, one])}
    assert len(hashes) == 4
    signed = document(GOVERNORS[0])
    assert compute_fork_hash(ZERO_HASH, [signed]) == compute_fork_hash(ZERO_HASH, [one])


def altered(**changes: object) -> bytes:
    return json.dumps({**json.loads(encode_recovery(document())), **changes}).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 5_000, id="deep"),
        pytest.param(b" " * (RECOVERY_SIZE_MAX + 1), id="too long"),
        pytest.param(altered(extra=1), id="unknown key"),
        pytest.param(altered(height=0), id="genesis height"),
        pytest.param(altered(height=True), id="bool for height"),
        pytest.param(altered(validators=[]), id="no validators"),
        pytest.param(altered(validators=["0x" + "11" * 20] * 2), id="validator twice"),
        pytest.param(altered(validators=["0x11"]), id="short address"),
        pytest.param(altered(validators=5), id="number for a list"),
        pytest.param(altered(lost=[f"0x{at:040x}" for at in range(65)]), id="65 lost"),
        pytest.param(altered(reason=""), id="no reason"),
        pytest.param(altered(reason="x" * 513), id="long reason"),
        pytest.param(altered(signatures=["0xzz"]), id="no hex"),
    ],
)
def test_malformed_documents_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecovery):
        decode_recovery(data)
