"""An election's published record: files, manifest, key generations, what the chain says.

Layouts are in ``docs/election-records.md``. Every JSON file is canonical, every byte string in it
lower-case hexadecimal; a field too many or too few refuses the file.

Spec: AUDIT-ELECTION-FILES, ELECTION-MANIFEST.
"""

from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clients.auditor.election.transcripts import InvalidRecord
from clients.voting.group import Point, decode_point
from node.primitives.canonical import NotCanonical, encode_canonical

JSON_SIZE_MAX: Final = 64 * 1024 * 1024
FILE_SIZE_MAX: Final = 4 * 1024**3
FILES_MAX: Final = 100_000
RECORD_NAME: Final = "record.json"

Small = Annotated[int, Field(ge=0, le=65_535)]
Whole = Annotated[int, Field(ge=0, le=2**53 - 1)]
Count = Annotated[int, Field(ge=1, le=64)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
HashOrNone = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Account = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]
P33Text = Annotated[str, Field(pattern=r"^0[23][0-9a-f]{64}$")]
ListName = Literal["roll", "ballots"]


class Part(BaseModel):
    """A JSON object with exactly its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ManifestCandidate(Part):
    """A candidate."""

    number: int
    name: Name


class ManifestRace(Part):
    """A race with candidates 1, 2, ..."""

    race: Small
    name: Name
    candidates: Annotated[list[ManifestCandidate], Field(min_length=1, max_length=1_000)]


class ManifestStyle(Part):
    """A ballot style."""

    style: Small
    name: Name
    races: Annotated[list[Small], Field(min_length=1, max_length=64)]


class ManifestTrustee(Part):
    """A municipality that holds shares of both keys."""

    municipality: Name
    municipality_id: Annotated[int, Field(ge=1, le=255)]
    account: Account
    node: P33Text
    encryption_key: P33Text
    ballot_share: P33Text
    roll_share: P33Text
    url: str


class ManifestRegistrar(Part):
    """The commission, first of the list, or a witness."""

    municipality: Name
    account: Account
    receipt_key: P33Text
    attestor_key: Annotated[str, Field(pattern=r"^(0[23][0-9a-f]{64})?$")]


class ManifestRelay(Part):
    """Who takes ballots."""

    municipality: Name
    account: Account
    receipt_key: P33Text
    url: str


class ManifestLimits(Part):
    """Bounds that the contract keeps."""

    max_sequence: Annotated[int, Field(ge=1, le=1_000)]
    min_interval_s: Annotated[int, Field(ge=0, le=86_400)]
    max_rekey: Annotated[int, Field(ge=0, le=100)]
    mix_time_s: Annotated[int, Field(ge=10, le=86_400)]
    cast_blocks: Annotated[int, Field(ge=1, le=100_000)]


class ManifestEligible(Part):
    """The published list of eligible slots."""

    root: Hash
    size: Whole
    file_digest: Hash


class ElectionManifest(Part):
    """The manifest as an auditor reads it."""

    version: Literal[1]
    chain_id: Annotated[int, Field(ge=1, le=2**53 - 1)]
    registry: Account
    draft_id: Hash
    is_mock: bool
    title: Name
    opens_at: Whole
    closes_at: Whole
    freezes_at: Whole
    styles: Annotated[list[ManifestStyle], Field(min_length=1, max_length=1_000)]
    races: Annotated[list[ManifestRace], Field(min_length=1, max_length=1_000)]
    threshold: Count
    trustees: Annotated[list[ManifestTrustee], Field(min_length=1, max_length=64)]
    ballot_key: P33Text
    roll_key: P33Text
    ballot_transcript: Hash
    roll_transcript: Hash
    registrars: Annotated[list[ManifestRegistrar], Field(min_length=1, max_length=64)]
    attestations: Count
    relays: Annotated[list[ManifestRelay], Field(min_length=1, max_length=64)]
    token_modulus: Annotated[str, Field(pattern=r"^[0-9a-f]{512}$")]
    limits: ManifestLimits
    eligible: ManifestEligible
    mixers: Annotated[list[Count], Field(min_length=1, max_length=64)]
    min_mixes: Count
    profile: Literal["P"]

    @property
    def races_by_style(self) -> dict[int, tuple[int, ...]]:
        """Return each style's races."""
        return {style.style: tuple(style.races) for style in self.styles}

    @property
    def candidate_counts(self) -> dict[int, int]:
        """Return each race's number of candidates."""
        return {race.race: len(race.candidates) for race in self.races}

    def trustee_name(self, number: int) -> str:
        """Return a trustee's municipality by its number from 1."""
        if 1 <= number <= len(self.trustees):
            return self.trustees[number - 1].municipality
        return f"trustee {number}"

    def faults(self) -> list[str]:
        """Return what is wrong with the whole, besides single fields.

        Spec: ELECTION-MANIFEST.
        """
        races = [race.race for race in self.races]
        count = len(self.trustees)
        rules = {
            "windows are out of order": self.opens_at < self.closes_at <= self.freezes_at,
            "races are not ascending": is_ascending(races),
            "styles are not ascending": is_ascending([style.style for style in self.styles]),
            "a style has unknown races, or not ascending": all(
                is_ascending(style.races) and set(style.races) <= set(races)
                for style in self.styles
            ),
            "candidates are not numbered from 1": all(
                [each.number for each in race.candidates]
                == list(range(1, len(race.candidates) + 1))
                for race in self.races
            ),
            "threshold above the trustees": self.threshold <= count,
            "mixers are not distinct trustees": is_distinct(self.mixers)
            and max(self.mixers) <= count,
            "more mixes demanded than mixers": self.min_mixes <= len(self.mixers),
            "the commission has no attestor": bool(self.registrars[0].attestor_key),
            "more registrars demanded than named": max(self.threshold, self.attestations)
            <= len(self.registrars),
            "somebody has a role twice": is_distinct([each.account for each in self.registrars])
            and is_distinct([each.account for each in self.trustees])
            and is_distinct([each.municipality_id for each in self.trustees]),
        }
        return [name for name, holds in rules.items() if not holds]

    def terms(self) -> dict[str, object]:
        """Return what the contract was told of this manifest, as ``chain.json`` writes it.

        Spec: ELECTION-TERMS.
        """
        return {
            "draft_id": self.draft_id,
            "is_mock": self.is_mock,
            "opens_at": self.opens_at,
            "closes_at": self.closes_at,
            "freezes_at": self.freezes_at,
            "max_sequence": self.limits.max_sequence,
            "min_interval_s": self.limits.min_interval_s,
            "mix_time_s": self.limits.mix_time_s,
            "threshold": self.threshold,
            "attestations": self.attestations,
            "min_mixes": self.min_mixes,
            "trustees": [each.municipality_id for each in self.trustees],
            "trustee_accounts": [each.account for each in self.trustees],
            "mixers": self.mixers,
            "registrars": [each.account for each in self.registrars],
            "relays": [each.account for each in self.relays],
            "races": [[race.race, len(race.candidates)] for race in self.races],
            "style_races": [[style.style, race] for style in self.styles for race in style.races],
        }


