"""Every question the audit of a chain asks: one line each, to be held beside the specification.

Spec: AUDIT-REPORT.
"""

from typing import Final

from clients.auditor.checks import Check

# The file

FORM: Final = Check(
    name="bundle.form",
    rule="AUDIT-BUNDLE",
    question="Is every record whole, of a known kind and within its bounds?",
)
ORDER: Final = Check(
    name="bundle.order",
    rule="AUDIT-ORDER",
    question="Do the records follow one another as they must, to a signature and no further?",
)
NETWORK: Final = Check(
    name="bundle.network",
    rule="AUDIT-HEADER",
    question="Is the bundle of the network of the genesis file?",
)
RANGE: Final = Check(
    name="bundle.range",
    rule="AUDIT-HEADER",
    question="Does the bundle hold the range of heights it announces, to its end?",
)
DIGEST: Final = Check(
    name="bundle.digest",
    rule="AUDIT-DIGEST",
    question="Has the bundle the digest and the counts its end claims?",
)
SIGNATURE: Final = Check(
    name="bundle.signature",
    rule="AUDIT-SIGNATURE",
    question="Did the exporting node it names sign the bundle?",
    is_required=False,
)
FILES: Final = Check(
    name="bundle.files",
    rule="AUDIT-FILES",
    question="Has every attached file its digest and length, and is every file asked for there?",
)
STATES: Final = Check(
    name="bundle.states",
    rule="AUDIT-STATE",
    question="Is every state announced there, and the one its block's header commits to?",
)
BASE: Final = Check(
    name="bundle.base",
    rule="AUDIT-RANGE",
    question="Does a range that begins later stand on headers that lead to a signed checkpoint?",
)

# Headers

HEIGHT: Final = Check(
    name="chain.height", rule="QBFT-HEADER", question="Is each block one above its parent?"
)
PARENT: Final = Check(
    name="chain.parent",
    rule="QBFT-HEADER",
    question="Does each block name the hash of the block before it?",
)
MIX_HASH: Final = Check(
    name="chain.mix-hash", rule="QBFT-HEADER", question="Is the mix hash QBFT's constant?"
)
DIFFICULTY: Final = Check(
    name="chain.difficulty", rule="QBFT-HEADER", question="Is the difficulty 1?"
)
NONCE: Final = Check(name="chain.nonce", rule="QBFT-HEADER", question="Is the nonce zero?")
OMMERS: Final = Check(name="chain.ommers", rule="QBFT-HEADER", question="Are there no ommers?")
BASE_FEE: Final = Check(name="chain.base-fee", rule="QBFT-HEADER", question="Is the base fee zero?")
WITHDRAWALS: Final = Check(
    name="chain.withdrawals", rule="QBFT-HEADER", question="Are there no withdrawals?"
)
GAS_LIMIT: Final = Check(
    name="chain.gas-limit", rule="EXEC-GAS-LIMIT", question="Is the gas limit that of genesis?"
)
GAS_BOUND: Final = Check(
    name="chain.gas-bound", rule="EXEC-BLOCK-GAS", question="Is the gas used within the limit?"
)
TIME: Final = Check(
    name="chain.time",
    rule="QBFT-BLOCK-TIME",
    question="Is each block at least one period later than its parent?",
)
VALIDATORS: Final = Check(
    name="chain.validators",
    rule="QBFT-VALIDATORS",
    question="Is the set each block lists the one that votes and recoveries lead to?",
)
PROPOSER: Final = Check(
    name="chain.proposer",
    rule="QBFT-COINBASE",
    question="Was each block created by a validator whose turn it was?",
)
VOTE: Final = Check(
    name="chain.vote", rule="QBFT-VOTE-EPOCH", question="Does no epoch block carry a vote?"
)
SEALS_FORM: Final = Check(
    name="seals.form",
    rule="QBFT-SEALS",
    question="Is every seal a signature, and are there no more than validators?",
)
SEALS_STRANGER: Final = Check(
    name="seals.stranger", rule="QBFT-SEALS", question="Is every seal that of a validator?"
)
SEALS_REPEATED: Final = Check(
    name="seals.repeated", rule="QBFT-SEALS", question="Does no validator seal a block twice?"
)
SEALS_QUORUM: Final = Check(
    name="seals.quorum",
    rule="QBFT-SEALS",
    question="Did a quorum of the set valid at its height seal each block?",
)
RECOVERY: Final = Check(
    name="chain.recovery",
    rule="REC-APPLY",
    question="Does every recovery document in the bundle apply to this chain, at its height?",
)
RECOVERY_SIGNED: Final = Check(
    name="chain.recovery-signed",
    rule="REC-SIGNED",
    question="Did a majority of the remaining municipalities sign each recovery document?",
)
EVIDENCE: Final = Check(
    name="chain.evidence",
    rule="QBFT-EVIDENCE",
    question="Does every piece of evidence convict a validator of its height?",
)
CHECKPOINT_SIGNED: Final = Check(
    name="checkpoint.signed",
    rule="SYNC-CHECKPOINT",
    question="Is each checkpoint of this network and signed by two municipalities?",
    is_required=False,
)
CHECKPOINT_BLOCK: Final = Check(
    name="checkpoint.block",
    rule="SYNC-CHECKPOINT",
    question="Is the block of each checkpoint the one in the chain?",
    is_required=False,
)

