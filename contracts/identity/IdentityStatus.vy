# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Identity status
@license Apache-2.0
@notice What a municipality's identity hub says about addresses of residents: that a person it has
        identified stands behind one, how well, as of when and until when. A record runs out by
        itself unless the hub renews it; a suspended or removed one does not come back by waiting.

        An address belongs to one sector of one person. No record names person, card or sector, and
        nothing here connects two addresses: a batch holds addresses with equal records in the
        order of their numbers, and instants are whole multiples of `BUCKET`, so neither order nor
        time tells who was written with whom. The hub keeps a person's sectors in batches apart.

        Who may call what:
        - a service with the right to attest, of an active municipality: `record`, for addresses
          that no other municipality's standing record holds;
        - anyone: the views.

        How it is stopped: a service or its right to attest by the majority or its municipality
        (`AccountPermissions`); the records of a deactivated municipality count no more.
@custom:spec ID-CHAIN-WRITE, ID-CHAIN-COARSE, ID-CHAIN-EXPIRY.
"""

from ..interfaces import IMunicipalities


interface IAccountPermissions:
    def is_attester(account: address) -> bool: view
    def is_service(account: address) -> bool: view
    def service_municipality(account: address) -> uint256: view


PERMISSIONS: public(constant(address)) = 0x00000000000000000000000000000000DA1C0001
MUNICIPALITIES: public(constant(address)) = 0x00000000000000000000000000000000DA1C0002
BATCH_MAX: public(constant(uint256)) = 100
BUCKET: public(constant(uint256)) = 6 * 60 * 60
LIFETIME_MAX: public(constant(uint256)) = 48 * 60 * 60
LEVEL_MAX: public(constant(uint256)) = 3

UNKNOWN: constant(uint256) = 0
VERIFIED: constant(uint256) = 1
ATTRIBUTES_UNCONFIRMED: constant(uint256) = 2
GRACE: constant(uint256) = 3
DOWNGRADED: constant(uint256) = 4
SUSPENDED: constant(uint256) = 5
REMOVED: constant(uint256) = 6
EXPIRED: constant(uint256) = 7

INSTANT_MASK: constant(uint256) = 2 ** 64 - 1
BYTE_MASK: constant(uint256) = 2 ** 8 - 1


struct Record:
    municipality: uint256
    status: uint256
    proofing_level: uint256
    checked_at: uint256
    expires_at: uint256


# From the low end: expiry and check in 64 bits each, municipality, status, level in 8 bits each.
records: HashMap[address, uint256]


event StatusRecorded:
    account: indexed(address)
    municipality: indexed(uint256)
    status: uint256
    proofing_level: uint256
    checked_at: uint256
    expires_at: uint256


@external
def record(
    accounts: DynArray[address, BATCH_MAX],
    status: uint256,
    proofing_level: uint256,
    checked_at: uint256,
    expires_at: uint256,
):
    """
    @notice Write one record for each address, in place of what stood there.
    @param accounts Ascending, each once.
    @param status VERIFIED to REMOVED.
    @param proofing_level How well the person was identified, 0 to 3.
    @param checked_at The instant the authority vouched for; never before that of the last record.
    @param expires_at From when on the record says nothing.
    """
    municipality: uint256 = self._recording_caller()
    assert len(accounts) > 0, "identity_status: empty batch"
    assert VERIFIED <= status and status <= REMOVED, "identity_status: no such status"
    assert proofing_level <= LEVEL_MAX, "identity_status: no such level"
    assert (
        checked_at % BUCKET == 0 and expires_at % BUCKET == 0
    ), "identity_status: an instant is no multiple of the bucket"
    assert checked_at <= block.timestamp, "identity_status: checked in the future"
    assert expires_at > block.timestamp, "identity_status: already expired"
    assert expires_at - checked_at <= LIFETIME_MAX, "identity_status: lives too long"
    entry: uint256 = (
        proofing_level << 144 | status << 136 | municipality << 128 | checked_at << 64 | expires_at
    )
    last: uint256 = 0
    for account: address in accounts:
        number: uint256 = convert(account, uint256)
        assert number > last, "identity_status: addresses not ascending"
        last = number
        self._check_place(self.records[account], municipality, checked_at)
        self.records[account] = entry
        log StatusRecorded(
            account=account,
            municipality=municipality,
            status=status,
            proofing_level=proofing_level,
            checked_at=checked_at,
            expires_at=expires_at,
        )


@external
@view
def record_of(account: address) -> Record:
    """
    @notice Return what was last written about an address; zeros for nothing.
    """
    return self._unpack(self.records[account])


@external
@view
def status_of(account: address) -> uint256:
    """
    @notice Return the status of an address now: UNKNOWN, or what was written, or EXPIRED once it ran
            out or its municipality is no longer active. Suspended and removed do not run out.
    """
    return self._status_now(self.records[account])


@external
@view
def is_verified(account: address, proofing_level_min: uint256) -> bool:
    """
    @notice Tell whether an identified person stands behind an address now, with or without
            confirmed attributes, in a grace period or not.
    """
    entry: uint256 = self.records[account]
    status: uint256 = self._status_now(entry)
    return (
        status in [VERIFIED, ATTRIBUTES_UNCONFIRMED, GRACE]
        and entry >> 144 & BYTE_MASK >= proofing_level_min
    )


@internal
@view
def _check_place(entry: uint256, municipality: uint256, checked_at: uint256):
    if entry == 0:
        return
    if entry >> 128 & BYTE_MASK == municipality:
        assert checked_at >= entry >> 64 & INSTANT_MASK, "identity_status: checked before the last"
        return
    status: uint256 = entry >> 136 & BYTE_MASK
    assert (
        entry & INSTANT_MASK <= block.timestamp and status != SUSPENDED and status != REMOVED
    ), "identity_status: recorded by another municipality"


@internal
@view
def _status_now(entry: uint256) -> uint256:
    status: uint256 = entry >> 136 & BYTE_MASK
    if status == UNKNOWN or status == SUSPENDED or status == REMOVED:
        return status
    if entry & INSTANT_MASK <= block.timestamp or not self._is_active(entry >> 128 & BYTE_MASK):
        return EXPIRED
    return status


@internal
@pure
def _unpack(entry: uint256) -> Record:
    return Record(
        municipality=entry >> 128 & BYTE_MASK,
        status=entry >> 136 & BYTE_MASK,
        proofing_level=entry >> 144 & BYTE_MASK,
        checked_at=entry >> 64 & INSTANT_MASK,
        expires_at=entry & INSTANT_MASK,
    )


@internal
@view
def _recording_caller() -> uint256:
    assert staticcall IAccountPermissions(PERMISSIONS).is_attester(
        msg.sender
    ), "identity_status: caller may not attest"
    assert staticcall IAccountPermissions(PERMISSIONS).is_service(
        msg.sender
    ), "identity_status: municipality not active"
    return staticcall IAccountPermissions(PERMISSIONS).service_municipality(msg.sender)


@internal
@view
def _is_active(municipality: uint256) -> bool:
    voter: uint256 = 0
    active: uint256 = 0
    voter, active = staticcall IMunicipalities(MUNICIPALITIES).voter(self)
    return active & (1 << municipality) != 0
