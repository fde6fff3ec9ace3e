"""DEC-SHARE, DEC-COMBINE, DKG-DERIVE: any t trustees decrypt, and all subsets agree."""

from itertools import combinations

import pytest

from clients.voting.ciphertexts import ListContext, ListKind
from clients.voting.decryption import (
    DecryptionStatement,
    NotEnoughShares,
    build_share,
    combine_shares,
    is_share_valid,
)
from tests.support.voting import EID, SeededNonces, encrypted_list, key_generation

TRUSTEES = key_generation()
SOURCE = SeededNonces("decryption")
ROWS, (PLAIN,) = encrypted_list((TRUSTEES.key,), 6, SOURCE)
CONTEXT = ListContext(eid=EID, kind=ListKind.BALLOTS, list_id=1, round=0)


def statement(trustee: int) -> DecryptionStatement:
    return DecryptionStatement(
        context=CONTEXT,
        rows=ROWS,
        column=0,
        trustee=trustee,
        share_key=TRUSTEES.share_keys[trustee - 1],
    )


SHARES = {
    trustee: build_share(statement(trustee), TRUSTEES.shares[trustee - 1], SOURCE)
    for trustee in range(1, 5)
}


def test_every_honest_share_is_valid() -> None:
    assert all(is_share_valid(statement(trustee), SHARES[trustee]) for trustee in SHARES)


@pytest.mark.parametrize("chosen", list(combinations(range(1, 5), 3)))
def test_every_threshold_subset_gives_the_same_messages(chosen: tuple[int, ...]) -> None:
    shares = {trustee: SHARES[trustee].shares for trustee in chosen}

    messages = combine_shares(ROWS, 0, shares, 3)

    assert messages == [PLAIN[at] for at in range(6)]


def test_83_one_share_short_of_the_threshold_gives_nothing() -> None:
    shares = {trustee: SHARES[trustee].shares for trustee in (1, 2)}

    with pytest.raises(NotEnoughShares):
        combine_shares(ROWS, 0, shares, 3)
