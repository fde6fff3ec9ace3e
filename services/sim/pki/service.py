"""The simulated authorities as a service of a trial network: their lists and their responders."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from node.primitives.errors import Misconfigured
from services.kit.app import ServiceDefinition
from services.kit.service import Resources, Service
from services.kit.settings import KitSettings
from services.sim.pki.keep import load_authorities
from services.sim.pki.server import build_application


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritiesSettings:
    """The settings file."""

    keys_file: Path
    """Keys of the authorities, marked as for development only."""
    profile: str = "production"
    """Must be ``development``."""
    kit: KitSettings = field()
    """The kit's table."""


async def build(settings: AuthoritiesSettings, resources: Resources) -> ServiceDefinition:
    """Put the authorities together.

    Raises:
        Misconfigured: The profile is not development, or the keys cannot be read.

    Spec: ID-PROFILE.
    """
    if settings.profile != "development":
        raise Misconfigured(
            'profile: simulated authorities run on test machines only; set it to "development"',
            rule="ID-PROFILE",
        )
    hierarchy = load_authorities(settings.keys_file, now=resources.clock.now())
    application = build_application(hierarchy, resources.clock)
    pages = [
        web.RouteDef(route.method, route.resource.canonical, route.handler, {})
        for route in application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    ]
    return ServiceDefinition(
        name="authorities",
        title="Simulated authorities",
        version="1.0.0",
        settings=settings.kit,
        trust=resources.trust,
        clock=resources.clock,
        sources=(),
        catalogue=resources.catalogue,
        checks=resources.standard_checks(),
        pages=tuple(pages),
    )


SERVICE: Final = Service(name="authorities", settings=AuthoritiesSettings, build=build)
