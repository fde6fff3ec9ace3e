"""A process that dies at a chosen step: before a transaction, inside it, or right after its commit.

``Crash`` is no ``Exception``, so nothing of the kit can mistake it for an error to be handled, just
as nothing runs after a kill.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.database import Database

T = TypeVar("T")


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Burns down step by step; at zero the process dies."""

    def __init__(self, steps: int | None = None) -> None:
        """Last for ``steps``; for ever when None."""
        self.left = steps
        self.burnt = 0

    def burn(self) -> None:
        """Take one step."""
        self.burnt += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash


class FragileDatabase(Database):
    """A database of a process that dies when its fuse has burnt down."""

    def __init__(self, sound: Database, fuse: Fuse) -> None:
        """Share the connections of ``sound``."""
        super().__init__(writer=sound._writer, reader=sound._reader, path=sound._path)
        self._write_lock = sound._write_lock
        self.fuse = fuse

    async def transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run a transaction that may die before it, in it, or after its commit."""
        self.fuse.burn()

        async def fragile(tx: AsyncConnection) -> T:
            result = await work(tx)
            self.fuse.burn()
            return result

        result = await super().transact(fragile)
        self.fuse.burn()
        return result
