"""Tokens for residents: asked for by a device key, bound to the key that will show them.

A token names the resident by the pseudonym of the service's sector and nothing else, so that two
services which compare theirs find nothing in common.

Spec: ID-TOKEN, ID-TOKEN-REQUEST.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc import jwt

from clients.hub.requests import sector_key_text, token_request_text
from clients.identity.lifecycle import FlagStatus
from clients.identity.statement import compute_device_hash
from node.primitives.crypto import InvalidSignature, recover_address
from node.primitives.types import Address
from services.hub.attestations import attributes_status
from services.hub.keyring import Keyring
from services.hub.people import Person
from services.hub.refusals import ResidentStopped, UnknownService
from services.hub.settings import HUB, LinkedService
from services.hub.standing import level_of
from services.kit.keys import Key, algorithm_of
from services.kit.tokens import RESIDENT_TYPE

TOKEN_TIME_S: Final = 600
SELF: Final = "hub.self"
"""Purpose of the hub's own operations."""

REQUEST_AGE_MAX: Final = timedelta(minutes=1)
SECTOR_AGE_MAX: Final = timedelta(minutes=5)
SKEW: Final = timedelta(seconds=30)
"""How far clocks may differ."""

DEVICE_LEVEL: Final = 2
"""Authentication level of a log-in by a device key."""

CARD_LEVEL: Final = 3
"""Authentication level of a log-in by the card itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What a device signs to be given a token."""

    audience: str
    """The hub, as statements name it."""
    device: Address
    """The device."""
    service: str
    """For whom the token is."""
    purposes: Sequence[str]
    """What for."""
    thumbprint: str
    """Of the key that proofs will be made with."""
    issued_at: datetime
    """When, whole seconds."""
    nonce: str
    """32 hexadecimal digits."""
    grant: str | None = None
    """Under which grant the device's owner acts for another; None for oneself."""

    def encode(self) -> bytes:
        """Return the text that the device signs.

        Spec: ID-TOKEN-REQUEST.
        """
        return token_request_text(
            audience=self.audience,
            device=self.device,
            service=self.service,
            purposes=self.purposes,
            thumbprint=self.thumbprint,
            issued_at=self.issued_at,
            nonce=self.nonce,
            grant=self.grant,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorClaim:
    """What a sector's key signs to be registered for a resident."""

    audience: str
    """The hub, as statements name it."""
    resident: str
    """The hub's own pseudonym of the resident."""
    sector: str
    """Which sector."""
    address: Address
    """Of the key."""
    issued_at: datetime
    """When, whole seconds."""

    def encode(self) -> bytes:
        """Return the text that the sector's key signs.

        Spec: ID-SECTOR-KEY.
        """
        return sector_key_text(
            audience=self.audience,
            resident=self.resident,
            sector=self.sector,
            address=self.address,
            issued_at=self.issued_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Who acts for another, and how far."""

    delegate: Person
    """Who acts."""
    place: str | None
    """Where, when limited to a place."""
    expires_at: datetime
    """Until when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Makes tokens."""

    name: str
    """The ``iss``."""
    key: Key
    """Signs them."""
    keyring: Keyring
    """Names people in sectors."""
    services: Sequence[LinkedService]
    """Who takes them, the hub itself not among them."""

    def sector_of(self, service: str, purposes: Sequence[str]) -> str:
        """Return the sector of a service that may be asked for these purposes.

        Raises:
            UnknownService: There is no such service, or not that purpose of it.
        """
        known = {HUB: (HUB, (SELF,))} | {
            each.audience: (each.sector, each.purposes) for each in self.services
        }
        sector, allowed = known.get(service, ("", ()))
        if not sector or not purposes or not set(purposes) <= set(allowed):
            raise UnknownService("token: no such service or purpose")
        return sector

    def issue(
        self,
        person: Person,
        *,
        service: str,
        purposes: Sequence[str],
        thumbprint: str,
        authentication_level: int,
        now: datetime,
        acting: Acting | None = None,
    ) -> tuple[str, datetime]:
        """Make a token; return it with its end.

        Raises:
            UnknownService: The hub knows no such service or purpose.
            ResidentStopped: The person is suspended or removed, or who acts for the person is.

        Spec: ID-TOKEN, ID-GRANT-USE.
        """
        sector = self.sector_of(service, purposes)
        status = person.standing.status_at(now)
        level = level_of(status)
        stopped = [status]
        if acting is not None:
            stopped.append(acting.delegate.standing.status_at(now))
            level = min(level, level_of(stopped[-1]))
        if any(each in (FlagStatus.SUSPENDED, FlagStatus.REMOVED) for each in stopped):
            raise ResidentStopped("resident: suspended or removed")
        attributes = attributes_status(person, now)
        issued_s = int(now.timestamp())
        ends_s = issued_s + TOKEN_TIME_S
        if acting is not None:
            ends_s = min(ends_s, int(acting.expires_at.timestamp()))
        claims: dict[str, Any] = {
            "iss": self.name,
            "aud": service,
            "tenant": person.tenant,
            "sub": self.keyring.name_in(sector, person.id).hex(),
            "sub_version": self.keyring.sectors[sector].version,
            "scope": " ".join(sorted(set(purposes))),
            "proofing_level": level,
            "authentication_level": authentication_level,
            "attributes": "none" if attributes is None else attributes.value,
            "iat": issued_s,
            "exp": ends_s,
            "jti": secrets.token_hex(16),
            "cnf": {"jkt": thumbprint},
        }
        if acting is not None:
            # Nothing here is the same in two sectors; the grant's id would be.
            claims["act"] = {"sub": self.keyring.name_in(sector, acting.delegate.id).hex()}
            if acting.place is not None:
                claims["place"] = acting.place
        algorithm = algorithm_of(self.key)
        header = {"alg": algorithm, "typ": RESIDENT_TYPE, "kid": self.key.thumbprint()}
        token = jwt.encode(header, claims, self.key, algorithms=[algorithm])
        return token, datetime.fromtimestamp(ends_s, UTC)


def is_signed_by(text: bytes, signature: bytes, signer: Address) -> bool:
    """Return whether an address signed a text as a personal message."""
    try:
        return recover_address(compute_device_hash(text), signature) == signer
    except InvalidSignature:
        return False


def is_recent(issued_at: datetime, *, now: datetime, age_max: timedelta) -> bool:
    """Return whether a signed request is neither old nor from the future."""
    return -SKEW <= now - issued_at <= age_max
