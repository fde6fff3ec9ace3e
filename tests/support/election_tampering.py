"""Ways to bend the record of a correct election, each in one thing, and the check that must notice.

Numbers are those of the list of attacks on the voting protocol; what has none is ours. The auditor
in Python and the one in TypeScript are held to the same table.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from clients.auditor.checks import Verdict
from clients.voting.ballot import decode_core, withdrawal_hash
from clients.voting.ciphertexts import (
    CiphertextList,
    Column,
    ListContext,
    compute_list_digest,
)
from clients.voting.decryption import DecryptionStatement, build_share
from clients.voting.dkg import EncryptedShare, KeyPurpose, complain
from clients.voting.encoding import encode_i2, encode_i8, encode_scalar, tagged_hash
from clients.voting.group import GENERATOR, ORDER, decode_point, generator_multiple, vector_of
from clients.voting.manifest import encode_canonical
from node.primitives.crypto import PrivateKey
from tests.support.election_record import (
    HeldElection,
    HeldList,
    Recorded,
    ballot_receipt,
    bend_json,
    box_value,
    chain_record,
    encode_ballots,
    encode_share_proof,
    record_files,
    roll_receipt,
    sign65,
    write_record,
)
from tests.support.voting import SeededNonces, key_generation
from tests.support.voting_vectors import hexed

Files = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """One change to a correct record."""

    name: str
    check: str
    """Name of the check that must fail, or must be left open."""
    bend: Callable[[HeldElection, Files], None] = lambda _held, _files: None
    """Changes the files before they are listed."""
    after: Callable[[Path], None] = lambda _folder: None
    """Changes the folder after they were listed."""
    head: dict[str, Any] = field(default_factory=dict)
    """Fields of the list of files."""
    blame: frozenset[str] = frozenset()
    """Who must be named."""
    verdict: Verdict = Verdict.FAILED
    is_alone: bool = False
    """Whether no other check may fail."""

    def write(self, held: HeldElection, folder: Path) -> None:
        """Write the bent record."""
        files = record_files(held)
        self.bend(held, files)
        write_record(folder, files, held, **self.head)
        self.after(folder)


def named(*numbers: int) -> frozenset[str]:
    """Return municipalities by number."""
    return frozenset(f"municipality {number}" for number in numbers)


def json_file(path: str, change: Callable[[Any], None]) -> Callable[[HeldElection, Files], None]:
    """Return a change to one JSON file."""

    def bend(_held: HeldElection, files: Files) -> None:
        files[path] = bend_json(files[path], change)

    return bend


def chain(change: Callable[[Any], None]) -> Callable[[HeldElection, Files], None]:
    """Return a change to what the contracts are said to say."""
    return json_file("chain.json", change)


def without(path: str) -> Callable[[HeldElection, Files], None]:
    """Return the omission of a file."""

    def bend(_held: HeldElection, files: Files) -> None:
        del files[path]

    return bend


def flip(path: str, at: int = -1) -> Callable[[Path], None]:
    """Return the change of one bit of a file after it was listed."""

    def after(folder: Path) -> None:
        data = bytearray((folder / path).read_bytes())
        data[at] ^= 1
        (folder / path).write_bytes(bytes(data))

    return after


def find_list(value: Any, kind: str, number: int) -> Any:
    """Return a list of chain.json."""
    return next(each for each in value["lists"] if (each["kind"], each["number"]) == (kind, number))


def set_value(*path: Any, to: Any) -> Callable[[Any], None]:
    """Return a change of one value deep inside."""

    def change(value: Any) -> None:
        *way, last = path
        for step in way:
            value = value[step]
        value[last] = to(value[last]) if callable(to) else to

    return change


def one_more(text: str) -> str:
    """Return a scalar of 64 hexadecimal digits, one more."""
    return hexed((int(text, 16) + 1) % ORDER)


# Ballots: the box is bent as a whole, so that count and value fit what is in the file.


def ballots(
    change: Callable[[list[Recorded]], list[Recorded]], *, fits: bool = True
) -> Callable[[HeldElection, Files], None]:
    """Return a change to the recorded ballots; ``fits`` also bends what the ledger says of them."""

    def bend(held: HeldElection, files: Files) -> None:
        changed = change(list(held.ballots))
        files["ballots.bin"] = encode_ballots(changed)
        if fits:
            box = {
                "count": len(changed),
                "value": hexed(box_value(held.eid, changed)),
                "closed_height": 200,
            }
            files["chain.json"] = bend_json(files["chain.json"], set_value("box", to=box))

    return bend


def with_core(at: int, offset: int, data: bytes) -> Callable[[list[Recorded]], list[Recorded]]:
    """Return ballots of which one has other bytes in its core."""

    def change(recorded: list[Recorded]) -> list[Recorded]:
        core = recorded[at].core
        core = core[:offset] + data + core[offset + len(data) :]
        recorded[at] = replace(recorded[at], core=core)
        return recorded

    return change


def moved(at: int, **fields: Any) -> Callable[[list[Recorded]], list[Recorded]]:
    """Return ballots of which one has other fields."""

    def change(recorded: list[Recorded]) -> list[Recorded]:
        recorded[at] = replace(recorded[at], **fields)
        return recorded

    return change


def signed_by_another(recorded: list[Recorded]) -> list[Recorded]:
    """Let another key sign the first ballot."""
    signature = sign65(PrivateKey(b"\x31" * 32), recorded[0].digest)
    return [replace(recorded[0], signature=signature), *recorded[1:]]


def with_high_s(recorded: list[Recorded]) -> list[Recorded]:
    """Give the first ballot the other form of its signature."""
    r, s, v = (recorded[0].signature[:32], recorded[0].signature[32:64], recorded[0].signature[64])
    high = r + encode_scalar(ORDER - int.from_bytes(s, "big")) + bytes([55 - v])
    return [replace(recorded[0], signature=high), *recorded[1:]]


def hurried(recorded: list[Recorded]) -> list[Recorded]:
    """Let a voter's second ballot follow the first within the interval."""
    second = next(each for each in recorded if decode_core(each.core).sequence == 2)
    key = second.core[35:99]
    first = next(each for each in recorded if each.core[35:99] == key)
    rest = [each for each in recorded if each is not second]
    at = rest.index(first)
    hasty = replace(second, height=first.height, time_s=first.time_s)
    return [*rest[: at + 1], hasty, *rest[at + 1 :]]


