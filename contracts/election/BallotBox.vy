# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Ballot box
@license Apache-2.0
@notice Every ballot of every election. A ballot is recorded only after everything about it that
        can be checked in public was checked here, by every validator: its form, its place in its
        key's sequence, the proof of every race, and the signature of its key.

        A ballot names a key made on the voter's device and nobody else. Whether the key is on
        the roll is decided after closing, off this contract.

        Who may call what:
        - a relay of the election, between opening and closing: `cast`, `withdraw`;
        - anyone, after closing: `close`;
        - anyone: the views.

        How it is stopped: the majority abandons the election (`Elections`).

        A batch is the relay's envelope and no more: an item that breaks a rule is refused with
        its reason, and the items around it are recorded. Only framing that does not add up, a
        sender who is no relay and a closed box refuse the whole batch.

        Proofs. With c the challenge, [z]G - [c]A = R is what a proof of knowledge says. Key
        recovery computes A.x^-1 ([s]P - [h]G) for the point P with x-coordinate A.x and the given
        parity, which is A. With h = -z A.x and s = -c A.x it returns the address of [z]G - [c]A,
        compared with the address of R as the ballot has it. The precompile answers zero for no
        point; no proof passes on that answer.
@custom:spec BOX-WINDOW, BOX-FORM, BOX-SEQUENCE, BOX-PROOF, BOX-SIGNATURE, BOX-CHAIN, BOX-BATCH, BOX-WITHDRAW, BOX-CLOSE.
"""

from ..interfaces import IElections


# Field prime p and group order n of secp256k1; n is FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFE BAAEDCE6
# AF48A03B BFD25E8C D0364141 in base 16.
FIELD_PRIME: constant(uint256) = max_value(uint256) - 2 ** 32 - 976
ORDER: constant(uint256) = (
    max_value(uint256) - 432420386565659656852420866394968145598
)
HALF_ORDER: constant(uint256) = ORDER // 2
ADDRESS_MASK: constant(uint256) = 2 ** 160 - 1

VERSION: constant(uint256) = 1
SIZE_SIZE: constant(uint256) = 2
HEAD_SIZE: constant(uint256) = 107
RACE_SIZE: constant(uint256) = 226
SIGNATURE_SIZE: constant(uint256) = 65
RACE_COUNT_MAX: constant(uint256) = 64
CORE_SIZE_MAX: constant(uint256) = HEAD_SIZE + RACE_SIZE * RACE_COUNT_MAX
BATCH_SIZE_MAX: constant(uint256) = 131_072
BALLOT_COUNT_MAX: constant(uint256) = 256
# Where a canonically encoded `cast` holds the batch's bytes.
BATCH_AT: constant(uint256) = 100
BATCH_OFFSET: constant(uint256) = 64

PROOF_TAG: constant(bytes32) = sha256("JMEV1/ballot-pok")
BALLOT_TAG: constant(bytes32) = sha256("JMEV1/ballot-sig")
WITHDRAW_TAG: constant(bytes32) = sha256("JMEV1/withdraw")

# Why an item was refused.
LENGTH: constant(uint256) = 1
FOREIGN: constant(uint256) = 2
KEY: constant(uint256) = 3
WITHDRAWN: constant(uint256) = 4
SEQUENCE: constant(uint256) = 5
INTERVAL: constant(uint256) = 6
STYLE: constant(uint256) = 7
POINT: constant(uint256) = 8
SCALAR: constant(uint256) = 9
PROOF: constant(uint256) = 10
SIGNATURE: constant(uint256) = 11

# A key's standing in one word: withdrawn, then sequence, time, height and index in the box.
WITHDRAWN_FLAG: constant(uint256) = 2 ** 255
SEQUENCE_SHIFT: constant(uint256) = 192
TIME_SHIFT: constant(uint256) = 128
HEIGHT_SHIFT: constant(uint256) = 64
WORD: constant(uint256) = 2 ** 64 - 1
SEQUENCE_WORD: constant(uint256) = 2 ** 63 - 1


struct Limits:
    max_sequence: uint256
    min_interval_s: uint256


struct Box:
    value: bytes32
    count: uint256
    is_closed: bool


struct Standing:
    digest: bytes32
    sequence: uint256
    cast_at: uint256
    height: uint256
    index: uint256
    is_withdrawn: bool


struct Record:
    digest: bytes32
    standing: uint256


ELECTIONS: public(immutable(address))

boxes: HashMap[bytes32, Box]
# By election and keccak of the ballot key's coordinates.
records: HashMap[bytes32, HashMap[bytes32, Record]]


event BallotCast:
    eid: indexed(bytes32)
    key_hash: indexed(bytes32)
    digest: indexed(bytes32)
    index: uint256
    core: Bytes[CORE_SIZE_MAX]


event BallotRefused:
    eid: indexed(bytes32)
    item: uint256
    reason: uint256


event KeyWithdrawn:
    eid: indexed(bytes32)
    key_hash: indexed(bytes32)
    sequence: uint256


event BoxClosed:
    eid: indexed(bytes32)
    count: uint256
    value: bytes32


@deploy
def __init__(elections: address):
    """
    @param elections The contract that holds the terms.
    """
    ELECTIONS = elections


@external
def cast(eid: bytes32, batch: Bytes[BATCH_SIZE_MAX]):
    """
    @notice Record the ballots of a batch that keep every rule, and refuse the others one by one.
            Events say which; a value returned would have to be paid for behind the largest batch.
    @param eid The election.
    @param batch For each ballot the size of its core in 2 bytes, the core, r, s and v (27 or 28).
    """
    self._cast(eid, len(batch))


@external
def withdraw(eid: bytes32, x: uint256, y: uint256, v: uint256, r: uint256, s: uint256):
    """
    @notice Take a ballot key out of the count for good, at its own signed wish.
    """
    limits: Limits = self._open_limits(eid)
    assert self._is_on_curve(x, y), "ballot_box: not a key"
    key_hash: bytes32 = keccak256(abi_encode(x, y))
    standing: uint256 = self.records[eid][key_hash].standing
    assert standing & WITHDRAWN_FLAG == 0, "ballot_box: key is withdrawn"
    sequence: uint256 = (standing >> SEQUENCE_SHIFT) + 1
    digest: bytes32 = sha256(
        concat(
            WITHDRAW_TAG,
            WITHDRAW_TAG,
            eid,
            convert(x, bytes32),
            convert(y, bytes32),
            convert(convert(sequence, uint64), bytes8),
        )
    )
    assert self._is_signed(digest, v, r, s, key_hash), "ballot_box: not signed by the key"
    self.records[eid][key_hash].standing = standing | WITHDRAWN_FLAG
    log KeyWithdrawn(eid=eid, key_hash=key_hash, sequence=sequence)


@external
def close(eid: bytes32):
    """
    @notice Record, once the closing time has come, that the count and the chain are final.
    """
    opens_at: uint256 = 0
    closes_at: uint256 = 0
    max_sequence: uint256 = 0
    min_interval_s: uint256 = 0
    is_relay: bool = False
    opens_at, closes_at, max_sequence, min_interval_s, is_relay = staticcall IElections(
        ELECTIONS
    ).ballot_rules(eid, msg.sender)
    assert block.timestamp >= closes_at, "ballot_box: not yet closing time"
    box: Box = self._load_box(eid)
    assert not box.is_closed, "ballot_box: already closed"
    box.is_closed = True
    self.boxes[eid] = box
    log BoxClosed(eid=eid, count=box.count, value=box.value)


@external
@view
def box_of(eid: bytes32) -> Box:
    """
    @notice Return the chain's value over all ballots so far, their count, and whether that is
            final.
    """
    return self._load_box(eid)


@external
@view
def standing_of(eid: bytes32, x: uint256, y: uint256) -> Standing:
    """
    @notice Return a key's last ballot, when and where it was recorded; zeros for a key unseen.
    """
    record: Record = self.records[eid][keccak256(abi_encode(x, y))]
    return Standing(
        digest=record.digest,
        sequence=(record.standing & ~WITHDRAWN_FLAG) >> SEQUENCE_SHIFT,
        cast_at=(record.standing >> TIME_SHIFT) & WORD,
        height=(record.standing >> HEIGHT_SHIFT) & WORD,
        index=record.standing & WORD,
        is_withdrawn=record.standing & WITHDRAWN_FLAG != 0,
    )


@internal
def _cast(eid: bytes32, size: uint256):
    """
    @notice Go through a batch of `size` bytes. They are read where they lie in the call data: a
            copy would have to make room for the largest batch.
    """
    assert (
        convert(slice(msg.data, 36, 32), uint256) == BATCH_OFFSET
    ), "ballot_box: encoding is not canonical"
    assert size > 0, "ballot_box: empty batch"
    limits: Limits = self._open_limits(eid)
    box: Box = self._load_box(eid)
    before: uint256 = box.count
    at: uint256 = BATCH_AT
    end: uint256 = BATCH_AT + size
    for item: uint256 in range(BALLOT_COUNT_MAX):
        if at == end:
            break
        assert at + SIZE_SIZE <= end, "ballot_box: batch is cut off"
        core_size: uint256 = convert(slice(msg.data, at, SIZE_SIZE), uint256)
        at += SIZE_SIZE
        assert at + core_size + SIGNATURE_SIZE <= end, "ballot_box: batch is cut off"
        reason: uint256 = 0
        digest: bytes32 = empty(bytes32)
        reason, digest = self._take(eid, at, core_size, limits, box.count)
        if reason == 0:
            box.value = sha256(
                concat(box.value, digest, convert(convert(box.count, uint64), bytes8))
            )
            box.count += 1
        else:
            log BallotRefused(eid=eid, item=item, reason=reason)
        at += core_size + SIGNATURE_SIZE
    assert at == end, "ballot_box: too many ballots"
    if box.count != before:
        self.boxes[eid] = box


@internal
def _take(
    eid: bytes32, at: uint256, core_size: uint256, limits: Limits, index: uint256
) -> (uint256, bytes32):
    """
    @notice Check the ballot at `at` in the call data and record it if it keeps every rule.
    @return 0 and its digest, or why it is refused.
    """
    if core_size < HEAD_SIZE + RACE_SIZE or core_size > CORE_SIZE_MAX:
        return LENGTH, empty(bytes32)
    if (core_size - HEAD_SIZE) % RACE_SIZE != 0:
        return LENGTH, empty(bytes32)
    head: Bytes[HEAD_SIZE] = slice(msg.data, at, HEAD_SIZE)
    key_hash: bytes32 = keccak256(slice(head, 35, 64))
    sequence: uint256 = convert(slice(head, 99, 8), uint256)
    reason: uint256 = self._check_head(eid, head)
    if reason == 0:
        reason = self._check_standing(self.records[eid][key_hash].standing, sequence, limits)
    if reason != 0:
        return reason, empty(bytes32)
    statement: Bytes[106] = slice(head, 1, 106)
    races: bytes32 = empty(bytes32)
    core: Bytes[CORE_SIZE_MAX] = head
    for place: uint256 in range((core_size - HEAD_SIZE) // RACE_SIZE, bound=RACE_COUNT_MAX):
        race: Bytes[RACE_SIZE] = slice(msg.data, at + HEAD_SIZE + RACE_SIZE * place, RACE_SIZE)
        reason = self._check_race(statement, race)
        if reason != 0:
            return reason, empty(bytes32)
        races = keccak256(abi_encode(races, extract32(race, 0, output_type=uint256) >> 240))
        core = convert(concat(core, race), Bytes[CORE_SIZE_MAX])
    style: uint256 = convert(slice(head, 33, 2), uint256)
    if staticcall IElections(ELECTIONS).style_digest(eid, style) != races:
        return STYLE, empty(bytes32)
    digest: bytes32 = sha256(concat(BALLOT_TAG, BALLOT_TAG, core))
    signature: Bytes[SIGNATURE_SIZE] = slice(msg.data, at + core_size, SIGNATURE_SIZE)
    if not self._is_signed(
        digest,
        convert(slice(signature, 64, 1), uint256),
        extract32(signature, 0, output_type=uint256),
        extract32(signature, 32, output_type=uint256),
        key_hash,
    ):
        return SIGNATURE, empty(bytes32)
    self.records[eid][key_hash] = Record(
        digest=digest,
        standing=(sequence << SEQUENCE_SHIFT)
        | (block.timestamp << TIME_SHIFT)
        | (block.number << HEIGHT_SHIFT)
        | index,
    )
    log BallotCast(eid=eid, key_hash=key_hash, digest=digest, index=index, core=core)
    return 0, digest


@internal
@pure
def _check_head(eid: bytes32, head: Bytes[HEAD_SIZE]) -> uint256:
    """
    @notice Check version, election and key.
    """
    if convert(slice(head, 0, 1), uint256) != VERSION or extract32(head, 1) != eid:
        return FOREIGN
    if not self._is_on_curve(
        extract32(head, 35, output_type=uint256), extract32(head, 67, output_type=uint256)
    ):
        return KEY
    return 0


@internal
@view
def _check_standing(standing: uint256, sequence: uint256, limits: Limits) -> uint256:
    """
    @notice Check that a ballot is the next of its key, and not too soon.
    """
    if standing & WITHDRAWN_FLAG != 0:
        return WITHDRAWN
    if sequence != (standing >> SEQUENCE_SHIFT) + 1 or sequence > limits.max_sequence:
        return SEQUENCE
    if block.timestamp < ((standing >> TIME_SHIFT) & WORD) + limits.min_interval_s:
        return INTERVAL
    return 0


@internal
@pure
def _check_race(statement: Bytes[106], race: Bytes[RACE_SIZE]) -> uint256:
    """
    @notice Check one race's points, scalars and proof of knowledge.
    @param statement Election, style, key and sequence: what precedes the race in the transcript.
    """
    a_x: uint256 = extract32(race, 2, output_type=uint256)
    a_y: uint256 = extract32(race, 34, output_type=uint256)
    if not self._is_on_curve(a_x, a_y):
        return POINT
    if not self._is_on_curve(
        extract32(race, 66, output_type=uint256), extract32(race, 98, output_type=uint256)
    ):
        return POINT
    z: uint256 = extract32(race, 194, output_type=uint256)
    if a_x == 0 or a_x >= ORDER or z == 0 or z >= ORDER:
        return SCALAR
    challenge: uint256 = (
        convert(
            sha256(concat(PROOF_TAG, PROOF_TAG, statement, slice(race, 0, 194))), uint256
        )
        % ORDER
    )
    if challenge == 0:
        return PROOF
    recovered: address = ecrecover(
        convert(ORDER - uint256_mulmod(z, a_x, ORDER), bytes32),
        27 + (a_y & 1),
        a_x,
        ORDER - uint256_mulmod(challenge, a_x, ORDER),
    )
    if not self._is_address_of(recovered, keccak256(slice(race, 130, 64))):
        return PROOF
    return 0


@internal
@pure
def _is_on_curve(x: uint256, y: uint256) -> bool:
    """
    @notice Tell whether both coordinates are below p and y^2 = x^3 + 7.
    """
    if x >= FIELD_PRIME or y >= FIELD_PRIME:
        return False
    cube: uint256 = uint256_mulmod(uint256_mulmod(x, x, FIELD_PRIME), x, FIELD_PRIME)
    return uint256_mulmod(y, y, FIELD_PRIME) == uint256_addmod(cube, 7, FIELD_PRIME)


@internal
@pure
def _is_signed(
    digest: bytes32, v: uint256, r: uint256, s: uint256, key_hash: bytes32
) -> bool:
    """
    @notice Tell whether a low-s signature with v 27 or 28 is of the key with this hash.
    """
    if s > HALF_ORDER:
        return False
    return self._is_address_of(ecrecover(digest, v, r, s), key_hash)


@internal
@pure
def _is_address_of(account: address, point_hash: bytes32) -> bool:
    """
    @notice Tell whether `account` is the address of the point with this hash; zero never is.
    """
    return account != empty(address) and convert(account, uint256) == (
        convert(point_hash, uint256) & ADDRESS_MASK
    )


@internal
@view
def _open_limits(eid: bytes32) -> Limits:
    """
    @notice Check that a relay sends while the election is open, and return its limits.
    """
    opens_at: uint256 = 0
    closes_at: uint256 = 0
    max_sequence: uint256 = 0
    min_interval_s: uint256 = 0
    is_relay: bool = False
    opens_at, closes_at, max_sequence, min_interval_s, is_relay = staticcall IElections(
        ELECTIONS
    ).ballot_rules(eid, msg.sender)
    assert is_relay, "ballot_box: sender is no relay"
    assert block.timestamp >= opens_at, "ballot_box: not open"
    assert block.timestamp < closes_at, "ballot_box: closed"
    return Limits(max_sequence=max_sequence, min_interval_s=min_interval_s)


@internal
@view
def _load_box(eid: bytes32) -> Box:
    """
    @notice Return the box; the chain of an election begins with its id.
    """
    box: Box = self.boxes[eid]
    if box.value == empty(bytes32):
        box.value = eid
    return box
