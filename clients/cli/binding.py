"""`daicho resident bind`, `devices`, `unbind`, `register`: what ties keys to a verified person.

With the card: the hub's statement is looked at and shown, the tries left are told, the PIN is asked
for, the card signs the text shown, and the device's key counter-signs. Through a provider: the
address and a number are shown, and the device waits. What the hub answers is its word; what the
ledger says is `status`'s.

Spec: WALLET-BIND, WALLET-COMMANDS.
"""

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from clients.card.card import CODE_OF
from clients.card.commands import ask_code, explained
from clients.card.messages import CODE_NAMES, NUMBER_NOT_READ
from clients.card.messages import Language as CardLanguage
from clients.card.session import open_card
from clients.card.signing import sign_text
from clients.cli.keys import load_wallet, save_wallet, unlock_wallet
from clients.cli.session import Session
from clients.core.trust import Municipality
from clients.hub.network import (
    HubClient,
    HubRefused,
    MalformedHubAnswer,
    open_hub,
    show_address,
    show_signature,
    text_of,
)
from clients.hub.requests import Wish, check_statement
from clients.identity.certificate import CertificateKind
from clients.identity.commitment import RANDOM_SIZE, DeviceCommitment
from clients.identity.statement import Purpose, compute_device_hash
from clients.wallet.wallet import Kind, OpenWallet
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, Misconfigured, Unavailable
from node.primitives.types import Address, Signature

Value = TypeVar("Value")

DEVICE: Final = "device"
"""Name of the device's own key in the wallet; no sector has it."""

POLL_S: Final = 2.0
POLLS_MAX: Final = 300
"""Ten minutes, as long as a log-in lives."""

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_PASSPHRASE: Final = click.option(
    "--passphrase-file", type=_FILE, help="File with the wallet's passphrase (mode 0600)."
)
_MUNICIPALITY: Final = click.option(
    "--municipality", help="Whose hub, by its name in the network's description."
)
_LABEL: Final = click.option("--label", help="What you call this device.")
_READER: Final = click.option("--reader", help="Card reader to use, by its name or a part of it.")


class LoginFailed(InvalidInput):
    """The log-in at the provider led nowhere."""

    code = "hub_client.login_failed"


class LoginTooSlow(Unavailable):
    """Nobody logged in at the provider while the device waited."""

    code = "hub_client.login_too_slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """This device's keys, unlocked."""

    opened: OpenWallet
    address: Address
    record_key_hash: bytes

    def sign(self, text: bytes) -> Signature:
        """Sign a text with the device's key, as a personal message."""
        return self.opened.sign(DEVICE, compute_device_hash(text))


def now() -> datetime:
    """Return the device's time."""
    return datetime.now(UTC)  # noqa: TID251 - a command is where the clock is read


@click.group("bind")
def bind_group() -> None:
    """Tie this device's key to your verified identity."""


@bind_group.command("card")
@click.option("--replace", "replaced", help="Earlier binding this device takes the place of.")
@_LABEL
@_MUNICIPALITY
@_READER
@_PASSPHRASE
@click.pass_context
def bind_by_card(
    ctx: click.Context,
    replaced: str | None,
    label: str | None,
    municipality: str | None,
    reader: str | None,
    passphrase_file: Path | None,
) -> None:
    """Bind with your My Number Card in a reader. The Individual Number is never read."""
    session: Session = ctx.obj
    device = _device_of(session, passphrase_file)
    earlier = None if replaced is None else _binding_id(replaced)
    purpose = Purpose.BIND_DEVICE if earlier is None else Purpose.REBIND_DEVICE

    async def work(hub: HubClient) -> dict[str, Any]:
        wish = Wish(
            purpose=purpose,
            audience=hub.audience,
            device=device.address,
            record_key_hash=device.record_key_hash,
            binding=earlier,
        )
        statement = await _sign_statement(ctx, session, hub, wish, reader=reader, device=device)
        bound = await hub.ask("POST", "/bindings", {"statement": statement, "label": label})
        return await _finish(session, hub, device, bound)

    with explained(ctx, session.language.value):
        _print_binding(session, _with_hub(session, municipality, work), "bound")


