"""Times the light client: headers by the step rule, skipping over a long chain, proofs.

The chain's set of validators changes by one member every so many headers, several times over, so
that skipping has to halve. Times are of the processor, without network.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from clients.core.headers import Path, TrustLimits, check_next
from clients.core.proofs import AccountProof, prove_account
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.header import EMPTY_ROOT, Header, decode_header
from node.primitives.trie import (
    AccountLeaf,
    TrieBuilder,
    build_ordered_proof,
    build_proof,
    compute_ordered_root,
    ordered_key,
    verify_proof,
)
from node.primitives.types import Address, Hash32, Height
from tests.bench.record import record
from tests.support.consensus import GENESIS, KEYS, make_keys
from tests.support.light import header_after

LIMITS: Final = TrustLimits()
STEP_COUNT: Final = 1_000
PROOF_COUNT: Final = 1_000
ACCOUNT_COUNT: Final = 25_000
RECEIPT_COUNT: Final = 500


def make_chain(count: int, change_every: int) -> list[bytes]:
    """Make headers, each sealed by a quorum; keep their bytes only."""
    spare = make_keys(count // change_every + 1, "late")
    members: list[PrivateKey] = list(KEYS)
    chain, parent = [GENESIS.encode()], GENESIS
    for height in range(1, count + 1):
        if height % change_every == 0:
            members = [*members[1:], spare[height // change_every - 1]]
        keys = sorted(members, key=lambda key: key.address)
        parent = header_after(parent, keys, by=keys[:3])
        chain.append(parent.encode())
    return chain


def time_steps(chain: Sequence[bytes], now_s: int) -> float:
    """Return headers per second, decoding included."""
    start = time.process_time()
    trusted: Header = GENESIS
    for data in chain[1 : STEP_COUNT + 1]:
        header = decode_header(data)
        check_next(header, trusted=trusted, now_s=now_s, limits=LIMITS)
        trusted = header
    return STEP_COUNT / (time.process_time() - start)


def time_skip(chain: Sequence[bytes], now_s: int) -> tuple[float, int]:
    """Return seconds to reach the end of the chain, and how many headers that took."""
    start = time.process_time()
    path = Path(GENESIS, Height(len(chain) - 1), now_s=now_s, limits=LIMITS)
    while path.wanted is not None:
        path.take(decode_header(chain[path.wanted]))
    return time.process_time() - start, path.taken_count


def time_account_proofs() -> float:
    """Return account proofs per second, of a state with as many accounts as a town."""
    leaf = AccountLeaf(
        nonce=7, balance_wei=0, storage_root=EMPTY_ROOT, code_hash=keccak256(b"")
    ).encode()
    nodes: dict[Hash32, bytes] = {}
    builder = TrieBuilder(lambda _path, name, raw: nodes.update({name: raw}))
    addresses = [Address(keccak256(at.to_bytes(4, "big"))[:20]) for at in range(ACCOUNT_COUNT)]
    for key in sorted(keccak256(address) for address in addresses):
        builder.add(key, leaf)
    header = replace(GENESIS, state_root=builder.finish())
    proofs = [
        AccountProof(
            account=build_proof(
                header.state_root, keccak256(address), lambda name, _path: nodes[name]
            )
        )
        for address in addresses[:PROOF_COUNT]
    ]
    start = time.process_time()
    for address, proof in zip(addresses, proofs, strict=False):
        assert prove_account(header, address, proof).leaf is not None
    return PROOF_COUNT / (time.process_time() - start)


def time_receipt_proofs() -> float:
    """Return trie proofs per second of receipts of 600 bytes in a block of 500."""
    items = [keccak256(at.to_bytes(4, "big")) * 19 for at in range(RECEIPT_COUNT)]
    root = compute_ordered_root(items)
    proofs = [(ordered_key(at), build_ordered_proof(items, at)) for at in (0, 250, 499)]
    start = time.process_time()
    for at in range(PROOF_COUNT):
        key, nodes = proofs[at % 3]
        verify_proof(root, key, nodes)
    return PROOF_COUNT / (time.process_time() - start)


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headers", type=int, default=100_000)
    parser.add_argument("--change-every", type=int, default=5_000)
    options = parser.parse_args()
    chain = make_chain(options.headers, options.change_every)
    now_s = decode_header(chain[-1]).timestamp_s
    skip_s, taken = time_skip(chain, now_s)
    figures: dict[str, object] = {
        "headers_per_s": round(time_steps(chain, now_s)),
        "skip_sync_headers": options.headers,
        "skip_sync_set_changes": options.headers // options.change_every,
        "skip_sync_headers_fetched": taken,
        "account_proof_accounts": ACCOUNT_COUNT,
        "skip_sync_ms": round(skip_s * 1000, 1),
        "account_proofs_per_s": round(time_account_proofs()),
        "receipt_proofs_per_s": round(time_receipt_proofs()),
    }
    record("light", figures)


if __name__ == "__main__":
    main()
