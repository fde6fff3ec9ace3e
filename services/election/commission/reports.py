"""What officers read of the roll: polling stations' list, turnout, the record.

Spec: ROLL-TURNOUT, ROLL-ACTS.
"""

from typing import Final

from services.election.commission.acts import list_acts, print_record
from services.election.commission.desk import LEVEL, OFFICER, PURPOSE
from services.election.commission.desk_documents import (
    CellView,
    MarksView,
    MarkView,
    RecordView,
    TurnoutView,
)
from services.election.commission.enrolment import Registrar
from services.election.commission.marks import MARKS_PAGE, count_turnout, list_marks
from services.election.commission.rolls import (
    BANDS,
    RollMissing,
    RollNotReady,
    find_band,
    read_hex32,
)
from services.election.commission.turnout import Cell, build_turnout
from services.kit.envelope import Erased
from services.kit.messages import Catalogue
from services.kit.operations import Call, operation

_REFUSALS: Final = (RollMissing, RollNotReady, Erased)


class ReportOperations:
    """The officers' handlers for lists and reports."""

    def __init__(self, registrar: Registrar, catalogue: Catalogue) -> None:
        """Hold what they need."""
        self._registrar = registrar
        self._catalogue = catalogue

    @operation(
        "GET",
        "/commission/{draft}/reconciliation/{after}",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=MarksView,
        is_personal=True,
        refusals=_REFUSALS,
    )
    async def show_marks(self, call: Call[None, None]) -> MarksView:
        """Show a page of the list for polling stations: who enrolled online, who is closed."""
        text = call.path["after"]
        after = b"" if text == "start" else read_hex32(text)
        async with self._registrar.database.read() as tx:
            roll, vault = await self._registrar.open_roll(tx, call)
            marks = await list_marks(tx, roll, vault, after=after)
        for mark in marks:
            call.note_read(f"slot:{mark.slot.hex()[:32]}")
        is_full = len(marks) == MARKS_PAGE
        return MarksView(
            rows=[
                MarkView(number=mark.number, district=mark.district, mark=mark.mark)
                for mark in marks
            ],
            next=marks[-1].slot.hex() if is_full else "",
        )

    @operation(
        "GET",
        "/commission/{draft}/turnout",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=TurnoutView,
        refusals=_REFUSALS,
    )
    async def show_turnout(self, call: Call[None, None]) -> TurnoutView:
        """Show turnout by age band and district, with small cells hidden."""
        async with self._registrar.database.read() as tx:
            counts = await count_turnout(tx, await self._registrar.roll_of(tx, call))
        bands = [find_band(0), *(find_band(age) for age in BANDS)]
        table = build_turnout(counts, bands)
        return TurnoutView(
            bands=list(table.bands),
            districts=list(table.districts),
            cells=[[_cell(cell) for cell in row] for row in table.cells],
            row_totals=[_cell(cell) for cell in table.row_totals],
            column_totals=[_cell(cell) for cell in table.column_totals],
            total=_cell(table.total),
        )

    @operation(
        "GET",
        "/commission/{draft}/record",
        purpose=PURPOSE,
        roles=[OFFICER],
        authentication_level=LEVEL,
        response=RecordView,
        refusals=_REFUSALS,
    )
    async def print_record(self, call: Call[None, None]) -> RecordView:
        """Print every act of the commission, in order."""
        async with self._registrar.database.read() as tx:
            roll = await self._registrar.roll_of(tx, call)
            acts = await list_acts(tx, roll)
        return RecordView(html=print_record(roll, acts, self._catalogue, call.language))


def _cell(cell: Cell | None) -> CellView | None:
    return None if cell is None else CellView(electors=cell.electors, enrolled=cell.enrolled)
