"""WALLET-COMMANDS: what voters read says the same in both languages, and every name is used."""

import string
from pathlib import Path

import pytest

from clients.cli.texts import Language, say
from clients.cli.vote_texts import VOTE_TEXTS
from clients.voter.tracking import Progress

SOURCES = "".join(
    path.read_text(encoding="utf-8")
    for path in (Path(__file__).parents[3] / "clients" / "cli").glob("vote*.py")
    if path.name != "vote_texts.py"
)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", sorted(VOTE_TEXTS))
def test_both_languages_name_the_same_values(name: str) -> None:
    texts = VOTE_TEXTS[name]

    assert set(texts) == {"ja", "en"}
    assert placeholders(texts["ja"]) == placeholders(texts["en"])


@pytest.mark.parametrize("name", sorted(VOTE_TEXTS))
def test_every_sentence_is_said_somewhere(name: str) -> None:
    assert f'"vote.{name}"' in SOURCES or name in {each.value for each in Progress}


@pytest.mark.parametrize("progress", sorted(Progress))
def test_every_state_of_a_ballot_has_a_sentence(progress: Progress) -> None:
    for language in Language:
        assert say(f"vote.{progress.value}", language)