# Execution

BODY: Final = Check(
    name="execution.body",
    rule="EXEC-BODY",
    question="Are the transactions those the header commits to?",
)
TRANSACTION: Final = Check(
    name="execution.transaction",
    rule="EXEC-REFUSED",
    question="May every transaction stand where it stands, by its form, nonce, gas and funds?",
)
PERMISSION: Final = Check(
    name="execution.permission",
    rule="PERM-ORDER",
    question="Was every sender permitted to send, by the state before the block?",
)
OPEN_CALL: Final = Check(
    name="execution.open-call",
    rule="EXEC-OPEN-CALL",
    question="Did every open call succeed?",
)
GAS: Final = Check(
    name="execution.gas", rule="EXEC-RECEIPT", question="Is the gas used what execution used?"
)
RECEIPTS: Final = Check(
    name="execution.receipts",
    rule="EXEC-RECEIPT",
    question="Are the receipts in the bundle those of execution, one by one?",
)
RECEIPTS_ROOT: Final = Check(
    name="execution.receipts-root",
    rule="EXEC-RECEIPT",
    question="Is the receipts root that of the receipts of execution?",
)
BLOOM: Final = Check(
    name="execution.bloom",
    rule="EXEC-RECEIPT",
    question="Is the logs bloom that of the logs of execution?",
)
STATE_ROOT: Final = Check(
    name="execution.state-root",
    rule="EXEC-ROOT",
    question="Is the state root that of the state execution leads to?",
)

FILE_CHECKS: Final = (
    FORM,
    ORDER,
    NETWORK,
    RANGE,
    DIGEST,
    SIGNATURE,
    FILES,
    STATES,
    BASE,
)
HEADER_CHECKS: Final = (
    HEIGHT,
    PARENT,
    MIX_HASH,
    DIFFICULTY,
    NONCE,
    OMMERS,
    BASE_FEE,
    WITHDRAWALS,
    GAS_LIMIT,
    GAS_BOUND,
    TIME,
    VALIDATORS,
    PROPOSER,
    VOTE,
    SEALS_FORM,
    SEALS_STRANGER,
    SEALS_REPEATED,
    SEALS_QUORUM,
    RECOVERY,
    RECOVERY_SIGNED,
    EVIDENCE,
    CHECKPOINT_SIGNED,
    CHECKPOINT_BLOCK,
)
EXECUTION_CHECKS: Final = (
    BODY,
    TRANSACTION,
    PERMISSION,
    OPEN_CALL,
    GAS,
    RECEIPTS,
    RECEIPTS_ROOT,
    BLOOM,
    STATE_ROOT,
)
CHAIN_CHECKS: Final = (*FILE_CHECKS, *HEADER_CHECKS, *EXECUTION_CHECKS)
"""The table of the chain's audit, in the order of its report."""
