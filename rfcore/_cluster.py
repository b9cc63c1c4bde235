"""Calls of a function on Dask: processes of this machine, or whatever cluster has a scheduler address."""

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from rfcore._outcome import Outcome, compute
from rfcore._points import Point, Task

REACHING = 10.0  # seconds
PATIENCE = 30.0  # for a first worker, and for what a scheduler should know at once
CLOSING = 10.0


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
        names = {}
        for point in points:
            where = None if scratch is None else str(scratch / point.name)
            future = client.submit(compute, what, point, where, pure=False, retries=0)
            names[future] = point.name
        del future
        finished: Any = distributed.as_completed
        for done in finished(list(names), loop=client.loop):
            yield _outcome(done, names.pop(done))
            done.release()


def _outcome(future: Any, name: str) -> Outcome:
    if future.status == "finished":
        try:
            answer = future.result(timeout=PATIENCE)
        except (TimeoutError, CancelledError):
            raise ConnectionError("the scheduler is lost: what is stored stays, run it again") from None
        assert isinstance(answer, Outcome)
        return answer
    if future.status == "error":
        error = future.exception(timeout=PATIENCE)
        # Errors of the experiment come back as outcomes; this one comes from Dask.
        died = type(error).__name__ == "KilledWorker"
        said = "the process died (memory? a crash?)" if died else f"{type(error).__name__}: {error}"
        return Outcome(name, reason=" ".join(said.split()))
    raise ConnectionError("the scheduler is lost: what is stored stays, run it again")


@contextlib.contextmanager
def _client(distributed: Any, scheduler: str | None, workers: int) -> Iterator[Any]:
    import dask

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {
        "distributed.scheduler.allowed-failures": 1,  # a point that kills its process is not tried for ever
        "distributed.comm.timeouts.connect": REACHING,
        "distributed.admin.tick.limit": "1h",  # a worker that computes is no reason to complain
    }
    with dask.config.set(settings), contextlib.ExitStack() as stack:
        address = scheduler
        if address is None:
            # Spawned, not forked (torch has threads), and each ends when this process does, however it ends.
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
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


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
