"""PERM-GOVERNOR, PERM-OWN-SERVICES, PERM-ATTEST, PERM-OPEN-CALL, PERM-LAST: who changes what.

Municipalities 1 and 2 each have a service that may attest; 3 and 4 have one that may not.
"""

from collections.abc import Sequence

import boa
import pytest

from tests.support.city import RESIDENT_LIFETIME_MAX_S, City, actor, wait

CANDIDATE = actor("candidate")
RESIDENT = actor("resident")
OTHER = actor("other resident")
BALLOT_BOX = actor("ballot box")
SELECTOR = b"\x01\x02\x03\x04"
DAY_S = 86_400
ZERO = "0x" + "00" * 20
NO_VOTE = "account_permissions: caller has no vote"


def attest(city: City, accounts: Sequence[str], seconds: int = DAY_S, by: int = 1) -> None:
    with city.acting(city.services[by - 1]):
        city.permissions.attest_residents(list(accounts), city.now_s + seconds)


def revoke(city: City, accounts: Sequence[str], by: int = 1) -> None:
    with city.acting(city.services[by - 1]):
        city.permissions.revoke_residents(list(accounts))


def events(city: City) -> list[str]:
    return [type(log).__name__ for log in city.permissions.get_logs()]


def test_genesis_storage_is_what_the_contract_reads(city: City) -> None:
    rules = city.permissions

    assert rules.governor_count() == 1
    assert rules.is_governor(city.governor)
    for number, service in enumerate(city.services, start=1):
        assert rules.service_municipality(service) == number
        assert rules.service_count(number) == 1
        assert rules.is_service(service)
        assert rules.is_attester(service) == (number <= 2)
    assert rules.resident(RESIDENT) == (0, 0)
    assert rules.open_call_gas_max(BALLOT_BOX, SELECTOR) == 0


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        pytest.param("add_governor", (CANDIDATE,), id="add_governor"),
        pytest.param("remove_governor", (CANDIDATE,), id="remove_governor"),
        pytest.param("expel_service", (CANDIDATE,), id="expel_service"),
        pytest.param("grant_attestation", (CANDIDATE,), id="grant_attestation"),
        pytest.param("revoke_attestation", (CANDIDATE,), id="revoke_attestation"),
        pytest.param("open_call", (BALLOT_BOX, SELECTOR, 1), id="open_call"),
        pytest.param("close_call", (BALLOT_BOX, SELECTOR), id="close_call"),
        pytest.param("withdraw_vote", (bytes(32),), id="withdraw_vote"),
        pytest.param("add_service", (CANDIDATE,), id="add_service"),
        pytest.param("remove_service", (CANDIDATE,), id="remove_service"),
        pytest.param("renounce_attestation", (CANDIDATE,), id="renounce_attestation"),
    ],
)
@pytest.mark.parametrize("caller", ["outsider", "service", "governor", "shut out"])
def test_nobody_but_an_active_municipality_governs(
    city: City, call: str, arguments: tuple[object, ...], caller: str
) -> None:
    prepare(city, call)
    city.vote(city.municipalities, "deactivate", 4, voters=(1, 2, 3))
    account = {
        "outsider": actor("outsider"),
        "service": city.services[0],
        "governor": city.governor,
        "shut out": city.accounts[3],
    }[caller]

    with city.acting(account), boa.reverts(NO_VOTE):
        getattr(city.permissions, call)(*arguments)


def prepare(city: City, call: str) -> None:
    """Bring about what ``call`` is to undo."""
    voters = (1, 2, 3)
    if call == "remove_governor":
        city.vote(city.permissions, "add_governor", CANDIDATE, voters=voters)
    if call in ("expel_service", "grant_attestation", "revoke_attestation", "renounce_attestation"):
        city.vote(city.permissions, "add_service", CANDIDATE, voters=(1,))
    if call in ("revoke_attestation", "renounce_attestation"):
        city.vote(city.permissions, "grant_attestation", CANDIDATE, voters=voters)
    if call == "close_call":
        city.vote(city.permissions, "open_call", BALLOT_BOX, SELECTOR, 1, voters=voters)


