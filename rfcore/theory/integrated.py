"""The score error summed over diffusion times, one readout per time."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from rfcore.checks import of_kind, positive, refuse
from rfcore.model import RandomFeatureModel
from rfcore.theory.minimizer import minimizer

Floats = npt.NDArray[np.float64]
NODES = (24, 32)


@dataclasses.dataclass(frozen=True)
class IntegratedError:
    """int (1/d) E||s_A(., t) - s*(., t)||^2 dt from ``start`` to ``end``.

    error : change between two numbers of nodes
    standard_error : over draws, for a simulation

    >>> total = rf.theory.integrated_score_error(rf.RandomFeatureModel(4, 2, 0.1, ridge=0.1), 0.5, 1.0)
    >>> print(f"{total.value:.4f} from t = {total.start} to {total.end}")
    0.0236 from t = 0.5 to 1.0
    """

    value: float
    start: float
    end: float
    error: float
    standard_error: float = math.nan


def integrated_score_error(model: RandomFeatureModel, start: float, end: float) -> IntegratedError:
    """Train one readout at every diffusion time t in [start, end] and integrate the score error over t.

    The t of the question is ignored; its ridge is used at every t.  Gauss-Legendre in log t.  Up to a
    constant factor the integral bounds the Kullback-Leibler divergence of what the reverse SDE
    generates, per dimension (Song et al. 2021).

    Raises ValueError unless 0 < start < end.

    Source: the bound is that of Song et al. (2021); chapter 10 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1, ridge=0.01)
    >>> print(f"{rf.theory.integrated_score_error(model, start=0.1, end=1.0).value:.4f}")
    0.2092
    """
    of_kind("model", model, RandomFeatureModel)
    values = []
    for nodes in NODES:
        t, w = times(start, end, nodes)
        errors = [minimizer(dataclasses.replace(model, t=float(time))).score_error for time in t]
        values.append(float(w @ errors))
    return IntegratedError(values[1], float(start), float(end), abs(values[1] - values[0]))


def times(start: float, end: float, nodes: int) -> tuple[Floats, Floats]:
    """Nodes t and weights dt of the Gauss-Legendre rule in log t, (nodes,) each; 0 < start < end."""
    a, b = positive("start", start), positive("end", end)
    if a >= b:
        raise refuse("end", end, f"a number > start = {start!r}")
    middle, half = math.log(a * b) / 2, math.log(b / a) / 2
    x, w = np.polynomial.legendre.leggauss(nodes)
    t = np.exp(middle + half * x)
    return t, half * w * t
