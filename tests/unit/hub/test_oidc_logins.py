"""ID-OIDC-STATE, ID-OIDC-CONFIRM: a log-in goes one way, once, and ends."""

from datetime import timedelta

import pytest

from services.hub.oidc_logins import (
    CODE_TRIES_MAX,
    LIFETIME,
    LoginMemory,
    LoginStage,
    LoginUnknown,
    PendingLogin,
    TooManyLogins,
)
from services.hub.oidc_token import ProviderLogin
from tests.support.identity import NOW

ANSWER = ProviderLogin(
    issuer="https://p", subject="person", nonce="n" * 43, logged_in_at=NOW, evidence=b"token"
)


def started(memory: LoginMemory) -> PendingLogin:
    return memory.start(
        tenant="sakai", provider="agency", nonce="n" * 43, device_note="0x1", now=NOW
    )


def answered(memory: LoginMemory) -> tuple[PendingLogin, str]:
    login = memory.take_state(started(memory).state, provider="agency", now=NOW)
    return login, memory.note_answer(login.id, ANSWER, now=NOW)


def test_a_log_in_goes_its_way_once() -> None:
    memory = LoginMemory()
    login, ticket = answered(memory)

    assert memory.confirm(ticket, login.code, now=NOW) is LoginStage.CONFIRMED
    assert memory.take_confirmed(login.id, now=NOW) == ANSWER
    with pytest.raises(LoginUnknown):
        memory.take_confirmed(login.id, now=NOW)
    memory.finish(login.id)
    assert memory.find(login.id, now=NOW).stage is LoginStage.BOUND


def test_a_state_counts_once_and_at_its_provider() -> None:
    memory = LoginMemory()
    first, second = started(memory), started(memory)
    memory.take_state(first.state, provider="agency", now=NOW)

    with pytest.raises(LoginUnknown):
        memory.take_state(first.state, provider="agency", now=NOW)
    with pytest.raises(LoginUnknown):
        memory.take_state(second.state, provider="other", now=NOW)
    with pytest.raises(LoginUnknown):
        memory.take_state(second.state, provider="agency", now=NOW)
    assert memory.find(second.id, now=NOW).stage is LoginStage.FAILED


def test_states_codes_and_tickets_are_never_shown() -> None:
    memory = LoginMemory()
    login, ticket = answered(memory)
    shown = repr(memory.find(login.id, now=NOW))

    assert all(secret not in shown for secret in (login.state, login.verifier, ticket, "person"))
    assert f"'{login.code}'" not in shown


def test_three_wrong_codes_end_a_log_in() -> None:
    memory = LoginMemory()
    login, ticket = answered(memory)
    wrong = "000000" if login.code != "000000" else "111111"

    stages = [memory.confirm(ticket, wrong, now=NOW) for _ in range(CODE_TRIES_MAX)]

    assert stages == [LoginStage.ANSWERED, LoginStage.ANSWERED, LoginStage.FAILED]
    with pytest.raises(LoginUnknown):
        memory.confirm(ticket, login.code, now=NOW)


def test_a_ticket_confirms_once() -> None:
    memory = LoginMemory()
    login, ticket = answered(memory)
    memory.confirm(ticket, login.code, now=NOW)

    with pytest.raises(LoginUnknown):
        memory.confirm(ticket, login.code, now=NOW)


def test_everything_ends_with_its_time() -> None:
    memory = LoginMemory()
    login, ticket = answered(memory)
    other = started(memory)
    late = NOW + LIFETIME

    with pytest.raises(LoginUnknown):
        memory.confirm(ticket, login.code, now=late)
    with pytest.raises(LoginUnknown):
        memory.take_state(other.state, provider="agency", now=late)
    with pytest.raises(LoginUnknown):
        memory.find(login.id, now=late)
    assert memory.find(login.id, now=late - timedelta(seconds=1))


def test_log_ins_under_way_are_bounded_and_make_room_when_over() -> None:
    memory = LoginMemory(count_max=2)
    started(memory)
    started(memory)

    with pytest.raises(TooManyLogins):
        started(memory)
    later = NOW + LIFETIME
    assert memory.start(
        tenant="sakai", provider="agency", nonce="n" * 43, device_note="0x1", now=later
    )


def test_an_unconfirmed_answer_binds_nothing() -> None:
    memory = LoginMemory()
    login, _ = answered(memory)

    with pytest.raises(LoginUnknown):
        memory.take_confirmed(login.id, now=NOW)
