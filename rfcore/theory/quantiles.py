"""Quantiles of the spectrum of U at d = infinity: where p eigenvalues would sit without fluctuations."""

import numpy as np
import numpy.typing as npt

from rfcore.checks import whole
from rfcore.model import RandomFeatureModel
from rfcore.theory.resolvent import density
from rfcore.theory.support import support

NODES = 400  # per bulk


def quantiles(model: RandomFeatureModel, size: int) -> npt.NDArray[np.float64]:
    """The x at which the fraction (k + 1/2)/size of the eigenvalues lies below, k = 0..size-1, ascending.

    Those that fall on the atom are equal to its location.  The cumulative density is exact at the edges
    of the bulks and interpolated linearly in log x between 400 nodes in each, so that its error is about
    1e-4 of the mass of a bulk.

    Raises what :func:`support` and :func:`density` raise.

    Returns (size,).

    >>> x = rf.theory.quantiles(rf.RandomFeatureModel(psi_p=0.5, psi_n=8, t=0.01), size=4)
    >>> print(x.round(3))
    [0.106 0.232 0.431 0.773]
    """
    level = (np.arange(whole("size", size)) + 0.5) / size
    answer = support(model)
    start = answer.atom.mass if answer.atom else 0.0
    x = np.full(level.size, answer.atom.location if answer.atom else np.nan)
    for bulk in answer.bulks:
        node, dx = bulk.nodes(NODES)
        share = density(model, node) * dx
        share *= bulk.mass / share.sum()
        below = start + np.cumsum(share) - share / 2
        at = (level > start) & (level <= start + bulk.mass)
        ends = np.concatenate([[max(bulk.left, 1e-12 * node[0])], node, [bulk.right]])
        counts = np.concatenate([[start], below, [start + bulk.mass]])
        x[at] = np.exp(np.interp(level[at], counts, np.log(ends)))
        start += bulk.mass
    x[np.isnan(x)] = answer.bulks[-1].right  # a level above the sum of the masses by round-off
    return x
