"""The tally: lists start in order, mixers act in turn, shares follow final lists, results add up.

TALLY-ORDER, TALLY-ROUND, TALLY-SHARE, TALLY-PUBLISH, TALLY-CONFIRM. Numbers are those of the
protocol's list of attacks. The mixers' order is 2, 1, 4, 3; three of four trustees confirm.
"""

from collections.abc import Iterator

import boa
import pytest

from clients.voting.encoding import encode_i8
from clients.voting.tally import RaceResult, compute_result_hash
from tests.support.city import City, actor
from tests.support.election import (
    CLOSES_AT_S,
    FREEZES_AT_S,
    MIX_TIME_S,
    OPENS_AT_S,
    Election,
    Voter,
    go_to,
)
from tests.support.voting import EID

B, R = 66, 82
FIRST = b"\x01" * 32
PROOF = b"\xee" * 32
ROOT = b"\xaa" * 32
MIXERS = (2, 1, 4, 3)
NO_TRUSTEE = "tally_board: caller is no trustee"


def digest(round_: int) -> bytes:
    return bytes([round_]) * 32


@pytest.fixture(scope="module")
def closed() -> Iterator[Election]:
    """Five ballots cast, styles 7 and 8 frozen with entries, 9 without; the box is not closed."""
    with boa.env.anchor():
        election = Election(City())
        election.announce()
        election.register("post_batch", 0, ROOT, 10, 0, registrars=(1, 2))
        go_to(OPENS_AT_S)
        election.cast(*[Voter(name, style=7).make_ballot() for name in "abcde"])
        go_to(FREEZES_AT_S)
        for style, count in ((7, 4), (8, 2), (9, 0)):
            election.register("freeze", style, ROOT, count, ROOT, registrars=(1, 2, 3))
        yield election


@pytest.fixture
def election(closed: Election) -> Iterator[Election]:
    with boa.env.anchor():
        closed.box.close(EID)
        yield closed


def start(election: Election, kind: int, number: int, rows: int) -> bool:
    return election.confirm("start_list", kind, number, rows, FIRST, trustees=(1, 2, 3))


def post_mix(election: Election, kind: int, number: int, round_: int) -> None:
    election.confirm(
        "post_mix", kind, number, digest(round_ + 1), PROOF, trustees=(MIXERS[round_ - 1],)
    )


def judge(
    election: Election, kind: int, number: int, round_: int, *, is_valid: bool = True
) -> bool:
    return election.confirm(
        "judge_mix", kind, number, digest(round_ + 1), PROOF, is_valid, trustees=(1, 2, 4)
    )


def mix(election: Election, kind: int, number: int, rounds: int = 4) -> None:
    for round_ in range(1, rounds + 1):
        post_mix(election, kind, number, round_)
        assert judge(election, kind, number, round_)


def share(election: Election, kind: int, number: int, *trustees: int, of: bytes = b"") -> None:
    for trustee in trustees:
        election.confirm(
            "post_share", kind, number, of or digest(5), digest(trustee), PROOF, trustees=(trustee,)
        )


def open_roll(election: Election) -> None:
    for style, rows in ((7, 4), (8, 2)):
        assert start(election, R, style, rows)
        mix(election, R, style)
        share(election, R, style, 1, 2, 3)


def numbers(*counts: int) -> bytes:
    return b"".join(map(encode_i8, counts))


def test_an_election_goes_from_closed_box_to_result(election: Election) -> None:
    open_roll(election)
    assert election.board.opened_style_count(EID) == 2
    assert start(election, B, 1, 4)
    mix(election, B, 1)
    assert election.board.is_final(EID, B, 1)
    share(election, B, 1, 4, 2, 1)
    assert election.confirm("publish_result", 1, numbers(1, 2, 0, 0, 1), trustees=(1, 2, 3))

    (event,) = [e for e in election.board.get_logs() if type(e).__name__ == "ResultPublished"]
    expected = compute_result_hash(EID, RaceResult(race=1, counts=(1, 2, 0, 0), invalid=1))
    assert (event.race, event.is_mock, event.result) == (1, True, expected)
    assert election.board.tally_of(EID, B, 1).result == expected
    assert election.board.share_of(EID, B, 1, 4) == (digest(4), PROOF)
    assert election.board.share_of(EID, B, 1, 3) == (bytes(32), bytes(32))


def test_61_no_list_starts_before_the_box_is_closed(closed: Election) -> None:
    with boa.env.anchor(), boa.reverts("tally_board: box is not closed"):
        start(closed, R, 7, 4)


