"""The chapters of an account, one function each. Pure.

Spec: ELECTION-ACCOUNT.
"""

from collections.abc import Iterable
from typing import Final

from clients.voting.batch import Refusal
from clients.voting.ciphertexts import ListKind
from services.election.board.operations import phase_of
from services.election.board.state import ElectionState, Round, TallyList
from services.election.commission.turnout import Cell
from services.election.publication.account import (
    Account,
    Fact,
    Facts,
    Section,
    Sheet,
    Words,
    fingerprint,
    japan,
)

HIDDEN: Final = "＊"


def write_account(facts: Facts, words: Words) -> Account:
    """Write the account of an election.

    Spec: ELECTION-ACCOUNT.
    """
    state = facts.state
    banner = ""
    if state.abandoned is not None:
        banner = words("abandoned")
    elif state.terms.is_mock:
        banner = words("mock")
    writers = (
        _summary,
        _results,
        _timetable,
        _roll,
        _turnout,
        _ballots,
        _trustees,
        _mixes,
        _shares,
        _incidents,
        _acts,
        _check,
    )
    sections = [writer(facts, words) for writer in writers]
    return Account(
        title=facts.manifest.title,
        kind=words("kind_mock") if state.terms.is_mock else words("real"),
        banner=banner,
        signatories=tuple(each.municipality for each in facts.manifest.registrars),
        as_of=words("as_of", height=f"{facts.head.height:,}", time=japan(facts.head.time_s)),
        sections=tuple(section for section in sections if section is not None),
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}%" if whole else "—"


def _summary(facts: Facts, words: Words) -> Section:
    state = facts.state
    counted = count_voters(facts)
    kind = words("kind_mock" if state.terms.is_mock else "real")
    lines = [
        Fact(name=words("state"), value=words.phase(phase_of(state, facts.head))),
        Fact(name=words("kind"), value=kind),
        Fact(name=words("eligible"), value=f"{facts.manifest.eligible.size:,}"),
        Fact(name=words("recorded"), value=f"{facts.ballot_count:,}"),
    ]
    if counted is not None:
        rate = _percent(counted, facts.manifest.eligible.size)
        lines += [
            Fact(name=words("counted"), value=f"{counted:,}"),
            Fact(name=words("turnout_rate"), value=rate),
        ]
    lines += [
        Fact(name=words("incidents"), value=f"{len(facts.incidents):,}"),
        Fact(name=words("eid"), value=state.eid.hex(), is_digest=True),
    ]
    return Section(anchor="summary", title=words("summary"), facts=tuple(lines))


def count_voters(facts: Facts) -> int | None:
    """Return how many voters' ballots were counted; None before, or when no race shows it.

    A race that every style has is on every counted ballot.
    """
    state = facts.state
    if not state.results:
        return None
    races = [set(style.races) for style in facts.manifest.styles]
    for race in sorted(set.intersection(*races)):
        if race in state.results:
            return sum(numbers_of(state.results[race].numbers))
    return None


def numbers_of(data: bytes) -> list[int]:
    """Return a result's numbers: blank, every candidate, invalid."""
    return [int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 8)]


def _results(facts: Facts, words: Words) -> Section:
    sheets, lines = [], []
    for race in facts.manifest.races:
        found = facts.state.results.get(race.race)
        if found is None:
            continue
        blank, *votes, invalid = numbers_of(found.numbers)
        named = [(each.name, count) for each, count in zip(race.candidates, votes, strict=True)]
        named += [(words("blank"), blank), (words("invalid"), invalid)]
        total = sum(count for _, count in named)
        rows = [(name, f"{count:,}", _percent(count, total)) for name, count in named]
        sheets.append(
            Sheet(
                title=race.name,
                head=(words("candidate"), words("votes"), words("share")),
                rows=(*rows, (words("total"), f"{total:,}", "")),
                numbers=frozenset({1, 2}),
                shares=(*(count / total if total else 0.0 for _, count in named), 0.0),
            )
        )
        name = f"{words('result_digest')}: {race.name}"
        lines.append(Fact(name=name, value=found.result.hex(), is_digest=True))
    notes = () if sheets else (words("no_results"),)
    return Section(
        anchor="results",
        title=words("results"),
        facts=tuple(lines),
        sheets=tuple(sheets),
        notes=notes,
    )


