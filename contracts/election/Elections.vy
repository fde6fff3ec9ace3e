# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Elections
@license Apache-2.0
@notice The elections of this ledger: the terms of each that other contracts enforce.

        A draft gives an election a name under which trustees make its keys. The majority of the
        municipalities then announces the election: each sends the same terms, and with them the
        election id, the hash of the whole manifest. The terms repeat the few fields of the
        manifest that contracts need; every municipality compares them before it votes, and
        anyone can afterwards. Once announced, terms never change.

        Who may call what:
        - the account of an active municipality alone: `draft`, `withdraw_vote`;
        - the same account as a vote: `announce`, `abandon`; they take effect with the majority of
          the active municipalities (module majority);
        - anyone: the views.

        How it is stopped: the majority abandons it. No ballot is accepted from the next
        transaction on and no result can be published; what was recorded stays.
@custom:spec ELECTION-DRAFT, ELECTION-TERMS, ELECTION-ABANDON.
"""

from ..interfaces import IElections
from ..interfaces import IMunicipalities
from ..modules import majority

implements: IElections

initializes: majority

exports: majority.proposal


MUNICIPALITIES: public(constant(address)) = 0x00000000000000000000000000000000DA1C0002
PARTY_COUNT_MAX: constant(uint256) = 64
RACE_COUNT_MAX: constant(uint256) = 64
STYLE_RACE_COUNT_MAX: constant(uint256) = 256
CANDIDATE_COUNT_MAX: constant(uint256) = 1000
SEQUENCE_MAX: constant(uint256) = 1000
INTERVAL_S_MAX: constant(uint256) = 86400
MIX_TIME_S_MIN: constant(uint256) = 10
MIX_TIME_S_MAX: constant(uint256) = 86400
NUMBER_MAX: constant(uint256) = 2 ** 16 - 1
TIME_MAX: constant(uint256) = 2 ** 53 - 1
WORD: constant(uint256) = 2 ** 64 - 1
ABANDONED: constant(uint256) = 2 ** 255


struct Race:
    race: uint256
    candidate_count: uint256


struct StyleRace:
    style: uint256
    race: uint256


struct Terms:
    draft_id: bytes32
    is_mock: bool
    opens_at: uint256
    closes_at: uint256
    freezes_at: uint256
    max_sequence: uint256
    min_interval_s: uint256
    # How long a mixer's turn lasts before it may be passed over.
    mix_time_s: uint256
    threshold: uint256
    attestations: uint256
    min_mixes: uint256
    # Municipality ids; trustee j is the j-th, from 1.
    trustees: DynArray[uint256, PARTY_COUNT_MAX]
    # The account with which each of them acts.
    trustee_accounts: DynArray[address, PARTY_COUNT_MAX]
    # Trustees' numbers, in the order in which they mix.
    mixers: DynArray[uint256, PARTY_COUNT_MAX]
    registrars: DynArray[address, PARTY_COUNT_MAX]
    relays: DynArray[address, PARTY_COUNT_MAX]
    # Ascending by race.
    races: DynArray[Race, RACE_COUNT_MAX]
    # Ascending by style, then by race.
    style_races: DynArray[StyleRace, STYLE_RACE_COUNT_MAX]


# Municipality that drafted, by draft id; 0 for none.
drafted_by: public(HashMap[bytes32, uint256])
# Election announced from a draft.
election_of: public(HashMap[bytes32, bytes32])
# ABANDONED, opens_at, closes_at, max_sequence and min_interval_s, 64 bits each from the top: one
# slot is all that a batch of ballots reads of them. 0 for an election not announced.
rules: HashMap[bytes32, uint256]
style_digest: public(HashMap[bytes32, HashMap[uint256, bytes32]])
is_relay: public(HashMap[bytes32, HashMap[address, bool]])
# A registrar's number, from 1; 0 for anyone else.
registrar_number: public(HashMap[bytes32, HashMap[address, uint256]])
candidate_count: public(HashMap[bytes32, HashMap[uint256, uint256]])
# A municipality's number among the trustees, from 1; 0 for none.
trustee_number: public(HashMap[bytes32, HashMap[uint256, uint256]])
# The municipality for which an account acts as trustee; 0 for none.
trustee_municipality: public(HashMap[bytes32, HashMap[address, uint256]])
# The trustee that mixes in a round, from 1; 0 after the last.
mixer_at: public(HashMap[bytes32, HashMap[uint256, uint256]])
draft_of: public(HashMap[bytes32, bytes32])
quorums_of: HashMap[bytes32, IElections.Quorums]


event Drafted:
    draft_id: indexed(bytes32)
    municipality: indexed(uint256)


event Announced:
    eid: indexed(bytes32)
    draft_id: indexed(bytes32)
    terms: Terms


event Abandoned:
    eid: indexed(bytes32)
    reason: bytes32


@external
def draft(draft_id: bytes32):
    """
    @notice Give an election to come its draft id, 32 random bytes, under which keys are made.
    """
    municipality: uint256 = 0
    active: uint256 = 0
    municipality, active = self._active_caller()
    assert draft_id != empty(bytes32), "elections: empty draft id"
    assert self.drafted_by[draft_id] == 0, "elections: draft exists"
    self.drafted_by[draft_id] = municipality
    log Drafted(draft_id=draft_id, municipality=municipality)


@external
def announce(eid: bytes32, terms: Terms) -> bool:
    """
    @notice Vote for an election; with the majority its terms stand.
    @param eid Hash of the manifest.
    @param terms What contracts enforce of it, as the manifest has it.
    """
    municipality: uint256 = 0
    active: uint256 = 0
    municipality, active = self._active_caller()
    assert eid != empty(bytes32), "elections: empty election id"
    assert self.rules[eid] == 0, "elections: already announced"
    assert self.drafted_by[terms.draft_id] != 0, "elections: no such draft"
    assert self.election_of[terms.draft_id] == empty(bytes32), "elections: draft already used"
    self._check_windows(terms)
    id: bytes32 = keccak256(
        abi_encode(
            eid,
            terms,
            method_id=method_id("announce(bytes32,(bytes32,bool,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256[],address[],uint256[],address[],address[],(uint256,uint256)[],(uint256,uint256)[]))"),
        )
    )
    if not majority._vote(id, municipality, active):
        return False
    self._set_parties(eid, terms)
    self._set_terms(eid, terms, self._set_races(eid, terms))
    log Announced(eid=eid, draft_id=terms.draft_id, terms=terms)
    return True


@external
def abandon(eid: bytes32, reason: bytes32) -> bool:
    """
    @notice Vote to end an election without a result; `reason` is the digest of a public notice.
    """
    municipality: uint256 = 0
    active: uint256 = 0
    municipality, active = self._active_caller()
    self._check_exists(eid)
    assert self.rules[eid] & ABANDONED == 0, "elections: already abandoned"
    if not majority._vote(
        keccak256(abi_encode(eid, reason, method_id=method_id("abandon(bytes32,bytes32)"))),
        municipality,
        active,
    ):
        return False
    self.rules[eid] |= ABANDONED
    log Abandoned(eid=eid, reason=reason)
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
@view
def ballot_rules(eid: bytes32, sender: address) -> (uint256, uint256, uint256, uint256, bool):
    """
    @notice Return when casting opens and closes, the largest sequence number, the least seconds
            between two ballots of a key, and whether `sender` is a relay. An abandoned election
            never opens.
    """
    self._check_exists(eid)
    rules: uint256 = self.rules[eid]
    opens_at: uint256 = rules >> 192
    if rules & ABANDONED != 0:
        opens_at = max_value(uint256)
    return (
        opens_at,
        (rules >> 128) & WORD,
        (rules >> 64) & WORD,
        rules & WORD,
        self.is_relay[eid][sender],
    )


@external
@view
def is_abandoned(eid: bytes32) -> bool:
    """
    @notice Tell whether the majority ended an election without a result.
    """
    self._check_exists(eid)
    return self.rules[eid] & ABANDONED != 0


@external
@view
def quorums(eid: bytes32) -> IElections.Quorums:
    """
    @notice Return how many must agree on what, and from when the roll is frozen.
    """
    self._check_exists(eid)
    return self.quorums_of[eid]


@external
@view
def trustee(eid: bytes32, account: address) -> uint256:
    """
    @notice Return the number of the trustee that `account` acts for, 0 when it acts for none: the
            terms name it, and its municipality is active.
    """
    municipality: uint256 = self.trustee_municipality[eid][account]
    voter: uint256 = 0
    active: uint256 = 0
    voter, active = staticcall IMunicipalities(MUNICIPALITIES).voter(self)
    if municipality == 0 or active & (1 << municipality) == 0:
        return 0
    return self.trustee_number[eid][municipality]


@internal
@view
def _check_windows(terms: Terms):
    """
    @notice Check the single values against each other and the manifest's bounds.
    """
    assert block.timestamp < terms.opens_at, "elections: opens too early"
    assert terms.opens_at < terms.closes_at, "elections: windows out of order"
    assert terms.closes_at <= terms.freezes_at, "elections: windows out of order"
    assert terms.freezes_at <= TIME_MAX, "elections: freezes too late"
    assert terms.max_sequence > 0, "elections: no ballot allowed"
    assert terms.max_sequence <= SEQUENCE_MAX, "elections: too many ballots of a key"
    assert terms.min_interval_s <= INTERVAL_S_MAX, "elections: interval too long"
    assert terms.mix_time_s >= MIX_TIME_S_MIN, "elections: mixing time too short"
    assert terms.mix_time_s <= MIX_TIME_S_MAX, "elections: mixing time too long"


@internal
def _set_parties(eid: bytes32, terms: Terms):
    """
    @notice Record who acts in which role; nobody has a role twice, every count can be reached.
    """
    trustee_count: uint256 = len(terms.trustees)
    assert terms.threshold > 0, "elections: no threshold"
    assert terms.threshold <= trustee_count, "elections: threshold above trustees"
    assert terms.threshold <= len(terms.registrars), "elections: threshold above registrars"
    assert terms.attestations > 0, "elections: no attestation"
    assert terms.attestations <= len(terms.registrars), "elections: attestations above registrars"
    assert terms.min_mixes > 0, "elections: no mix"
    assert terms.min_mixes <= len(terms.mixers), "elections: mixes above mixers"
    assert len(terms.relays) > 0, "elections: no relay"
    assert (
        len(terms.trustee_accounts) == trustee_count
    ), "elections: not one account for each trustee"
    number: uint256 = 0
    for municipality: uint256 in terms.trustees:
        account: address = terms.trustee_accounts[number]
        number += 1
        assert municipality != 0, "elections: no such municipality"
        assert self.trustee_number[eid][municipality] == 0, "elections: trustee named twice"
        assert account != empty(address), "elections: empty trustee account"
        assert (
            self.trustee_municipality[eid][account] == 0
        ), "elections: trustee account named twice"
        self.trustee_number[eid][municipality] = number
        self.trustee_municipality[eid][account] = municipality
    mixing: uint256 = 0
    number = 0
    for mixer: uint256 in terms.mixers:
        assert mixer > 0 and mixer <= trustee_count, "elections: mixer is no trustee"
        assert mixing & (1 << mixer) == 0, "elections: mixer named twice"
        mixing |= 1 << mixer
        number += 1
        self.mixer_at[eid][number] = mixer
    number = 0
    for registrar: address in terms.registrars:
        number += 1
        assert self.registrar_number[eid][registrar] == 0, "elections: registrar named twice"
        self.registrar_number[eid][registrar] = number
    for relay: address in terms.relays:
        self.is_relay[eid][relay] = True


@internal
def _set_races(eid: bytes32, terms: Terms) -> uint256:
    """
    @notice Record every race's number of candidates and every style's races.
    @return The number of styles.
    """
    last: uint256 = 0
    for race: Race in terms.races:
        assert race.race <= NUMBER_MAX, "elections: race number too large"
        assert race.race + 1 > last, "elections: races not ascending"
        assert race.candidate_count > 0, "elections: race without candidates"
        assert race.candidate_count <= CANDIDATE_COUNT_MAX, "elections: too many candidates"
        last = race.race + 1
        self.candidate_count[eid][race.race] = race.candidate_count
    assert len(terms.style_races) > 0, "elections: no style"
    last = 0
    style_count: uint256 = 0
    for entry: StyleRace in terms.style_races:
        assert entry.style <= NUMBER_MAX, "elections: style number too large"
        assert self.candidate_count[eid][entry.race] > 0, "elections: style names unknown race"
        place: uint256 = (entry.style << 16) + entry.race + 1
        assert place > last, "elections: styles not ascending"
        last = place
        if self.style_digest[eid][entry.style] == empty(bytes32):
            style_count += 1
        self.style_digest[eid][entry.style] = keccak256(
            abi_encode(self.style_digest[eid][entry.style], entry.race)
        )
    return style_count


@internal
def _set_terms(eid: bytes32, terms: Terms, style_count: uint256):
    """
    @notice Record the single values; from here on the election exists.
    """
    self.election_of[terms.draft_id] = eid
    self.rules[eid] = (
        (terms.opens_at << 192)
        | (terms.closes_at << 128)
        | (terms.max_sequence << 64)
        | terms.min_interval_s
    )
    self.draft_of[eid] = terms.draft_id
    self.quorums_of[eid] = IElections.Quorums(
        is_mock=terms.is_mock,
        freezes_at=terms.freezes_at,
        threshold=terms.threshold,
        attestations=terms.attestations,
        min_mixes=terms.min_mixes,
        mix_time_s=terms.mix_time_s,
        mixer_count=len(terms.mixers),
        style_count=style_count,
    )


@internal
@view
def _active_caller() -> (uint256, uint256):
    id: uint256 = 0
    active: uint256 = 0
    id, active = staticcall IMunicipalities(MUNICIPALITIES).voter(msg.sender)
    assert id != 0 and active & (1 << id) != 0, "elections: caller has no vote"
    return id, active


@internal
@view
def _check_exists(eid: bytes32):
    assert self.rules[eid] != 0, "elections: no such election"