def test_61_no_roll_list_starts_before_its_style_is_frozen() -> None:
    with boa.env.anchor():
        election = Election(City())
        election.announce()
        go_to(CLOSES_AT_S)
        election.box.close(EID)
        with boa.reverts("tally_board: roll is not frozen"):
            start(election, R, 7, 4)


def test_61_no_ballot_list_starts_before_every_roll_is_open(election: Election) -> None:
    with boa.reverts("tally_board: roll is not open"):
        start(election, B, 1, 4)
    start(election, R, 7, 4)
    mix(election, R, 7)
    share(election, R, 7, 1, 2, 3)
    start(election, R, 8, 2)
    mix(election, R, 8)
    share(election, R, 8, 1, 2)
    with boa.reverts("tally_board: roll is not open"):
        start(election, B, 1, 4)
    share(election, R, 8, 3)
    assert start(election, B, 1, 4)


@pytest.mark.parametrize(
    ("kind", "number", "rows", "reason"),
    [
        pytest.param(R, 7, 3, "not the frozen number of rows", id="31 a roll row missing"),
        pytest.param(R, 7, 5, "not the frozen number of rows", id="31 a roll row added"),
        pytest.param(R, 9, 0, "empty list", id="72 no rows"),
        pytest.param(R, 6, 1, "roll is not frozen", id="unknown style"),
        pytest.param(B, 5, 1, "no such race", id="unknown race"),
        pytest.param(84, 7, 4, "no such kind", id="kind T"),
        pytest.param(0, 7, 4, "no such kind", id="no kind"),
    ],
)
def test_what_can_be_no_list_is_refused(
    election: Election, kind: int, number: int, rows: int, reason: str
) -> None:
    with boa.reverts(f"tally_board: {reason}"):
        start(election, kind, number, rows)


def test_56_a_ballot_list_has_no_more_rows_than_the_box(election: Election) -> None:
    open_roll(election)
    with boa.reverts("tally_board: more rows than ballots"):
        start(election, B, 1, 6)
    assert start(election, B, 1, 5)


def test_55_a_list_starts_as_the_threshold_computed_it(election: Election) -> None:
    election.confirm("start_list", R, 7, 4, FIRST, trustees=(1, 2))
    assert not election.confirm("start_list", R, 7, 4, digest(9), trustees=(3,))
    assert election.board.tally_of(EID, R, 7).round == 0
    assert election.confirm("start_list", R, 7, 4, FIRST, trustees=(4,))
    with boa.reverts("tally_board: list has started"):
        election.confirm("start_list", R, 7, 4, FIRST, trustees=(3,))


def test_an_empty_digest_names_no_list(election: Election) -> None:
    with boa.reverts("tally_board: empty digest"):
        election.confirm("start_list", R, 7, 4, bytes(32), trustees=(1,))


def test_76_only_the_mixer_whose_turn_it_is_posts(election: Election) -> None:
    start(election, R, 7, 4)
    for trustee in (1, 3, 4):
        with boa.reverts("tally_board: caller is not the mixer"):
            election.confirm("post_mix", R, 7, digest(2), PROOF, trustees=(trustee,))
    post_mix(election, R, 7, 1)
    with boa.reverts("tally_board: already posted"):
        post_mix(election, R, 7, 1)
    assert judge(election, R, 7, 1)
    with boa.reverts("tally_board: caller is not the mixer"):
        election.confirm("post_mix", R, 7, digest(3), PROOF, trustees=(2,))


@pytest.mark.parametrize(
    ("output", "proof", "reason"),
    [
        pytest.param(bytes(32), PROOF, "empty digest", id="no list"),
        pytest.param(digest(2), bytes(32), "empty digest", id="no proof"),
        pytest.param(FIRST, PROOF, "list is unchanged", id="74 the same list"),
    ],
)
def test_what_is_no_mix_is_refused(
    election: Election, output: bytes, proof: bytes, reason: str
) -> None:
    start(election, R, 7, 4)
    with boa.reverts(f"tally_board: {reason}"):
        election.confirm("post_mix", R, 7, output, proof, trustees=(2,))


def test_75_a_mix_judged_invalid_leaves_the_list_to_the_next_mixer(election: Election) -> None:
    start(election, R, 7, 4)
    post_mix(election, R, 7, 1)
    assert judge(election, R, 7, 1, is_valid=False)

    (event,) = [e for e in election.board.get_logs() if type(e).__name__ == "MixEnded"]
    assert (event.round, event.mixer, event.is_valid, event.output) == (1, 2, False, digest(2))
    tally = election.board.tally_of(EID, R, 7)
    assert (tally.digest, tally.round, tally.mix_count) == (FIRST, 2, 0)
    assert tally.output == bytes(32)


