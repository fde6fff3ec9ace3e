"""Binding a device through an OpenID provider: what devices and browsers ask of the hub for it.

The device begins a log-in with a commitment to its key for a nonce, and shows a code. A browser
logs in at the provider and comes back; the person types the device's code. Then the device opens
the commitment, and the provider's signature over the nonce binds the key. The hub hears the
holder's name from the provider and the key from the device; nobody else learns that they belong
together.

Spec: ID-OIDC-STATE, ID-OIDC-CONFIRM, ID-COMMITMENT.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from aiohttp import web
from pydantic import StringConstraints

from clients.identity.commitment import DeviceCommitment, is_opening
from node.log import Log
from node.primitives.errors import LedgerError
from node.primitives.types import Address, Signature
from services.hub.oidc_logins import LoginMemory, LoginStage, LoginUnknown, PendingLogin
from services.hub.oidc_network import OidcClient
from services.hub.oidc_pages import CONFIRM_PATH, HEADERS, confirm_page, done_page, failed_page
from services.hub.oidc_request import build_authorization_url
from services.hub.oidc_token import ProviderLogin
from services.kit.auth import Access
from services.kit.clock import Clock
from services.kit.documents import Document, Identifier, Line
from services.kit.operations import Call, operation
from services.kit.problems import NotFound, Refusal

LOCALE: Final = Path(__file__).with_name("federation_locale")
"""Texts of its refusals; for ``Service.locales``."""

CALLBACK_PATH: Final = "/federation/{provider}/callback"

_FIELD_LENGTH_MAX: Final = 2_048
_log = Log("federation")

Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
AddressText = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{40}$")]
SignatureText = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{130}$")]
NonceText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class ProviderUnknown(Refusal):
    """The hub is not registered at this provider."""

    code = "federation.provider_unknown"
    status = 404


class LoginGone(NotFound):
    """No such log-in is under way, or it is over."""

    code = "federation.login_gone"


class LoginNotReady(Refusal):
    """The person has not logged in and confirmed yet, or the log-in led nowhere."""

    code = "federation.login_not_ready"
    status = 409


class OpeningRefused(Refusal):
    """The commitment does not open the nonce, or not by the holder of the key."""

    code = "federation.opening_refused"
    status = 403


class LoginStart(Document):
    """A log-in that a device begins."""

    provider: Identifier
    nonce: NonceText
    device: AddressText


class StartedLogin(Document):
    """Where to log in, and what to type there."""

    login: str
    url: str
    code: str
    expires_at: str


class LoginProgress(Document):
    """How far a log-in is."""

    stage: LoginStage


class Opening(Document):
    """What the nonce committed to, signed by the device key."""

    device: AddressText
    record_key_hash: Hex32
    random: Hex16
    signature: SignatureText
    label: Line | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenDevice:
    """A device whose key the provider's signature commits to, and who logged in there."""

    tenant: str
    """Municipality."""
    login: ProviderLogin = field(repr=False)
    """Who, as the provider vouches."""
    commitment: DeviceCommitment
    """What the nonce committed to, opened by the holder of the device key."""
    label: str | None = field(repr=False)
    """What the holder calls it."""


