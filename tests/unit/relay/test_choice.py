"""RELAY-FAIR: a service with a flood of operations does not keep the others waiting."""

from services.relay.choice import Waiting, choose
from services.relay.operations import Word


def word(number: int) -> Word:
    return Word(number.to_bytes(32, "big"))


FLOOD = [Waiting(word=word(at), service="library") for at in range(100)]
ALERT = Waiting(word=word(1_000), service="disaster")


def test_one_service_alone_goes_in_its_order() -> None:
    assert choose(FLOOD, in_flight={}, room=3) == (word(0), word(1), word(2))


def test_another_service_is_next_however_many_came_before_it() -> None:
    assert choose([*FLOOD, ALERT], in_flight={}, room=2) == (word(0), ALERT.word)


def test_what_is_under_way_counts() -> None:
    waiting = [*FLOOD, ALERT]

    assert choose(waiting, in_flight={"library": 5}, room=1) == (ALERT.word,)
    assert choose(waiting, in_flight={"disaster": 5}, room=2) == (word(0), word(1))


def test_no_room_chooses_nothing_and_room_to_spare_chooses_all() -> None:
    assert choose(FLOOD, in_flight={}, room=0) == ()
    assert len(choose([*FLOOD, ALERT], in_flight={}, room=1_000)) == 101
