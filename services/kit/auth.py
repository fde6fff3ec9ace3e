"""Who calls, and whether what they ask is theirs to ask.

Four kinds of callers: anyone, a resident, a member of staff, another service. A ``Policy`` says
which of them an operation is for, for what purpose, and what is needed: identity proofing (how well
the person was once identified) and authentication (how strongly today's login is) are separate
claims with separate minima. ``check_policy`` is pure; reading tokens is left to ``tokens``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final, NewType, assert_never

from services.kit.problems import Refusal

TenantId = NewType("TenantId", str)
"""A municipality, as ``goka``."""

LEVEL_MAX: Final = 3
"""Highest proofing and authentication level."""


class Access(StrEnum):
    """A kind of caller."""

    PUBLIC = "public"
    """Anyone, without a token."""
    RESIDENT = "resident"
    STAFF = "staff"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Anyone:
    """A caller who showed no token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A person with a token of an issuer we believe."""

    subject: str
    """Pairwise pseudonym for this service."""
    tenant: TenantId
    """Municipality of residence or use."""
    purposes: frozenset[str]
    """What the person agreed to be served for."""
    proofing_level: int
    """How well the person was identified, once: 0 to 3."""
    authentication_level: int
    """How strongly this login was made: 1 to 3."""
    device: str | None = None
    """Thumbprint of the key the token is bound to."""
    delegate: str | None = None
    """Who acts for the person, by the delegate's own pseudonym here; None when it is the person."""
    place: str | None = None
    """To which place the person limited that; None when to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A member of a municipality's staff."""

    subject: str
    """Name in the staff table, never a person's name."""
    tenant: TenantId
    """The municipality."""
    roles: frozenset[str]
    """Roles by the staff table."""
    authentication_level: int
    """What the registered key is worth: 1 to 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """Another service."""

    name: str
    """Its name."""
    tenant: TenantId
    """Municipality it acts for."""
    purposes: frozenset[str]
    """What it may call for, by our settings."""


Caller = Anyone | Resident | Staff | Partner


class AuthenticationRefused(Refusal):
    """A caller whose token cannot be taken."""

    code = "auth.refused"
    status = HTTPStatus.UNAUTHORIZED


class TokenMissing(AuthenticationRefused):
    """The operation needs a token and there is none."""

    code = "auth.token_missing"


class PermissionRefused(Refusal):
    """A known caller who may not do this."""

    code = "auth.forbidden"
    status = HTTPStatus.FORBIDDEN


class WrongCaller(PermissionRefused):
    """The operation is for another kind of caller."""

    code = "auth.caller"


class OtherTenant(PermissionRefused):
    """The caller belongs to another municipality than the request is for."""

    code = "auth.tenant"


class PurposeNotGranted(PermissionRefused):
    """The caller's token does not cover the operation's purpose."""

    code = "auth.purpose"


class ProofingTooLow(PermissionRefused):
    """The person was not identified well enough."""

    code = "auth.proofing_level"


class AuthenticationTooWeak(PermissionRefused):
    """Today's login is not strong enough."""

    code = "auth.authentication_level"


class DelegateRefused(PermissionRefused):
    """Somebody acts for another person, and this operation takes nobody's place, or not there."""

    code = "auth.delegate"


class RoleMissing(PermissionRefused):
    """None of the caller's roles allows this."""

    code = "auth.role"


