"""`daicho card`: what a card is, its certificates, a trial signature, its holder's attributes.

Codes are asked for at a prompt that shows nothing, or read from standard input where there is no
terminal; they are never arguments, which other users of a machine can see.

Spec: CARD-MESSAGE.
"""

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import click
from cryptography.hazmat.primitives.serialization import Encoding

from clients.card.card import CODE_OF, MyNumberCard
from clients.card.codes import Code, CodeKind, parse_code
from clients.card.errors import CardRefused
from clients.card.messages import CODE_NAMES, NUMBER_NOT_READ, Language, expiry_notice, explain
from clients.card.pkcs11 import MODULE
from clients.card.session import open_card
from clients.card.signing import sign_text
from clients.identity.certificate import CardCertificate, CertificateKind
from node.primitives.errors import LedgerError

TRIAL_TAG: Final = "daicho card test"
"""First line of the text `card test` has signed; no service accepts it."""

_EXIT_FAILED: Final = 1
_LINE_MAX: Final = 256
_NOT_SHOWN: Final = "(not shown)"

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def _card_options(command: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """Add the options every command of the group has."""
    language = click.option(
        "--language",
        type=click.Choice([one.value for one in Language]),
        default=Language.JAPANESE.value,
        show_default=True,
        help="Language of what the card's holder reads.",
    )
    reader = click.option("--reader", help="Reader to use, by its name or a part of it.")
    return reader(language(command))


@click.group(short_help="Read a My Number Card, and try its keys.")
def group() -> None:
    """Read a My Number Card. The Individual Number is never read."""


@group.command()
@_card_options
@click.pass_context
def info(ctx: click.Context, reader: str | None, language: str) -> None:
    """Tell what the card is, how many tries its codes have left, and when it ends."""
    with _held(ctx, reader, language) as card:
        record: dict[str, object] = {"carrier": card.token_kind().name.lower()}
        for kind in CodeKind:
            record[f"tries left, {kind}"] = card.tries_left(kind)
        try:
            certificate = card.read_certificate(CertificateKind.AUTHENTICATION)
        except CardRefused:
            record["authentication certificate"] = "needs its PIN"
        else:
            record["authentication certificate ends"] = f"{certificate.not_after:%Y-%m-%d}"
            _notice(certificate, Language(language))
        _print(ctx, record)


@group.command()
@click.argument("kind", type=click.Choice([one.value for one in CertificateKind]))
@click.option("--out", type=click.Path(path_type=Path), help="Write it here, as PEM.")
@_card_options
@click.pass_context
def cert(
    ctx: click.Context, kind: str, out: Path | None, reader: str | None, language: str
) -> None:
    """Read a certificate; the one for digital signature needs its password.

    A certificate names its holder's window or attributes and is personal data: only its dates are
    printed, and the file is readable by you alone.
    """
    chosen = CertificateKind(kind)
    code = None
    with explained(ctx, language):
        if chosen is CertificateKind.SIGNING:
            code = ask_code(CodeKind.SIGNING, Language(language))
    with _held(ctx, reader, language) as card:
        certificate = card.read_certificate(chosen, code)
    if out is not None:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.parsed.public_bytes(Encoding.PEM))
    _notice(certificate, Language(language))
    _print(
        ctx,
        {
            "certificate": kind,
            "not before": f"{certificate.not_before:%Y-%m-%d}",
            "not after": f"{certificate.not_after:%Y-%m-%d}",
            "written to": str(out) if out else _NOT_SHOWN,
        },
    )


@group.command()
@click.argument(
    "kind",
    type=click.Choice([one.value for one in CertificateKind]),
    default=CertificateKind.AUTHENTICATION.value,
)
@click.option(
    "--module", default=MODULE, show_default=True, help="PKCS#11 module that drives the card."
)
@_card_options
@click.pass_context
def test(ctx: click.Context, kind: str, module: str, reader: str | None, language: str) -> None:
    """Have the card sign a trial text and check the signature with its certificate."""
    chosen = CertificateKind(kind)
    text = f"{TRIAL_TAG}\n{secrets.token_hex(16)}"
    click.echo(text, err=True)
    with explained(ctx, language):
        code = ask_code(CODE_OF[chosen], Language(language))
    click.echo(NUMBER_NOT_READ[Language(language)], err=True)
    with explained(ctx, language):
        signed = sign_text(chosen, text.encode(), code, reader=reader, module=module)
    _notice(signed.certificate, Language(language))
    _print(ctx, {"signature": "valid", "key": kind, "signature bytes": len(signed.signature)})


@group.command()
@click.option(
    "--with",
    "opened_by",
    type=click.Choice([CodeKind.TEXT.value, CodeKind.NUMBER_B.value]),
    default=CodeKind.TEXT.value,
    show_default=True,
    help="Code that opens them.",
)
@_card_options
@click.pass_context
def attributes(ctx: click.Context, opened_by: str, reader: str | None, language: str) -> None:
    """Show name, address, birth date and sex; nobody has confirmed them."""
    with explained(ctx, language):
        code = ask_code(CodeKind(opened_by), Language(language))
    with _held(ctx, reader, language) as card:
        read = card.read_attributes(code)
    _print(
        ctx,
        {
            "name": read.name,
            "address": read.address,
            "birth date": read.birth_date.isoformat() if read.birth_date else "unknown",
            "sex": read.sex.value,
            "source": "read off the card, not verified",
        },
    )


@contextmanager
def _held(ctx: click.Context, reader: str | None, language: str) -> Iterator[MyNumberCard]:
    click.echo(NUMBER_NOT_READ[Language(language)], err=True)
    with explained(ctx, language), open_card(reader) as card:
        yield card


@contextmanager
def explained(ctx: click.Context, language: str) -> Iterator[None]:
    """Turn an error of the card into what its holder can act on; JSON gets the error itself."""
    try:
        yield
    except LedgerError as error:
        said = explain(error, Language(language))
        if said is None or _is_json(ctx):
            raise
        click.echo(f"{said} [{error.code}]", err=True)
        ctx.exit(_EXIT_FAILED)


def ask_code(kind: CodeKind, language: Language) -> Code:
    """Ask a person for a code, showing nothing; without a terminal, read it from standard input.

    Raises:
        CodeFormat: It cannot be this code.
    """
    if not sys.stdin.isatty():
        return parse_code(kind, sys.stdin.readline(_LINE_MAX))
    typed: str = click.prompt(CODE_NAMES[kind][language], hide_input=True, err=True)
    return parse_code(kind, typed)


def _notice(certificate: CardCertificate, language: Language) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - the person at the reader lives by this clock
    said = expiry_notice((certificate.not_after - now).days, language)
    if said is not None:
        click.echo(said, err=True)


def _print(ctx: click.Context, record: Mapping[str, object]) -> None:
    if _is_json(ctx):
        click.echo(json.dumps(record, ensure_ascii=False))
        return
    width = max(len(name) for name in record)
    for name, value in record.items():
        click.echo(f"  {name:<{width}}  {value}")


def _is_json(ctx: click.Context) -> bool:
    return bool(ctx.find_root().params.get("is_json"))
