"""What a validator keeps besides the chain: its own votes, the operator's wishes, evidence.

They live in a database of their own, so that restoring a chain never brings back old votes, and a
backup never holds them.

Spec: QBFT-SIGN-STATE, QBFT-VOTE-TALLY, QBFT-EVIDENCE, STORE-VOTES.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from node.consensus.evidence import Evidence, decode_evidence, encode_evidence, verify_evidence
from node.consensus.sign_state import SignState, decode_sign_state, encode_sign_state
from node.log import Log
from node.p2p.limits import Offence
from node.p2p.network import PeerNetwork
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.header import ValidatorVote
from node.primitives.types import Address, Height
from node.rpc.backend import Json
from node.storage.votes import VoteStore

LOG = Log("consensus")

EVIDENCE_SHOWN_MAX: Final = 100
"""Most pieces of evidence in one answer."""


class StoredSignState:
    """A ``SignStateLog`` in the node's own database of votes."""

    def __init__(self, store: VoteStore, validator: Address) -> None:
        """Keep the record of ``validator``."""
        self._store = store
        self._validator = validator

    def load(self) -> SignState | None:
        """Return the newest record, or None if there never was one.

        Raises:
            Misconfigured: It is damaged; signing on would be dangerous.
        """
        raw = self._store.load_sign_state(self._validator)
        try:
            return None if raw is None else decode_sign_state(raw)
        except InvalidInput as error:
            raise Misconfigured(
                f"the record of our votes is damaged ({error}); do not delete it: restore the "
                "node with `daicho backup restore`, which stays silent until it is safe to vote"
            ) from error

    def save(self, record: SignState) -> None:
        """Make ``record`` durable; it replaces the one before.

        Raises:
            Unavailable: The disk refused it; the record before still stands.
            StaleSignState: A later record stands.
        """
        self._store.save_sign_state(
            self._validator, encode_sign_state(record), height=record.height, at=record.round
        )


class PendingVotes:
    """The validator votes this node will put into its own coming blocks."""

    def __init__(
        self, store: VoteStore, *, upon_change: Callable[[tuple[ValidatorVote, ...]], None]
    ) -> None:
        """Keep them in ``store``; ``upon_change`` is told all of them after each change."""
        self._store = store
        self._upon_change = upon_change

    def all(self) -> tuple[ValidatorVote, ...]:
        """Return the pending votes, ascending by recipient."""
        return tuple(
            ValidatorVote(recipient=recipient, is_add=is_add)
            for recipient, is_add in sorted(self._store.load_pending_votes().items())
        )

    def propose(self, recipient: Address, *, is_add: bool) -> None:
        """Vote about an address from our next block on; replaces a vote about the same one.

        Raises:
            InvalidInput: Too many votes are pending.
            Unavailable: The disk refused.
        """
        self._store.save_pending_vote(recipient, is_add=is_add)
        self._upon_change(self.all())

    def discard(self, recipient: Address) -> None:
        """Withdraw the vote about an address, if there is one.

        Raises:
            Unavailable: The disk refused.
        """
        self._store.discard_pending_vote(recipient)
        self._upon_change(self.all())

    def discard_settled(self, validators: tuple[Address, ...]) -> None:
        """Forget votes that came true; a vote that stays would be cast again one day."""
        settled = [each for each in self.all() if (each.recipient in validators) == each.is_add]
        for vote in settled:
            LOG.info("validator vote came true", validator=vote.recipient, added=vote.is_add)
            self.discard(vote.recipient)


class EvidenceBook:
    """Proofs that a validator contradicted itself: kept, passed on, and shown."""

    def __init__(
        self,
        store: VoteStore,
        network: PeerNetwork,
        validators_at: Callable[[Height], tuple[Address, ...] | None],
    ) -> None:
        """Hold the parts; ``validators_at`` tells who decided a height."""
        self._store = store
        self._network = network
        self._validators_at = validators_at

    def record(self, evidence: Evidence) -> None:
        """Keep evidence this node found, and tell every peer."""
        encoded = encode_evidence(evidence)
        if self._store.save_evidence(evidence.height, encoded):
            self._network.broadcast_evidence(encoded)

    async def run(self) -> None:
        """Take evidence from peers for ever; what does not hold is their offence."""
        while True:
            inbound = await self._network.evidence.get()
            try:
                evidence = decode_evidence(inbound.item)
                validators = self._validators_at(evidence.height)
                if validators is None:
                    continue
                verify_evidence(evidence, validators).raise_if_failed()
            except InvalidInput as error:
                LOG.warning("evidence that proves nothing", peer=inbound.peer, reason=str(error))
                self._network.report(inbound.peer, Offence.INVALID_CONSENSUS_MESSAGE)
                continue
            if self._store.save_evidence(evidence.height, inbound.item):
                LOG.error(
                    "a validator contradicted itself, a peer proves",
                    validator=evidence.author,
                    height=evidence.height,
                    kind=evidence.contradiction.value,
                )
                self._network.broadcast_evidence(inbound.item)

    def load(self) -> Sequence[Mapping[str, Json]]:
        """Return the newest evidence, as RPC shows it."""
        return [_show(raw) for raw in self._store.load_evidence(EVIDENCE_SHOWN_MAX)]


def _show(raw: bytes) -> Mapping[str, Json]:
    evidence = decode_evidence(raw)
    return {
        "validator": f"0x{evidence.author.hex()}",
        "height": evidence.height,
        "round": evidence.round,
        "contradiction": evidence.contradiction.value,
        "evidence": f"0x{raw.hex()}",
    }
