"""The commission's and the witness's parts of the service."""

import asyncio
import hmac
from datetime import datetime
from pathlib import Path
from typing import Final

import aiohttp

from clients.identity.certificate import CertificateKind
from clients.identity.network import HttpRevocationSource
from clients.identity.revocation import RevocationMethod
from clients.identity.verifier import (
    CardEvidence,
    CertificateVerifier,
    DirectVerifier,
    Verification,
)
from node.primitives.errors import Misconfigured
from node.settings import read_secret
from services.election.commission.attestor_client import AttestorClient, SocketLine
from services.election.commission.attestor_server import load_trust_store
from services.election.commission.decisions import DecisionOperations
from services.election.commission.desk import DeskOperations
from services.election.commission.duties import Duties
from services.election.commission.enrolment import Registrar
from services.election.commission.exchange import Caller, ExchangeOperations, HttpCommission
from services.election.commission.invitation_desk import CODE_READY, InvitationOperations
from services.election.commission.reports import ReportOperations
from services.election.commission.rolls import Vaults
from services.election.commission.tokens import load_token_key
from services.election.commission.voters import VoterOperations
from services.election.commission.witness import Commission, Witness
from services.election.parts import Context, Part
from services.election.settings import CommissionSettings
from services.kit.envelope import Envelope
from services.kit.health import ReadinessCheck
from services.kit.keys import load_private_key
from services.kit.master_keys import MasterKeys, load_master_keys
from services.kit.outbox import Subscriber
from services.kit.supervision import BackgroundTask
from services.relay.signer import load_key

MIGRATIONS: Path | None = Path(__file__).parent / "migrations"

INTERVAL_BOUNDS_S: Final = (10, 3_600)


def build_part(context: Context) -> Part | None:
    """Return what the commission or the witness adds; None when both are off.

    Raises:
        Misconfigured: A key or file is wrong.
    """
    parts = []
    if context.settings.commission is not None:
        parts.append(_build_commission(context, context.settings.commission))
    witness = context.settings.witness
    if witness is not None and witness.is_on:
        parts.append(_build_witness(context))
    if not parts:
        return None
    return Part(
        sources=tuple(source for part in parts for source in part.sources),
        tasks=tuple(task for part in parts for task in part.tasks),
        checks=tuple(check for part in parts for check in part.checks),
        subscribers=tuple(each for part in parts for each in part.subscribers),
    )


def _build_commission(context: Context, settings: CommissionSettings) -> Part:
    least, most = INTERVAL_BOUNDS_S
    if not least <= settings.batch_interval_s <= most:
        raise Misconfigured(f"commission.batch_interval_s: give {least} to {most}")
    masters = load_master_keys(settings.master_file)
    verifier = NetworkVerifier(settings)
    registrar = build_registrar(context, settings, masters, verifier)
    duties = Duties(context, registrar, batch_interval_s=settings.batch_interval_s)
    return Part(
        sources=build_sources(context, settings, registrar, masters),
        tasks=(
            BackgroundTask(name="commission", run=duties.run),
            BackgroundTask(name="revocation", run=verifier.run),
        ),
        checks=(ReadinessCheck(name="commission", run=duties.check),),
        subscribers=inbox_subscribers(settings, context.tenant),
    )


def inbox_subscribers(settings: CommissionSettings, tenant: str) -> tuple[Subscriber, ...]:
    """Return who is told that a resident's code can be collected, and about nothing else.

    Spec: CODE-ISSUE.
    """
    if settings.inbox_endpoint is None:
        return ()
    return (
        Subscriber(
            tenant=tenant, name="inbox", types=(CODE_READY,), endpoint=settings.inbox_endpoint
        ),
    )


def build_registrar(
    context: Context,
    settings: CommissionSettings,
    masters: MasterKeys,
    verifier: CertificateVerifier,
) -> Registrar:
    """Return what accepting enrolments needs.

    Raises:
        Misconfigured: A key or file is wrong.
    """
    resources = context.resources
    return Registrar(
        database=resources.database,
        clock=resources.clock,
        vaults=Vaults(Envelope(masters, actor="service:election")),
        key=load_key(settings.receipt_keystore_file, read_secret(settings.receipt_password_file)),
        tokens=load_token_key(settings.token_key_file),
        attestor=AttestorClient(SocketLine(settings.attestor_socket)),
        verifier=verifier,
        method=settings.revocation.method,
    )


def build_sources(
    context: Context, settings: CommissionSettings, registrar: Registrar, masters: MasterKeys
) -> tuple[object, ...]:
    """Return the commission's handlers."""
    source_key = hmac.digest(masters.active, b"daicho election guess sources 1", "sha256")
    return (
        VoterOperations(registrar, source_key),
        DeskOperations(registrar),
        ReportOperations(registrar, context.resources.catalogue),
        InvitationOperations(
            registrar,
            context.resources.catalogue,
            source=context.source,
            public_url=settings.voting_url,
        ),
        DecisionOperations(registrar, settings.exports),
        ExchangeOperations(registrar),
    )


class NetworkVerifier:
    """A ``DirectVerifier`` whose connection is open while its task runs."""

    def __init__(self, settings: CommissionSettings) -> None:
        """Read the trust store.

        Raises:
            Misconfigured: A file cannot be read, or holds no authority.
        """
        self._store = load_trust_store(settings.authorities)
        self._url = settings.revocation.url
        self._opened: asyncio.Future[DirectVerifier] | None = None

    async def run(self) -> None:
        """Hold the connection open for ever; a task."""
        async with aiohttp.ClientSession() as session:
            opened = self._when_opened()
            opened.set_result(DirectVerifier(self._store, HttpRevocationSource(session, self._url)))
            try:
                await asyncio.Event().wait()
            finally:
                self._opened = None

    async def verify(
        self,
        evidence: CardEvidence,
        *,
        kind: CertificateKind,
        method: RevocationMethod,
        now: datetime,
    ) -> Verification:
        """Check path, signature and revocation.

        Raises:
            MalformedCertificate: The certificate does not decode.
        """
        verifier = await asyncio.shield(self._when_opened())
        return await verifier.verify(evidence, kind=kind, method=method, now=now)

    def _when_opened(self) -> asyncio.Future[DirectVerifier]:
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
        return self._opened


def _build_witness(context: Context) -> Part:
    key_file = context.settings.kit.auth.key_file
    if key_file is None:
        raise Misconfigured("kit.auth.key_file: a witness signs its calls; name its key")
    caller = Caller(name=context.settings.kit.auth.audience, key=load_private_key(key_file))
    running = _Witnessing(context, caller)
    return Part(
        tasks=(BackgroundTask(name="witness", run=running.run),),
        checks=(ReadinessCheck(name="witness", run=running.check),),
    )


class _Witnessing:
    """Witnesses with a connection of its own."""

    def __init__(self, context: Context, caller: Caller) -> None:
        self._context = context
        self._caller = caller
        self._witness = Witness(context, {})

    async def run(self) -> None:
        """Open the connection and witness for ever; a task."""
        async with aiohttp.ClientSession() as session:
            ways: dict[int, Commission] = {
                peer.municipality: HttpCommission(session, peer, self._caller)
                for peer in self._context.settings.peers
            }
            self._witness = Witness(self._context, ways)
            await self._witness.run()

    async def check(self) -> str:
        """Say how witnessing stands."""
        return await self._witness.check()
