"""Which part of the spectrum carries which part of the drop of the train loss, measured."""

import math

import numpy as np
import numpy.typing as npt

from rfcore.checks import Array, of_kind, whole
from rfcore.model import RandomFeatureModel
from rfcore.progress import progress
from rfcore.simulation.dynamics import flow
from rfcore.simulation.features import moments
from rfcore.simulation.verbs import realized
from rfcore.theory.shares import Share
from rfcore.theory.support import Support, support


def shares(
    model: RandomFeatureModel,
    d: int,
    draws: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
) -> tuple[Share, ...]:
    """The drop of the train loss over all times, bulk by bulk, at dimension d; means over draws.

    An eigenvector of U with eigenvalue x and |v|^2 = its overlap with V lowers the train loss by
    (|v|^2/d) (x + 2 mu)/(x + mu)^2.  Eigenvalues belong to the bulk of ``rfcore.theory.support``, at the
    realised ratios, that is on their side of the middle of each gap, in log x; those on the atom's side of
    the lowest gap to no bulk.  Draws seed, seed + 1, ...; ``standard_error``: over draws, nan for one.

    Raises ValueError as :func:`rfcore.simulation.moments`.

    Returns one :class:`rfcore.theory.Share` for each bulk, in ascending order.
    Source: chapter 9 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=8, psi_n=2, t=0.1)
    >>> [share.standard_error is not None for share in rf.simulation.shares(model, d=8, draws=2, seed=0)]
    [True, True]
    """
    of_kind("model", model, RandomFeatureModel)
    first, count = whole("seed", seed, least=0), whole("draws", draws)
    limit = support(realized(model, d))
    cuts, found, error = _cuts(limit), np.empty((count, 3, len(limit.bulks))), 0.0
    for k in progress(range(count), "Draws"):
        f = flow(moments(model, d, first + k, features, device), model.ridge)
        x, overlap = f.eigenvalues.cpu().numpy(), f.linear["train"].cpu().numpy() / d
        seen = np.where(x > f.round_off, x, math.inf)  # V has no part in the kernel
        inverse = 1 / (seen + model.ridge)
        drop = overlap * inverse * (1 + model.ridge * inverse)
        bulk = np.searchsorted(cuts, x) - 1
        inside = [bulk == j for j in range(len(limit.bulks))]
        found[k] = [
            [values[own].sum() for own in inside]
            for values in (np.full(x.size, 1 / x.size), drop, drop * inverse)
        ]
        error = max(error, f.round_off / float(x[x > f.round_off][0]))
    return tuple(_share(limit, j, found[:, :, j], error) for j in range(len(limit.bulks)))


def _cuts(limit: Support) -> Array:
    """Where each bulk begins: the middle of the gap below it; 0 or -infinity below the lowest."""
    lowest, atom = limit.bulks[0].left, limit.atom
    floor = -math.inf if atom is None else _middle(atom.location, lowest)
    return np.array([floor, *(_middle(left, right) for left, right in limit.gaps)])


def _middle(left: float, right: float) -> float:
    return math.sqrt(left * right) if left > 0 else right / 2


def _share(limit: Support, bulk: int, values: npt.NDArray[np.float64], error: float) -> Share:
    """One bulk from its mass, drop and drop/x in each draw, (draws, 3)."""
    mass, drop, inverse = values.mean(axis=0)
    # The harmonic mean is a ratio of means: its error to first order.
    harmonic = values[:, 1] / inverse - values[:, 2] * drop / inverse**2
    columns = (values[:, 0], values[:, 1], harmonic)
    spread = [float(np.std(v, ddof=1) / math.sqrt(v.size)) if v.size > 1 else math.nan for v in columns]
    which = limit.bulks[bulk]
    errors = Share(which, spread[0], spread[1], spread[2], error)
    return Share(which, float(mass), float(drop), float(drop / inverse), error, errors)
