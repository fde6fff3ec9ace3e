"""QBFT-VOTE-TALLY, QBFT-VOTE-EPOCH: the voting scenarios of EIP-225 with QBFT's timing of effect.

QBFT-VOTE-LIMITS, QBFT-VOTE-CAST, QBFT-DRY-RUN: what votes cannot do, which one a proposer casts,
and what a change would mean. A vote reads "A+C": A's block votes to add C; "A" carries none.
"""

import pytest

from node.consensus.quorum import vote_majority
from node.consensus.validators import (
    StandingVote,
    ValidatorTally,
    apply_header,
    assess_change,
    choose_vote,
    compute_tally,
    tally_at_base,
    with_change,
)
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidBlock
from node.primitives.header import Header, ValidatorVote
from tests.support.consensus import addresses, block_by, genesis_header, make_keys

NAMES = "ABCDEF"
BY_NAME: dict[str, PrivateKey] = dict(zip(NAMES, make_keys(6), strict=True))
NAME_OF = {key.address: name for name, key in BY_NAME.items()}
EPOCH = 30_000


def cast(name: str, is_add: bool) -> ValidatorVote:
    return ValidatorVote(recipient=BY_NAME[name].address, is_add=is_add)


def chain(start: str, votes: str, *, epoch_length: int = EPOCH) -> tuple[list[Header], list[str]]:
    """Return the headers of a scenario, and the set after each of them."""
    headers = [genesis_header(BY_NAME[name] for name in start)]
    tally = tally_at_base(headers[0])
    sets = []
    for word in votes.split():
        vote = cast(word[2], word[1] == "+") if len(word) == 3 else None
        block = block_by(
            BY_NAME[word[0]], parent=headers[-1], vote=vote, validators=tally.validators
        )
        headers.append(block.header)
        tally = apply_header(tally, block.header, epoch_length=epoch_length)
        sets.append(names(tally))
    return headers, sets


def names(tally: ValidatorTally) -> str:
    return "".join(sorted(NAME_OF[address] for address in tally.validators))


@pytest.mark.parametrize(
    ("start", "votes", "result"),
    [
        pytest.param("A", "A", "A", id="single validator, no votes"),
        pytest.param("A", "A+B B A+C", "AB", id="the second to be added needs two votes"),
        pytest.param(
            "AB", "A+C B+C A+D B+D C A+E B+E", "ABCD", id="the third to be added needs three"
        ),
        pytest.param("AB", "A-B", "AB", id="two must both agree to drop one: one does not"),
        pytest.param("AB", "A-B B-B", "A", id="two must both agree to drop one: both do"),
        pytest.param("ABC", "A-C B-C", "AB", id="two of three drop the third"),
        pytest.param("ABCD", "A-C B-C", "ABCD", id="two of four drop nobody"),
        pytest.param("ABCD", "A-D B-D C-D", "ABC", id="three of four drop one"),
        pytest.param("AB", "A+C B A+C B A+C", "AB", id="adds count once per voter and recipient"),
        pytest.param("AB", "A+C B A+D B A B+D A B+C", "ABCD", id="several adds at once"),
        pytest.param("AB", "A-B B A-B B A-B", "AB", id="drops count once per voter and recipient"),
        pytest.param("ABCD", "A-C B C A-D B C A B-D C-D A B-C", "AB", id="several drops at once"),
        pytest.param("ABC", "C-B A-C B-C A-B", "AB", id="drops by one who left are forgotten"),
        pytest.param("ABC", "C+D A-C B-C A+D", "AB", id="adds by one who left are forgotten"),
        pytest.param(
            "ABCD", "A-C B C A-D B-C C A B-D C-D", "ABC", id="only the one voted on changes"
        ),
        pytest.param(
            "ABCD",
            "A-C B C A-D B-C C A B-D C-D A C+C",
            "AB",
            id="a majority reached by a removal acts when touched",
        ),
        pytest.param(
            "ABCD",
            "A-C B C A-D B-C C A B-D C-D A B+C",
            "ABC",
            id="a majority reached by a removal may vanish when touched",
        ),
        pytest.param(
            "ABCDE",
            "A+F B+F C+F D-F E-F B-F C-F D+F E+F B-A C-A D-A B+F",
            "BCDEF",
            id="votes do not survive a change of side",
        ),
    ],
)
def test_eip_225_scenarios(start: str, votes: str, result: str) -> None:
    assert chain(start, votes)[1][-1] == result


def test_the_change_holds_from_the_next_height() -> None:
    headers, sets = chain("ABC", "A+D B+D C")

    assert sets == ["ABC", "ABCD", "ABCD"]
    assert len(headers[2].extra_data.validators) == 3
    assert len(headers[3].extra_data.validators) == 4


@pytest.mark.parametrize("sign", ["+", "-"], ids=["adds", "drops"])
def test_an_epoch_block_forgets_all_votes(sign: str) -> None:
    start = "AB" if sign == "+" else "ABC"

    sets = chain(start, f"A{sign}C B A B{sign}C", epoch_length=3)[1]

    assert sets[-1] == start
    assert chain(start, f"A{sign}C B A B{sign}C")[1][-1] != start


