"""Errors of storage: what the operator, or nobody, can do about the disk and what is on it."""

from node.primitives.errors import InvalidInput, Misconfigured, Unavailable


class DatabaseLocked(Misconfigured):
    """Another process has the database open."""

    code = "storage.locked"


class DatabaseReadOnly(Misconfigured):
    """The database may not be written by this user or on this file system."""

    code = "storage.read_only"


class DatabaseCorrupt(Misconfigured):
    """What is on disk contradicts itself."""

    code = "storage.corrupt"


class DatabaseMismatch(Misconfigured):
    """The database is of another chain, schema or mode."""

    code = "storage.mismatch"


class DiskFull(Unavailable):
    """No space is left; nothing of the batch was kept."""

    code = "storage.disk_full"


class DiskFailed(Unavailable):
    """The disk refused a read or a write."""

    code = "storage.disk_failed"


class StatePruned(Unavailable):
    """The state asked for is no longer kept by this node; an archive node has it."""

    code = "storage.state_pruned"


class NotStored(InvalidInput):
    """No such block, header or transaction is stored here."""

    code = "storage.not_stored"


class QueryTooLarge(InvalidInput):
    """A log query reaches over more blocks, or yields more logs, than allowed."""

    code = "storage.query_too_large"
