"""A block is proposed.

One proposal is taken for each (height, round), whatever becomes of its block.

Spec: QBFT-PROPOSAL.
"""

from dataclasses import replace

from node.consensus.accounting import reject, relay
from node.consensus.effects import RejectReason, ValidateBlock
from node.consensus.events import BlockValidated
from node.consensus.header_rules import verify_header
from node.consensus.justification import find_proposal_fault
from node.consensus.messages import Proposal
from node.consensus.rounds import enter_round, proposer_of, start_round_timer
from node.consensus.signing import ask_to_sign, vote_prepare
from node.consensus.state import State, Step, Transition
from node.consensus.suspicion import suspect
from node.consensus.upon_prepare import prepare_if_quorum
from node.primitives.types import Address


def upon_proposal(state: State, message: Proposal, *, source: Address, now_ms: int) -> Transition:
    """Take a proposal of this round or a later one, if its proposer may make it.

    A justified proposal of a later round brings us to that round. Our own is accepted at once;
    another's block is executed first.

    Spec: QBFT-PROPOSAL.
    """
    payload = message.signed.payload
    if payload.round == state.round and state.proposal is not None:
        return suspect(state, state.proposal, message.signed).then(
            lambda after: reject(after, RejectReason.SLOT_TAKEN, message, source)
        )
    if payload.round == state.round and state.accepted is not None:
        return reject(state, RejectReason.SLOT_TAKEN, message, source)
    fault = find_fault(state, message, now_ms=now_ms)
    if fault is not None:
        return reject(state, fault, message, source)
    if payload.round > state.round:
        entered = enter_round(state, payload.round)
    elif state.step is Step.WAITING:
        entered = start_round_timer(replace(state, step=Step.PROPOSING))
    else:
        entered = Transition(state=state, effects=())
    return entered.then(lambda after: _take(after, message, source=source))


def upon_block_validated(state: State, event: BlockValidated) -> Transition:
    """Accept the proposal whose block was found valid, or sign our own that waited for it.

    Spec: QBFT-PROPOSAL, QBFT-PROPOSE.
    """
    draft = state.redraft
    if draft is not None and draft.payload.block.hash == event.block_hash:
        done = replace(state, redraft=None)
        if not event.is_valid:
            return Transition(state=done, effects=())
        return ask_to_sign(done, draft)
    signed = state.proposal
    is_asked = state.is_validating and signed is not None
    if not is_asked or signed is None or signed.payload.block.hash != event.block_hash:
        return Transition(state=state, effects=())
    done = replace(state, is_validating=False)
    if not event.is_valid:
        return reject(done, RejectReason.INVALID_BLOCK, Proposal(signed=signed), None)
    return accept(done)


def find_fault(state: State, message: Proposal, *, now_ms: int) -> RejectReason | None:
    """Return why a proposal is not to be taken, or None; cheap reasons first.

    Spec: QBFT-PROPOSAL, QBFT-BLOCK-TIME.
    """
    payload = message.signed.payload
    header = payload.block.header
    if message.signed.author != proposer_of(state, payload.round):
        return RejectReason.WRONG_PROPOSER
    if header.extra_data.round != payload.round or header.extra_data.seals:
        return RejectReason.BAD_HEADER
    if header.timestamp_s * 1000 > now_ms + state.parameters.clock_drift_ms:
        return RejectReason.BAD_TIMESTAMP
    report = verify_header(
        header, parent=state.head, tally=state.tally, parameters=state.parameters
    )
    if not report.is_met:
        is_late = report.failures[0].rule == "QBFT-BLOCK-TIME"
        return RejectReason.BAD_TIMESTAMP if is_late else RejectReason.BAD_HEADER
    return find_proposal_fault(message, validators=state.validators)


def accept(state: State) -> Transition:
    """Accept the block of the taken proposal and vote to prepare it.

    Prepares that came before it may already be a quorum.

    Spec: QBFT-PROPOSAL.
    """
    if state.proposal is None:
        return Transition(state=state, effects=())
    block = state.proposal.payload.block
    accepted = replace(state, accepted=block, step=Step.PREPARING, is_building=False)
    return vote_prepare(accepted, block.digest).then(prepare_if_quorum)


def _take(state: State, message: Proposal, *, source: Address) -> Transition:
    taken = replace(state, proposal=message.signed)
    if message.signed.author == state.validator:
        return accept(taken)
    validate = ValidateBlock(parent=state.head, block=message.signed.payload.block)
    return relay(replace(taken, is_validating=True), message, source).then(
        lambda after: Transition(state=after, effects=(validate,))
    )
