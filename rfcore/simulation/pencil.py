"""Linear pencils drawn at finite d: the whole matrix, its inverse, and the normalised block traces."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import refuse, whole
from rfcore.theory.operator_valued import Pencil

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class DrawnPencil:
    """One draw of a pencil.

    pencil : what was drawn;  matrix : (N, N) L at z = 0
    start : (B + 1,) block i fills rows start[i] to start[i + 1]

    >>> pencil = rf.theory.pencil(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1))
    >>> drawn = rf.simulation.draw_pencil(pencil, d=8, seed=0)
    >>> drawn.matrix.shape, drawn.start
    ((64, 64), array([ 0, 32, 48, 56, 64]))
    """

    pencil: Pencil
    matrix: Array
    start: Array

    def block(self, matrix: Array, i: int, j: int) -> Array:
        """Block (i, j) of a matrix of the pencil's size."""
        return matrix[self.start[i] : self.start[i + 1], self.start[j] : self.start[j + 1]]

    def named(self, matrix: Array, one: str, other: str) -> Array:
        """All blocks of a matrix whose row block is called ``one`` and whose column block ``other``."""
        return np.asarray(matrix[np.ix_(self._rows(one), self._rows(other))])

    def _rows(self, name: str) -> Array:
        parts = [np.arange(*self.start[k : k + 2]) for k, own in enumerate(self.pencil.names) if own == name]
        return np.concatenate([np.arange(0), *parts])

    def at(self, z: complex) -> Array:
        """L(z) (N, N)."""
        shifted = self.matrix.astype(np.result_type(z, float))
        own = np.arange(self.start[self.pencil.z_block], self.start[self.pencil.z_block + 1])
        shifted[own, own] -= z
        return shifted

    def inverse(self, z: complex) -> Array:
        """L(z)^-1 (N, N)."""
        return np.linalg.inv(self.at(z))

    def traces(self, matrix: Array) -> Array:
        """Traces (B, B) of the blocks divided by their number of rows; 0 between blocks of different size."""
        rows = np.diff(self.start)
        each = np.zeros((rows.size, rows.size), dtype=matrix.dtype)
        for i, j in np.ndindex(each.shape):
            if rows[i] == rows[j]:
                each[i, j] = np.trace(self.block(matrix, i, j)) / rows[i]
        return each


def draw_pencil(pencil: Pencil, d: int, seed: int) -> DrawnPencil:
    """Draw the Gaussian matrices X_k of a pencil at dimension d: independent entries of variance 1/d.

    Raises ValueError if a block has no whole number of rows at this d.

    Source: chapter 7 of the book.

    >>> pencil = rf.theory.pencil(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1))
    >>> drawn = rf.simulation.draw_pencil(pencil, d=16, seed=0)
    >>> measured = drawn.traces(drawn.inverse(-1.0))[0, 0].real
    >>> bool(abs(measured - rf.theory.semicircle(pencil, -1.0).g[0, 0].real) < 0.05)
    True
    """
    d = whole("d", d)
    rows = np.rint(pencil.size * d).astype(int)
    if not np.allclose(rows, pencil.size * d, rtol=1e-9) or rows.min() < 1:
        raise refuse("d", d, "a dimension at which every block has a whole number of rows")
    start = np.concatenate([[0], np.cumsum(rows)])
    matrix = np.zeros((start[-1], start[-1]))
    drawn = DrawnPencil(pencil, matrix, start)
    for i, j in zip(*np.nonzero(pencil.constant), strict=True):
        drawn.block(matrix, i, j)[:] = pencil.constant[i, j] * np.eye(rows[i])
    rng = np.random.default_rng(seed)
    for c in pencil.gaussian:
        places = list(zip(*np.nonzero(c), strict=True))
        if not places:
            continue
        x = rng.normal(size=(rows[places[0][0]], rows[places[0][1]])) / np.sqrt(d)
        for i, j in places:
            drawn.block(matrix, i, j)[:] += c[i, j] * x
            drawn.block(matrix, j, i)[:] += c[i, j] * x.T
    return drawn
