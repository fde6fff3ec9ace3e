"""CARD-MESSAGE: every failure tells its holder what to do, in Japanese and English."""

import pytest

from clients.card import errors
from clients.card.codes import CodeKind
from clients.card.errors import CodeFormat, CodeWrong, NoCard
from clients.card.messages import CODE_NAMES, Language, expiry_notice, explain
from node.primitives.errors import LedgerError, Unavailable

ALL_ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, LedgerError)
    and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.code)
def test_every_error_of_a_card_is_explained(kind: type[LedgerError], language: Language) -> None:
    error = kind("told to operators", kind="signing", status="6F00", tries_left=2)

    said = explain(error, language)

    assert said is not None
    assert "{" not in said
    assert "told to operators" not in said
    assert said.isascii() == (language is Language.ENGLISH)


def test_a_wrong_code_is_named_with_the_tries_left() -> None:
    error = CodeWrong("refused", kind="authentication", tries_left=2)

    assert explain(error, Language.JAPANESE) == (
        "利用者証明用電子証明書の暗証番号（数字4桁）が違います。あと2回でロックされます。"
    )


def test_the_code_that_was_typed_instead_is_named() -> None:
    error = CodeFormat("form", kind="authentication", looks_like="signing")

    said = explain(error, Language.ENGLISH)

    assert said is not None
    assert said.endswith(f"looks like the {CODE_NAMES[CodeKind.SIGNING][Language.ENGLISH]}.")


def test_errors_of_something_else_are_left_to_others() -> None:
    assert explain(Unavailable("disk"), Language.ENGLISH) is None
    assert explain(NoCard("card"), Language.ENGLISH) is not None


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(91, None, id="far"),
        pytest.param(90, "expires in 90 days", id="ninety days"),
        pytest.param(0, "expires in 0 days", id="today"),
        pytest.param(-1, "has expired", id="over"),
    ],
)
def test_the_end_of_a_certificate_is_announced(days: int, expected: str | None) -> None:
    said = expiry_notice(days, Language.ENGLISH)

    assert said == expected or (expected is not None and said is not None and expected in said)
