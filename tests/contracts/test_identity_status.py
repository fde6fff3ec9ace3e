"""ID-CHAIN-WRITE, ID-CHAIN-COARSE, ID-CHAIN-EXPIRY: who records what of an address, how long."""

from dataclasses import dataclass
from typing import Any

import boa
import pytest
from boa.util.abi import Address as BoaAddress
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.city import City, actor, stand_contract, wait

WHERE = "0x00000000000000000000000000000000000A2C03"
BUCKET_S = 6 * 60 * 60
LIFETIME_S = 48 * 60 * 60
UNKNOWN, VERIFIED, UNCONFIRMED, GRACE, DOWNGRADED, SUSPENDED, REMOVED, EXPIRED = range(8)
PEOPLE = sorted((actor(f"resident {at}") for at in range(101)), key=lambda each: int(each, 16))


@pytest.fixture
def registry(city: City) -> Any:
    return stand_contract("IdentityStatus", BoaAddress(WHERE))


def bucket(city: City) -> int:
    return city.now_s - city.now_s % BUCKET_S


def write(
    city: City,
    registry: Any,
    accounts: list[str],
    status: int = VERIFIED,
    *,
    by: int = 1,
    level: int = 3,
    checked_at: int | None = None,
    lives_s: int = LIFETIME_S,
) -> None:
    at = bucket(city) if checked_at is None else checked_at
    with city.acting(city.services[by - 1]):
        registry.record(accounts, status, level, at, at + lives_s)


def test_a_record_says_what_was_written_until_it_runs_out(city: City, registry: Any) -> None:
    at = bucket(city)
    write(city, registry, PEOPLE[:2])

    assert registry.record_of(PEOPLE[1]) == (1, VERIFIED, 3, at, at + LIFETIME_S)
    assert registry.is_verified(PEOPLE[1], 3)
    assert registry.status_of(PEOPLE[2]) == UNKNOWN
    wait(at + LIFETIME_S - city.now_s - 1)
    assert registry.status_of(PEOPLE[0]) == VERIFIED
    wait(1)
    assert registry.status_of(PEOPLE[0]) == EXPIRED
    assert not registry.is_verified(PEOPLE[0], 0)


@pytest.mark.parametrize("status", [SUSPENDED, REMOVED])
def test_what_stopped_somebody_does_not_run_out(city: City, registry: Any, status: int) -> None:
    write(city, registry, PEOPLE[:1], status)
    wait(10 * LIFETIME_S)

    assert registry.status_of(PEOPLE[0]) == status
    assert not registry.is_verified(PEOPLE[0], 0)


@pytest.mark.parametrize(
    ("status", "is_verified"),
    [(VERIFIED, True), (UNCONFIRMED, True), (GRACE, True), (DOWNGRADED, False)],
)
def test_only_a_standing_person_counts_as_verified(
    city: City, registry: Any, status: int, is_verified: bool
) -> None:
    write(city, registry, PEOPLE[:1], status, level=2)

    assert registry.status_of(PEOPLE[0]) == status
    assert registry.is_verified(PEOPLE[0], 2) is is_verified
    assert not registry.is_verified(PEOPLE[0], 3)


def test_nobody_but_an_attesting_service_writes(city: City, registry: Any) -> None:
    at = bucket(city)
    for account in (actor("outsider"), city.accounts[0], city.governor, city.services[2]):
        with city.acting(account), boa.reverts("identity_status: caller may not attest"):
            registry.record(PEOPLE[:1], VERIFIED, 3, at, at + LIFETIME_S)


def test_a_deactivated_municipality_writes_no_more_and_its_records_count_no_more(
    city: City, registry: Any
) -> None:
    write(city, registry, PEOPLE[:1])
    write(city, registry, PEOPLE[1:2], SUSPENDED)
    city.vote(city.municipalities, "deactivate", 1, voters=(2, 3, 4))

    assert registry.status_of(PEOPLE[0]) == EXPIRED
    assert registry.status_of(PEOPLE[1]) == SUSPENDED
    with boa.reverts("identity_status: municipality not active"):
        write(city, registry, PEOPLE[:1])


@pytest.mark.parametrize("status", [VERIFIED, SUSPENDED, REMOVED])
def test_another_municipality_cannot_take_over_a_standing_record(
    city: City, registry: Any, status: int
) -> None:
    write(city, registry, PEOPLE[:1], status)

    with boa.reverts("identity_status: recorded by another municipality"):
        write(city, registry, PEOPLE[:1], by=2)


def test_another_municipality_may_record_what_has_run_out(city: City, registry: Any) -> None:
    write(city, registry, PEOPLE[:1])
    wait(LIFETIME_S)
    write(city, registry, PEOPLE[:1], by=2)

    assert registry.record_of(PEOPLE[0])[0] == 2


def test_a_record_does_not_go_back_to_an_earlier_check(city: City, registry: Any) -> None:
    now = bucket(city)
    write(city, registry, PEOPLE[:1], SUSPENDED)
    with boa.reverts("identity_status: checked before the last"):
        write(city, registry, PEOPLE[:1], checked_at=now - BUCKET_S)

    write(city, registry, PEOPLE[:1], VERIFIED)
    assert registry.status_of(PEOPLE[0]) == VERIFIED


