"""ROLL-TURNOUT: no hidden cell can be computed from what is shown."""

from hypothesis import given
from hypothesis import strategies as st

from services.election.commission.turnout import SMALLEST, Cell, build_turnout

BANDS = ("18-19", "20-24", "25-29", "80+")


def test_large_cells_are_shown() -> None:
    counts = {
        (band, district): Cell(electors=100, enrolled=40)
        for band in BANDS[:2]
        for district in ("第一", "第二")
    }

    table = build_turnout(counts, BANDS)

    assert table.cells == ((Cell(electors=100, enrolled=40),) * 2,) * 2
    assert table.total == Cell(electors=400, enrolled=160)


def test_one_small_cell_takes_others_with_it() -> None:
    counts = {
        (band, district): Cell(electors=100, enrolled=40)
        for band in BANDS[:3]
        for district in ("第一", "第二", "第三")
    }
    counts["18-19", "第一"] = Cell(electors=100, enrolled=3)

    table = build_turnout(counts, BANDS)

    assert sum(cell is None for row in table.cells for cell in row) == 4
    assert None not in table.row_totals


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=12, max_size=12))
def test_every_line_hides_none_or_more_than_one(numbers: list[tuple[int, int]]) -> None:
    cells = iter(numbers)
    counts = {}
    for band in BANDS:
        for district in ("a", "b", "c"):
            electors, enrolled = next(cells)
            counts[band, district] = Cell(electors=electors, enrolled=min(electors, enrolled))

    table = build_turnout(counts, BANDS)

    rows = [
        [*zip(cells, (counts[band, d] for d in table.districts), strict=True), (total, None)]
        for band, cells, total in zip(table.bands, table.cells, table.row_totals, strict=True)
    ]
    for row in rows:
        hidden = sum(shown is None for shown, _ in row)
        others = [real for shown, real in row[:-1] if shown is not None and real is not None]
        # One alone may stay hidden only beside cells that are empty, its total hidden with it.
        assert hidden != 1 or all(cell.electors == 0 for cell in others)
    for line in table.cells:
        for cell in line:
            if cell is not None and cell.electors:
                parts = (cell.electors, cell.enrolled, cell.electors - cell.enrolled)
                assert min(parts) >= SMALLEST