def test_a_majority_adds_and_removes_a_governor(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 2, 4))
    assert events(city) == ["Voted", "Carried", "GovernorAdded"]
    assert city.permissions.governor_count() == 2

    city.vote(city.permissions, "remove_governor", city.governor, voters=(1, 2, 4))

    assert events(city) == ["Voted", "Carried", "GovernorRemoved"]
    assert not city.permissions.is_governor(city.governor)
    assert city.permissions.governor_count() == 1


@pytest.mark.parametrize(
    ("call", "arguments", "reason"),
    [
        pytest.param("add_governor", (ZERO,), "account_permissions: empty account", id="nobody"),
        pytest.param(
            "remove_governor", (CANDIDATE,), "account_permissions: not a governor", id="no"
        ),
        pytest.param(
            "expel_service", (CANDIDATE,), "account_permissions: not a service", id="expel"
        ),
        pytest.param(
            "grant_attestation", (CANDIDATE,), "account_permissions: not a service", id="grant"
        ),
        pytest.param(
            "revoke_attestation", (CANDIDATE,), "account_permissions: does not attest", id="revoke"
        ),
        pytest.param(
            "open_call", (ZERO, SELECTOR, 1), "account_permissions: empty target", id="no target"
        ),
        pytest.param(
            "open_call", (BALLOT_BOX, SELECTOR, 0), "account_permissions: zero gas cap", id="no gas"
        ),
        pytest.param(
            "close_call", (BALLOT_BOX, SELECTOR), "account_permissions: not open", id="not open"
        ),
        pytest.param("add_service", (ZERO,), "account_permissions: empty account", id="no service"),
        pytest.param(
            "remove_service",
            (CANDIDATE,),
            "account_permissions: not a service of the caller",
            id="unknown service",
        ),
    ],
)
def test_votes_and_calls_about_nothing_are_refused(
    city: City, call: str, arguments: tuple[object, ...], reason: str
) -> None:
    with boa.reverts(reason):
        city.vote(city.permissions, call, *arguments, voters=(1,))


def test_what_is_so_already_is_not_voted_on(city: City) -> None:
    city.vote(city.permissions, "open_call", BALLOT_BOX, SELECTOR, 5, voters=(1, 2, 3))

    with boa.reverts("account_permissions: already a governor"):
        city.vote(city.permissions, "add_governor", city.governor, voters=(1,))
    with boa.reverts("account_permissions: already attests"):
        city.vote(city.permissions, "grant_attestation", city.services[0], voters=(1,))
    with boa.reverts("account_permissions: already open"):
        city.vote(city.permissions, "open_call", BALLOT_BOX, SELECTOR, 5, voters=(1,))
    with boa.reverts("account_permissions: already a service"):
        city.vote(city.permissions, "add_service", city.services[3], voters=(1,))


def test_the_last_governor_stays(city: City) -> None:
    with boa.reverts("account_permissions: the last governor must stay"):
        city.vote(city.permissions, "remove_governor", city.governor, voters=(1,))


def test_the_sixty_fourth_governor_is_the_last(city: City) -> None:
    for number in range(63):
        city.vote(city.permissions, "add_governor", actor(f"governor {number}"), voters=(1, 2, 3))

    with boa.reverts("account_permissions: too many governors"):
        city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1,))


def test_a_municipality_runs_its_own_services_alone(city: City) -> None:
    with city.acting(city.accounts[2]):
        city.permissions.add_service(CANDIDATE)
        assert events(city) == ["ServiceAdded"]
        assert city.permissions.is_service(CANDIDATE)
        assert city.permissions.service_count(3) == 2
        city.permissions.remove_service(CANDIDATE)
    assert events(city) == ["ServiceRemoved"]
    assert not city.permissions.is_service(CANDIDATE)
    assert city.permissions.service_count(3) == 1