@pytest.mark.parametrize(
    ("offset_s", "lives_s", "reason"),
    [
        pytest.param(1, LIFETIME_S, "an instant is no multiple of the bucket", id="exact check"),
        pytest.param(0, LIFETIME_S - 1, "an instant is no multiple of the bucket", id="exact end"),
        pytest.param(BUCKET_S, BUCKET_S, "checked in the future", id="future"),
        pytest.param(0, LIFETIME_S + BUCKET_S, "lives too long", id="too long"),
        pytest.param(-LIFETIME_S, LIFETIME_S, "already expired", id="expired"),
        pytest.param(0, -BUCKET_S, "already expired", id="ends before it begins"),
    ],
)
def test_an_instant_is_coarse_and_a_life_short(
    city: City, registry: Any, offset_s: int, lives_s: int, reason: str
) -> None:
    with boa.reverts(f"identity_status: {reason}"):
        write(city, registry, PEOPLE[:1], checked_at=bucket(city) + offset_s, lives_s=lives_s)


@pytest.mark.parametrize(
    ("accounts", "reason"),
    [
        pytest.param([], "empty batch", id="none"),
        pytest.param(PEOPLE[1::-1], "addresses not ascending", id="in another order"),
        pytest.param([PEOPLE[0], PEOPLE[0]], "addresses not ascending", id="one twice"),
        pytest.param(["0x" + "00" * 20], "addresses not ascending", id="empty address"),
    ],
)
def test_a_batch_has_one_order(city: City, registry: Any, accounts: list[str], reason: str) -> None:
    with boa.reverts(f"identity_status: {reason}"):
        write(city, registry, accounts)


def test_a_batch_is_bounded(city: City, registry: Any) -> None:
    write(city, registry, PEOPLE[:100])
    with pytest.raises(boa.BoaError):
        write(city, registry, PEOPLE)


@pytest.mark.parametrize(
    ("status", "level", "reason"),
    [
        (UNKNOWN, 3, "no such status"),
        (EXPIRED, 3, "no such status"),
        (VERIFIED, 4, "no such level"),
    ],
)
def test_only_known_statuses_and_levels_are_written(
    city: City, registry: Any, status: int, level: int, reason: str
) -> None:
    with boa.reverts(f"identity_status: {reason}"):
        write(city, registry, PEOPLE[:1], status, level=level)


@dataclass(frozen=True)
class Written:
    """What the model remembers of an address."""

    municipality: int
    status: int
    checked_at: int
    expires_at: int


class Records(RuleBasedStateMachine):
    """Two hubs write, one with a late clock; time passes; a plain dictionary judges."""

    def __init__(self) -> None:
        super().__init__()
        self.anchored = boa.env.anchor()
        self.anchored.__enter__()
        self.city = City()
        self.registry = stand_contract("IdentityStatus", BoaAddress(WHERE))
        self.written: dict[str, Written] = {}

    def teardown(self) -> None:
        self.anchored.__exit__(None, None, None)

    def holds_for(self, account: str, by: int, checked_at: int) -> bool:
        entry = self.written.get(account)
        if entry is None:
            return True
        if entry.municipality == by:
            return checked_at >= entry.checked_at
        return entry.expires_at <= self.city.now_s and entry.status not in (SUSPENDED, REMOVED)

    @rule(
        by=st.sampled_from([1, 2]),
        people=st.sets(st.integers(0, 3), min_size=1),
        status=st.integers(VERIFIED, REMOVED),
        late=st.integers(0, 2),
    )
    def record(self, by: int, people: set[int], status: int, late: int) -> None:
        accounts = [PEOPLE[at] for at in sorted(people)]
        checked_at = bucket(self.city) - late * BUCKET_S
        is_allowed = all(self.holds_for(each, by, checked_at) for each in accounts)
        if not is_allowed:
            with pytest.raises(boa.BoaError):
                write(self.city, self.registry, accounts, status, by=by, checked_at=checked_at)
            return
        write(self.city, self.registry, accounts, status, by=by, checked_at=checked_at)
        for each in accounts:
            self.written[each] = Written(by, status, checked_at, checked_at + LIFETIME_S)

    @rule(seconds=st.sampled_from([1, BUCKET_S, LIFETIME_S]))
    def wait(self, seconds: int) -> None:
        wait(seconds)

    @invariant()
    def every_address_has_the_status_of_the_model(self) -> None:
        for account in PEOPLE[:4]:
            entry = self.written.get(account)
            expected = UNKNOWN if entry is None else entry.status
            if entry is not None and expected not in (SUSPENDED, REMOVED):
                expected = expected if entry.expires_at > self.city.now_s else EXPIRED
            assert self.registry.status_of(account) == expected
            assert self.registry.is_verified(account, 3) == (
                expected in (VERIFIED, UNCONFIRMED, GRACE)
            )


TestRecords = Records.TestCase
TestRecords.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
