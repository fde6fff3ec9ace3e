"""A property computed when it is first asked for and then kept with its instance.

Like ``functools.cached_property``, whose lock is one for all instances of a class: there, a thread
that recovers the sender of one transaction keeps every other thread from recovering any other.
Here two threads that ask the same instance at once may both compute. What is kept this way is a
function of values that never change, so both get the same and either may be kept.
"""

from collections.abc import Callable
from typing import Generic, TypeVar, overload

Owner = TypeVar("Owner")
Value = TypeVar("Value")


class once(Generic[Owner, Value]):  # noqa: N801 - a decorator, named as one
    """Decorates the method that computes the value."""

    def __init__(self, compute: Callable[[Owner], Value]) -> None:
        """Hold what computes."""
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "once[Owner, Value]": ...

    @overload
    def __get__(self, instance: Owner, owner: type) -> Value: ...

    def __get__(self, instance: Owner | None, owner: type) -> "once[Owner, Value] | Value":
        """Compute and keep; later look-ups find what the instance keeps and do not come here."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
