"""A stored table that grows row by row, each row in one atomic step, so that a run can be continued.

A *row* is one setting at one dimension: for each quantity (a column) the mean over seeds, its standard
error, and the theory.
"""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore import results

Array = npt.NDArray[np.float64]
PARTS = ("mean", "error", "first", "theory", "numerical")


@dataclasses.dataclass(frozen=True)
class Row:
    """What one setting at one dimension gave; all arrays (Q,), along the table's columns.

    samples : number of seeds or draws;  first : a small part of them, for a test to repeat
    numerical : estimate of the numerical error of simulation and theory together
    """

    key: str
    samples: int
    mean: Array
    error: Array
    first: Array
    theory: Array
    numerical: Array


@dataclasses.dataclass
class Table:
    """The rows so far, and how they are being made."""

    name: str
    columns: tuple[str, ...]
    settings: dict[str, Any]
    rows: dict[str, Row]
    seconds: float = 0.0

    def add(self, row: Row, seconds: float, papers: dict[str, Any], folder: Path = results.FOLDER) -> None:
        """Adds a row and writes the whole table; papers: provenance of the run, taken when it began."""
        self.rows[row.key] = row
        self.seconds += seconds
        rows = list(self.rows.values())
        arrays: dict[str, npt.ArrayLike] = {part: [getattr(row, part) for row in rows] for part in PARTS}
        arrays["key"], arrays["column"] = [row.key for row in rows], list(self.columns)
        arrays["samples"] = [row.samples for row in rows]
        papers = {**papers, "seconds": round(self.seconds, 1), "settings": self.settings}
        results.save(self.name, arrays, papers, folder)


def summary(key: str, samples: Sequence[Array], theory: Array, numerical: Array) -> Row:
    """Mean and standard error over seeds, samples (N, Q) with N >= 2."""
    values = np.array(samples)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return Row(key, len(values), values.mean(axis=0), error, values[0], theory, numerical)


def open_table(
    name: str,
    columns: Sequence[str],
    settings: dict[str, Any],
    fresh: bool = False,
    folder: Path = results.FOLDER,
) -> Table:
    """The stored table if it was made with these settings and columns, else (or if ``fresh``) an empty one.

    Raises ValueError when what is stored was made with other settings.
    """
    empty = Table(name, tuple(columns), settings, {})
    if fresh or name not in results.names(folder):
        return empty
    known = read_table(name, folder)
    if known.columns != empty.columns or known.settings != settings:
        raise ValueError(f"data/{name}.npz was made with other settings: start anew with --fresh")
    return known


def read_table(name: str, folder: Path = results.FOLDER) -> Table:
    """The stored table, verified."""
    stored = results.load(name, folder)
    held = stored.arrays
    rows = {}
    for k, key in enumerate(held["key"].tolist()):
        rows[key] = Row(key, int(held["samples"][k]), *(held[part][k] for part in PARTS))
    columns = tuple(held["column"].tolist())
    papers = stored.provenance
    return Table(name, columns, dict(papers["settings"]), rows, float(papers["seconds"]))


class Clock:
    """Seconds since the last look."""

    def __init__(self) -> None:
        self.last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        elapsed, self.last = now - self.last, now
        return elapsed
