"""What a My Number Card can do for a client, over any channel.

Each method is one visit: it selects what it needs, opens it with the code it was given and relies
on nothing from before, because selecting an application again may clear what was verified. Codes
are offered only when two or more tries are left. Nothing here prints, logs or keeps a code.

Spec: CARD-CODE, CARD-TRIES, CARD-READ, CARD-SIGN.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from clients.card import apdu
from clients.card.apdu import CardApplication, JpkiFile, TextFile
from clients.card.channel import CardChannel, GuardedChannel
from clients.card.codes import RULES, Code, CodeKind
from clients.card.decode import HEADER_SIZE_MAX, certificate_size, decode_text, text_size
from clients.card.errors import (
    CardMalformed,
    CardRefused,
    CodeLastTry,
    CodeLocked,
    CodeWrong,
    NoSigningCertificate,
    SignatureMismatch,
    UnknownCard,
)
from clients.identity.attributes import FourAttributes
from clients.identity.certificate import CardCertificate, CertificateKind, decode_certificate
from clients.identity.signature import build_digest_info, is_card_signature
from node.primitives.errors import InvariantViolation

FILE_SIZE_MAX: Final = 8 * 1024
"""Longest file read, in bytes."""

TRIES_KEPT: Final = 1
"""Tries this program never uses."""

_NOT_FOUND: Final = 0x6A82
_NOT_OPENED: Final = 0x6982
_BEYOND_END: Final = 0x6B00
_TRIES: Final = 0x63C0
_LOCKED: Final = frozenset({0x63C0, 0x6983, 0x6984})

_CERTIFICATE_FILES: Final = {
    CertificateKind.AUTHENTICATION: JpkiFile.AUTHENTICATION_CERTIFICATE,
    CertificateKind.SIGNING: JpkiFile.SIGNING_CERTIFICATE,
}
_KEY_FILES: Final = {
    CertificateKind.AUTHENTICATION: JpkiFile.AUTHENTICATION_KEY,
    CertificateKind.SIGNING: JpkiFile.SIGNING_KEY,
}
CODE_OF: Final = {
    CertificateKind.AUTHENTICATION: CodeKind.AUTHENTICATION,
    CertificateKind.SIGNING: CodeKind.SIGNING,
}
"""Which code opens which key."""


class TokenKind(StrEnum):
    """What carries the application, by its label."""

    CARD = "JPKIAPICCTOKEN2"
    """A plastic card."""
    ANDROID = "JPKIAPGPSETOKEN"
    """An Android phone."""
    IPHONE = "JPKIAPIOSTOKEN"
    """An iPhone."""
    RESIDENT_REGISTRY_CARD = "JPKIAPICCTOKEN"
    """The card before the My Number Card."""
    UNKNOWN = "unknown"
    """A label this client does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSignature:
    """A signature that verified with the certificate it comes with."""

    certificate: CardCertificate
    """Of the key that signed."""
    signature: bytes = field(repr=False)
    """RSA PKCS#1 v1.5 over SHA-256, or ECDSA in DER over SHA-384."""


