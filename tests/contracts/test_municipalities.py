"""PERM-MUNICIPALITIES, PERM-LAST, PERM-MAJORITY: who the municipalities are changes by majority.

Four municipalities, so a majority is three.
"""

import boa
import pytest

from contracts.artifact import load_artifact
from tests.support.city import City, actor
from tests.support.ledger import NAMES, VALIDATOR_KEYS

VALIDATOR, OBSERVER = 1, 2
NEWCOMER = actor("newcomer")
NO_VOTE = "municipalities: caller has no vote"


def newcomer(**changes: object) -> tuple[object, ...]:
    fields: dict[str, object] = {
        "name": "つくばみらい市",
        "account": NEWCOMER,
        "validator": actor("new validator"),
        "role": VALIDATOR,
        "endpoint": "https://node5.example.lg.jp",
        **changes,
    }
    return tuple(fields.values())


def test_genesis_storage_is_what_the_contract_reads(city: City) -> None:
    registry = city.municipalities

    assert registry.municipality_count() == 4
    assert registry.active_mask() == 0b11110
    assert registry.needed() == 3
    for number, name in enumerate(NAMES, start=1):
        record = registry.municipality(number)
        assert record.name == name
        assert record.account == city.accounts[number - 1]
        assert bytes.fromhex(record.validator[2:]) == VALIDATOR_KEYS[number - 1].address
        assert record.role == VALIDATOR
        assert record.endpoint == f"https://node{number}.example.lg.jp"
        assert registry.is_active(number)
        assert registry.id_of(record.account) == number
    assert registry.municipality(5).name == ""
    assert not registry.is_active(0)
    assert not registry.is_active(5)
    assert not registry.is_active(2**255)


def test_a_majority_takes_in_a_newcomer_that_then_votes(city: City) -> None:
    assert not city.vote(city.municipalities, "register", *newcomer(), voters=(1, 2))
    assert city.municipalities.id_of(NEWCOMER) == 0

    assert city.vote(city.municipalities, "register", *newcomer(), voters=(4,))

    names = [type(log).__name__ for log in city.municipalities.get_logs()]
    assert names == ["Voted", "Carried", "MunicipalityRegistered"]
    assert city.municipalities.municipality(5).name == "つくばみらい市"
    assert city.municipalities.voter(NEWCOMER) == (5, 0b111110)
    with city.acting(NEWCOMER):
        city.municipalities.set_endpoint("https://elsewhere.example.lg.jp")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"name": ""}, "municipalities: empty name", id="no name"),
        pytest.param(
            {"account": "0x" + "00" * 20}, "municipalities: empty account", id="no account"
        ),
        pytest.param({"role": 0}, "municipalities: no such role", id="no role"),
        pytest.param({"role": 3}, "municipalities: no such role", id="both roles"),
    ],
)
def test_a_newcomer_without_the_essentials_is_refused(
    city: City, changes: dict[str, object], reason: str
) -> None:
    with boa.reverts(reason):
        city.vote(city.municipalities, "register", *newcomer(**changes), voters=(1,))


def test_an_account_votes_for_one_municipality_only(city: City) -> None:
    taken = newcomer(account=city.accounts[0])

    with boa.reverts("municipalities: account already votes"):
        city.vote(city.municipalities, "register", *taken, voters=(1,))
    with boa.reverts("municipalities: account already votes"):
        city.vote(city.municipalities, "set_account", 2, city.accounts[0], voters=(1,))


def test_slightly_different_calls_are_different_proposals(city: City) -> None:
    city.vote(city.municipalities, "register", *newcomer(), voters=(1, 2))

    assert not city.vote(city.municipalities, "register", *newcomer(role=OBSERVER), voters=(3,))


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        pytest.param("register", newcomer(), id="register"),
        pytest.param("activate", (1,), id="activate"),
        pytest.param("deactivate", (1,), id="deactivate"),
        pytest.param("set_account", (1, NEWCOMER), id="set_account"),
        pytest.param("set_validator", (1, NEWCOMER), id="set_validator"),
        pytest.param("set_role", (1, OBSERVER), id="set_role"),
        pytest.param("set_endpoint", ("x",), id="set_endpoint"),
        pytest.param("withdraw_vote", (bytes(32),), id="withdraw_vote"),
    ],
)
@pytest.mark.parametrize("caller", ["outsider", "service", "governor"])
def test_nobody_but_a_municipality_changes_anything(
    city: City, call: str, arguments: tuple[object, ...], caller: str
) -> None:
    if call == "activate":
        city.vote(city.municipalities, "deactivate", 1, voters=(2, 3, 4))
    account = {
        "outsider": actor("outsider"),
        "service": city.services[1],
        "governor": city.governor,
    }[caller]

    with city.acting(account), boa.reverts(NO_VOTE):
        getattr(city.municipalities, call)(*arguments)


