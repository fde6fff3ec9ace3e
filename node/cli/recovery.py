"""`daicho recovery`: restart a network that has lost its quorum for good.

Draft at one node, sign at each remaining municipality, verify, then apply at every node. Read
docs/operate/recover.md first.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from node.cli.output import Output
from node.membership.recovery import (
    InvalidRecovery,
    Recovery,
    build_recovery,
    check_lost,
    check_signed,
    encode_recovery,
    keep_lock,
    sign_recovery,
)
from node.primitives.errors import Misconfigured
from node.primitives.types import Address, Height
from node.runtime.keystore import load_key, load_keystore_info
from node.runtime.ledger import (
    load_documents,
    load_membership,
    load_recovery,
    load_tally,
    open_ledger,
)
from node.runtime.node import VOTES_DIRECTORY
from node.runtime.votes import StoredSignState
from node.settings import KeySettings, Settings, load_settings
from node.storage.leveldb import LevelDbStore
from node.storage.votes import VoteStore

EXAMPLES: Final = """\b
Examples:
  daicho recovery draft --keep tsukuba --keep goka --reason "fire at both sites" --out r.json
  daicho recovery sign r.json --keystore governor.key.json
  daicho recovery verify r.json --config /etc/daicho/node.toml
  daicho recovery apply r.json --config /etc/daicho/node.toml
"""

_FILE = click.Path(dir_okay=False, path_type=Path)
_CONFIG = click.option(
    "--config",
    type=_FILE,
    default=Path("/etc/daicho/node.toml"),
    show_default=True,
    help="Settings file of the node, which must be stopped.",
)


@click.group("recovery", epilog=EXAMPLES)
def group() -> None:
    """Recover a network whose quorum is lost for good."""


@group.command("draft")
@_CONFIG
@click.option(
    "--keep", "kept", multiple=True, required=True, help="Member, by name, of the new set."
)
@click.option("--lost", multiple=True, help="Municipality whose governor cannot sign any more.")
@click.option("--reason", required=True, help="What happened; auditors will read it.")
@click.option("--out", type=_FILE, required=True, help="File to write.")
@click.pass_obj
def draft(
    output: Output,
    config: Path,
    kept: tuple[str, ...],
    lost: tuple[str, ...],
    reason: str,
    out: Path,
) -> None:
    """Draft a document for the height after this node's head.

    Draft at the node with the highest head: a block that is final anywhere must not be lost.
    """
    settings = load_settings(config)
    documents = load_documents(settings)
    chain = open_ledger(settings, documents.genesis)
    try:
        tally = load_tally(chain, documents.profile.epoch_length, documents.recoveries)
        head = chain.head
    finally:
        chain.close()
    by_name = {member.name: member.address for member in documents.membership.members}
    governors = {each.municipality: each.address for each in documents.membership.governors}
    document = build_recovery(
        genesis_hash=documents.profile.genesis_hash,
        height=Height(head.height + 1),
        parent_hash=head.hash,
        validators=[_named(by_name, name, "member") for name in kept],
        lost=[_named(governors, name, "municipality") for name in lost],
        reason=reason,
    )
    check_lost(document, tally.validators)
    _write(out, document)
    output.result(describe(document), title=f"drafted {out}; now sign it at each municipality")


@group.command("sign")
@click.argument("file", type=_FILE)
@click.option("--keystore", type=_FILE, required=True, help="Keystore of the governor.")
@click.option("--password-file", type=_FILE, help="File with the password (mode 0600).")
@click.pass_obj
def sign(output: Output, file: Path, keystore: Path, password_file: Path | None) -> None:
    """Add a governor's signature to FILE."""
    document = load_recovery(file)
    output.result(describe(document), title="this is what you sign")
    key = load_key(KeySettings(keystore=keystore, password_file=password_file), _ask)
    _write(file, sign_recovery(document, key))
    output.say(f"signed by 0x{load_keystore_info(keystore).address.hex()}")


