"""From the bytes of a genesis file to the records everything else starts from.

Spec: EXEC-GENESIS-HEADER.
"""

from node.genesis.alloc import compute_state_root
from node.genesis.checks import verify_document
from node.genesis.document import GenesisDocument, InvalidGenesis, read_document
from node.genesis.parameters import build_profile
from node.genesis.profile import Genesis
from node.primitives.header import EMPTY_ROOT, Header
from node.primitives.types import ZERO_HASH, BlockHash, Height


def parse_genesis(data: bytes) -> Genesis:
    """Read a genesis file and refuse one this software cannot run.

    Raises:
        InvalidGenesis: Malformed, or a check failed; the message names the first.

    Spec: EXEC-GENESIS-CONFIG.
    """
    document = read_document(data)
    for check in verify_document(document):
        if not check.is_passed:
            raise InvalidGenesis(
                f"genesis file, {check.name}: expected {check.expected}, found {check.actual}; "
                "compare the file with another operator's, or run `daicho genesis verify`",
                rule=check.rule,
            )
    header = build_header(document)
    return Genesis(
        profile=build_profile(document, header.hash), header=header, alloc=document.alloc
    )


def build_header(document: GenesisDocument) -> Header:
    """Build the header of height 0 as the file says it.

    Spec: EXEC-GENESIS-HEADER.
    """
    return Header(
        parent_hash=BlockHash(ZERO_HASH),
        coinbase=document.coinbase,
        state_root=compute_state_root(document.alloc),
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        height=Height(0),
        gas_limit=document.gas_limit,
        gas_used=0,
        timestamp_s=document.timestamp_s,
        extra_data=document.extra_data,
    )
