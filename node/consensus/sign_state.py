"""What a validator must remember of its own votes, whatever happens to the machine it runs on.

The record is made durable before each vote is signed (``PersistAndSign``). It moves forward only:
a vote for an earlier (height, round), or a second, different vote for the same one, is never
signed. ``storage`` keeps the bytes and knows nothing of what they mean.

Spec: QBFT-SIGN-STATE, QBFT-LOCK.
"""

from dataclasses import dataclass

from node.consensus.messages import PreparedCertificate, PreparedMetadata
from node.primitives.types import Digest, Height, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class SignState:
    """Our votes in the newest (height, round) we voted in, and our lock at that height."""

    height: Height
    """Height of the newest vote."""
    round: Round
    """Highest round entered at that height; no vote below it is signed again."""
    proposal: Digest | None = None
    """Digest of the block we proposed in this round."""
    prepare: Digest | None = None
    """Digest we prepared in this round."""
    commit: Digest | None = None
    """Digest we committed (and sealed) in this round."""
    has_round_change: bool = False
    """Whether we asked for this round."""
    round_change_prepared: PreparedMetadata | None = None
    """What that round change said we had prepared."""
    certificate: PreparedCertificate | None = None
    """Highest prepared certificate at this height."""
    is_silent: bool = False
    """We may have forgotten votes and do not yet know how far the others are: sign nothing."""
    silent_through: Height = Height(0)
    """We sign nothing at heights up to here: votes of ours may exist that we forgot."""
