"""ELECTION-ACCOUNT: what report and bulletin page say of an election, and what they never say."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import insert

from clients.voting.ballot import tracking_code
from services.election.board.refs import manifest_ref
from services.election.board.tables import BALLOTS
from services.election.publication.account import Account, Section, Words
from services.election.publication.bulletin import Lookup, write_bulletin
from services.election.publication.chapters import count_voters, write_account
from services.election.publication.facts import gather_facts
from services.election.publication.pages import bulletin_pages, read_tracking_code
from services.election.publication.printing import print_account
from services.election.service import SERVICE
from services.kit.messages import Language
from tests.support.commission import elector, open_poll
from tests.support.election_facts import MANIFEST, TEXT, make_facts
from tests.support.election_http import serve_town

CATALOGUE = SERVICE.load_catalogue()
JAPANESE, ENGLISH = (Words(CATALOGUE, each) for each in (Language.JAPANESE, Language.ENGLISH))


def chapter(account: Account, anchor: str) -> Section:
    return next(each for each in account.sections if each.anchor == anchor)


def texts(section: Section) -> str:
    """Return everything a section says."""
    cells = [cell for sheet in section.sheets for row in sheet.rows for cell in row]
    return "\n".join([*cells, *(fact.value for fact in section.facts), *section.notes])


def test_results_name_candidates_with_their_numbers() -> None:
    race = MANIFEST.races[0]

    (sheet,) = chapter(write_account(make_facts(), ENGLISH), "results").sheets

    assert sheet.title == race.name
    assert sheet.rows[0] == (race.candidates[0].name, "3", "60.00%")
    assert [row[:2] for row in sheet.rows[-3:]] == [
        ("Blank", "1"),
        ("Invalid", "1"),
        ("Total", "5"),
    ]


def test_small_cells_of_enrolment_stay_hidden() -> None:
    section = chapter(write_account(make_facts(), JAPANESE), "turnout")

    said = texts(section)
    assert "＊" in said
    assert "3 / 13" not in said
    assert "88 / 222" not in said or "45 / 123" not in said


def test_a_municipality_without_the_roll_shows_neither_enrolment_nor_acts() -> None:
    account = write_account(make_facts(turnout=None, acts=()), JAPANESE)

    assert not {"turnout", "acts"} & {each.anchor for each in account.sections}


def test_every_mixer_is_shown_with_its_verdict() -> None:
    (sheet,) = chapter(write_account(make_facts(), ENGLISH), "mixes").sheets
    names = [each.municipality for each in MANIFEST.trustees]

    assert [(row[3], row[5]) for row in sheet.rows[1:]] == [
        (names[0], "valid"),
        (names[1], "invalid, left out"),
        (names[2], "did not come in time, passed over"),
    ]


def test_a_trustee_that_gave_no_share_is_named() -> None:
    (sheet,) = chapter(write_account(make_facts(), ENGLISH), "shares").sheets

    missing = [row[1] for row in sheet.rows if row[2] == "not given"]
    assert missing == [each.municipality for each in MANIFEST.trustees[1:]]


def test_a_withheld_incident_is_shown_with_its_digest() -> None:
    said = texts(chapter(write_account(make_facts(), ENGLISH), "incidents"))

    assert TEXT in said
    assert "text withheld" in said
    assert "10" * 32 in said


def test_an_abandoned_election_says_so_above_all() -> None:
    facts = make_facts()
    state = replace(facts.state, abandoned=b"\x01" * 32)

    assert "abandoned" in write_account(replace(facts, state=state), ENGLISH).banner


def test_voters_are_counted_by_a_race_that_everyone_has() -> None:
    facts = make_facts()
    is_common = all(MANIFEST.races[0].race in style.races for style in MANIFEST.styles)

    assert count_voters(facts) == (5 if is_common else None)
    assert count_voters(replace(facts, state=replace(facts.state, results={}))) is None


def test_an_unfinished_election_can_be_printed() -> None:
    facts = make_facts(incidents=(), turnout=None, acts=())
    state = replace(facts.state, results={}, lists={}, frozen={}, box=None, batches=())

    account = write_account(replace(facts, state=state), JAPANESE)

    assert print_account(account, JAPANESE).startswith(b"%PDF-")


def test_the_report_is_the_same_twice_and_has_numbered_pages() -> None:
    account = write_account(make_facts(), JAPANESE)

    pdf = print_account(account, JAPANESE)

    assert pdf == print_account(account, JAPANESE)
    pages = pdf.count(b"/Type /Page\n") or len(re.findall(rb"/Type /Page\b(?!s)", pdf))
    assert pages >= 2
    other = replace(account, title="別の選挙")
    assert print_account(other, JAPANESE) != pdf


class Structure(HTMLParser):
    """Collects what matters of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("words", [JAPANESE, ENGLISH])
