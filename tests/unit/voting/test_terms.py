"""ELECTION-TERMS: what contracts enforce is what the manifest says, and nothing passes for it."""

from dataclasses import dataclass

import pytest

from clients.voting.manifest import Manifest, decode_manifest, encode_canonical
from clients.voting.terms import (
    TERM_NAMES,
    Terms,
    TermsDiffer,
    check_terms,
    decode_terms,
    encode_announcement,
    terms_of,
)
from tests.support.ledger import MUNICIPALITY_KEYS, Ledger, deploy, encode_call
from tests.unit.voting.test_manifest import fields


def manifest() -> Manifest:
    times = {"opens_at": 1_800_000_000, "closes_at": 1_800_001_000, "freezes_at": 1_800_001_000}
    return decode_manifest(encode_canonical(fields(**times)))


@dataclass
class Announced:
    """What the contract's event says."""

    eid: bytes
    terms: bytes


@pytest.fixture(scope="module")
def announced() -> Announced:
    """Announce the manifest on a ledger with the call data that the library makes."""
    ledger = Ledger()
    elections = deploy(ledger, "Elections")
    draft = encode_call("draft(bytes32)", bytes.fromhex(manifest().draft_id))
    ledger.make(ledger.call(MUNICIPALITY_KEYS[0], elections, draft))
    logs = []
    for key in MUNICIPALITY_KEYS[:3]:
        sent = ledger.call(key, elections, encode_announcement(manifest()), gas_limit=8_000_000)
        logs += ledger.make(sent).result.receipts[0].logs
    return Announced(eid=logs[-1].topics[1], terms=logs[-1].data)


def test_the_contract_announces_what_the_manifest_says(announced: Announced) -> None:
    check_terms(manifest(), announced.eid, decode_terms(announced.terms))


@pytest.mark.parametrize("name", TERM_NAMES)
def test_any_other_term_is_named(name: str) -> None:
    terms = list(terms_of(manifest()))
    at = TERM_NAMES.index(name)
    value = terms[at]
    changed: object = value[:-1] if isinstance(value, bytes | tuple) else int(value) + 1  # type: ignore[arg-type]
    terms[at] = changed  # type: ignore[call-overload]
    other: Terms = tuple(terms)

    with pytest.raises(TermsDiffer, match=name):
        check_terms(manifest(), manifest().eid, other)


def test_terms_under_another_id_are_refused() -> None:
    with pytest.raises(TermsDiffer, match="eid"):
        check_terms(manifest(), b"\x01" * 32, terms_of(manifest()))


@pytest.mark.parametrize("data", [b"", b"\x00" * 31, b"\xff" * 640])
def test_bytes_that_are_no_terms_are_refused(data: bytes) -> None:
    with pytest.raises(TermsDiffer):
        decode_terms(data)
