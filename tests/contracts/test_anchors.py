"""RELAY-ANCHOR: a service anchors a root once, in its own municipality's streams, without gaps."""

from typing import Any

import boa
import pytest
from boa.util.abi import Address as BoaAddress
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.city import City, actor, stand_contract

WHERE = "0x00000000000000000000000000000000000A2C02"
AUDIT = b"\x01" * 32
BOOKINGS = b"\x02" * 32
ROOT = b"\xaa" * 32
OTHER_ROOT = b"\xbb" * 32
LEAF_COUNT_MAX = 2**32


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.fixture
def anchors(city: City) -> Any:
    return stand_contract("Anchors", BoaAddress(WHERE))


def test_an_anchored_root_stands_at_its_place_with_its_time(city: City, anchors: Any) -> None:
    with city.acting(city.services[0]):
        assert anchors.anchor(AUDIT, word(1), ROOT, 20) == 0
        assert anchors.anchor(AUDIT, word(2), OTHER_ROOT, 1) == 1

    assert anchors.length(1, AUDIT) == 2
    assert anchors.anchor_at(1, AUDIT, 0) == (ROOT, 20, city.now_s)
    assert anchors.anchor_at(1, AUDIT, 1) == (OTHER_ROOT, 1, city.now_s)


def test_an_operation_is_anchored_once_whatever_else_differs(city: City, anchors: Any) -> None:
    with city.acting(city.services[0]):
        anchors.anchor(AUDIT, word(1), ROOT, 20)
        with boa.reverts("anchors: operation already anchored"):
            anchors.anchor(BOOKINGS, word(1), OTHER_ROOT, 3)

    assert anchors.length(1, BOOKINGS) == 0


def test_municipalities_share_neither_streams_nor_operations(city: City, anchors: Any) -> None:
    for service in city.services[:2]:
        with city.acting(service):
            assert anchors.anchor(AUDIT, word(1), ROOT, 20) == 0

    assert anchors.length(1, AUDIT) == anchors.length(2, AUDIT) == 1


@pytest.mark.parametrize(
    ("root", "leaf_count", "reason"),
    [
        pytest.param(b"\x00" * 32, 1, "anchors: empty root", id="empty root"),
        pytest.param(ROOT, 0, "anchors: no leaves", id="no leaves"),
        pytest.param(ROOT, LEAF_COUNT_MAX + 1, "anchors: too many leaves", id="one leaf too many"),
    ],
)
def test_what_is_no_root_is_refused(
    city: City, anchors: Any, root: bytes, leaf_count: int, reason: str
) -> None:
    with city.acting(city.services[0]), boa.reverts(reason):
        anchors.anchor(AUDIT, word(1), root, leaf_count)


def test_the_largest_count_of_leaves_is_taken(city: City, anchors: Any) -> None:
    with city.acting(city.services[0]):
        assert anchors.anchor(AUDIT, word(1), ROOT, LEAF_COUNT_MAX) == 0


def test_nobody_but_a_service_anchors(city: City, anchors: Any) -> None:
    for account in (actor("outsider"), city.accounts[0], city.governor):
        with city.acting(account), boa.reverts("anchors: caller is not a service"):
            anchors.anchor(AUDIT, word(1), ROOT, 1)


def test_a_removed_service_anchors_no_more_and_its_roots_stay(city: City, anchors: Any) -> None:
    with city.acting(city.services[0]):
        anchors.anchor(AUDIT, word(1), ROOT, 20)
    with city.acting(city.accounts[0]):
        city.permissions.remove_service(city.services[0])

    with city.acting(city.services[0]), boa.reverts("anchors: caller is not a service"):
        anchors.anchor(AUDIT, word(2), ROOT, 20)
    assert anchors.anchor_at(1, AUDIT, 0)[0] == ROOT


def test_a_deactivated_municipality_anchors_no_more(city: City, anchors: Any) -> None:
    city.vote(city.municipalities, "deactivate", 1, voters=(2, 3, 4))

    with city.acting(city.services[0]), boa.reverts("anchors: caller is not a service"):
        anchors.anchor(AUDIT, word(1), ROOT, 20)


def test_there_is_nothing_after_the_last_anchor(city: City, anchors: Any) -> None:
    with city.acting(city.services[0]):
        anchors.anchor(AUDIT, word(1), ROOT, 20)

    with boa.reverts("anchors: no such anchor"):
        anchors.anchor_at(1, AUDIT, 1)


class Streams(RuleBasedStateMachine):
    """Any order of calls by two municipalities, against lists."""

    def __init__(self) -> None:
        super().__init__()
        self.anchored = boa.env.anchor()
        self.anchored.__enter__()
        self.city = City()
        self.contract = stand_contract("Anchors", BoaAddress(WHERE))
        self.streams: dict[tuple[int, bytes], list[bytes]] = {}
        self.operations: set[tuple[int, int]] = set()

    def teardown(self) -> None:
        self.anchored.__exit__(None, None, None)

    @rule(
        municipality=st.sampled_from([1, 2]),
        stream=st.sampled_from([AUDIT, BOOKINGS]),
        operation=st.integers(0, 3),
        root=st.integers(1, 9),
    )
    def anchor(self, municipality: int, stream: bytes, operation: int, root: int) -> None:
        with self.city.acting(self.city.services[municipality - 1]):
            if (municipality, operation) in self.operations:
                with boa.reverts("anchors: operation already anchored"):
                    self.contract.anchor(stream, word(operation), word(root), 1)
                return
            self.contract.anchor(stream, word(operation), word(root), 1)
        self.operations.add((municipality, operation))
        self.streams.setdefault((municipality, stream), []).append(word(root))

    @invariant()
    def every_stream_holds_what_was_anchored_in_order(self) -> None:
        for (municipality, stream), roots in self.streams.items():
            assert self.contract.length(municipality, stream) == len(roots)
            found = [
                self.contract.anchor_at(municipality, stream, at)[0] for at in range(len(roots))
            ]
            assert found == roots


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
