"""A vote of ours is durable and signed: it leaves, and counts here as it does elsewhere.

Spec: QBFT-OWN-VOTE, QBFT-RESEND.
"""

from dataclasses import replace

from node.consensus.effects import Broadcast, Send
from node.consensus.events import MessageSigned, PeerConnected
from node.consensus.messages import MessageCode, code_of
from node.consensus.state import State, Step, Transition
from node.consensus.upon_message import handle_current


def upon_message_signed(state: State, event: MessageSigned) -> Transition:
    """Send our vote to everyone and count it, if the round it is for is still on.

    Spec: QBFT-OWN-VOTE.
    """
    message = event.message
    signed = message.signed
    is_current = (
        signed.author == state.validator
        and (signed.payload.height, signed.payload.round) == (state.height, state.round)
        and state.step not in (Step.IDLE, Step.DECIDED)
    )
    if not is_current:
        return Transition(state=state, effects=())
    own = {**state.own_messages, code_of(signed.payload): message}
    sent = Transition(state=replace(state, own_messages=own), effects=(Broadcast(message=message),))
    return sent.then(
        lambda after: handle_current(after, message, source=signed.author, now_ms=event.now_ms)
    )


def upon_peer_connected(state: State, event: PeerConnected) -> Transition:
    """Tell a peer that has just connected our latest round change and the votes of this round.

    Spec: QBFT-RESEND.
    """
    sends = tuple(
        Send(peer=event.peer, message=message)
        for code, message in sorted(state.own_messages.items())
        if code is MessageCode.ROUND_CHANGE or message.signed.payload.round == state.round
    )
    return Transition(state=state, effects=sends)
