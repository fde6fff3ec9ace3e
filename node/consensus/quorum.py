"""How many validators make a quorum, and how many may lie.

Spec: QBFT-QUORUM.
"""


def quorum_size(validator_count: int) -> int:
    """Return ceil(2N/3): prepares, commits, round changes and seals alike.

    Spec: QBFT-QUORUM.
    """
    return -(-2 * validator_count // 3)


def fault_count_max(validator_count: int) -> int:
    """Return f = floor((N-1)/3): how many may be Byzantine.

    Spec: QBFT-QUORUM.
    """
    return (validator_count - 1) // 3


def early_round_change_size(validator_count: int) -> int:
    """Return f+1: so many round changes hold at least one honest one.

    Spec: QBFT-QUORUM.
    """
    return fault_count_max(validator_count) + 1


def vote_majority(validator_count: int) -> int:
    """Return floor(N/2)+1: votes that switch a member in or out.

    Spec: QBFT-QUORUM.
    """
    return validator_count // 2 + 1
