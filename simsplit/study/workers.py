"""Where points are run: processes of this machine, or a Dask cluster.

Both are executors of the standard library's kind, so that the sweep has one code path. The
only file that imports Dask.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from simsplit.errors import ArtefactError, ScenarioError

# One thread per process: N processes of one thread beat one process of N, and no result depends
# on it. Passive waiting, or idle threads steal the other processes' time. And the working folder is
# not on a worker's path: its files would run if they were called like a part of some library.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONSAFEPATH": "1",
}


def cores() -> int:
    """Physical cores of this machine that we may use."""
    from joblib import cpu_count

    return max(1, int(cpu_count(only_physical_cores=True)))


@contextmanager
def executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    """An executor; leaving it early (Ctrl-C) stops its work.

    Args:
        workers: Processes.
        scheduler: Address of a Dask scheduler (``tcp://host:8786``); None: this machine.

    Raises:
        ArtefactError, ScenarioError: Dask is not installed; nobody answers at the address.
    """
    if scheduler is not None:
        with _dask(scheduler) as cluster:
            yield cluster
    else:
        with _processes(workers) as pool:
            yield pool


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(
        max_workers=workers, env=ENVIRONMENT, initializer=_start, initargs=(os.getpid(),)
    )
    try:
        yield pool
    except BaseException:
        _hush()
        pool.shutdown(wait=False, kill_workers=True)
        raise
    pool.shutdown(wait=True)


def _hush() -> None:
    """The pool's own thread stumbles over workers that were killed on purpose: nobody's news."""
    before = threading.excepthook

    def hook(told: threading.ExceptHookArgs) -> None:
        if told.thread is None or not told.thread.name.startswith("ExecutorManager"):
            before(told)

    threading.excepthook = hook


def _start(parent: int) -> None:
    """Ctrl-C is the parent's business; a worker whose parent was killed ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from dask.distributed import Client
    except ImportError:
        message = "needs Dask: pip install 'simsplit[dask]'"
        raise ArtefactError(message, path="--scheduler", value=address) from None
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ScenarioError(
            f"no Dask scheduler answers there ({type(error).__name__})",
            path="--scheduler",
            value=address,
        ) from None
    with client:
        pool = client.get_executor(pure=False)
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False)
            raise


def cluster_cores(scheduler: str) -> int:
    """Threads of a cluster's workers."""
    from dask.distributed import Client

    with Client(scheduler, timeout=10) as client:
        threads: dict[str, int] = client.nthreads()
    return max(1, sum(threads.values()))
