"""The bulletin: one message of each municipality for each step of a draft, never taken back.

DKG-BULLETIN.
"""

import boa
import pytest

from tests.support.city import City, actor
from tests.support.election import DRAFT_ID, Election

DIGEST = b"\x5a" * 32
NOT_A_SERVICE = "bulletin: not a service of an active municipality"


@pytest.fixture
def election(city: City) -> Election:
    election = Election(city)
    with city.acting(city.accounts[2]):
        election.elections.draft(DRAFT_ID)
    return election


def test_what_a_service_posts_stands_for_its_municipality(election: Election) -> None:
    with election.city.acting(election.city.services[1]):
        election.bulletin.post(DRAFT_ID, 12, DIGEST)

    (event,) = election.bulletin.get_logs()
    assert (event.draft_id, event.municipality, event.step, event.digest) == (
        DRAFT_ID,
        2,
        12,
        DIGEST,
    )
    assert election.bulletin.posted(DRAFT_ID, 2, 12) == DIGEST
    assert election.bulletin.posted(DRAFT_ID, 1, 12) == bytes(32)


def test_a_step_is_posted_once_by_each_municipality(election: Election) -> None:
    city, bulletin = election.city, election.bulletin
    for at in (0, 1):
        with city.acting(city.services[at]):
            bulletin.post(DRAFT_ID, 1, DIGEST)
    with city.acting(city.services[0]):
        with boa.reverts("bulletin: already posted"):
            bulletin.post(DRAFT_ID, 1, b"\x5b" * 32)
        bulletin.post(DRAFT_ID, 2, DIGEST)

    with city.acting(city.accounts[0]):
        city.permissions.add_service(actor("second service"))
    with city.acting(actor("second service")), boa.reverts("bulletin: already posted"):
        bulletin.post(DRAFT_ID, 2, b"\x5b" * 32)


def test_nobody_but_a_service_of_an_active_municipality_posts(election: Election) -> None:
    city, bulletin = election.city, election.bulletin
    city.vote(city.municipalities, "deactivate", 4, voters=(1, 2, 3))
    for account in (actor("outsider"), city.accounts[0], city.governor, city.services[3]):
        with city.acting(account), boa.reverts(NOT_A_SERVICE):
            bulletin.post(DRAFT_ID, 1, DIGEST)


@pytest.mark.parametrize(
    ("draft_id", "step", "digest", "reason"),
    [
        pytest.param(DRAFT_ID, 0, DIGEST, "no such step", id="step 0"),
        pytest.param(DRAFT_ID, 65_536, DIGEST, "no such step", id="step 65536"),
        pytest.param(DRAFT_ID, 1, bytes(32), "empty digest", id="empty digest"),
        pytest.param(b"\xd9" * 32, 1, DIGEST, "no such draft", id="unknown draft"),
    ],
)
def test_what_means_nothing_is_not_posted(
    election: Election, draft_id: bytes, step: int, digest: bytes, reason: str
) -> None:
    with election.city.acting(election.city.services[0]), boa.reverts(f"bulletin: {reason}"):
        election.bulletin.post(draft_id, step, digest)
