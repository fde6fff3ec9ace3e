"""WIRE-MEMBERSHIP, WIRE-MEMBERSHIP-SIGNED, WIRE-MEMBERSHIP-SUCCESSION: who may connect.

Four governors, so a majority is three.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from node.membership.document import (
    ENDPOINT_COUNT_MAX,
    GOVERNOR_COUNT_MAX,
    MEMBER_COUNT_MAX,
    MEMBERSHIP_SIZE_MAX,
    NAME_SIZE_MAX,
    Endpoint,
    Governor,
    InvalidMembership,
    Membership,
    Role,
    build_member,
    build_membership,
    decode_membership,
    encode_membership,
    parse_endpoint,
)
from node.membership.signatures import (
    check_membership,
    check_successor,
    merge_signatures,
    sign_membership,
    verify_signatures,
)
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.types import BlockHash, Hash32
from tests.support.peers import (
    DAY_S,
    GENESIS,
    NOW_S,
    build_test_member,
    governor_key,
    node_key,
    signed_membership,
)

MEMBERS = [build_test_member(at, port=30_303 + at) for at in range(4)]
DOCUMENT = signed_membership(MEMBERS)


def as_record(document: Membership = DOCUMENT) -> Any:
    return json.loads(encode_membership(document))


def decode_record(record: object) -> Membership:
    return decode_membership(json.dumps(record).encode())


def test_a_document_comes_back_from_its_text() -> None:
    assert decode_membership(encode_membership(DOCUMENT).encode()) == DOCUMENT


def test_the_hash_does_not_depend_on_order_spacing_or_signatures() -> None:
    record = as_record()
    record["members"].reverse()
    record["governors"].reverse()
    record["signatures"] = []

    assert decode_membership(json.dumps(record).encode()).hash == DOCUMENT.hash


def test_a_members_address_is_that_of_its_key() -> None:
    account = Account.from_key(node_key(0).export_secret())

    assert DOCUMENT.find(node_key(0).address) is not None
    assert node_key(0).address.hex() == account.address[2:].lower()


CHANGES: list[Any] = [
    pytest.param(lambda r: r.update(version=2), id="version"),
    pytest.param(lambda r: r.update(genesis_hash="0x" + "11" * 32), id="genesis"),
    pytest.param(lambda r: r.update(valid_until_s=NOW_S + 5), id="validity"),
    pytest.param(lambda r: r["members"][0].update(role="observer"), id="role"),
    pytest.param(lambda r: r["members"][0].update(endpoints=[]), id="endpoints"),
    pytest.param(lambda r: r["members"].pop(), id="a member gone"),
    pytest.param(lambda r: r["governors"].pop(), id="a governor gone"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_takes_the_signatures_away(change: Callable[[Any], object]) -> None:
    record = as_record()
    change(record)
    changed = decode_record(record)

    assert changed.hash != DOCUMENT.hash
    assert verify_signatures(changed).signed == ()


BROKEN: list[Any] = [
    pytest.param(lambda r: r.pop("version"), id="a key missing"),
    pytest.param(lambda r: r.update(extra=1), id="an unknown key"),
    pytest.param(lambda r: r.update(version=0), id="version 0"),
    pytest.param(lambda r: r.update(version=True), id="version not a number"),
    pytest.param(lambda r: r.update(version=1.5), id="version a fraction"),
    pytest.param(lambda r: r.update(valid_until_s=r["issued_at_s"]), id="expired when made"),
    pytest.param(lambda r: r.update(members=[]), id="no members"),
    pytest.param(lambda r: r.update(governors=[]), id="no governors"),
    pytest.param(lambda r: r["members"].append(r["members"][0]), id="a key twice"),
    pytest.param(lambda r: r["members"][0].update(name=r["members"][1]["name"]), id="a name twice"),
    pytest.param(lambda r: r["governors"].append(r["governors"][0]), id="a governor twice"),
    pytest.param(lambda r: r["members"][0].update(node_key="0x" + "01" * 64), id="off the curve"),
    pytest.param(lambda r: r["members"][0].update(node_key="0x" + "ff" * 64), id="off the field"),
    pytest.param(lambda r: r["members"][0].update(role="emperor"), id="unknown role"),
    pytest.param(lambda r: r["members"][0].update(name="x" * 65), id="a long name"),
    pytest.param(lambda r: r["members"][0].update(name="a\nb"), id="a name with a line break"),
    pytest.param(lambda r: r["members"][0].update(name=""), id="no name"),
    pytest.param(lambda r: r["members"][0].update(endpoints=["nowhere"]), id="no port"),
    pytest.param(lambda r: r["members"][0].update(endpoints=["a/b:1"]), id="a path in a host"),
    pytest.param(lambda r: r.update(signatures=["0x00"]), id="a short signature"),
]


@pytest.mark.parametrize("change", BROKEN)
def test_a_broken_document_is_refused(change: Callable[[Any], object]) -> None:
    record = as_record()
    change(record)

    with pytest.raises(InvalidMembership, match="WIRE-MEMBERSHIP"):
        decode_record(record)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"version": 1, "version": 2}', id="a key written twice"),
        pytest.param(b" " * (MEMBERSHIP_SIZE_MAX + 1), id="too long"),
        pytest.param(b'{"version": 1' + b"0" * 5_000 + b"}", id="a huge number"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMembership):
        decode_membership(data)


def key_of(index: int) -> PrivateKey:
    return PrivateKey(keccak256(b"member %d" % index))


def build_with(members: int = 1, governors: int = 1) -> Membership:
    return build_membership(
        version=1,
        genesis_hash=GENESIS,
        issued_at_s=NOW_S,
        valid_until_s=NOW_S + 1,
        governors=tuple(
            Governor(municipality=f"town {at}", address=key_of(at).address)
            for at in range(governors)
        ),
        members=tuple(
            build_member(
                name=f"node {at}", municipality="town", public_key=key_of(at).public_key,
                role=Role.VALIDATOR,
            )
            for at in range(members)
        ),
    )  # fmt: skip


def test_counts_are_bounded_at_the_bound() -> None:
    assert len(build_with(members=MEMBER_COUNT_MAX).members) == MEMBER_COUNT_MAX
    assert len(build_with(governors=GOVERNOR_COUNT_MAX).governors) == GOVERNOR_COUNT_MAX
    with pytest.raises(InvalidMembership, match="129"):
        build_with(members=MEMBER_COUNT_MAX + 1)
    with pytest.raises(InvalidMembership, match="65"):
        build_with(governors=GOVERNOR_COUNT_MAX + 1)
    endpoints = (Endpoint(host="h", port=1),) * (ENDPOINT_COUNT_MAX + 1)
    build_member(
        name="x" * NAME_SIZE_MAX, municipality="m", public_key=key_of(0).public_key,
        role=Role.ARCHIVE, endpoints=endpoints[1:],
    )  # fmt: skip
    with pytest.raises(InvalidMembership, match="endpoints"):
        build_member(
            name="x", municipality="m", public_key=key_of(0).public_key,
            role=Role.ARCHIVE, endpoints=endpoints,
        )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["node.tsukuba.example:30303", "[2001:db8::1]:1", "10.0.0.1:65535"]
)
def test_endpoints_come_back_as_written(text: str) -> None:
    assert str(parse_endpoint(text)) == text


@pytest.mark.parametrize("text", ["h:0", "h:65536", ":1", "h:", "h", "h:1x", "ho st:1", "h:٣"])
def test_endpoints_that_lead_nowhere_are_refused(text: str) -> None:
    with pytest.raises(InvalidMembership):
        parse_endpoint(text)


@pytest.mark.parametrize(("signer_count", "is_enough"), [(2, False), (3, True), (4, True)])
def test_a_majority_of_governors_must_sign(signer_count: int, is_enough: bool) -> None:
    document = signed_membership(MEMBERS, signer_count=signer_count)

    assert verify_signatures(document).is_enough is is_enough
    if is_enough:
        check_membership(document, genesis_hash=GENESIS)
    else:
        with pytest.raises(InvalidMembership, match=r"missing: .*Ibaraki"):
            check_membership(document, genesis_hash=GENESIS)


def test_a_governor_counts_once_and_a_stranger_not_at_all() -> None:
    unsigned = signed_membership(MEMBERS, signer_count=0)
    stranger = PrivateKey(keccak256(b"stranger"))
    first = governor_key(0)
    padded = replace(
        unsigned,
        signatures=(*(first.sign(unsigned.hash) for _ in range(3)), stranger.sign(unsigned.hash)),
    )
    report = verify_signatures(padded)

    assert (len(report.signed), report.is_enough, report.stray_count) == (1, False, 3)
    assert len(merge_signatures(unsigned, padded.signatures).signatures) == 2
    with pytest.raises(InvalidMembership, match="no governor"):
        sign_membership(unsigned, stranger)


def test_a_signature_for_another_network_does_not_count() -> None:
    other = replace(DOCUMENT, genesis_hash=BlockHash(Hash32(b"\x01" * 32)))

    with pytest.raises(InvalidMembership, match="for genesis"):
        check_membership(other, genesis_hash=GENESIS)
    with pytest.raises(InvalidMembership, match="signed by 0"):
        check_membership(other, genesis_hash=other.genesis_hash)


def test_a_higher_version_replaces_and_a_lower_or_equal_one_does_not() -> None:
    second = signed_membership(MEMBERS[:3], version=2)
    check_successor(DOCUMENT, second)
    check_successor(DOCUMENT, DOCUMENT)
    with pytest.raises(InvalidMembership, match="cannot replace version 2"):
        check_successor(second, DOCUMENT)
    with pytest.raises(InvalidMembership, match="cannot replace version 1"):
        check_successor(DOCUMENT, signed_membership(MEMBERS[:3], version=1))


def test_new_governors_need_the_old_ones_word() -> None:
    usurpers = [PrivateKey(keccak256(b"usurper %d" % at)) for at in range(3)]
    document = replace(
        signed_membership(MEMBERS, version=2, signer_count=0),
        governors=tuple(
            Governor(municipality=f"town {at}", address=key.address)
            for at, key in sorted(enumerate(usurpers), key=lambda pair: pair[1].address)
        ),
    )
    for key in usurpers:
        document = sign_membership(document, key)
    check_membership(document, genesis_hash=GENESIS)
    with pytest.raises(InvalidMembership, match="governors of version 1"):
        check_successor(DOCUMENT, document)

    for at in range(3):
        document = sign_membership(document, governor_key(at), predecessor=DOCUMENT)
    check_successor(DOCUMENT, document)


def test_days_left_count_down_past_zero() -> None:
    document = signed_membership(MEMBERS, valid_days=10)

    assert document.days_left(NOW_S) == 10
    assert document.days_left(NOW_S + 11 * DAY_S) == -1
