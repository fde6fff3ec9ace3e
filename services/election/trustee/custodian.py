"""The custodian: who holds a trustee's encryption key, dealings and key shares, and what it does.

It answers a few questions and refuses the rest. It decrypts a list only if its own reading of the
ledger shows that list as final, and no second list of the same race or style, whoever asks. It
notes every act before it answers.

Spec: DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE, DKG-REHEARSAL, DEC-SHARE, TALLY-SHARE.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from clients.voting.ceremony import (
    ComplaintsMessage,
    ComplaintText,
    ConfirmMessage,
    KnowledgeText,
    RegisterMessage,
    RehearsalMessage,
    RevealMessage,
    SharesMessage,
    ShareText,
    check_addressees,
)
from clients.voting.ciphertexts import ListContext, ListKind, compute_list_digest, decode_list
from clients.voting.decryption import DecryptionStatement, build_share
from clients.voting.dkg import (
    DealerSecret,
    KeyGeneration,
    KeyPurpose,
    complain,
    compute_commitment,
    confirm,
    deal,
    derive_public,
    derive_share,
    encrypt_share,
    is_share_consistent,
    open_share,
    prove_encryption_key,
)
from clients.voting.encoding import decode_scalar, encode_scalar
from clients.voting.group import Point, decode_point, generator_multiple
from clients.voting.randomness import NonceSource, draw_scalar
from clients.voting.rehearsal import rehearsal_statement
from node.primitives.errors import InvalidInput
from services.election.board.state import ElectionState
from services.election.trustee.vault import Vault
from services.election.trustee.work import encode_proof

PURPOSE_OF: Final = {ListKind.BALLOTS: KeyPurpose.BALLOTS, ListKind.ROLL: KeyPurpose.ROLL}
"""Which key a list is encrypted under."""

FindElection = Callable[[bytes], Awaitable[ElectionState | None]]
"""Reads an election from the custodian's own view of the ledger."""


class CustodianRefused(InvalidInput):
    """The custodian does not do this, however often it is asked."""

    code = "custodian.refused"


class Custodian(Protocol):
    """What a trustee asks of its custodian."""

    async def register(
        self, draft_id: bytes, *, chain_id: int, registry: bytes, node: Point
    ) -> RegisterMessage:
        """Return the encryption key of a draft, made when first asked for."""
        ...

    async def commit(self, run: KeyGeneration, me: int) -> bytes:
        """Draw a dealing and return its commitment; the same ever after."""
        ...

    async def reveal(self, run: KeyGeneration, me: int) -> RevealMessage:
        """Return the opened commitment."""
        ...

    async def deal(self, run: KeyGeneration, me: int) -> SharesMessage:
        """Return the dealing's shares for everyone else."""
        ...

    async def receive(
        self,
        run: KeyGeneration,
        me: int,
        reveals: Mapping[int, RevealMessage],
        shares: Mapping[int, SharesMessage],
    ) -> ComplaintsMessage:
        """Open what the others dealt; keep the share of the key unless something is wrong."""
        ...

    async def confirm(self, run: KeyGeneration, me: int) -> ConfirmMessage:
        """Prove to hold the share."""
        ...

    async def rehearse(self, run: KeyGeneration, me: int) -> RehearsalMessage:
        """Decrypt the test point."""
        ...

    async def decrypt(
        self, eid: bytes, kind: ListKind, number: int, rows: bytes
    ) -> tuple[bytes, bytes]:
        """Return the shares of a final list and their proof."""
        ...


