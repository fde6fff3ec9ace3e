"""Elections: who drafts, announces and abandons; which terms stand and which are refused.

ELECTION-DRAFT, ELECTION-TERMS, ELECTION-ABANDON.
"""

from dataclasses import replace

import boa
import pytest
from eth_abi import encode
from eth_utils import keccak

from tests.support.city import City, actor
from tests.support.election import (
    ANNOUNCE,
    CLOSES_AT_S,
    DRAFT_ID,
    FREEZES_AT_S,
    MAX_SEQUENCE,
    MIN_INTERVAL_S,
    MIX_TIME_S,
    OPENS_AT_S,
    STYLES,
    Election,
    Terms,
    go_to,
)
from tests.support.voting import EID

NO_VOTE = "elections: caller has no vote"
NOTICE = b"\x99" * 32
OUTSIDER = actor("outsider")


@pytest.fixture
def election(city: City) -> Election:
    return Election(city)


def fold(races: tuple[int, ...]) -> bytes:
    value = bytes(32)
    for race in races:
        value = keccak(value + race.to_bytes(32, "big"))
    return value


def test_announced_terms_stand_as_announced(election: Election) -> None:
    election.announce()
    elections = election.elections

    assert elections.quorums(EID) == (True, FREEZES_AT_S, 3, 2, 3, MIX_TIME_S, 4, 3)
    assert elections.draft_of(EID) == DRAFT_ID
    relay = actor("relay 1")
    assert elections.ballot_rules(EID, relay) == (
        OPENS_AT_S,
        CLOSES_AT_S,
        MAX_SEQUENCE,
        MIN_INTERVAL_S,
        True,
    )
    assert elections.ballot_rules(EID, OUTSIDER)[4] is False
    assert [elections.candidate_count(EID, race) for race in (1, 4, 9, 5)] == [3, 2, 50, 0]
    for style, races in STYLES.items():
        assert elections.style_digest(EID, style) == fold(races)
    assert elections.style_digest(EID, 6) == bytes(32)
    assert [elections.mixer_at(EID, at) for at in range(6)] == [0, 2, 1, 4, 3, 0]
    assert elections.registrar_number(EID, actor("registrar 3")) == 3
    assert elections.registrar_number(EID, OUTSIDER) == 0
    assert elections.election_of(DRAFT_ID) == EID


def test_the_event_holds_the_terms_whole(election: Election) -> None:
    election.announce()

    event = election.elections.get_logs()[-1]

    assert (event.eid, event.draft_id) == (EID, DRAFT_ID)
    assert tuple(event.terms)[:11] == Terms().encode()[:11]
    assert [tuple(pair) for pair in event.terms[17]] == list(Terms().style_races)


def test_a_vote_stands_under_its_own_call(election: Election) -> None:
    city, elections = election.city, election.elections
    city.vote(elections, "draft", DRAFT_ID, voters=(1,))
    city.vote(elections, "announce", EID, Terms().encode(), voters=(2,))

    voters, _ = elections.proposal(keccak(encode_call_nested(EID, Terms().encode())))
    assert voters == 0b00100


def encode_call_nested(*arguments: object) -> bytes:
    """Encode ``announce``, whose types hold commas of their own."""
    inner = ANNOUNCE[ANNOUNCE.index("(") + 1 : -1]
    eid_type, _, terms_type = inner.partition(",")
    return keccak(ANNOUNCE.encode())[:4] + encode([eid_type, terms_type], arguments)


def test_two_votes_do_not_announce_and_the_third_does(election: Election) -> None:
    city, elections = election.city, election.elections
    city.vote(elections, "draft", DRAFT_ID, voters=(4,))

    assert not city.vote(elections, "announce", EID, Terms().encode(), voters=(1, 2))
    with boa.reverts("elections: no such election"):
        elections.quorums(EID)
    assert city.vote(elections, "announce", EID, Terms().encode(), voters=(4,))


def test_votes_for_other_terms_do_not_add_up(election: Election) -> None:
    city, elections = election.city, election.elections
    city.vote(elections, "draft", DRAFT_ID, voters=(1,))
    other = replace(Terms(), style_races=((7, 1),))

    city.vote(elections, "announce", EID, Terms().encode(), voters=(1, 2))
    assert not city.vote(elections, "announce", EID, other.encode(), voters=(3,))


def test_a_vote_withdrawn_does_not_count(election: Election) -> None:
    city, elections = election.city, election.elections
    city.vote(elections, "draft", DRAFT_ID, voters=(1,))
    city.vote(elections, "announce", EID, Terms().encode(), voters=(1, 2))
    id_ = keccak(encode_call_nested(EID, Terms().encode()))
    city.vote(elections, "withdraw_vote", id_, voters=(2,))

    assert not city.vote(elections, "announce", EID, Terms().encode(), voters=(3,))


