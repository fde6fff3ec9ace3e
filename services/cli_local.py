"""`daicho service lay-out` and `try-out`: services beside a local trial network."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from node.cli.output import Output
from services.kit.clock import SystemClock

TITLES: Final = {
    "notice": "a resident's notice, on the ledger and proven",
    "identity": "a resident's card, bound, and the status on the ledger, proven",
}
NETWORK_DEFAULT: Final = Path(".daicho") / "network"


def _of_local_network(command: Callable[..., None]) -> Callable[..., None]:
    network = click.option(
        "--network",
        type=click.Path(file_okay=False, path_type=Path),
        default=NETWORK_DEFAULT,
        show_default=True,
        help="Directory of the local network.",
    )
    name = click.option("--municipality", required=True, help="Name of one of its nodes.")
    return network(name(command))


@click.command("lay-out")
@_of_local_network
@click.pass_obj
def lay_out_command(output: Output, network: Path, municipality: str) -> None:
    """Write keys and settings of a local network's relay and noticeboard, for trials."""
    # What lays out a trial holds simulated cards and the hub: loaded for trials alone.
    from services.localnet import find_town, lay_out  # noqa: PLC0415

    paths = lay_out(find_town(network, municipality))
    output.result({path.parent.name: str(path) for path in paths})


@click.command("try-out")
@_of_local_network
@click.pass_obj
def try_out_command(output: Output, network: Path, municipality: str) -> None:
    """Post a notice and bind a card as a resident of a local network, and prove both."""
    from services.local_identity import try_identity  # noqa: PLC0415
    from services.local_trial import try_out  # noqa: PLC0415
    from services.localnet import find_town  # noqa: PLC0415

    town, clock = find_town(network, municipality), SystemClock()
    if town.registry is None:
        shown = {"notice": asyncio.run(try_out(town, clock=clock))}
    else:
        shown = asyncio.run(try_identity(town, clock=clock))
    if output.is_json:
        output.result(shown)
        return
    for title, each in shown.items():
        output.result(each, title=TITLES[title])


_NETWORK = click.option(
    "--network",
    type=click.Path(file_okay=False, path_type=Path),
    default=NETWORK_DEFAULT,
    show_default=True,
    help="Directory of the local network.",
)


@click.command("lay-out-elections")
@_NETWORK
@click.pass_obj
def lay_out_elections_command(output: Output, network: Path) -> None:
    """Write keys and settings of every municipality's election services, for trials."""
    from services import election_localnet  # noqa: PLC0415

    found = election_localnet.find_network(network)
    paths = election_localnet.lay_out_elections(found)
    asyncio.run(election_localnet.migrate_elections(found))
    output.result({path.parent.name: str(path) for path in paths})


@click.command("hold-election")
@_NETWORK
@click.option("--voters", type=click.IntRange(2, 200), default=6, show_default=True)
@click.pass_obj
def hold_election_command(output: Output, network: Path, voters: int) -> None:
    """Hold a mock election on a local network, and verify its published record."""
    from services.election_localnet import find_network  # noqa: PLC0415
    from services.election_trial import hold_election  # noqa: PLC0415

    output.result(asyncio.run(hold_election(find_network(network), voters=voters, say=output.say)))
