"""The commission's accredited export of the small held election, and ways to bend it.

Every elector has a card of the simulated authorities and signed with it. A case changes one thing
of the export, of the record or of what the auditor has, and names the check that must notice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clients.auditor.checks import Verdict
from clients.auditor.election.accredited import RestrictedInput
from clients.auditor.election.revocations import load_authorities
from clients.identity.certificate import CertificateKind
from clients.identity.revocation import RevocationReason
from clients.voting.encoding import encode_i4, encode_i8, tagged_hash
from clients.voting.manifest import encode_canonical
from clients.voting.roll import compute_slot
from clients.voting.roll_export import seal_export
from clients.voting.roll_files import CancelReason, CancelRecord
from node.primitives.merkle import compute_root
from services.sim.pki.authority import IssuedCertificate, KeyType
from services.sim.pki.hierarchy import Hierarchy
from services.sim.pki.profiles import SimulatedResident
from tests.support.election_record import (
    ENROLS_AT,
    SIGNER_KEYS,
    SLOT_KEY,
    Ended,
    Enrolment,
    HeldElection,
    bend_json,
    point_of,
    record_files,
    sign65,
    write_record,
)
from tests.support.identity import new_hierarchy, prepared_key, sign_as_card
from tests.support.voting import SeededNonces
from tests.support.voting_vectors import hexed

AUDITOR = X25519PrivateKey.from_private_bytes(sha256(b"the tests' accredited auditor").digest())
ISSUED_AT = datetime(2026, 6, 1, tzinfo=UTC)
GENERATIONS = (2, 3)
Lines = list[dict[str, Any]]
Files = dict[str, bytes]


def person_of(elector: int) -> SimulatedResident:
    """Return who an elector is."""
    return SimulatedResident(
        name=f"監査　{'一二三四五六七八九十'[elector % 10]}子",
        birth_date=date(1960 + elector, 3, 4),
        address=f"茨城県猿島郡境町架空{elector + 1}丁目{elector + 2}番地",
    )


def elector_line(held: HeldElection, elector: int, style: int) -> dict[str, Any]:
    """Return an elector as the register has them."""
    person = person_of(elector)
    draft = bytes.fromhex(held.manifest["draft_id"])
    return {
        "kind": "elector",
        "slot": compute_slot(SLOT_KEY, draft, str(elector).encode()).hex(),
        "number": str(elector),
        "name": person.name.replace("　", " "),
        "address": f"茨城県猿島郡境町架空{'一二三四五六七八九'[elector % 9]}丁目{elector + 2}",
        "birth_date": person.birth_date.isoformat(),
        "sex": "female",
        "district": "第一",
        "style": style,
        "certificate_name": "",
        "certificate_address": "",
    }


@dataclass(kw_only=True)
class Cards:
    """The cards of all electors, and who issued them."""

    hierarchy: Hierarchy
    by_elector: dict[int, IssuedCertificate]

    def issue(self, elector: int, **changes: Any) -> IssuedCertificate:
        """Issue another certificate to an elector's card."""
        generation = GENERATIONS[elector % 2]
        authority = self.hierarchy.authority(CertificateKind.SIGNING, generation)
        kind = KeyType.RSA_2048 if generation == 2 else KeyType.P_384
        given = {"key": prepared_key(kind), "at": ISSUED_AT} | changes
        person = given.pop("person", person_of(elector))
        return authority.issue(person, **given)


@lru_cache(maxsize=1)
def hand_out_cards(count: int) -> Cards:
    """Give every elector a card."""
    cards = Cards(hierarchy=new_hierarchy(), by_elector={})
    for elector in range(count):
        cards.by_elector[elector] = cards.issue(elector)
    return cards


def entry_line(held: HeldElection, made: Enrolment, state: str, cards: Cards) -> dict[str, Any]:
    """Return an entry with all that speaks for it."""
    elector = int(made.elector)
    card = cards.by_elector[elector]
    authority = cards.hierarchy.authority(CertificateKind.SIGNING, GENERATIONS[elector % 2])
    store = cards.hierarchy.trust_store()
    issuer = next(each for each in store.authorities if each.certificate.der == authority.der)
    line = {
        "kind": "entry",
        "slot": made.entry.slot.hex(),
        "entry_version": made.entry.version,
        "state": state,
        "commitment": made.commitment.hex(),
        "batch": made.batch,
        "time": made.time_s,
        "entry": made.entry.encode().hex(),
        "signature": sign_as_card(card.key, made.entry.card_text).hex(),
        "certificate": card.der.hex(),
        "salt": made.salt.hex(),
        "status": {
            "method": "ocsp",
            "as_of": made.time_s - 20,
            "checked_at": made.time_s - 10,
            "authority": issuer.key_hash.hex(),
        },
    }
    return promise(held.eid, line)


