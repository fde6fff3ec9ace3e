"""What the commission's operations read and answer. Byte strings are lower-case hex."""

from typing import Annotated

from pydantic import Field, StringConstraints

from node.primitives.canonical import INTEGER_MAX
from services.election.commission.elector_file import FAULTS_SHOWN
from services.kit.documents import Document, Identifier, Line

Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Bytes = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$")]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Style = Annotated[int, Field(ge=0, le=65_535)]
Number = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,32}$")]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$", max_length=10)]
Typed = Annotated[str, StringConstraints(max_length=64)]
PartBytes = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=220_000)]


class TypedCode(Document):
    """An invitation code as typed."""

    code: Typed


class SessionAnswer(Document):
    """An enrolment session."""

    session: Hex32
    expires_at: Count


class SessionBody(Document):
    """A session shown again."""

    session: Hex32


class CodeWish(Document):
    """Who wishes to be sent a code."""

    name: Line
    address: Line
    birth_date: Day


class Waiting(Document):
    """That something waits for an officer."""

    state: Annotated[str, Field(pattern=r"^waiting$", max_length=7)] = "waiting"


class CodeAnswer(Document):
    """A code, shown once."""

    code: Typed


class Begun(Document):
    """What a device needs to make its entry."""

    enrolment: Hex16
    slot: Hex32
    style: Style
    version: Count
    nonce: Hex32
    expires_at: Count
    leaf_index: Count
    leaf_count: Count
    leaf_proof: Annotated[list[Hex32], Field(max_length=64)]


class EntryBody(Document):
    """The card-signed entry, its salt, and a blinded token to be signed."""

    session: Hex32
    entry: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=1_024)]
    signature: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=1_024)]
    certificate: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=16_384)]
    salt: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=64)]
    blinded_token: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=512)]


class AcceptedBody(Document):
    """The receipt, signed twice, and the token."""

    version: Count
    commitment: Hex32
    batch: Count
    time: Count
    registrar_signature: Bytes
    attestor_signature: Bytes
    token_signature: Bytes


class EntryView(Document):
    """Where an entry stands, unsigned on purpose."""

    version: Count
    state: Line
    commitment: Hex32
    batch: Count | None
    time: Count | None


class SlotView(Document):
    """Where a slot stands."""

    is_closed: bool
    entries: list[EntryView]


class NewRoll(Document):
    """A roll to begin."""

    reference_day: Day
    styles: Annotated[list[Style], Field(min_length=1, max_length=1_000)]


class RollView(Document):
    """Where a roll stands."""

    draft: Hex32
    state: Line
    eid: Hex32 | None
    electors: Count
    root: Hex32 | None
    size: Count
    file_digest: Hex32 | None
    batches: Count
    entries: Count
    cancels: Count
    frozen: list[Style]
    codes: dict[str, Count]
    is_sealed_at_attestor: bool


class UploadPart(Document):
    """A part of a file."""

    data: PartBytes


class ImportOrder(Document):
    """Which parts make the file, and its SHA-256."""

    parts: Annotated[int, Field(ge=1, le=2_000)]
    sha256: Hex32
    is_dry_run: bool = False


class FaultView(Document):
    """A fault of the file."""

    row: Count
    column: Annotated[str, Field(max_length=40)]
    kind: Annotated[str, Field(max_length=40)]


class ImportReport(Document):
    """What an import did, would do, or why it did nothing."""

    is_taken: bool
    rows: Count
    added: Count
    changed: Count
    struck_off: Count
    unchanged: Count
    fault_count: Count
    faults: Annotated[list[FaultView], Field(max_length=FAULTS_SHOWN)]


class FixOrder(Document):
    """How many electors the officer expects."""

    electors: Annotated[int, Field(ge=1, le=INTEGER_MAX)]


class FixedView(Document):
    """The eligible list that was fixed."""

    root: Hex32
    size: Count
    file_digest: Hex32


class PartView(Document):
    """A part of a file."""

    parts: Count
    data: Bytes


class ManifestBody(Document):
    """The announced manifest."""

    manifest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=240_000)]


class EidView(Document):
    """The election."""

    eid: Hex32


class ElectorQuery(Document):
    """Whom an officer looks for: by number, or by name and birth date."""

    number: Number | None = None
    name: Line | None = None
    birth_date: Day | None = None


class ElectorView(Document):
    """An elector."""

    number: str
    name: str
    address: str
    birth_date: Day
    district: str
    style: Style
    state: str


class ElectorsView(Document):
    """Electors found."""

    electors: list[ElectorView]


class CodeOrder(Document):
    """For whom a code is, and how it goes out."""

    number: Number
    channel: Annotated[str, Field(pattern=r"^(counter|letter|inbox)$", max_length=7)]


class IssuedView(Document):
    """A code for the counter, or the letter's PDF; empty for the inbox."""

    code: str
    letter: str


class NumberBody(Document):
    """An elector."""

    number: Number


class RevokedView(Document):
    """How many codes were revoked."""

    revoked: Count


class RequestView(Document):
    """What a resident asked for, and electors it may be."""

    request: Identifier
    name: str
    address: str
    birth_date: str
    numbers: list[str]


class RequestsView(Document):
    """Requests that wait."""

    requests: list[RequestView]


class DecisionBody(Document):
    """Which elector the resident is; null refuses."""

    number: Number | None


class CancelOrder(Document):
    """Whose entries are to be cancelled, why, and the digest of the paper behind it."""

    number: Number
    reason: Annotated[str, Field(pattern=r"^(paper|death|struck-off|request)$", max_length=10)]
    evidence: Hex32


class CancelView(Document):
    """The acknowledgement: both signatures; or the proposal that waits for a second officer."""

    proposal: Hex16 | None = None
    commitment: Hex32 | None = None
    batch: Count | None = None
    time: Count | None = None
    registrar_signature: str = ""
    attestor_signature: str = ""


class ExportOrder(Document):
    """For which accredited auditor, and to which X25519 key."""

    auditor: Line
    public_key: Hex32


class ProposalAnswer(Document):
    """What waits for a second officer."""

    proposal: Hex16


class ProposalView(Document):
    """What waits."""

    proposal: Hex16
    kind: str
    proposed_by: str
    number: str
    detail: str


class ProposalsView(Document):
    """What waits."""

    proposals: list[ProposalView]


class DecidedView(Document):
    """What a confirmation did."""

    kind: str
    cancel: CancelView | None = None
    export: Hex16 | None = None
    digest: Hex32 | None = None
    destroyed_keys: Annotated[list[Hex32], Field(default_factory=list)]


class MarkView(Document):
    """An elector in the list for polling stations."""

    number: str
    district: str
    mark: str


class MarksView(Document):
    """A page of the list for polling stations."""

    rows: list[MarkView]
    next: str


class CellView(Document):
    """A cell of the turnout table."""

    electors: Count
    enrolled: Count


class TurnoutView(Document):
    """Turnout with small cells hidden (null)."""

    bands: list[str]
    districts: list[str]
    cells: list[list[CellView | None]]
    row_totals: list[CellView | None]
    column_totals: list[CellView | None]
    total: CellView | None


class RecordView(Document):
    """The record of the commission's acts, as a page to print."""

    html: str


class BatchView(Document):
    """A batch, between municipalities."""

    number: Count
    entries: Count
    cancels: Count
    root: Hex32
    data: Bytes


class ActiveView(Document):
    """A style's active list, between municipalities."""

    style: Style
    count: Count
    root: Hex32
    file_digest: Hex32
    data: Bytes
