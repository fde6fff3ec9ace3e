# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Anchors
@license Apache-2.0
@notice Merkle roots of what services keep off chain: audit logs, batches of bookings, messages.
        A root says that its leaves existed at that time and in that order, and nothing else. Roots
        of one stream are numbered without a gap and never change.

        The root is that of RFC 6962 over SHA-256, as everywhere on this ledger. Leaves are salted
        commitments: a stream's name and the count of leaves are all that the public learns.

        Who may call what:
        - a service of an active municipality: `anchor`, for its own municipality;
        - anyone: the views.

        How it is stopped: a municipality removes its service, the majority expels it
        (`AccountPermissions`). What is anchored stays.

        An operation is anchored once: a service that does not know whether an earlier call
        arrived may send it again, and the second one reverts.
@custom:spec RELAY-ANCHOR.
"""

interface IAccountPermissions:
    def is_service(account: address) -> bool: view
    def service_municipality(account: address) -> uint256: view


PERMISSIONS: public(constant(address)) = 0x00000000000000000000000000000000DA1C0001
LEAF_COUNT_MAX: public(constant(uint256)) = 2 ** 32


struct Anchor:
    root: bytes32
    leaf_count: uint256
    anchored_at: uint256


# By municipality, stream and place in the stream.
anchors: HashMap[uint256, HashMap[bytes32, HashMap[uint256, Anchor]]]
length: public(HashMap[uint256, HashMap[bytes32, uint256]])
is_anchored: public(HashMap[uint256, HashMap[bytes32, bool]])


event Anchored:
    municipality: indexed(uint256)
    stream: indexed(bytes32)
    operation_id: indexed(bytes32)
    place: uint256
    root: bytes32
    leaf_count: uint256


@external
def anchor(stream: bytes32, operation_id: bytes32, root: bytes32, leaf_count: uint256) -> uint256:
    """
    @notice Append a root over `leaf_count` leaves to a stream of the caller's municipality.
    @param stream Name of the stream, as a hash.
    @param operation_id What the service calls this operation; accepted once.
    @return The root's place in the stream, from 0.
    """
    assert staticcall IAccountPermissions(PERMISSIONS).is_service(
        msg.sender
    ), "anchors: caller is not a service"
    municipality: uint256 = staticcall IAccountPermissions(PERMISSIONS).service_municipality(
        msg.sender
    )
    assert not self.is_anchored[municipality][operation_id], "anchors: operation already anchored"
    assert root != empty(bytes32), "anchors: empty root"
    assert leaf_count > 0, "anchors: no leaves"
    assert leaf_count <= LEAF_COUNT_MAX, "anchors: too many leaves"
    place: uint256 = self.length[municipality][stream]
    self.is_anchored[municipality][operation_id] = True
    self.length[municipality][stream] = place + 1
    self.anchors[municipality][stream][place] = Anchor(
        root=root, leaf_count=leaf_count, anchored_at=block.timestamp
    )
    log Anchored(
        municipality=municipality,
        stream=stream,
        operation_id=operation_id,
        place=place,
        root=root,
        leaf_count=leaf_count,
    )
    return place


@external
@view
def anchor_at(municipality: uint256, stream: bytes32, place: uint256) -> Anchor:
    """
    @notice Return an anchored root, its count of leaves and when it was anchored.
    """
    assert place < self.length[municipality][stream], "anchors: no such anchor"
    return self.anchors[municipality][stream][place]
