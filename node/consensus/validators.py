"""Who the validators are at each height: votes in headers, tallied over an epoch.

A proposer may put one vote into its block. Votes stand per recipient and voter until the recipient
changes side, the voter changes its mind or leaves, or the epoch ends. When more than half of the
set agree, the change holds from the next block on. The tally is a value: ``apply_header`` takes it
from one head to the next, so that a node never replays an epoch except at start.

Spec: QBFT-VOTE-TALLY, QBFT-VOTE-EPOCH.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from node.consensus.quorum import fault_count_max, quorum_size, vote_majority
from node.primitives.errors import InvalidBlock
from node.primitives.header import VALIDATOR_COUNT_MAX, Header, ValidatorVote
from node.primitives.types import Address, Height


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingVote:
    """One validator's vote that still counts."""

    voter: Address
    """Who proposed the block that carried it."""
    recipient: Address
    """Whom it is about."""
    is_add: bool
    """True to add, False to drop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorTally:
    """The set for the block after ``height``, and the votes standing then."""

    height: Height
    """The last header applied."""
    validators: tuple[Address, ...]
    """Set valid for ``height + 1``, ascending by bytes; never empty."""
    votes: tuple[StandingVote, ...] = ()
    """Ascending by (recipient, voter); at most one for each such pair."""

    @property
    def next_height(self) -> Height:
        """Return the height the set is valid for."""
        return Height(self.height + 1)


def tally_at_base(header: Header) -> ValidatorTally:
    """Start a tally at genesis or at an epoch block, whose listed set is the base.

    Raises:
        InvalidBlock: The list is empty, unsorted or has duplicates.

    Spec: QBFT-VOTE-EPOCH.
    """
    check_validator_list(header.extra_data.validators)
    return ValidatorTally(height=header.height, validators=header.extra_data.validators)


def compute_tally(headers: Iterable[Header], *, epoch_length: int) -> ValidatorTally:
    """Compute the tally after the last of ``headers``.

    Args:
        headers: Consecutive, from genesis or an epoch block on; at least that one.
        epoch_length: Heights in an epoch.

    Raises:
        InvalidBlock: Headers are missing, out of order, or break a rule of voting.
    """
    rest = iter(headers)
    base = next(rest, None)
    if base is None or base.height % epoch_length:
        raise InvalidBlock("tally: must start at genesis or an epoch block", rule="QBFT-VOTE-EPOCH")
    tally = tally_at_base(base)
    for header in rest:
        tally = apply_header(tally, header, epoch_length=epoch_length)
    return tally


def apply_header(tally: ValidatorTally, header: Header, *, epoch_length: int) -> ValidatorTally:
    """Return the tally after ``header``: its vote counted, or the epoch begun anew.

    The vote is its coinbase's. A change it brings about holds from the next height on.

    Raises:
        InvalidBlock: Not the next header, its list is not the tally's set, or it carries a vote
            where none is allowed.

    Spec: QBFT-VOTE-TALLY, QBFT-VOTE-EPOCH.
    """
    check_header_voting(tally, header, epoch_length=epoch_length)
    height = header.height
    if height % epoch_length == 0:
        return ValidatorTally(height=height, validators=tally.validators)
    vote = header.extra_data.vote
    if vote is None:
        return replace(tally, height=height)
    votes = cast_vote(tally.votes, voter=header.coinbase, vote=vote)
    return _settle(
        ValidatorTally(height=height, validators=tally.validators, votes=votes), vote.recipient
    )


def check_header_voting(tally: ValidatorTally, header: Header, *, epoch_length: int) -> None:
    """Check what a header says of validators and votes against the tally before it.

    Raises:
        InvalidBlock: Not the next header, another list, or a vote at an epoch block.

    Spec: QBFT-VALIDATORS, QBFT-VOTE-EPOCH.
    """
    if header.height != tally.next_height:
        raise InvalidBlock(f"tally: expected height {tally.next_height}, found {header.height}")
    if header.extra_data.validators != tally.validators:
        raise InvalidBlock(
            f"validators at height {header.height} differ from the tally of votes",
            rule="QBFT-VALIDATORS",
        )
    if header.extra_data.vote is not None and header.height % epoch_length == 0:
        raise InvalidBlock(f"vote in epoch block {header.height}", rule="QBFT-VOTE-EPOCH")


def check_validator_list(validators: tuple[Address, ...]) -> None:
    """Check that a set is listed ascending, without duplicates, and is not empty.

    Raises:
        InvalidBlock: It is not.

    Spec: QBFT-VALIDATORS.
    """
    is_ascending = all(a < b for a, b in pairwise(validators))
    if not validators or not is_ascending:
        raise InvalidBlock(
            "validators must be listed ascending, once each, at least one", rule="QBFT-VALIDATORS"
        )


def cast_vote(
    votes: tuple[StandingVote, ...], *, voter: Address, vote: ValidatorVote
) -> tuple[StandingVote, ...]:
    """Return the standing votes after ``voter`` spoke: its newest vote on a recipient counts.

    Spec: QBFT-VOTE-TALLY.
    """
    cast = StandingVote(voter=voter, recipient=vote.recipient, is_add=vote.is_add)
    others = [v for v in votes if (v.voter, v.recipient) != (voter, vote.recipient)]
    return tuple(sorted([*others, cast], key=lambda v: (v.recipient, v.voter)))


def choose_vote(
    pending: tuple[ValidatorVote, ...],
    tally: ValidatorTally,
    *,
    voter: Address,
    epoch_length: int,
) -> ValidatorVote | None:
    """Return the oldest pending vote that would still change something, for the next block.

    Skipped are votes whose aim is reached, and votes of ours that already stand.

    Spec: QBFT-VOTE-CAST.
    """
    if tally.next_height % epoch_length == 0:
        return None
    standing = {(v.recipient, v.is_add) for v in tally.votes if v.voter == voter}
    for vote in pending:
        is_reached = (vote.recipient in tally.validators) == vote.is_add
        if not is_reached and (vote.recipient, vote.is_add) not in standing:
            return vote
    return None


def _settle(tally: ValidatorTally, recipient: Address) -> ValidatorTally:
    """Switch ``recipient`` if a majority now agrees; only the touched recipient is looked at."""
    majority = vote_majority(len(tally.validators))
    on_recipient = [vote for vote in tally.votes if vote.recipient == recipient]
    adds = sum(vote.is_add for vote in on_recipient)
    drops = len(on_recipient) - adds
    if adds < majority and drops < majority:
        return tally
    is_add = adds >= majority
    validators = with_change(tally.validators, ValidatorVote(recipient=recipient, is_add=is_add))
    gone = frozenset(tally.validators) - frozenset(validators)
    votes = tuple(v for v in tally.votes if v.recipient != recipient and v.voter not in gone)
    return ValidatorTally(height=tally.height, validators=validators, votes=votes)


def with_change(validators: tuple[Address, ...], vote: ValidatorVote) -> tuple[Address, ...]:
    """Return the set after a change, which never empties it nor outgrows what a header can list.

    Spec: QBFT-VOTE-LIMITS.
    """
    members = frozenset(validators)
    changed = members | {vote.recipient} if vote.is_add else members - {vote.recipient}
    if not changed or len(changed) > VALIDATOR_COUNT_MAX:
        return validators
    return tuple(sorted(changed))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAssessment:
    """What a change of the set would mean, told before anyone votes for it."""

    validators: tuple[Address, ...]
    """The set after the change."""
    votes_needed: int
    """Votes of the present set that bring it about."""
    votes_available: int
    """Validators of the present set that are online and could cast them."""
    quorum: int
    """Quorum of the set after the change."""
    online: tuple[Address, ...]
    """Members of the set after the change that are online, ascending."""
    fault_count_max: int
    """Byzantine members the set after the change tolerates."""

    @property
    def is_live(self) -> bool:
        """Tell whether blocks would go on being decided with those online."""
        return len(self.online) >= self.quorum

    @property
    def can_pass(self) -> bool:
        """Tell whether enough of the present set are online to vote it through."""
        return self.votes_available >= self.votes_needed


def assess_change(
    validators: tuple[Address, ...], vote: ValidatorVote, *, online: Collection[Address]
) -> ChangeAssessment:
    """Try a change on paper: who would be in the set, and would its quorum be online?

    Spec: QBFT-DRY-RUN.
    """
    after = with_change(validators, vote)
    return ChangeAssessment(
        validators=after,
        votes_needed=vote_majority(len(validators)),
        votes_available=sum(member in online for member in validators),
        quorum=quorum_size(len(after)),
        online=tuple(member for member in after if member in online),
        fault_count_max=fault_count_max(len(after)),
    )