def promise(eid: bytes, line: dict[str, Any]) -> dict[str, Any]:
    """Sign an entry's receipt for the batch and time that stand in its line."""
    receipt = bytes.fromhex(line["commitment"]) + encode_i4(line["batch"]) + encode_i8(line["time"])
    digest = tagged_hash("JMEV1/roll-receipt", eid + receipt)
    return line | {
        f"{name}_signature": sign65(SIGNER_KEYS[name], digest).hex()
        for name in ("registrar", "attestor")
    }


def cancel_line(ended: Ended) -> dict[str, Any]:
    """Return a cancel record with all that speaks for it."""
    record = ended.record
    return {
        "kind": "cancel",
        "slot": record.slot.hex(),
        "reason": int(record.reason),
        "evidence": record.evidence.hex(),
        "salt": ended.salt.hex(),
        "time": record.time_s,
        "commitment": ended.commitment.hex(),
        "batch": ended.batch,
        "registrar_signature": sign65(SIGNER_KEYS["registrar"], record.digest).hex(),
        "attestor_signature": sign65(SIGNER_KEYS["attestor"], record.digest).hex(),
    }


def export_lines(held: HeldElection) -> Lines:
    """Return the honest export's lines."""
    size = held.manifest["eligible"]["size"]
    cards = hand_out_cards(size)
    styles = {int(each.elector): each.entry.style for each in held.enrolments}
    electors = [
        elector_line(held, at, styles.get(at, 7 if at % 2 == 0 else 8)) for at in range(size)
    ]
    active = {each.commitment for entries in held.active.values() for each in entries}
    last = {each.entry.slot: each.commitment for each in held.enrolments}
    entries = []
    for each in held.enrolments:
        state = "cancelled" if each.commitment == last[each.entry.slot] else "superseded"
        state = "accepted" if each.commitment in active else state
        entries.append(entry_line(held, each, state, cards))
    head = {
        "kind": "roll",
        "version": 1,
        "eid": held.eid.hex(),
        "draft_id": held.manifest["draft_id"],
        "slot_key": SLOT_KEY.hex(),
        "registrar": hexed(point_of(SIGNER_KEYS["registrar"])),
        "attestor": hexed(point_of(SIGNER_KEYS["attestor"])),
    }
    cancels = [cancel_line(each) for each in held.cancels]
    counts = {
        "kind": "counts",
        "electors": len(electors),
        "entries": len(entries),
        "cancels": len(cancels),
        "tokens": len(entries),
    }
    order = ("batch", "commitment")
    entries.sort(key=lambda line: tuple(line[name] for name in order))
    electors.sort(key=lambda line: line["slot"])
    return [head, *electors, *entries, *cancels, counts]


def of_kind(lines: Lines, kind: str) -> Lines:
    """Return the lines of a kind."""
    return [line for line in lines if line["kind"] == kind]


