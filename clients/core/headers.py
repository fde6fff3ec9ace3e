"""What lets a light client move its trust from one header to a later one, and when it may not.

The next header needs a good parent link and seals (step); a later one needs seals of the trusted
set inside a trusting period (skip). When too few of the trusted set sealed a far header, `Path`
halves the distance until the change of validators lies open. Pure: whoever drives a path fetches
the headers it wants.

Spec: LIGHT-STEP, LIGHT-SKIP, LIGHT-BISECT.
"""

from dataclasses import dataclass
from typing import Final

from node.consensus.header_rules import verify_constants
from node.consensus.report import Check, Report, compare
from node.consensus.seals import TrustedHeader, recover_sealers, verify_skip, verify_step
from node.primitives.errors import InvalidBlock, Misconfigured, PeerMisbehaviour, Unavailable
from node.primitives.header import Header
from node.primitives.types import Address, Height

PATH_HEADERS_MAX: Final = 4_096
"""Most headers one path takes before it gives up."""

VOUCHING: Final = "seals of the trusted set"
"""Name that ``consensus.seals`` gives the one check which a nearer header can cure."""


class HeaderRefused(InvalidBlock):
    """A header that a light client does not take: forged, misplaced, or of another network."""

    code = "light.header_refused"


class TrustExpired(Misconfigured):
    """What the light client trusts is too old to vouch for anything; it needs a new checkpoint."""

    code = "light.trust_expired"


class StaleHead(Unavailable):
    """The newest verified header is older than the network allows: nodes withhold, or it halted."""

    code = "light.stale_head"


class ForkDetected(PeerMisbehaviour):
    """Two headers of one height, both sealed by a quorum; the light client takes neither."""

    code = "light.fork"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustLimits:
    """How long trust lasts, and how far clocks may differ."""

    trusting_period_s: int = 14 * 86_400
    """How long a verified header vouches for later ones; shorter than retired keys are at large."""
    drift_s: int = 10
    """How far ahead of our clock a header may be."""
    staleness_s: int = 120
    """Oldest head that is still the present; several heartbeats of the network."""


def verify_advance(header: Header, *, trusted: Header, now_s: int, limits: TrustLimits) -> Report:
    """Check that trust in ``trusted`` extends to the later ``header``.

    Spec: LIGHT-STEP, LIGHT-SKIP.
    """
    constants = verify_constants(header).checks
    if header.height == trusted.height + 1:
        return Report(checks=(*constants, *_step_checks(header, trusted, now_s, limits)))
    above = Check(
        rule="LIGHT-SKIP",
        name="height",
        is_met=header.height > trusted.height,
        expected=f"above {trusted.height}",
        actual=header.height,
    )
    skip = verify_skip(
        header,
        trusted=TrustedHeader(
            timestamp_s=trusted.timestamp_s, validators=trusted.extra_data.validators
        ),
        now_s=now_s,
        trusting_period_s=limits.trusting_period_s,
        drift_s=limits.drift_s,
    )
    return Report(checks=(above, *constants, *skip.checks))


def _step_checks(
    header: Header, trusted: Header, now_s: int, limits: TrustLimits
) -> tuple[Check, ...]:
    latest_s = now_s + limits.drift_s
    return (
        compare("LIGHT-STEP", "parent hash", trusted.hash, header.parent_hash),
        Check(
            rule="LIGHT-STEP",
            name="timestamp",
            is_met=trusted.timestamp_s < header.timestamp_s <= latest_s,
            expected=f"after {trusted.timestamp_s}, at most {latest_s}",
            actual=header.timestamp_s,
        ),
        *verify_step(header, trusted=trusted.extra_data.validators).checks,
    )


def check_next(header: Header, *, trusted: Header, now_s: int, limits: TrustLimits) -> None:
    """Refuse a header that is not the sealed successor of a verified one.

    Raises:
        HeaderRefused: A rule is broken; the first is named.

    Spec: LIGHT-STEP.
    """
    expected = compare("LIGHT-STEP", "height", trusted.height + 1, header.height)
    if not expected.is_met:
        raise _refused(str(expected), expected.rule)
    report = verify_advance(header, trusted=trusted, now_s=now_s, limits=limits)
    for check in report.failures:
        raise _refused(f"header {header.height}: {check}", check.rule)


def check_period(trusted: Header, *, now_s: int, limits: TrustLimits) -> None:
    """Refuse to build on a header whose validators may have retired, and lost their keys, since.

    Raises:
        TrustExpired: Its trusting period is over.

    Spec: LIGHT-PERIOD.
    """
    age_s = now_s - trusted.timestamp_s
    if age_s >= limits.trusting_period_s:
        raise TrustExpired(
            f"the trusted header at height {trusted.height} is {age_s} s old, at most "
            f"{limits.trusting_period_s}; start from a new checkpoint of two municipalities",
            rule="LIGHT-PERIOD",
        )


