"""BALLOT-TRANSCRIPT: our own vectors of every transcript are what the producers write today."""

import pytest

from tests.support.voting_vectors import FILES, FOLDER, render


@pytest.mark.parametrize("name", FILES)
def test_writing_the_vectors_again_changes_nothing(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == render(name)


def test_every_file_of_vectors_has_its_maker() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(FILES)
