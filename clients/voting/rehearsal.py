"""The rehearsal of a new key: a point whose ciphertext everyone computes is decrypted in public.

Nothing of it is secret. It shows before the election that the shares of two different sets of
trustees open what the key seals.

Spec: DKG-REHEARSAL.
"""

from collections.abc import Mapping

from clients.voting.ciphertexts import CiphertextList, Column, ListContext, ListKind, encrypt
from clients.voting.decryption import (
    DecryptionShare,
    DecryptionStatement,
    combine_shares,
    is_share_valid,
)
from clients.voting.dkg import InvalidDealing, KeyGeneration
from clients.voting.encoding import hash_to_scalar
from clients.voting.group import Point, vector_of
from clients.voting.hash_to_curve import hash_to_curve


def rehearsal_message(run: KeyGeneration) -> Point:
    """Return M, the point to be found again."""
    return hash_to_curve("rehearsal", run.did)


def rehearsal_rows(run: KeyGeneration, key: Point) -> CiphertextList:
    """Return the list of one row that is decrypted.

    Spec: DKG-REHEARSAL.
    """
    drawn = hash_to_scalar("JMEV1/rehearsal", run.did + key.encode())
    a, b = encrypt(rehearsal_message(run), key, drawn)
    return CiphertextList((Column(a=vector_of([a]), b=vector_of([b])),))


def rehearsal_statement(
    run: KeyGeneration, key: Point, trustee: int, share_key: Point
) -> DecryptionStatement:
    """Return what a trustee's share of the rehearsal claims.

    Spec: DKG-REHEARSAL.
    """
    context = ListContext(eid=run.did, kind=ListKind(run.purpose.value), list_id=0, round=0)
    return DecryptionStatement(
        context=context,
        rows=rehearsal_rows(run, key),
        column=0,
        trustee=trustee,
        share_key=share_key,
    )


def rehearsal_subsets(count: int, threshold: int) -> tuple[tuple[int, ...], ...]:
    """Return the sets of trustees that decrypt: the first t and the last t."""
    first = tuple(range(1, threshold + 1))
    last = tuple(range(count - threshold + 1, count + 1))
    return (first,) if first == last else (first, last)


def check_rehearsal(
    run: KeyGeneration,
    key: Point,
    share_keys: tuple[Point, ...],
    shares: Mapping[int, DecryptionShare],
) -> None:
    """Check all shares given, at least those of both sets, and that both sets find the point.

    Raises:
        InvalidDealing: A share is missing or wrong; ``dealer`` names whose.

    Spec: DKG-REHEARSAL.
    """
    subsets = rehearsal_subsets(len(share_keys), run.threshold)
    for trustee in sorted({*shares, *(each for subset in subsets for each in subset)}):
        statement = rehearsal_statement(run, key, trustee, share_keys[trustee - 1])
        if trustee not in shares or not is_share_valid(statement, shares[trustee]):
            raise InvalidDealing(
                f"trustee {trustee}: no valid share of the rehearsal",
                rule="DKG-REHEARSAL",
                dealer=trustee,
            )
    rows = rehearsal_rows(run, key)
    for subset in subsets:
        chosen = {trustee: shares[trustee].shares for trustee in subset}
        if combine_shares(rows, 0, chosen, run.threshold) != [rehearsal_message(run)]:
            raise InvalidDealing(
                f"trustees {subset}: do not open what the key seals", rule="DKG-REHEARSAL"
            )
