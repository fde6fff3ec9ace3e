"""The example service, on a real chain and database, answers only what its document names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.conformance import ask_everything, on_thread, operations_of, read_schema
from tests.support.example import Board, running_board
from tests.support.followed import Town


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """The noticeboard and its relay, served by a loop on a thread of its own."""
    folder: Path = tmp_path_factory.mktemp("example")
    with on_thread(lambda: running_board(Town(), folder)) as opened:
        yield opened


def headers_of(board: Board, kind: str, method: str, path: str) -> dict[str, str]:
    """Return the headers with which a caller of that kind sends a request."""
    now_s = int(board.town.clock.now().timestamp())
    times = {"iat": now_s, "exp": now_s + 600}
    if kind == "staff":
        return board.people.staff_headers(**times)
    if kind == "nobody":
        return {}
    token = board.people.resident_token(**times)
    proof = board.people.proof(token, method=method, path=path, iat=now_s)
    return {"Authorization": f"DPoP {token}", "DPoP": proof}


@pytest.mark.parametrize("kind", ["nobody", "resident", "staff"])
def test_every_answer_is_one_the_document_names(board: Board, kind: str) -> None:
    schema = read_schema(board.url)
    operations = operations_of(schema)

    for path, method in sorted(operations):
        statuses = ask_everything(
            board.url,
            schema[path][method],
            lambda method, path: headers_of(board, kind, method, path),
            example_count=10,
        )
        assert max(statuses) < 500

    assert len(operations) >= 3
