"""The roll on chain: batches in order, attested by enough registrars; styles frozen once, in time.

ROLLC-BATCH, ROLLC-FREEZE, TALLY-CONFIRM. Numbers are those of the protocol's list of attacks.
"""

from collections.abc import Iterator

import boa
import pytest

from tests.support.city import City, actor
from tests.support.election import FREEZES_AT_S, Election, go_to
from tests.support.voting import EID

ROOT = b"\xaa" * 32
OTHER_ROOT = b"\xab" * 32
FILE = b"\xf1" * 32
NO_REGISTRAR = "credentials: caller is no registrar"


@pytest.fixture(scope="module")
def announced() -> Iterator[Election]:
    with boa.env.anchor():
        election = Election(City())
        election.announce()
        yield election


@pytest.fixture
def election(announced: Election) -> Iterator[Election]:
    with boa.env.anchor():
        yield announced


def post(election: Election, number: int = 0, *, entries: int = 10, cancels: int = 0) -> bool:
    return election.register("post_batch", number, ROOT, entries, cancels, registrars=(1, 2))


def test_a_batch_stands_with_as_many_attestations_as_the_terms_ask(election: Election) -> None:
    batch = (0, ROOT, 10, 2)
    assert not election.register("post_batch", *batch, registrars=(1,))
    assert election.credentials.batch_count(EID) == 0
    assert election.register("post_batch", *batch, registrars=(4,))

    credentials = election.credentials
    assert credentials.batch_at(EID, 0) == (ROOT, 10, 2, election.city.now_s)
    assert (credentials.entry_count(EID), credentials.cancel_count(EID)) == (10, 2)


def test_counts_add_up_over_batches(election: Election) -> None:
    post(election, 0, entries=10, cancels=1)
    post(election, 1, entries=0, cancels=4)

    credentials = election.credentials
    assert (credentials.entry_count(EID), credentials.cancel_count(EID)) == (10, 5)
    assert credentials.batch_count(EID) == 2
    with boa.reverts("credentials: no such batch"):
        credentials.batch_at(EID, 2)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((0, OTHER_ROOT, 10, 2), id="another root"),
        pytest.param((0, ROOT, 11, 2), id="another count"),
        pytest.param((0, ROOT, 10, 3), id="other cancels"),
    ],
)
def test_attestations_of_different_batches_do_not_add_up(
    election: Election, other: tuple[object, ...]
) -> None:
    election.register("post_batch", 0, ROOT, 10, 2, registrars=(1,))

    assert not election.register("post_batch", *other, registrars=(2,))
    assert election.register("post_batch", 0, ROOT, 10, 2, registrars=(3,))


def test_a_registrar_counts_once_and_may_put_a_mistake_right(election: Election) -> None:
    election.register("post_batch", 0, OTHER_ROOT, 10, 2, registrars=(1,))
    with boa.reverts("confirmations: already confirmed"):
        election.register("post_batch", 0, OTHER_ROOT, 10, 2, registrars=(1,))

    assert not election.register("post_batch", 0, ROOT, 10, 2, registrars=(1,))
    assert not election.register("post_batch", 0, OTHER_ROOT, 10, 2, registrars=(2,))
    assert election.register("post_batch", 0, ROOT, 10, 2, registrars=(3,))


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        pytest.param((1, ROOT, 1, 0), "credentials: not the next batch", id="a batch skipped"),
        pytest.param((0, bytes(32), 1, 0), "credentials: empty root", id="empty root"),
        pytest.param((0, ROOT, 0, 0), "credentials: empty batch", id="empty batch"),
        pytest.param((0, ROOT, 2**32, 1), "credentials: batch too large", id="too large"),
    ],
)
def test_what_is_no_batch_is_refused(
    election: Election, batch: tuple[object, ...], reason: str
) -> None:
    with boa.reverts(reason):
        election.register("post_batch", *batch, registrars=(1,))


def test_a_batch_posted_is_not_posted_again(election: Election) -> None:
    post(election)
    with boa.reverts("credentials: not the next batch"):
        election.register("post_batch", 0, ROOT, 10, 0, registrars=(3,))


def test_the_largest_batch_is_taken(election: Election) -> None:
    assert post(election, entries=2**32 - 1, cancels=1)


