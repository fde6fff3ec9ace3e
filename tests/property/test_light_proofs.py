"""LIGHT-BISECT, LIGHT-BOUNDS: paths over any history of validators, and strange answers.

A client that takes every header by the step rule is the judge of one that skips.
"""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from clients.core.answers import (
    account_proof_of,
    block_of,
    header_of,
    receipt_proof_of,
    receipts_of,
)
from clients.core.headers import Path, check_next
from clients.core.trust import decode_trust
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput
from node.primitives.header import Header
from tests.support.consensus import GENESIS, KEYS, make_keys
from tests.support.light import LIMITS, chain_with_sets, height

NOW_S = GENESIS.timestamp_s + 900
CANDIDATES = tuple(sorted([*KEYS, *make_keys(6, "late")], key=lambda key: key.address))


def sets_after(changes: list[int]) -> list[tuple[PrivateKey, ...]]:
    """Return the set at each height: a change adds or drops one candidate, within 3 and 7."""
    members, sets = list(KEYS), []
    for change in changes:
        key = CANDIDATES[change % len(CANDIDATES)]
        if key in members and len(members) > 3:
            members.remove(key)
        elif key not in members and len(members) < 7:
            members.append(key)
        sets.append(tuple(sorted(members, key=lambda each: each.address)))
    return sets


@settings(max_examples=25, deadline=None)
@given(changes=st.lists(st.integers(0, 9), min_size=1, max_size=24))
def test_skipping_reaches_what_stepping_reaches(changes: list[int]) -> None:
    chain = chain_with_sets(sets_after(changes))
    trusted: Header = GENESIS
    for header in chain[1:]:
        check_next(header, trusted=trusted, now_s=NOW_S, limits=LIMITS)
        trusted = header

    path = Path(GENESIS, height(len(changes)), now_s=NOW_S, limits=LIMITS)
    while path.wanted is not None:
        path.take(chain[path.wanted])

    assert path.trusted is trusted
    assert path.taken_count <= 2 * len(changes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.binary(max_size=40).map(lambda data: "0x" + data.hex()),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["header", "accountProof", "storageProof", "proof", "receipt", "receiptProof",
             "transaction", "transactionProof", "transactionIndex", "origin", "head"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(answer=JSON)
def test_strange_answers_raise_nothing_but_invalid_input(answer: object) -> None:
    readers = (header_of, block_of, receipts_of, receipt_proof_of)
    for read in (*readers, lambda value: account_proof_of(value, (1,))):
        try:
            read(answer)  # type: ignore[operator]
        except InvalidInput:
            continue


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_strange_state_file_raises_nothing_but_invalid_input(data: bytes) -> None:
    try:
        decode_trust(data)
    except InvalidInput:
        return
    raise AssertionError("no such text is a state file")
