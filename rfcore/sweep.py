"""A grid of runs: on this machine or on any Dask cluster, each stored when it is done, none computed twice.

>>> import rfcore as rf, tempfile, pathlib
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> grid = {"psi_n": [2.0, 4.0], "d": 32, "taus": 5}
>>> swept = rf.sweep.run("random-feature-losses", grid, folder, workers=0)
>>> [stored.arrays["theory_train"].shape for stored in swept.load()]
[(5,), (5,)]
"""

import contextlib
import tomllib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rfcore import results
from rfcore._commands import announce, shown
from rfcore._outcome import Outcome, compute, distrust
from rfcore._points import Function, Grid, Point, Task, combinations, decoded, points_of, task_of
from rfcore.checks import refuse, whole
from rfcore.progress import progress

__all__ = ["Failure", "Plan", "SweepFailed", "Swept", "read_plan", "run"]
PLANS = Path(__file__).resolve().parent / "sweeps"


@dataclass(frozen=True)
class Failure:
    """A point without a result.

    name, point : of the point, and its arguments
    reason : why, in a line;  command : how to try it alone;  details : the traceback

    >>> failure = rf.sweep.Failure("point-1", {"d": 0}, "ValueError: d = 0", "python -m rfcore ...")
    >>> failure.name, failure.point
    ('point-1', {'d': 0})
    """

    name: str
    point: Mapping[str, Any]
    reason: str
    command: str
    details: str = field(default="", repr=False)


@dataclass(frozen=True)
class Swept:
    """What a sweep did.

    folder : where the results are
    names : of all points, in the order of the grid;  skipped : found stored;  computed : new
    failures : the points without a result

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     grid = {"d": 16, "psi_n": [2, 4], "taus": 3}
    ...     swept = rf.sweep.run("random-feature-losses", grid, pathlib.Path(folder), workers=0)
    >>> len(swept.names), len(swept.computed), swept.skipped, swept.failures
    (2, 2, (), ())
    """

    folder: Path
    names: tuple[str, ...]
    skipped: tuple[str, ...]
    computed: tuple[str, ...]
    failures: tuple[Failure, ...]

    def load(self) -> list[results.Stored]:
        """The results in the order of the grid, each verified once more."""
        return [results.load(name, self.folder) for name in self.names]


class SweepFailed(RuntimeError):
    """Some points have no result; all others are stored.  ``swept`` says which.

    >>> issubclass(rf.sweep.SweepFailed, RuntimeError)
    True
    """

    def __init__(self, swept: Swept) -> None:
        self.swept = swept
        lines = (f"{f.name}: {f.reason}" for f in swept.failures)
        super().__init__(f"{len(swept.failures)} of {len(swept.names)} points failed: " + "; ".join(lines))


@dataclass(frozen=True)
class Plan:
    """A sweep that has been written down: see :func:`read_plan`.

    name : that of the file;  experiment : its name
    points : arguments of each;  folder : for results

    >>> plan = rf.sweep.read_plan("random-feature-losses")
    >>> plan.experiment, len(plan.points) > 1
    ('random-feature-losses', True)
    """

    name: str
    experiment: str
    points: tuple[Mapping[str, Any], ...]
    folder: Path


