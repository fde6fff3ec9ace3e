# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Credentials
@license Apache-2.0
@notice What the public learns of the sealed roll while it grows: the root and size of every batch
        of commitments and cancel records, and for each style the frozen list of active entries.
        Never a slot, a person, or the time of a single enrolment.

        Who may call what:
        - a registrar of the election, as a confirmation: `post_batch`, which takes effect with
          the attestations that the terms ask for, and `freeze`, with the terms' threshold, from
          the freezing time on;
        - anyone: the views.

        Batches are numbered without a gap. With the first style frozen no batch follows, and no
        more entries are frozen than were posted.

        How it is stopped: the majority abandons the election (`Elections`).
@custom:spec ROLLC-BATCH, ROLLC-FREEZE.
"""

from ..interfaces import IElections
from ..modules import confirmations

initializes: confirmations


ENTRY_COUNT_MAX: constant(uint256) = 2 ** 32


struct Batch:
    root: bytes32
    entry_count: uint256
    cancel_count: uint256
    posted_at: uint256


struct Frozen:
    root: bytes32
    count: uint256
    file_digest: bytes32
    frozen_at: uint256


ELECTIONS: public(immutable(address))

batch_count: public(HashMap[bytes32, uint256])
entry_count: public(HashMap[bytes32, uint256])
cancel_count: public(HashMap[bytes32, uint256])
batches: HashMap[bytes32, HashMap[uint256, Batch]]
frozen: HashMap[bytes32, HashMap[uint256, Frozen]]
frozen_style_count: public(HashMap[bytes32, uint256])
# Styles frozen without an entry: there is nothing to open.
empty_style_count: public(HashMap[bytes32, uint256])
frozen_entry_count: public(HashMap[bytes32, uint256])


event BatchPosted:
    eid: indexed(bytes32)
    number: uint256
    root: bytes32
    entry_count: uint256
    cancel_count: uint256


event StyleFrozen:
    eid: indexed(bytes32)
    style: uint256
    root: bytes32
    count: uint256
    file_digest: bytes32


@deploy
def __init__(elections: address):
    """
    @param elections The contract that holds the terms.
    """
    ELECTIONS = elections


@external
def post_batch(
    eid: bytes32, number: uint256, root: bytes32, entry_count: uint256, cancel_count: uint256
) -> bool:
    """
    @notice Confirm the next batch: `root` is over the sorted commitments of `entry_count` new
            entries and `cancel_count` cancel records.
    """
    registrar: uint256 = self._check_registrar(eid)
    assert self.frozen_style_count[eid] == 0, "credentials: the roll is frozen"
    assert number == self.batch_count[eid], "credentials: not the next batch"
    assert root != empty(bytes32), "credentials: empty root"
    assert entry_count + cancel_count > 0, "credentials: empty batch"
    assert entry_count + cancel_count <= ENTRY_COUNT_MAX, "credentials: batch too large"
    if not confirmations._confirm(
        keccak256(abi_encode(eid, "batch", number)),
        keccak256(abi_encode(root, entry_count, cancel_count)),
        registrar,
        (staticcall IElections(ELECTIONS).quorums(eid)).attestations,
    ):
        return False
    self.batch_count[eid] = number + 1
    self.entry_count[eid] += entry_count
    self.cancel_count[eid] += cancel_count
    self.batches[eid][number] = Batch(
        root=root,
        entry_count=entry_count,
        cancel_count=cancel_count,
        posted_at=block.timestamp,
    )
    log BatchPosted(
        eid=eid, number=number, root=root, entry_count=entry_count, cancel_count=cancel_count
    )
    return True


@external
def freeze(
    eid: bytes32, style: uint256, root: bytes32, count: uint256, file_digest: bytes32
) -> bool:
    """
    @notice Confirm the active entries of a style: `root` and `count` of their sorted commitments
            in the file with this digest.
    """
    registrar: uint256 = self._check_registrar(eid)
    assert staticcall IElections(ELECTIONS).style_digest(eid, style) != empty(
        bytes32
    ), "credentials: no such style"
    quorums: IElections.Quorums = staticcall IElections(ELECTIONS).quorums(eid)
    assert block.timestamp >= quorums.freezes_at, "credentials: not yet freezing time"
    assert self.frozen[eid][style].frozen_at == 0, "credentials: style is frozen"
    assert root != empty(bytes32), "credentials: empty root"
    assert file_digest != empty(bytes32), "credentials: empty digest"
    assert (
        count <= self.entry_count[eid] - self.frozen_entry_count[eid]
    ), "credentials: more entries than posted"
    if not confirmations._confirm(
        keccak256(abi_encode(eid, "style", style)),
        keccak256(abi_encode(root, count, file_digest)),
        registrar,
        quorums.threshold,
    ):
        return False
    self.frozen_style_count[eid] += 1
    self.frozen_entry_count[eid] += count
    if count == 0:
        self.empty_style_count[eid] += 1
    self.frozen[eid][style] = Frozen(
        root=root, count=count, file_digest=file_digest, frozen_at=block.timestamp
    )
    log StyleFrozen(eid=eid, style=style, root=root, count=count, file_digest=file_digest)
    return True


@external
@view
def batch_at(eid: bytes32, number: uint256) -> Batch:
    """
    @notice Return a batch.
    """
    assert number < self.batch_count[eid], "credentials: no such batch"
    return self.batches[eid][number]


@external
@view
def frozen_style(eid: bytes32, style: uint256) -> Frozen:
    """
    @notice Return what was frozen of a style; zeros before.
    """
    return self.frozen[eid][style]


@internal
@view
def _check_registrar(eid: bytes32) -> uint256:
    assert not staticcall IElections(ELECTIONS).is_abandoned(eid), "credentials: abandoned"
    number: uint256 = staticcall IElections(ELECTIONS).registrar_number(eid, msg.sender)
    assert number != 0, "credentials: caller is no registrar"
    return number