def test_verdicts_that_differ_do_not_add_up_and_may_be_put_right(election: Election) -> None:
    start(election, R, 7, 4)
    post_mix(election, R, 7, 1)
    arguments = (R, 7, digest(2), PROOF)
    election.confirm("judge_mix", *arguments, True, trustees=(1, 2))
    assert not election.confirm("judge_mix", *arguments, False, trustees=(3, 4))
    assert election.confirm("judge_mix", *arguments, True, trustees=(3,))


def test_75_a_verdict_names_the_mix_it_is_about(election: Election) -> None:
    start(election, R, 7, 4)
    with boa.reverts("tally_board: nothing to judge"):
        judge(election, R, 7, 1)
    post_mix(election, R, 7, 1)
    for output, proof in ((digest(9), PROOF), (digest(2), digest(9))):
        with boa.reverts("tally_board: another mix is posted"):
            election.confirm("judge_mix", R, 7, output, proof, True, trustees=(1,))


def test_a_silent_mixer_is_skipped_when_its_time_has_passed(election: Election) -> None:
    start(election, R, 7, 4)
    go_to(FREEZES_AT_S + MIX_TIME_S - 1)
    with boa.reverts("tally_board: mixer still has time"):
        election.confirm("skip_mixer", R, 7, 1, trustees=(1,))
    go_to(FREEZES_AT_S + MIX_TIME_S)
    with boa.reverts("tally_board: another round"):
        election.confirm("skip_mixer", R, 7, 2, trustees=(1,))
    assert election.confirm("skip_mixer", R, 7, 1, trustees=(1, 3, 4))

    tally = election.board.tally_of(EID, R, 7)
    assert (tally.digest, tally.round, tally.mix_count) == (FIRST, 2, 0)
    assert tally.round_began_at == FREEZES_AT_S + MIX_TIME_S


def test_a_mixer_that_posted_is_judged_and_not_skipped(election: Election) -> None:
    start(election, R, 7, 4)
    post_mix(election, R, 7, 1)
    go_to(FREEZES_AT_S + MIX_TIME_S)
    with boa.reverts("tally_board: mix is posted"):
        election.confirm("skip_mixer", R, 7, 1, trustees=(1,))


def test_after_the_last_mixer_nobody_mixes_or_is_skipped(election: Election) -> None:
    start(election, R, 7, 4)
    mix(election, R, 7)
    go_to(FREEZES_AT_S + MIX_TIME_S)
    with boa.reverts("tally_board: all have mixed"):
        election.confirm("skip_mixer", R, 7, 5, trustees=(1,))
    for trustee in (1, 2, 3, 4):
        with boa.reverts("tally_board: caller is not the mixer"):
            election.confirm("post_mix", R, 7, digest(9), PROOF, trustees=(trustee,))


@pytest.mark.parametrize(
    ("invalid", "is_final"),
    [
        pytest.param((), True, id="four valid"),
        pytest.param((3,), True, id="three valid"),
        pytest.param((1, 4), False, id="76 two valid, three demanded"),
    ],
)
def test_a_list_is_final_after_all_turns_with_enough_valid_mixes(
    election: Election, invalid: tuple[int, ...], is_final: bool
) -> None:
    start(election, R, 7, 4)
    for round_ in (1, 2, 3, 4):
        assert not election.board.is_final(EID, R, 7)
        post_mix(election, R, 7, round_)
        judge(election, R, 7, round_, is_valid=round_ not in invalid)

    assert election.board.is_final(EID, R, 7) is is_final


def test_86_nothing_is_decrypted_before_the_list_is_final(election: Election) -> None:
    with boa.reverts("tally_board: no such list"):
        share(election, R, 7, 1)
    start(election, R, 7, 4)
    mix(election, R, 7, rounds=3)
    with boa.reverts("tally_board: list is not final"):
        share(election, R, 7, 1, of=digest(4))


def test_78_a_share_names_the_final_list_and_is_posted_once(election: Election) -> None:
    start(election, R, 7, 4)
    mix(election, R, 7)
    with boa.reverts("tally_board: another list is final"):
        share(election, R, 7, 1, of=digest(4))
    share(election, R, 7, 1)
    with boa.reverts("tally_board: share is posted"):
        share(election, R, 7, 1)
    for shares, proof in ((bytes(32), PROOF), (FIRST, bytes(32))):
        with boa.reverts("tally_board: empty digest"):
            election.confirm("post_share", R, 7, digest(5), shares, proof, trustees=(2,))
    assert election.board.tally_of(EID, R, 7).share_count == 1


