# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Majority of municipalities
@license Apache-2.0
@notice Collects votes of municipalities on a proposal and says when it is carried: when more than
        half of the municipalities now active have voted for it.

        A proposal is named by the keccak of the call data that would carry it out, so a vote is
        the call itself: each municipality sends the same call, and the call that completes the
        majority takes effect. The first vote starts the clock; after `PROPOSAL_LIFETIME` seconds
        the votes so far are void and the next vote starts anew.

        Whoever uses this module checks who is voting before it calls `_vote`. Votes are kept by
        municipality id: they outlive a change of the municipality's account, and those of a
        municipality that is no longer active do not count.
@custom:spec PERM-MAJORITY, PERM-EXPIRY.
"""


MUNICIPALITY_COUNT_MAX: constant(uint256) = 64
PROPOSAL_LIFETIME: constant(uint256) = 30 * 24 * 60 * 60


struct Proposal:
    voters: uint256
    expires_at: uint256


proposals: HashMap[bytes32, Proposal]


event Voted:
    proposal: indexed(bytes32)
    municipality: indexed(uint256)
    vote_count: uint256
    needed: uint256
    expires_at: uint256


event VoteWithdrawn:
    proposal: indexed(bytes32)
    municipality: indexed(uint256)


event Carried:
    proposal: indexed(bytes32)
    voters: uint256


@external
@view
def proposal(id: bytes32) -> (uint256, uint256):
    """
    @notice Return who has voted for a proposal, as a bit mask of ids, and until when votes count;
            zeros when no vote stands.
    """
    entry: Proposal = self.proposals[id]
    if not self._is_open(entry):
        return 0, 0
    return entry.voters, entry.expires_at


@internal
def _vote(id: bytes32, municipality: uint256, active: uint256) -> bool:
    """
    @notice Record a vote; return True when it completes the majority, which closes the proposal.
    """
    entry: Proposal = self.proposals[id]
    if not self._is_open(entry):
        entry = Proposal(voters=0, expires_at=block.timestamp + PROPOSAL_LIFETIME)
    assert entry.voters & (1 << municipality) == 0, "majority: already voted"
    entry.voters |= 1 << municipality
    vote_count: uint256 = self._count(entry.voters & active)
    needed: uint256 = self._needed(active)
    log Voted(
        proposal=id,
        municipality=municipality,
        vote_count=vote_count,
        needed=needed,
        expires_at=entry.expires_at,
    )
    if vote_count < needed:
        self.proposals[id] = entry
        return False
    self.proposals[id] = empty(Proposal)
    log Carried(proposal=id, voters=entry.voters & active)
    return True


@internal
def _withdraw(id: bytes32, municipality: uint256):
    """
    @notice Take back a vote that stands.
    """
    entry: Proposal = self.proposals[id]
    assert self._is_open(entry), "majority: no open proposal"
    assert entry.voters & (1 << municipality) != 0, "majority: has not voted"
    entry.voters ^= 1 << municipality
    if entry.voters == 0:
        entry.expires_at = 0
    self.proposals[id] = entry
    log VoteWithdrawn(proposal=id, municipality=municipality)


@internal
@view
def _is_open(entry: Proposal) -> bool:
    return block.timestamp < entry.expires_at


@internal
@pure
def _needed(active: uint256) -> uint256:
    """
    @notice Return how many votes are a majority: floor(N / 2) + 1.
    """
    return self._count(active) // 2 + 1


@internal
@pure
def _count(mask: uint256) -> uint256:
    """
    @notice Count the members of a set.
    """
    rest: uint256 = mask
    for count: uint256 in range(MUNICIPALITY_COUNT_MAX + 1):
        if rest == 0:
            return count
        rest &= rest - 1
    return MUNICIPALITY_COUNT_MAX
