"""Catalogues say the same in three languages; a missing key or other placeholder is found."""

from pathlib import Path

import pytest

from node.primitives.errors import InvalidInput, Misconfigured
from services.kit import app
from services.kit.messages import (
    KIT_LOCALE,
    Catalogue,
    Language,
    UnknownMessage,
    choose_language,
    examine_catalogue,
    load_catalogue,
)
from services.kit.problems import Refusal, RequestTooLarge, describe_problem, status_of

SERVICES = Path(__file__).parents[3] / "services"
JA, EASY, EN = Language.JAPANESE, Language.EASY_JAPANESE, Language.ENGLISH


@pytest.mark.parametrize(
    "folder", sorted(SERVICES.glob("**/locale")), ids=lambda path: path.parent.name
)
def test_every_catalogue_we_ship_is_complete(folder: Path) -> None:
    catalogue = load_catalogue([folder] if folder == KIT_LOCALE else [KIT_LOCALE, folder])

    assert examine_catalogue(catalogue) == []


def subclasses(kind: type[Refusal]) -> list[type[Refusal]]:
    return [kind, *(each for child in kind.__subclasses__() for each in subclasses(child))]


def test_every_refusal_of_the_kit_has_words() -> None:
    catalogue = load_catalogue([KIT_LOCALE])
    # The application imports every module that refuses.
    assert app.build_app
    ours = [each for each in subclasses(Refusal) if each.__module__.startswith("services.kit")]
    wordless = [
        each.code
        for each in ours
        if each.code not in catalogue.texts[JA]
        and f"status.{status_of(each)}" not in (catalogue.texts[JA])
    ]

    assert len(ours) > 15
    assert wordless == []


@pytest.mark.parametrize(
    ("texts", "finding"),
    [
        pytest.param(({"a": "x"}, {"a": "x"}, {}), "a: missing in en", id="missing"),
        pytest.param(({"a": "x"}, {"a": " "}, {"a": "x"}), "a: empty in ja-easy", id="empty"),
        pytest.param(
            ({"a": "{n}冊"}, {"a": "{n}さつ"}, {"a": "{count} books"}),
            "a: placeholders differ between languages",
            id="other placeholder",
        ),
        pytest.param(
            ({"a": "{n}冊"}, {"a": "さつ"}, {"a": "{n} books"}),
            "a: placeholders differ between languages",
            id="placeholder left out",
        ),
    ],
)
def test_what_differs_between_languages_is_found(
    texts: tuple[dict[str, str], ...], finding: str
) -> None:
    catalogue = Catalogue(dict(zip((JA, EASY, EN), texts, strict=True)))

    assert examine_catalogue(catalogue) == [finding]


def write(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True)
    for language in Language:
        (folder / f"{language}.toml").write_text(texts.get(language.name.lower(), texts["all"]))
    return folder


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a = 1", id="not a text"),
        pytest.param('a = "{"', id="open brace"),
        pytest.param('a = "{0}"', id="numbered"),
        pytest.param('a = "{x.y}"', id="attribute"),
        pytest.param('a = "{x!r}', id="not TOML"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Misconfigured):
        load_catalogue([write(tmp_path / "locale", all=text)])


def test_a_key_of_the_kit_is_not_redefined(tmp_path: Path) -> None:
    folder = write(tmp_path / "locale", all='[auth]\nrole = "x"')

    with pytest.raises(Misconfigured, match=r"auth\.role is defined twice"):
        load_catalogue([KIT_LOCALE, folder])


def test_a_text_that_nobody_wrote_is_our_fault(tmp_path: Path) -> None:
    catalogue = load_catalogue([write(tmp_path / "locale", all='a = "{n}"')])

    assert catalogue.text("a", EN, n=3) == "3"
    for key, values in (("b", {}), ("a", {"m": 1})):
        with pytest.raises(UnknownMessage):
            catalogue.text(key, JA, **values)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        pytest.param(None, JA, id="absent"),
        pytest.param("en", EN, id="plain"),
        pytest.param("ja;q=0.5, en;q=0.9", EN, id="weights"),
        pytest.param("en;q=0, ja;q=0.1", JA, id="refused"),
        pytest.param("ja-x-easy", EASY, id="easy"),
        pytest.param("zh-TW, vi", JA, id="others"),
        pytest.param("en;q=nan, ;;,=", JA, id="nonsense"),
        pytest.param("x" * 10_000 + ", en", JA, id="beyond what is looked at"),
    ],
)
def test_the_callers_language_is_chosen(header: str | None, language: Language) -> None:
    assert choose_language(header) is language


class Lost(InvalidInput):
    """An error without words of its own."""

    code = "test.lost"


def test_an_error_without_words_is_told_by_its_status_and_never_by_its_message() -> None:
    problem = describe_problem(
        Lost("五霞花子 is not here"),
        catalogue=load_catalogue([KIT_LOCALE]),
        language=EN,
        request_id="0",
    )

    assert (problem.code, problem.status) == ("test.lost", 400)
    assert "花子" not in str(problem.document())


def test_free_text_is_never_put_into_an_answer() -> None:
    catalogue = load_catalogue([KIT_LOCALE])

    def title(limit: object) -> str:
        error = RequestTooLarge("too large", limit_kb=limit)
        return describe_problem(error, catalogue=catalogue, language=EN, request_id="0").title

    assert "256" in title(256)
    assert title("五霞花子") == catalogue.text("status.413", EN)