def test_a_fourth_share_opens_no_style_twice(election: Election) -> None:
    start(election, R, 7, 4)
    mix(election, R, 7)
    share(election, R, 7, 1, 2, 3, 4)

    assert election.board.opened_style_count(EID) == 1


@pytest.fixture
def decrypted(election: Election) -> Election:
    open_roll(election)
    start(election, B, 1, 4)
    mix(election, B, 1)
    share(election, B, 1, 1, 2, 3)
    return election


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        pytest.param((1, 2, 0, 0, 0), "counts do not add up", id="85 invalid hidden"),
        pytest.param((1, 2, 0, 1, 1), "counts do not add up", id="85 a vote added"),
        pytest.param((1, 2, 0, 1), "wrong number of counts", id="85 a candidate missing"),
        pytest.param((1, 2, 0, 1, 0, 0), "wrong number of counts", id="85 a candidate added"),
    ],
)
def test_85_counts_that_do_not_add_up_are_no_result(
    decrypted: Election, counts: tuple[int, ...], reason: str
) -> None:
    with boa.reverts(f"tally_board: {reason}"):
        decrypted.confirm("publish_result", 1, numbers(*counts), trustees=(1,))


def test_85_a_vote_moved_between_candidates_is_another_result(decrypted: Election) -> None:
    decrypted.confirm("publish_result", 1, numbers(1, 2, 0, 0, 1), trustees=(1, 2))
    assert not decrypted.confirm("publish_result", 1, numbers(1, 1, 1, 0, 1), trustees=(3,))
    assert decrypted.confirm("publish_result", 1, numbers(1, 2, 0, 0, 1), trustees=(4,))
    with boa.reverts("tally_board: result is published"):
        decrypted.confirm("publish_result", 1, numbers(1, 2, 0, 0, 1), trustees=(3,))


def test_83_no_result_without_enough_shares(election: Election) -> None:
    open_roll(election)
    start(election, B, 1, 4)
    mix(election, B, 1)
    share(election, B, 1, 1, 2)
    with boa.reverts("tally_board: too few shares"):
        election.confirm("publish_result", 1, numbers(4, 0, 0, 0, 0), trustees=(1,))


def test_the_longest_result_adds_up(decrypted: Election) -> None:
    """Race 9 has 50 candidates; the last counts are read as exactly as the first."""
    start(decrypted, B, 9, 5)
    mix(decrypted, B, 9)
    share(decrypted, B, 9, 1, 2, 3)
    counts = (1, *[0] * 48, 1, 1, 2)

    assert decrypted.confirm("publish_result", 9, numbers(*counts), trustees=(1, 2, 3))
    expected = compute_result_hash(EID, RaceResult(race=9, counts=counts[:-1], invalid=2))
    assert decrypted.board.tally_of(EID, B, 9).result == expected


def test_nobody_but_a_trustee_takes_part(decrypted: Election) -> None:
    city, board = decrypted.city, decrypted.board
    city.vote(city.municipalities, "deactivate", 4, voters=(1, 2, 3))
    calls: list[tuple[str, tuple[object, ...]]] = [
        ("start_list", (B, 4, 4, FIRST)),
        ("post_mix", (B, 1, FIRST, PROOF)),
        ("judge_mix", (B, 1, FIRST, PROOF, True)),
        ("skip_mixer", (B, 1, 1)),
        ("post_share", (B, 1, digest(5), FIRST, PROOF)),
        ("publish_result", (1, numbers(1, 2, 0, 0, 1))),
    ]
    for account in (actor("outsider"), city.accounts[0], actor("registrar 1"), city.services[3]):
        for call, arguments in calls:
            with city.acting(account), boa.reverts(NO_TRUSTEE):
                getattr(board, call)(EID, *arguments)


def test_an_abandoned_election_gets_no_result(decrypted: Election) -> None:
    decrypted.city.vote(decrypted.elections, "abandon", EID, ROOT, voters=(1, 2, 3))
    with boa.reverts("tally_board: abandoned"):
        decrypted.confirm("publish_result", 1, numbers(1, 2, 0, 0, 1), trustees=(1,))
    with boa.reverts("tally_board: abandoned"):
        share(decrypted, B, 1, 4)
