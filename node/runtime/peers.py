"""Between the peer network and the node: bytes to messages and back, and whose fault what was.

Consensus messages are looked at before they are decoded, so that old ones cost no signature
recovery. Transactions are admitted on a thread of their own, a batch at a time.

Spec: WIRE-GOSSIP, WIRE-SCORE.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from node.consensus.codec import decode_message, encode_message, peek_message
from node.consensus.messages import Message
from node.log import Log
from node.p2p.limits import Offence
from node.p2p.network import PeerNetwork
from node.primitives.errors import InvalidInput
from node.primitives.types import Address
from node.runtime.intake import Intake
from node.runtime.metrics import Metrics

LOG = Log("p2p")

PEER_SOURCE: Final = "peer 0x"
"""Begins the name of a source that is a peer; its node key follows in hexadecimal."""

HEIGHTS_BEHIND_MAX: Final = 1
"""Messages this far below the height being decided are still looked at, as evidence."""


class MessageSender:
    """Sends the core's messages over the network."""

    def __init__(self, network: PeerNetwork) -> None:
        """Hold the network."""
        self._network = network

    def broadcast(self, message: Message, except_for: tuple[Address, ...] = ()) -> None:
        """Queue ``message`` for every connected peer but ``except_for``."""
        if except_for:
            author, *rest = except_for
            source = rest[0] if rest else author
            self._network.relay(encode_message(message), source=source, author=author)
        else:
            self._network.broadcast(encode_message(message))

    def send(self, peer: Address, message: Message) -> None:
        """Queue ``message`` for one peer."""
        self._network.send(peer, encode_message(message))


LARGE_MESSAGE: Final = 4_096
"""Bytes from which a message is worth remembering: proposals, and round changes with a block."""

REMEMBERED_MAX: Final = 4
"""Large messages remembered as decoded."""


class MessageDecoder:
    """Decodes messages; a large one that several peers pass on is decoded once.

    Every validator passes a proposal on to the others, so that each copy but the first is the same
    bytes again. What decoding gives depends on the bytes alone.
    """

    def __init__(self) -> None:
        """Start with nothing remembered."""
        self._decoded: OrderedDict[bytes, Message] = OrderedDict()

    def decode(self, data: bytes) -> Message:
        """Return the message.

        Raises:
            InvalidInput: It is malformed; such is not remembered.
        """
        if len(data) < LARGE_MESSAGE:
            return decode_message(data)
        message = self._decoded.get(data)
        if message is None:
            message = self._decoded[data] = decode_message(data)
            if len(self._decoded) > REMEMBERED_MAX:
                self._decoded.popitem(last=False)
        return message


class MessagePump:
    """Takes consensus messages from the network to the core."""

    def __init__(
        self,
        network: PeerNetwork,
        *,
        deliver: Callable[[Message, Address], bool],
        height: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        """Hold the parts.

        Args:
            network: Where messages arrive.
            deliver: Hands one to the core; False when it was dropped.
            height: The height being decided.
            metrics: Counts what was refused here.
        """
        self._network = network
        self._deliver = deliver
        self._height = height
        self._metrics = metrics
        self._decoder = MessageDecoder()

    async def run(self) -> None:
        """Take messages for ever."""
        while True:
            inbound = await self._network.consensus.get()
            try:
                peek = peek_message(inbound.item)
                if peek.height + HEIGHTS_BEHIND_MAX < self._height():
                    continue
                message = self._decoder.decode(inbound.item)
            except InvalidInput as error:
                LOG.warning("malformed consensus message", peer=inbound.peer, reason=str(error))
                self._network.report(inbound.peer, Offence.INVALID_CONSENSUS_MESSAGE)
                self._metrics.rejected_messages.labels("malformed").inc()
                continue
            if not self._deliver(message, inbound.peer):
                self._metrics.rejected_messages.labels("queue_full").inc()


class TransactionPump:
    """Takes transactions from the network to the pool."""

    def __init__(self, network: PeerNetwork, intake: Intake) -> None:
        """Hold the parts."""
        self._network = network
        self._intake = intake
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="intake")

    async def run(self) -> None:
        """Take batches for ever."""
        loop = asyncio.get_running_loop()
        while True:
            inbound = await self._network.transactions.get()
            source = f"{PEER_SOURCE}{inbound.peer.hex()}"
            malformed = await loop.run_in_executor(
                self._thread, self._intake.submit_batch, inbound.item, source
            )
            for _ in range(malformed):
                self._network.report(inbound.peer, Offence.INVALID_TRANSACTION)

    def close(self) -> None:
        """Finish the batch at hand and end the thread."""
        self._thread.shutdown(cancel_futures=True)
