# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Confirmations
@license Apache-2.0
@notice Counts how many parties of an election stand behind the same value for the same subject.

        A party has one confirmation for a subject. Confirming another value moves it, so that a
        mistake can be put right and nobody is counted twice. Whoever uses this module knows the
        party, says how many are needed, and takes no more confirmations once the subject is
        decided.
@custom:spec TALLY-CONFIRM.
"""


# By subject and party; empty for none.
stands: HashMap[bytes32, HashMap[uint256, bytes32]]
# By subject and value.
counts: HashMap[bytes32, HashMap[bytes32, uint256]]


event Confirmed:
    subject: indexed(bytes32)
    party: indexed(uint256)
    value: bytes32
    count: uint256
    needed: uint256


@internal
def _confirm(subject: bytes32, chosen: bytes32, party: uint256, needed: uint256) -> bool:
    """
    @notice Let a party stand behind a value; return True when enough parties do.
    """
    former: bytes32 = self.stands[subject][party]
    assert former != chosen, "confirmations: already confirmed"
    if former != empty(bytes32):
        self.counts[subject][former] -= 1
    count: uint256 = self.counts[subject][chosen] + 1
    self.stands[subject][party] = chosen
    self.counts[subject][chosen] = count
    log Confirmed(subject=subject, party=party, value=chosen, count=count, needed=needed)
    return count >= needed