def with_last_race_cut(recorded: list[Recorded]) -> list[Recorded]:
    """Cut a race from a ballot of two."""
    at = next(at for at, each in enumerate(recorded) if len(each.core) > 333)
    recorded[at] = replace(recorded[at], core=recorded[at].core[:-226])
    return recorded


# Lists: what the trustees started from is replaced, and the ledger agrees with it.


def starting_list(
    label: str, change: Callable[[HeldElection, CiphertextList], CiphertextList]
) -> Callable[[HeldElection, Files], None]:
    """Return another start of a list."""

    def bend(held: HeldElection, files: Files) -> None:
        listed = get_list(held, label)
        rows = change(held, listed.start)
        context = ListContext(eid=held.eid, kind=listed.kind, list_id=listed.number, round=0)
        files[f"lists/{label}-0.bin"] = rows.encode()

        def agree(value: Any) -> None:
            each = find_list(value, label.partition("-")[0], listed.number)
            each["digest"] = hexed(compute_list_digest(context, rows))
            each["row_count"] = len(rows)

        files["chain.json"] = bend_json(files["chain.json"], agree)

    return bend


def get_list(held: HeldElection, label: str) -> HeldList:
    """Return a list by label."""
    return next(each for each in held.lists if each.label == label)


def superseded_row(held: HeldElection, rows: CiphertextList) -> CiphertextList:
    """Return the start of race 1 with the first ballot of a voter who voted twice."""
    cores = [decode_core(each.core) for each in held.ballots]
    last = next(core for core in cores if core.sequence == 2)
    first = next(core for core in cores if core.key == last.key and core.sequence == 1)
    at = next(at for at in range(len(rows)) if rows.columns[0].a[at] == last.choices[0].a)
    return with_row(rows, at, first.choices[0].a, first.choices[0].b)


