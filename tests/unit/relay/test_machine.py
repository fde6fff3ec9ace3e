"""RELAY-ONE-NONCE, RELAY-WINDOW, RELAY-FENCE, RELAY-REPLACE, RELAY-FINAL, RELAY-ONE-SIGNER.

What the relay decides. A lane at nonce 7; nodes say things, only final blocks settle.
"""

import pytest

from node.primitives.errors import InvariantViolation
from node.primitives.types import Height
from services.relay.machine import (
    BACKOFF_MS_MAX,
    RESEND_MS,
    WINDOW,
    Answer,
    Answered,
    Candidate,
    Effect,
    Event,
    ForeignSigner,
    GiveUp,
    Landed,
    Lane,
    Loss,
    Note,
    Offered,
    Opened,
    Send,
    Settle,
    Sign,
    Stage,
    Ticked,
    Transition,
    Withdrawn,
    step,
)
from services.relay.operations import FENCE, Word, compute_void

LOAN, NOTICE, ALERT = (Word(bytes((at,)) * 32) for at in (1, 2, 3))
NOW_MS = 1_000_000
OPEN = Lane(next_nonce=7, fence_end=7)


def after(*events: Event, lane: Lane = OPEN) -> Transition:
    effects: list[Effect] = []
    for event in events:
        transition = step(lane, event)
        lane = transition.lane
        effects = list(transition.effects)
    return Transition(lane=lane, effects=tuple(effects))


def landed(nonce: int, word: Word | None, *, is_success: bool = True) -> Landed:
    return Landed(nonce=nonce, word=word, is_success=is_success, height=Height(40))


def answered(answer: Answer, word: Word = LOAN, *, nonce: int = 7, reason: str = "") -> Answered:
    return Answered(
        nonce=nonce, word=word, answer=answer, reason=reason, node_count=2, now_ms=NOW_MS
    )


def test_waiting_operations_take_the_next_nonces_in_order_and_are_signed_before_they_are_sent() -> (
    None
):
    assert after(Offered(words=(LOAN, NOTICE))).effects == (
        Sign(nonce=7, candidate=Candidate(word=LOAN)),
        Note(word=LOAN, stage=Stage.BATCHED),
        Sign(nonce=8, candidate=Candidate(word=NOTICE)),
        Note(word=NOTICE, stage=Stage.BATCHED),
    )


def test_an_operation_that_stands_at_a_nonce_gets_no_other() -> None:
    assert after(Offered(words=(LOAN,)), Offered(words=(LOAN, LOAN))).effects == ()


def test_a_window_of_nonces_is_signed_and_not_one_more() -> None:
    words = tuple(Word(at.to_bytes(32, "big")) for at in range(1, WINDOW + 3))

    lane = after(Offered(words=words)).lane

    assert len(lane.slots) == WINDOW
    assert after(Offered(words=words), lane=lane).effects == ()


def test_a_lane_that_is_not_opened_signs_nothing() -> None:
    assert after(Offered(words=(LOAN,)), lane=Lane(next_nonce=7)).effects == ()


def test_opening_fills_the_window_behind_what_is_signed_already() -> None:
    lane = Lane(next_nonce=7, slots=after(Offered(words=(LOAN, NOTICE))).lane.slots)

    opened = after(Opened(), lane=lane)

    assert [slot.current.word for slot in opened.lane.slots] == [
        LOAN,
        NOTICE,
        *[FENCE] * (WINDOW - 2),
    ]
    assert after(Offered(words=(ALERT,)), lane=opened.lane).effects == ()


def test_operations_are_signed_when_the_last_fence_is_settled_and_not_before() -> None:
    lane = after(Opened(), lane=Lane(next_nonce=0)).lane
    for nonce in range(WINDOW - 1):
        lane = step(lane, landed(nonce, FENCE)).lane
    assert after(Offered(words=(LOAN,)), lane=lane).effects == ()

    lane = step(lane, landed(WINDOW - 1, FENCE)).lane

    assert after(Offered(words=(LOAN,)), lane=lane).effects[0] == Sign(
        nonce=WINDOW, candidate=Candidate(word=LOAN)
    )


def test_opening_twice_fences_once() -> None:
    opened = after(Opened(), lane=Lane(next_nonce=0)).lane

    assert step(opened, Opened()).effects == ()


def test_what_is_due_is_sent_and_then_waits() -> None:
    first = after(Offered(words=(LOAN,)), Ticked(now_ms=NOW_MS))
    assert first.effects == (Send(nonce=7, word=LOAN, attempt=0),)

    assert after(Ticked(now_ms=NOW_MS + RESEND_MS - 1), lane=first.lane).effects == ()
    assert after(Ticked(now_ms=NOW_MS + RESEND_MS), lane=first.lane).effects == (
        Send(nonce=7, word=LOAN, attempt=1),
    )


def test_a_clock_that_went_back_delays_nothing_for_long() -> None:
    sent = after(Offered(words=(LOAN,)), Ticked(now_ms=NOW_MS)).lane

    back_ms = NOW_MS + RESEND_MS - BACKOFF_MS_MAX - 1

    assert after(Ticked(now_ms=back_ms), lane=sent).effects != ()