def test_nobody_but_a_registrar_of_the_election_posts_or_freezes(election: Election) -> None:
    city = election.city
    for account in (actor("outsider"), city.accounts[0], city.services[0], actor("relay 1")):
        with city.acting(account):
            with boa.reverts(NO_REGISTRAR):
                election.credentials.post_batch(EID, 0, ROOT, 1, 0)
            with boa.reverts(NO_REGISTRAR):
                election.credentials.freeze(EID, 7, ROOT, 1, FILE)
    with city.acting(actor("registrar 1")), boa.reverts("elections: no such election"):
        election.credentials.post_batch(b"\x0f" * 32, 0, ROOT, 1, 0)


def test_an_abandoned_elections_roll_stands_still(election: Election) -> None:
    election.city.vote(election.elections, "abandon", EID, FILE, voters=(1, 2, 3))
    with boa.reverts("credentials: abandoned"):
        post(election)
    go_to(FREEZES_AT_S)
    with boa.reverts("credentials: abandoned"):
        election.register("freeze", 7, ROOT, 0, FILE, registrars=(1,))


def test_a_style_is_frozen_with_the_threshold(election: Election) -> None:
    post(election)
    go_to(FREEZES_AT_S)

    assert not election.register("freeze", 7, ROOT, 6, FILE, registrars=(1, 2))
    assert election.credentials.frozen_style(EID, 7).frozen_at == 0
    assert election.register("freeze", 7, ROOT, 6, FILE, registrars=(3,))

    assert election.credentials.frozen_style(EID, 7) == (ROOT, 6, FILE, FREEZES_AT_S)
    assert election.credentials.frozen_style_count(EID) == 1
    assert election.credentials.empty_style_count(EID) == 0


def test_61_nothing_is_frozen_before_the_freezing_time(election: Election) -> None:
    post(election)
    go_to(FREEZES_AT_S - 1)
    with boa.reverts("credentials: not yet freezing time"):
        election.register("freeze", 7, ROOT, 6, FILE, registrars=(1,))


def test_30_no_more_entries_are_frozen_than_were_posted(election: Election) -> None:
    post(election, entries=10)
    go_to(FREEZES_AT_S)
    with boa.reverts("credentials: more entries than posted"):
        election.register("freeze", 7, ROOT, 11, FILE, registrars=(1,))
    assert election.register("freeze", 7, ROOT, 6, FILE, registrars=(1, 2, 3))

    with boa.reverts("credentials: more entries than posted"):
        election.register("freeze", 8, ROOT, 5, FILE, registrars=(1,))
    assert election.register("freeze", 8, ROOT, 4, FILE, registrars=(1, 2, 3))


def test_30_another_count_or_file_does_not_add_up(election: Election) -> None:
    post(election)
    go_to(FREEZES_AT_S)
    election.register("freeze", 7, ROOT, 6, FILE, registrars=(1, 2))

    assert not election.register("freeze", 7, ROOT, 7, FILE, registrars=(3,))
    assert not election.register("freeze", 7, ROOT, 6, ROOT, registrars=(3,))
    assert not election.register("freeze", 7, OTHER_ROOT, 6, FILE, registrars=(4,))


def test_a_frozen_style_stays_as_it_is_and_no_batch_follows(election: Election) -> None:
    post(election)
    go_to(FREEZES_AT_S)
    election.register("freeze", 7, ROOT, 6, FILE, registrars=(1, 2, 3))

    with boa.reverts("credentials: style is frozen"):
        election.register("freeze", 7, OTHER_ROOT, 4, FILE, registrars=(4,))
    with boa.reverts("credentials: the roll is frozen"):
        post(election, 1)


def test_a_style_without_entries_is_frozen_as_such(election: Election) -> None:
    go_to(FREEZES_AT_S)
    assert election.register("freeze", 7, ROOT, 0, FILE, registrars=(1, 2, 3))

    assert election.credentials.empty_style_count(EID) == 1


@pytest.mark.parametrize(
    ("frozen", "reason"),
    [
        pytest.param((6, ROOT, 0, FILE), "credentials: no such style", id="unknown style"),
        pytest.param((7, bytes(32), 0, FILE), "credentials: empty root", id="empty root"),
        pytest.param((7, ROOT, 0, bytes(32)), "credentials: empty digest", id="empty digest"),
    ],
)
def test_what_is_no_frozen_style_is_refused(
    election: Election, frozen: tuple[object, ...], reason: str
) -> None:
    go_to(FREEZES_AT_S)
    with boa.reverts(reason):
        election.register("freeze", *frozen, registrars=(1,))