def check_fresh(head: Header, *, now_s: int, limits: TrustLimits) -> None:
    """Refuse a head that is verified and yet not the present.

    Raises:
        StaleHead: It is older than the network's heartbeats allow.

    Spec: LIGHT-FRESH.
    """
    age_s = now_s - head.timestamp_s
    if age_s > limits.staleness_s:
        raise StaleHead(
            f"the newest verified header, height {head.height}, is {age_s} s old, at most "
            f"{limits.staleness_s}: nodes withhold newer blocks, or the network stands still",
            rule="LIGHT-FRESH",
            height=head.height,
            age_s=age_s,
        )


class Path:
    """The way from a trusted header to a target height, one wanted header at a time."""

    def __init__(self, trusted: Header, target: Height, *, now_s: int, limits: TrustLimits) -> None:
        """Start at ``trusted``.

        Raises:
            TrustExpired: It is too old to start from.
            HeaderRefused: The target is not above it.
        """
        check_period(trusted, now_s=now_s, limits=limits)
        if target <= trusted.height:
            raise _refused(f"height {target}: expected above {trusted.height}", "LIGHT-BISECT")
        self.trusted = trusted
        self.wanted: Height | None = target
        self.taken_count = 0
        self._now_s = now_s
        self._limits = limits
        self._waiting: list[Header] = []

    def take(self, header: Header) -> None:
        """Verify the wanted header and choose the next one wanted; None when the target is reached.

        Raises:
            HeaderRefused: It is forged, not the one wanted, or no honest path is this long.

        Spec: LIGHT-BISECT.
        """
        if self.wanted is None or header.height != self.wanted:
            raise _refused(f"height {header.height}: expected {self.wanted}", "LIGHT-BISECT")
        self.taken_count += 1
        if self.taken_count > PATH_HEADERS_MAX:
            raise _refused(f"path of over {PATH_HEADERS_MAX} headers", "LIGHT-BISECT")
        self._waiting.append(header)
        while self._waiting and self._is_vouched(self._waiting[-1]):
            self.trusted = self._waiting.pop()
        self.wanted = self._middle()

    def _is_vouched(self, header: Header) -> bool:
        """Tell whether trust extends to ``header``; refuse what no nearer header can cure."""
        report = verify_advance(
            header, trusted=self.trusted, now_s=self._now_s, limits=self._limits
        )
        is_next = header.height == self.trusted.height + 1
        for check in report.failures:
            if is_next or check.name != VOUCHING:
                raise _refused(f"header {header.height}: {check}", check.rule)
        return report.is_met

    def _middle(self) -> Height | None:
        if not self._waiting:
            return None
        return Height((self.trusted.height + self._waiting[-1].height) // 2)


def check_ancestor(header: Header, child: Header) -> None:
    """Check that a header is the parent of a verified one: the hash alone decides.

    Raises:
        HeaderRefused: It is not.

    Spec: LIGHT-ANCESTOR.
    """
    check = compare("LIGHT-ANCESTOR", "hash", child.parent_hash, header.hash)
    if not check.is_met:
        raise _refused(f"parent of header {child.height}: {check}", check.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkEvidence:
    """Two headers of one height that a quorum sealed each: proof that validators lied."""

    first: Header
    """With its seals."""
    second: Header
    """With its seals."""

    @property
    def both_sealed(self) -> tuple[Address, ...]:
        """Return the validators that sealed both, ascending.

        In one round each of them lied. In two rounds some may have been led on by forged round
        changes, yet more than f lied in all: the assumption the ledger rests on is broken.
        """
        sealers = set(recover_sealers(self.first)) & set(recover_sealers(self.second))
        return tuple(sorted(sealer for sealer in sealers if sealer is not None))

    def to_error(self) -> ForkDetected:
        """Return the error that carries this evidence, verifiable by anyone with the set.

        Spec: LIGHT-FORK.
        """
        return ForkDetected(
            f"two sealed blocks at height {self.first.height}: 0x{self.first.hash.hex()} and "
            f"0x{self.second.hash.hex()}; keep this evidence and ask two municipalities",
            rule="LIGHT-FORK",
            headers=["0x" + header.encode().hex() for header in (self.first, self.second)],
            both_sealed=["0x" + address.hex() for address in self.both_sealed],
        )


def _refused(message: str, rule: str) -> HeaderRefused:
    return HeaderRefused(f"light client: {message}", rule=rule)