def _timetable(facts: Facts, words: Words) -> Section:
    state, times = facts.state, facts.times
    terms = state.terms
    starts = [(each.height, each.started_at_s) for each in state.lists.values()]
    results = [each.height for each in state.results.values()]
    draft = state.draft
    frozen = [each.height for each in state.frozen.values()] if state.is_frozen else []
    is_done = len(state.results) == len(terms.races)
    steps: list[tuple[str, int | None, int | None]] = [
        ("drafted", None, None if draft is None else draft.height),
        ("announced", None, state.announced_height),
        ("opens", terms.opens_at, None),
        ("closes", terms.closes_at, None if state.box is None else state.box.closed_height),
        ("freezes", terms.freezes_at, max(frozen, default=None)),
        ("mixing", None, min(starts, default=(None, 0))[0]),
        ("published", None, max(results, default=None) if is_done else None),
    ]
    return Section(
        anchor="timetable",
        title=words("timetable"),
        notes=(words("japan"),),
        sheets=(
            Sheet(
                head=(words("step"), words("planned"), words("done_at"), words("block")),
                rows=tuple(
                    (
                        words(step),
                        japan(planned),
                        japan(None if height is None else times.get(height)),
                        "" if height is None else f"{height:,}",
                    )
                    for step, planned, height in steps
                ),
                numbers=frozenset({3}),
            ),
        ),
    )


def _roll(facts: Facts, words: Words) -> Section:
    state, manifest = facts.state, facts.manifest
    names = {style.style: style.name for style in manifest.styles}
    registrars = [each.municipality for each in manifest.registrars]
    frozen = Sheet(
        title=words("freezes"),
        head=(words("style"), words("active"), words("block"), words("root"), words("file")),
        rows=tuple(
            (
                names.get(each.style, str(each.style)),
                f"{each.count:,}",
                f"{each.height:,}",
                each.root.hex(),
                each.file_digest.hex(),
            )
            for each in sorted(state.frozen.values(), key=lambda each: each.style)
        ),
        numbers=frozenset({1, 2}),
        digests=frozenset({3, 4}),
    )
    batches = Sheet(
        title=words("batches"),
        head=(
            words("number"),
            words("time"),
            words("entries"),
            words("cancels"),
            words("block"),
            words("root"),
        ),
        rows=tuple(
            (
                str(each.number),
                japan(facts.times.get(each.height)),
                f"{each.entry_count:,}",
                f"{each.cancel_count:,}",
                f"{each.height:,}",
                each.root.hex(),
            )
            for each in state.batches
        ),
        numbers=frozenset({0, 2, 3, 4}),
        digests=frozenset({5}),
    )
    lines = (
        Fact(name=words("eligible"), value=f"{manifest.eligible.size:,}"),
        Fact(name=words("entries"), value=f"{sum(b.entry_count for b in state.batches):,}"),
        Fact(name=words("cancels"), value=f"{sum(b.cancel_count for b in state.batches):,}"),
        Fact(name=words("active"), value=f"{sum(s.count for s in state.frozen.values()):,}"),
        Fact(name=words("role_commission"), value=registrars[0]),
        Fact(name=words("witnesses"), value="、".join(registrars[1:])),
        Fact(name=words("attestations"), value=str(manifest.attestations)),
        Fact(name=words("eligible_root"), value=manifest.eligible.root, is_digest=True),
    )
    return Section(
        anchor="roll",
        title=words("roll"),
        facts=lines,
        sheets=tuple(sheet for sheet in (frozen, batches) if sheet.rows),
    )