def test_an_accepted_transaction_is_sent_once_as_far_as_services_are_told() -> None:
    sent = after(Offered(words=(LOAN,)), answered(Answer.ACCEPTED))
    assert sent.effects == (Note(word=LOAN, stage=Stage.SENT),)

    assert after(answered(Answer.ACCEPTED), lane=sent.lane).effects == ()


def test_a_node_that_says_mined_settles_nothing() -> None:
    told = after(Offered(words=(LOAN,)), answered(Answer.MINED))

    assert told.effects == (Note(word=LOAN, stage=Stage.MINED),)
    assert told.lane.next_nonce == 7
    assert after(Ticked(now_ms=NOW_MS), lane=told.lane).effects != ()


def test_a_busy_node_makes_the_relay_wait_longer_each_time() -> None:
    lane = after(Offered(words=(LOAN,)), Ticked(now_ms=NOW_MS)).lane
    waits = []
    for _ in range(8):
        lane = step(lane, answered(Answer.BUSY)).lane
        waits.append(lane.slots[0].due_ms - NOW_MS)
        lane = step(lane, Ticked(now_ms=lane.slots[0].due_ms)).lane

    assert waits == sorted(waits)
    assert waits[-1] == BACKOFF_MS_MAX


def test_only_a_refusal_by_every_node_gives_an_operation_up() -> None:
    once = after(Offered(words=(LOAN,)), answered(Answer.REFUSED, reason="pool.gas_cap"))
    assert once.effects == ()
    calmed = after(answered(Answer.ACCEPTED), answered(Answer.REFUSED), lane=once.lane)
    assert calmed.effects == ()

    twice = after(answered(Answer.REFUSED, reason="pool.gas_cap"), lane=once.lane)

    given_up = Candidate(word=LOAN, loss=Loss.FAILED, reason="pool.gas_cap")
    void = Candidate(word=compute_void(LOAN), is_filler=True)
    assert twice.effects == (
        GiveUp(nonce=7, candidate=given_up),
        Sign(nonce=7, candidate=void),
    )


def test_a_withdrawn_operation_competes_with_its_void_and_the_chain_decides() -> None:
    withdrawn = after(Offered(words=(LOAN,)), Withdrawn(word=LOAN)).lane
    given_up = Candidate(word=LOAN, loss=Loss.REPLACED, reason="withdrawn")

    void_won = after(landed(7, compute_void(LOAN)), lane=withdrawn).effects
    assert void_won == (Settle(landed=landed(7, compute_void(LOAN)), losers=(given_up,)),)
    loan_won = after(landed(7, LOAN), lane=withdrawn).effects
    assert loan_won == (Settle(landed=landed(7, LOAN), losers=()),)


def test_what_was_withdrawn_while_it_waited_goes_to_the_chain_as_a_void_first() -> None:
    void = compute_void(NOTICE)

    bound = after(Offered(words=(LOAN,), voids=(void, void)))

    assert bound.effects == (
        Sign(nonce=7, candidate=Candidate(word=void, is_filler=True)),
        Sign(nonce=8, candidate=Candidate(word=LOAN)),
        Note(word=LOAN, stage=Stage.BATCHED),
    )


@pytest.mark.parametrize(
    "word", [pytest.param(NOTICE, id="never bound"), pytest.param(FENCE, id="a fence")]
)
def test_withdrawing_what_stands_at_no_nonce_changes_nothing(word: Word) -> None:
    assert after(Offered(words=(LOAN,)), Withdrawn(word=word)).effects == ()


def test_answers_about_what_is_no_longer_sent_change_nothing() -> None:
    withdrawn = after(Offered(words=(LOAN,)), Withdrawn(word=LOAN))

    assert after(answered(Answer.ACCEPTED), lane=withdrawn.lane).effects == ()
    assert after(answered(Answer.ACCEPTED, nonce=99), lane=withdrawn.lane).effects == ()


def test_a_final_block_settles_the_nonce_and_moves_on() -> None:
    settled = after(Offered(words=(LOAN, NOTICE)), landed(7, LOAN))

    assert settled.effects == (Settle(landed=landed(7, LOAN), losers=()),)
    assert [slot.nonce for slot in settled.lane.slots] == [8]
    assert settled.lane.next_nonce == 8


def test_a_block_read_again_changes_nothing() -> None:
    assert after(landed(6, LOAN)).effects == ()


def test_a_nonce_out_of_order_stops_the_relay() -> None:
    with pytest.raises(InvariantViolation, match="RELAY-ONE-NONCE"):
        after(landed(8, LOAN))


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(NOTICE, id="another operation"),
        pytest.param(FENCE, id="a fence of another process"),
        pytest.param(None, id="no relay's transaction"),
    ],
)
def test_a_transaction_we_did_not_sign_stops_an_open_lane(word: Word | None) -> None:
    with pytest.raises(ForeignSigner, match="stop the other process"):
        after(Offered(words=(LOAN,)), landed(7, word))


def test_before_the_window_is_settled_an_unknown_transaction_is_learnt_and_ours_queued_again() -> (
    None
):
    restored = Lane(next_nonce=7, slots=after(Offered(words=(LOAN,))).lane.slots)
    opened = after(Opened(), lane=restored).lane

    learnt = after(landed(7, NOTICE), lane=opened)

    assert learnt.effects == (
        Settle(landed=landed(7, NOTICE), losers=(Candidate(word=LOAN, loss=Loss.REQUEUE),)),
    )
