"""Times what an identity service does with a card: paths, bindings, and the daily list.

The authorities' own work, signing lists and answers, is prepared before the clock starts. Times are
of the processor, so that other work on the machine counts less.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from clients.identity.binding import Challenge, PresentedStatement, verify_presented
from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.crl import accept_revocation_list
from clients.identity.ocsp import OcspQuestion, build_ocsp_question
from clients.identity.path import TrustedAuthority, verify_path
from clients.identity.revocation import RevocationReason
from clients.identity.statement import Purpose, Statement, compute_device_hash, encode_statement
from clients.identity.verifier import DirectVerifier
from node.primitives.crypto import PrivateKey
from services.sim.pki.authority import Revocation
from services.sim.pki.hierarchy import Hierarchy
from tests.bench.record import record
from tests.support.identity import NOW, RESIDENT, new_hierarchy, sign_as_card

KIND = CertificateKind.AUTHENTICATION
DEVICE = PrivateKey(b"\x11" * 32)
NONCE = bytes(32)
GENERATIONS = {"rsa_2048": 2, "p_384": 3}


class PreparedSource:
    """A source whose one answer was signed before the clock started."""

    def __init__(self, answer: bytes) -> None:
        """Hold the answer."""
        self._answer = answer

    async def fetch_list(self, authority: TrustedAuthority) -> bytes:
        """Return the answer."""
        return self._answer

    async def ask(self, question: OcspQuestion) -> bytes:
        """Return the answer."""
        return self._answer


def per_second(count: int, run: Callable[[], object]) -> int:
    """Return how often ``run`` runs in a second of the processor."""
    start = time.process_time()
    for _ in range(count):
        run()
    return round(count / (time.process_time() - start))


def time_paths(hierarchy: Hierarchy, generation: int, count: int) -> int:
    """Return certificates decoded and verified per second."""
    store = hierarchy.trust_store()
    der = hierarchy.issue_card(RESIDENT, at=NOW, generation=generation).authentication.der

    def verify() -> None:
        path = verify_path(decode_certificate(der), store, kind=KIND, at=NOW)
        assert path.report.passed

    return per_second(count, verify)


def time_bindings(hierarchy: Hierarchy, generation: int, count: int) -> int:
    """Return binding statements verified per second, OCSP answer and device signature included."""
    card = hierarchy.issue_card(RESIDENT, at=NOW, generation=generation).authentication
    statement = Statement(
        purpose=Purpose.BIND_DEVICE,
        audience="hub.sakai.example",
        nonce=NONCE,
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=10),
        device=DEVICE.address,
    )
    text = encode_statement(statement)
    presented = PresentedStatement(
        text=text,
        certificate=card.der,
        card_signature=sign_as_card(card.key, text),
        device_signature=DEVICE.sign(compute_device_hash(text)),
    )
    verifier = DirectVerifier(
        hierarchy.trust_store(),
        PreparedSource(_answer_for(hierarchy, generation, card.der)),
        new_nonce=lambda: NONCE,
    )

    async def bind() -> int:
        start = time.process_time()
        for _ in range(count):
            verification = await verify_presented(
                presented, challenge=Challenge(statement=statement), verifier=verifier, now=NOW
            )
            assert verification.passed
        return round(count / (time.process_time() - start))

    return asyncio.run(bind())


def _answer_for(hierarchy: Hierarchy, generation: int, der: bytes) -> bytes:
    authority = hierarchy.authority(KIND, generation)
    issuer = TrustedAuthority(kind=KIND, certificate=decode_certificate(authority.der))
    question = build_ocsp_question(decode_certificate(der), authority=issuer, nonce=NONCE)
    return authority.answer_ocsp(question.request, NOW)


def time_list(hierarchy: Hierarchy, entries: int) -> dict[str, object]:
    """Return the size of a list and the time to accept it."""
    authority = hierarchy.authority(KIND)
    lost = Revocation(reason=RevocationReason.KEY_COMPROMISED, revoked_at=NOW)
    authority.revocations = dict.fromkeys(range(1, entries + 1), lost)
    der = authority.build_revocation_list(NOW)
    issuer = TrustedAuthority(kind=KIND, certificate=decode_certificate(authority.der))
    start = time.process_time()
    accepted = accept_revocation_list(der, authority=issuer)
    elapsed = time.process_time() - start
    assert len(accepted.entries) == entries
    return {"list_entries": entries, "list_bytes": len(der), "list_ms": round(elapsed * 1000, 1)}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--entries", type=int, default=10_000)
    options = parser.parse_args()
    hierarchy = new_hierarchy()
    figures: dict[str, object] = {}
    for name, generation in GENERATIONS.items():
        figures[f"paths_{name}_per_s"] = time_paths(hierarchy, generation, options.count)
        figures[f"bindings_{name}_per_s"] = time_bindings(hierarchy, generation, options.count)
    record("identity", figures | time_list(hierarchy, options.entries))


if __name__ == "__main__":
    main()