def foreign_row(held: HeldElection, rows: CiphertextList) -> CiphertextList:
    """Return the start of race 1 with the ballot of the lost device, which is off the roll."""
    choice = decode_core(held.ballots[0].core).choices[0]
    return with_row(rows, 0, choice.a, choice.b)


def with_row(rows: CiphertextList, at: int, a: Any, b: Any) -> CiphertextList:
    """Return rows of which one is another."""
    column = rows.columns[0]
    first = [column.a[i] if i != at else a for i in range(len(rows))]
    second = [column.b[i] if i != at else b for i in range(len(rows))]
    return CiphertextList((Column(a=vector_of(first), b=vector_of(second)),))


# Mixes: a mixer's output or proof is replaced after the proof, and the ledger agrees with it.


def output(
    label: str, at: int, change: Callable[[CiphertextList], CiphertextList]
) -> Callable[[HeldElection, Files], None]:
    """Return another output of a round."""

    def bend(held: HeldElection, files: Files) -> None:
        listed = get_list(held, label)
        rows = listed.rounds[at - 1].outputs
        assert rows is not None
        rows = change(rows)
        context = ListContext(eid=held.eid, kind=listed.kind, list_id=listed.number, round=0)
        files[f"lists/{label}-{at}.bin"] = rows.encode()

        def agree(value: Any) -> None:
            each = find_list(value, label.partition("-")[0], listed.number)
            each["rounds"][at - 1]["output"] = hexed(compute_list_digest(context, rows))

        files["chain.json"] = bend_json(files["chain.json"], agree)

    return bend


def mix_file(
    label: str, at: int, change: Callable[[bytes], bytes]
) -> Callable[[HeldElection, Files], None]:
    """Return another proof of a round."""

    def bend(held: HeldElection, files: Files) -> None:
        path = f"mixes/{label}-{at}.bin"
        files[path] = change(files[path])

        def agree(value: Any) -> None:
            each = find_list(value, label.partition("-")[0], get_list(held, label).number)
            each["rounds"][at - 1]["proof"] = sha256(files[path]).hexdigest()

        files["chain.json"] = bend_json(files["chain.json"], agree)

    return bend


def proof_of_round(held: HeldElection, files: Files) -> None:
    """Show the proof of round 3 of the roll of style 7 as that of round 4 (case 67)."""
    files["lists/roll-7-4.bin"] = files["lists/roll-7-3.bin"]
    mix_file("roll-7", 4, lambda _: files["mixes/roll-7-3.bin"])(held, files)
    listed = get_list(held, "roll-7")
    rows = listed.rounds[2].outputs
    assert rows is not None
    output("roll-7", 4, lambda _: rows)(held, files)


def plus_generator(rows: CiphertextList) -> CiphertextList:
    """Multiply the first row's message by a known point."""
    column = rows.columns[0]
    return with_row(rows, 0, column.a[0], column.b[0] + GENERATOR)


def bump_scalar(at: int) -> Callable[[bytes], bytes]:
    """Return a proof of which one scalar is one more."""

    def change(data: bytes) -> bytes:
        value = (int.from_bytes(data[at : at + 32], "big") + 1) % ORDER
        return data[:at] + encode_scalar(value) + data[at + 32 :]

    return change


def bump_point(at: int) -> Callable[[bytes], bytes]:
    """Return a proof of which one point is moved by the generator."""

    def change(data: bytes) -> bytes:
        point = decode_point(data[at : at + 33]) + GENERATOR
        return data[:at] + point.encode() + data[at + 33 :]

    return change


HEAD = 33 * 5 + 32 * 4
"""Bytes of a proof before its rows."""


def unmark(label: str, at: int, *, is_valid: bool) -> Callable[[Any], None]:
    """Return the other verdict on a mix."""
    kind, _, number = label.partition("-")

    def change(value: Any) -> None:
        find_list(value, kind, int(number))["rounds"][at - 1]["is_valid"] = is_valid

    return change


# Shares.


