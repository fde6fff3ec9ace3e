"""Where an election stands, from what every municipality's service says of it. Pure.

The services are asked one by one, so one that is silent, behind or of another mind is seen. What
somebody must do comes first; the rest fits on one line.

Spec: ELECTION-WATCH.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from clients.voting.manifest import Manifest
from services.kit.clock import JAPAN

BEHIND_S: Final = 60
"""How far a service may be behind the furthest before it is named."""

LATE_S: Final = 120
"""How long after its time a step that nobody waits for may be undone."""


class Tongue(StrEnum):
    """Language of the line."""

    JAPANESE = "ja"
    ENGLISH = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class TownReport:
    """What one municipality's service says."""

    municipality: str
    """Its name."""
    election: Mapping[str, Any] | None
    """Its view of the election; None when it did not answer."""
    pending: int | None = None
    """Ballots that wait at its relay; None when it has none or did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Where an election stands."""

    title: str
    is_mock: bool
    at_s: int
    """The present, by the clock here."""
    phase: str
    """``unknown`` when nobody answers."""
    next_step: str
    """Which step comes next, a word of ``STEPS``."""
    next_s: int | None
    """When, if it has a time."""
    waits_for: tuple[str, ...]
    """Whose turn it is: municipality and list."""
    ballots: int
    pending: int
    entries: int
    batches: int
    results: int
    races: int
    height: int
    silent: tuple[str, ...]
    """Municipalities that do not answer."""
    behind: tuple[str, ...]
    """Municipalities whose service is behind."""
    alarms: tuple[str, ...]
    """Words for what somebody must see to, of ``ALARMS``."""


STEPS: Final[Mapping[str, tuple[str, str]]] = {
    "opens": ("投票開始", "voting opens"),
    "closes": ("投票締切", "voting closes"),
    "close-box": ("投票箱を閉じる", "the box is closed"),
    "freezes": ("名簿の凍結", "roll is frozen"),
    "confirm-freeze": ("凍結の確認", "freeze is confirmed"),
    "tally": ("混合と復号", "mixing and decryption"),
    "publish": ("記録の公表", "publish the record"),
    "nothing": ("なし", "nothing"),
    "ask-again": ("応答を待つ", "wait for an answer"),
}
"""Next steps in Japanese and English."""

ALARMS: Final[Mapping[str, tuple[str, str]]] = {
    "nobody": ("どの自治体も応答しない", "no municipality answers"),
    "silent": ("応答しない自治体がある", "a municipality does not answer"),
    "behind": ("台帳に遅れている自治体がある", "a municipality is behind the ledger"),
    "split": ("自治体により状態が異なる", "municipalities disagree"),
    "box-open": ("締切後も投票箱が閉じていない", "the box is still open after closing time"),
    "not-frozen": ("凍結時刻を過ぎても名簿が凍結されていない", "the roll is not frozen in time"),
    "bad-mix": ("無効と判定された混合がある", "a mix was judged invalid"),
    "skipped": ("時間切れの混合者がある", "a mixer did not come in time"),
    "stuck": ("復号に必要な数に足りない自治体しか応答しない", "too few trustees answer to decrypt"),
}
"""What somebody must see to, in Japanese and English."""

PHASES: Final[Mapping[str, tuple[str, str]]] = {
    "announced": ("告示済み", "announced"),
    "open": ("投票受付中", "open"),
    "closing": ("締切処理中", "closing"),
    "closed": ("締切済み", "closed"),
    "tally": ("開票中", "counting"),
    "done": ("開票済み", "done"),
    "abandoned": ("中止", "abandoned"),
    "unknown": ("不明", "unknown"),
}


def judge(manifest: Manifest, reports: Sequence[TownReport], *, now_s: int) -> Watched:
    """Say where the election stands, from the report that is furthest.

    Spec: ELECTION-WATCH.
    """
    heard = [(each, each.election) for each in reports if each.election is not None]
    silent = tuple(each.municipality for each in reports if each.election is None)
    best: Mapping[str, Any] = max(
        (election for _, election in heard), key=lambda each: int(each["height"]), default={}
    )
    newest_s = int(best.get("block_time", 0))
    behind = tuple(
        each.municipality
        for each, election in heard
        if newest_s - int(election["block_time"]) > BEHIND_S
    )
    phase = str(best.get("phase", "unknown"))
    next_step, next_s = _next(manifest, phase)
    return Watched(
        title=manifest.title,
        is_mock=manifest.is_mock,
        at_s=now_s,
        phase=phase,
        next_step=next_step,
        next_s=next_s,
        waits_for=_waits(manifest, best),
        ballots=int(best.get("ballot_count", 0)),
        pending=sum(each.pending or 0 for each in reports),
        entries=int(best.get("entry_count", 0)),
        batches=int(best.get("batch_count", 0)),
        results=len(best.get("results", ())),
        races=len(manifest.races),
        height=int(best.get("height", 0)),
        silent=silent,
        behind=behind,
        alarms=_alarms(manifest, heard, best, silent=silent, behind=behind, now_s=now_s),
    )