def test_a_vote_in_an_epoch_block_is_refused() -> None:
    with pytest.raises(InvalidBlock, match="QBFT-VOTE-EPOCH"):
        chain("AB", "A B A+C", epoch_length=3)


def test_the_last_validator_cannot_be_dropped() -> None:
    assert chain("A", "A-A")[1][-1] == "A"


@pytest.mark.parametrize(("size", "is_added"), [(63, True), (64, False)])
def test_the_set_never_outgrows_what_a_header_can_list(size: int, is_added: bool) -> None:
    members = addresses(make_keys(size, "crowd"))
    vote = cast("A", is_add=True)

    assert (with_change(members, vote) != members) is is_added


def test_a_header_with_another_list_does_not_apply() -> None:
    headers, _ = chain("ABC", "")
    wrong = block_by(BY_NAME["A"], parent=headers[0], validators=addresses([BY_NAME["A"]]))

    with pytest.raises(InvalidBlock, match="QBFT-VALIDATORS"):
        apply_header(tally_at_base(headers[0]), wrong.header, epoch_length=EPOCH)


def test_a_header_out_of_order_does_not_apply() -> None:
    headers, _ = chain("ABC", "A B")

    with pytest.raises(InvalidBlock, match="expected height 1, found 2"):
        apply_header(tally_at_base(headers[0]), headers[2], epoch_length=EPOCH)


def test_the_tally_from_the_epoch_on_is_the_tally_from_genesis() -> None:
    headers, _ = chain("ABC", "A+D B+D C A B-A C D", epoch_length=3)

    late = compute_tally(headers[6:], epoch_length=3)

    assert late == compute_tally(headers, epoch_length=3)


@pytest.mark.parametrize("first", [1, 7], ids=["after genesis", "after an epoch block"])
def test_a_tally_starts_at_a_base_only(first: int) -> None:
    headers, _ = chain("ABC", "A B C A B C A", epoch_length=3)

    with pytest.raises(InvalidBlock, match="QBFT-VOTE-EPOCH"):
        compute_tally(headers[first:], epoch_length=3)


def test_a_base_with_an_unsorted_list_is_refused() -> None:
    header = block_by(validators=tuple(reversed(addresses(make_keys(3))))).header

    with pytest.raises(InvalidBlock, match="QBFT-VALIDATORS"):
        tally_at_base(header)


def tally_of(members: str, standing: str = "", height: int = 0) -> ValidatorTally:
    votes = tuple(
        StandingVote(
            voter=BY_NAME[word[0]].address,
            recipient=BY_NAME[word[2]].address,
            is_add=word[1] == "+",
        )
        for word in standing.split()
    )
    base = genesis_header(BY_NAME[name] for name in members)
    tally = tally_at_base(base)
    return ValidatorTally(
        height=type(base.height)(height), validators=tally.validators, votes=votes
    )


@pytest.mark.parametrize(
    ("pending", "standing", "chosen"),
    [
        pytest.param("+D -C", "", "+D", id="the oldest first"),
        pytest.param("+B -D +D", "", "+D", id="not what is so already"),
        pytest.param("+D -C", "A+D", "-C", id="not what already stands"),
        pytest.param("+D", "A-D", "+D", id="a changed mind is cast again"),
        pytest.param("+D", "B+D", "+D", id="another's standing vote is not ours"),
        pytest.param("", "", None, id="none pending"),
    ],
)
def test_a_proposer_casts_what_would_change_something(
    pending: str, standing: str, chosen: str | None
) -> None:
    votes = tuple(cast(word[1], word[0] == "+") for word in pending.split())

    vote = choose_vote(
        votes, tally_of("ABC", standing), voter=BY_NAME["A"].address, epoch_length=EPOCH
    )

    assert vote == (None if chosen is None else cast(chosen[1], chosen[0] == "+"))


def test_no_vote_is_cast_into_an_epoch_block() -> None:
    tally = tally_of("ABC", height=2)
    voter = BY_NAME["A"].address

    assert choose_vote((cast("D", True),), tally, voter=voter, epoch_length=3) is None
    assert choose_vote((cast("D", True),), tally, voter=voter, epoch_length=4) is not None


@pytest.mark.parametrize(
    ("members", "change", "online", "is_live", "can_pass"),
    [
        pytest.param("ABCD", "+E", "ABCD", True, True, id="four of five is a quorum"),
        pytest.param("ABCD", "+E", "ABC", False, True, id="three of five is none"),
        pytest.param("ABCD", "-D", "ABC", True, True, id="dropping the one that is down"),
        pytest.param("ABCD", "-A", "ABD", True, True, id="dropping one that is up"),
        pytest.param("ABCD", "-D", "AB", True, False, id="too few to vote it through"),
        pytest.param("ABCDE", "-A", "ABC", False, True, id="the rest would be short"),
    ],
)
def test_a_change_can_be_tried_on_paper(
    members: str, change: str, online: str, is_live: bool, can_pass: bool
) -> None:
    validators = addresses(BY_NAME[name] for name in members)

    assessment = assess_change(
        validators,
        cast(change[1], change[0] == "+"),
        online=addresses(BY_NAME[name] for name in online),
    )

    assert (assessment.is_live, assessment.can_pass) == (is_live, can_pass)
    assert assessment.votes_needed == vote_majority(len(members))
