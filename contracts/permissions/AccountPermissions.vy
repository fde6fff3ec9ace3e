# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Account permissions
@license Apache-2.0
@notice Who may send transactions. Every validator reads this storage in the state of the parent
        block and refuses a block that holds a transaction of anyone else, so what is written here
        binds from the next block on.

        - Governors may create contracts and call any.
        - Services, accounts run by one municipality, may call any contract.
        - Residents, attested by services that were given the right, may call any contract until
          their attestation expires.
        - Open calls are pairs of a contract and a selector that anyone may call, inside a gas
          cap, and only if the call succeeds.

        Who may call what:
        - the account of an active municipality, as a vote: `add_governor`, `remove_governor`,
          `expel_service`, `grant_attestation`, `revoke_attestation`, `open_call`, `close_call`;
          they take effect with the majority of the active municipalities (module majority);
        - the same account alone: `add_service`, `remove_service`, `renounce_attestation` for
          services of its own municipality, since it answers for them; `withdraw_vote`;
        - a service with the right to attest, of an active municipality: `attest_residents`,
          `revoke_residents`;
        - anyone: the views.

        How it is stopped: a service or its right to attest by the majority or its municipality,
        a municipality with all its services and residents by `Municipalities.deactivate`.
        The last governor cannot be removed. Stands at its address from genesis on; no
        constructor runs.
