"""What can go wrong with a card, one class for each thing a person does about it.

Messages are for operators and logs and hold no code, no signature and nothing read off the card.
What residents see is in ``messages``, by the same ``code``.
"""

from node.primitives.errors import InvalidInput, InvariantViolation, Misconfigured, Unavailable


class CardDaemonMissing(Misconfigured):
    """The PC/SC library or daemon is not there."""

    code = "card.no_daemon"


class Pkcs11Missing(Misconfigured):
    """OpenSC's PKCS#11 module, or python-pkcs11, is not there."""

    code = "card.no_pkcs11"


class NoReader(Unavailable):
    """No card reader is connected."""

    code = "card.no_reader"


class UnknownReader(InvalidInput):
    """The reader asked for is not connected."""

    code = "card.unknown_reader"


class NoCard(Unavailable):
    """No reader holds a card."""

    code = "card.no_card"


class SeveralCards(InvalidInput):
    """More than one reader holds a card; the person must say which."""

    code = "card.several_cards"


class ReaderBusy(Unavailable):
    """Another program holds the card."""

    code = "card.busy"


class CardLost(Unavailable):
    """The card left the reader, or its answer did not arrive whole."""

    code = "card.lost"


class CardSilent(Unavailable):
    """The card did not answer in time."""

    code = "card.silent"


class UnknownCard(InvalidInput):
    """The card is no My Number Card."""

    code = "card.unknown"


class CardRefused(Unavailable):
    """The card answered a command with a status nobody expects here."""

    code = "card.refused"


class CardMalformed(InvalidInput):
    """A file of the card does not decode."""

    code = "card.malformed"


class NoSigningCertificate(InvalidInput):
    """The card has no certificate for digital signature, as children's cards have none."""

    code = "card.no_signing_certificate"


class CodeFormat(InvalidInput):
    """What was typed cannot be the code asked for; the card has not seen it."""

    code = "card.code_format"


class CodeWrong(InvalidInput):
    """The card refused the code and counted a try."""

    code = "card.code_wrong"


class CodeLastTry(InvalidInput):
    """One try is left; this program leaves it alone."""

    code = "card.code_last_try"


class CodeLocked(InvalidInput):
    """No try is left."""

    code = "card.code_locked"


class SignatureMismatch(Unavailable):
    """The signature does not verify with the card's own certificate."""

    code = "card.signature_mismatch"


class ForbiddenFile(InvariantViolation):
    """Our code was about to ask for the Individual Number."""

    code = "card.forbidden_file"