def share_file(
    label: str, trustee: int, change: Callable[[HeldElection], tuple[bytes, bytes]]
) -> Callable[[HeldElection, Files], None]:
    """Return another share and proof, with the ledger agreeing."""

    def bend(held: HeldElection, files: Files) -> None:
        data, proof = change(held)
        files[f"shares/{label}-{trustee}.bin"] = data
        files[f"shares/{label}-{trustee}.proof"] = proof
        record = chain_record(held)
        each = find_list(record, label.partition("-")[0], get_list(held, label).number)
        posted = next(share for share in each["shares"] if share["trustee"] == trustee)
        posted["shares"] = share_digest(held, label, trustee, data)
        posted["proof"] = sha256(proof).hexdigest()
        files["chain.json"] = encode_canonical(record)

    return bend


def share_digest(held: HeldElection, label: str, trustee: int, data: bytes) -> str:
    """Return hD of a share's file."""
    listed = get_list(held, label)
    context = ListContext(eid=held.eid, kind=listed.kind, list_id=listed.number, round=0)
    head = context.encode() + encode_i2(trustee) + encode_i8(len(data) // 33)
    return tagged_hash("JMEV1/dec-list", head + data).hex()


def wrong_share_point(label: str, trustee: int) -> Callable[[HeldElection], tuple[bytes, bytes]]:
    """Return a share of which the first point is moved."""

    def change(held: HeldElection) -> tuple[bytes, bytes]:
        share = get_list(held, label).shares[trustee]
        data = share.shares.encode()
        return bump_point(0)(data), encode_share_proof(share)

    return change


def share_of(
    label: str, trustee: int, *, rows_of: str, purpose: KeyPurpose
) -> Callable[[HeldElection], tuple[bytes, bytes]]:
    """Return a share made honestly of another list or with another key's share."""

    def change(held: HeldElection) -> tuple[bytes, bytes]:
        listed, other = get_list(held, label), get_list(held, rows_of)
        setup = key_generation(purpose=purpose)
        rows = other.final.take(range(len(listed.final)))
        statement = DecryptionStatement(
            context=ListContext(eid=held.eid, kind=other.kind, list_id=other.number, round=0),
            rows=rows,
            column=0,
            trustee=trustee,
            share_key=setup.share_keys[trustee - 1],
        )
        share = build_share(statement, setup.shares[trustee - 1], SeededNonces("share"))
        return share.shares.encode(), encode_share_proof(share)

    return change


def complaint(*, is_right: bool) -> Callable[[HeldElection, Files], None]:
    """Return a complaint of trustee 2 about dealer 1 in the ballot key's transcript."""

    def bend(_held: HeldElection, files: Files) -> None:
        setup, source = key_generation(), SeededNonces("complaint")

        def add(value: Any) -> None:
            share = value["shares"][0][1]
            if is_right:
                share["ciphertext"] = (int(share["ciphertext"], 16) ^ 1).to_bytes(32, "big").hex()
            sent = EncryptedShare(
                ephemeral=decode_point(bytes.fromhex(share["e"])),
                ciphertext=bytes.fromhex(share["ciphertext"]),
            )
            made = complain(setup.run, 1, 2, sent, setup.encryption_secrets[1], source)
            value["complaints"] = [
                {
                    "dealer": 1,
                    "complainer": 2,
                    "s": hexed(made.shared),
                    "t1": hexed(made.proof.t1),
                    "t2": hexed(made.proof.t2),
                    "z": hexed(made.proof.z),
                }
            ]

        files["dkg/ballot.json"] = bend_json(files["dkg/ballot.json"], add)

    return bend


# Receipts.


def late_receipt(held: HeldElection, files: Files) -> None:
    """Hand in the relay's receipt of a ballot that was recorded after its deadline."""
    ballot = held.ballots[-1]
    receipt = ballot_receipt(held.eid, ballot.digest, ballot.height - 1)
    files["receipts/late.json"] = encode_canonical(receipt)


def lost_receipt(held: HeldElection, files: Files) -> None:
    """Hand in the relay's receipt of a ballot that never was recorded."""
    receipt = ballot_receipt(held.eid, sha256(b"never recorded").digest(), 400)
    files["receipts/lost.json"] = encode_canonical(receipt)


def omitted_enrolment(held: HeldElection, files: Files) -> None:
    """Hand in the receipt of an enrolment that is not active."""
    receipt = roll_receipt(held.eid, sha256(b"omitted").digest(), 0)
    files["receipts/omitted.json"] = encode_canonical(receipt)


def stray_batch(held: HeldElection, files: Files) -> None:
    """Hand in the receipt of an enrolment whose batch was never posted."""
    entry = held.active[7][0]
    files["receipts/stray.json"] = encode_canonical(roll_receipt(held.eid, entry.commitment, 9))


def stolen_withdrawal(held: HeldElection, files: Files) -> None:
    """Withdraw a voter's key with another key's signature."""
    core = decode_core(held.ballots[-1].core)
    digest = withdrawal_hash(held.eid, core.key, core.sequence + 1)
    row = core.key.encode_xy() + encode_i8(150) + sign65(PrivateKey(b"\x31" * 32), digest)
    files["withdrawals.bin"] += row


def early_withdrawal(held: HeldElection, files: Files) -> None:
    """Say that the withdrawal came before the key's last ballot."""
    data = files["withdrawals.bin"]
    files["withdrawals.bin"] = data[:64] + encode_i8(99) + data[72:]


def swap_manifest_names(value: Any) -> None:
    """Exchange two candidates."""
    first, second = value["races"][0]["candidates"][:2]
    first["name"], second["name"] = second["name"], first["name"]


def swap(path: str, *way: Any) -> Callable[[HeldElection, Files], None]:
    """Return the exchange of the first two items of a list in a JSON file."""

    def change(value: Any) -> None:
        for step in way:
            value = value[step]
        value[0], value[1] = value[1], value[0]

    return json_file(path, change)


def drop_rows(path: str, size: int) -> Callable[[HeldElection, Files], None]:
    """Return the omission of a file's first bytes."""

    def bend(_held: HeldElection, files: Files) -> None:
        files[path] = files[path][size:]

    return bend


def reverse_active(_held: HeldElection, files: Files) -> None:
    """Turn a style's active list round, with root and digest unchanged."""
    data = files["roll/active-7.bin"]
    rows = [data[at : at + 32] for at in range(0, len(data), 32)]
    files["roll/active-7.bin"] = b"".join(reversed(rows))


def move_vote(value: Any) -> None:
    """Move one vote of the first result from one candidate to another."""
    numbers = value["results"][0]["numbers"]
    at = next(at for at, count in enumerate(numbers) if count)
    numbers[at] -= 1
    numbers[(at + 1) % (len(numbers) - 1)] += 1


def hide_invalid(value: Any) -> None:
    """Leave one vote out of the first result."""
    numbers = value["results"][0]["numbers"]
    at = next(at for at, count in enumerate(numbers) if count)
    numbers[at] -= 1


def drop_list(value: Any) -> None:
    """Let race 4 have a result without its list."""
    value["lists"] = [each for each in value["lists"] if each["number"] != 4]


def few_shares(value: Any) -> None:
    """Leave two shares of race 1."""
    listed = find_list(value, "ballots", 1)
    listed["shares"] = listed["shares"][:2]


def first_mixer_twice(value: Any) -> None:
    """Let the roll's first mixer have the second turn as well."""
    rounds = find_list(value, "roll", 7)["rounds"]
    rounds[1]["mixer"] = rounds[0]["mixer"]


def few_mixes(value: Any) -> None:
    """Leave two valid mixes of race 4."""
    for each in find_list(value, "ballots", 4)["rounds"][2:]:
        each["output"] = each["proof"] = ""
        each["is_valid"] = None


def case(name: str, check: str, *changes: Any, **fields: Any) -> Tampering:
    """Return one tampering; a change is to the files before they are listed."""

    def bend(held: HeldElection, files: Files) -> None:
        for change in changes:
            change(held, files)

    return Tampering(name=name, check=f"election.{check}", bend=bend, **fields)


OTHER_POINT = hexed(generator_multiple(12_345))

CASES: tuple[Tampering, ...] = (
    # Files and manifest.
    case("75 other file", "files", after=flip("mixes/ballots-1-1.bin")),
    case("75 file removed", "files", after=lambda folder: (folder / "ballots.bin").unlink()),
    case("75 mix without file", "files.complete", without("mixes/ballots-1-3.bin"), blame=named(4)),
    case("share without file", "files.complete", without("shares/ballots-4-2.bin"), blame=named(2)),
    case("roll without file", "files.complete", without("roll/active-8.bin"), blame=named(1)),
    case("ballots omitted", "files.complete", without("ballots.bin")),
    case(
        "incident written anew",
        "files.complete",
        json_file("incidents/3-1.json", set_value("text", to="nothing happened")),
        blame=frozenset({"municipality number 3"}),
        is_alone=True,
    ),
    case(
        "incident left out of the log",
        "files.complete",
        chain(lambda record: record["bulletin"].pop(1)),
        without("incidents/3-1.json"),
        blame=frozenset({"municipality number 3"}),
        is_alone=True,
    ),
    case("19 candidates exchanged", "id", json_file("manifest.json", swap_manifest_names)),
    case(
        "20 other key in manifest",
        "keys.derived",
        json_file("manifest.json", set_value("ballot_key", to=OTHER_POINT)),
    ),
    case(
        "81 other share key in manifest",
        "keys.derived",
        json_file("manifest.json", set_value("trustees", 1, "ballot_share", to=OTHER_POINT)),
    ),
    case(
        "manifest with spaces",
        "manifest",
        lambda _held, files: files.update({"manifest.json": files["manifest.json"] + b"\n"}),
    ),
    case(
        "windows out of order",
        "manifest",
        json_file("manifest.json", set_value("closes_at", to=1_700_000_000)),
    ),
    case("mock shown as real", "id", head={"is_mock": False}, is_alone=True),
    case(
        "announced other terms",
        "terms",
        chain(set_value("terms", "closes_at", to=lambda time: time + 1)),
        is_alone=True,
    ),
    case(
        "other account of a trustee",
        "terms",
        chain(set_value("terms", "trustee_accounts", 0, to="0x" + "77" * 20)),
        is_alone=True,
    ),
    case("abandoned", "stands", chain(set_value("abandoned", to="fire")), is_alone=True),
    # Key generation.
    case(
        "11 reveal differs from commit",
        "keys.dealings",
        swap("dkg/ballot.json", "commitments"),
        blame=named(1, 2),
    ),
    case(
        "12 constant term copied",
        "keys.dealings",
        json_file(
            "dkg/ballot.json",
            lambda value: value["reveals"][0].update(
                coefficients=[
                    value["reveals"][1]["coefficients"][0],
                    *value["reveals"][0]["coefficients"][1:],
                ]
            ),
        ),
        blame=named(1),
    ),
    case(
        "13 degree too high",
        "keys.dealings",
        json_file(
            "dkg/roll.json",
            lambda value: value["reveals"][2]["coefficients"].append(OTHER_POINT),
        ),
        blame=named(3),
    ),
    case("14 wrong share", "keys.complaints", complaint(is_right=True), blame=named(1)),
    case("15 false complaint", "keys.complaints", complaint(is_right=False), blame=named(2)),
    case(
        "17 ballot key's transcript as roll key's",
        "keys.run",
        lambda _held, files: files.update({"dkg/roll.json": files["dkg/ballot.json"]}),
    ),
    case(
        "18 confirmation of another share",
        "keys.confirmed",
        swap("dkg/ballot.json", "confirmations"),
        blame=named(1, 2),
    ),
    case(
        "encryption key not proven",
        "keys.encryption",
        json_file("dkg/ballot.json", set_value("trustees", 3, "proof", "z", to=one_more)),
        blame=named(4),
    ),
    case(
        "rehearsal once",
        "keys.rehearsal",
        json_file("dkg/roll.json", lambda value: value["rehearsal"].pop()),
    ),
    case(
        "rehearsal to another point",
        "keys.rehearsal",
        json_file("dkg/roll.json", set_value("rehearsal", 0, "message", to=OTHER_POINT)),
    ),
    # Roll.
    case("26 eligible slot removed", "eligible", drop_rows("eligible.bin", 32), is_alone=True),
    case(
        "28 enrolment omitted",
        "receipts.roll",
        omitted_enrolment,
        verdict=Verdict.UNDECIDED,
    ),
    case("receipt of a stray batch", "receipts.roll", stray_batch, blame=named(1), is_alone=True),
    case("30 active list unsorted", "roll.frozen", reverse_active, blame=named(1), is_alone=True),
    case(
        "30 frozen count differs",
        "roll.frozen",
        chain(set_value("frozen", 0, "count", to=lambda count: count + 1)),
        blame=named(1),
    ),
    case(
        "27 more entries frozen than posted",
        "roll.batches",
        chain(set_value("batches", 0, "entry_count", to=0)),
        blame=named(1),
        is_alone=True,
    ),
    case(
        "batch left out",
        "roll.batches",
        chain(set_value("batches", 1, "number", to=2)),
        blame=named(1),
        is_alone=True,
    ),
    # Ballots.
    case("01 A off the curve", "ballots.form", ballots(with_core(1, 109 + 63, b"\x00"))),
    case("02 A of zeros", "ballots.form", ballots(with_core(1, 109, bytes(64)))),
    case("06 response of n", "ballots.form", ballots(with_core(1, 301, ORDER.to_bytes(32, "big")))),
    case(
        "07 core cut", "ballots.form", ballots(lambda rows: moved(1, core=rows[1].core[:-1])(rows))
    ),
    case("08 high s", "ballots.signatures", ballots(with_high_s), is_alone=True),
    case("36 other election", "ballots.form", ballots(with_core(1, 1, b"\x01" * 32))),
    case("37 other key", "ballots.proofs", ballots(with_core(1, 35, GENERATOR.encode_xy()))),
    case("43 race missing", "ballots.form", ballots(with_last_race_cut)),
    case("44 other style", "ballots.form", ballots(with_core(1, 33, b"\x00\x08"))),
    case("45 proof does not hold", "ballots.proofs", ballots(with_core(1, 301, b"\x01" * 32))),
    case(
        "51 signed by another key", "ballots.signatures", ballots(signed_by_another), is_alone=True
    ),
    case("41 sequence skipped", "ballots.sequence", ballots(with_core(-1, 99, encode_i8(3)))),
    case("42 interval too short", "ballots.sequence", ballots(hurried)),
    case(
        "49 before opening",
        "ballots.window",
        ballots(moved(0, time_s=1_799_999_999)),
        is_alone=True,
    ),
    case(
        "49 at closing", "ballots.window", ballots(moved(-1, time_s=1_800_086_400)), is_alone=True
    ),
    case("93 time backwards", "ballots.window", ballots(moved(3, time_s=1_800_000_001))),
    case("55 ballot dropped from the box", "box", ballots(lambda rows: rows[:-1], fits=False)),
    case(
        "90 box value",
        "box",
        chain(set_value("box", "value", to="12" * 32)),
        is_alone=True,
    ),
    case("52 withdrawn by another", "withdrawals", stolen_withdrawal),
    case("52 ballot after withdrawal", "withdrawals", early_withdrawal, is_alone=True),
    # Lists.
    case(
        "55 ballot dropped from the list",
        "lists",
        starting_list("ballots-1", lambda _held, rows: rows.take(range(1, len(rows)))),
    ),
    case(
        "56 row added to the list",
        "lists",
        starting_list("ballots-1", lambda _held, rows: rows.take([0, *range(len(rows))])),
    ),
    case("57 earlier ballot counted", "lists", starting_list("ballots-1", superseded_row)),
    case("58 ballot off the roll counted", "lists", starting_list("ballots-1", foreign_row)),
    case(
        "60 list in another order",
        "lists",
        starting_list("ballots-1", lambda _held, rows: rows.take([*range(1, len(rows)), 0])),
    ),
    case("86 result without a list", "lists", chain(drop_list)),
    # Mixes.
    case(
        "62 output replaced, ledger unchanged",
        "mixes.proofs",
        lambda _held, files: files.update(
            {"lists/ballots-4-2.bin": files["lists/ballots-4-1.bin"]}
        ),
        blame=named(1),
    ),
    case(
        "62 output replaced",
        "mixes.proofs",
        output("ballots-4", 4, lambda rows: with_row(rows, 1, GENERATOR, GENERATOR)),
        blame=named(3),
    ),
    case(
        "63 outputs exchanged",
        "mixes.proofs",
        output("ballots-4", 4, lambda rows: rows.take([1, 0, *range(2, len(rows))])),
        blame=named(3),
    ),
    case(
        "64 output duplicated",
        "mixes.proofs",
        output("ballots-4", 4, lambda rows: rows.take([0, 0, *range(2, len(rows))])),
        blame=named(3),
    ),
    case(
        "65 message moved", "mixes.proofs", output("ballots-4", 4, plus_generator), blame=named(3)
    ),
    *(
        case(
            f"66 {what} changed",
            "mixes.proofs",
            mix_file("ballots-4", 3, change),
            blame=named(4),
            is_alone=True,
        )
        for what, change in {
            "t1": bump_point(0),
            "t4b": bump_point(33 * 4),
            "z2": bump_scalar(33 * 5 + 32),
            "z4": bump_scalar(33 * 5 + 96),
            "first c": bump_point(HEAD),
            "last z prime": lambda data: bump_scalar(len(data) - 32)(data),
        }.items()
    ),
    case("66 byte left over", "mixes.proofs", mix_file("ballots-4", 3, lambda data: data + b"\0")),
    case(
        "04 hybrid point", "mixes.proofs", mix_file("ballots-4", 3, lambda data: b"\x06" + data[1:])
    ),
    case("67 proof of another round", "mixes.proofs", proof_of_round, blame=named(3)),
    case(
        "72 rows fewer than before",
        "mixes.proofs",
        output("ballots-4", 4, lambda rows: rows.take(range(1, len(rows)))),
        blame=named(3),
    ),
    case("76 mixer twice", "mixes.order", chain(first_mixer_twice)),
    case("76 too few mixes", "mixes.order", chain(few_mixes)),
    case(
        "cheating mix taken",
        "mixes.proofs",
        chain(unmark("ballots-1", 2, is_valid=True)),
        blame=named(1),
    ),
    case(
        "honest mix left out",
        "mixes.verdicts",
        chain(unmark("ballots-4", 4, is_valid=False)),
        blame=frozenset({"the trustees that judged it invalid"}),
    ),
    # Shares.
    case(
        "77 wrong share",
        "shares",
        share_file("ballots-1", 2, wrong_share_point("ballots-1", 2)),
        blame=named(2),
        is_alone=True,
    ),
    case(
        "78 share of another list",
        "shares",
        share_file(
            "ballots-4",
            1,
            share_of("ballots-4", 1, rows_of="ballots-1", purpose=KeyPurpose.BALLOTS),
        ),
        blame=named(1),
        is_alone=True,
    ),
    case(
        "79 share of the roll key",
        "shares",
        share_file(
            "ballots-4", 1, share_of("ballots-4", 1, rows_of="ballots-4", purpose=KeyPurpose.ROLL)
        ),
        blame=named(1),
        is_alone=True,
    ),
    case(
        "share other than posted",
        "shares",
        lambda _held, files: files.update(
            {"shares/ballots-4-1.bin": files["shares/ballots-4-2.bin"]}
        ),
        blame=named(1),
        is_alone=True,
    ),
    case("83 shares below the threshold", "shares.enough", chain(few_shares)),
    # Results.
    case("85 vote moved", "results.counts", chain(move_vote)),
    case("85 vote hidden", "results.counts", chain(hide_invalid)),
    case(
        "85 hash of other numbers",
        "results.hashes",
        chain(set_value("results", 0, "result", to="13" * 32)),
        is_alone=True,
    ),
    case("86 result missing", "results.complete", chain(lambda value: value["results"].pop())),
    case(
        "mock result as real",
        "results.complete",
        chain(set_value("results", 0, "is_mock", to=False)),
        is_alone=True,
    ),
    # Receipts.
    case("88 ballot suppressed", "receipts.ballots", lost_receipt, blame=named(2), is_alone=True),
    case("88 ballot late", "receipts.ballots", late_receipt, blame=named(2), is_alone=True),
)
