"""`daicho membership`: build, sign, merge, verify and show the list of nodes that may connect.

The operators agree on a description, one builds the document, each governor signs a copy, and
the signatures are merged. A node takes a document only when a majority signed it.

Spec: WIRE-MEMBERSHIP-SIGNED, WIRE-MEMBERSHIP-SUCCESSION.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from node.cli.output import Output
from node.membership.document import (
    MEMBERSHIP_SIZE_MAX,
    InvalidMembership,
    Membership,
    build_membership,
    decode_membership,
    encode_membership,
    parse_governor,
    parse_member,
)
from node.membership.signatures import (
    check_membership,
    check_successor,
    merge_signatures,
    sign_membership,
    verify_signatures,
)
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.types import BlockHash, Hash32
from node.runtime.clock import SystemClock
from node.runtime.keystore import find_password, load_keystore
from node.settings import KeySettings

DAY_S: Final = 86_400
_FILE = click.Path(dir_okay=False, path_type=Path)

DESCRIPTION_EPILOG = """\b
A description in TOML:
  genesis_hash = "0x..."
  [[governor]]             # one per municipality; they sign this document and the next
  municipality = "Tsukuba"
  address = "0x..."
  [[member]]
  name = "tsukuba-1"
  municipality = "Tsukuba"
  node_key = "0x..."       # 64 bytes; daicho key show --public
  role = "validator"       # or archive, observer
  endpoints = ["node.tsukuba.example:30303"]
"""


@click.group("membership")
def group() -> None:
    """Keep the signed list of nodes that may connect."""


@group.command("build", epilog=DESCRIPTION_EPILOG)
@click.argument("description", type=_FILE)
@click.option("--out", type=_FILE, required=True, help="File to write.")
@click.option("--previous", type=_FILE, help="Document in force; the new one counts up from it.")
@click.option("--valid-days", type=click.IntRange(1, 3_650), default=365, show_default=True)
@click.option("--issued-at", type=int, help="Seconds since the epoch; now when left out.")
@click.pass_obj
def build(
    output: Output,
    description: Path,
    out: Path,
    previous: Path | None,
    valid_days: int,
    issued_at: int | None,
) -> None:
    """Build an unsigned document from the operators' DESCRIPTION."""
    if out.exists():
        raise Misconfigured(f"{out} exists; name another file")
    record = _read_description(description)
    issued_at_s = SystemClock().now_ms() // 1_000 if issued_at is None else issued_at
    document = build_membership(
        version=1 if previous is None else load(previous).version + 1,
        genesis_hash=_hash(record.get("genesis_hash"), "genesis_hash"),
        issued_at_s=issued_at_s,
        valid_until_s=issued_at_s + valid_days * DAY_S,
        governors=tuple(parse_governor(item) for item in _tables(record, "governor")),
        members=tuple(parse_member(item) for item in _tables(record, "member")),
    )
    _save(out, document)
    output.result(
        {"hash": "0x" + document.hash.hex(), "version": document.version, "file": str(out)},
        title="membership document written; compare the hash, then let the governors sign it",
    )


@group.command("sign")
@click.argument("file", type=_FILE)
@click.option("--keystore", type=_FILE, required=True, help="Keystore of a governor.")
@click.option("--password-file", type=_FILE, help="File with the password (mode 0600).")
@click.option("--previous", type=_FILE, help="Document in force, when its governor signs too.")
@click.pass_obj
def sign(
    output: Output, file: Path, keystore: Path, password_file: Path | None, previous: Path | None
) -> None:
    """Add a governor's signature to FILE."""
    settings = KeySettings(keystore=keystore, password_file=password_file)
    key = load_keystore(keystore, find_password(settings, _prompt))
    predecessor = None if previous is None else load(previous)
    document = sign_membership(load(file), key, predecessor=predecessor)
    _save(file, document)
    _show_signatures(output, document)