def is_ascending(values: list[int]) -> bool:
    """Tell whether each value is above the one before."""
    return all(a < b for a, b in pairwise(values))


def is_distinct(values: list[int] | list[str]) -> bool:
    """Tell whether no value comes twice."""
    return len(set(values)) == len(values)


class KnowledgeText(Part):
    """A proof of knowledge."""

    w: P33Text
    z: Hash


class TranscriptTrustee(Part):
    """A trustee's keys in a key generation."""

    municipality_id: int
    node: P33Text
    encryption_key: P33Text
    proof: KnowledgeText


class TranscriptReveal(Part):
    """A dealer's coefficients in the exponent."""

    coefficients: Annotated[list[P33Text], Field(min_length=1, max_length=64)]
    w: P33Text
    z: Hash


class TranscriptShare(Part):
    """A share, encrypted."""

    e: P33Text
    ciphertext: Hash


class TranscriptComplaint(Part):
    """A share that its receiver opened to everyone."""

    dealer: Count
    complainer: Count
    s: P33Text
    t1: P33Text
    t2: P33Text
    z: Hash


class RehearsalShare(Part):
    """A trustee's share of the rehearsal's ciphertext."""

    trustee: Count
    d: P33Text
    t1: P33Text
    t2: P33Text
    z: Hash


