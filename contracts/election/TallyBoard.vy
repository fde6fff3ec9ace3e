# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Tally board
@license Apache-2.0
@notice From closed box to result, as a record that everyone reads in the same order: which list
        is mixed, who mixed it into what, whether that held, which list is final, who decrypted
        it, and what was counted. Lists, proofs and shares are files named by their digest here.

        There is a roll list (kind 82, "R") for each style and a ballot list (kind 66, "B") for
        each race. The roll comes first: ballot lists wait until every style's roll is open, that
        is, decrypted by as many trustees as it takes.

        Who may call what:
        - a trustee of the election, as a confirmation that takes effect with the terms'
          threshold: `start_list`, `judge_mix`, `skip_mixer`, `publish_result`;
        - the trustee whose turn it is: `post_mix`;
        - a trustee alone, once for each list: `post_share`, of a final list only;
        - anyone: the views.

        The contract does not check shuffles and decryptions: every trustee's node does before it
        confirms, and every auditor afterwards. It keeps that nobody acts out of turn or twice,
        that a list is final only after the terms' number of valid mixes by different trustees,
        and that a result adds up to its list.

        How it is stopped: the majority abandons the election (`Elections`).
@custom:spec TALLY-ORDER, TALLY-ROUND, TALLY-SHARE, TALLY-PUBLISH.
"""

from ..interfaces import IBallotBox
from ..interfaces import ICredentials
from ..interfaces import IElections
from ..modules import confirmations

initializes: confirmations


BALLOTS: constant(uint256) = 66
ROLL: constant(uint256) = 82
NUMBERS_SIZE_MAX: constant(uint256) = 8 * 1002
NUMBER_SIZE: constant(uint256) = 8
RESULT_TAG: constant(bytes32) = sha256("JMEV1/result")


struct Tally:
    row_count: uint256
    # Of the last valid list.
    digest: bytes32
    # The round to be mixed, from 1.
    round: uint256
    round_began_at: uint256
    mix_count: uint256
    # Posted in this round and not yet judged; empty for none.
    output: bytes32
    proof: bytes32
    share_count: uint256
    result: bytes32


struct Share:
    shares: bytes32
    proof: bytes32


ELECTIONS: public(immutable(address))
CREDENTIALS: public(immutable(address))
BALLOT_BOX: public(immutable(address))

# By election, kind, and style or race.
tallies: HashMap[bytes32, HashMap[uint256, HashMap[uint256, Tally]]]
shares: HashMap[bytes32, HashMap[uint256, HashMap[uint256, HashMap[uint256, Share]]]]
opened_style_count: public(HashMap[bytes32, uint256])


event ListStarted:
    eid: indexed(bytes32)
    kind: indexed(uint256)
    number: indexed(uint256)
    row_count: uint256
    digest: bytes32


event MixPosted:
    eid: indexed(bytes32)
    kind: indexed(uint256)
    number: indexed(uint256)
    round: uint256
    mixer: uint256
    output: bytes32
    proof: bytes32


event MixEnded:
    eid: indexed(bytes32)
    kind: indexed(uint256)
    number: indexed(uint256)
    round: uint256
    mixer: uint256
    is_valid: bool
    output: bytes32


event SharePosted:
    eid: indexed(bytes32)
    kind: indexed(uint256)
    number: indexed(uint256)
    trustee: uint256
    shares: bytes32
    proof: bytes32


event ResultPublished:
    eid: indexed(bytes32)
    race: indexed(uint256)
    is_mock: indexed(bool)
    result: bytes32
    numbers: Bytes[NUMBERS_SIZE_MAX]


@deploy
def __init__(elections: address, credentials: address, ballot_box: address):
    """
    @param elections The contract that holds the terms.
    @param credentials The contract that freezes the roll.
    @param ballot_box The contract that holds the ballots.
    """
    ELECTIONS = elections
    CREDENTIALS = credentials
    BALLOT_BOX = ballot_box


@external
def start_list(
    eid: bytes32, kind: uint256, number: uint256, row_count: uint256, digest: bytes32
) -> bool:
    """
    @notice Confirm the list that goes into the first mix.
    """
    trustee: uint256 = self._check_trustee(eid)
    assert self.tallies[eid][kind][number].round == 0, "tally_board: list has started"
    assert digest != empty(bytes32), "tally_board: empty digest"
    quorums: IElections.Quorums = staticcall IElections(ELECTIONS).quorums(eid)
    self._check_rows(eid, kind, number, row_count, quorums.style_count)
    if not self._confirm(
        "list", eid, kind, number, 0, keccak256(abi_encode(row_count, digest)), trustee, quorums
    ):
        return False
    self.tallies[eid][kind][number] = Tally(
        row_count=row_count,
        digest=digest,
        round=1,
        round_began_at=block.timestamp,
        mix_count=0,
        output=empty(bytes32),
        proof=empty(bytes32),
        share_count=0,
        result=empty(bytes32),
    )
    log ListStarted(eid=eid, kind=kind, number=number, row_count=row_count, digest=digest)
    return True


@external
def post_mix(eid: bytes32, kind: uint256, number: uint256, output: bytes32, proof: bytes32):
    """
    @notice Post the digests of a mixed list and its proof, when it is the caller's turn.
    """
    trustee: uint256 = self._check_trustee(eid)
    tally: Tally = self._load(eid, kind, number)
    assert (
        staticcall IElections(ELECTIONS).mixer_at(eid, tally.round) == trustee
    ), "tally_board: caller is not the mixer"
    assert tally.output == empty(bytes32), "tally_board: already posted"
    assert output != empty(bytes32) and proof != empty(bytes32), "tally_board: empty digest"
    assert output != tally.digest, "tally_board: list is unchanged"
    self.tallies[eid][kind][number].output = output
    self.tallies[eid][kind][number].proof = proof
    log MixPosted(
        eid=eid,
        kind=kind,
        number=number,
        round=tally.round,
        mixer=trustee,
        output=output,
        proof=proof,
    )


@external
def judge_mix(
    eid: bytes32,
    kind: uint256,
    number: uint256,
    output: bytes32,
    proof: bytes32,
    is_valid: bool,
) -> bool:
    """
    @notice Confirm that the posted mix holds, or that it does not or its files cannot be had.
    """
    trustee: uint256 = self._check_trustee(eid)
    tally: Tally = self._load(eid, kind, number)
    assert tally.output != empty(bytes32), "tally_board: nothing to judge"
    assert tally.output == output and tally.proof == proof, "tally_board: another mix is posted"
    if not self._confirm(
        "mix",
        eid,
        kind,
        number,
        tally.round,
        keccak256(abi_encode(output, proof, is_valid)),
        trustee,
        staticcall IElections(ELECTIONS).quorums(eid),
    ):
        return False
    if is_valid:
        self.tallies[eid][kind][number].digest = output
        self.tallies[eid][kind][number].mix_count = tally.mix_count + 1
    self._end_round(eid, kind, number, tally, is_valid)
    return True


@external
def skip_mixer(eid: bytes32, kind: uint256, number: uint256, round: uint256) -> bool:
    """
    @notice Confirm that the mixer whose turn it is let its time pass; the next one takes the list.
    """
    trustee: uint256 = self._check_trustee(eid)
    tally: Tally = self._load(eid, kind, number)
    assert tally.round == round, "tally_board: another round"
    assert (
        staticcall IElections(ELECTIONS).mixer_at(eid, round) != 0
    ), "tally_board: all have mixed"
    assert tally.output == empty(bytes32), "tally_board: mix is posted"
    quorums: IElections.Quorums = staticcall IElections(ELECTIONS).quorums(eid)
    assert (
        block.timestamp >= tally.round_began_at + quorums.mix_time_s
    ), "tally_board: mixer still has time"
    if not self._confirm(
        "skip",
        eid,
        kind,
        number,
        round,
        keccak256("skip"),
        trustee,
        quorums,
    ):
        return False
    self._end_round(eid, kind, number, tally, False)
    return True


@external
def post_share(
    eid: bytes32,
    kind: uint256,
    number: uint256,
    digest: bytes32,
    shares: bytes32,
    proof: bytes32,
):
    """
    @notice Post the digests of the caller's decryption shares of a final list and of their proof.
    @param digest The final list, as the trustee's own node has it.
    """
    trustee: uint256 = self._check_trustee(eid)
    tally: Tally = self._load(eid, kind, number)
    quorums: IElections.Quorums = staticcall IElections(ELECTIONS).quorums(eid)
    assert self._is_final(tally, quorums), "tally_board: list is not final"
    assert tally.digest == digest, "tally_board: another list is final"
    assert shares != empty(bytes32) and proof != empty(bytes32), "tally_board: empty digest"
    assert (
        self.shares[eid][kind][number][trustee].shares == empty(bytes32)
    ), "tally_board: share is posted"
    self.shares[eid][kind][number][trustee] = Share(shares=shares, proof=proof)
    self.tallies[eid][kind][number].share_count = tally.share_count + 1
    if kind == ROLL and tally.share_count + 1 == quorums.threshold:
        self.opened_style_count[eid] += 1
    log SharePosted(
        eid=eid, kind=kind, number=number, trustee=trustee, shares=shares, proof=proof
    )


@external
def publish_result(eid: bytes32, race: uint256, numbers: Bytes[NUMBERS_SIZE_MAX]) -> bool:
    """
    @notice Confirm a race's result.
    @param numbers In 8 bytes each: the blank votes, each candidate's votes, the invalid ones.
    """
    trustee: uint256 = self._check_trustee(eid)
    tally: Tally = self._load(eid, BALLOTS, race)
    quorums: IElections.Quorums = staticcall IElections(ELECTIONS).quorums(eid)
    assert tally.result == empty(bytes32), "tally_board: result is published"
    assert tally.share_count >= quorums.threshold, "tally_board: too few shares"
    candidate_count: uint256 = staticcall IElections(ELECTIONS).candidate_count(eid, race)
    assert len(numbers) == NUMBER_SIZE * (candidate_count + 2), "tally_board: wrong number of counts"
    assert self._sum(numbers) == tally.row_count, "tally_board: counts do not add up"
    result: bytes32 = sha256(
        concat(
            RESULT_TAG,
            RESULT_TAG,
            eid,
            convert(convert(race, uint16), bytes2),
            convert(convert(tally.row_count, uint64), bytes8),
            convert(convert(candidate_count, uint16), bytes2),
            numbers,
        )
    )
    if not self._confirm("result", eid, BALLOTS, race, 0, result, trustee, quorums):
        return False
    self.tallies[eid][BALLOTS][race].result = result
    log ResultPublished(
        eid=eid, race=race, is_mock=quorums.is_mock, result=result, numbers=numbers
    )
    return True


@external
@view
def tally_of(eid: bytes32, kind: uint256, number: uint256) -> Tally:
    """
    @notice Return where a list stands; zeros before it starts.
    """
    return self.tallies[eid][kind][number]


@external
@view
def share_of(eid: bytes32, kind: uint256, number: uint256, trustee: uint256) -> Share:
    """
    @notice Return the digests that a trustee posted; zeros before.
    """
    return self.shares[eid][kind][number][trustee]


@external
@view
def is_final(eid: bytes32, kind: uint256, number: uint256) -> bool:
    """
    @notice Tell whether a list may be decrypted: every mixer had its turn, enough mixes hold.
    """
    return self._is_final(
        self._load(eid, kind, number), staticcall IElections(ELECTIONS).quorums(eid)
    )


@internal
@view
def _check_rows(
    eid: bytes32, kind: uint256, number: uint256, row_count: uint256, style_count: uint256
):
    """
    @notice Check that a list's time has come and that it has no more rows than it can have.
    """
    box: IBallotBox.Box = staticcall IBallotBox(BALLOT_BOX).box_of(eid)
    assert box.is_closed, "tally_board: box is not closed"
    assert row_count > 0, "tally_board: empty list"
    if kind == ROLL:
        frozen: ICredentials.Frozen = staticcall ICredentials(CREDENTIALS).frozen_style(
            eid, number
        )
        assert frozen.frozen_at != 0, "tally_board: roll is not frozen"
        assert row_count == frozen.count, "tally_board: not the frozen number of rows"
    else:
        assert kind == BALLOTS, "tally_board: no such kind"
        assert (
            staticcall IElections(ELECTIONS).candidate_count(eid, number) != 0
        ), "tally_board: no such race"
        empty_styles: uint256 = staticcall ICredentials(CREDENTIALS).empty_style_count(eid)
        assert (
            self.opened_style_count[eid] + empty_styles == style_count
        ), "tally_board: roll is not open"
        assert row_count <= box.count, "tally_board: more rows than ballots"


@internal
def _confirm(
    what: String[8],
    eid: bytes32,
    kind: uint256,
    number: uint256,
    round: uint256,
    chosen: bytes32,
    trustee: uint256,
    quorums: IElections.Quorums,
) -> bool:
    return confirmations._confirm(
        keccak256(abi_encode(what, eid, kind, number, round)), chosen, trustee, quorums.threshold
    )


@internal
def _end_round(eid: bytes32, kind: uint256, number: uint256, tally: Tally, is_valid: bool):
    """
    @notice Give the turn to the next mixer.
    """
    self.tallies[eid][kind][number].round = tally.round + 1
    self.tallies[eid][kind][number].round_began_at = block.timestamp
    self.tallies[eid][kind][number].output = empty(bytes32)
    self.tallies[eid][kind][number].proof = empty(bytes32)
    log MixEnded(
        eid=eid,
        kind=kind,
        number=number,
        round=tally.round,
        mixer=staticcall IElections(ELECTIONS).mixer_at(eid, tally.round),
        is_valid=is_valid,
        output=tally.output,
    )


@internal
@pure
def _sum(numbers: Bytes[NUMBERS_SIZE_MAX]) -> uint256:
    total: uint256 = 0
    for at: uint256 in range(len(numbers) // NUMBER_SIZE, bound=1002):
        total += convert(slice(numbers, at * NUMBER_SIZE, NUMBER_SIZE), uint256)
    return total


@internal
@pure
def _is_final(tally: Tally, quorums: IElections.Quorums) -> bool:
    return tally.round > quorums.mixer_count and tally.mix_count >= quorums.min_mixes


@internal
@view
def _load(eid: bytes32, kind: uint256, number: uint256) -> Tally:
    tally: Tally = self.tallies[eid][kind][number]
    assert tally.round != 0, "tally_board: no such list"
    return tally


@internal
@view
def _check_trustee(eid: bytes32) -> uint256:
    assert not staticcall IElections(ELECTIONS).is_abandoned(eid), "tally_board: abandoned"
    number: uint256 = staticcall IElections(ELECTIONS).trustee(eid, msg.sender)
    assert number != 0, "tally_board: caller is no trustee"
    return number
