"""What an election costs: a ballot from device to ledger, a row of the tally, an audit of both.

All figures are processor time of this process, so that other work on the machine shows less. A
ballot is encrypted and signed by a device, verified by an auditor, and cast in a block that is
executed; a row is shuffled, proven, verified by a trustee and by the auditor, and decrypted.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Final

from clients.auditor.election.ballots import are_proofs_right, is_signed_by, parse_core
from clients.auditor.election.lists import CipherRows, Context
from clients.auditor.election.mixes import Mix, MixCheck
from clients.voting.ciphertexts import CiphertextList, ListContext, ListKind, encrypt_column
from clients.voting.group import GENERATOR, combine_fixed, fixed_base, generator_multiple
from clients.voting.hash_to_curve import commitment_generators
from clients.voting.randomness import draw_scalar, draw_scalars
from clients.voting.shuffle import prove_shuffle, shuffle
from clients.voting.shuffle_proof import ShuffleStatement
from node.execution.profile import Interpreter
from tests.bench.ballots import measure_batch
from tests.bench.record import record
from tests.bench.voting import SystemNonces, measure
from tests.support.election import STYLES, Voter
from tests.support.election_ledger import ElectionLedger

BATCH: Final = 50
"""Ballots in one transaction of the relay."""


def least_us(run: Callable[[], object], count: int, repeats: int) -> float:
    """Return the least microseconds of processor time for each of ``count`` things."""
    best = float("inf")
    for _ in range(repeats):
        began_s = time.process_time()
        run()
        best = min(best, time.process_time() - began_s)
    return round(best / count * 1e6, 1)


def measure_ballots(count: int, repeats: int) -> dict[str, object]:
    """Measure ballots of one race: made, verified together, cast."""
    voters = [Voter(f"bench {at}", style=8) for at in range(count)]
    ballots = [voter.make_ballot() for voter in voters]
    cores = [ballot.core.encode() for ballot in ballots]
    signed = [
        (each.signature[:64] + bytes([27 + each.signature[64]]), parse_core(core))
        for each, core in zip(ballots, cores, strict=True)
    ]

    def verify() -> None:
        parsed = [parse_core(core) for core in cores]
        assert are_proofs_right(parsed, os.urandom)
        assert all(is_signed_by(each.key, each.digest, text) for text, each in signed)

    makers = [Voter(f"maker {at}", style=8) for at in range(count)]
    chain = ElectionLedger(Interpreter.LOOP)
    return {
        "races": len(STYLES[8]),
        "encrypt_and_sign_us": least_us(lambda: [each.make_ballot() for each in makers], count, 1),
        "auditor_verify_us": least_us(verify, count, repeats),
        "cast": measure_batch(chain, 8, BATCH, repeats=repeats),
    }


def measure_audited_mix(count: int, repeats: int) -> float:
    """Return the auditor's microseconds per row of a mix, parsing included."""
    source = SystemNonces()
    key = generator_multiple(draw_scalar(source))
    plain = combine_fixed([(fixed_base(GENERATOR), draw_scalars(source, count))])
    inputs = CiphertextList((encrypt_column(plain, key, draw_scalars(source, count)),))
    outputs, order = shuffle(inputs, (key,), source)
    eid = b"\x01" * 32
    statement = ShuffleStatement(
        context=ListContext(eid=eid, kind=ListKind.BALLOTS, list_id=1, round=1),
        keys=(key,),
        inputs=inputs,
        outputs=outputs,
    )
    data = prove_shuffle(statement, order, source).encode()
    mix = Mix(
        context=Context(eid=eid, kind=b"B", number=1, round=1),
        key=key,
        before=CipherRows(inputs.encode()),
        after=CipherRows(outputs.encode()),
    )
    generators = commitment_generators(count)

    def check() -> None:
        assert MixCheck(mix, data, generators).is_valid(os.urandom)

    return least_us(check, count, repeats)


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ballots", type=int, default=500)
    parser.add_argument("--rows", type=int, nargs="*", default=[2_000])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    rows = {
        str(count): {
            **measure(count),
            "auditor_verify_us": measure_audited_mix(count, given.repeats),
        }
        for count in given.rows
    }
    record("election", {"ballot": measure_ballots(given.ballots, given.repeats), "rows": rows})


if __name__ == "__main__":
    main()
