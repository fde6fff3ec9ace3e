# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Bulletin
@license Apache-2.0
@notice Where the municipalities of a draft put the digests of what they say while they make its
        keys, so that everyone has the same messages in the same order and nobody takes one back.
        The messages themselves are files.

        Who may call what:
        - a service of an active municipality, for its municipality: `post`, once for each draft
          and step;
        - anyone: the views.

        The contract does not read what is posted: a municipality that has no part in a draft is
        passed over by those who have.
@custom:spec DKG-BULLETIN.
"""

from ..interfaces import IAccountPermissions
from ..interfaces import IElections
from ..interfaces import IMunicipalities


PERMISSIONS: public(constant(address)) = 0x00000000000000000000000000000000DA1C0001
MUNICIPALITIES: public(constant(address)) = 0x00000000000000000000000000000000DA1C0002
STEP_MAX: constant(uint256) = 2 ** 16 - 1


ELECTIONS: public(immutable(address))

# By draft id, municipality and step.
posted: public(HashMap[bytes32, HashMap[uint256, HashMap[uint256, bytes32]]])


event Posted:
    draft_id: indexed(bytes32)
    municipality: indexed(uint256)
    step: uint256
    digest: bytes32


@deploy
def __init__(elections: address):
    """
    @param elections The contract that holds the drafts.
    """
    ELECTIONS = elections


@external
def post(draft_id: bytes32, step: uint256, digest: bytes32):
    """
    @notice Record the digest of the caller's message of a step.
    @param step 1 to 65,535; what each is stands in docs/election-records.md.
    """
    municipality: uint256 = staticcall IAccountPermissions(PERMISSIONS).service_municipality(
        msg.sender
    )
    voter: uint256 = 0
    active: uint256 = 0
    voter, active = staticcall IMunicipalities(MUNICIPALITIES).voter(self)
    assert (
        municipality != 0 and active & (1 << municipality) != 0
    ), "bulletin: not a service of an active municipality"
    assert step > 0 and step <= STEP_MAX, "bulletin: no such step"
    assert digest != empty(bytes32), "bulletin: empty digest"
    assert (
        staticcall IElections(ELECTIONS).drafted_by(draft_id) != 0
    ), "bulletin: no such draft"
    assert self.posted[draft_id][municipality][step] == empty(
        bytes32
    ), "bulletin: already posted"
    self.posted[draft_id][municipality][step] = digest
    log Posted(draft_id=draft_id, municipality=municipality, step=step, digest=digest)