class Rehearsal(Part):
    """A ciphertext of a public point, decrypted by some trustees."""

    subset: Annotated[list[Count], Field(min_length=1, max_length=64)]
    a: P33Text
    b: P33Text
    message: P33Text
    shares: Annotated[list[RehearsalShare], Field(min_length=1, max_length=64)]


class Transcript(Part):
    """A key generation's public record."""

    version: Literal[1]
    draft_id: Hash
    purpose: Literal["B", "R"]
    chain_id: Whole
    registry: Account
    threshold: Count
    trustees: Annotated[list[TranscriptTrustee], Field(min_length=1, max_length=64)]
    commitments: list[Hash]
    reveals: list[TranscriptReveal]
    shares: list[list[TranscriptShare | None]]
    complaints: Annotated[list[TranscriptComplaint], Field(max_length=4_096)]
    confirmations: list[KnowledgeText]
    public_key: P33Text
    share_keys: list[P33Text]
    rehearsal: Annotated[list[Rehearsal], Field(max_length=64)]


class ChainBatch(Part):
    """A batch of the roll as posted."""

    number: Whole
    root: Hash
    entry_count: Whole
    cancel_count: Whole
    height: Whole


class ChainFrozen(Part):
    """A style of the roll as frozen."""

    style: Small
    root: Hash
    count: Whole
    file_digest: Hash
    height: Whole


class ChainBox(Part):
    """The closed ballot box."""

    count: Whole
    value: Hash
    closed_height: Whole


class ChainRound(Part):
    """A mixer's turn; a skipped one has posted nothing."""

    round: Count
    mixer: Count
    output: HashOrNone
    proof: HashOrNone
    is_valid: bool | None
    height: Whole


class ChainShare(Part):
    """A trustee's share of a list."""

    trustee: Count
    shares: Hash
    proof: Hash
    height: Whole


class ChainList(Part):
    """A list from its start to its decryption."""

    kind: ListName
    number: Small
    row_count: Whole
    digest: Hash
    height: Whole
    rounds: Annotated[list[ChainRound], Field(max_length=64)]
    shares: Annotated[list[ChainShare], Field(max_length=64)]

    @property
    def label(self) -> str:
        """Return how its files are called."""
        return f"{self.kind}-{self.number}"


class ChainResult(Part):
    """A race's published numbers."""

    race: Small
    is_mock: bool
    result: Hash
    numbers: Annotated[list[Whole], Field(min_length=3, max_length=1_002)]
    height: Whole


class ChainPost(Part):
    """A digest on the bulletin."""

    municipality: int
    step: Small
    digest: Hash
    height: Whole


class ChainContracts(Part):
    """Where the contracts are."""

    elections: Account = Field(alias="Elections")
    credentials: Account = Field(alias="Credentials")
    ballot_box: Account = Field(alias="BallotBox")
    tally_board: Account = Field(alias="TallyBoard")
    bulletin: Account = Field(alias="Bulletin")


class ChainRecord(Part):
    """What the contracts say of the election."""

    version: Literal[1]
    contracts: ChainContracts
    terms: dict[str, object]
    announced_height: Whole
    batches: Annotated[list[ChainBatch], Field(max_length=100_000)]
    frozen: Annotated[list[ChainFrozen], Field(max_length=1_000)]
    box: ChainBox
    lists: Annotated[list[ChainList], Field(max_length=2_000)]
    results: Annotated[list[ChainResult], Field(max_length=1_000)]
    bulletin: Annotated[list[ChainPost], Field(max_length=100_000)]
    abandoned: str | None


class RecordFile(Part):
    """A file of the record."""

    path: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}(/[a-z0-9][a-z0-9_.-]{0,99}){0,2}$")
    ]
    size: Annotated[int, Field(ge=0, le=FILE_SIZE_MAX)]
    sha256: Hash


class RecordIndex(Part):
    """The list of the record's files."""

    version: Literal[1]
    eid: Hash
    chain_id: Whole
    genesis_hash: Hash
    height: Whole
    is_mock: bool
    files: Annotated[list[RecordFile], Field(max_length=FILES_MAX)]