def test_but_not_another_s(city: City) -> None:
    with city.acting(city.accounts[2]):
        with boa.reverts("account_permissions: not a service of the caller"):
            city.permissions.remove_service(city.services[0])
        with boa.reverts("account_permissions: not a service of the caller"):
            city.permissions.renounce_attestation(city.services[0])


def test_a_majority_expels_another_s_service_with_its_right_to_attest(city: City) -> None:
    city.vote(city.permissions, "expel_service", city.services[0], voters=(2, 3, 4))

    assert events(city) == ["Voted", "Carried", "AttestationRevoked", "ServiceRemoved"]
    assert not city.permissions.is_attester(city.services[0])
    assert not city.permissions.is_service(city.services[0])
    with boa.reverts("account_permissions: caller may not attest"):
        attest(city, [RESIDENT])


def test_a_service_added_again_does_not_attest_by_an_old_right(city: City) -> None:
    with city.acting(city.accounts[0]):
        city.permissions.remove_service(city.services[0])
    with city.acting(city.accounts[1]):
        city.permissions.add_service(city.services[0])

    assert not city.permissions.is_attester(city.services[0])


def test_the_sixty_fourth_service_of_a_municipality_is_its_last(city: City) -> None:
    with city.acting(city.accounts[0]):
        for number in range(63):
            city.permissions.add_service(actor(f"further service {number}"))
        with boa.reverts("account_permissions: too many services"):
            city.permissions.add_service(CANDIDATE)
    with city.acting(city.accounts[1]):
        city.permissions.add_service(CANDIDATE)


def test_the_right_to_attest_is_granted_by_a_majority_and_renounced_alone(city: City) -> None:
    city.vote(city.permissions, "grant_attestation", city.services[2], voters=(1, 2, 4))
    attest(city, [RESIDENT], by=3)

    with city.acting(city.accounts[2]):
        city.permissions.renounce_attestation(city.services[2])
        assert events(city) == ["AttestationRevoked"]
        with boa.reverts("account_permissions: does not attest"):
            city.permissions.renounce_attestation(city.services[2])

    with boa.reverts("account_permissions: caller may not attest"):
        attest(city, [OTHER], by=3)
    assert city.permissions.is_resident(RESIDENT)


def test_a_majority_takes_the_right_to_attest(city: City) -> None:
    city.vote(city.permissions, "revoke_attestation", city.services[0], voters=(2, 3, 4))

    with boa.reverts("account_permissions: caller may not attest"):
        attest(city, [RESIDENT])
    assert city.permissions.is_service(city.services[0])


def test_an_attested_resident_may_send_until_the_expiry(city: City) -> None:
    attest(city, [RESIDENT, OTHER], seconds=DAY_S)

    assert events(city) == ["ResidentAttested", "ResidentAttested"]
    assert city.permissions.resident(RESIDENT) == (1, city.now_s + DAY_S)
    wait(DAY_S - 1)
    assert city.permissions.is_resident(RESIDENT)
    wait(1)
    assert not city.permissions.is_resident(RESIDENT)


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        pytest.param(0, "account_permissions: already expired", id="now"),
        pytest.param(-5, "account_permissions: already expired", id="in the past"),
        pytest.param(
            RESIDENT_LIFETIME_MAX_S + 1, "account_permissions: expires too late", id="too late"
        ),
    ],
)
def test_an_expiry_out_of_range_is_refused(city: City, seconds: int, reason: str) -> None:
    with boa.reverts(reason):
        attest(city, [RESIDENT], seconds=seconds)


def test_the_longest_attestation_is_accepted(city: City) -> None:
    attest(city, [RESIDENT], seconds=RESIDENT_LIFETIME_MAX_S)

    assert city.permissions.is_resident(RESIDENT)


def test_a_batch_holds_a_hundred_and_no_more(city: City) -> None:
    batch = [actor(f"resident {at}") for at in range(100)]
    attest(city, batch)

    assert all(city.permissions.is_resident(one) for one in (batch[0], batch[99]))
    with boa.reverts():
        attest(city, [*batch, RESIDENT])


