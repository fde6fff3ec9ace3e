"""QBFT-VOTE-TALLY, QBFT-VOTE-EPOCH, QBFT-PROPOSER: judged by naive second implementations."""

from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus.proposer import select_proposer
from node.consensus.validators import apply_header, compute_tally, tally_at_base
from node.primitives.header import ValidatorVote
from node.primitives.types import Address, Round
from tests.support.consensus import addresses, block_by, genesis_header, make_keys

KEYS = make_keys(7)
EPOCH = 6

steps = st.lists(
    st.tuples(st.integers(0, 6), st.none() | st.tuples(st.integers(0, 6), st.booleans())),
    max_size=40,
)


class NaiveTally:
    """Recomputes everything from the list of votes of the epoch, with sets and loops."""

    def __init__(self, members: set[Address]) -> None:
        self.members = set(members)
        self.log: list[tuple[Address, Address, bool]] = []

    def block(self, height: int, voter: Address, vote: ValidatorVote | None) -> None:
        if height % EPOCH == 0:
            self.log = []
        elif vote is not None:
            self.log.append((voter, vote.recipient, vote.is_add))
            self.settle(vote.recipient)

    def settle(self, recipient: Address) -> None:
        last = {voter: is_add for voter, about, is_add in self.log if about == recipient}
        for side in (True, False):
            if 2 * list(last.values()).count(side) > len(self.members):
                self.switch(recipient, is_add=side)
                return

    def switch(self, recipient: Address, *, is_add: bool) -> None:
        self.log = [entry for entry in self.log if entry[1] != recipient]
        if is_add:
            self.members.add(recipient)
        elif self.members != {recipient}:
            was_member = recipient in self.members
            self.members.discard(recipient)
            if was_member:
                self.log = [entry for entry in self.log if entry[0] != recipient]


@settings(max_examples=150, deadline=None)
@given(start=st.integers(1, 7), script=steps)
def test_the_tally_agrees_with_a_naive_one(
    start: int, script: list[tuple[int, tuple[int, bool] | None]]
) -> None:
    headers = [genesis_header(KEYS[:start])]
    tally = tally_at_base(headers[0])
    naive = NaiveTally(set(addresses(KEYS[:start])))
    base = 0
    for who, about in script:
        height = headers[-1].height + 1
        members = tally.validators
        voter = next(key for key in KEYS if key.address == members[who % len(members)])
        vote = None
        if about is not None and height % EPOCH:
            vote = ValidatorVote(recipient=KEYS[about[0]].address, is_add=about[1])
        block = block_by(voter, parent=headers[-1], vote=vote, validators=members)
        headers.append(block.header)
        tally = apply_header(tally, block.header, epoch_length=EPOCH)
        naive.block(height, voter.address, vote)
        base = height if height % EPOCH == 0 else base

        assert tally.validators == tuple(sorted(naive.members))
        assert compute_tally(headers[base:], epoch_length=EPOCH) == tally


def naive_proposer(members: set[Address], coinbase: Address, at: int) -> Address:
    """Walk round the ring of all addresses, one member at a time."""
    ring = sorted(members)
    after = [member for member in ring if member > coinbase]
    before = [member for member in ring if member <= coinbase]
    turn = [*after, *before]
    return turn[at % len(turn)]


addresses_of = st.integers(0, 255).map(lambda value: Address(bytes([value]) * 20))


@given(
    members=st.sets(addresses_of, min_size=1, max_size=8), at=st.integers(0, 20), change=st.data()
)
def test_the_proposer_agrees_with_a_walk_over_all_single_changes(
    members: set[Address], at: int, change: st.DataObject
) -> None:
    coinbase = change.draw(st.sampled_from(sorted(members)))
    changed = change.draw(
        st.one_of(
            st.just(members),
            addresses_of.map(lambda added: members | {added}),
            st.sampled_from(sorted(members)).map(lambda gone: (members - {gone}) or members),
        )
    )

    chosen = select_proposer(tuple(sorted(changed)), parent_coinbase=coinbase, at=Round(at))

    assert chosen == naive_proposer(changed, coinbase, at)
