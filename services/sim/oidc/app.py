"""The holder's app: opens a log-in, has the card sign its text, and says where the browser goes.

The card is reached as everywhere, through ``clients.card``; it may be in a virtual reader or on the
table. Development only.
"""

import base64
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from clients.card.card import MyNumberCard
from clients.card.codes import Code
from clients.identity.attributes import FourAttributes, Sex
from clients.identity.certificate import CertificateKind
from node.primitives.errors import InvalidInput
from services.sim.oidc.server import APP_PATH, LOGIN_HEADER

TEXT_SIZE_MAX: Final = 16 * 1024

_GENDERS: Final = {Sex.MALE: "male", Sex.FEMALE: "female", Sex.UNKNOWN: "unknown"}


class LoginRefused(InvalidInput):
    """The provider does not let the holder in, and sends the browser nowhere."""

    code = "sim.oidc_login_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A person with a card at hand."""

    card: MyNumberCard
    """The card."""
    pin: Code
    """Opens the authentication key."""
    text_pin: Code | None = None
    """Opens the four attributes, if the holder hands them over."""


async def log_in(session: aiohttp.ClientSession, address: str, holder: Holder) -> str:
    """Open a relying party's address, let the card sign, and return where the browser goes next.

    An error of the request is such an address too.

    Raises:
        LoginRefused: The provider says no on the spot.
    """
    async with session.get(address, allow_redirects=False) as opened:
        if opened.status == 302:
            return opened.headers["Location"]
        text = (await opened.content.read(TEXT_SIZE_MAX)).decode()
        if opened.status != 200:
            raise LoginRefused(f"simulated app: the provider answers {opened.status}")
        name = opened.headers[LOGIN_HEADER]
    signed = holder.card.sign(CertificateKind.AUTHENTICATION, text.encode(), holder.pin)
    claims = (
        {} if holder.text_pin is None else claims_of(holder.card.read_attributes(holder.text_pin))
    )
    return await _answer(
        session,
        address,
        {
            "login": name,
            "certificate": base64.b64encode(signed.certificate.der).decode(),
            "signature": base64.b64encode(signed.signature).decode(),
            "claims": claims,
        },
    )


async def decline(session: aiohttp.ClientSession, address: str) -> str:
    """Open a relying party's address, say no, and return where the browser goes next."""
    async with session.get(address, allow_redirects=False) as opened:
        name = opened.headers[LOGIN_HEADER]
    return await _answer(session, address, {"login": name, "denied": True})


def claims_of(read: FourAttributes) -> dict[str, object]:
    """Return what userinfo will tell, as OpenID Connect spells it."""
    born = {} if read.birth_date is None else {"birthdate": read.birth_date.isoformat()}
    return {
        "name": read.name,
        "address": {"formatted": read.address},
        "gender": _GENDERS[read.sex],
        **born,
    }


async def _answer(session: aiohttp.ClientSession, address: str, told: dict[str, object]) -> str:
    provider = urlsplit(address)
    app = f"{provider.scheme}://{provider.netloc}{APP_PATH}"
    async with session.post(app, json=told, allow_redirects=False) as answered:
        if answered.status != 302:
            raise LoginRefused(f"simulated app: the provider answers {answered.status}")
        return answered.headers["Location"]