class MyNumberCard:
    """One card in one reader."""

    def __init__(self, channel: CardChannel) -> None:
        self._channel = GuardedChannel(channel)

    def close(self) -> None:
        """Reset the card, so that nobody after us finds a code verified, and let it go.

        Spec: CARD-RESET.
        """
        self._channel.close()

    def token_kind(self) -> TokenKind:
        """Tell what carries the application.

        Raises:
            UnknownCard: No My Number Card.
        """
        self._select(CardApplication.JPKI)
        self._select_file(JpkiFile.TOKEN_INFO)
        status, data = self._channel.exchange(apdu.read_binary(0))
        if status != apdu.OK:
            raise _refused("reading the token's label", status)
        label = data[:32].decode("ascii", "replace").strip(" \0")
        return next((kind for kind in TokenKind if kind.value == label), TokenKind.UNKNOWN)

    def tries_left(self, kind: CodeKind) -> int:
        """Ask how many tries a code has left; this costs none.

        Spec: CARD-TRIES.
        """
        rule = RULES[kind]
        self._select(rule.application)
        return self._ask_tries(kind)

    def check_ready(self, kind: CertificateKind, code: Code) -> int:
        """Return the tries left of a key's code, if the key is there and the code may be offered.

        Raises:
            CodeLocked, CodeLastTry: As for ``sign``; the code was not offered.
            NoSigningCertificate: A child's card.

        Spec: CARD-TRIES.
        """
        self._select(CardApplication.JPKI)
        self._select_file(_KEY_FILES[kind])
        return self._check_tries(_checked_kind(kind, code).kind)

    def read_certificate(self, kind: CertificateKind, code: Code | None = None) -> CardCertificate:
        """Read a certificate; the one for signing needs its code, on phones both do.

        Raises:
            CodeWrong, CodeLastTry, CodeLocked: As for ``sign``.
            NoSigningCertificate: The card has none.
            CardMalformed, MalformedCertificate: What the card holds does not decode.
            CardRefused: The card wants a code.

        Spec: CARD-READ.
        """
        self._select(CardApplication.JPKI)
        self._select_file(_KEY_FILES[kind])
        if code is not None:
            self._open(_checked_kind(kind, code))
        return self._read_certificate(kind)

    def sign(self, kind: CertificateKind, message: bytes, code: Code) -> CardSignature:
        """Have the card sign ``message``: the very text its holder was shown, as bytes.

        The digest is computed here, never taken from a service. The certificate is read first and
        the signature checked against it, so that a card that lost its state cannot pass silently.

        Raises:
            CodeLocked: No try is left.
            CodeLastTry: One try is left; it was not used.
            CodeWrong: The card refused the code; ``values`` tell the tries left.
            NoSigningCertificate: A child's card.
            SignatureMismatch: The card's signature does not verify.

        Spec: CARD-SIGN.
        """
        self._select(CardApplication.JPKI)
        self._select_file(_KEY_FILES[kind])
        self._open(_checked_kind(kind, code))
        certificate = self._read_certificate(kind)
        is_rsa = isinstance(certificate.key, rsa.RSAPublicKey)
        payload = build_digest_info(message) if is_rsa else hashlib.sha384(message).digest()
        self._select_file(_KEY_FILES[kind])
        status, signature = self._channel.exchange(apdu.compute_signature(payload))
        if status != apdu.OK:
            raise _refused("signing", status)
        if not is_card_signature(certificate.key, message, signature):
            raise SignatureMismatch(
                "card: the signature does not verify with the card's certificate", rule="CARD-SIGN"
            )
        return CardSignature(certificate=certificate, signature=signature)

    def read_attributes(self, code: Code) -> FourAttributes:
        """Read the four attributes with their PIN or with 照合番号B; their source is unverified.

        Raises:
            CodeWrong, CodeLastTry, CodeLocked: As for ``sign``.
            CardMalformed: What the card holds does not decode.

        Spec: CARD-TEXT.
        """
        if RULES[code.kind].application is not CardApplication.TEXT:
            raise InvariantViolation(f"attributes are not opened by the {code.kind} code")
        self._select(CardApplication.TEXT)
        self._open(code)
        self._select_file(TextFile.ATTRIBUTES)
        return decode_text(self._read_file(text_size))

    def _select(self, application: CardApplication) -> None:
        status, _ = self._channel.exchange(apdu.select_application(application))
        if status == _NOT_FOUND:
            raise UnknownCard("card: it lacks an application of the My Number Card")
        if status != apdu.OK:
            raise _refused("selecting an application", status)

    def _select_file(self, file: JpkiFile | TextFile) -> None:
        status, _ = self._channel.exchange(apdu.select_file(file))
        if status == _NOT_FOUND and file in (JpkiFile.SIGNING_KEY, JpkiFile.SIGNING_CERTIFICATE):
            raise NoSigningCertificate("card: it has no certificate for digital signature")
        if status != apdu.OK:
            raise _refused("selecting a file", status)

    def _ask_tries(self, kind: CodeKind) -> int:
        """Select a code's file and return its tries left."""
        self._select_file(RULES[kind].file)
        status, _ = self._channel.exchange(apdu.ask_tries_left())
        if status in _LOCKED:
            return 0
        if status & 0xFFF0 != _TRIES:
            raise _refused("asking for the tries left", status)
        return status & 0x0F

    def _check_tries(self, kind: CodeKind) -> int:
        """Select a code's file and return its tries left, if at least two.

        Spec: CARD-TRIES.
        """
        left = self._ask_tries(kind)
        if left == 0:
            raise _locked(kind)
        if left <= TRIES_KEPT:
            raise CodeLastTry(
                f"{kind} code: one try left; not sent", rule="CARD-TRIES", kind=kind.value
            )
        return left

    def _open(self, code: Code) -> None:
        """Offer a code if at least two tries are left.

        Spec: CARD-TRIES.
        """
        self._check_tries(code.kind)
        status, _ = self._channel.exchange(apdu.verify(code.value))
        if status in _LOCKED:
            raise _locked(code.kind)
        if status & 0xFFF0 == _TRIES:
            raise CodeWrong(
                f"{code.kind} code: refused by the card, {status & 0x0F} tries left",
                rule="CARD-TRIES",
                kind=code.kind.value,
                tries_left=status & 0x0F,
            )
        if status != apdu.OK:
            raise _refused("verifying a code", status)

    def _read_certificate(self, kind: CertificateKind) -> CardCertificate:
        self._select_file(_CERTIFICATE_FILES[kind])
        data = self._read_file(certificate_size)
        if not data and kind is CertificateKind.SIGNING:
            raise NoSigningCertificate("card: it has no certificate for digital signature")
        return decode_certificate(data)

    def _read_file(self, size_of: Callable[[bytes], int]) -> bytes:
        """Read the selected file as far as its own header says, without the padding.

        Spec: CARD-READ.
        """
        data = self._read_part(0)
        size = size_of(data[:HEADER_SIZE_MAX])
        if size > FILE_SIZE_MAX:
            raise CardMalformed(
                f"card file: {size} bytes, at most {FILE_SIZE_MAX}", rule="CARD-READ"
            )
        while len(data) < size:
            part = self._read_part(len(data))
            if not part:
                raise CardMalformed("card file: shorter than its header says", rule="CARD-READ")
            data += part
        return data[:size]

    def _read_part(self, offset: int) -> bytes:
        status, data = self._channel.exchange(apdu.read_binary(offset))
        if status == _BEYOND_END:
            return b""
        if status == _NOT_OPENED:
            raise CardRefused("card: the file needs a code", status="6982")
        if status != apdu.OK:
            raise _refused("reading", status)
        return data


def _checked_kind(kind: CertificateKind, code: Code) -> Code:
    if code.kind is not CODE_OF[kind]:
        raise InvariantViolation(f"the {kind} key is not opened by the {code.kind} code")
    return code


def _locked(kind: CodeKind) -> CodeLocked:
    return CodeLocked(f"{kind} code: locked", rule="CARD-TRIES", kind=kind.value)


def _refused(doing: str, status: int) -> CardRefused:
    return CardRefused(f"card: {doing} gave status {status:04X}", status=f"{status:04X}")
