"""LIGHT-STEP, LIGHT-PROOF, LIGHT-RECEIPT: ethers and @ethereumjs judge what we believe.

Headers' names and sealers, and trie proofs good, of absence, truncated and altered, are judged by
both; the verdicts are the same.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from node.consensus.seals import recover_sealers
from node.execution.evm import compute_contract_address
from node.primitives.crypto import keccak256
from node.primitives.errors import InvalidInput
from node.primitives.header import decode_header
from node.primitives.trie import build_ordered_proof, ordered_key, verify_proof
from node.primitives.types import Hash32, Height
from tests.support.consensus import KEYS
from tests.support.javascript import run_peer
from tests.support.ledger import GOVERNOR_KEY, OUTSIDER_KEY, Ledger, encode_call
from tests.support.light import chain_with_sets
from tests.support.rpc import book

Case = tuple[Hash32, bytes, tuple[bytes, ...]]


def sample_cases() -> tuple[list[bytes], list[Case]]:
    """Make headers and proofs of a small chain: accounts, slots, receipts, and absence."""
    ledger = Ledger()
    creation = ledger.call(
        GOVERNOR_KEY, None, bytes.fromhex(book()["bytecode"][2:]), gas_limit=2_000_000
    )
    ledger.make(creation)
    target = compute_contract_address(GOVERNOR_KEY.address, creation.nonce)
    notes = [
        ledger.call(GOVERNOR_KEY, target, encode_call("note(bytes)", b"%d" % at), nonce_ahead=at)
        for at in range(20)
    ]
    made = ledger.make(*notes)
    header = made.block.header
    cases: list[Case] = []
    for address in (target, GOVERNOR_KEY.address, OUTSIDER_KEY.address):
        proof = ledger.chain.build_account_proof(header.height, address, range(4))
        cases.append((header.state_root, keccak256(address), proof.nodes))
        cases += [
            (proof.storage_root, keccak256(slot.slot.to_bytes(32, "big")), slot.nodes)
            for slot in proof.slots
            if slot.nodes
        ]
    receipts = [receipt.encode() for receipt in made.result.receipts]
    cases += [
        (header.receipts_root, ordered_key(at), build_ordered_proof(receipts, at))
        for at in (0, 1, 19)
    ]
    headers = [ledger.chain.load_header(Height(at)).encode() for at in (1, 2)]
    return headers, cases


def spoilt(cases: Sequence[Case]) -> list[Case]:
    """Make from each proof one cut short, one altered, and one of another root."""
    made: list[Case] = []
    for root, key, nodes in cases:
        last = bytearray(nodes[-1])
        last[len(last) // 2] ^= 1
        made.append((root, key, (*nodes[:-1], bytes(last))))
        made.append((keccak256(root), key, nodes))
        if len(nodes) > 1:
            made.append((root, key, nodes[:-1]))
    return made


def verdict(case: Case) -> str:
    """Say what we think of a proof, in the peer's words."""
    try:
        value = verify_proof(*case)
    except InvalidInput:
        return "refused"
    return "absent" if value is None else "0x" + value.hex()


def test_javascript_comes_to_the_same_verdicts(tmp_path: Path) -> None:
    headers, good = sample_cases()
    headers += [header.encode() for header in chain_with_sets([KEYS] * 3)[1:]]
    cases = [*good, *spoilt(good)]
    work = {
        "headers": ["0x" + raw.hex() for raw in headers],
        "proofs": [
            {
                "root": "0x" + root.hex(),
                "key": "0x" + key.hex(),
                "nodes": ["0x" + node.hex() for node in nodes],
            }
            for root, key, nodes in cases
        ],
    }
    path = tmp_path / "work.json"
    path.write_text(json.dumps(work))

    report: Any = run_peer("light_client.mjs", str(path))

    ours = [verdict(case) for case in cases]
    assert report["proofs"] == ours
    assert {"absent", "refused"} < set(ours)
    assert ours[len(good) :] == ["refused"] * (len(ours) - len(good))
    for raw, judged in zip(headers, report["headers"], strict=True):
        header = decode_header(raw)
        assert judged["hash"] == "0x" + header.hash.hex()
        sealers = [each for each in recover_sealers(header) if each is not None]
        assert judged["sealers"] == ["0x" + each.hex() for each in sealers]
        assert sealers
