"""Log-ins at a provider that are under way: each with one use, one end, and a code to compare.

A log-in goes one way: started, answered by the provider, confirmed by the person at the browser,
bound. Somebody who sends another person the address of a log-in of their own would get that
person's identity for their own device; so the browser shows which device is to be bound and asks
for the code that this device shows. In memory: a restart forgets log-ins under way.

Spec: ID-OIDC-STATE, ID-OIDC-CONFIRM.
"""

import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from node.primitives.errors import InvalidInput, Unavailable
from services.hub.oidc_token import ExpectedLogin, ProviderLogin

LIFETIME: Final = timedelta(minutes=10)
"""From the beginning to the binding."""

LOGINS_MAX: Final = 10_000
"""Log-ins under way at once."""

CODE_DIGITS: Final = 6
CODE_TRIES_MAX: Final = 3
"""Wrong codes until a log-in ends."""


class LoginStage(StrEnum):
    """How far a log-in is."""

    STARTED = "started"
    """The browser is to be opened."""
    ANSWERED = "answered"
    """The provider vouches; the person is to type the device's code."""
    CONFIRMED = "confirmed"
    """The device may open its commitment."""
    FAILED = "failed"
    """It led nowhere; begin again."""
    BOUND = "bound"
    """The device is bound."""


class LoginUnknown(InvalidInput):
    """No such log-in is under way, or it is over, or not at this point."""

    code = "federation.login_unknown"


class TooManyLogins(Unavailable):
    """No more log-ins can be under way at once."""

    code = "federation.too_many_logins"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLogin:
    """One log-in under way."""

    id: str
    """Public name, which tells nothing."""
    tenant: str
    """Municipality."""
    provider: str
    """Name of the provider; an answer of another one is none."""
    device_note: str
    """What the browser shows of the device: its address."""
    state: str = field(repr=False)
    """Ties the browser's return to it, once."""
    verifier: str = field(repr=False)
    """Of PKCE."""
    code: str = field(repr=False)
    """Shown by the device, typed at the browser."""
    expected: ExpectedLogin
    """What the ID token must repeat."""
    until: datetime
    """When it is over."""
    stage: LoginStage = LoginStage.STARTED
    """How far it is."""
    ticket: str = field(default="", repr=False)
    """Lets only the browser that came back confirm."""
    tries: int = 0
    """Wrong codes typed."""
    answer: ProviderLogin | None = None
    """What the provider vouched for."""


class LoginMemory:
    """Log-ins under way."""

    def __init__(self, count_max: int = LOGINS_MAX) -> None:
        """Start with none."""
        self._count_max = count_max
        self._logins: dict[str, PendingLogin] = {}
        self._by_state: dict[str, str] = {}
        self._by_ticket: dict[str, str] = {}

    def start(
        self, *, tenant: str, provider: str, nonce: str, device_note: str, now: datetime
    ) -> PendingLogin:
        """Begin a log-in.

        Raises:
            TooManyLogins: No room.

        Spec: ID-OIDC-STATE.
        """
        self._forget(now)
        if len(self._logins) >= self._count_max:
            raise TooManyLogins(f"oidc: {self._count_max} log-ins under way", rule="ID-OIDC-STATE")
        login = PendingLogin(
            id=secrets.token_hex(16),
            tenant=tenant,
            provider=provider,
            device_note=device_note,
            state=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            code="".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS)),
            expected=ExpectedLogin(nonce=nonce, started_at=now),
            until=now + LIFETIME,
        )
        self._logins[login.id] = login
        self._by_state[login.state] = login.id
        return login

    def take_state(self, state: str, *, provider: str, now: datetime) -> PendingLogin:
        """Return the log-in that a browser comes back for; its state is used up by that.

        Raises:
            LoginUnknown: No such state, used before, over, or of another provider.

        Spec: ID-OIDC-STATE.
        """
        login = self._live(self._by_state.pop(state, ""), now)
        if login.provider != provider or login.stage is not LoginStage.STARTED:
            self.fail(login.id)
            raise _unknown()
        return login

    def note_answer(self, login_id: str, answer: ProviderLogin, *, now: datetime) -> str:
        """Hold what the provider vouched for; return the ticket for the browser's page."""
        login = self._live(login_id, now)
        ticket = secrets.token_urlsafe(32)
        self._by_ticket[ticket] = login.id
        self._logins[login.id] = replace(
            login, stage=LoginStage.ANSWERED, answer=answer, ticket=ticket
        )
        return ticket

    def confirm(self, ticket: str, code: str, *, now: datetime) -> LoginStage:
        """Take the code typed at the browser; return how far the log-in is then.

        Raises:
            LoginUnknown: No such ticket, or the log-in is over.

        Spec: ID-OIDC-CONFIRM.
        """
        login = self._live(self._by_ticket.get(ticket, ""), now)
        if login.stage is not LoginStage.ANSWERED:
            raise _unknown()
        if hmac.compare_digest(code.encode(), login.code.encode()):
            del self._by_ticket[ticket]
            self._logins[login.id] = replace(login, stage=LoginStage.CONFIRMED)
            return LoginStage.CONFIRMED
        self._logins[login.id] = replace(login, tries=login.tries + 1)
        if login.tries + 1 >= CODE_TRIES_MAX:
            self.fail(login.id)
        return self._logins[login.id].stage

    def device_of(self, ticket: str) -> str:
        """Return what the browser shows of the device, for a ticket that still counts."""
        return self._logins[self._by_ticket[ticket]].device_note

    def find(self, login_id: str, *, now: datetime) -> PendingLogin:
        """Return a log-in.

        Raises:
            LoginUnknown: It never was, or is over.
        """
        return self._live(login_id, now)

    def take_confirmed(self, login_id: str, *, now: datetime) -> ProviderLogin:
        """Return what the provider vouched for, once; ``finish`` or ``fail`` must follow.

        Raises:
            LoginUnknown: It is not confirmed, or was taken.

        Spec: ID-OIDC-STATE.
        """
        login = self._live(login_id, now)
        if login.stage is not LoginStage.CONFIRMED or login.answer is None:
            raise _unknown()
        self._logins[login.id] = replace(login, stage=LoginStage.FAILED, answer=None)
        return login.answer

    def finish(self, login_id: str) -> None:
        """Say that the device is bound."""
        self._logins[login_id] = replace(self._logins[login_id], stage=LoginStage.BOUND)

    def fail(self, login_id: str) -> None:
        """Say that a log-in led nowhere; nothing it holds can be used any more."""
        login = self._logins[login_id]
        self._by_state.pop(login.state, None)
        self._by_ticket.pop(login.ticket, None)
        self._logins[login_id] = replace(login, stage=LoginStage.FAILED, answer=None)

    def _live(self, login_id: str, now: datetime) -> PendingLogin:
        login = self._logins.get(login_id)
        if login is None or login.until <= now:
            raise _unknown()
        return login

    def _forget(self, now: datetime) -> None:
        over = [login for login in self._logins.values() if login.until <= now]
        for login in over:
            del self._logins[login.id]
            self._by_state.pop(login.state, None)
            self._by_ticket.pop(login.ticket, None)


def _unknown() -> LoginUnknown:
    return LoginUnknown("oidc: no such log-in is under way here", rule="ID-OIDC-STATE")
