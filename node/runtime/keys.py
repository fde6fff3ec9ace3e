"""The node's key as configured: in this process, or at a remote signer.

Spec: QBFT-SIGN-STATE.
"""

from collections.abc import Callable
from dataclasses import dataclass

from node.consensus.sign_state import SignState
from node.p2p.certificates import NodeIdentity
from node.runtime.consensus import VoteSigner
from node.runtime.keystore import load_key
from node.runtime.remote_signer import RemoteSigner
from node.runtime.signer import Ballotbook, LocalSigner
from node.runtime.votes import StoredSignState
from node.settings import KeySettings
from node.storage.votes import VoteStore


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKeys:
    """The node key in its two uses."""

    identity: NodeIdentity
    """For the transport."""
    signer: VoteSigner
    """For votes."""
    newest: SignState | None
    """Newest record of votes, or None if there never was one."""
    close: Callable[[], None]
    """Finish the vote at hand."""


def open_keys(
    settings: KeySettings,
    *,
    votes: VoteStore,
    observe_s: Callable[[float], None],
    ask: Callable[[str], str] | None = None,
) -> NodeKeys:
    """Open the keystore, or connect to the signer.

    Args:
        settings: Where the key is.
        votes: Where a local key's record of votes is kept.
        observe_s: Told how long each vote took.
        ask: Asks a person for the password, when there is one.

    Raises:
        Misconfigured: Keystore, password or record cannot be used.
        Unavailable: No signer answers.
    """
    if settings.signer_socket is not None:
        remote = RemoteSigner(settings.signer_socket, observe_s=observe_s)
        return NodeKeys(
            identity=remote, signer=remote, newest=remote.load_newest(), close=remote.close
        )
    key = load_key(settings, ask)
    book = Ballotbook(key, StoredSignState(votes, key.address))
    local = LocalSigner(book, observe_s=observe_s)
    return NodeKeys(identity=key, signer=local, newest=book.newest, close=local.close)