def run(
    experiment: str | Function,
    grid: Grid,
    folder: str | Path,
    *,
    scheduler: str | None = None,
    workers: int = 2,
    command: str | None = None,
) -> Swept:
    """Compute every point of a grid that is not stored yet, and store each in ``folder`` when it is done.

    experiment : a name (``python -m rfcore experiment`` lists them), "module:function", or a function; it
        takes plain values or frozen questions by name and returns arrays by name.  Give it everything random
        by a ``seed``.  If it has a parameter ``scratch``, it gets the path of a file for its unfinished work,
        which is removed when the result is stored
    grid : names and values, where a list means one value after the other (all combinations); or points one
        by one: mappings of arguments, or frozen questions for the function's first argument
    scheduler : address of a running Dask scheduler, "tcp://...", whose workers can import the experiment;
        None for ``workers`` processes of one thread on this machine, or this process if ``workers = 0``
    command : what to type to compute a point again; only for functions that cannot be imported by name

    The file of a point is named by a hash of what is asked and written by this process alone, in one step:
    killed at any moment and started again, a sweep loses no result and computes none a second time.  A
    stored file is verified before its point is skipped; if it is damaged it is left alone and reported.
    A script that calls this needs the usual ``if __name__ == "__main__":``.

    Raises SweepFailed at the end if points have failed, ConnectionError for a scheduler that does not answer.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     grid = {"d": 16, "psi_n": [2, 4], "taus": 3}
    ...     swept = rf.sweep.run("random-feature-losses", grid, pathlib.Path(folder), workers=0)
    ...     again = rf.sweep.run("random-feature-losses", grid, pathlib.Path(folder), workers=0)
    >>> len(swept.computed), len(again.computed), len(again.skipped)
    (2, 0, 2)
    """
    task, where, workers = task_of(experiment), Path(folder), whole("workers", workers, least=0)
    points = points_of(task, grid, command)
    announce({point.name: point.command for point in points}, where)
    state = {point.name: distrust(task, point, where) for point in points}
    failures = {p.name: _failure(p, reason, where) for p in points if (reason := state[p.name])}
    skipped = [name for name, reason in state.items() if reason == ""]
    missing = [point for point in points if state[point.name] is None]
    computed = []
    if missing:
        _clean(missing, where)
        by_name = {point.name: point for point in missing}
        found = _outcomes(task, missing, where, scheduler, workers)
        try:
            left = range(len(missing))
            for _ in progress(left, task.word) if len(left) > 1 else left:
                outcome = next(found)
                reason = outcome.reason or _store(outcome, where)
                if reason:
                    point = by_name[outcome.name]
                    failures[point.name] = _failure(point, reason, where, outcome.details)
                else:
                    computed.append(outcome.name)
        finally:
            found.close()  # workers end, also after an interruption
            with contextlib.suppress(OSError):  # not there, or it holds unfinished work
                (where / ".scratch").rmdir()
    failed = tuple(failures[point.name] for point in points if point.name in failures)
    names = tuple(point.name for point in points)
    swept = Swept(where, names, tuple(skipped), tuple(computed), failed)
    if failed:
        raise SweepFailed(swept)
    return swept


def read_plan(source: str | Path) -> Plan:
    """A sweep from a TOML file, or one of those that come with the package, by name.

    source : path of the file, or the name

        experiment = "random-feature-losses"
        folder = "runs/losses"          # if left out: runs/ and the file's name

        [grid]                          # lists are axes: all combinations
        psi_n = [2, 4, 8]
        d = 64

    Several tables [[grid]] are one sweep, for instance with more steps for larger n.

    Raises ValueError for a file that is not there, is no TOML, or is no sweep.

    >>> rf.sweep.read_plan("random-feature-losses").experiment
    'random-feature-losses'
    """
    path = Path(source)
    if not path.suffix:
        path = PLANS / f"{source}.toml"
    if not path.is_file():
        have = ", ".join(sorted(each.stem for each in PLANS.glob("*.toml")))
        raise refuse("sweep", str(source), f"a TOML file, or one of {have}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not TOML: {error}") from None
    if unknown := sorted(set(table) - {"experiment", "folder", "grid"}):
        raise ValueError(f"{path.name} has {unknown[0]!r}, which is not allowed: experiment, folder and grid")
    grids = table.get("grid", {})
    grids = grids if isinstance(grids, list) else [grids]
    if not isinstance(table.get("experiment"), str) or not all(isinstance(each, dict) for each in grids):
        raise ValueError(f'{path.name} is not a sweep: it needs experiment = "NAME" and a table [grid]')
    folder = Path(str(table.get("folder", Path("runs") / path.stem)))
    decided = [{name: decoded(value) for name, value in each.items()} for each in grids]
    points = tuple(point for each in decided for point in combinations(each))
    return Plan(path.stem, table["experiment"], points, folder)


def _clean(points: list[Point], folder: Path) -> None:
    """Remove what a kill in the middle of writing has left."""
    for point in points:
        for remains in folder.glob(f".{point.name}.npz.*.tmp"):
            remains.unlink(missing_ok=True)


def _outcomes(
    task: Task, points: list[Point], folder: Path, scheduler: str | None, workers: int
) -> Generator[Outcome, None, None]:
    scratch = (folder / ".scratch").resolve() if task.keeps_scratch else None
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    if scheduler is None and workers == 0:
        for point in points:
            where = None if scratch is None else str(scratch / point.name)
            yield compute(task.word if task.found_again else task.function, point, where)
        return
    from rfcore._cluster import outcomes

    yield from outcomes(task, points, scratch, scheduler, workers)


def _store(outcome: Outcome, folder: Path) -> str:
    """Store it; the answer is empty, or why the arrays cannot be stored."""
    try:
        results.save(outcome.name, outcome.arrays, outcome.papers, folder)
    except ValueError as error:
        return f"ValueError: {error}"
    (folder / ".scratch" / outcome.name).unlink(missing_ok=True)
    return ""


def _failure(point: Point, reason: str, folder: Path, details: str = "") -> Failure:
    return Failure(point.name, point.plain, reason, shown(point.command, folder), details)