def _next(manifest: Manifest, phase: str) -> tuple[str, int | None]:
    return {
        "announced": ("opens", manifest.opens_at),
        "open": ("closes", manifest.closes_at),
        "closing": ("close-box", manifest.closes_at),
        "closed": ("freezes", manifest.freezes_at),
        "tally": ("tally", None),
        "done": ("publish", None),
        "abandoned": ("nothing", None),
    }.get(phase, ("ask-again", None))


def _waits(manifest: Manifest, best: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{_name(manifest, int(number))} ({each['kind']} {each['number']})"
        for each in best.get("lists", ())
        for number in each["waits_for"]
    )


def _name(manifest: Manifest, number: int) -> str:
    trustees = manifest.trustees
    return trustees[number - 1].municipality if 1 <= number <= len(trustees) else str(number)


def _alarms(
    manifest: Manifest,
    heard: Sequence[tuple[TownReport, Mapping[str, Any]]],
    best: Mapping[str, Any],
    *,
    silent: Sequence[str],
    behind: Sequence[str],
    now_s: int,
) -> tuple[str, ...]:
    if not heard:
        return ("nobody",)
    rounds = [turn for each in best["lists"] for turn in each["rounds"]]
    same = [each for each in heard if each[1]["height"] == best["height"]]
    phase = best["phase"]
    trustees = {each.municipality for each in manifest.trustees}
    answering = trustees & {each.municipality for each, _ in heard}
    found = {
        "silent": bool(silent),
        "behind": bool(behind),
        "split": len({_mind(election) for _, election in same}) > 1,
        "box-open": phase == "closing" and now_s > manifest.closes_at + LATE_S,
        "not-frozen": phase == "closed" and now_s > manifest.freezes_at + LATE_S,
        "bad-mix": any(turn["is_valid"] is False and turn["is_posted"] for turn in rounds),
        "skipped": any(turn["is_valid"] is False and not turn["is_posted"] for turn in rounds),
        "stuck": phase in ("closed", "tally") and len(answering) < manifest.threshold,
    }
    return tuple(name for name, is_so in found.items() if is_so)


def _mind(election: Mapping[str, Any]) -> str:
    """Return what services at one height must agree on."""
    names = ("phase", "ballot_count", "box_value", "entry_count", "frozen_styles", "results")
    return repr([election.get(name) for name in names])


def write_line(watched: Watched, tongue: Tongue) -> str:
    """Return the one line: what must be seen to, where it stands, what is next, who is missing.

    Spec: ELECTION-WATCH.
    """
    at = 0 if tongue is Tongue.JAPANESE else 1
    is_japanese = at == 0
    mock = ("［模擬］", " [mock]")[at] if watched.is_mock else ""
    parts = [f"{_clock(watched.at_s)} {watched.title}{mock} {PHASES[watched.phase][at]}"]
    if watched.alarms:
        alarms = ("、" if is_japanese else ", ").join(ALARMS[each][at] for each in watched.alarms)
        parts.append(("要対応: " if is_japanese else "ACT: ") + alarms)
    following = ("次: " if is_japanese else "next: ") + STEPS[watched.next_step][at]
    if watched.next_s is not None:
        following += f" {_moment(watched.next_s, watched.at_s)} {_left(watched, is_japanese)}"
    parts.append(following)
    counts = (
        (
            f"票 {watched.ballots:,}（待ち {watched.pending:,}） 登録 {watched.entries:,}"
            f"（区切り {watched.batches}） 結果 {watched.results}/{watched.races}"
        ),
        (
            f"ballots {watched.ballots:,} (waiting {watched.pending:,}) entries {watched.entries:,}"
            f" (batches {watched.batches}) results {watched.results}/{watched.races}"
        ),
    )
    parts.append(counts[at])
    missing = [
        (("順番: ", "waits for: ")[at], watched.waits_for),
        (("応答なし: ", "silent: ")[at], watched.silent),
        (("遅れ: ", "behind: ")[at], watched.behind),
    ]
    parts += [name + ", ".join(who) for name, who in missing if who]
    return " | ".join(parts)


def _clock(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, JAPAN):%H:%M:%S}"


def _moment(at_s: int, now_s: int) -> str:
    """Return a time of day, with its day when that is not today."""
    then, now = datetime.fromtimestamp(at_s, JAPAN), datetime.fromtimestamp(now_s, JAPAN)
    return f"{then:%H:%M}" if then.date() == now.date() else f"{then:%m-%d %H:%M}"


def _left(watched: Watched, is_japanese: bool) -> str:
    left = (watched.next_s or 0) - watched.at_s
    minutes = abs(left) // 60
    hours, minutes = divmod(minutes, 60)
    if is_japanese:
        span = f"{hours}時間{minutes:02}分" if hours else f"{minutes}分"
        return f"（あと{span}）" if left >= 0 else f"（{span}超過）"
    span = f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
    return f"(in {span})" if left >= 0 else f"({span} ago)"