def _turnout(facts: Facts, words: Words) -> Section | None:
    table = facts.turnout
    if table is None or not table.bands:
        return None
    body = [
        (band, *map(_show_cell, cells), _show_cell(total))
        for band, cells, total in zip(table.bands, table.cells, table.row_totals, strict=True)
    ]
    last = (words("total"), *map(_show_cell, table.column_totals), _show_cell(table.total))
    return Section(
        anchor="turnout",
        title=words("turnout"),
        notes=(words("turnout_note"),),
        sheets=(
            Sheet(
                title=words("enrolled_of"),
                head=(words("age"), *table.districts, words("total")),
                rows=(*body, last),
                numbers=frozenset(range(1, len(table.districts) + 2)),
            ),
        ),
    )


def _show_cell(cell: Cell | None) -> str:
    return HIDDEN if cell is None else f"{cell.enrolled:,} / {cell.electors:,}"


def _ballots(facts: Facts, words: Words) -> Section:
    box = facts.state.box
    lines = [
        Fact(name=words("recorded"), value=f"{facts.ballot_count:,}"),
        Fact(name=words("withdrawn"), value=f"{facts.withdrawal_count:,}"),
        Fact(name=words("refused"), value=f"{sum(facts.refusals.values()):,}"),
    ]
    if box is not None:
        lines.append(Fact(name=words("box_value"), value=box.value.hex(), is_digest=True))
    refused = Sheet(
        title=words("refused"),
        head=(words("kind"), words("count")),
        rows=tuple(
            (_reason(reason), f"{count:,}") for reason, count in sorted(facts.refusals.items())
        ),
        numbers=frozenset({1}),
    )
    return Section(
        anchor="ballots",
        title=words("ballots"),
        facts=tuple(lines),
        sheets=(refused,) if refused.rows else (),
    )


def _reason(number: int) -> str:
    try:
        return Refusal(number).name.lower()
    except ValueError:
        return str(number)


def _trustees(facts: Facts, words: Words) -> Section:
    manifest = facts.manifest
    relays = {each.municipality for each in manifest.relays}
    registrars = [each.municipality for each in manifest.registrars]
    rows = []
    for number, each in enumerate(manifest.trustees, 1):
        roles = []
        if each.municipality in registrars:
            is_first = each.municipality == registrars[0]
            roles.append(words("role_commission" if is_first else "role_witness"))
        if each.municipality in relays:
            roles.append(words("role_relay"))
        if number in manifest.mixers:
            roles.append(words("role_mixer", place=manifest.mixers.index(number) + 1))
        shares = f"{fingerprint(each.ballot_share)} / {fingerprint(each.roll_share)}"
        rows.append(
            (str(number), each.municipality, "、".join(roles), fingerprint(each.node), shares)
        )
    lines = (
        Fact(name=words("threshold"), value=f"{manifest.threshold} / {len(manifest.trustees)}"),
        Fact(name=words("ballot_key"), value=manifest.ballot_key, is_digest=True),
        Fact(name=words("roll_key"), value=manifest.roll_key, is_digest=True),
        Fact(name=f"{words('ceremony')} (B)", value=manifest.ballot_transcript, is_digest=True),
        Fact(name=f"{words('ceremony')} (R)", value=manifest.roll_transcript, is_digest=True),
    )
    sheet = Sheet(
        head=(
            words("number"),
            words("municipality"),
            words("roles"),
            words("node_key"),
            words("share_keys"),
        ),
        rows=tuple(rows),
        numbers=frozenset({0}),
        digests=frozenset({3, 4}),
    )
    return Section(anchor="trustees", title=words("trustees"), facts=lines, sheets=(sheet,))


def _lists(state: ElectionState) -> Iterable[TallyList]:
    return sorted(
        state.lists.values(), key=lambda each: (each.kind is ListKind.BALLOTS, each.number)
    )


def _list_name(tally: TallyList, words: Words) -> str:
    kind = "list_roll" if tally.kind is ListKind.ROLL else "list_ballots"
    return words(kind, number=tally.number)


def _trustee_name(facts: Facts, number: int) -> str:
    trustees = facts.manifest.trustees
    return trustees[number - 1].municipality if 1 <= number <= len(trustees) else str(number)


def _verdict(turn: Round, words: Words) -> str:
    if turn.is_valid is None:
        return words("verdict_waiting")
    if turn.output is None:
        return words("verdict_skipped")
    return words("verdict_valid" if turn.is_valid else "verdict_invalid")


