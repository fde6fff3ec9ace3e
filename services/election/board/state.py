"""The state of drafts and elections, as events of final blocks give it. Pure.

Everyone who reads the same events gets the same state. What a trustee, a registrar or a relay does
next is decided on it, and ``chain.json`` of the published record is written from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from clients.voting.ciphertexts import ListKind
from clients.voting.terms import TERM_NAMES, Terms, decode_terms
from services.election.board.contracts import ContractEvent

EMPTY: Final = bytes(32)
"""A digest that is none."""

INCIDENT_STEP: Final = 1_000
"""The bulletin's step of incident n is this and n."""

INCIDENTS_MAX: Final = 1_000
"""Incidents of one municipality and draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event and where it stands."""

    event: ContractEvent
    """What it says."""
    height: int
    """Its block."""
    time_s: int
    """The block's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionTerms:
    """The announced terms, named as in ``clients.voting.terms``; addresses in small letters."""

    draft_id: bytes
    is_mock: bool
    opens_at: int
    closes_at: int
    freezes_at: int
    max_sequence: int
    min_interval_s: int
    mix_time_s: int
    threshold: int
    attestations: int
    min_mixes: int
    trustees: tuple[int, ...]
    trustee_accounts: tuple[str, ...]
    mixers: tuple[int, ...]
    registrars: tuple[str, ...]
    relays: tuple[str, ...]
    races: tuple[tuple[int, int], ...]
    style_races: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, terms: Terms) -> "ElectionTerms":
        """Name the terms."""
        return cls(**cast(Any, dict(zip(TERM_NAMES, terms, strict=True))))

    def in_order(self) -> Terms:
        """Return them as ``clients.voting.terms`` takes them."""
        return tuple(getattr(self, name) for name in TERM_NAMES)

    @property
    def styles(self) -> tuple[int, ...]:
        """Return the styles' numbers, ascending."""
        return tuple(sorted({style for style, _ in self.style_races}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A municipality's message of a step of a draft."""

    municipality: int
    step: int
    digest: bytes
    height: int
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftState:
    """A draft and what trustees said under it."""

    draft_id: bytes
    municipality: int
    """Who drafted."""
    height: int
    posts: tuple[Post, ...] = ()
    """In the chain's order."""

    @property
    def incidents(self) -> tuple[tuple[Post, int], ...]:
        """Return the posts that are incidents, with their numbers, in the chain's order."""
        return tuple(
            (post, post.step - INCIDENT_STEP)
            for post in self.posts
            if INCIDENT_STEP < post.step <= INCIDENT_STEP + INCIDENTS_MAX
        )

    def digest_of(self, municipality: int, step: int) -> bytes | None:
        """Return the digest that a municipality posted for a step."""
        for post in self.posts:
            if (post.municipality, post.step) == (municipality, step):
                return post.digest
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch of the sealed roll."""

    number: int
    root: bytes
    entry_count: int
    cancel_count: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenStyle:
    """The frozen roll of a style."""

    style: int
    root: bytes
    count: int
    file_digest: bytes
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The closed ballot box."""

    count: int
    value: bytes
    closed_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A mixer's turn."""

    number: int
    """From 1."""
    mixer: int
    """The trustee."""
    output: bytes | None
    """Digest of the mixed list; None when the mixer was passed over."""
    proof: bytes | None
    height: int
    """Of the post, else of being passed over."""
    time_s: int
    is_valid: bool | None = None
    """The verdict, None before."""
    ended_at_s: int | None = None
    """Time of the verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedShare:
    """A trustee's decryption shares of a list."""

    trustee: int
    shares: bytes
    proof: bytes
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyList:
    """A list on its way from start to decryption."""

    kind: ListKind
    number: int
    """Style or race."""
    row_count: int
    start: bytes
    """Digest of the list that was started."""
    height: int
    started_at_s: int
    rounds: tuple[Round, ...] = ()
    shares: tuple[PostedShare, ...] = ()

    @property
    def digest(self) -> bytes:
        """Return the digest of the last valid list."""
        outputs = [each.output for each in self.rounds if each.is_valid and each.output]
        return outputs[-1] if outputs else self.start

    @property
    def pending(self) -> Round | None:
        """Return the mix that waits for a verdict."""
        return next((each for each in self.rounds if each.is_valid is None), None)

    @property
    def next_round(self) -> int:
        """Return the number of the round that goes on, one more than those ended."""
        return 1 + sum(each.is_valid is not None for each in self.rounds)

    @property
    def round_began_at_s(self) -> int:
        """Return when the round that goes on began."""
        ends = [each.ended_at_s for each in self.rounds if each.ended_at_s is not None]
        return ends[-1] if ends else self.started_at_s

    def is_final(self, terms: ElectionTerms) -> bool:
        """Tell whether it may be decrypted, as the contract does.

        Spec: TALLY-ROUND.
        """
        mixes = sum(bool(each.is_valid) for each in self.rounds)
        return self.next_round > len(terms.mixers) and mixes >= terms.min_mixes

    def share_of(self, trustee: int) -> PostedShare | None:
        """Return what a trustee posted."""
        return next((each for each in self.shares if each.trustee == trustee), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A race's published result."""

    race: int
    is_mock: bool
    result: bytes
    numbers: bytes
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionState:
    """An announced election."""

    eid: bytes
    terms: ElectionTerms
    announced_height: int
    announced_at_s: int
    draft: DraftState | None = None
    batches: tuple[Batch, ...] = ()
    frozen: Mapping[int, FrozenStyle] = field(default_factory=dict)
    box: Box | None = None
    lists: Mapping[tuple[ListKind, int], TallyList] = field(default_factory=dict)
    results: Mapping[int, Result] = field(default_factory=dict)
    abandoned: bytes | None = None
    """The notice's digest."""

    @property
    def is_frozen(self) -> bool:
        """Tell whether every style's roll is frozen."""
        return set(self.frozen) == set(self.terms.styles)

    def trustee_of(self, account: bytes) -> int:
        """Return the number of the trustee that acts with an account, 0 for none."""
        accounts = self.terms.trustee_accounts
        text = "0x" + account.hex()
        return accounts.index(text) + 1 if text in accounts else 0


def build_draft(facts: Iterable[Fact]) -> DraftState | None:
    """Return the draft that these events tell of; None when it was never drafted."""
    draft: DraftState | None = None
    posts: list[Post] = []
    for fact in facts:
        values = fact.event.values
        if fact.event.name == "Drafted":
            draft = DraftState(
                draft_id=values["draft_id"],
                municipality=values["municipality"],
                height=fact.height,
            )
        elif fact.event.name == "Posted":
            posts.append(
                Post(
                    municipality=values["municipality"],
                    step=values["step"],
                    digest=values["digest"],
                    height=fact.height,
                    time_s=fact.time_s,
                )
            )
    return None if draft is None else replace(draft, posts=tuple(posts))


def build_election(facts: Iterable[Fact]) -> ElectionState | None:
    """Return the election that these events, in order, tell of; None before its announcement."""
    state: ElectionState | None = None
    for fact in facts:
        if fact.event.name == "Announced":
            state = ElectionState(
                eid=fact.event.values["eid"],
                terms=ElectionTerms.of(decode_terms(fact.event.data)),
                announced_height=fact.height,
                announced_at_s=fact.time_s,
            )
        elif state is not None:
            state = _apply(state, fact)
    return state


def _apply(state: ElectionState, fact: Fact) -> ElectionState:
    values, height = fact.event.values, fact.height
    match fact.event.name:
        case "Abandoned":
            return replace(state, abandoned=values["reason"])
        case "BatchPosted":
            names = ("number", "root", "entry_count", "cancel_count")
            batch = Batch(**{name: values[name] for name in names}, height=height)
            return replace(state, batches=(*state.batches, batch))
        case "StyleFrozen":
            names = ("style", "root", "count", "file_digest")
            style = FrozenStyle(**{name: values[name] for name in names}, height=height)
            return replace(state, frozen={**state.frozen, style.style: style})
        case "BoxClosed":
            box = Box(count=values["count"], value=values["value"], closed_height=height)
            return replace(state, box=box)
        case "ResultPublished":
            names = ("race", "is_mock", "result", "numbers")
            result = Result(**{name: values[name] for name in names}, height=height)
            return replace(state, results={**state.results, result.race: result})
        case "ListStarted" | "MixPosted" | "MixEnded" | "SharePosted":
            return _apply_to_list(state, fact)
        case _:
            return state


def _apply_to_list(state: ElectionState, fact: Fact) -> ElectionState:
    values = fact.event.values
    kind, number = ListKind(bytes([values["kind"]])), values["number"]
    if fact.event.name == "ListStarted":
        changed = TallyList(
            kind=kind,
            number=number,
            row_count=values["row_count"],
            start=values["digest"],
            height=fact.height,
            started_at_s=fact.time_s,
        )
    else:
        changed = _apply_to_started(state.lists[kind, number], fact)
    return replace(state, lists={**state.lists, (kind, number): changed})


def _apply_to_started(tally: TallyList, fact: Fact) -> TallyList:
    values = fact.event.values
    if fact.event.name == "SharePosted":
        names = ("trustee", "shares", "proof")
        share = PostedShare(**{name: values[name] for name in names}, height=fact.height)
        return replace(tally, shares=(*tally.shares, share))
    if fact.event.name == "MixPosted":
        posted = Round(
            number=values["round"],
            mixer=values["mixer"],
            output=values["output"],
            proof=values["proof"],
            height=fact.height,
            time_s=fact.time_s,
        )
        return replace(tally, rounds=(*tally.rounds, posted))
    if tally.pending is None:
        skipped = Round(
            number=values["round"],
            mixer=values["mixer"],
            output=None,
            proof=None,
            height=fact.height,
            time_s=fact.time_s,
            is_valid=False,
            ended_at_s=fact.time_s,
        )
        return replace(tally, rounds=(*tally.rounds, skipped))
    ended = replace(tally.rounds[-1], is_valid=values["is_valid"], ended_at_s=fact.time_s)
    return replace(tally, rounds=(*tally.rounds[:-1], ended))
