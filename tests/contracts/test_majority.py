"""PERM-MAJORITY, PERM-EXPIRY: votes are counted once, among the active, for thirty days.

The module is exercised through AccountPermissions; Municipalities uses the same code.
"""

import boa
import pytest
from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector, keccak

from tests.support.city import PROPOSAL_LIFETIME_S, City, actor, wait

CANDIDATE = actor("candidate")


def proposal_id(account: str) -> bytes:
    selector = function_signature_to_4byte_selector("add_governor(address)")
    return keccak(selector + encode(["address"], [account]))


def test_a_proposal_is_named_by_the_call_that_carries_it(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 3))

    voters, expires_at = city.permissions.proposal(proposal_id(CANDIDATE))

    assert voters == 0b01010
    assert expires_at == city.now_s + PROPOSAL_LIFETIME_S


def test_two_of_four_are_no_majority_and_three_are(city: City) -> None:
    assert not city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 2))
    assert not city.permissions.is_governor(CANDIDATE)

    assert city.vote(city.permissions, "add_governor", CANDIDATE, voters=(3,))

    assert city.permissions.is_governor(CANDIDATE)
    assert city.permissions.proposal(proposal_id(CANDIDATE)) == (0, 0)


def test_voting_twice_is_refused_and_not_counted(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 2))

    with boa.reverts("majority: already voted"):
        city.vote(city.permissions, "add_governor", CANDIDATE, voters=(2,))

    assert not city.permissions.is_governor(CANDIDATE)


def test_votes_hold_until_the_last_second_of_the_lifetime(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 2))
    wait(PROPOSAL_LIFETIME_S - 1)

    assert city.vote(city.permissions, "add_governor", CANDIDATE, voters=(3,))


def test_after_it_they_are_void_and_a_vote_begins_anew(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 2))
    wait(PROPOSAL_LIFETIME_S)

    assert city.permissions.proposal(proposal_id(CANDIDATE)) == (0, 0)
    assert not city.vote(city.permissions, "add_governor", CANDIDATE, voters=(3,))
    assert not city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1,))
    assert city.vote(city.permissions, "add_governor", CANDIDATE, voters=(2,))


def test_later_votes_do_not_prolong_a_proposal(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1,))
    wait(PROPOSAL_LIFETIME_S - 10)
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(2,))
    wait(10)

    assert not city.vote(city.permissions, "add_governor", CANDIDATE, voters=(3,))


def test_a_withdrawn_vote_does_not_count_and_may_be_given_again(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 2))
    city.vote(city.permissions, "withdraw_vote", proposal_id(CANDIDATE), voters=(2,))

    assert not city.vote(city.permissions, "add_governor", CANDIDATE, voters=(3,))
    assert city.vote(city.permissions, "add_governor", CANDIDATE, voters=(2,))


def test_withdrawing_the_only_vote_closes_the_proposal(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1,))
    city.vote(city.permissions, "withdraw_vote", proposal_id(CANDIDATE), voters=(1,))

    assert city.permissions.proposal(proposal_id(CANDIDATE)) == (0, 0)
    with boa.reverts("majority: no open proposal"):
        city.vote(city.permissions, "withdraw_vote", proposal_id(CANDIDATE), voters=(1,))


@pytest.mark.parametrize(
    ("voters", "reason"),
    [
        pytest.param((), "majority: no open proposal", id="never proposed"),
        pytest.param((2,), "majority: has not voted", id="another's vote"),
        pytest.param((1, 2, 3), "majority: no open proposal", id="carried already"),
    ],
)
def test_only_one_s_own_standing_vote_can_be_withdrawn(
    city: City, voters: tuple[int, ...], reason: str
) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=voters)

    with boa.reverts(reason):
        city.vote(city.permissions, "withdraw_vote", proposal_id(CANDIDATE), voters=(1,))


def test_a_carried_proposal_can_be_proposed_again_from_nothing(city: City) -> None:
    city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 2, 3))
    city.vote(city.permissions, "remove_governor", CANDIDATE, voters=(1, 2, 3))

    assert not city.vote(city.permissions, "add_governor", CANDIDATE, voters=(4,))
    assert city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1, 2))


def test_a_municipality_alone_is_its_own_majority(city: City) -> None:
    city.vote(city.municipalities, "deactivate", 4, voters=(1, 2, 3))
    city.vote(city.municipalities, "deactivate", 3, voters=(1, 2))
    city.vote(city.municipalities, "deactivate", 2, voters=(1, 2))

    assert city.vote(city.permissions, "add_governor", CANDIDATE, voters=(1,))