class Federation:
    """Log-ins through providers: operations of devices, pages of browsers."""

    def __init__(
        self,
        clients: Iterable[OidcClient],
        *,
        audience: str,
        clock: Clock,
        logins: LoginMemory | None = None,
    ) -> None:
        """Hold the providers; ``audience`` is the hub's name in statements."""
        self._clients = {client.provider.name: client for client in clients}
        self._audience = audience
        self._clock = clock
        self._logins = logins or LoginMemory()

    @property
    def pages(self) -> tuple[web.RouteDef, ...]:
        """Return the pages of browsers, for ``ServiceDefinition.pages``."""
        return (web.get(CALLBACK_PATH, self._come_back), web.post(CONFIRM_PATH, self._confirm))

    @operation(
        "POST",
        "/federation/logins",
        purpose="hub.bind",
        access=[Access.PUBLIC],
        request=LoginStart,
        response=StartedLogin,
        status=201,
        refusals=[ProviderUnknown],
    )
    async def start_login(self, call: Call[LoginStart, None]) -> StartedLogin:
        """Begin a log-in at a provider, for a device that commits to its key."""
        client = self._clients.get(call.body.provider)
        if client is None:
            raise ProviderUnknown("oidc: the hub is not registered there")
        login = self._logins.start(
            tenant=call.tenant,
            provider=client.provider.name,
            nonce=call.body.nonce,
            device_note=call.body.device,
            now=call.at,
        )
        return StartedLogin(
            login=login.id,
            url=build_authorization_url(
                client.provider, state=login.state, nonce=call.body.nonce, verifier=login.verifier
            ),
            code=login.code,
            expires_at=f"{login.until:%Y-%m-%dT%H:%M:%SZ}",
        )

    @operation(
        "GET",
        "/federation/logins/{login}",
        purpose="hub.bind",
        access=[Access.PUBLIC],
        response=LoginProgress,
        refusals=[LoginGone],
    )
    async def read_login(self, call: Call[None, None]) -> LoginProgress:
        """Tell how far a log-in is."""
        return LoginProgress(stage=self._find(call).stage)

    def open_login(self, call: Call[Opening, None]) -> ProvenDevice:
        """Return the device that a confirmed log-in proves; the log-in is used up by that.

        Raises:
            LoginGone, LoginNotReady, OpeningRefused: As they say.

        Spec: ID-COMMITMENT, ID-OIDC-STATE.
        """
        pending = self._find(call)
        commitment = DeviceCommitment(
            audience=self._audience,
            device=Address(bytes.fromhex(call.body.device[2:])),
            record_key_hash=bytes.fromhex(call.body.record_key_hash),
            random=bytes.fromhex(call.body.random),
        )
        signature = Signature(bytes.fromhex(call.body.signature[2:]))
        if not is_opening(commitment, nonce=pending.expected.nonce, signature=signature):
            raise OpeningRefused("oidc: the commitment does not open", rule="ID-COMMITMENT")
        if pending.device_note != call.body.device:
            raise OpeningRefused("oidc: another device than was shown", rule="ID-OIDC-CONFIRM")
        try:
            login = self._logins.take_confirmed(pending.id, now=call.at)
        except LoginUnknown as error:
            raise LoginNotReady("oidc: not confirmed") from error
        return ProvenDevice(
            tenant=call.tenant,
            login=login,
            commitment=commitment,
            label=call.body.label,
        )

    def finish_login(self, call: Call[Opening, None]) -> None:
        """Say that the device of a log-in is bound."""
        self._logins.finish(call.path["login"])

    def _find(self, call: Call[Opening, None] | Call[None, None]) -> PendingLogin:
        try:
            found = self._logins.find(call.path["login"], now=call.at)
        except LoginUnknown as error:
            raise LoginGone("oidc: no such log-in") from error
        if found.tenant != call.tenant:
            raise LoginGone("oidc: no such log-in")
        return found

    async def _come_back(self, request: web.Request) -> web.Response:
        """Take a browser back from the provider; it is sent nowhere from here.

        Spec: ID-OIDC-REQUEST, ID-OIDC-STATE.
        """
        client = self._clients.get(request.match_info["provider"])
        parameters = _once(request.query)
        if client is None or parameters is None:
            return _failed()
        now = self._clock.now()
        try:
            login = self._logins.take_state(
                parameters.get("state", ""), provider=client.provider.name, now=now
            )
        except LoginUnknown:
            return _failed()
        code = parameters.get("code", "")
        if not code or parameters.get("iss", client.provider.issuer) != client.provider.issuer:
            self._logins.fail(login.id)
            return _failed()
        try:
            answer, _ = await client.exchange(
                code, verifier=login.verifier, expected=login.expected
            )
            ticket = self._logins.note_answer(login.id, answer, now=self._clock.now())
        except LedgerError as error:
            _log.warning("log-in at a provider refused", code=error.code, rule=str(error.rule))
            self._logins.fail(login.id)
            return _failed()
        return _page(confirm_page(device=login.device_note, ticket=ticket, is_again=False))

    async def _confirm(self, request: web.Request) -> web.Response:
        """Take the code that the person typed.

        Spec: ID-OIDC-CONFIRM.
        """
        form = _once(await request.post()) or {}
        now, ticket = self._clock.now(), form.get("ticket", "")
        try:
            stage = self._logins.confirm(ticket, form.get("code", ""), now=now)
            device = self._logins.device_of(ticket) if stage is LoginStage.ANSWERED else ""
        except LoginUnknown:
            return _failed()
        if stage is LoginStage.CONFIRMED:
            return _page(done_page())
        if stage is LoginStage.ANSWERED:
            return _page(confirm_page(device=device, ticket=ticket, is_again=True), status=400)
        return _failed()


def _once(values: Mapping[str, object]) -> dict[str, str] | None:
    """Return parameters as texts; None when one comes twice, is no text, or is too long."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if name in found or not isinstance(value, str) or len(value) > _FIELD_LENGTH_MAX:
            return None
        found[name] = value
    return found


def _page(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)


def _failed() -> web.Response:
    return _page(failed_page(), status=400)
