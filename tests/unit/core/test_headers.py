"""LIGHT-STEP, LIGHT-SKIP, LIGHT-BISECT, LIGHT-PERIOD, LIGHT-FRESH, LIGHT-ANCESTOR: headers.

Four validators, so a quorum is three, and two of the trusted set must vouch.
"""

from dataclasses import replace

import pytest

from clients.core.headers import (
    PATH_HEADERS_MAX,
    HeaderRefused,
    Path,
    StaleHead,
    TrustExpired,
    check_ancestor,
    check_fresh,
    check_next,
    verify_advance,
)
from node.primitives.header import Header
from node.primitives.types import BlockHash, Hash32, Signature
from tests.support.consensus import GENESIS, KEYS, OUTSIDER, make_keys
from tests.support.light import LIMITS, chain_with_sets, header_after, height

NOW_S = GENESIS.timestamp_s + 500
SIXTH = make_keys(8, "late")


def rotating(count: int) -> list[Header]:
    """Make a chain on which the set changes by one member at a time, from height 11 on."""
    sets = []
    keys = list(KEYS)
    for at in range(count):
        if at and at % 10 == 0:
            keys = [*keys[1:], SIXTH[at // 10 - 1]]
        sets.append(sorted(keys, key=lambda key: key.address))
    return chain_with_sets(sets)


CHAIN = rotating(80)


def walk(path: Path, chain: list[Header]) -> list[int]:
    """Give a path what it wants; return the heights it asked for."""
    asked = []
    while path.wanted is not None:
        asked.append(int(path.wanted))
        path.take(chain[path.wanted])
    return asked


def start(trusted: Header, target: int) -> Path:
    return Path(trusted, height(target), now_s=NOW_S, limits=LIMITS)


def test_a_far_header_of_the_same_set_takes_one_request() -> None:
    path = start(CHAIN[0], 10)

    assert walk(path, CHAIN) == [10]
    assert path.trusted is CHAIN[10]


def test_one_changed_member_is_still_skipped() -> None:
    assert walk(start(CHAIN[0], 20), CHAIN) == [20]


def test_a_set_that_changed_altogether_is_reached_by_halves() -> None:
    path = start(CHAIN[0], 80)

    asked = walk(path, CHAIN)

    assert path.trusted is CHAIN[80]
    assert asked[:2] == [80, 40]
    assert len(asked) < 10


def test_the_next_header_is_taken_without_skipping() -> None:
    check_next(CHAIN[1], trusted=CHAIN[0], now_s=NOW_S, limits=LIMITS)


def test_the_next_header_after_the_next_is_not_the_next() -> None:
    with pytest.raises(HeaderRefused, match=r"height: expected 1, found 2 \(LIGHT-STEP\)"):
        check_next(CHAIN[2], trusted=CHAIN[0], now_s=NOW_S, limits=LIMITS)


def test_a_set_of_strangers_is_refused_after_halving_down_to_the_next_header() -> None:
    strangers = make_keys(4, "stranger")
    forged = chain_with_sets([strangers] * 16)
    path = start(GENESIS, 16)

    with pytest.raises(HeaderRefused, match=r"header 1: seals of the trusted set.*LIGHT-STEP"):
        walk(path, forged)
    assert path.taken_count == 5
    assert path.trusted is GENESIS


@pytest.mark.parametrize(
    ("header", "name"),
    [
        pytest.param(header_after(CHAIN[4], KEYS, by=KEYS[:2]), "distinct", id="two seals"),
        pytest.param(
            header_after(CHAIN[4], KEYS, by=(*KEYS[:3], OUTSIDER)), "strangers", id="a stranger"
        ),
        pytest.param(
            header_after(CHAIN[4], KEYS, by=(*KEYS[:2], KEYS[0])), "twice", id="one seal twice"
        ),
        pytest.param(
            CHAIN[5].with_seals((*CHAIN[5].extra_data.seals[:3], Signature(b"\x00" * 65))),
            "recover nobody",
            id="a seal of nobody",
        ),
        pytest.param(replace(CHAIN[5], height=height(6)), "expected 5", id="another height"),
    ],
)
def test_a_header_with_bad_seals_is_refused_by_name(header: Header, name: str) -> None:
    with pytest.raises(HeaderRefused, match=name):
        start(GENESIS, 5).take(header)


def test_a_header_that_was_not_wanted_is_refused() -> None:
    with pytest.raises(HeaderRefused, match="expected 5"):
        start(GENESIS, 5).take(CHAIN[4])


def test_nothing_is_taken_after_the_target() -> None:
    path = start(GENESIS, 5)
    path.take(CHAIN[5])

    with pytest.raises(HeaderRefused):
        path.take(CHAIN[5])


def test_a_target_below_what_is_trusted_is_refused() -> None:
    with pytest.raises(HeaderRefused):
        start(CHAIN[5], 5)


def test_a_path_has_a_bound() -> None:
    path = start(GENESIS, 5)
    path.taken_count = PATH_HEADERS_MAX

    with pytest.raises(HeaderRefused, match="path of over"):
        path.take(CHAIN[5])


def test_trust_holds_to_the_last_second_of_its_period() -> None:
    last_s = GENESIS.timestamp_s + LIMITS.trusting_period_s - 1

    assert walk(Path(GENESIS, height(5), now_s=last_s, limits=LIMITS), CHAIN) == [5]
    with pytest.raises(TrustExpired, match="two municipalities"):
        Path(GENESIS, height(5), now_s=last_s + 1, limits=LIMITS)


@pytest.mark.parametrize("at", [pytest.param(1, id="step"), pytest.param(5, id="skip")])
def test_a_header_from_the_future_is_refused_beyond_the_drift(at: int) -> None:
    header = CHAIN[at]
    limit_s = header.timestamp_s - LIMITS.drift_s

    def failed(now_s: int) -> list[str]:
        report = verify_advance(header, trusted=GENESIS, now_s=now_s, limits=LIMITS)
        return [check.name for check in report.failures]

    assert failed(limit_s) == []
    assert failed(limit_s - 1) == ["timestamp"]


def test_the_past_is_not_an_advance() -> None:
    report = verify_advance(CHAIN[3], trusted=CHAIN[5], now_s=NOW_S, limits=LIMITS)

    assert [check.name for check in report.failures] == ["height", "timestamp"]


def test_a_head_is_fresh_to_the_last_second() -> None:
    head = CHAIN[9]
    last_s = head.timestamp_s + LIMITS.staleness_s

    check_fresh(head, now_s=last_s, limits=LIMITS)
    with pytest.raises(StaleHead, match="withhold"):
        check_fresh(head, now_s=last_s + 1, limits=LIMITS)


def test_a_parent_is_known_by_its_hash_alone() -> None:
    check_ancestor(CHAIN[4], CHAIN[5])
    with pytest.raises(HeaderRefused, match="LIGHT-ANCESTOR"):
        check_ancestor(replace(CHAIN[4], state_root=Hash32(b"\x01" * 32)), CHAIN[5])
    with pytest.raises(HeaderRefused, match="LIGHT-ANCESTOR"):
        check_ancestor(CHAIN[3], CHAIN[5])


def test_another_parent_is_refused_however_well_it_is_sealed() -> None:
    other = replace(CHAIN[4], parent_hash=BlockHash(Hash32(b"\x02" * 32)))
    child = header_after(other, KEYS)

    with pytest.raises(HeaderRefused, match="parent hash"):
        check_next(child, trusted=CHAIN[4], now_s=NOW_S, limits=LIMITS)
