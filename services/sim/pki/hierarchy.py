"""The whole simulated infrastructure: two authorities, each in generations of equal name.

The first two generations are RSA-2048 and overlap in time, as the real ones do; the third is P-384,
for the cards that are to come.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from clients.identity.certificate import CertificateKind
from clients.identity.path import TrustStore, build_trust_store
from services.sim.pki.authority import (
    IssuedCertificate,
    KeyMaker,
    KeyType,
    SimulatedAuthority,
    make_key,
)
from services.sim.pki.profiles import SimulatedResident


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationPlan:
    """When a generation is valid, and its algorithm."""

    not_before: datetime
    """First instant."""
    not_after: datetime
    """Last second, midnight in Japan."""
    key_type: KeyType
    """Of the authority and of what it issues."""


GENERATIONS: Final = {
    1: GenerationPlan(
        not_before=datetime(2020, 10, 20, tzinfo=UTC),
        not_after=datetime(2030, 10, 19, 14, 59, 59, tzinfo=UTC),
        key_type=KeyType.RSA_2048,
    ),
    2: GenerationPlan(
        not_before=datetime(2023, 7, 16, tzinfo=UTC),
        not_after=datetime(2033, 7, 15, 14, 59, 59, tzinfo=UTC),
        key_type=KeyType.RSA_2048,
    ),
    3: GenerationPlan(
        not_before=datetime(2026, 1, 20, tzinfo=UTC),
        not_after=datetime(2046, 1, 19, 14, 59, 59, tzinfo=UTC),
        key_type=KeyType.P_384,
    ),
}
"""The generations of both authorities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCertificates:
    """What a card holds."""

    authentication: IssuedCertificate
    """For log-in."""
    signing: IssuedCertificate | None
    """For applications; None for children under 15."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """All authorities, by kind and generation."""

    authorities: dict[tuple[CertificateKind, int], SimulatedAuthority]
    """Two kinds in three generations."""
    make_key: KeyMaker
    """Where the keys of cards come from."""

    def authority(self, kind: CertificateKind, generation: int = 2) -> SimulatedAuthority:
        """Return one authority."""
        return self.authorities[kind, generation]

    def trust_store(self) -> TrustStore:
        """Return the trust store that holds every authority."""
        return build_trust_store(
            tuple((authority.kind, authority.der) for authority in self.authorities.values())
        )

    def issue_card(
        self,
        resident: SimulatedResident,
        *,
        at: datetime,
        generation: int = 2,
        is_child: bool = False,
    ) -> CardCertificates:
        """Issue a card's certificates, each with a key of its own; a child gets one only."""
        authentication = self._issue(CertificateKind.AUTHENTICATION, generation, resident, at)
        signing = (
            None if is_child else self._issue(CertificateKind.SIGNING, generation, resident, at)
        )
        return CardCertificates(authentication=authentication, signing=signing)

    def _issue(
        self, kind: CertificateKind, generation: int, resident: SimulatedResident, at: datetime
    ) -> IssuedCertificate:
        key = self.make_key(GENERATIONS[generation].key_type)
        return self.authority(kind, generation).issue(resident, key=key, at=at)


def build_hierarchy(new_key: KeyMaker = make_key) -> Hierarchy:
    """Build both authorities in all generations, with new keys."""
    return Hierarchy(
        authorities={
            (kind, generation): SimulatedAuthority(
                kind=kind,
                generation=generation,
                not_before=plan.not_before,
                not_after=plan.not_after,
                key=new_key(plan.key_type),
                responder_key=new_key(KeyType.P_384),
            )
            for kind in CertificateKind
            for generation, plan in GENERATIONS.items()
        },
        make_key=new_key,
    )
