"""`daicho election token-key`: make the commission's key of admission tokens.

Spec: TOKEN-BLIND.
"""

from pathlib import Path

import click

from clients.cli.session import Output
from services.election.commission.tokens import create_token_key


@click.command("token-key")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File of the key; commission.token_key_file names it.",
)
@click.pass_obj
def token_key(output: Output, out: Path) -> None:
    """Make the RSA key that signs admission tokens of ONE election, in a file of its owner alone.

    A key is used for one election and for nothing else: make a new one before each manifest.
    """
    key = create_token_key(out)
    output.result({"file": out, "modulus": f"{key.modulus:0512x}"})
