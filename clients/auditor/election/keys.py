"""Checking key generations from their transcripts: who dealt, who complained, what key came of it.

Spec: DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clients.auditor.election.mixes import small_sum
from clients.auditor.election.transcripts import (
    DID,
    DKG_COMMIT,
    DKG_COMPLAINT,
    DKG_CONFIRM,
    DKG_POK,
    DKG_SHARE,
    EK_POK,
    int_bytes,
)
from clients.voting.group import GENERATOR, ORDER, Point, sum_points


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """A proof of knowing x of [x]G."""

    w: Point
    """Announcement."""
    z: int
    """Response."""

    def holds(self, public: Point, challenge: int) -> bool:
        """Tell whether [z]G = W + [c]P."""
        return small_sum([(GENERATOR, self.z), (self.w, -1), (public, -challenge)]).is_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The parameters of one run."""

    chain_id: int
    """Chain of the record."""
    registry: bytes
    """20 bytes."""
    draft_id: bytes
    """32 bytes."""
    purpose: bytes
    """One byte: B or R."""
    threshold: int
    """t."""
    trustees: tuple[tuple[Point, Point], ...]
    """Node key and encryption key of each, in order."""

    @property
    def did(self) -> bytes:
        """Return the run's identifier."""
        return DID.digest(
            int_bytes(self.chain_id, 8),
            self.registry,
            self.draft_id,
            self.purpose,
            int_bytes(len(self.trustees), 2),
            int_bytes(self.threshold, 2),
            *(point.encode() for pair in self.trustees for point in pair),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """What one dealer put on the record."""

    commit: bytes
    """Posted before anyone revealed."""
    points: tuple[Point, ...]
    """A_0..A_(t-1)."""
    proof: Knowledge
    """Of the constant term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A complaint: one share opened to everyone."""

    dealer: int
    """i."""
    complainer: int
    """j."""
    e: Point
    """Ephemeral point of the share."""
    ciphertext: bytes
    """The share, masked."""
    s: Point
    """[ek_j]E as opened."""
    t1: Point
    """Announcement over G."""
    t2: Point
    """Announcement over E."""
    z: int
    """Response."""


def encryption_key_challenge(
    chain_id: int, registry: bytes, node: Point, key: Point, w: Point
) -> int:
    """Return the challenge of a registered encryption key."""
    points = (point.encode() for point in (node, key, w))
    return EK_POK.scalar(int_bytes(chain_id, 8), registry, *points)


def dealing_challenge(did: bytes, dealer: int, dealing: Dealing) -> int:
    """Return the challenge of a dealer's constant term."""
    points = (point.encode() for point in (*dealing.points, dealing.proof.w))
    return DKG_POK.scalar(did, int_bytes(dealer, 2), *points)


def confirmation_challenge(
    did: bytes, trustee: int, key: Point, share_keys: Sequence[Point], w: Point
) -> int:
    """Return the challenge of a trustee's confirmation."""
    points = (point.encode() for point in (key, *share_keys, w))
    return DKG_CONFIRM.scalar(did, int_bytes(trustee, 2), *points)


def dispute_challenge(run: Generation, dispute: Dispute) -> int:
    """Return the challenge of a complaint."""
    key = run.trustees[dispute.complainer - 1][1]
    points = (key, dispute.e, dispute.s, dispute.t1, dispute.t2)
    return DKG_COMPLAINT.scalar(
        run.did,
        int_bytes(dispute.dealer, 2),
        int_bytes(dispute.complainer, 2),
        *(point.encode() for point in points),
    )


def find_dealing_fault(run: Generation, dealer: int, dealing: Dealing) -> str | None:
    """Return what is wrong with a dealing, or None.

    Spec: DKG-COMMIT.
    """
    if len(dealing.points) != run.threshold:
        return f"{len(dealing.points)} coefficients instead of {run.threshold}"
    commit = DKG_COMMIT.digest(
        run.did,
        int_bytes(dealer, 2),
        *(point.encode() for point in (*dealing.points, dealing.proof.w)),
        int_bytes(dealing.proof.z, 32),
    )
    if commit != dealing.commit:
        return "reveals something else than it committed to"
    if not dealing.proof.holds(dealing.points[0], dealing_challenge(run.did, dealer, dealing)):
        return "does not prove its constant term"
    return None


def is_dealer_at_fault(run: Generation, dispute: Dispute, dealing: Dealing) -> bool:
    """Judge a complaint: the dealer is at fault, or else the complainer.

    Spec: DKG-COMPLAINT, DKG-SHARE.
    """
    key = run.trustees[dispute.complainer - 1][1]
    c = dispute_challenge(run, dispute)
    on_generator = small_sum([(GENERATOR, dispute.z), (dispute.t1, -1), (key, -c)])
    on_share = small_sum([(dispute.e, dispute.z), (dispute.t2, -1), (dispute.s, -c)])
    if not (on_generator.is_identity and on_share.is_identity):
        return False
    mask = DKG_SHARE.digest(
        run.did,
        int_bytes(dispute.dealer, 2),
        int_bytes(dispute.complainer, 2),
        dispute.e.encode(),
        dispute.s.encode(),
    )
    share = int.from_bytes(dispute.ciphertext, "big") ^ int.from_bytes(mask, "big")
    if share >= ORDER:
        return True
    expected = evaluate(dealing.points, dispute.complainer)
    return not (small_sum([(GENERATOR, share)]) - expected).is_identity


def evaluate(points: Sequence[Point], at: int) -> Point:
    """Return the committed polynomial's value at ``at``, in the exponent."""
    return small_sum((point, pow(at, power, ORDER)) for power, point in enumerate(points))


def derive(dealings: Sequence[Dealing], count: int) -> tuple[Point, tuple[Point, ...]]:
    """Return Y and P_1..P_count.

    Spec: DKG-DERIVE.
    """
    key = sum_points(dealing.points[0] for dealing in dealings)
    shares = tuple(
        sum_points(evaluate(dealing.points, at) for dealing in dealings)
        for at in range(1, count + 1)
    )
    return key, shares
