"""`daicho validator`: list validators, and vote on changes after trying them on paper."""

from typing import Any, Final

import click

from node.cli.client import RpcClient
from node.cli.output import Output
from node.consensus.validators import ChangeAssessment, assess_change
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.header import ValidatorVote
from node.primitives.types import Address

EXAMPLES: Final = """\b
Examples:
  daicho validator list
  daicho validator propose 0x5b38…ddc4 --add --dry-run
  daicho validator propose 0x5b38…ddc4 --drop
  daicho validator votes
"""

_ADMIN = click.option(
    "--admin",
    default="http://127.0.0.1:8546",
    show_default=True,
    help="Operator's port of your own validator.",
)


@click.group("validator", epilog=EXAMPLES)
def group() -> None:
    """List validators and vote on changes."""


@group.command("list")
@_ADMIN
@click.pass_obj
def list_validators(output: Output, admin: str) -> None:
    """List the validators of the next height and what each last did."""
    status = RpcClient(admin).call("daicho_consensusStatus")
    output.rows(
        [
            {
                "validator": each["name"] or "unknown",
                "address": each["address"],
                "connected": "yes" if each["isConnected"] else "NO",
                "last proposed": _height(each["lastProposed"]),
                "last sealed": _height(each["lastSealed"]),
            }
            for each in status["validators"]
        ]
    )


@group.command("votes")
@_ADMIN
@click.option("--discard", metavar="ADDRESS", help="Withdraw our vote about this address.")
@click.pass_obj
def votes(output: Output, admin: str, discard: str | None) -> None:
    """Show the votes this validator will cast in its coming blocks; withdraw one."""
    client = RpcClient(admin)
    if discard is not None:
        client.call("qbft_discardValidatorVote", _checked(discard))
    pending = client.call("qbft_getPendingVotes")
    output.rows(
        [
            {"validator": address, "vote": "add" if is_add else "drop"}
            for address, is_add in pending.items()
        ],
        empty="no votes are pending",
    )


@group.command("propose")
@click.argument("address")
@click.option("--add/--drop", "is_add", default=None, help="Add the validator, or drop it.")
@click.option("--dry-run", is_flag=True, help="Only tell what the change would mean.")
@click.option("--force", is_flag=True, help="Vote although the change would halt the chain.")
@_ADMIN
@click.pass_obj
def propose(
    output: Output, address: str, is_add: bool | None, dry_run: bool, force: bool, admin: str
) -> None:
    """Vote to add or drop ADDRESS, once it is known that a quorum survives.

    A change takes effect when more than half of the validators vote alike, each in a block of its
    own. The dry run asks your node who is connected and counts.
    """
    if is_add is None:
        raise Misconfigured("say --add or --drop")
    client = RpcClient(admin)
    recipient = _checked(address)
    status = client.call("daicho_consensusStatus")
    assessment = assess(status, client.call("admin_peers"), recipient, is_add=is_add)
    output.result(describe(assessment), title=f"{'adding' if is_add else 'dropping'} {recipient}")
    if not assessment.is_live and not force:
        raise InvalidInput(
            f"only {len(assessment.online)} of the new set are connected, its quorum is "
            f"{assessment.quorum}: the chain would halt. Nothing was voted; start the missing "
            "nodes first, or use --force"
        )
    if dry_run:
        output.say("dry run: nothing was voted")
        return
    client.call("qbft_proposeValidatorVote", recipient, is_add)
    output.say("the vote will be in this validator's next block; see: daicho validator votes")


def assess(
    status: dict[str, Any], peers: list[dict[str, Any]], recipient: str, *, is_add: bool
) -> ChangeAssessment:
    """Try the change on the validators and connections a node tells of."""
    online = {_raw(each["address"]) for each in status["validators"] if each["isConnected"]}
    online |= {_raw(each["node"]) for each in peers if each["connected"]}
    return assess_change(
        tuple(sorted(_raw(each["address"]) for each in status["validators"])),
        ValidatorVote(recipient=_raw(recipient), is_add=is_add),
        online=online,
    )


def describe(found: ChangeAssessment) -> dict[str, object]:
    """Return an assessment as an operator reads it."""
    return {
        "validators after": len(found.validators),
        "quorum after": f"{found.quorum}, of whom {len(found.online)} are connected now",
        "quorum survives": found.is_live,
        "liars tolerated": found.fault_count_max,
        "votes needed": f"{found.votes_needed}; {found.votes_available} validators are connected",
    }


def _checked(text: str) -> str:
    """Return an address as RPC takes it.

    Raises:
        Misconfigured: It is none.
    """
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise Misconfigured(f"{text!r}: give an address of 0x and 40 hexadecimal digits")
    return f"0x{raw.hex()}"


def _raw(text: str) -> Address:
    return Address(bytes.fromhex(text.removeprefix("0x")))


def _height(value: str | None) -> object:
    return "-" if value is None else int(value, 16)
