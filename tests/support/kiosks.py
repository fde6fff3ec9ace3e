"""A kiosk's trust, keys and statements in tests, from the simulated authorities."""

from datetime import timedelta

from clients.card.card import MyNumberCard
from clients.card.codes import CodeKind, parse_code
from clients.identity.crl import RevocationList, accept_revocation_list
from clients.identity.statement import Statement
from clients.kiosk.ladder import (
    KioskTrust,
    SignedCheckIn,
    build_check_in_statement,
    check_in_by_signature,
)
from clients.wallet.records import RECORD_SECRET_SIZE
from node.primitives.crypto import PrivateKey
from services.sim.card.card import SimulatedCard
from services.sim.pki.authority import SimulatedAuthority
from services.sim.pki.hierarchy import Hierarchy
from tests.support.cards import DirectChannel
from tests.support.identity import NOW

KIOSK = PrivateKey(b"\x11" * 32)
SERVICE_SECRET = b"\x22" * RECORD_SECRET_SIZE
AUDIENCE = "identity.example.jp"
PIN = parse_code(CodeKind.AUTHENTICATION, "1234")


def client_of(card: SimulatedCard) -> MyNumberCard:
    """Return a client with the card on the table."""
    return MyNumberCard(DirectChannel(card))


def statement(nonce: bytes = b"\x33" * 32) -> Statement:
    """Return a check-in statement of the present."""
    return build_check_in_statement(audience=AUDIENCE, nonce=nonce, now=NOW)


def revocation_list(
    authority: SimulatedAuthority, hierarchy: Hierarchy, *, age: timedelta = timedelta(hours=1)
) -> RevocationList:
    """Return an authority's list of some time ago, accepted."""
    found = next(
        trusted
        for trusted in hierarchy.trust_store().authorities
        if trusted.certificate.der == authority.der
    )
    return accept_revocation_list(authority.build_revocation_list(NOW - age), authority=found)


def signed_check_in(card: SimulatedCard, trust: KioskTrust) -> SignedCheckIn:
    """Have a card sign the present's statement."""
    return check_in_by_signature(client_of(card), PIN, statement=statement(), trust=trust, now=NOW)