class Delegation(StrEnum):
    """Whether somebody may do an operation for another person who let them."""

    NONE = "none"
    """Only the person."""
    ANYWHERE = "anywhere"
    """A delegate too, but none whose grant is limited to a place, since nobody looks at it."""
    PLACED = "placed"
    """Every delegate; the handler compares the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who may use an operation, and for what."""

    purpose: str
    """Purpose of use, as ``library.lend``; recorded with every read of personal data."""
    access: frozenset[Access]
    """Kinds of callers it is for."""
    proofing_level: int = 0
    """Least proofing level of a resident."""
    authentication_level: int = 0
    """Least authentication level of a resident or staff."""
    roles: frozenset[str] = frozenset()
    """Roles of staff, any of which is enough."""
    delegation: Delegation = Delegation.NONE
    """Whether a resident may be acted for."""

    def __post_init__(self) -> None:
        """Refuse a policy that contradicts itself, when the program is loaded."""
        levels = (self.proofing_level, self.authentication_level)
        if not self.purpose or not self.access:
            raise ValueError("a policy names a purpose and who it is for")
        if any(not 0 <= level <= LEVEL_MAX for level in levels):
            raise ValueError(f"{self.purpose}: levels go from 0 to {LEVEL_MAX}")
        if Access.PUBLIC in self.access and (len(self.access) > 1 or any(levels) or self.roles):
            raise ValueError(f"{self.purpose}: what is public asks nothing of the caller")
        if (Access.STAFF in self.access) != bool(self.roles):
            raise ValueError(f"{self.purpose}: roles are for staff, and staff need a role")
        if self.proofing_level and Access.RESIDENT not in self.access:
            raise ValueError(f"{self.purpose}: a proofing level is a resident's")
        if self.delegation is not Delegation.NONE and Access.RESIDENT not in self.access:
            raise ValueError(f"{self.purpose}: only residents are acted for")


def check_policy(policy: Policy, caller: Caller, tenant: TenantId) -> None:
    """Let the call pass, or say which of the policy's demands it does not meet.

    Raises:
        Refusal: A subclass for each demand.
    """
    if Access.PUBLIC in policy.access:
        return
    match caller:
        case Anyone():
            raise TokenMissing("the operation needs a token")
        case Resident():
            _check_kind(policy, Access.RESIDENT)
            _check_tenant(caller.tenant, tenant)
            _check_purpose(policy, caller.purposes)
            _check_delegate(policy, caller)
            if caller.proofing_level < policy.proofing_level:
                raise ProofingTooLow(
                    "proofing level too low",
                    needed=policy.proofing_level,
                    present=caller.proofing_level,
                )
            _check_authentication(policy, caller.authentication_level)
        case Staff():
            _check_kind(policy, Access.STAFF)
            _check_tenant(caller.tenant, tenant)
            if not policy.roles & caller.roles:
                raise RoleMissing("none of the caller's roles allows this")
            _check_authentication(policy, caller.authentication_level)
        case Partner():
            _check_kind(policy, Access.SERVICE)
            _check_tenant(caller.tenant, tenant)
            _check_purpose(policy, caller.purposes)
        case _:
            assert_never(caller)


def choose_tenant(
    caller: Caller, *, named: str | None, host_tenant: TenantId | None, served: Sequence[TenantId]
) -> TenantId | None:
    """Return the municipality a request is for, or None when nothing tells.

    What the request names comes first, then the host it was sent to, then the caller's token, then
    the only tenant there is. Whether the caller belongs there is for ``check_policy``.
    """
    if named is not None:
        return TenantId(named) if named in served else None
    if host_tenant is not None:
        return host_tenant
    if not isinstance(caller, Anyone):
        return caller.tenant if caller.tenant in served else None
    return served[0] if len(served) == 1 else None


def _check_kind(policy: Policy, kind: Access) -> None:
    if kind not in policy.access:
        raise WrongCaller("the operation is for another kind of caller")


def _check_tenant(own: TenantId, asked: TenantId) -> None:
    if own != asked:
        raise OtherTenant("the caller belongs to another municipality")


def _check_purpose(policy: Policy, granted: frozenset[str]) -> None:
    if policy.purpose not in granted:
        raise PurposeNotGranted("the token does not cover the operation's purpose")


def _check_delegate(policy: Policy, caller: Resident) -> None:
    if caller.delegate is None:
        return
    is_limited = caller.place is not None and policy.delegation is not Delegation.PLACED
    if policy.delegation is Delegation.NONE or is_limited:
        raise DelegateRefused("nobody acts for another here, or not at that place")


def _check_authentication(policy: Policy, present: int) -> None:
    if present < policy.authentication_level:
        raise AuthenticationTooWeak(
            "login too weak", needed=policy.authentication_level, present=present
        )
