"""What needs no token: challenges, bindings by the card, log-in by the card, tokens for devices."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.hub.requests import write_instant
from clients.identity.statement import MalformedStatement, Purpose
from services.hub import people
from services.hub.bindings import Bindings
from services.hub.documents import (
    BindingAnswer,
    BindingRequest,
    CardLogin,
    CardLoginAnswer,
    ChallengeAnswer,
    ChallengeRequest,
    KeyDocument,
    KeySet,
    Presented,
    StatementRequest,
    TokenAnswer,
    TokenAsked,
)
from services.hub.grants import find_usable_grant, open_place
from services.hub.history import note_query
from services.hub.issuing import (
    CARD_LEVEL,
    DEVICE_LEVEL,
    REQUEST_AGE_MAX,
    SKEW,
    Acting,
    Issuer,
    TokenRequest,
    is_recent,
    is_signed_by,
)
from services.hub.people import Person
from services.hub.refusals import (
    BindingUnknown,
    DeviceInactive,
    DeviceTaken,
    GrantRefused,
    NotEnrolled,
    OtherResident,
    RequestRefused,
    ResidentStopped,
    StatementRefused,
    TooManyChallenges,
    TooManyDevices,
    UnknownService,
)
from services.hub.settings import HUB
from services.hub.showing import (
    read_address,
    read_instant,
    read_key,
    read_presented,
    read_signature,
    show_device,
    show_devices,
    show_status,
)
from services.hub.statements import Proven
from services.kit.auth import Access
from services.kit.events import from_milliseconds
from services.kit.keys import UnusableKey, public_document
from services.kit.operations import Call, operation
from services.kit.problems import InvalidRequest
from services.kit.replays import ReplayMemory

_PUBLIC = (Access.PUBLIC,)


class Enrolment:
    """The public operations and what they need."""

    def __init__(self, bindings: Bindings, issuer: Issuer) -> None:
        """Hold it."""
        self._bindings = bindings
        self._issuer = issuer
        self._seen = ReplayMemory()

    @operation(
        "POST",
        "/challenges",
        purpose="hub.enrol",
        access=_PUBLIC,
        request=ChallengeRequest,
        response=ChallengeAnswer,
        status=HTTPStatus.CREATED,
        refusals=[MalformedStatement, TooManyChallenges],
    )
    async def ask_for_statement(self, call: Call[ChallengeRequest, None]) -> ChallengeAnswer:
        """Ask for the text of a statement to be signed."""
        wish = call.body
        asked = await self._bindings.statements.ask(
            tenant=call.tenant,
            purpose=wish.purpose,
            now=call.at,
            device=None if wish.device is None else read_address(wish.device),
            record_key_hash=None
            if wish.record_key_hash is None
            else bytes.fromhex(wish.record_key_hash),
            binding=None if wish.binding is None else bytes.fromhex(wish.binding),
        )
        return ChallengeAnswer(
            challenge=asked.id, text=asked.text.decode(), expires_at=write_instant(asked.expires_at)
        )

    @operation(
        "POST",
        "/bindings",
        purpose="hub.enrol",
        access=_PUBLIC,
        request=BindingRequest,
        response=BindingAnswer,
        status=HTTPStatus.CREATED,
        refusals=[
            StatementRefused,
            InvalidRequest,
            OtherResident,
            ResidentStopped,
            DeviceTaken,
            TooManyDevices,
        ],
    )
    async def bind_device(self, call: Call[BindingRequest, None]) -> BindingAnswer:
        """Bind a device by a statement that card and device signed."""
        purposes = (Purpose.BIND_DEVICE, Purpose.REBIND_DEVICE)
        proven = await self._prove(call.body.statement, call.tenant, purposes, call.at)
        attributes = None
        if call.body.attributes is not None:
            confirm = (Purpose.CONFIRM_ATTRIBUTES,)
            attributes = await self._prove(call.body.attributes, call.tenant, confirm, call.at)
        bound = await self._bindings.bind(
            proven, tenant=call.tenant, label=call.body.label, now=call.at, attributes=attributes
        )
        return await self._show(bound.person, bound.binding, call.at)

    @operation(
        "POST",
        "/revocations",
        purpose="hub.enrol",
        access=_PUBLIC,
        request=StatementRequest,
        response=BindingAnswer,
        refusals=[StatementRefused, InvalidRequest, BindingUnknown],
    )
    async def revoke_by_card(self, call: Call[StatementRequest, None]) -> BindingAnswer:
        """Stop a device by the card, without having the device."""
        purposes = (Purpose.REVOKE_DEVICE,)
        proven = await self._prove(call.body.statement, call.tenant, purposes, call.at)
        bound = await self._bindings.revoke_by_card(proven, tenant=call.tenant, now=call.at)
        return await self._show(bound.person, bound.binding, call.at)

    @operation(
        "POST",
        "/card-logins",
        purpose="hub.enrol",
        access=_PUBLIC,
        request=CardLogin,
        response=CardLoginAnswer,
        is_personal=True,
        refusals=[
            StatementRefused,
            InvalidRequest,
            NotEnrolled,
            ResidentStopped,
            UnknownService,
            UnusableKey,
        ],
    )
    async def log_in_by_card(self, call: Call[CardLogin, None]) -> CardLoginAnswer:
        """Log in by the card: see what is bound, and be given a token for a kiosk."""
        wish = call.body.token
        key = None if wish is None else read_key(wish.key)
        if wish is not None:
            self._issuer.sector_of(wish.audience, wish.purposes)
        purposes = (Purpose.LOG_IN,)
        proven = await self._prove(call.body.statement, call.tenant, purposes, call.at)
        person = await self._bindings.log_in(proven, tenant=call.tenant, now=call.at)
        token = None
        if wish is not None and key is not None:
            text, ends = self._issuer.issue(
                person,
                service=wish.audience,
                purposes=wish.purposes,
                thumbprint=key.thumbprint(),
                authentication_level=CARD_LEVEL,
                now=call.at,
            )
            token = TokenAnswer(token=text, expires_at=write_instant(ends))
        async with self._bindings.database.read() as tx:
            devices = await show_devices(tx, person, envelope=self._bindings.envelope, now=call.at)
        call.note_read(person.name)
        status = show_status(person, call.at)
        return CardLoginAnswer(**status.model_dump(), devices=devices, token=token)

    @operation(
        "POST",
        "/tokens",
        purpose="hub.token",
        access=_PUBLIC,
        request=TokenAsked,
        response=TokenAnswer,
        refusals=[
            RequestRefused,
            DeviceInactive,
            GrantRefused,
            ResidentStopped,
            UnknownService,
            UnusableKey,
            InvalidRequest,
        ],
    )
    async def issue_token(self, call: Call[TokenAsked, None]) -> TokenAnswer:
        """Give a bound device a token for a service, for its owner or whom the owner acts for."""
        wish = call.body
        key = read_key(wish.key)
        self._issuer.sector_of(wish.audience, wish.purposes)
        asked = TokenRequest(
            audience=self._bindings.statements.audience,
            device=read_address(wish.device),
            service=wish.audience,
            purposes=wish.purposes,
            thumbprint=key.thumbprint(),
            issued_at=read_instant(wish.issued_at),
            nonce=wish.nonce,
            grant=wish.grant,
        )
        self._check_request(asked, wish.signature, now=call.at)
        person, acting = await self._find_acting(asked, tenant=call.tenant, now=call.at), None
        if asked.grant is not None:
            person, acting = await self._act_for_another(asked, person, now=call.at)
        text, ends = self._issuer.issue(
            person,
            service=asked.service,
            purposes=asked.purposes,
            thumbprint=asked.thumbprint,
            authentication_level=DEVICE_LEVEL,
            now=call.at,
            acting=acting,
        )
        return TokenAnswer(token=text, expires_at=write_instant(ends))

    async def _act_for_another(
        self, asked: TokenRequest, delegate: Person, *, now: datetime
    ) -> tuple[Person, Acting]:
        """Return for whom a delegate may be given a token; the person sees that it was asked for.

        Raises:
            GrantRefused: No grant covers it now, or it is for the hub itself.

        Spec: ID-GRANT-USE, ID-HISTORY.
        """
        if asked.service == HUB:
            raise GrantRefused("grant: nobody acts for another at the hub")

        async def work(tx: AsyncConnection) -> tuple[Person, Acting]:
            row = await find_usable_grant(
                tx, delegate, asked.grant or "", purposes=asked.purposes, now=now
            )
            principal = await people.load_person(
                tx, tenant=delegate.tenant, reference=row.principal
            )
            if principal is None:
                raise GrantRefused("grant: of nobody known any more")
            await note_query(
                tx,
                principal,
                service=asked.service,
                purpose=" ".join(sorted(set(asked.purposes))),
                what=f"grant:{row.id}",
                now=now,
            )
            await self._bindings.note(tx, delegate, "grant.used", now=now, detail=row.id)
            acting = Acting(
                delegate=delegate,
                place=await open_place(tx, row, envelope=self._bindings.envelope),
                expires_at=from_milliseconds(row.expires_ms),
            )
            return principal, acting

        return await self._bindings.database.transact(work)

    @operation("GET", "/jwks", purpose="hub.keys", access=_PUBLIC, response=KeySet)
    async def list_keys(self, call: Call[None, None]) -> KeySet:
        """Publish the keys that the hub's tokens are signed with."""
        del call
        document = public_document(self._issuer.key)
        # A key's file may say more than a key, as that it is of a trial.
        said = {name: document[name] for name in KeyDocument.model_fields if name in document}
        return KeySet(keys=[KeyDocument(**said)])

    def _check_request(self, asked: TokenRequest, signature: str, *, now: datetime) -> None:
        """Check that the device signed, lately and for the first time.

        Raises:
            RequestRefused: It did not.

        Spec: ID-TOKEN-REQUEST.
        """
        is_signed = is_signed_by(asked.encode(), read_signature(signature), asked.device)
        if not is_signed or not is_recent(asked.issued_at, now=now, age_max=REQUEST_AGE_MAX):
            raise RequestRefused("token request: not signed, or not lately")
        until = now + REQUEST_AGE_MAX + 2 * SKEW + timedelta(seconds=1)
        if not self._seen.remember(f"{asked.device.hex()} {asked.nonce}", now=now, until=until):
            raise RequestRefused("token request: used before")

    async def _find_acting(self, asked: TokenRequest, *, tenant: str, now: datetime) -> Person:
        """Return whose device asks.

        Raises:
            DeviceInactive: Nobody's, or one that may not act now.
        """
        async with self._bindings.database.read() as tx:
            device = await people.find_device_by_address(tx, tenant=tenant, address=asked.device)
            person = None
            if device is not None:
                person = await people.load_person(tx, tenant=tenant, reference=device.resident)
        if device is None or person is None:
            raise DeviceInactive("device: not bound, or stopped")
        if people.device_status(device, person.standing, now=now) not in ("active", "grace"):
            raise DeviceInactive("device: not bound, or stopped")
        return person

    async def _prove(
        self, document: Presented, tenant: str, purposes: Sequence[Purpose], now: datetime
    ) -> Proven:
        return await self._bindings.statements.prove(
            read_presented(document),
            tenant=tenant,
            challenge=document.challenge,
            purposes=purposes,
            now=now,
        )

    async def _show(self, person: Person, binding: str, now: datetime) -> BindingAnswer:
        async with self._bindings.database.read() as tx:
            device = await people.find_device(tx, tenant=person.tenant, binding=binding)
            envelope = self._bindings.envelope
            return await show_device(tx, device, person, envelope=envelope, now=now)
