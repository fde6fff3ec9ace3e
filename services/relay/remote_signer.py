"""A relay's end of a signer process: the same duties as ``KeystoreSigner``, carried out elsewhere.

Answers are checked: a signature must recover to the account, so a confused signer delays and never
puts another transaction into the relay's database. While the signer is down nothing is signed;
operations wait.

Spec: RELAY-SIGNER.
"""

import asyncio
from pathlib import Path

from node.primitives.errors import InvalidInput, Misconfigured, Unavailable
from node.primitives.transaction import Transaction, TransactionType
from node.primitives.types import Address, Signature
from services.kit.sockets import receive_frame, send_frame
from services.relay.signer import Draft, SignerRefused
from services.relay.signer_wire import (
    ANSWER_TIMEOUT_S,
    FRAME_SIZE_MAX,
    Ask,
    AskAccount,
    AskSignature,
    decode_answer,
    encode_ask,
)


class SignerDown(Unavailable):
    """The signer process does not answer, or answers nonsense."""

    code = "relay.signer_down"


class RemoteSigner:
    """Signs through a socket. Open with ``open_remote_signer``."""

    def __init__(self, path: Path, *, account: Address, chain_id: int) -> None:
        """Hold where the signer is and whose it is."""
        self._path = path
        self._account = account
        self._chain_id = chain_id

    @property
    def account(self) -> Address:
        """Return the account's address."""
        return self._account

    async def sign(self, draft: Draft) -> Transaction:
        """Have a transaction signed, and check the signature.

        Raises:
            SignerRefused: The signer never signs this.
            SignerDown: It does not answer, or with another key's signature.

        Spec: RELAY-SIGNER.
        """
        values = await _ask(self._path, AskSignature(chain_id=self._chain_id, draft=draft))
        if len(values) != 1 or len(values[0]) != 65:
            raise _confused(self._path)
        signed = Transaction(
            type=TransactionType.DYNAMIC_FEE,
            chain_id=self._chain_id,
            nonce=draft.nonce,
            max_priority_fee_wei=0,
            max_fee_wei=0,
            gas_limit=draft.gas_limit,
            to=draft.to,
            value_wei=0,
            data=draft.data,
            signature=Signature(values[0]),
        )
        try:
            sender = signed.sender
        except InvalidInput as error:
            raise _confused(self._path) from error
        if sender != self._account:
            raise _confused(self._path)
        return signed


async def open_remote_signer(path: Path, *, chain_id: int) -> RemoteSigner:
    """Ask the signer at ``path`` whose it is.

    Raises:
        Misconfigured: It signs for another chain.
        SignerDown: It does not answer.
    """
    values = await _ask(path, AskAccount())
    if len(values) != 2 or len(values[0]) != 20:
        raise _confused(path)
    found = int.from_bytes(values[1], "big")
    if found != chain_id:
        raise Misconfigured(
            f"{path}: the signer is for chain {found}, the genesis file for {chain_id}; start the "
            "signer with that --chain-id"
        )
    return RemoteSigner(path, account=Address(values[0]), chain_id=chain_id)


async def _ask(path: Path, ask: Ask) -> tuple[bytes, ...]:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                await send_frame(writer, encode_ask(ask))
                answer = decode_answer(
                    await receive_frame(reader, size_max=FRAME_SIZE_MAX, what="signer frame")
                )
            finally:
                writer.close()
    except (OSError, InvalidInput) as error:
        reason = str(error) or "no answer in time"
        raise SignerDown(f"{path}: {reason}; see that the relay's signer runs") from error
    if answer.refusal:
        raise SignerRefused(f"the signer refuses: {answer.refusal}")
    return answer.values


def _confused(path: Path) -> SignerDown:
    return SignerDown(f"{path}: wrong answer or signature; restart signer and relay with one key")
