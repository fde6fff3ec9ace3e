"""Every question the audit of services asks; each service adds its own lines here.

Spec: AUDIT-REPORT.
"""

from typing import Final

from clients.auditor.checks import Check

ANCHOR_RECEIPTS: Final = Check(
    name="anchors.receipts",
    rule="AUDIT-SERVICES",
    question="Are the receipts the anchors are read from those of their blocks?",
)
ANCHOR_ORDER: Final = Check(
    name="anchors.order",
    rule="RELAY-ANCHOR",
    question="Are the roots of each stream numbered without a gap?",
)
DISCLOSURE: Final = Check(
    name="disclosure.form",
    rule="AUDIT-DISCLOSURE",
    question="Can every disclosed record be read?",
)
ROOT: Final = Check(
    name="disclosure.root",
    rule="AUDIT-DISCLOSURE",
    question="Is every disclosed root that of the disclosed records under it?",
)
ANCHORED: Final = Check(
    name="disclosure.anchored",
    rule="AUDIT-DISCLOSURE",
    question="Is every disclosed root anchored on the ledger, with its count of records?",
)
WITHHELD: Final = Check(
    name="disclosure.complete",
    rule="AUDIT-DISCLOSURE",
    question="Is every root the ledger has of the stream disclosed?",
)
LOG_CHAIN: Final = Check(
    name="log.chain",
    rule="AUDIT-LOG",
    question="Is every entry of the audit log numbered and chained to the one before it?",
)
ERASURE_KNOWN: Final = Check(
    name="erasure.known",
    rule="AUDIT-ERASURE",
    question="Was every key that was destroyed made before, and destroyed once?",
)
ERASURE_NOTICE: Final = Check(
    name="erasure.notice",
    rule="AUDIT-ERASURE",
    question="Stands every erasure notice given to a person in the audit log?",
)

SERVICE_CHECKS: Final = (
    ANCHOR_RECEIPTS,
    ANCHOR_ORDER,
    DISCLOSURE,
    ROOT,
    ANCHORED,
    WITHHELD,
    LOG_CHAIN,
    ERASURE_KNOWN,
    ERASURE_NOTICE,
)
"""The table, in the order of its report."""