def test_a_deactivated_municipality_votes_no_more_and_can_come_back(city: City) -> None:
    assert city.vote(city.municipalities, "deactivate", 4, voters=(1, 2, 3))
    assert city.municipalities.active_mask() == 0b01110
    assert city.municipalities.needed() == 2
    with city.acting(city.accounts[3]), boa.reverts(NO_VOTE):
        city.municipalities.set_endpoint("x")

    assert city.vote(city.municipalities, "activate", 4, voters=(1, 2))

    assert city.municipalities.active_mask() == 0b11110


def test_the_votes_of_a_municipality_that_was_shut_out_do_not_count(city: City) -> None:
    city.vote(city.municipalities, "set_role", 1, OBSERVER, voters=(4,))
    city.vote(city.municipalities, "deactivate", 4, voters=(1, 2, 3))

    assert not city.vote(city.municipalities, "set_role", 1, OBSERVER, voters=(1,))
    assert city.vote(city.municipalities, "set_role", 1, OBSERVER, voters=(2,))

    carried = next(log for log in city.municipalities.get_logs() if type(log).__name__ == "Carried")
    assert carried.voters == 0b00110


def test_the_last_active_municipality_stays(city: City) -> None:
    city.vote(city.municipalities, "deactivate", 4, voters=(1, 2, 3))
    city.vote(city.municipalities, "deactivate", 3, voters=(1, 2))
    city.vote(city.municipalities, "deactivate", 2, voters=(1, 2))

    with boa.reverts("municipalities: the last one must stay"):
        city.vote(city.municipalities, "deactivate", 1, voters=(1,))


@pytest.mark.parametrize(
    ("call", "arguments", "reason"),
    [
        pytest.param("activate", (1,), "municipalities: already active", id="active already"),
        pytest.param("activate", (5,), "municipalities: no such municipality", id="activate"),
        pytest.param("deactivate", (0,), "municipalities: no such municipality", id="id 0"),
        pytest.param("deactivate", (2**256 - 1,), "municipalities: no such municipality", id="max"),
        pytest.param(
            "set_account", (5, NEWCOMER), "municipalities: no such municipality", id="account"
        ),
        pytest.param(
            "set_validator", (5, NEWCOMER), "municipalities: no such municipality", id="validator"
        ),
        pytest.param("set_role", (5, 1), "municipalities: no such municipality", id="role"),
        pytest.param("set_role", (1, 3), "municipalities: no such role", id="both roles"),
    ],
)
def test_votes_about_nothing_are_refused(
    city: City, call: str, arguments: tuple[object, ...], reason: str
) -> None:
    with boa.reverts(reason):
        city.vote(city.municipalities, call, *arguments, voters=(2,))


def test_a_lost_key_is_replaced_by_the_others_and_old_votes_stay(city: City) -> None:
    city.vote(city.municipalities, "set_role", 1, OBSERVER, voters=(2,))
    assert city.vote(city.municipalities, "set_account", 2, NEWCOMER, voters=(1, 3, 4))

    with city.acting(city.accounts[1]), boa.reverts(NO_VOTE):
        city.municipalities.set_role(1, OBSERVER)
    with city.acting(NEWCOMER), boa.reverts("majority: already voted"):
        city.municipalities.set_role(1, OBSERVER)
    assert city.municipalities.municipality(2).account == NEWCOMER


def test_roles_validators_and_endpoints_are_recorded(city: City) -> None:
    city.vote(city.municipalities, "set_role", 3, OBSERVER, voters=(1, 2, 3))
    city.vote(city.municipalities, "set_validator", 3, NEWCOMER, voters=(1, 2, 3))
    with city.acting(city.accounts[2]):
        city.municipalities.set_endpoint("https://new.example.lg.jp")

    record = city.municipalities.municipality(3)
    assert (record.role, record.validator) == (OBSERVER, NEWCOMER)
    assert record.endpoint == "https://new.example.lg.jp"


def test_the_sixty_fourth_municipality_is_the_last(city: City) -> None:
    count_slot = load_artifact("Municipalities").layout["municipality_count"].slot
    boa.env.set_storage(city.municipalities.address, count_slot, 63)

    assert city.vote(city.municipalities, "register", *newcomer(), voters=(1, 2, 3))

    assert city.municipalities.is_active(64)
    assert city.municipalities.needed() == 3
    with boa.reverts("municipalities: too many"):
        late = newcomer(account=actor("late"))
        city.vote(city.municipalities, "register", *late, voters=(1,))