@bind_group.command("provider")
@click.option("--provider", default="digital-agency", show_default=True)
@_LABEL
@_MUNICIPALITY
@_PASSPHRASE
@click.pass_obj
def bind_by_provider(
    session: Session,
    provider: str,
    label: str | None,
    municipality: str | None,
    passphrase_file: Path | None,
) -> None:
    """Bind by logging in with the digital authentication app, in any browser."""
    device = _device_of(session, passphrase_file)

    async def work(hub: HubClient) -> dict[str, Any]:
        commitment = DeviceCommitment(
            audience=hub.audience,
            device=device.address,
            record_key_hash=device.record_key_hash,
            random=secrets.token_bytes(RANDOM_SIZE),
        )
        started = await hub.ask(
            "POST",
            "/federation/logins",
            {
                "provider": provider,
                "nonce": commitment.compute_nonce(),
                "device": show_address(device.address),
            },
        )
        login = text_of(started, "login")
        session.output.say(session.say("open_browser", url=_one_line(text_of(started, "url"))))
        session.output.say(
            session.say(
                "type_code",
                code=_one_line(text_of(started, "code")),
                device=show_address(device.address),
            )
        )
        await _wait_for_login(hub, login)
        possession = device.opened.sign(DEVICE, commitment.compute_possession_hash())
        bound = await hub.ask(
            "POST",
            f"/federation/logins/{login}/binding",
            {
                "device": show_address(device.address),
                "record_key_hash": commitment.record_key_hash.hex(),
                "random": commitment.random.hex(),
                "signature": show_signature(possession),
                "label": label,
            },
        )
        return await _finish(session, hub, device, bound)

    _print_binding(session, _with_hub(session, municipality, work), "bound")


@click.command("devices")
@_MUNICIPALITY
@_PASSPHRASE
@click.pass_obj
def devices(session: Session, municipality: str | None, passphrase_file: Path | None) -> None:
    """List the devices that are bound to you, as the hub says."""
    device = _device_of(session, passphrase_file)

    async def work(hub: HubClient) -> list[dict[str, Any]]:
        await hub.take_token(device.address, device.sign)
        answer = await hub.ask("GET", "/devices")
        return [_shown_binding(each, device.address) for each in _objects(answer, "devices")]

    rows = _with_hub(session, municipality, work)
    session.output.rows(rows, empty=session.say("no_devices"))


@click.command("unbind")
@click.argument("binding")
@click.option("--card", "by_card", is_flag=True, help="With the card, from any machine.")
@_MUNICIPALITY
@_READER
@_PASSPHRASE
@click.pass_context
def unbind(
    ctx: click.Context,
    binding: str,
    by_card: bool,
    municipality: str | None,
    reader: str | None,
    passphrase_file: Path | None,
) -> None:
    """Stop a device; BINDING is its number in `devices`."""
    session: Session = ctx.obj
    binding_id = _binding_id(binding)
    device = None if by_card else _device_of(session, passphrase_file)

    async def work(hub: HubClient) -> dict[str, Any]:
        if device is not None:
            await hub.take_token(device.address, device.sign)
            return await hub.ask("DELETE", f"/devices/{binding_id.hex()}")
        wish = Wish(purpose=Purpose.REVOKE_DEVICE, audience=hub.audience, binding=binding_id)
        statement = await _sign_statement(ctx, session, hub, wish, reader=reader, device=None)
        return await hub.ask("POST", "/revocations", {"statement": statement})

    with explained(ctx, session.language.value):
        _print_binding(session, _with_hub(session, municipality, work), "unbound")


@click.command("register")
@_MUNICIPALITY
@_PASSPHRASE
@click.pass_obj
def register(session: Session, municipality: str | None, passphrase_file: Path | None) -> None:
    """Register the wallet's sector keys at the hub, which writes them to the ledger."""
    device = _device_of(session, passphrase_file)

    async def work(hub: HubClient) -> list[dict[str, Any]]:
        await hub.take_token(device.address, device.sign)
        return await _register_sectors(hub, device.opened)

    session.output.rows(_with_hub(session, municipality, work), empty=session.say("no_keys"))


async def _sign_statement(
    ctx: click.Context,
    session: Session,
    hub: HubClient,
    wish: Wish,
    *,
    reader: str | None,
    device: _Device | None,
) -> dict[str, object]:
    """Have card and device sign the hub's statement, once its holder has read it.

    Spec: WALLET-BIND.
    """
    asked = await hub.ask("POST", "/challenges", _challenge_of(wish))
    text = text_of(asked, "text").encode(errors="replace")
    check_statement(text, wish=wish, now=now())
    language = CardLanguage(session.language.value)
    click.echo(NUMBER_NOT_READ[language], err=True)
    click.echo(text.decode(), err=True)
    kind = CertificateKind.AUTHENTICATION
    with open_card(reader) as card:
        left = card.tries_left(CODE_OF[kind])
    name = CODE_NAMES[CODE_OF[kind]][language]
    click.echo(session.say("tries_left", code_name=name, count=left), err=True)
    code = ask_code(CODE_OF[kind], language)
    signed = await asyncio.to_thread(sign_text, kind, text, code, reader=reader)
    statement: dict[str, object] = {
        "challenge": text_of(asked, "challenge"),
        "text": text.decode(),
        "certificate": base64.b64encode(signed.certificate.der).decode(),
        "card_signature": base64.b64encode(signed.signature).decode(),
    }
    if device is not None:
        statement["device_signature"] = show_signature(device.sign(text))
    return statement