class VaultCustodian:
    """A custodian over a vault, in whichever process it lives."""

    def __init__(
        self,
        vault: Vault,
        find_election: FindElection,
        *,
        municipality: int,
        nonces: NonceSource,
        now_s: Callable[[], int],
    ) -> None:
        """Hold the secrets and its own view of the ledger."""
        self._vault = vault
        self._find_election = find_election
        self._municipality = municipality
        self._nonces = nonces
        self._now_s = now_s

    async def register(
        self, draft_id: bytes, *, chain_id: int, registry: bytes, node: Point
    ) -> RegisterMessage:
        """Return the encryption key of a draft, made when first asked for."""
        drafts = self._vault.secrets.drafts
        name = draft_id.hex()
        if name not in drafts:
            secret = draw_scalar(self._nonces)
            drafts[name] = {"encryption": encode_scalar(secret).hex(), "runs": {}}
            key = generator_multiple(secret)
            self._note("register", {"draft": name, "key": key.encode().hex()})
        secret = _scalar(drafts[name]["encryption"])
        proof = prove_encryption_key(
            secret, chain_id=chain_id, registry=registry, node=node, source=self._nonces
        )
        return RegisterMessage(
            encryption_key=generator_multiple(secret).encode().hex(),
            node=node.encode().hex(),
            proof=KnowledgeText.of(proof),
        )

    async def commit(self, run: KeyGeneration, me: int) -> bytes:
        """Draw a dealing and return its commitment; the same ever after.

        Raises:
            CustodianRefused: The run names another encryption key, or differs from one begun.

        Spec: DKG-COMMIT.
        """
        draft = self._draft(run, me)
        purpose = run.purpose.value.decode()
        if purpose not in draft["runs"]:
            secret, reveal = deal(run, me, self._nonces)
            draft["runs"][purpose] = {
                "did": run.did.hex(),
                "coefficients": [encode_scalar(each).hex() for each in secret.coefficients],
                "reveal": RevealMessage.of(reveal).model_dump(),
                "share": None,
            }
            self._note("deal", {"draft": run.draft_id.hex(), "did": run.did.hex()})
        return compute_commitment(run, me, self._reveal(run, me).reveal())

    async def reveal(self, run: KeyGeneration, me: int) -> RevealMessage:
        """Return the opened commitment.

        Raises:
            CustodianRefused: There is no dealing of this run.
        """
        return self._reveal(run, me)

    def _reveal(self, run: KeyGeneration, me: int) -> RevealMessage:
        return RevealMessage.model_validate(self._run(run, me)["reveal"])

    async def deal(self, run: KeyGeneration, me: int) -> SharesMessage:
        """Return the dealing's shares for everyone else.

        Raises:
            CustodianRefused: There is no dealing of this run.

        Spec: DKG-SHARE.
        """
        kept = self._run(run, me)
        secret = DealerSecret(coefficients=tuple(map(_scalar, kept["coefficients"])))
        return SharesMessage(
            shares=[
                None if at == me else ShareText.of(encrypt_share(run, me, at, secret, self._nonces))
                for at in range(1, len(run.trustees) + 1)
            ]
        )

    async def receive(
        self,
        run: KeyGeneration,
        me: int,
        reveals: Mapping[int, RevealMessage],
        shares: Mapping[int, SharesMessage],
    ) -> ComplaintsMessage:
        """Open what the others dealt; keep the share of the key unless something is wrong.

        Raises:
            CustodianRefused: There is no dealing of this run.

        Spec: DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE.
        """
        kept = self._run(run, me)
        encryption = _scalar(self._draft(run, me)["encryption"])
        own = DealerSecret(coefficients=tuple(map(_scalar, kept["coefficients"])))
        values, complaints = {me: own.share_for(me)}, []
        count = len(run.trustees)
        for dealer in range(1, count + 1):
            if dealer == me:
                continue
            check_addressees(dealer, shares[dealer].shares, count)
            text = shares[dealer].shares[me - 1]
            assert text is not None
            share = text.share()
            opened = open_share(run, dealer, me, share, encryption)
            if is_share_consistent(opened, me, reveals[dealer].reveal().commitments):
                values[dealer] = decode_scalar(opened)
            else:
                made = complain(run, dealer, me, share, encryption, self._nonces)
                complaints.append(ComplaintText.of(dealer, made))
        if not complaints and kept["share"] is None:
            key, share_keys = derive_public(
                {at: reveals[at].reveal() for at in range(1, count + 1)}, count
            )
            kept["share"] = encode_scalar(derive_share(values)).hex()
            kept["key"] = key.encode().hex()
            kept["share_keys"] = [each.encode().hex() for each in share_keys]
            self._note("derive", {"did": run.did.hex(), "key": kept["key"]})
        return ComplaintsMessage(complaints=complaints)

    async def confirm(self, run: KeyGeneration, me: int) -> ConfirmMessage:
        """Prove to hold the share.

        Raises:
            CustodianRefused: It holds none.

        Spec: DKG-DERIVE.
        """
        share, key, share_keys = self._share(run, me)
        proof = confirm(run, me, share, key, share_keys, self._nonces)
        return ConfirmMessage(**KnowledgeText.of(proof).model_dump())

    async def rehearse(self, run: KeyGeneration, me: int) -> RehearsalMessage:
        """Decrypt the test point.

        Raises:
            CustodianRefused: It holds no share.

        Spec: DKG-REHEARSAL.
        """
        share, key, share_keys = self._share(run, me)
        statement = rehearsal_statement(run, key, me, share_keys[me - 1])
        made = build_share(statement, share, self._nonces)
        self._note("rehearse", {"did": run.did.hex()})
        return RehearsalMessage.of(made)

    async def decrypt(
        self, eid: bytes, kind: ListKind, number: int, rows: bytes
    ) -> tuple[bytes, bytes]:
        """Return the shares of a final list and their proof.

        The same list may be asked for again, after a crash; never another one.

        Raises:
            CustodianRefused: Its own view of the ledger does not show this list as final, another
                list of this race or style was decrypted, or it holds no share of the key.

        Spec: DEC-SHARE, TALLY-SHARE.
        """
        state = await self._find_election(eid)
        tally = None if state is None else state.lists.get((kind, number))
        if state is None or tally is None or not tally.is_final(state.terms):
            raise CustodianRefused("the ledger shows no such final list")
        if state.abandoned is not None:
            raise CustodianRefused("the election was abandoned")
        decoded = decode_list(rows, 1)
        context = ListContext(eid=eid, kind=kind, list_id=number, round=0)
        digest = compute_list_digest(context, decoded)
        if digest != tally.digest:
            raise CustodianRefused("the ledger shows another list as final")
        name = f"{eid.hex()} {kind.value.decode()} {number}"
        if self._vault.opened.get(name, digest.hex()) != digest.hex():
            raise CustodianRefused("another list of this race or style was decrypted")
        share, share_key, me = self._election_share(state, PURPOSE_OF[kind])
        self._note("decrypt", {"list": name, "digest": digest.hex()})
        statement = DecryptionStatement(
            context=context, rows=decoded, column=0, trustee=me, share_key=share_key
        )
        made = await asyncio.to_thread(build_share, statement, share, self._nonces)
        return made.shares.encode(), encode_proof(made.proof)

    def _election_share(self, state: ElectionState, purpose: KeyPurpose) -> tuple[int, Point, int]:
        draft = self._vault.secrets.drafts.get(state.terms.draft_id.hex(), {"runs": {}})
        kept = draft["runs"].get(purpose.value.decode())
        if kept is None or kept["share"] is None:
            raise CustodianRefused("no share of this election's key is held here")
        if self._municipality not in state.terms.trustees:
            raise CustodianRefused("this municipality is no trustee of the election")
        share = _scalar(kept["share"])
        me = state.terms.trustees.index(self._municipality) + 1
        return share, generator_multiple(share), me

    def _draft(self, run: KeyGeneration, me: int) -> dict[str, Any]:
        draft = self._vault.secrets.drafts.get(run.draft_id.hex())
        if draft is None:
            raise CustodianRefused("no encryption key was made for this draft")
        expected = generator_multiple(_scalar(draft["encryption"]))
        if not 1 <= me <= len(run.trustees) or run.trustees[me - 1].encryption != expected:
            raise CustodianRefused("the run names another encryption key")
        kept = draft["runs"].get(run.purpose.value.decode())
        if kept is not None and kept["did"] != run.did.hex():
            raise CustodianRefused("another run was begun for this draft; make a new draft")
        found: dict[str, Any] = draft
        return found

    def _run(self, run: KeyGeneration, me: int) -> dict[str, Any]:
        kept = self._draft(run, me)["runs"].get(run.purpose.value.decode())
        if kept is None:
            raise CustodianRefused("no dealing was made for this run")
        found: dict[str, Any] = kept
        return found

    def _share(self, run: KeyGeneration, me: int) -> tuple[int, Point, tuple[Point, ...]]:
        kept = self._run(run, me)
        if kept["share"] is None:
            raise CustodianRefused("no share of this key is held here")
        points = [decode_point(bytes.fromhex(each)) for each in (kept["key"], *kept["share_keys"])]
        return _scalar(kept["share"]), points[0], tuple(points[1:])

    def _note(self, name: str, about: Mapping[str, Any]) -> None:
        self._vault.act(name, about, time_s=self._now_s())


def _scalar(text: str) -> int:
    return decode_scalar(bytes.fromhex(text))
