"""Where ranges run: other processes of this machine, or a Dask cluster by its address.

Both speak the standard library's ``Executor`` interface. Dask is an extra and is imported only when
an address is given; its workers must find the bundle at the same path.

Spec: AUDIT-PARALLEL.
"""

import importlib
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from node.primitives.errors import Misconfigured, Unavailable

PROCESSES_MAX: Final = 256
"""Most processes started on this machine."""

DASK_TIMEOUT_S: Final = 30
"""How long a cluster may take to answer."""


@contextmanager
def open_executor(processes: int, dask: str | None) -> Iterator[Executor | None]:
    """Open what ranges are handed to; None when there is only this process.

    Args:
        processes: How many to start here, if no cluster is named.
        dask: Address of a Dask scheduler.

    Raises:
        Misconfigured: Dask is not installed.
        Unavailable: The cluster does not answer.

    Spec: AUDIT-PARALLEL.
    """
    if dask is not None:
        with _connect(dask) as client:
            yield client.get_executor()
    elif processes > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(processes, PROCESSES_MAX), mp_context=context) as pool:
            yield pool
    else:
        yield None


def _connect(address: str) -> Any:
    """Return a client of the cluster.

    Raises:
        Misconfigured: Dask is not installed.
        Unavailable: The cluster does not answer.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise Misconfigured(
            "Dask is not installed; install daicho with its extra: pip install daicho[dask]"
        ) from error
    try:
        return distributed.Client(address, timeout=DASK_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Unavailable(f"Dask at {address} does not answer: {error}") from error
