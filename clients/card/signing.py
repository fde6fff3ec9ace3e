"""Have a card in a reader sign a text by OpenSC's driver, with our own eyes on it.

Before, the card itself is asked by APDU whether the key is there and how many tries are left. Then
OpenSC checks the code and signs the DigestInfo made here. After, the card is asked again, because a
module's error does not tell a wrong code from a locked one, and it is reset. Next-generation cards
sign by APDU: OpenSC's driver knows RSA alone.

Spec: CARD-SIGN, CARD-PKCS11, CARD-TRIES, CARD-RESET.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import rsa

from clients.card.card import CardSignature, MyNumberCard
from clients.card.codes import Code
from clients.card.errors import (
    CardLost,
    CardRefused,
    CodeLocked,
    CodeWrong,
    NoCard,
    ReaderBusy,
    SignatureMismatch,
    UnknownCard,
)
from clients.card.pcsc import WAIT_S, PcscContext, Reader
from clients.card.pkcs11 import MODULE, TIMEOUT_S, ModuleRefusal, ModuleSignature, sign_by_module
from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.signature import build_digest_info, is_card_signature


def sign_text(
    kind: CertificateKind,
    message: bytes,
    code: Code,
    *,
    reader: str | None = None,
    module: str = MODULE,
    wait_s: float = WAIT_S,
    timeout_s: float = TIMEOUT_S,
) -> CardSignature:
    """Have the card sign ``message``: the very text its holder was shown, as bytes.

    Args:
        kind: Which key.
        message: What was shown.
        code: Opens the key.
        reader: Which reader, wholly or in part; None takes the only one with a card.
        module: File name or path of the PKCS#11 module.
        wait_s: How long to wait for a card.
        timeout_s: How long the driver may take.

    Raises:
        CodeLocked: No try is left.
        CodeLastTry: One try is left; it was not used.
        CodeWrong: The card refused the code; ``values`` tell the tries left.
        NoSigningCertificate: A child's card.
        SignatureMismatch: The signature does not verify with the certificate.
        CardSilent, CardLost, CardRefused: The card or its driver failed.
        Pkcs11Missing: OpenSC's module is not there.

    Spec: CARD-SIGN, CARD-PKCS11.
    """
    with PcscContext() as context:
        found = context.wait_for_card(reader, wait_s=wait_s)
        with _taken(context, found) as card:
            tries = card.check_ready(kind, code)
            if not _is_rsa(card):
                return card.sign(kind, message, code)
        answer = sign_by_module(
            kind,
            build_digest_info(message),
            code,
            reader=found.name,
            module=module,
            timeout_s=timeout_s,
        )
        left = _look_again(context, found, code)
    if isinstance(answer, ModuleRefusal):
        raise _explain(answer, code, tries=tries, left=left)
    return _check(answer, message)


@contextmanager
def _taken(context: PcscContext, reader: Reader) -> Iterator[MyNumberCard]:
    card = MyNumberCard(context.connect(reader))
    try:
        yield card
    finally:
        card.close()


def _is_rsa(card: MyNumberCard) -> bool:
    """Tell the keys' kind by the authentication certificate, which phones hide behind the PIN."""
    try:
        certificate = card.read_certificate(CertificateKind.AUTHENTICATION)
    except CardRefused:
        return True
    return isinstance(certificate.key, rsa.RSAPublicKey)


def _look_again(context: PcscContext, reader: Reader, code: Code) -> int | None:
    """Ask for the tries left once more, and reset the card; None when it is gone.

    The driver resets it too, and the daemon when the driver's process was ended. This way no driver
    has to be believed.

    Spec: CARD-RESET.
    """
    try:
        with _taken(context, reader) as card:
            return card.tries_left(code.kind)
    except (NoCard, CardLost, ReaderBusy, UnknownCard):
        return None


def _explain(
    refusal: ModuleRefusal, code: Code, *, tries: int, left: int | None
) -> CardLost | CodeLocked | CodeWrong | CardRefused:
    """Return what a refusal means, by what the card says of its tries.

    Spec: CARD-PKCS11.
    """
    if left is None:
        return CardLost("card: it left the reader while its driver worked", rule="CARD-ANSWER")
    if left == 0:
        return CodeLocked(f"{code.kind} code: locked", rule="CARD-TRIES", kind=code.kind.value)
    if left < tries:
        return CodeWrong(
            f"{code.kind} code: refused by the card, {left} tries left",
            rule="CARD-TRIES",
            kind=code.kind.value,
            tries_left=left,
        )
    return CardRefused(
        f"card: the driver gave no signature ({refusal.outcome})", status=refusal.outcome
    )


def _check(answer: ModuleSignature, message: bytes) -> CardSignature:
    certificate = decode_certificate(answer.certificate)
    if not is_card_signature(certificate.key, message, answer.signature):
        raise SignatureMismatch(
            "card: the signature does not verify with the card's certificate", rule="CARD-SIGN"
        )
    return CardSignature(certificate=certificate, signature=answer.signature)
