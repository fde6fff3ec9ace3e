"""``daicho_*``: what this ledger can prove and say beyond Ethereum's methods.

A receipt's proof is what an outsider checks against a header whose seals they have checked; all
that is needed for both is in one answer.

Spec: RPC-RECEIPT-PROOF, RPC-FINALITY, RPC-STATUS.
"""

from typing import Final

from node.primitives.errors import MalformedMessage
from node.primitives.header import decode_extra_data
from node.primitives.trie import build_ordered_proof
from node.primitives.types import Address
from node.rpc.backend import ConsensusStatus, Json
from node.rpc.blocks import find_height
from node.rpc.errors import NotFound
from node.rpc.hex import data, quantity
from node.rpc.method import Context, Lane, Method, MethodTable
from node.rpc.methods.qbft import consensus_of
from node.rpc.params import Params
from node.rpc.records import HeaderRecord


def get_receipt_proof(context: Context, params: Params) -> Json:
    """Answer ``daicho_getReceiptProof``: a receipt, its trie proof, and the sealed header.

    The key in the trie is the RLP of the index; the value is ``receipt``; the root is the header's
    ``receiptsRoot``. ``transactionProof`` does the same for the transaction.

    Spec: RPC-RECEIPT-PROOF.
    """
    params.at_most(1)
    ledger = context.backends.ledger
    place = ledger.find_transaction(params.hash(0))
    if place is None:
        raise NotFound("transaction not found")
    height, index = place
    block = ledger.load_block(height)
    assert block is not None
    receipts = [receipt.raw for receipt in ledger.load_receipts(height)]
    transactions = [transaction.raw for transaction in block.transactions]
    return {
        "blockHash": data(block.header.hash),
        "blockNumber": quantity(height),
        "transactionIndex": quantity(index),
        "header": data(block.header.raw),
        "receipt": data(receipts[index]),
        "receiptProof": [data(node) for node in build_ordered_proof(receipts, index)],
        "transaction": data(transactions[index]),
        "transactionProof": [data(node) for node in build_ordered_proof(transactions, index)],
    }


def get_finality(context: Context, params: Params) -> Json:
    """Answer ``daicho_getFinality``: the seals that make a block final.

    Spec: RPC-FINALITY.
    """
    params.at_most(1)
    ledger = context.backends.ledger
    at = params.read(0, lambda value: find_height(ledger, value))
    header = None if at is None else ledger.load_header(at)
    if header is None:
        return None
    return _finality(header)


def _finality(header: HeaderRecord) -> Json:
    """Show the round, the validators and the seals of a header."""
    try:
        extra = decode_extra_data(header.extra_data)
    except MalformedMessage as error:
        raise NotFound("this block carries no seals") from error
    return {
        "blockHash": data(header.hash),
        "blockNumber": quantity(header.height),
        "header": data(header.raw),
        "round": quantity(extra.round),
        "validators": [data(address) for address in extra.validators],
        "seals": [data(seal) for seal in extra.seals],
        "quorum": quantity((2 * len(extra.validators) + 2) // 3),
        "isFinal": True,
    }


def get_checkpoint(context: Context, params: Params) -> Json:
    """Answer ``daicho_getCheckpoint``: the latest point a light client or a sync may start from."""
    params.at_most(0)
    return consensus_of(context).checkpoint()


def consensus_status(context: Context, params: Params) -> Json:
    """Answer ``daicho_consensusStatus``: where consensus stands and who is missing.

    Spec: RPC-STATUS.
    """
    params.at_most(0)
    return render_status(consensus_of(context).consensus_status())


def render_status(status: ConsensusStatus) -> Json:
    """Render where consensus stands; names stand beside addresses.

    Spec: RPC-STATUS.
    """
    names = {validator.address: validator.name for validator in status.validators}

    def shown(address: Address) -> Json:
        return {"address": data(address), "name": names.get(address, "")}

    return {
        "height": quantity(status.height),
        "round": quantity(status.round),
        "phase": status.phase,
        "proposer": shown(status.proposer),
        "secondsInRound": status.seconds_in_round,
        "quorum": quantity(status.quorum),
        "preparedBy": [shown(address) for address in status.prepared_by],
        "committedBy": [shown(address) for address in status.committed_by],
        "missing": [shown(item.address) for item in status.validators if item.is_missing],
        "waitsFor": status.waits_for,
        "validators": [
            {
                "address": data(item.address),
                "name": item.name,
                "isConnected": item.is_connected,
                "isMissing": item.is_missing,
                "lastProposed": _optional(item.last_proposed),
                "lastSealed": _optional(item.last_sealed),
            }
            for item in status.validators
        ],
    }


def _optional(value: int | None) -> Json:
    return None if value is None else quantity(value)


def config_hashes(context: Context, params: Params) -> Json:
    """Answer ``daicho_configHashes``: what must be equal on all nodes."""
    params.at_most(0)
    return consensus_of(context).config_hashes()


def evidence(context: Context, params: Params) -> Json:
    """Answer ``daicho_getEvidence``: stored evidence of equivocation."""
    params.at_most(0)
    return list(consensus_of(context).evidence())


METHODS: Final[MethodTable] = {
    "daicho_getReceiptProof": Method(run=get_receipt_proof, cost=50, lane=Lane.READ),
    "daicho_getFinality": Method(run=get_finality, cost=4),
    "daicho_getCheckpoint": Method(run=get_checkpoint, cost=10),
    "daicho_consensusStatus": Method(run=consensus_status, cost=10),
    "daicho_configHashes": Method(run=config_hashes),
    "daicho_getEvidence": Method(run=evidence, cost=20),
}
