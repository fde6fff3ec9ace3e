"""Errors by whose turn it is to act: sender, peer, operator, the world, or us.

Every error carries a stable ``code`` (listed in ``docs/operate/errors.md``), the rule it keeps
when there is one, and the offending values for machines. The message is one sentence a reader can
act on.
"""

from typing import ClassVar


class LedgerError(Exception):
    """Root of all errors of the ledger.

    Args:
        message: One sentence: what is wrong, what was expected, what was found.
        rule: Id of the rule in ``docs/spec`` that was broken, if any.
        values: Offending values, JSON-serialisable, never secret.
    """

    code: ClassVar[str] = "ledger.error"

    def __init__(self, message: str, *, rule: str | None = None, **values: object) -> None:
        super().__init__(f"{message} ({rule})" if rule else message)
        self.message = message
        self.rule = rule
        self.values = values


class InvalidInput(LedgerError):
    """The sender of these bytes is wrong; nothing of ours changed."""

    code = "input.invalid"


class MalformedMessage(InvalidInput):
    """Bytes that do not decode to what they claim to be."""

    code = "input.malformed"


class InvalidTransaction(InvalidInput):
    """A transaction that no block may contain, or that this node does not admit."""

    code = "transaction.invalid"


class InvalidBlock(InvalidInput):
    """A block that breaks a rule."""

    code = "block.invalid"


class PeerMisbehaviour(LedgerError):
    """A peer broke the protocol; ``values`` carries the evidence."""

    code = "peer.misbehaviour"


class Misconfigured(LedgerError):
    """The operator must change something; the message ends with the remedy. Exit code 2."""

    code = "operator.misconfigured"


class Unavailable(LedgerError):
    """The world is down (disk, peer, signer); trying again may help. The cause is chained."""

    code = "world.unavailable"


class InvariantViolation(LedgerError):
    """We are wrong; never caught below the supervisor, the node stops."""

    code = "invariant.violated"