def _mixes(facts: Facts, words: Words) -> Section | None:
    rows = []
    for tally in _lists(facts.state):
        name = _list_name(tally, words)
        rows.append((name, f"{tally.row_count:,}", "0", "—", "—", "—", tally.start.hex(), ""))
        rows += [
            (
                name,
                f"{tally.row_count:,}",
                str(turn.number),
                _trustee_name(facts, turn.mixer),
                japan(turn.ended_at_s),
                _verdict(turn, words),
                "" if turn.output is None else turn.output.hex(),
                "" if turn.proof is None else turn.proof.hex(),
            )
            for turn in tally.rounds
        ]
    if not rows:
        return None
    heads = ("list", "rows", "round", "mixer", "time", "verdict", "output", "proof")
    sheet = Sheet(
        head=tuple(map(words, heads)),
        rows=tuple(rows),
        numbers=frozenset({1, 2}),
        digests=frozenset({6, 7}),
    )
    return Section(anchor="mixes", title=words("mixes"), sheets=(sheet,))


def _shares(facts: Facts, words: Words) -> Section | None:
    rows = []
    for tally in _lists(facts.state):
        for number in range(1, len(facts.manifest.trustees) + 1):
            share = tally.share_of(number)
            rows.append(
                (
                    _list_name(tally, words),
                    _trustee_name(facts, number),
                    words("missing") if share is None else f"{share.height:,}",
                    "" if share is None else share.shares.hex(),
                    "" if share is None else share.proof.hex(),
                )
            )
    if not rows:
        return None
    heads = ("list", "trustee", "block", "shares", "proof")
    sheet = Sheet(
        head=tuple(map(words, heads)),
        rows=tuple(rows),
        numbers=frozenset({2}),
        digests=frozenset({3, 4}),
    )
    return Section(anchor="shares", title=words("shares"), sheets=(sheet,))


def _incidents(facts: Facts, words: Words) -> Section:
    names = {each.municipality_id: each.municipality for each in facts.manifest.trustees}
    rows = []
    for each in facts.incidents:
        said = each.incident
        rows.append(
            (
                names.get(each.municipality, str(each.municipality)),
                str(each.number),
                japan(None if said is None else said.time),
                "" if said is None else words(f"severity_{said.severity}"),
                words("withheld") if said is None else said.text,
                "—" if each.height is None else f"{each.height:,}",
                each.digest.hex(),
            )
        )
    heads = ("municipality", "number", "time", "severity", "what", "on_ledger", "digests")
    sheet = Sheet(
        head=tuple(map(words, heads)),
        rows=tuple(rows),
        numbers=frozenset({1, 5}),
        digests=frozenset({6}),
    )
    return Section(
        anchor="incidents",
        title=words("incidents"),
        sheets=(sheet,) if rows else (),
        notes=() if rows else (words("no_incidents"),),
    )


def _acts(facts: Facts, words: Words) -> Section | None:
    if not facts.acts:
        return None
    sheet = Sheet(
        head=(words("act"), words("count"), words("first"), words("last")),
        rows=tuple(
            (words.act(each.kind), f"{each.count:,}", japan(each.first_s), japan(each.last_s))
            for each in facts.acts
        ),
        numbers=frozenset({1}),
    )
    return Section(anchor="acts", title=words("acts"), sheets=(sheet,))


def _check(facts: Facts, words: Words) -> Section:
    state = facts.state
    lines = [
        Fact(name=words("eid"), value=state.eid.hex(), is_digest=True),
        Fact(name=words("draft"), value=state.terms.draft_id.hex(), is_digest=True),
        Fact(name=words("chain"), value=str(facts.chain_id)),
        Fact(name=words("genesis"), value=facts.genesis_hash.hex(), is_digest=True),
    ]
    lines += [
        Fact(name=name, value=f"0x{address.hex()}", is_digest=True)
        for name, address in facts.contracts.items()
    ]
    return Section(
        anchor="check", title=words("check"), facts=tuple(lines), notes=(words("check_text"),)
    )
