"""What the identity hub is told by its operator: one TOML file, secrets by file."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from clients.identity.certificate import CertificateKind
from clients.identity.statement import is_audience
from node.primitives.errors import Misconfigured
from node.settings import check_bounds
from services.kit.settings import NAME, KitSettings, NodeSettings, RelaySettings

NODE_COUNT_MAX: Final = 16
SERVICE_COUNT_MAX: Final = 64
PROVIDER_COUNT_MAX: Final = 8

HUB: Final = "hub"
"""The hub's own sector, and its name in the ``aud`` of tokens."""


class Profile(StrEnum):
    """Whether simulated authorities may vouch for anybody."""

    PRODUCTION = "production"
    """Authorities of the real infrastructure only."""
    DEVELOPMENT = "development"
    """Simulated ones too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySettings:
    """A generation of a certification authority."""

    kind: CertificateKind
    """What it issues: ``authentication`` or ``signing``."""
    file: Path
    """Its self-signed certificate, DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierSettings:
    """Who answers for a card's certificates: the lists and responders of the authorities."""

    url: str
    """Below it, ``KEY/crl`` and ``KEY/ocsp`` for each authority."""
    authorities: tuple[AuthoritySettings, ...]
    """Every generation in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedService:
    """A service that takes this hub's tokens."""

    audience: str
    """Its name in the ``aud`` of tokens."""
    sector: str
    """Sector whose pseudonyms it knows people by."""
    purposes: tuple[str, ...]
    """Purposes a token for it may be asked for."""
    partner: str = ""
    """Its name among ``kit.auth.partners``, when it asks for statuses itself."""
    endpoint: str = ""
    """Where it hears of changes, as ``http://127.0.0.1:8602/events``; empty for nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """An OpenID provider whose log-ins bind devices, as デジタル認証アプリ."""

    name: str
    """Short name, in the address that browsers come back to."""
    issuer: str
    """Its ``iss``; its endpoints lie below."""
    client_id: str
    """The hub's name there."""
    key_file: Path
    """Private key of the hub's assertions, a P-256 JWK."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """The hub's settings file."""

    genesis_file: Path
    """The network's genesis file; reading starts there."""
    identity_status: str
    """Address of the contract IdentityStatus."""
    statements_for: str
    """Host name that statements of cards are addressed to, as ``hub.sakai.example``."""
    issuer: str
    """The ``iss`` of its tokens."""
    master_file: Path
    """Master keys under which records are sealed."""
    keyring_file: Path
    """Secrets of sectors and of the card index."""
    token_key_file: Path
    """Key with which it signs residents' tokens, a JWK."""
    events_key_file: Path
    """Key with which it signs its events, a JWK."""
    nodes: tuple[NodeSettings, ...]
    """Nodes to ask, in this order."""
    relay: RelaySettings
    """The relay; its account may attest residents."""
    verifier: VerifierSettings
    """Who answers for certificates."""
    services: tuple[LinkedService, ...] = ()
    """Services that take its tokens, besides itself."""
    providers: tuple[ProviderSettings, ...] = ()
    """Providers through which devices are bound without a reader."""
    profile: Profile = Profile.PRODUCTION
    """Whether simulated authorities are taken."""
    window_s: int = 600
    """Once in so many seconds a sector's new addresses go to the ledger together."""
    apart_windows_max: int = 6
    """Most windows by which a person's second sector is put off."""
    sweep_s: int = 21_600
    """How often everybody's certificates are held against the lists."""
    kit: KitSettings = field()
    """The kit's table; exactly one tenant."""


def check_hub(settings: HubSettings, path: Path | None = None) -> None:
    """Refuse values that are well typed and still wrong.

    Raises:
        Misconfigured: One is; the message names the key.
    """
    check_bounds(
        path or Path("hub.toml"),
        (
            ("window_s", settings.window_s, 1, 86_400),
            ("apart_windows_max", settings.apart_windows_max, 1, 144),
            ("sweep_s", settings.sweep_s, 1, 86_400),
            ("nodes", len(settings.nodes), 1, NODE_COUNT_MAX),
            ("services", len(settings.services), 0, SERVICE_COUNT_MAX),
            ("providers", len(settings.providers), 0, PROVIDER_COUNT_MAX),
        ),
    )
    if len(settings.kit.tenants) != 1:
        raise Misconfigured("kit.tenants: a hub serves one municipality; name exactly one")
    if settings.kit.auth.audience != HUB:
        raise Misconfigured(f'kit.auth.audience: the hub\'s is "{HUB}"')
    if not is_audience(settings.statements_for):
        raise Misconfigured("statements_for: expected a host name in lower case")
    names = [service.audience for service in settings.services]
    if len(set(names)) != len(names) or HUB in names:
        raise Misconfigured("services: an audience is named twice, or is the hub's own")
    _check_providers(settings)
    for service in settings.services:
        if not NAME.fullmatch(service.sector) or len(service.sector) > 32:
            raise Misconfigured(f"services: {service.audience}: a sector is a short name")
        if service.sector == HUB:
            raise Misconfigured(f"services: {service.audience}: that sector is the hub's own")


def _check_providers(settings: HubSettings) -> None:
    """Refuse providers that share a name, or are reached where others could answer for them.

    Raises:
        Misconfigured: One is wrong.

    Spec: ID-OIDC-REQUEST.
    """
    names = [provider.name for provider in settings.providers]
    if len(set(names)) != len(names) or not all(NAME.fullmatch(name) for name in names):
        raise Misconfigured("providers: each has a short name of its own")
    for provider in settings.providers:
        parts = urlsplit(provider.issuer)
        is_simulated = (parts.scheme, parts.hostname) == ("http", "127.0.0.1")
        is_allowed = is_simulated and settings.profile is Profile.DEVELOPMENT
        if not (parts.scheme == "https" and parts.hostname) and not is_allowed:
            raise Misconfigured(f"providers: {provider.name}: issuer: expected an https address")
