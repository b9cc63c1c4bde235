"""Calls of a function on Dask: processes of this machine, or whatever cluster has a scheduler address."""

import contextlib
import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from rfcore._outcome import Outcome, compute
from rfcore._points import Point, Task

REACHING = 10.0  # seconds
PATIENCE = 30.0  # for a first worker
CLOSING = 10.0
AGAIN = "what is done is stored, and the same command goes on from it"


def outcomes(
    task: Task, points: list[Point], scratch: Path | None, scheduler: str | None, workers: int
) -> Iterator[Outcome]:
    """The outcome of each point as it comes, in any order.

    Raises ConnectionError when the scheduler cannot be reached, has no worker, or is lost on the way.
    """
    try:
        import distributed
    except ImportError:
        raise ModuleNotFoundError(
            "workers need Dask: pip install 'rfcore[sweep]', or workers = 0 for this process alone"
        ) from None
    # Only plain data and the function's name travel; a function that no other process can import by its
    # name is sent whole.
    what: Any = task.word if task.found_again else task.function
    with _client(distributed, scheduler, min(workers, len(points))) as client:
        waiting: deque[Point] = deque(points)
        names: dict[Any, str] = {}
        as_completed: Any = distributed.as_completed
        done = as_completed([], loop=client.loop, with_results=True, raise_errors=False)

        def fill() -> None:
            """One point for each thread there is: when a process dies, only what it did is suspected."""
            while waiting and len(names) < max(1, sum(client.nthreads().values())):
                point = waiting.popleft()
                where = None if scratch is None else str(scratch / point.name)
                future = client.submit(compute, what, point, where, pure=False, retries=0)
                names[future] = point.name
                done.add(future)

        try:
            fill()
            for future, answer in done:
                yield _outcome(future.status, answer, names.pop(future))
                future.release()
                fill()
        except (OSError, CancelledError, RuntimeError) as error:
            raise ConnectionError(f"the scheduler is lost ({_line(error)}); {AGAIN}") from None


def _outcome(status: str, answer: Any, name: str) -> Outcome:
    if isinstance(answer, Outcome):
        return answer
    if status != "error":
        raise CancelledError(status)
    error = answer[1] if isinstance(answer, tuple) else answer
    # Errors of the experiment come back as outcomes; this one comes from Dask.
    died = type(error).__name__ == "KilledWorker"
    said = "the process died (memory? a crash?)" if died else f"{type(error).__name__}: {error}"
    return Outcome(name, reason=" ".join(said.split()))


@contextlib.contextmanager
def _client(distributed: Any, scheduler: str | None, workers: int) -> Iterator[Any]:
    import dask

    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.scheduler.allowed-failures": 1,  # a point that kills its process is not tried for ever
        "distributed.comm.timeouts.connect": REACHING,
        "distributed.admin.tick.limit": "1h",  # a worker that computes is no reason to complain
    }
    with dask.config.set(settings), _silence(), contextlib.ExitStack() as stack:
        address = scheduler
        if address is None:
            # Spawned, not forked (torch has threads), and each ends when this process does, however it ends.
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # it cannot be had without: any free port, for this machine
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            stack.callback(cluster.close, timeout=CLOSING)
            address = cluster
        try:
            client = distributed.Client(address, timeout=REACHING, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConnectionError(f"scheduler = {scheduler!r} cannot be reached: {_line(error)}") from None
        stack.callback(client.close, timeout=CLOSING)
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise ConnectionError(f"scheduler = {scheduler!r} has no worker after {PATIENCE:.0f} s") from None
        yield client


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Dask does not write to stderr: what matters is raised, or is an outcome."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("distributed", "tornado"))]
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", *names)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
