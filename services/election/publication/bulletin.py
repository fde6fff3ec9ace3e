"""The bulletin of an election: pages for anyone, in Japanese and English, without a script.

Plain HTML that a screen reader, a small telephone and a printer can read. It shows what the ledger
says, digests with it, and where a ballot stands when its tracking code is typed; never a choice.

Spec: ELECTION-ACCOUNT.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from clients.voting.ballot import tracking_code
from services.election.board.store import AcceptedBallot
from services.election.publication.account import Account, Fact, Section, Sheet, Words, japan
from services.kit.messages import Language

STYLE: Final = """\
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;font:17px/1.7 system-ui,"Hiragino Sans","Noto Sans CJK JP","Noto Sans JP",sans-serif;
color:#1a1a1a;background:#fff}
a{color:#134a7c}a:focus,input:focus,button:focus{outline:3px solid #b35c00;outline-offset:2px}
.skip{position:absolute;left:-99em}.skip:focus{left:1rem;top:1rem;background:#fff;padding:.5rem}
header{background:#1c3f60;color:#fff;padding:1.4rem 1rem}header a{color:#fff}
header>div,main,footer{max-width:60rem;margin:0 auto}
h1{font-size:1.7rem;line-height:1.35;margin:.2rem 0}header p{margin:.15rem 0}
main,footer{padding:1rem}
nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;padding:0;list-style:none;margin:.4rem 0 0}
.banner{border:2px solid #a01c1c;border-left-width:.6rem;color:#8a1414;padding:.7rem 1rem;
font-weight:700;margin:1rem 0}
h2{font-size:1.25rem;color:#1c3f60;border-bottom:2px solid #1c3f60;padding-bottom:.15rem;
margin:2.2rem 0 .7rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.2rem;font-size:.93rem}
caption{text-align:left;font-weight:700;color:#1c3f60;padding:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #b8c4d0}
thead th{background:#eef3f8;border-top:2px solid #1c3f60;white-space:nowrap}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:.78rem/1.4 ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere;
word-break:break-all}
td code{display:block;min-width:9rem;max-width:17rem}
dl{display:grid;grid-template-columns:minmax(9rem,15rem) 1fr;margin:.5rem 0 1rem}
dt,dd{padding:.35rem .6rem;margin:0;border-bottom:1px solid #d5dde5}
dt{font-weight:600;color:#33506b}
meter{width:100%;min-width:5rem;height:1rem}
form{margin:.8rem 0;padding:1rem;background:#eef3f8}
label{display:block;font-weight:600}
input,button{font:inherit;padding:.45rem .7rem;border:2px solid #1c3f60;border-radius:.25rem}
input{width:100%;max-width:24rem;text-transform:uppercase}
button{background:#1c3f60;color:#fff;cursor:pointer}
.answer{border-left:.5rem solid #0b5d1e;padding:.5rem 1rem;background:#f1f7f2}
footer{border-top:1px solid #b8c4d0;margin-top:2rem;font-size:.9rem}
@media(max-width:40rem){dl{grid-template-columns:1fr}dt{border-bottom:0;padding-bottom:0}}
@media print{header{background:none;color:#000}form,.skip,nav{display:none}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A tracking code that was typed, and the ballot it names."""

    typed: str
    """As typed."""
    found: AcceptedBallot | None
    """The ballot; None when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A page of the ballots in the box."""

    ballots: Sequence[AcceptedBallot]
    """In the box's order."""
    first: int
    """Index of the first."""
    total: int
    """Ballots in the box."""
    size: int
    """Ballots on a full page."""


def write_bulletin(account: Account, words: Words, lookup: Lookup | None) -> str:
    """Return the page of an election.

    Spec: ELECTION-ACCOUNT.
    """
    links = "".join(
        f'<li><a href="#{each.anchor}">{escape(each.title)}</a></li>' for each in account.sections
    )
    body = "".join(_write_section(each) for each in account.sections)
    return _write_page(
        account,
        words,
        other="page",
        navigation=f"<nav aria-label='{escape(words('summary'))}'><ul>{links}</ul></nav>",
        content=_write_finder(words, lookup) + body,
    )


def write_shelf(account: Account, words: Words, shelf: Shelf) -> str:
    """Return a page of the ballots in the box: tracking code, digest, block and time."""
    rows = "".join(
        f'<tr><td class="n">{each.number:,}</td>'
        f"<td><code>{tracking_code(each.digest)}</code></td>"
        f'<td class="n">{each.height:,}</td><td>{escape(japan(each.time_s))}</td>'
        f"<td><code>{each.digest.hex()}</code></td></tr>"
        for each in shelf.ballots
    )
    heads = ("number", "tracking", "block", "time", "ballot_hash")
    head = "".join(f'<th scope="col">{escape(words(name))}</th>' for name in heads)
    steps = []
    language = words.language.value
    if shelf.first > 0:
        before = max(shelf.first - shelf.size, 0)
        steps.append(f'<a rel="prev" href="?lang={language}&amp;from={before}">'
                     f"{escape(words('newer'))}</a>")  # fmt: skip
    if shelf.first + shelf.size < shelf.total:
        after = shelf.first + shelf.size
        steps.append(f'<a rel="next" href="?lang={language}&amp;from={after}">'
                     f"{escape(words('older'))}</a>")  # fmt: skip
    content = (
        f"<h2>{escape(words('listing'))} ({shelf.total:,})</h2><div class='scroll'><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<p>{' '.join(steps)}</p>"
        f"<p><a href='../page?lang={language}'>{escape(account.title)}</a></p>"
    )
    return _write_page(account, words, other="ballots", navigation="", content=content)


def _write_page(
    account: Account, words: Words, *, other: str, navigation: str, content: str
) -> str:
    other_language = Language.ENGLISH
    if words.language is Language.ENGLISH:
        other_language = Language.JAPANESE
    banner = f'<p class="banner" role="note">{escape(account.banner)}</p>' if account.banner else ""
    title = escape(account.title)
    return (
        f'<!DOCTYPE html><html lang="{words.language.tag}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title} — {escape(words('title'))}</title><style>{STYLE}</style></head><body>"
        f'<a class="skip" href="#main">{escape(words("skip"))}</a>'
        f"<header><div><p>{escape(words('title'))}</p><h1>{title}</h1>"
        f"<p>{escape(account.as_of)}</p>"
        f'<p><a href="{other}?lang={other_language.value}" hreflang="{other_language.tag}" '
        f'lang="{other_language.tag}">{escape(words("other_language"))}</a></p>'
        f"</div></header><main id='main'>{banner}{navigation}{content}</main>"
        f"<footer><p>{escape(words('japan'))}</p></footer></body></html>"
    )


def _write_finder(words: Words, lookup: Lookup | None) -> str:
    language = words.language.value
    answer = ""
    typed = "" if lookup is None else escape(lookup.typed, quote=True)
    if lookup is not None:
        found = lookup.found
        text = (
            words("not_found")
            if found is None
            else words(
                "found",
                index=f"{found.number:,}",
                height=f"{found.height:,}",
                time=japan(found.time_s),
            )
        )
        digest = "" if found is None else f"<br><code>{found.digest.hex()}</code>"
        answer = f'<p class="answer" role="status">{escape(text)}{digest}</p>'
    return (
        f"<section aria-labelledby='find'><h2 id='find'>{escape(words('find'))}</h2>"
        f"<form method='get' action='page'><input type='hidden' name='lang' value='{language}'>"
        f"<label for='code'>{escape(words('tracking'))}</label>"
        f"<p id='code-help'>{escape(words('find_help'))}</p>"
        f"<input id='code' name='code' value='{typed}' maxlength='40' autocomplete='off' "
        "spellcheck='false' aria-describedby='code-help'> "
        f"<button type='submit'>{escape(words('find_button'))}</button></form>{answer}"
        f"<p><a href='page/ballots?lang={language}'>{escape(words('listing'))}</a></p></section>"
    )


def _write_section(section: Section) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in section.notes)
    sheets = "".join(_write_sheet(sheet) for sheet in section.sheets)
    facts = _write_facts(section.facts)
    inside = sheets + facts if section.anchor == "results" else facts + sheets
    return (
        f"<section aria-labelledby='{section.anchor}'>"
        f"<h2 id='{section.anchor}'>{escape(section.title)}</h2>{notes}{inside}</section>"
    )


def _write_facts(facts: tuple[Fact, ...]) -> str:
    if not facts:
        return ""
    lines = "".join(
        f"<dt>{escape(fact.name)}</dt><dd>"
        + (f"<code>{escape(fact.value)}</code>" if fact.is_digest else escape(fact.value))
        + "</dd>"
        for fact in facts
    )
    return f"<dl>{lines}</dl>"


def _write_sheet(sheet: Sheet) -> str:
    caption = f"<caption>{escape(sheet.title)}</caption>" if sheet.title else ""
    head = "".join(
        f'<th scope="col"{_class(sheet, at)}>{escape(name)}</th>'
        for at, name in enumerate(sheet.head)
    )
    if sheet.shares:
        head += "<th aria-hidden='true'></th>"
    rows = []
    for at, row in enumerate(sheet.rows):
        cells = "".join(_write_cell(sheet, column, cell) for column, cell in enumerate(row))
        if sheet.shares:
            share = sheet.shares[at]
            meter = f'<meter value="{share:.4f}" aria-hidden="true"></meter>' if share else ""
            cells += f"<td>{meter}</td>"
        rows.append(f"<tr>{cells}</tr>")
    return (
        f"<div class='scroll' tabindex='0'><table>{caption}<thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _class(sheet: Sheet, column: int) -> str:
    return ' class="n"' if column in sheet.numbers else ""


def _write_cell(sheet: Sheet, column: int, text: str) -> str:
    if column in sheet.digests:
        return f"<td><code>{escape(text)}</code></td>" if text else "<td></td>"
    if column == 0:
        return f'<th scope="row"{_class(sheet, column)}>{escape(text)}</th>'
    return f"<td{_class(sheet, column)}>{escape(text)}</td>"
