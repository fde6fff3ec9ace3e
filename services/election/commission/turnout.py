"""Turnout by age band and district, with every cell hidden that would point to a person. Pure.

A cell is hidden when few electors are in it, or when few of them, or few of the others, enrolled.
Then further cells are hidden until no hidden one can be computed from its row's or column's total:
each row and column has none or at least two. The table comes from the roll alone and is never
joined to ballots.

Spec: ROLL-TURNOUT.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SMALLEST: Final = 10
"""Least electors, least enrolled and least not enrolled of a cell that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Electors of one age band and district."""

    electors: int
    """On the roll."""
    enrolled: int
    """With an active entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnoutTable:
    """What may be published; None stands for a hidden cell."""

    bands: tuple[str, ...]
    """Rows."""
    districts: tuple[str, ...]
    """Columns."""
    cells: tuple[tuple[Cell | None, ...], ...]
    """By row and column."""
    row_totals: tuple[Cell | None, ...]
    """Of each band."""
    column_totals: tuple[Cell | None, ...]
    """Of each district."""
    total: Cell | None
    """Of all."""


def build_turnout(
    counts: Mapping[tuple[str, str], Cell], bands: Sequence[str], *, smallest: int = SMALLEST
) -> TurnoutTable:
    """Build the table of counts by (band, district) and hide what must be.

    Totals are rows and columns like the others: a hidden total is protected by a second one.

    Spec: ROLL-TURNOUT.
    """
    districts = tuple(sorted({district for _, district in counts}))
    shown = tuple(band for band in bands if any(band == found for found, _ in counts))
    empty = Cell(electors=0, enrolled=0)
    grid = [[counts.get((band, district), empty) for district in districts] for band in shown]
    whole = [[*row, _add(row)] for row in grid]
    whole.append([_add(column) for column in zip(*whole, strict=True)] if whole else [empty])
    hidden = {
        (at, place)
        for at, row in enumerate(whole)
        for place, cell in enumerate(row)
        if _is_small(cell, smallest)
    }
    _hide_complements(whole, hidden)
    cells = [
        tuple(None if (at, place) in hidden else cell for place, cell in enumerate(row))
        for at, row in enumerate(whole)
    ]
    return TurnoutTable(
        bands=shown,
        districts=districts,
        cells=tuple(row[:-1] for row in cells[:-1]),
        row_totals=tuple(row[-1] for row in cells[:-1]),
        column_totals=cells[-1][:-1],
        total=cells[-1][-1],
    )


def _add(cells: Sequence[Cell]) -> Cell:
    return Cell(
        electors=sum(cell.electors for cell in cells),
        enrolled=sum(cell.enrolled for cell in cells),
    )


def _is_small(cell: Cell, smallest: int) -> bool:
    """Tell whether a cell points to few persons; an empty one points to none."""
    parts = (cell.electors, cell.enrolled, cell.electors - cell.enrolled)
    return cell.electors > 0 and min(parts) < smallest


def _hide_complements(whole: list[list[Cell]], hidden: set[tuple[int, int]]) -> None:
    """Hide further cells until every line has none or two hidden, the least populated first.

    An empty cell protects nothing: everyone knows what it holds. A line in which nothing is left to
    hide with has its one cell's line of the other direction protect it.
    """
    height, width = len(whole), len(whole[0])
    lines = [[(at, place) for place in range(width)] for at in range(height)]
    lines += [[(at, place) for at in range(height)] for place in range(width)]
    changed = True
    while changed:
        changed = False
        for line in lines:
            if sum(place in hidden for place in line) != 1:
                continue
            left = [
                (whole[at][place].electors, at, place)
                for at, place in line
                if (at, place) not in hidden and whole[at][place].electors
            ]
            if left:
                _, at, place = min(left)
                hidden.add((at, place))
                changed = True