def test_nobody_but_an_active_municipality_drafts_announces_or_abandons(
    election: Election,
) -> None:
    election.announce()
    city, elections = election.city, election.elections
    city.vote(city.municipalities, "deactivate", 4, voters=(1, 2, 3))
    for account in (OUTSIDER, city.services[0], city.governor, city.accounts[3]):
        with city.acting(account):
            for call, arguments in (
                ("draft", (b"\xd7" * 32,)),
                ("announce", (EID, Terms().encode())),
                ("abandon", (EID, NOTICE)),
                ("withdraw_vote", (NOTICE,)),
            ):
                with boa.reverts(NO_VOTE):
                    getattr(elections, call)(*arguments)


def test_a_draft_is_given_once_and_used_once(election: Election) -> None:
    election.announce()
    city, elections = election.city, election.elections

    with city.acting(city.accounts[1]):
        with boa.reverts("elections: draft exists"):
            elections.draft(DRAFT_ID)
        with boa.reverts("elections: empty draft id"):
            elections.draft(bytes(32))
        with boa.reverts("elections: draft already used"):
            elections.announce(b"\x0f" * 32, Terms().encode())
        with boa.reverts("elections: no such draft"):
            elections.announce(b"\x0f" * 32, Terms(draft_id=b"\xd9" * 32).encode())
    assert elections.drafted_by(DRAFT_ID) == 1


def test_an_election_is_announced_once(election: Election) -> None:
    election.announce()
    city = election.city
    city.vote(election.elections, "draft", b"\xd2" * 32, voters=(1,))

    with city.acting(city.accounts[1]), boa.reverts("elections: already announced"):
        election.elections.announce(EID, Terms(draft_id=b"\xd2" * 32).encode())


def test_an_empty_election_id_is_refused(election: Election) -> None:
    city = election.city
    with city.acting(city.accounts[1]), boa.reverts("elections: empty election id"):
        election.elections.announce(bytes(32), Terms().encode())


FIRST_S = 1_790_000_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"opens_at": FIRST_S}, "opens too early", id="opens now"),
        pytest.param({"closes_at": OPENS_AT_S}, "windows out of order", id="never open"),
        pytest.param({"freezes_at": CLOSES_AT_S - 1}, "windows out of order", id="freezes open"),
        pytest.param({"freezes_at": 2**53}, "freezes too late", id="freezes too late"),
        pytest.param({"max_sequence": 0}, "no ballot allowed", id="no ballot"),
        pytest.param({"max_sequence": 1_001}, "too many ballots of a key", id="1001 ballots"),
        pytest.param({"min_interval_s": 86_401}, "interval too long", id="over a day"),
        pytest.param({"mix_time_s": 9}, "mixing time too short", id="9 seconds to mix"),
        pytest.param({"mix_time_s": 86_401}, "mixing time too long", id="over a day to mix"),
        pytest.param(
            {"trustee_accounts": Terms().trustee_accounts[:3]},
            "not one account for each trustee",
            id="3 accounts of 4",
        ),
        pytest.param(
            {"trustee_accounts": (*Terms().trustee_accounts[:3], "0x" + "00" * 20)},
            "empty trustee account",
            id="account 0",
        ),
        pytest.param(
            {"trustee_accounts": (*Terms().trustee_accounts[:3], Terms().trustee_accounts[0])},
            "trustee account named twice",
            id="account twice",
        ),
        pytest.param({"threshold": 0}, "no threshold", id="no threshold"),
        pytest.param({"threshold": 5}, "threshold above trustees", id="threshold 5 of 4"),
        pytest.param({"attestations": 0}, "no attestation", id="no attestation"),
        pytest.param({"attestations": 5}, "attestations above registrars", id="attestations 5"),
        pytest.param({"min_mixes": 0}, "no mix", id="no mix"),
        pytest.param({"min_mixes": 5}, "mixes above mixers", id="5 mixes of 4"),
        pytest.param({"relays": ()}, "no relay", id="no relay"),
        pytest.param({"trustees": (1, 2, 0, 4)}, "no such municipality", id="trustee 0"),
        pytest.param({"trustees": (1, 2, 3, 1)}, "trustee named twice", id="trustee twice"),
        pytest.param({"mixers": (2, 1, 5)}, "mixer is no trustee", id="mixer 5 of 4"),
        pytest.param({"mixers": (2, 1, 0)}, "mixer is no trustee", id="mixer 0"),
        pytest.param({"mixers": (2, 1, 2)}, "mixer named twice", id="76 mixer twice"),
        pytest.param(
            {"registrars": (actor("a"), actor("b"))},
            "threshold above registrars",
            id="2 registrars",
        ),
        pytest.param(
            {"registrars": (OUTSIDER, OUTSIDER, actor("a"))},
            "registrar named twice",
            id="registrar twice",
        ),
        pytest.param({"races": ((4, 2), (1, 3))}, "races not ascending", id="races descend"),
        pytest.param({"races": ((1, 2), (1, 3))}, "races not ascending", id="race twice"),
        pytest.param({"races": ((65_536, 1),)}, "race number too large", id="race 65536"),
        pytest.param({"races": ((1, 0),)}, "race without candidates", id="no candidates"),
        pytest.param({"races": ((1, 1_001),)}, "too many candidates", id="1001 candidates"),
        pytest.param({"style_races": ()}, "no style", id="no style"),
        pytest.param({"style_races": ((65_536, 1),)}, "style number too large", id="style 65536"),
        pytest.param({"style_races": ((7, 5),)}, "style names unknown race", id="unknown race"),
        pytest.param(
            {"style_races": ((7, 4), (7, 1))}, "styles not ascending", id="style's races descend"
        ),
        pytest.param(
            {"style_races": ((8, 1), (7, 1))}, "styles not ascending", id="styles descend"
        ),
        pytest.param(
            {"style_races": ((7, 1), (7, 1))}, "styles not ascending", id="style's race twice"
        ),
        pytest.param(
            {
                "races": tuple((race, 1) for race in range(64)),
                "style_races": tuple((1, race) for race in range(65)),
            },
            "style names unknown race",
            id="65 races in a style",
        ),
    ],
)
def test_terms_outside_their_bounds_are_never_announced(
    election: Election, change: dict[str, object], reason: str
) -> None:
    terms = replace(Terms(), **change)  # type: ignore[arg-type]
    with boa.reverts(f"elections: {reason}"):
        election.announce(terms)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"opens_at": FIRST_S + 1}, id="opens next second"),
        pytest.param({"freezes_at": CLOSES_AT_S}, id="freezes at closing"),
        pytest.param({"freezes_at": 2**53 - 1}, id="freezes at the end of time"),
        pytest.param({"max_sequence": 1}, id="one ballot"),
        pytest.param({"max_sequence": 1_000, "min_interval_s": 0}, id="1000 ballots"),
        pytest.param({"min_interval_s": 86_400}, id="one a day"),
        pytest.param({"mix_time_s": 10}, id="shortest mixing time"),
        pytest.param({"mix_time_s": 86_400}, id="longest mixing time"),
        pytest.param({"threshold": 4, "attestations": 4, "min_mixes": 4}, id="all of all"),
        pytest.param({"races": ((0, 1), (1, 3), (4, 1), (9, 1))}, id="race 0"),
        pytest.param(
            {"races": ((1, 1_000), (65_535, 1)), "style_races": ((0, 1), (65_535, 65_535))},
            id="largest numbers",
        ),
        pytest.param(
            {
                "races": tuple((race, 1) for race in range(64)),
                "style_races": tuple((style, race) for style in range(4) for race in range(64)),
            },
            id="most races and pairs",
        ),
    ],
)
def test_terms_at_their_bounds_are_announced(election: Election, change: dict[str, object]) -> None:
    terms = replace(Terms(), **change)  # type: ignore[arg-type]
    election.announce(terms)

    assert election.elections.quorums(EID).freezes_at == terms.freezes_at


