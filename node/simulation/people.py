"""What people do in a run: clients send transactions, operators change the validator set.

Changes come one after the other, each only once the last has come true, and never so that liars
would outnumber what the set tolerates. Status announcements and liars' outbursts beat here too,
since all of it recurs.
"""

from functools import partial
from typing import Final

from node.primitives.header import ValidatorVote
from node.primitives.types import Address, TransactionHash
from node.simulation.cluster import Cluster
from node.simulation.dice import Dice
from node.simulation.scenario import count_faults_max
from node.simulation.toyexecution import make_transaction

ANNOUNCE_MS: Final = 2_000
AGITATE_MS: Final = 700
OPERATE_MS: Final = 1_500

VALIDATOR_COUNT_MIN: Final = 3
VALIDATOR_COUNT_MAX: Final = 8


class People:
    """Clients and operators of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        """Know the cluster; ``begin`` starts the beats."""
        self._cluster = cluster
        self._dice = Dice(cluster.scenario.seed, "people")
        self._changes_left = cluster.scenario.change_count
        self._vote: ValidatorVote | None = None
        self.admitted: dict[TransactionHash, int] = {}

    def begin(self) -> None:
        """Put the first beats on the agenda."""
        cluster = self._cluster
        for host in cluster.hosts:
            cluster.agenda.add(ANNOUNCE_MS + 37 * host.index, partial(self._announce, host.index))
        for index in sorted(cluster.liars):
            cluster.agenda.add(AGITATE_MS, partial(self._agitate, index))
        if cluster.scenario.transaction_ms:
            cluster.agenda.add(1, self._send_transaction)
        if self._changes_left:
            cluster.agenda.add(OPERATE_MS, self._operate)

    def resend(self) -> None:
        """Send every transaction not yet included again, to everyone."""
        for digest, nonce in sorted(self.missing().items()):
            del digest
            transaction = make_transaction(nonce)
            for index in self._cluster.honest:
                replica = self._cluster.replicas[index]
                if replica is not None:
                    self._cluster.act(index, partial(replica.admit, transaction))

    def missing(self) -> dict[TransactionHash, int]:
        """Return the admitted transactions that no block holds yet, with their nonces."""
        included = self._cluster.checkers.included
        return {digest: n for digest, n in self.admitted.items() if digest not in included}

    def _send_transaction(self) -> None:
        cluster = self._cluster
        if cluster.is_calm:
            return
        index = self._dice.pick(cluster.honest)
        replica = cluster.replicas[index]
        if replica is not None:
            transaction = make_transaction(len(self.admitted))
            self.admitted[transaction.hash] = len(self.admitted)
            cluster.act(index, partial(replica.admit, transaction))
        cluster.agenda.add(cluster.scenario.transaction_ms, self._send_transaction)

    def _announce(self, index: int) -> None:
        replica = self._cluster.replicas[index]
        if replica is not None:
            self._cluster.act(index, replica.announce)
        self._cluster.agenda.add(ANNOUNCE_MS, partial(self._announce, index))

    def _agitate(self, index: int) -> None:
        self._cluster.agitate(index)
        self._cluster.agenda.add(AGITATE_MS, partial(self._agitate, index))

    def _operate(self) -> None:
        """Agree on the next change once the last one has come true."""
        validators = self._cluster.checkers.tally.validators
        vote = self._vote
        if vote is not None and vote.is_add == (vote.recipient in validators):
            self._vote = vote = None
        if vote is None:
            if not self._changes_left:
                return
            self._propose_change(validators)
        self._cluster.agenda.add(OPERATE_MS, self._operate)

    def _propose_change(self, validators: tuple[Address, ...]) -> None:
        cluster = self._cluster
        self._changes_left -= 1
        candidates = [vote for vote in self._possible_votes() if self._is_safe(validators, vote)]
        if not candidates:
            return
        self._vote = self._dice.pick(candidates)
        verb = "add" if self._vote.is_add else "drop"
        cluster.note(0, f"operators {verb} {self._vote.recipient[:3].hex()}")
        for host in cluster.hosts:
            host.pending_votes = (self._vote,)
            replica = cluster.replicas[host.index]
            if replica is not None:
                cluster.act(host.index, replica.want)

    def _possible_votes(self) -> list[ValidatorVote]:
        validators = self._cluster.checkers.tally.validators
        known = sorted({host.key.address for host in self._cluster.hosts})
        return [ValidatorVote(recipient=who, is_add=who not in validators) for who in known]

    def _is_safe(self, validators: tuple[Address, ...], vote: ValidatorVote) -> bool:
        """Tell whether the set after ``vote`` still outnumbers its liars."""
        after = {*validators, vote.recipient} if vote.is_add else {*validators} - {vote.recipient}
        dishonest = {self._cluster.hosts[index].key.address for index in self._cluster.liars}
        if not VALIDATOR_COUNT_MIN <= len(after) <= VALIDATOR_COUNT_MAX:
            return False
        return len(after & dishonest) <= count_faults_max(len(after))