class RollReceipt(Part):
    """A voter's receipt of an enrolment, handed in."""

    kind: Literal["roll"]
    commitment: Hash
    batch: Annotated[int, Field(ge=0, le=2**32 - 1)]
    time: Whole
    registrar_signature: Annotated[str, Field(pattern=r"^[0-9a-f]{130}$")]
    attestor_signature: Annotated[str, Field(pattern=r"^[0-9a-f]{130}$")]


class BallotReceipt(Part):
    """A voter's receipt of a ballot, handed in."""

    kind: Literal["ballot"]
    ballot_hash: Hash
    deadline: Whole
    relay: Account
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{130}$")]


Read = TypeVar("Read", bound=BaseModel)


def parse_json(data: bytes, shape: type[Read], name: str) -> Read:
    """Read a canonical JSON file of a known shape.

    Raises:
        InvalidRecord: Another shape, not canonical, or too long.
    """
    if len(data) > JSON_SIZE_MAX:
        raise InvalidRecord(f"{name}: {len(data)} bytes", rule="AUDIT-ELECTION-FILES")
    try:
        value = shape.model_validate_json(data)
        is_canonical = encode_canonical(value.model_dump(mode="json", by_alias=True)) == data
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise InvalidRecord(
            f"{name}: {place}: {first['msg']}", rule="AUDIT-ELECTION-FILES"
        ) from error
    except (NotCanonical, RecursionError) as error:
        raise InvalidRecord(f"{name}: not canonical", rule="AUDIT-ELECTION-FILES") from error
    if not is_canonical:
        raise InvalidRecord(f"{name}: not in canonical form", rule="AUDIT-ELECTION-FILES")
    return value


class Folder:
    """A directory of published files; each is compared with the list of them before use."""

    def __init__(self, root: Path) -> None:
        """Remember where it is."""
        self.root = root
        self._known: dict[str, RecordFile] = {}
        self._whole: dict[str, bool] = {}

    def read_index(self) -> RecordIndex:
        """Read the list of files.

        Raises:
            InvalidRecord: It is missing or no such list.

        Spec: AUDIT-ELECTION-FILES.
        """
        try:
            data = (self.root / RECORD_NAME).read_bytes()
        except OSError as error:
            raise InvalidRecord(f"{RECORD_NAME}: {error.strerror}") from error
        index = parse_json(data, RecordIndex, RECORD_NAME)
        paths = [file.path for file in index.files]
        if any(a >= b for a, b in pairwise(paths)):
            raise InvalidRecord(f"{RECORD_NAME}: paths are not ascending")
        self._known = {file.path: file for file in index.files}
        return index

    def find_fault(self, path: str) -> str | None:
        """Return why a listed file is not what the list says, or None; notes it."""
        listed = self._known[path]
        digest, size = sha256(), 0
        try:
            with (self.root / path).open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
                    size += len(chunk)
        except OSError as error:
            return error.strerror or "unreadable"
        is_same = size == listed.size and digest.hexdigest() == listed.sha256
        self._whole[path] = is_same
        return None if is_same else f"{size} bytes, SHA-256 {digest.hexdigest()}"

    @property
    def paths(self) -> list[str]:
        """Return the listed paths."""
        return list(self._known)

    def has(self, path: str) -> bool:
        """Tell whether a file is listed, present and whole."""
        return self._whole.get(path, False)

    def longest_list(self) -> int:
        """Return the rows of the longest list among the files."""
        sizes = [
            file.size
            for path, file in self._known.items()
            if path.startswith("lists/") and self.has(path)
        ]
        return max(sizes, default=0) // 66

    def listed_digest(self, path: str) -> str:
        """Return the SHA-256 that the list gives a file."""
        return self._known[path].sha256

    def location(self, path: str) -> Path:
        """Return where a file lies."""
        return self.root / path

    def read(self, path: str) -> bytes:
        """Return a file's bytes.

        Raises:
            InvalidRecord: Not listed, not present, or another than listed.

        Spec: AUDIT-ELECTION-FILES.
        """
        if not self.has(path):
            raise InvalidRecord(f"{path}: not in the record", rule="AUDIT-ELECTION-FILES")
        return self.location(path).read_bytes()


def point_of(text: str) -> Point:
    """Decode a P33 text."""
    return decode_point(bytes.fromhex(text))
