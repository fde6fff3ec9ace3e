"""Order a simulated resident's card from the simulated authorities."""

from datetime import datetime

from clients.identity.attributes import Sex
from clients.identity.certificate import CertificateKind
from services.sim.card.layout import CardOrder, CardText, Codes, IssuedKey
from services.sim.pki.authority import IssuedCertificate, SimulatedAuthority
from services.sim.pki.hierarchy import Hierarchy
from services.sim.pki.profiles import SimulatedResident

_SEX_DIGITS = {Sex.MALE: "1", Sex.FEMALE: "2", Sex.UNKNOWN: "9"}


def order_card(
    hierarchy: Hierarchy,
    resident: SimulatedResident,
    *,
    at: datetime,
    generation: int = 2,
    is_child: bool = False,
) -> CardOrder:
    """Return an order for a new card with new certificates; its codes are those of tests.

    照合番号B is as printed: birth date, year the card ends, security code.
    """
    issued = hierarchy.issue_card(resident, at=at, generation=generation, is_child=is_child)
    end = issued.authentication.certificate.not_valid_after_utc
    return CardOrder(
        authentication=_with_authority(
            issued.authentication,
            hierarchy.authority(CertificateKind.AUTHENTICATION, generation),
        ),
        signing=None
        if issued.signing is None
        else _with_authority(
            issued.signing, hierarchy.authority(CertificateKind.SIGNING, generation)
        ),
        text=CardText(
            name=resident.name,
            address=resident.address,
            birth_date=f"{resident.birth_date:%Y%m%d}",
            sex=_SEX_DIGITS[resident.sex],
        ),
        codes=Codes(number_b=f"{resident.birth_date:%y%m%d}{end:%Y}1234"),
    )


def _with_authority(issued: IssuedCertificate, authority: SimulatedAuthority) -> IssuedKey:
    return IssuedKey(key=issued.key, certificate=issued.der, authority=authority.der)
