"""Times an election's cryptography per row: encrypt, shuffle, prove, verify, decrypt.

The figures stand against the prototype table that the design was costed on (microseconds per row).
"""

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import TypeVar

from clients.voting.ciphertexts import CiphertextList, ListContext, ListKind, encrypt_column
from clients.voting.decryption import (
    DecryptionStatement,
    build_share,
    combine_shares,
    is_share_valid,
)
from clients.voting.group import GENERATOR, combine_fixed, fixed_base, generator_multiple
from clients.voting.hash_to_curve import commitment_base, commitment_generators
from clients.voting.randomness import draw_scalar, draw_scalars
from clients.voting.shuffle import prove_shuffle, shuffle
from clients.voting.shuffle_check import is_shuffle_valid
from clients.voting.shuffle_proof import ShuffleStatement, decode_shuffle_proof
from tests.bench.record import record

T = TypeVar("T")
DESIGN_TABLE_US = {
    2_000: {"shuffle": 22, "prove": 111, "verify": 159, "decrypt": 24, "check_share": 18},
    10_000: {"shuffle": 22, "prove": 103, "verify": 158, "decrypt": 25, "check_share": 16},
    50_000: {"shuffle": 24, "prove": 96, "verify": 123, "decrypt": 25, "check_share": 13},
    200_000: {"shuffle": 42, "prove": 126, "verify": 101, "decrypt": 27, "check_share": 13.5},
}


class SystemNonces:
    """The operating system's randomness."""

    def draw(self, size: int) -> bytes:
        """Return fresh bytes."""
        return os.urandom(size)


class Stopwatch:
    """Collects microseconds of processor time per row by name."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.figures: dict[str, float] = {}

    def time(self, name: str, run: Callable[[], T]) -> T:
        """Time one step and keep it under ``name``."""
        start = time.process_time()
        result = run()
        self.figures[name] = round((time.process_time() - start) / self.count * 1e6, 1)
        return result


def measure(count: int) -> dict[str, object]:
    """Measure every step on ``count`` rows; generators and tables are made beforehand."""
    source, watch = SystemNonces(), Stopwatch(count)
    secret = draw_scalar(source)
    key = generator_multiple(secret)
    plain = combine_fixed([(fixed_base(GENERATOR), draw_scalars(source, count))])
    commitment_generators(count)
    for base in (commitment_base(), key):
        fixed_base(base)
    column = watch.time("encrypt", lambda: encrypt_column(plain, key, draw_scalars(source, count)))
    inputs = CiphertextList((column,))
    outputs, order = watch.time("shuffle", lambda: shuffle(inputs, (key,), source))
    context = ListContext(eid=b"\x01" * 32, kind=ListKind.BALLOTS, list_id=1, round=1)
    statement = ShuffleStatement(context=context, keys=(key,), inputs=inputs, outputs=outputs)
    proof = watch.time("prove", lambda: prove_shuffle(statement, order, source))
    data = proof.encode()
    parsed = watch.time("parse", lambda: decode_shuffle_proof(data, count=count, width=1))
    assert watch.time("verify", lambda: is_shuffle_valid(statement, parsed, source))
    asked = DecryptionStatement(
        context=ListContext(eid=b"\x01" * 32, kind=ListKind.BALLOTS, list_id=1, round=0),
        rows=outputs,
        column=0,
        trustee=1,
        share_key=key,
    )
    share = watch.time("decrypt", lambda: build_share(asked, secret, source))
    assert watch.time("check_share", lambda: is_share_valid(asked, share))
    watch.time("combine", lambda: combine_shares(outputs, 0, {1: share.shares}, 1))
    design = DESIGN_TABLE_US.get(count, {})
    ratios = {name: round(watch.figures[name] / value, 2) for name, value in design.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"us_per_row": watch.figures, "ratio_to_design_table": ratios, "peak_mib": peak}


def main() -> None:
    """Measure the sizes asked for and record them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[2_000, 10_000])
    rows = parser.parse_args().rows
    record("voting", {str(count): measure(count) for count in rows})


if __name__ == "__main__":
    main()
