"""PERM-MAJORITY, PERM-EXPIRY, PERM-LAST: governance against a naive model, in random sequences.

The model keeps plain sets. After every step the contracts must agree with it, and nothing that
needs a majority may have changed without one.
"""

from dataclasses import dataclass, field
from typing import Any

import boa
import pytest
from boa import BoaError
from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector, keccak
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.city import PROPOSAL_LIFETIME_S, City, actor, wait

IDS = st.integers(1, 4)
PEOPLE = tuple(actor(f"person {at}") for at in range(3))
SERVICES = tuple(actor(f"model service {at}") for at in range(3))
GOVERNANCE = {
    "add_governor": ("permissions", "address"),
    "remove_governor": ("permissions", "address"),
    "expel_service": ("permissions", "address"),
    "grant_attestation": ("permissions", "address"),
    "activate": ("municipalities", "uint256"),
    "deactivate": ("municipalities", "uint256"),
}


@dataclass
class Proposal:
    """Votes for one call."""

    expires_at_s: int
    voters: set[int] = field(default_factory=set)


class Governance(RuleBasedStateMachine):
    """Municipalities vote, services come and go, time passes."""

    city: City

    def __init__(self) -> None:
        super().__init__()
        self.anchor = boa.env.anchor()
        self.anchor.__enter__()
        self.active = {1, 2, 3, 4}
        self.governors = {self.city.governor}
        self.services = {service: at for at, service in enumerate(self.city.services, start=1)}
        self.attesters = set(self.city.services[:2])
        self.proposals: dict[tuple[str, object], Proposal] = {}

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    def is_possible(self, call: str, subject: Any) -> bool:
        return {
            "add_governor": subject not in self.governors,
            "remove_governor": subject in self.governors and len(self.governors) > 1,
            "expel_service": subject in self.services,
            "grant_attestation": subject in self.services and subject not in self.attesters,
            "activate": subject not in self.active,
            "deactivate": subject in self.active and len(self.active) > 1,
        }[call]

    def carry(self, call: str, subject: Any) -> None:
        if call == "add_governor":
            self.governors.add(subject)
        elif call == "remove_governor":
            self.governors.remove(subject)
        elif call == "expel_service":
            self.drop(subject)
        elif call == "grant_attestation":
            self.attesters.add(subject)
        elif call == "activate":
            self.active.add(subject)
        else:
            self.active.remove(subject)

    def drop(self, service: str) -> None:
        del self.services[service]
        self.attesters.discard(service)

    @rule(voter=IDS, call=st.sampled_from(sorted(GOVERNANCE)), person=st.integers(0, 6), other=IDS)
    def vote(self, voter: int, call: str, person: int, other: int) -> None:
        people = (*PEOPLE, *SERVICES, self.city.governor)
        subject: Any = other if GOVERNANCE[call][1] == "uint256" else people[person]
        contract = getattr(self.city, GOVERNANCE[call][0])
        standing = self.proposals.get((call, subject))
        if standing is None or standing.expires_at_s <= self.city.now_s:
            standing = Proposal(expires_at_s=self.city.now_s + PROPOSAL_LIFETIME_S)
        is_allowed = (
            voter in self.active
            and self.is_possible(call, subject)
            and voter not in standing.voters
        )
        with self.city.acting(self.city.accounts[voter - 1]):
            if not is_allowed:
                with pytest.raises(BoaError):
                    getattr(contract, call)(subject)
                return
            is_carried = getattr(contract, call)(subject)
        standing.voters.add(voter)
        assert is_carried == (len(standing.voters & self.active) > len(self.active) / 2)
        if is_carried:
            self.proposals.pop((call, subject), None)
            self.carry(call, subject)
        else:
            self.proposals[call, subject] = standing

    @precondition(lambda self: self.proposals)
    @rule(data=st.data(), voter=IDS)
    def withdraw(self, data: st.DataObject, voter: int) -> None:
        call, subject = data.draw(st.sampled_from(sorted(self.proposals, key=repr)))
        where, kind = GOVERNANCE[call]
        selector = function_signature_to_4byte_selector(f"{call}({kind})")
        proposal = keccak(selector + encode([kind], [subject]))
        standing = self.proposals[call, subject]
        is_open = standing.expires_at_s > self.city.now_s
        is_allowed = voter in self.active and voter in standing.voters and is_open
        with self.city.acting(self.city.accounts[voter - 1]):
            if not is_allowed:
                with pytest.raises(BoaError):
                    getattr(self.city, where).withdraw_vote(proposal)
                return
            getattr(self.city, where).withdraw_vote(proposal)
        standing.voters.remove(voter)
        if not standing.voters:
            del self.proposals[call, subject]

    @rule(owner=IDS, which=st.integers(0, 2))
    def add_service(self, owner: int, which: int) -> None:
        service = SERVICES[which]
        with self.city.acting(self.city.accounts[owner - 1]):
            if owner not in self.active or service in self.services:
                with pytest.raises(BoaError):
                    self.city.permissions.add_service(service)
                return
            self.city.permissions.add_service(service)
        self.services[service] = owner

    @rule(owner=IDS, which=st.integers(0, 2))
    def remove_service(self, owner: int, which: int) -> None:
        service = SERVICES[which]
        with self.city.acting(self.city.accounts[owner - 1]):
            if owner not in self.active or self.services.get(service) != owner:
                with pytest.raises(BoaError):
                    self.city.permissions.remove_service(service)
                return
            self.city.permissions.remove_service(service)
        self.drop(service)

    @rule(seconds=st.sampled_from([1, PROPOSAL_LIFETIME_S - 1, PROPOSAL_LIFETIME_S]))
    def wait(self, seconds: int) -> None:
        wait(seconds)

    @invariant()
    def the_contracts_agree_with_the_model(self) -> None:
        rules, registry = self.city.permissions, self.city.municipalities
        assert registry.active_mask() == sum(1 << at for at in self.active)
        assert registry.needed() == len(self.active) // 2 + 1
        assert rules.governor_count() == len(self.governors) >= 1
        for account in (*PEOPLE, *SERVICES, *self.city.services, self.city.governor):
            assert rules.is_governor(account) == (account in self.governors)
            assert rules.service_municipality(account) == self.services.get(account, 0)
            assert rules.is_service(account) == (self.services.get(account) in self.active)
            assert rules.is_attester(account) == (account in self.attesters)
        for at in range(1, 5):
            assert rules.service_count(at) == list(self.services.values()).count(at)


def run(founded: City, examples: int, steps: int) -> None:
    machine = type("FoundedGovernance", (Governance,), {"city": founded})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_governance_agrees_with_the_model(founded: City) -> None:
    run(founded, examples=10, steps=25)


@pytest.mark.nightly
def test_long_random_governance_agrees_with_the_model(founded: City) -> None:
    run(founded, examples=300, steps=60)