@custom:spec PERM-OWN-SERVICES, PERM-ATTEST, PERM-LAST, PERM-MAJORITY.
"""

from ..interfaces import IMunicipalities
from ..modules import majority

initializes: majority

exports: majority.proposal


MUNICIPALITIES: public(constant(address)) = 0x00000000000000000000000000000000DA1C0002
GOVERNOR_COUNT_MAX: public(constant(uint256)) = 64
SERVICE_COUNT_MAX: public(constant(uint256)) = 64
RESIDENT_BATCH_MAX: constant(uint256) = 100
RESIDENT_LIFETIME_MAX: public(constant(uint256)) = 400 * 24 * 60 * 60
EXPIRY_MASK: constant(uint256) = 2 ** 64 - 1


governor_count: public(uint256)
is_governor: public(HashMap[address, bool])
service_municipality: public(HashMap[address, uint256])
service_count: public(HashMap[uint256, uint256])
is_attester: public(HashMap[address, bool])
# Expiry in the low 64 bits, the attesting municipality above: one slot for each resident.
residents: HashMap[address, uint256]
open_call_gas_max: public(HashMap[address, HashMap[bytes4, uint256]])


event GovernorAdded:
    account: indexed(address)


event GovernorRemoved:
    account: indexed(address)


event ServiceAdded:
    account: indexed(address)
    municipality: indexed(uint256)


event ServiceRemoved:
    account: indexed(address)
    municipality: indexed(uint256)


event AttestationGranted:
    account: indexed(address)
    municipality: indexed(uint256)


event AttestationRevoked:
    account: indexed(address)
    municipality: indexed(uint256)


event ResidentAttested:
    account: indexed(address)
    municipality: indexed(uint256)
    expires_at: uint256


event ResidentRevoked:
    account: indexed(address)
    municipality: indexed(uint256)


event CallOpened:
    target: indexed(address)
    selector: indexed(bytes4)
    gas_max: uint256


event CallClosed:
    target: indexed(address)
    selector: indexed(bytes4)


@external
def add_governor(account: address) -> bool:
    """
    @notice Vote to let an account create contracts.
    """
    assert account != empty(address), "account_permissions: empty account"
    assert not self.is_governor[account], "account_permissions: already a governor"
    assert self.governor_count < GOVERNOR_COUNT_MAX, "account_permissions: too many governors"
    if not self._vote(
        keccak256(abi_encode(account, method_id=method_id("add_governor(address)")))
    ):
        return False
    self.is_governor[account] = True
    self.governor_count += 1
    log GovernorAdded(account=account)
    return True


@external
def remove_governor(account: address) -> bool:
    """
    @notice Vote to take a governor's right away; the last one stays.
    """
    assert self.is_governor[account], "account_permissions: not a governor"
    assert self.governor_count > 1, "account_permissions: the last governor must stay"
    if not self._vote(
        keccak256(abi_encode(account, method_id=method_id("remove_governor(address)")))
    ):
        return False
    self.is_governor[account] = False
    self.governor_count -= 1
    log GovernorRemoved(account=account)
    return True


@external
def grant_attestation(account: address) -> bool:
    """
    @notice Vote to let a service attest residents.
    """
    assert self.service_municipality[account] != 0, "account_permissions: not a service"
    assert not self.is_attester[account], "account_permissions: already attests"
    if not self._vote(
        keccak256(abi_encode(account, method_id=method_id("grant_attestation(address)")))
    ):
        return False
    self.is_attester[account] = True
    log AttestationGranted(
        account=account, municipality=self.service_municipality[account]
    )
    return True


@external
def revoke_attestation(account: address) -> bool:
    """
    @notice Vote to take a service's right to attest away.
    """
    assert self.is_attester[account], "account_permissions: does not attest"
    if not self._vote(
        keccak256(abi_encode(account, method_id=method_id("revoke_attestation(address)")))
    ):
        return False
    self._drop_attestation(account)
    return True


@external
def expel_service(account: address) -> bool:
    """
    @notice Vote to remove another municipality's service.
    """
    assert self.service_municipality[account] != 0, "account_permissions: not a service"
    if not self._vote(
        keccak256(abi_encode(account, method_id=method_id("expel_service(address)")))
    ):
        return False
    self._drop_service(account)
    return True


@external
def open_call(target: address, selector: bytes4, gas_max: uint256) -> bool:
    """
    @notice Vote to let anyone call `selector` of `target` with at most `gas_max` gas; replaces
            the cap when the call is open already.
    """
    assert target != empty(address), "account_permissions: empty target"
    assert gas_max > 0, "account_permissions: zero gas cap"
    assert self.open_call_gas_max[target][selector] != gas_max, "account_permissions: already open"
    if not self._vote(
        keccak256(
            abi_encode(
                target,
                selector,
                gas_max,
                method_id=method_id("open_call(address,bytes4,uint256)"),
            )
        )
    ):
        return False
    self.open_call_gas_max[target][selector] = gas_max
    log CallOpened(target=target, selector=selector, gas_max=gas_max)
    return True


@external
def close_call(target: address, selector: bytes4) -> bool:
    """
    @notice Vote to close an open call.
    """
    assert self.open_call_gas_max[target][selector] != 0, "account_permissions: not open"
    if not self._vote(
        keccak256(
            abi_encode(target, selector, method_id=method_id("close_call(address,bytes4)"))
        )
    ):
        return False
    self.open_call_gas_max[target][selector] = 0
    log CallClosed(target=target, selector=selector)
    return True


@external
def withdraw_vote(id: bytes32):
    """
    @notice Take back the caller's vote for an open proposal.
    """
    municipality: uint256 = 0
    active: uint256 = 0
    municipality, active = self._active_caller()
    majority._withdraw(id, municipality)


@external
def add_service(account: address):
    """
    @notice Let an account of the caller's municipality send transactions.
    """
    municipality: uint256 = 0
    active: uint256 = 0
    municipality, active = self._active_caller()
    assert account != empty(address), "account_permissions: empty account"
    assert self.service_municipality[account] == 0, "account_permissions: already a service"
    assert (
        self.service_count[municipality] < SERVICE_COUNT_MAX
    ), "account_permissions: too many services"
    self.service_municipality[account] = municipality
    self.service_count[municipality] += 1
    log ServiceAdded(account=account, municipality=municipality)


@external
def remove_service(account: address):
    """
    @notice Remove a service of the caller's own municipality.
    """
    self._check_own_service(account)
    self._drop_service(account)


@external
def renounce_attestation(account: address):
    """
    @notice Take the right to attest from a service of the caller's own municipality.
    """
    self._check_own_service(account)
    assert self.is_attester[account], "account_permissions: does not attest"
    self._drop_attestation(account)


@external
def attest_residents(accounts: DynArray[address, RESIDENT_BATCH_MAX], expires_at: uint256):
    """
    @notice Let residents send until `expires_at` (seconds), again or for the first time. An
            attestation of another municipality that still holds cannot be taken over.
    """
    municipality: uint256 = self._attesting_caller()
    assert expires_at > block.timestamp, "account_permissions: already expired"
    assert (
        expires_at <= block.timestamp + RESIDENT_LIFETIME_MAX
    ), "account_permissions: expires too late"
    for account: address in accounts:
        assert account != empty(address), "account_permissions: empty account"
        entry: uint256 = self.residents[account]
        assert (
            entry >> 64 == municipality or entry & EXPIRY_MASK <= block.timestamp
        ), "account_permissions: attested by another municipality"
        self.residents[account] = municipality << 64 | expires_at
        log ResidentAttested(
            account=account, municipality=municipality, expires_at=expires_at
        )


@external
def revoke_residents(accounts: DynArray[address, RESIDENT_BATCH_MAX]):
    """
    @notice Take back attestations of the caller's municipality.
    """
    municipality: uint256 = self._attesting_caller()
    for account: address in accounts:
        assert (
            self.residents[account] >> 64 == municipality
        ), "account_permissions: not attested by this municipality"
        self.residents[account] = 0
        log ResidentRevoked(account=account, municipality=municipality)


@external
@view
def resident(account: address) -> (uint256, uint256):
    """
    @notice Return the municipality that attested a resident and when that expires; zeros for
            none. It counts while the municipality is active and the expiry lies ahead.
    """
    entry: uint256 = self.residents[account]
    return entry >> 64, entry & EXPIRY_MASK


@external
@view
def is_service(account: address) -> bool:
    """
    @notice Tell whether an account may send as a service now.
    """
    return self._is_active(self.service_municipality[account])


@external
@view
def is_resident(account: address) -> bool:
    """
    @notice Tell whether an account may send as a resident now.
    """
    entry: uint256 = self.residents[account]
    return block.timestamp < entry & EXPIRY_MASK and self._is_active(entry >> 64)


@internal
def _vote(id: bytes32) -> bool:
    municipality: uint256 = 0
    active: uint256 = 0
    municipality, active = self._active_caller()
    return majority._vote(id, municipality, active)


@internal
def _drop_service(account: address):
    municipality: uint256 = self.service_municipality[account]
    if self.is_attester[account]:
        self._drop_attestation(account)
    self.service_municipality[account] = 0
    self.service_count[municipality] -= 1
    log ServiceRemoved(account=account, municipality=municipality)


@internal
def _drop_attestation(account: address):
    self.is_attester[account] = False
    log AttestationRevoked(
        account=account, municipality=self.service_municipality[account]
    )


@internal
@view
def _active_caller() -> (uint256, uint256):
    municipality: uint256 = 0
    active: uint256 = 0
    municipality, active = staticcall IMunicipalities(MUNICIPALITIES).voter(msg.sender)
    assert (
        municipality != 0 and active & (1 << municipality) != 0
    ), "account_permissions: caller has no vote"
    return municipality, active


@internal
@view
def _check_own_service(account: address):
    municipality: uint256 = 0
    active: uint256 = 0
    municipality, active = self._active_caller()
    assert (
        self.service_municipality[account] == municipality
    ), "account_permissions: not a service of the caller"


@internal
@view
def _attesting_caller() -> uint256:
    assert self.is_attester[msg.sender], "account_permissions: caller may not attest"
    municipality: uint256 = self.service_municipality[msg.sender]
    assert self._is_active(municipality), "account_permissions: municipality not active"
    return municipality


@internal
@view
def _is_active(municipality: uint256) -> bool:
    if municipality == 0:
        return False
    voter: uint256 = 0
    active: uint256 = 0
    voter, active = staticcall IMunicipalities(MUNICIPALITIES).voter(self)
    return active & (1 << municipality) != 0
