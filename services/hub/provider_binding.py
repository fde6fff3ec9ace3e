"""Binding a device by a provider's word: the last step of a log-in, and the providers' settings.

Spec: ID-COMMITMENT, ID-BIND.
"""

from http import HTTPStatus

from joserfc.jwk import ECKey

from node.primitives.errors import Misconfigured
from services.hub.bindings import Bindings
from services.hub.documents import BindingAnswer
from services.hub.federation import (
    Federation,
    LoginGone,
    LoginNotReady,
    Opening,
    OpeningRefused,
)
from services.hub.oidc_network import OidcClient
from services.hub.oidc_request import OidcProvider, provider_at
from services.hub.people import find_device
from services.hub.refusals import DeviceTaken, ResidentStopped, TooManyDevices
from services.hub.settings import HubSettings, ProviderSettings
from services.hub.showing import show_device
from services.kit.auth import Access
from services.kit.clock import Clock
from services.kit.keys import load_private_key
from services.kit.operations import Call, operation


class ProviderBinding:
    """The operation that binds."""

    def __init__(self, federation: Federation, bindings: Bindings) -> None:
        """Hold both."""
        self._federation = federation
        self._bindings = bindings

    @operation(
        "POST",
        "/federation/logins/{login}/binding",
        purpose="hub.enrol",
        access=(Access.PUBLIC,),
        request=Opening,
        response=BindingAnswer,
        status=HTTPStatus.CREATED,
        refusals=[
            LoginGone,
            LoginNotReady,
            OpeningRefused,
            ResidentStopped,
            DeviceTaken,
            TooManyDevices,
        ],
    )
    async def bind_by_provider(self, call: Call[Opening, None]) -> BindingAnswer:
        """Bind the device whose commitment a confirmed log-in signed."""
        proven = self._federation.open_login(call)
        bound = await self._bindings.bind_by_provider(
            tenant=call.tenant,
            issuer=proven.login.issuer,
            subject=proven.login.subject,
            commitment=proven.commitment,
            evidence=proven.login.evidence,
            authenticated_at=proven.login.logged_in_at,
            label=proven.label,
            now=call.at,
        )
        self._federation.finish_login(call)
        async with self._bindings.database.read() as tx:
            device = await find_device(tx, tenant=call.tenant, binding=bound.binding)
            return await show_device(
                tx, device, bound.person, envelope=self._bindings.envelope, now=call.at
            )


def build_federation(settings: HubSettings, clock: Clock) -> Federation:
    """Return the log-ins through the providers of the settings.

    Raises:
        Misconfigured: A key cannot be read.
    """
    base = settings.kit.server.public_url.rstrip("/")
    providers = [_provider_of(each, base) for each in settings.providers]
    return Federation(
        [OidcClient(provider, clock) for provider in providers],
        audience=settings.statements_for,
        clock=clock,
    )


def _provider_of(settings: ProviderSettings, base: str) -> OidcProvider:
    key = load_private_key(settings.key_file)
    if not isinstance(key, ECKey):
        raise Misconfigured(f"{settings.key_file}: providers take P-256 keys; make one")
    return provider_at(
        settings.issuer.rstrip("/"),
        name=settings.name,
        client_id=settings.client_id,
        redirect_uri=f"{base}/federation/{settings.name}/callback",
        key=key,
    )