def test_an_election_is_not_announced_once_it_would_be_open(election: Election) -> None:
    city, elections = election.city, election.elections
    city.vote(elections, "draft", DRAFT_ID, voters=(1,))
    city.vote(elections, "announce", EID, Terms().encode(), voters=(1, 2))
    go_to(OPENS_AT_S)

    with city.acting(city.accounts[2]), boa.reverts("elections: opens too early"):
        elections.announce(EID, Terms().encode())


def test_abandoning_needs_the_majority_and_happens_once(election: Election) -> None:
    election.announce()
    city, elections = election.city, election.elections

    assert not city.vote(elections, "abandon", EID, NOTICE, voters=(1, 2))
    assert not elections.is_abandoned(EID)
    assert city.vote(elections, "abandon", EID, NOTICE, voters=(4,))
    assert elections.is_abandoned(EID)
    with city.acting(city.accounts[2]), boa.reverts("elections: already abandoned"):
        elections.abandon(EID, NOTICE)


def test_what_was_never_announced_is_not_abandoned(election: Election) -> None:
    city = election.city
    with city.acting(city.accounts[0]), boa.reverts("elections: no such election"):
        election.elections.abandon(EID, NOTICE)


def test_an_abandoned_elections_window_never_comes(election: Election) -> None:
    election.announce()
    election.city.vote(election.elections, "abandon", EID, NOTICE, voters=(1, 2, 3))

    opens_at, closes_at, *_ = election.elections.ballot_rules(EID, actor("relay 1"))
    assert (opens_at, closes_at) == (2**256 - 1, CLOSES_AT_S)


def test_a_trustee_acts_with_its_account_while_its_municipality_is_active(
    election: Election,
) -> None:
    city, elections = election.city, election.elections
    accounts = tuple(city.services[at - 1] for at in (3, 1, 2))
    election.announce(
        replace(Terms(), trustees=(3, 1, 2), trustee_accounts=accounts, mixers=(1, 2, 3))
    )

    numbers = [elections.trustee(EID, account) for account in city.services]
    assert numbers == [2, 3, 1, 0]
    assert [elections.trustee(EID, account) for account in (OUTSIDER, city.accounts[0])] == [0, 0]
    city.vote(city.municipalities, "deactivate", 3, voters=(1, 2, 4))
    assert elections.trustee(EID, city.services[2]) == 0