def _challenge_of(wish: Wish) -> dict[str, object]:
    return {
        "purpose": wish.purpose.value,
        "device": None if wish.device is None else show_address(wish.device),
        "record_key_hash": None if wish.record_key_hash is None else wish.record_key_hash.hex(),
        "binding": None if wish.binding is None else wish.binding.hex(),
    }


async def _wait_for_login(hub: HubClient, login: str) -> None:
    for _ in range(POLLS_MAX):
        match text_of(await hub.ask("GET", f"/federation/logins/{login}"), "stage"):
            case "confirmed":
                return
            case "failed" | "bound":
                raise LoginFailed("the log-in led nowhere; begin again", rule="ID-OIDC-STATE")
            case _:
                await asyncio.sleep(POLL_S)
    raise LoginTooSlow("nobody logged in within ten minutes; begin again", rule="ID-OIDC-STATE")


async def _finish(
    session: Session, hub: HubClient, device: _Device, bound: dict[str, Any]
) -> dict[str, Any]:
    """Register the sector keys too, and return what is to be shown."""
    save_wallet(session, device.opened.wallet)
    await hub.take_token(device.address, device.sign)
    shown = _shown_binding(bound, device.address)
    return {**shown, "sectors": await _register_sectors(hub, device.opened)}


async def _register_sectors(hub: HubClient, opened: OpenWallet) -> list[dict[str, Any]]:
    """Register every sector key of the wallet; one that the hub refuses does not stop the rest."""
    rows = []
    for entry in opened.wallet.entries:
        if entry.kind is not Kind.SECTOR or entry.name == DEVICE:
            continue
        address = Address(entry.public)

        def sign(text: bytes, sector: str = entry.name) -> Signature:
            return opened.sign(sector, compute_device_hash(text))

        try:
            answer = await hub.register_sector(entry.name, address, sign)
            state = text_of(answer, "state")
        except HubRefused as refusal:
            state = str(refusal.values.get("reason", refusal.code))
        rows.append({"sector": entry.name, "address": show_address(address), "state": state})
    return rows


def _with_hub(
    session: Session,
    municipality: str | None,
    work: Callable[[HubClient], Awaitable[Value]],
) -> Value:
    chosen = _choose_hub(session.home.load_network().municipalities, municipality)
    assert chosen.hub_url is not None
    assert chosen.hub_name is not None
    url, name = chosen.hub_url, chosen.hub_name

    async def run() -> Value:
        async with open_hub(url, name, language=session.language.value, now=now) as hub:
            return await work(hub)

    return asyncio.run(run())


def _choose_hub(municipalities: Sequence[Municipality], name: str | None) -> Municipality:
    """Return the municipality whose hub is meant.

    Raises:
        Misconfigured: None has a hub, or several do and none was named.
    """
    having = [each for each in municipalities if each.hub_url and name in (None, each.name)]
    if not having:
        raise Misconfigured("network: no such municipality has a `hub`; correct the description")
    if len(having) > 1:
        names = ", ".join(each.name for each in having)
        raise Misconfigured(f"several municipalities have a hub ({names}); use --municipality")
    return having[0]


def _device_of(session: Session, passphrase_file: Path | None) -> _Device:
    """Unlock the wallet, drawing the device's key the first time.

    Spec: WALLET-BIND.
    """
    _ = load_wallet(session)
    opened = unlock_wallet(session, passphrase_file)
    if opened.wallet.find(Kind.SECTOR, DEVICE) is None:
        opened.add_sector(DEVICE)
        save_wallet(session, opened.wallet)
    key = opened.wallet.find(Kind.SECTOR, DEVICE)
    record = opened.wallet.find(Kind.RECORD, DEVICE)
    if key is None or record is None:
        raise Misconfigured("wallet: the device's key is not whole; restore a backup")
    return _Device(
        opened=opened, address=Address(key.public), record_key_hash=sha256(record.public)
    )


def _binding_id(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != 16:
        raise click.UsageError("a binding has 32 hexadecimal digits, as `devices` shows it")
    return data


def _shown_binding(answer: dict[str, Any], own: Address) -> dict[str, Any]:
    shown = {
        name: text_of(answer, name)
        for name in ("binding", "device", "status", "bound_at", "method")
    }
    label = answer.get("label")
    return {
        **{name: _one_line(text) for name, text in shown.items()},
        "label": _one_line(label) if isinstance(label, str) else "",
        "this_device": shown["device"] == show_address(own),
    }


def _print_binding(session: Session, record: dict[str, Any], title: str) -> None:
    session.output.result(record, title=session.say(title))


def _objects(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = answer.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise MalformedHubAnswer(f"hub: the answer has no list {name}")
    return found


def _one_line(text: str) -> str:
    """Return a text of the hub's with nothing in it that a terminal would act on."""
    return "".join(each if each.isprintable() else " " for each in text[:2_048])
