"""The cosine basis of square pictures, in which frequency has a meaning without periodic boundaries."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import whole

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cosines:
    """An orthonormal basis of pictures of side x side, sorted by frequency.

    basis : (d, d), d = side^2; column k is a picture, row by row
    frequency : (d,), sqrt(i^2 + j^2) for i and j half waves down and across, ascending

    >>> waves = rf.datasets.cosines(8)
    >>> len(waves.frequency), float(waves.frequency[0])
    (64, 0.0)
    """

    basis: Array
    frequency: Array


def cosines(side: int) -> Cosines:
    """The two-dimensional discrete cosine transform (DCT-II): products of cos(pi i (r + 1/2)/side).

    side : of the pictures, in pixels.  Returns a :class:`Cosines`.  Raises ValueError unless side >= 1.
    Source: Ahmed, Natarajan and Rao (1974).

    >>> waves = rf.datasets.cosines(4)
    >>> bool(np.allclose(waves.basis.T @ waves.basis, np.eye(16)))
    True
    """
    s = whole("side", side)
    i, r = np.arange(s)[:, None], np.arange(s)
    line = np.cos(np.pi * i * (r + 0.5) / s) * np.sqrt(np.where(i == 0, 1, 2) / s)
    basis = np.einsum("ia,jb->abij", line, line).reshape(s * s, s * s)
    frequency = np.hypot(i, r).ravel()
    order = np.argsort(frequency, kind="stable")
    return Cosines(basis[:, order], frequency[order])
