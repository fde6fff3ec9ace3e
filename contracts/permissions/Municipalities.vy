# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Municipalities
@license Apache-2.0
@notice The municipalities that run the ledger: who they are, with which account they vote, which
        validator key and address on the network they use.

        Who may call what:
        - the account of an active municipality: `register`, `activate`, `deactivate`,
          `set_account`, `set_validator` and `set_role` as a vote; they take effect with the
          majority of the active municipalities (module majority);
        - the same account alone: `set_endpoint` for its own municipality, `withdraw_vote`;
        - anyone: the views.

        Ids are given once, from 1, and are never used again. The last active municipality cannot
        be deactivated. Stands at its address from genesis on, with the founding municipalities in
        its first storage; no constructor runs. What is stored of a validator key is for people
        and clients: who validates is decided by votes in headers, who connects by the local
        membership file.
@custom:spec PERM-MUNICIPALITIES, PERM-LAST, PERM-MAJORITY.
"""

from ..interfaces import IMunicipalities
from ..modules import majority

implements: IMunicipalities

initializes: majority

exports: majority.proposal


MUNICIPALITY_COUNT_MAX: constant(uint256) = 64


flag Role:
    VALIDATOR
    OBSERVER


struct Municipality:
    name: String[64]
    account: address
    validator: address
    role: Role
    endpoint: String[128]


municipality_count: public(uint256)
active_mask: public(uint256)
id_of: public(HashMap[address, uint256])
municipalities: HashMap[uint256, Municipality]


event MunicipalityRegistered:
    municipality: indexed(uint256)
    account: indexed(address)
    validator: indexed(address)
    name: String[64]
    role: Role
    endpoint: String[128]


event MunicipalityActivated:
    municipality: indexed(uint256)


event MunicipalityDeactivated:
    municipality: indexed(uint256)


event AccountChanged:
    municipality: indexed(uint256)
    former: indexed(address)
    account: indexed(address)


event ValidatorChanged:
    municipality: indexed(uint256)
    former: indexed(address)
    validator: indexed(address)


event RoleChanged:
    municipality: indexed(uint256)
    role: Role


event EndpointChanged:
    municipality: indexed(uint256)
    endpoint: String[128]


@external
def register(
    name: String[64],
    account: address,
    validator: address,
    role: Role,
    endpoint: String[128],
) -> bool:
    """
    @notice Vote to take in a municipality; with the majority it gets the next id and is active.
    """
    assert len(name) > 0, "municipalities: empty name"
    self._check_new_account(account)
    self._check_role(role)
    assert self.municipality_count < MUNICIPALITY_COUNT_MAX, "municipalities: too many"
    if not self._vote(
        keccak256(
            abi_encode(
                name,
                account,
                validator,
                role,
                endpoint,
                method_id=method_id("register(string,address,address,uint256,string)"),
            )
        )
    ):
        return False
    id: uint256 = self.municipality_count + 1
    self.municipality_count = id
    self.active_mask |= 1 << id
    self.id_of[account] = id
    self.municipalities[id] = Municipality(
        name=name, account=account, validator=validator, role=role, endpoint=endpoint
    )
    log MunicipalityRegistered(
        municipality=id,
        account=account,
        validator=validator,
        name=name,
        role=role,
        endpoint=endpoint,
    )
    return True


@external
def activate(id: uint256) -> bool:
    """
    @notice Vote to let a municipality that was deactivated take part again.
    """
    self._check_exists(id)
    assert self.active_mask & (1 << id) == 0, "municipalities: already active"
    if not self._vote(
        keccak256(abi_encode(id, method_id=method_id("activate(uint256)")))
    ):
        return False
    self.active_mask |= 1 << id
    log MunicipalityActivated(municipality=id)
    return True


@external
def deactivate(id: uint256) -> bool:
    """
    @notice Vote to shut a municipality out: its account, its services and the residents it
            attested may no longer send.
    """
    self._check_exists(id)
    assert self.active_mask & (1 << id) != 0, "municipalities: not active"
    assert self.active_mask != 1 << id, "municipalities: the last one must stay"
    if not self._vote(
        keccak256(abi_encode(id, method_id=method_id("deactivate(uint256)")))
    ):
        return False
    self.active_mask ^= 1 << id
    log MunicipalityDeactivated(municipality=id)
    return True


@external
def set_account(id: uint256, account: address) -> bool:
    """
    @notice Vote to give a municipality another voting account, as after a lost key.
    """
    self._check_exists(id)
    self._check_new_account(account)
    if not self._vote(
        keccak256(abi_encode(id, account, method_id=method_id("set_account(uint256,address)")))
    ):
        return False
    former: address = self.municipalities[id].account
    self.id_of[former] = 0
    self.id_of[account] = id
    self.municipalities[id].account = account
    log AccountChanged(municipality=id, former=former, account=account)
    return True


@external
def set_validator(id: uint256, validator: address) -> bool:
    """
    @notice Vote to record another validator key of a municipality.
    """
    self._check_exists(id)
    if not self._vote(
        keccak256(
            abi_encode(id, validator, method_id=method_id("set_validator(uint256,address)"))
        )
    ):
        return False
    former: address = self.municipalities[id].validator
    self.municipalities[id].validator = validator
    log ValidatorChanged(municipality=id, former=former, validator=validator)
    return True


@external
def set_role(id: uint256, role: Role) -> bool:
    """
    @notice Vote to record whether a municipality validates or observes.
    """
    self._check_exists(id)
    self._check_role(role)
    if not self._vote(
        keccak256(abi_encode(id, role, method_id=method_id("set_role(uint256,uint256)")))
    ):
        return False
    self.municipalities[id].role = role
    log RoleChanged(municipality=id, role=role)
    return True


@external
def set_endpoint(endpoint: String[128]):
    """
    @notice Record where the caller's municipality can be reached.
    """
    id: uint256 = self._active_caller()
    self.municipalities[id].endpoint = endpoint
    log EndpointChanged(municipality=id, endpoint=endpoint)


@external
def withdraw_vote(id: bytes32):
    """
    @notice Take back the caller's vote for an open proposal.
    """
    majority._withdraw(id, self._active_caller())


@external
@view
def municipality(id: uint256) -> Municipality:
    """
    @notice Return what is recorded of a municipality; empty for an id never given.
    """
    return self.municipalities[id]


@external
@view
def is_active(id: uint256) -> bool:
    """
    @notice Tell whether a municipality takes part.
    """
    return id <= MUNICIPALITY_COUNT_MAX and self.active_mask & (1 << id) != 0


@external
@view
def needed() -> uint256:
    """
    @notice Return how many votes carry a proposal now.
    """
    return majority._needed(self.active_mask)


@external
@view
def voter(account: address) -> (uint256, uint256):
    """
    @notice Return the id of the municipality that votes with `account` (0 when none does) and
            the set of active municipalities as a bit mask (bit i for id i).
    """
    return self.id_of[account], self.active_mask


@internal
def _vote(id: bytes32) -> bool:
    return majority._vote(id, self._active_caller(), self.active_mask)


@internal
@view
def _active_caller() -> uint256:
    id: uint256 = self.id_of[msg.sender]
    assert id != 0 and self.active_mask & (1 << id) != 0, "municipalities: caller has no vote"
    return id


@internal
@view
def _check_exists(id: uint256):
    assert id != 0 and id <= self.municipality_count, "municipalities: no such municipality"


@internal
@view
def _check_new_account(account: address):
    assert account != empty(address), "municipalities: empty account"
    assert self.id_of[account] == 0, "municipalities: account already votes"


@internal
@view
def _check_role(role: Role):
    assert role == Role.VALIDATOR or role == Role.OBSERVER, "municipalities: no such role"
