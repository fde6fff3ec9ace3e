"""The bulletin's routes: an election's page, and the ballots in its box.

Spec: ELECTION-ACCOUNT.
"""

from typing import Final

from aiohttp import web

from clients.voting.ballot import CROCKFORD, TRACKING_SIZE
from services.election.board.operations import parse_digest
from services.election.parts import Context
from services.election.publication.account import Account, Words
from services.election.publication.bulletin import Lookup, Shelf, write_bulletin, write_shelf
from services.election.publication.chapters import write_account
from services.election.publication.facts import gather_facts
from services.kit.messages import Language
from services.kit.problems import NotFound

SHELF_SIZE: Final = 200
"""Ballots on a page."""

TYPED_MAX: Final = 40
"""Characters of a typed tracking code that are looked at."""

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""No script, nothing loaded, no trace of what was looked for."""

_ALIKE: Final = str.maketrans("OIL", "011")


def bulletin_pages(context: Context) -> tuple[web.RouteDef, ...]:
    """Return the routes of the bulletin."""

    async def show_page(request: web.Request) -> web.StreamResponse:
        eid, words = parse_digest(request.match_info["eid"]), _words(context, request)
        account = await _account(context, eid, words)
        typed = request.query.get("code", "").strip()[:TYPED_MAX]
        lookup = None
        if typed:
            beginning = read_tracking_code(typed)
            found = None
            if beginning is not None:
                async with context.board.database.read() as tx:
                    found = await context.board.find_tracked(tx, eid, beginning)
            lookup = Lookup(typed=typed, found=found)
        return _answer(write_bulletin(account, words, lookup), words)

    async def show_ballots(request: web.Request) -> web.StreamResponse:
        eid, words = parse_digest(request.match_info["eid"]), _words(context, request)
        account = await _account(context, eid, words)
        asked = request.query.get("from", "0")
        first = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= 9 else 0
        board = context.board
        async with board.database.read() as tx:
            total = await board.count_ballots(tx, eid)
            ballots = await board.list_ballots(tx, eid, first=first, count_max=SHELF_SIZE)
        shelf = Shelf(ballots=ballots, first=first, total=total, size=SHELF_SIZE)
        return _answer(write_shelf(account, words, shelf), words)

    return (
        web.get("/elections/{eid}/page", show_page),
        web.get("/elections/{eid}/page/ballots", show_ballots),
    )


def read_tracking_code(typed: str) -> bytes | None:
    """Return the bytes that a tracking code names, None when it is none.

    Hyphens and spaces do not count, small letters are great ones, O is 0, I and L are 1.
    """
    text = "".join(typed.upper().split()).replace("-", "").translate(_ALIKE)
    if len(text) * 5 != TRACKING_SIZE * 8 or not set(text) <= set(CROCKFORD):
        return None
    value = 0
    for sign in text:
        value = value << 5 | CROCKFORD.index(sign)
    return value.to_bytes(TRACKING_SIZE, "big")


async def _account(context: Context, eid: bytes, words: Words) -> Account:
    facts = await gather_facts(context, eid, is_internal=False)
    if facts is None:
        raise NotFound("no such election, or its manifest is not here yet")
    return write_account(facts, words)


def _words(context: Context, request: web.Request) -> Words:
    """Return the texts in the language that was asked for: English, else Japanese."""
    asked = request.query.get("lang")
    if asked is None:
        is_english = request.headers.get("Accept-Language", "").strip().lower().startswith("en")
        language = Language.ENGLISH if is_english else Language.JAPANESE
    elif asked in {each.value for each in Language}:
        language = Language(asked)
    else:
        language = Language.JAPANESE
    return Words(context.resources.catalogue, language)


def _answer(text: str, words: Words) -> web.Response:
    headers = {**HEADERS, "Content-Language": words.language.tag, "Vary": "Accept-Language"}
    return web.Response(text=text, content_type="text/html", headers=headers)