def test_the_page_is_accessible_and_needs_no_script(words: Words) -> None:
    account = write_account(make_facts(turnout=None, acts=()), words)

    text = write_bulletin(account, words, None)

    page = Structure()
    page.feed(text)
    assert page.all("html")[0]["lang"] == words.language.tag
    assert not page.all("script")
    assert not [each for tag in ("img", "link", "iframe") for each in page.all(tag)]
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert all("scope" in each or each.get("aria-hidden") for each in page.all("th"))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [str(each["href"]) for each in page.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    labels = {each["for"] for each in page.all("label")}
    assert {each["id"] for each in page.all("input") if each.get("type") != "hidden"} <= labels


def test_what_others_wrote_is_text_in_the_page() -> None:
    account = write_account(make_facts(turnout=None, acts=()), JAPANESE)
    typed = "'><script>alert(1)</script>"

    text = write_bulletin(account, JAPANESE, Lookup(typed=typed, found=None))

    assert "<script" not in text
    assert "<b>4分間" not in text
    assert "&lt;b&gt;4分間" in text


def test_a_tracking_code_is_read_as_people_type_it() -> None:
    digest = bytes(range(7, 39))
    code = tracking_code(digest)

    assert read_tracking_code(f" {code.lower()} ") == digest[:10]
    assert (
        read_tracking_code(code.replace("-", "").replace("0", "O").replace("1", "l")) == digest[:10]
    )
    assert read_tracking_code(code[:-1]) is None
    assert read_tracking_code(code[:-1] + "U") is None


async def test_anyone_finds_a_ballot_on_the_page(tmp_path: Path) -> None:
    async with open_poll(tmp_path, [elector(0), elector(1)], towns=1) as poll:
        context, eid = poll.town.context, poll.eid
        await context.library.keep(manifest_ref(eid), poll.manifest.encode())
        digests = [bytes([at]) * 32 for at in range(1, 4)]
        async with context.board.database.write() as tx:
            for at, digest in enumerate(digests):
                await tx.execute(
                    insert(BALLOTS).values(
                        tenant=context.tenant, eid=eid, number=at, height=40 + at, time_s=1_000,
                        digest=digest, transaction_hash=digest, core=b"", signature=b"",
                    )
                )  # fmt: skip
        async with (
            serve_town(poll.town, pages=bulletin_pages(context)) as served,
            aiohttp.ClientSession() as http,
        ):
            base = f"{served.url}/elections/{eid.hex()}/page"

            async def get(path: str) -> tuple[int, str]:
                async with http.get(base + path) as response:
                    if response.status == 200:
                        policy = response.headers["Content-Security-Policy"]
                        assert "default-src 'none'" in policy
                        assert "script" not in policy
                    return response.status, await response.text()

            code = tracking_code(digests[1])
            status, text = await get(f"?lang=en&code={code}")
            assert (status, digests[1].hex() in text, digests[2].hex() in text) == (
                200,
                True,
                False,
            )
            _, text = await get(f"?lang=en&code={tracking_code(b'9' * 32)}")
            assert "No ballot with this code" in text
            _, text = await get("/ballots?lang=ja&from=1")
            shown = [digest.hex() in text for digest in digests]
            assert shown == [False, True, True]
            async with http.get(f"{served.url}/elections/{'00' * 32}/page") as missing:
                assert missing.status == 404


async def test_the_report_of_the_commission_has_its_enrolment(tmp_path: Path) -> None:
    async with open_poll(tmp_path, [elector(at) for at in range(2)], towns=1) as poll:
        context, eid = poll.town.context, poll.eid
        await context.library.keep(manifest_ref(eid), poll.manifest.encode())

        public = await gather_facts(context, eid, is_internal=False)
        internal = await gather_facts(
            replace(context, settings=replace(context.settings, commission=object())),  # type: ignore[arg-type]
            eid,
            is_internal=True,
        )

        assert public is not None
        assert internal is not None
        assert (public.turnout, public.acts) == (None, ())
        assert internal.turnout is not None
        assert internal.turnout.total is None
        assert "announced" in {each.kind for each in internal.acts}
