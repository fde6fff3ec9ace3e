"""CAST-BATCH, BOX-BATCH: what goes to the box next, in an order that tells nothing."""

from services.election.ballots.batching import (
    BATCH_BYTES_MAX,
    GAS_BASE,
    Pending,
    Recorded,
    choose_batch,
    encode_cast,
    gas_of,
)
from services.kit.outbox import CALLDATA_BYTES_MAX
from tests.support.voting import SeededNonces

EID = b"\xe1" * 32
NOW = 1_000
GAS = 8_000_000


def pending(number: int, *, sequence: int = 1, deadline: int = 100, races: int = 1) -> Pending:
    key = number.to_bytes(64, "big")
    core = bytes([1]) + EID + b"\x00\x01" + key + sequence.to_bytes(8, "big")
    return Pending(
        key=key,
        sequence=sequence,
        core=core + b"\x00" * 226 * races,
        signature=b"\x01" * 65,
        deadline=deadline,
    )


def choose(
    *ballots: Pending,
    recorded: dict[bytes, Recorded] | None = None,
    gas_max: int = GAS,
    seed: str = "order",
) -> tuple[Pending, ...]:
    return choose_batch(
        ballots,
        recorded or {},
        now_s=NOW,
        min_interval_s=10,
        gas_max=gas_max,
        source=SeededNonces(seed),
    )


def test_one_ballot_of_a_key_goes_at_a_time() -> None:
    first, second = pending(1), pending(1, sequence=2)

    assert choose(first, second) == (first,)
    known = {first.key: Recorded(sequence=1, cast_at=NOW - 10)}
    assert choose(second, recorded=known) == (second,)


def test_a_ballot_waits_for_its_interval() -> None:
    second = pending(1, sequence=2)
    known = {second.key: Recorded(sequence=1, cast_at=NOW - 9)}

    assert choose(second, recorded=known) == ()


def test_the_order_is_random() -> None:
    ballots = [pending(at) for at in range(20)]

    orders = {choose(*ballots, seed=str(seed)) for seed in range(5)}

    assert len(orders) == 5
    assert all(set(order) == set(ballots) for order in orders)


def test_what_was_promised_first_goes_first() -> None:
    ballots = [pending(at, deadline=200 - at) for at in range(100)]

    chosen = choose(*ballots)

    assert len(chosen) < 100
    assert min(200 - each.deadline for each in chosen) == 100 - len(chosen)


def test_a_batch_fits_into_an_intent_and_its_gas() -> None:
    ballots = [pending(at, races=3) for at in range(100)]
    chosen = choose(*ballots)
    cheap = choose(*ballots, gas_max=GAS_BASE + 2 * ballots[0].gas)

    assert sum(len(each.item) for each in chosen) <= BATCH_BYTES_MAX
    assert len(encode_cast(EID, chosen)) <= CALLDATA_BYTES_MAX
    assert gas_of(chosen) <= GAS
    assert len(cheap) == 2


def test_a_call_holds_the_items_in_their_order() -> None:
    batch = [pending(at) for at in range(3)]

    data = encode_cast(EID, batch)
    size = int.from_bytes(data[68:100], "big")

    assert data[100 : 100 + size] == b"".join(one.item for one in batch)