@group.command("verify")
@click.argument("file", type=_FILE)
@_CONFIG
@click.pass_obj
def verify(output: Output, file: Path, config: Path) -> None:
    """Check that enough of the remaining municipalities signed FILE."""
    settings = load_settings(config)
    document = load_recovery(file)
    check_signed(document, load_membership(settings.p2p.membership))
    output.result(describe(document), title="good: signed by a majority of those who remain")


@group.command("apply")
@click.argument("file", type=_FILE)
@_CONFIG
@click.pass_obj
def apply(output: Output, file: Path, config: Path) -> None:
    """Check FILE against this node's chain and prepare the node to continue by it.

    Name FILE under `recoveries` in the settings and start the node when this succeeds.
    """
    settings = load_settings(config)
    documents = load_documents(settings)
    document = load_recovery(file)
    check_signed(document, documents.membership)
    chain = open_ledger(settings, documents.genesis)
    try:
        tally = load_tally(chain, documents.profile.epoch_length, documents.recoveries)
        if chain.head.hash != document.parent_hash:
            raise InvalidRecovery(
                f"this node's head is 0x{chain.head.hash.hex()} at height {chain.head.height}, "
                f"the document continues 0x{document.parent_hash.hex()} at {document.height - 1}; "
                "import the missing blocks first (daicho chain import), or draft anew at the node "
                "with the highest head"
            )
        if file.absolute() not in settings.recoveries:
            check_lost(document, tally.validators)
    finally:
        chain.close()
    has_dropped = _release_lock(settings, document)
    output.result(describe(document), title="this node can continue by the document")
    if has_dropped:
        output.say(
            "this node had prepared a block at that height which the new set cannot prove; "
            "the lock was dropped"
        )
    if file.absolute() not in settings.recoveries:
        output.say(f'add to {config}, before the first table: recoveries = ["{file.absolute()}"]')


def _release_lock(settings: Settings, document: Recovery) -> bool:
    """Reduce this validator's lock to what the new set can prove; tell whether it was dropped.

    Spec: REC-LOCK.
    """
    if settings.key.keystore is None:
        return False
    validator = load_keystore_info(settings.key.keystore).address
    database = LevelDbStore(settings.data_dir / VOTES_DIRECTORY)
    try:
        return release_lock(StoredSignState(VoteStore(database), validator), document)
    finally:
        database.close()


def release_lock(log: StoredSignState, document: Recovery) -> bool:
    """Write the record with the lock the new set can prove; tell whether a lock was dropped.

    Spec: REC-LOCK.
    """
    record = log.load()
    if record is None or record.height != document.height or record.certificate is None:
        return False
    kept = keep_lock(record.certificate, document.validators)
    log.save(replace(record, certificate=kept))
    return kept is None


def describe(document: Recovery) -> dict[str, object]:
    """Return a document as people read it before they sign."""
    return {
        "network": f"0x{document.genesis_hash.hex()}",
        "first height": document.height,
        "continues block": f"0x{document.parent_hash.hex()}",
        "new validators": [f"0x{each.hex()}" for each in document.validators],
        "lost governors": [f"0x{each.hex()}" for each in document.lost],
        "reason": document.reason,
        "signed by": [f"0x{each.hex()}" for each in sorted(document.signers)],
        "hash": f"0x{document.hash.hex()}",
    }


def _named(found: dict[str, Address], name: str, what: str) -> Address:
    if name not in found:
        raise Misconfigured(f"no {what} {name!r}; there are {', '.join(sorted(found))}")
    return found[name]


def _write(path: Path, document: Recovery) -> None:
    draft_path = path.with_suffix(path.suffix + ".new")
    draft_path.write_text(encode_recovery(document), encoding="utf-8")
    draft_path.replace(path)


def _ask(question: str) -> str:
    password: str = click.prompt(question, hide_input=True, err=True)
    return password