@dataclass(kw_only=True)
class Given:
    """All that an accredited auditor has, before it is written."""

    held: HeldElection
    files: Files
    lines: Lines
    cards: Cards
    authorities: list[bytes]
    lists: list[bytes] = field(default_factory=list)
    texts: list[bytes] | None = None
    """The lines as they are sealed, where they are no JSON of ``lines``."""

    def entry_of(self, elector: int, version: int = 1) -> dict[str, Any]:
        """Return an elector's entry line."""
        made = [each for each in self.held.enrolments if int(each.elector) == elector]
        wanted = made[version - 1].commitment.hex()
        return next(line for line in of_kind(self.lines, "entry") if line["commitment"] == wanted)

    def put(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Replace a line."""
        self.lines[self.lines.index(old)] = new

    def chain(self, change: Callable[[Any], None]) -> None:
        """Change what the contracts are said to say."""
        self.files["chain.json"] = bend_json(self.files["chain.json"], change)

    def post_batches(self) -> None:
        """Let the ledger have the batches that the lines make."""

        def change(value: Any) -> None:
            for batch in value["batches"]:
                entries, cancels = (
                    sorted(
                        bytes.fromhex(line["commitment"])
                        for line in of_kind(self.lines, kind)
                        if line["batch"] == batch["number"]
                    )
                    for kind in ("entry", "cancel")
                )
                batch["entry_count"], batch["cancel_count"] = len(entries), len(cancels)
                batch["root"] = compute_root([*entries, *cancels]).hex()

        self.chain(change)

    def freeze(self, style: int, commitments: list[bytes]) -> None:
        """Publish and freeze another active list."""
        data = b"".join(sorted(commitments))
        self.files[f"roll/active-{style}.bin"] = data

        def change(value: Any) -> None:
            frozen = next(each for each in value["frozen"] if each["style"] == style)
            frozen["count"] = len(commitments)
            frozen["root"] = compute_root(sorted(commitments)).hex()
            frozen["file_digest"] = sha256(data).hexdigest()

        self.chain(change)

    def write(self, folder: Path) -> RestrictedInput:
        """Write the record to ``record``, and return what belongs to the auditor alone."""
        write_record(folder / "record", self.files, self.held)
        texts = self.texts or [encode_canonical(line) for line in self.lines]
        path = folder / "roll.export"
        pieces = seal_export(
            texts, AUDITOR.public_key(), self.held.eid, SeededNonces("content key").draw
        )
        path.write_bytes(b"".join(pieces))
        return RestrictedInput(
            path=path,
            key=AUDITOR,
            authorities=load_authorities(
                _write_all(folder, "authority", self.authorities),
                _write_all(folder, "list", self.lists),
            ),
        )


def _write_all(folder: Path, name: str, contents: list[bytes]) -> list[Path]:
    paths = [folder / f"{name}-{at}.der" for at in range(len(contents))]
    for path, data in zip(paths, contents, strict=True):
        path.write_bytes(data)
    return paths


def give(held: HeldElection) -> Given:
    """Return what an accredited auditor of an honest election has."""
    cards = hand_out_cards(held.manifest["eligible"]["size"])
    authorities = [
        cards.hierarchy.authority(CertificateKind.SIGNING, generation).der
        for generation in GENERATIONS
    ]
    return Given(
        held=held,
        files=record_files(held),
        lines=export_lines(held),
        cards=cards,
        authorities=authorities,
    )


@dataclass(frozen=True, kw_only=True)
class Bent:
    """One change, and the check that must notice."""

    name: str
    check: str
    bend: Callable[[Given], None]
    verdict: Verdict = Verdict.FAILED
    is_alone: bool = False
    """Whether no other check may fail."""
    blame: str = "municipality 1"
    """Who must be named: the commission, unless the case says otherwise."""


def bent(name: str, check: str, bend: Callable[[Given], None], *, is_alone: bool = False) -> Bent:
    """Return a case."""
    return Bent(name=name, check=f"election.accredited.{check}", bend=bend, is_alone=is_alone)


def setting(kind: str, **values: Any) -> Callable[[Given], None]:
    """Return a change of fields of the second line of a kind, or the only one."""

    def bend(given: Given) -> None:
        lines = of_kind(given.lines, kind)
        lines[min(1, len(lines) - 1)].update(values)

    return bend


def resealed(given: Given, elector: int, **changes: Any) -> None:
    """Give an elector another entry, posted and all, under the old card signature."""
    line = given.entry_of(elector)
    made = next(each for each in given.held.enrolments if int(each.elector) == elector)
    entry = replace(made.entry, **changes)
    again = replace(made, entry=entry)
    given.put(
        line,
        promise(
            given.held.eid,
            line | {"entry": entry.encode().hex(), "commitment": again.commitment.hex()},
        ),
    )
    given.post_batches()


def elector_twice(given: Given) -> None:
    """List an elector a second time."""
    first = of_kind(given.lines, "elector")[0]
    given.lines.insert(1, first | {"slot": sha256(b"a second slot").hexdigest()})


def elector_left_out(given: Given) -> None:
    """Leave out the elector that never enrolled."""
    enrolled = {line["slot"] for line in of_kind(given.lines, "entry")}
    unused = next(line for line in of_kind(given.lines, "elector") if line["slot"] not in enrolled)
    given.lines.remove(unused)
    of_kind(given.lines, "counts")[0]["electors"] -= 1


def two_swapped(given: Given) -> None:
    """Exchange the slots of two electors."""
    first, second = of_kind(given.lines, "elector")[:2]
    first["slot"], second["slot"] = second["slot"], first["slot"]


def entry_dropped(given: Given) -> None:
    """Leave out an entry that was superseded."""
    given.lines.remove(given.entry_of(0))
    counts = of_kind(given.lines, "counts")[0]
    counts["entries"] -= 1
    counts["tokens"] -= 1


def promise_moved(given: Given) -> None:
    """Say that an entry was promised to another batch, signed by both."""
    line = given.entry_of(3)
    given.put(line, promise(given.held.eid, line | {"batch": 1 - line["batch"]}))


def promise_by_one(given: Given) -> None:
    """Let the registrar sign for the attestor."""
    line = given.entry_of(2)
    line["attestor_signature"] = line["registrar_signature"]


def unproven(given: Given) -> None:
    """Break the proof of an entry."""
    made = next(each for each in given.held.enrolments if int(each.elector) == 2)
    resealed(given, 2, response=made.entry.response + 1)


def other_election(given: Given) -> None:
    """Take an entry of another election."""
    resealed(given, 2, eid=sha256(b"another election").digest())


def other_slot(given: Given) -> None:
    """Give an entry's line to another elector of the same style."""
    given.entry_of(2)["slot"] = given.entry_of(4)["slot"]


def signed_by_another(given: Given) -> None:
    """Show another elector's card for an entry, which signed it."""
    line, card = given.entry_of(2), given.cards.by_elector[4]
    made = next(each for each in given.held.enrolments if int(each.elector) == 2)
    line["signature"] = sign_as_card(card.key, made.entry.card_text).hex()
    line["certificate"] = card.der.hex()


def with_certificate(elector: int, **changes: Any) -> Callable[[Given], None]:
    """Return the change to another certificate of the same card."""

    def bend(given: Given) -> None:
        card = given.cards.by_elector[elector]
        issued = given.cards.issue(elector, key=card.key, **changes)
        given.entry_of(elector)["certificate"] = issued.der.hex()

    return bend


def foreign_authority(given: Given) -> None:
    """Show a certificate that another authority of the same name issued."""
    card = given.cards.by_elector[2]
    stranger = new_hierarchy().authority(CertificateKind.SIGNING)
    der = stranger.issue(person_of(2), key=card.key, at=ISSUED_AT).der
    given.entry_of(2)["certificate"] = der.hex()


def log_in_certificate(given: Given) -> None:
    """Show the certificate that is for logging in."""
    card = given.cards.by_elector[2]
    authority = given.cards.hierarchy.authority(CertificateKind.AUTHENTICATION)
    der = authority.issue(person_of(2), key=card.key, at=ISSUED_AT).der
    given.entry_of(2)["certificate"] = der.hex()


def revoked_before(given: Given) -> None:
    """Have the authority say that a certificate was revoked before it was used."""
    given.lists = [revocation_list(given.cards, 2, ENROLS_AT - 86_400)]


def revocation_list(cards: Cards, elector: int, at_s: int) -> bytes:
    """Return a list of later that has an elector's certificate as revoked at a time."""
    generation = GENERATIONS[elector % 2]
    authority = cards.hierarchy.authority(CertificateKind.SIGNING, generation).as_new()
    authority.revoke(
        cards.by_elector[elector].certificate,
        RevocationReason.KEY_COMPROMISED,
        datetime.fromtimestamp(at_s, UTC),
    )
    return authority.build_revocation_list(datetime.fromtimestamp(ENROLS_AT + 200_000, UTC))


def status(**values: Any) -> Callable[[Given], None]:
    """Return a change of what the registrar says of a certificate."""

    def bend(given: Given) -> None:
        given.entry_of(2)["status"].update(values)

    return bend


def cancel_dropped(given: Given) -> None:
    """Leave out the cancel record."""
    given.lines.remove(of_kind(given.lines, "cancel")[0])
    of_kind(given.lines, "counts")[0]["cancels"] -= 1


def second_paper(given: Given) -> Ended:
    """Return a cancel record of an elector whose entry stayed active."""
    slot = bytes.fromhex(given.entry_of(3)["slot"])
    record = CancelRecord(
        eid=given.held.eid,
        slot=slot,
        reason=CancelReason.PAPER,
        evidence=bytes(32),
        time_s=ENROLS_AT + 86_400,
    )
    return Ended(record=record, salt=sha256(b"another salt").digest(), batch=1)


def add_cancel(given: Given, ended: Ended) -> None:
    """Add a cancel record, posted."""
    given.lines.insert(-1, cancel_line(ended))
    of_kind(given.lines, "counts")[0]["cancels"] += 1
    given.post_batches()


def not_obeyed(given: Given) -> None:
    """Record that an elector has paper, and leave the entry active."""
    add_cancel(given, second_paper(given))


def enrolled_after(given: Given) -> None:
    """Record that an elector had paper before the entry was taken."""
    ended = second_paper(given)
    add_cancel(given, replace(ended, record=replace(ended.record, time_s=ENROLS_AT - 1)))


def older_active(given: Given) -> None:
    """Freeze the lost device's entry instead of the one that replaced it."""
    first, second = (bytes.fromhex(given.entry_of(0, at)["commitment"]) for at in (1, 2))
    values = [each.commitment for each in given.held.active[7]]
    given.freeze(7, [first if each == second else each for each in values])


def active_left_out(given: Given) -> None:
    """Freeze a list without one elector."""
    given.freeze(8, [each.commitment for each in given.held.active[8][1:]])


def cancelled_active(given: Given) -> None:
    """Freeze the entry of the elector who votes on paper as well."""
    paper = bytes.fromhex(given.entry_of(7)["commitment"])
    given.freeze(8, [*(each.commitment for each in given.held.active[8]), paper])


def version_twice(given: Given) -> None:
    """Give the second entry of an elector the version of the first."""
    given.entry_of(0, 2)["entry_version"] = 1


def other_input(given: Given) -> None:
    """Say that another list was mixed."""

    def change(value: Any) -> None:
        listed = next(each for each in value["lists"] if each["kind"] == "roll")
        listed["digest"] = sha256(b"another list").hexdigest()

    given.chain(change)


def swapped_pointer(given: Given) -> None:
    """Give the pointers of two entries to each other, as a commission could to the mixers."""
    first, second = (
        next(each for each in given.held.enrolments if int(each.elector) == at) for at in (2, 4)
    )
    resealed(given, 2, a=second.entry.a, b=second.entry.b)
    resealed(given, 4, a=first.entry.a, b=first.entry.b)


def first_mix(given: Given) -> None:
    """Break the proof of the roll's first mix; only who has its input can tell."""
    path = "mixes/roll-7-1.bin"
    data = bytearray(given.files[path])
    data[33 * 5 + 31] ^= 1
    given.files[path] = bytes(data)

    def change(value: Any) -> None:
        listed = next(each for each in value["lists"] if each["kind"] == "roll")
        listed["rounds"][0]["proof"] = sha256(data).hexdigest()

    given.chain(change)


def without_counts(given: Given) -> None:
    """Leave the last line out."""
    given.lines.pop()


def text_of(at: int, change: Callable[[bytes], bytes]) -> Callable[[Given], None]:
    """Return a change of the bytes of one line."""

    def bend(given: Given) -> None:
        given.texts = [encode_canonical(line) for line in given.lines]
        given.texts[at] = change(given.texts[at])

    return bend


def second_head(given: Given) -> None:
    """Begin a second roll in the middle."""
    given.lines.insert(3, given.lines[0])


CASES = (
    bent("elector twice, with a slot of its own", "electors", elector_twice),
    bent("elector left out", "electors", elector_left_out, is_alone=True),
    bent("two electors' slots exchanged", "electors", two_swapped),
    bent("elector of another style", "electors", setting("elector", style=9)),
    bent("head of another draft", "electors", setting("roll", draft_id="ab" * 32), is_alone=True),
    bent("slot key of another roll", "electors", setting("roll", slot_key="ab" * 32)),
    bent("elector line with a field more", "electors", setting("elector", note="x")),
    bent("elector born on no day", "electors", setting("elector", birth_date="1990-02-31")),
    bent("second head", "electors", second_head, is_alone=True),
    bent("entry dropped", "entries", entry_dropped),
    bent("salt of another commitment", "entries", setting("entry", salt="00" * 32), is_alone=True),
    bent("promise of another batch", "entries", promise_moved),
    bent("promise of a batch never posted", "entries", setting("entry", batch=9)),
    bent("promise signed by the registrar alone", "entries", promise_by_one, is_alone=True),
    bent("promise of another time", "entries", setting("entry", time=ENROLS_AT + 1), is_alone=True),
    bent("entry without proof", "entries", unproven),
    bent("entry of another election", "entries", other_election),
    bent("entry of another slot", "entries", other_slot),
    bent("entry too short", "entries", setting("entry", entry="01" * 326)),
    bent("entry off the curve", "entries", setting("entry", entry="01" + "02" * 326)),
    bent("entry line not canonical", "entries", text_of(-4, lambda text: b" " + text)),
    bent("no card signature", "cards", setting("entry", signature=""), is_alone=True),
    bent("card of another elector", "cards", signed_by_another, is_alone=True),
    bent("no certificate", "cards", setting("entry", certificate="3000"), is_alone=True),
    bent(
        "certificate of another address",
        "cards",
        with_certificate(2, person=replace(person_of(2), address="茨城県猿島郡境町架空九丁目1")),
        is_alone=True,
    ),
    bent(
        "elector of another birth date",
        "cards",
        setting("elector", birth_date="1900-01-01"),
        is_alone=True,
    ),
    bent("elector of another sex", "cards", setting("elector", sex="male"), is_alone=True),
    bent("certificate of a stranger's authority", "cards", foreign_authority, is_alone=True),
    bent("certificate for logging in", "cards", log_in_certificate, is_alone=True),
    bent(
        "certificate that had expired",
        "cards",
        with_certificate(2, not_after=datetime(2026, 12, 1, tzinfo=UTC)),
        is_alone=True,
    ),
    bent(
        "certificate not yet valid",
        "cards",
        with_certificate(2, at=datetime(2027, 6, 1, tzinfo=UTC)),
        is_alone=True,
    ),
    bent("certificate revoked before", "cards", revoked_before, is_alone=True),
    bent(
        "status looked up afterwards",
        "cards",
        status(as_of=ENROLS_AT + 9_000, checked_at=ENROLS_AT + 9_000),
        is_alone=True,
    ),
    bent("status from long ago", "cards", status(as_of=ENROLS_AT - 900_000), is_alone=True),
    bent("status of another authority", "cards", status(authority="ab" * 32), is_alone=True),
    bent("cancel record dropped", "cancels", cancel_dropped),
    bent(
        "cancel record of another salt", "cancels", setting("cancel", salt="00" * 32), is_alone=True
    ),
    bent("cancel record of another reason", "cancels", setting("cancel", reason=2), is_alone=True),
    bent(
        "cancel record that nobody signed",
        "cancels",
        setting("cancel", attestor_signature="00" * 65),
        is_alone=True,
    ),
    bent("cancel record of a stray batch", "cancels", setting("cancel", batch=9)),
    bent("cancel record not obeyed", "cancels", not_obeyed),
    bent("entry after a final cancel record", "cancels", enrolled_after, is_alone=True),
    bent("older entry active", "active", older_active),
    bent("entry left out of the active list", "active", active_left_out),
    bent("cancelled entry active", "active", cancelled_active),
    bent(
        "active entry called superseded",
        "active",
        setting("entry", state="superseded"),
        is_alone=True,
    ),
    bent("version twice", "active", version_twice),
    bent("another list mixed", "input", other_input, is_alone=True),
    bent("pointers exchanged", "input", swapped_pointer),
    replace(
        bent("first mix of the roll broken", "input", first_mix, is_alone=True),
        blame="municipality 2",
    ),
    bent("a token more than entries", "tokens", setting("counts", tokens=10), is_alone=True),
    bent("an elector more in the counts", "tokens", setting("counts", electors=99), is_alone=True),
    bent("no counts", "tokens", without_counts, is_alone=True),
    bent(
        "line of no known kind",
        "tokens",
        lambda given: given.lines.insert(3, {"kind": "note"}),
        is_alone=True,
    ),
)
"""All cases."""