def test_a_batch_with_one_bad_entry_changes_nothing(city: City) -> None:
    attest(city, [OTHER], by=2)

    with boa.reverts("account_permissions: attested by another municipality"):
        attest(city, [RESIDENT, OTHER], by=1)
    with boa.reverts("account_permissions: empty account"):
        attest(city, [RESIDENT, ZERO])

    assert not city.permissions.is_resident(RESIDENT)


def test_an_attestation_is_prolonged_by_its_own_municipality(city: City) -> None:
    attest(city, [RESIDENT], seconds=DAY_S)
    attest(city, [RESIDENT], seconds=2 * DAY_S)

    assert city.permissions.resident(RESIDENT) == (1, city.now_s + 2 * DAY_S)


def test_and_taken_over_by_another_only_after_it_expired(city: City) -> None:
    attest(city, [RESIDENT], seconds=DAY_S, by=1)
    wait(DAY_S - 1)
    with boa.reverts("account_permissions: attested by another municipality"):
        attest(city, [RESIDENT], by=2)
    wait(1)

    attest(city, [RESIDENT], by=2)

    assert city.permissions.resident(RESIDENT)[0] == 2


def test_a_resident_is_revoked_by_the_attesting_municipality_only(city: City) -> None:
    attest(city, [RESIDENT], by=1)
    with boa.reverts("account_permissions: not attested by this municipality"):
        revoke(city, [RESIDENT], by=2)

    revoke(city, [RESIDENT], by=1)

    assert events(city) == ["ResidentRevoked"]
    assert city.permissions.resident(RESIDENT) == (0, 0)
    with boa.reverts("account_permissions: not attested by this municipality"):
        revoke(city, [RESIDENT], by=1)


@pytest.mark.parametrize("caller", ["outsider", "service without the right", "municipality"])
def test_nobody_else_attests_or_revokes(city: City, caller: str) -> None:
    account = {
        "outsider": actor("outsider"),
        "service without the right": city.services[3],
        "municipality": city.accounts[0],
    }[caller]

    with city.acting(account):
        with boa.reverts("account_permissions: caller may not attest"):
            city.permissions.attest_residents([RESIDENT], city.now_s + 1)
        with boa.reverts("account_permissions: caller may not attest"):
            city.permissions.revoke_residents([RESIDENT])


def test_a_municipality_shut_out_takes_services_and_residents_with_it(city: City) -> None:
    attest(city, [RESIDENT], by=1)
    city.vote(city.municipalities, "deactivate", 1, voters=(2, 3, 4))

    assert not city.permissions.is_service(city.services[0])
    assert not city.permissions.is_resident(RESIDENT)
    with boa.reverts("account_permissions: municipality not active"):
        attest(city, [OTHER], by=1)

    city.vote(city.municipalities, "activate", 1, voters=(2, 3))

    assert city.permissions.is_service(city.services[0])
    assert city.permissions.is_resident(RESIDENT)


def test_a_majority_opens_changes_and_closes_a_call(city: City) -> None:
    city.vote(city.permissions, "open_call", BALLOT_BOX, SELECTOR, 300_000, voters=(1, 2, 3))
    assert events(city) == ["Voted", "Carried", "CallOpened"]
    assert city.permissions.open_call_gas_max(BALLOT_BOX, SELECTOR) == 300_000
    assert city.permissions.open_call_gas_max(BALLOT_BOX, b"\x01\x02\x03\x05") == 0

    city.vote(city.permissions, "open_call", BALLOT_BOX, SELECTOR, 200_000, voters=(1, 2, 3))
    assert city.permissions.open_call_gas_max(BALLOT_BOX, SELECTOR) == 200_000

    city.vote(city.permissions, "close_call", BALLOT_BOX, SELECTOR, voters=(1, 2, 3))
    assert events(city) == ["Voted", "Carried", "CallClosed"]
    assert city.permissions.open_call_gas_max(BALLOT_BOX, SELECTOR) == 0
