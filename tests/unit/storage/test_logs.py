"""STORE-LOGS: a search returns every matching log and nothing else, within its bounds."""

import random

import pytest

from node.primitives.receipt import Log
from node.primitives.types import Hash32, Height
from node.storage.chain import ChainStore
from node.storage.errors import QueryTooLarge
from node.storage.logs import LogFilter
from node.storage.view import StateChanges
from tests.support.stores import address_of, commit, log_of, open_made_up


def topic(number: int) -> Hash32:
    return Hash32(number.to_bytes(32, "big"))


@pytest.fixture(scope="module")
def chain() -> ChainStore:
    chance = random.Random(9)
    made = open_made_up()
    for _ in range(60):
        groups = tuple(
            tuple(
                log_of(
                    *(chance.randrange(4) for _ in range(chance.randrange(5))),
                    address=address_of(chance.randrange(5)),
                )
                for _ in range(chance.randrange(3))
            )
            for _ in range(chance.randrange(4))
        )
        commit(made, StateChanges(), logs=groups)
    return made


def by_hand(chain: ChainStore, wanted: LogFilter, start: int, stop: int) -> list[tuple[int, Log]]:
    return [
        (height, log)
        for height in range(start, stop + 1)
        for receipt in chain.load_receipts(Height(height))
        for log in receipt.logs
        if (not wanted.addresses or log.address in wanted.addresses)
        and len(wanted.topics) <= len(log.topics)
        and all(
            not one or other in one for one, other in zip(wanted.topics, log.topics, strict=False)
        )
    ]


def test_random_filters_find_what_reading_every_block_finds(chain: ChainStore) -> None:
    chance = random.Random(3)
    for _ in range(300):
        wanted = LogFilter(
            addresses=tuple(address_of(chance.randrange(6)) for _ in range(chance.randrange(3))),
            topics=tuple(
                tuple(topic(chance.randrange(5)) for _ in range(chance.randrange(3)))
                for _ in range(chance.randrange(4))
            ),
        )
        start = chance.randrange(0, 60)
        stop = chance.randrange(start, 61)
        found = chain.find_logs(wanted, start=Height(start), stop=Height(stop), count_max=10_000)
        assert [(one.height, one.log) for one in found] == by_hand(chain, wanted, start, stop)


def test_a_found_log_says_where_it_stands(chain: ChainStore) -> None:
    for one in chain.find_logs(LogFilter(), start=Height(0), stop=Height(60), count_max=10_000):
        block = chain.load_block(one.height)
        receipts = chain.load_receipts(one.height)
        flat = [log for receipt in receipts for log in receipt.logs]
        assert one.block_hash == block.hash
        assert one.transaction_hash == block.transactions[one.transaction_index].hash
        assert flat[one.log_index] == one.log
        assert one.log in receipts[one.transaction_index].logs


def test_an_answer_at_its_bound_is_given_and_one_above_is_refused(chain: ChainStore) -> None:
    every = chain.find_logs(LogFilter(), start=Height(0), stop=Height(60), count_max=10_000)

    found = chain.find_logs(LogFilter(), start=Height(0), stop=Height(60), count_max=len(every))
    assert found == every
    with pytest.raises(QueryTooLarge, match="fewer blocks") as refused:
        chain.find_logs(LogFilter(), start=Height(0), stop=Height(60), count_max=len(every) - 1)
    assert refused.value.values["height"] == every[-1].height


def test_a_range_beyond_its_bound_is_refused(
    chain: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.storage.chain.LOG_BLOCKS_MAX", 10)

    chain.find_logs(LogFilter(), start=Height(1), stop=Height(10), count_max=1_000)
    with pytest.raises(QueryTooLarge, match="11 blocks"):
        chain.find_logs(LogFilter(), start=Height(1), stop=Height(11), count_max=1_000)


def test_a_range_beyond_the_head_ends_there(chain: ChainStore) -> None:
    assert chain.find_logs(LogFilter(), start=Height(61), stop=Height(99), count_max=1) == []
