"""One point: is it stored, and its computation, wherever that is; arrays and papers, or what went wrong."""

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore._commands import renewal
from rfcore._points import SCRATCH, Function, Point, Task, task_of
from rfcore.checks import refuse
from rfcore.results import load, provenance


@dataclass(frozen=True, eq=False)
class Outcome:
    """Arrays and provenance of a point; or ``reason``, one line, and ``details``, the
    traceback of an error that does not speak for itself."""

    name: str
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    papers: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    details: str = ""


def distrust(task: Task, point: Point, folder: Path) -> str | None:
    """Why the stored result of a point cannot be trusted: empty if it can, None if there is no result."""
    path = folder / f"{point.name}.npz"
    if not path.exists():
        return None
    try:
        papers = load(point.name, folder).provenance
    except ValueError as error:
        return str(error)
    same = papers.get("experiment") == task.word and papers.get("point") == dict(point.plain)
    return "" if same else f"{path.name} holds another point; {renewal(path)}"


def compute(experiment: str | Function, point: Point, scratch: str | None) -> Outcome:
    """Call the experiment at a point.  Whatever it raises is in the outcome, so that others can go on."""
    began = time.monotonic()
    try:
        task = task_of(experiment)
        more = {} if scratch is None else {SCRATCH: Path(scratch)}
        found = task.function(**point.arguments, **more)
        if not isinstance(found, Mapping):
            raise refuse(f"answer of {task.word}", type(found).__name__, "arrays by name")
        arrays = {name: np.asarray(value) for name, value in found.items()}
        seed = point.plain.get("seed", "none: nothing is random")
        device, asked = str(point.plain.get("device", "cpu")), dict(point.plain)
        seconds = time.monotonic() - began
        papers = provenance(point.command, seed, seconds, device, experiment=task.word, point=asked)
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
        plain = isinstance(error, ValueError | OSError)  # these say all there is to say
        return Outcome(point.name, reason=reason, details="" if plain else traceback.format_exc())
    return Outcome(point.name, arrays, papers)