@group.command("merge")
@click.argument("file", type=_FILE)
@click.argument("copies", type=_FILE, nargs=-1, required=True)
@click.pass_obj
def merge(output: Output, file: Path, copies: tuple[Path, ...]) -> None:
    """Add to FILE the signatures of signed COPIES of the same document."""
    document = load(file)
    for path in copies:
        copy = load(path)
        if copy.hash != document.hash:
            raise InvalidMembership(f"{path}: another document than {file}; compare them")
        document = merge_signatures(document, copy.signatures)
    _save(file, document)
    _show_signatures(output, document)


@group.command("verify")
@click.argument("file", type=_FILE)
@click.option("--genesis-hash", required=True, help="Genesis hash of the network.")
@click.option("--previous", type=_FILE, help="Document in force; FILE must be able to follow it.")
@click.pass_obj
def verify(output: Output, file: Path, genesis_hash: str, previous: Path | None) -> None:
    """Check that nodes will take FILE; fail with the reason when they will not."""
    document = load(file)
    check_membership(document, genesis_hash=_hash(genesis_hash, "--genesis-hash"))
    if previous is not None:
        check_successor(load(previous), document)
    _show_signatures(output, document)


@group.command("show")
@click.argument("file", type=_FILE)
@click.pass_obj
def show(output: Output, file: Path) -> None:
    """Show what FILE says, and who signed it."""
    document = load(file)
    days_left = document.days_left(SystemClock().now_ms() // 1_000)
    report = verify_signatures(document)
    summary: dict[str, object] = {
        "version": document.version,
        "hash": "0x" + document.hash.hex(),
        "genesis_hash": "0x" + document.genesis_hash.hex(),
        "days_left": days_left,
        "signed_by": [governor.municipality for governor in report.signed],
        "missing": [governor.municipality for governor in report.missing],
    }
    members: list[dict[str, object]] = [
        {
            "name": member.name,
            "municipality": member.municipality,
            "role": member.role.value,
            "node": "0x" + member.address.hex(),
            "endpoints": " ".join(str(endpoint) for endpoint in member.endpoints),
        }
        for member in document.members
    ]
    if output.is_json:
        output.result({**summary, "members": members})
        return
    output.result(summary)
    output.rows(members)


def load(path: Path) -> Membership:
    """Read a membership document from a file.

    Raises:
        Misconfigured: The file cannot be read, or holds no document.
    """
    try:
        with path.open("rb") as file:
            return decode_membership(file.read(MEMBERSHIP_SIZE_MAX + 1))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except InvalidInput as error:
        raise Misconfigured(f"{path}: {error}; correct it or take the original") from error


def _save(path: Path, document: Membership) -> None:
    draft = path.with_name(path.name + ".new")
    try:
        draft.write_text(encode_membership(document), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise Misconfigured(
            f"{path}: cannot be written ({error.strerror}); choose a writable place"
        ) from error


def _show_signatures(output: Output, document: Membership) -> None:
    report = verify_signatures(document)
    output.result(
        {
            "hash": "0x" + document.hash.hex(),
            "version": document.version,
            "signed_by": [governor.municipality for governor in report.signed],
            "missing": [governor.municipality for governor in report.missing],
            "majority": report.majority,
            "is_enough": report.is_enough,
        }
    )


def _read_description(path: Path) -> Mapping[str, object]:
    try:
        record = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise Misconfigured(f"{path}: not TOML ({error}); correct it") from error
    unknown = sorted(set(record) - {"genesis_hash", "governor", "member"})
    if unknown:
        raise Misconfigured(f"{path}: unknown keys {', '.join(unknown)}; remove them")
    return record


def _tables(record: Mapping[str, object], name: str) -> list[object]:
    found = record.get(name, [])
    if not isinstance(found, list):
        raise InvalidMembership(f"description: expected [[{name}]] tables")
    return found


def _hash(value: object, what: str) -> BlockHash:
    text = value if isinstance(value, str) else ""
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != 32:
        raise InvalidMembership(f"{what}: expected 0x and 64 hexadecimal digits")
    return BlockHash(Hash32(data))


def _prompt(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, err=True)
    return answer
