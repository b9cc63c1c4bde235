"""Which part of the spectrum carries which part of the drop of the train loss."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.model import RandomFeatureModel
from rfcore.theory._equations import parameters
from rfcore.theory._traces import solved, t_train
from rfcore.theory.support import Bulk, support

Floats = npt.NDArray[np.float64]
START, LARGEST = 48, 98_304  # nodes per bulk: many where two bulks all but touch
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Share:
    """What one bulk carries.

    mass : its share of the eigenvalues
    drop : by how much its eigenvectors lower the train loss over all times
    harmonic : harmonic mean of its eigenvalues (plus the ridge), weighted by that drop; 0 where they reach 0
        (p = n m without ridge)
    error : relative error estimate of the quadrature (theory), or of round-off (simulation)
    standard_error : those of mass, drop and harmonic where they are means over draws, else None

    >>> low, middle, top = rf.theory.shares(rf.RandomFeatureModel(64, 8, 0.01))
    >>> print(f"{top.mass:.4f} of the eigenvalues, drop {top.drop:.3f}, harmonic mean {top.harmonic:.1f}")
    0.0156 of the eigenvalues, drop 0.022, harmonic mean 18.2
    """

    bulk: Bulk
    mass: float
    drop: float
    harmonic: float
    error: float
    standard_error: "Share | None" = None


def shares(model: RandomFeatureModel) -> tuple[Share, ...]:
    """The drop of the train loss, bulk by bulk, in ascending order of the bulks.

    drop_k = (1/pi) int_{bulk k} Im T_1(x + i0) f(x) dx with T_1 = (1/d) tr V^T R V and
    f(x) = (x + 2 mu)/(x + mu)^2 (1/x without ridge); the drops sum to 1 - L_train(infinity).
    1/harmonic_k = the average of 1/(x + mu) with the weight of drop_k.

    Raises RuntimeError if a quadrature does not settle.
    Source: chapter 9 of the book.

    Returns one :class:`Share` for each bulk, in ascending order.

    >>> model = rf.RandomFeatureModel(64, 8, 0.01)
    >>> print(f"{1 - sum(share.drop for share in rf.theory.shares(model)):.4f}")
    0.3342
    >>> print(f"{rf.theory.minimizer(model).train:.4f}")
    0.3342
    """
    par = parameters(model)
    mu = model.ridge

    def weight(x: Floats) -> Floats:
        """Im T_1/pi: the density of V V^T/d in the eigenbasis of U."""
        return np.asarray(t_train(par, solved(par, x.astype(np.complex128))).imag / math.pi)

    def rates(x: Floats) -> Floats:
        drop = weight(x) * (x + 2 * mu) / (x + mu) ** 2
        return np.stack([drop, drop / (x + mu)])

    answer = []
    for bulk in support(model).bulks:
        endless = bulk.left + mu == 0  # the weight goes as x^(-1/2), and its mean of 1/x is infinite
        values, error = _over_bulk(lambda x: rates(x)[:1], bulk) if endless else _over_bulk(rates, bulk)
        harmonic = 0.0 if endless else float(values[0] / values[1])
        answer.append(Share(bulk, bulk.mass, float(values[0]), harmonic, error))
    return tuple(answer)


def _over_bulk(function: Callable[[Floats], Floats], bulk: Bulk) -> tuple[Floats, float]:
    """Integrate over a bulk; root-like and hard edges both become smooth in the angle theta."""
    points, last = START, None
    while points <= LARGEST:
        theta = (np.arange(points) + 0.5) * math.pi / points
        x, slope = _angle(bulk, theta)
        value = np.sum(function(x) * slope, axis=-1) * math.pi / points
        if last is not None:
            error = float(np.max(np.abs(value - last) / np.abs(value)))
            if error < TOLERANCE:
                return value, error
        points, last = 2 * points, value
    raise RuntimeError(f"the quadrature over the bulk [{bulk.left}, {bulk.right}] has not settled")


def _angle(bulk: Bulk, theta: Floats) -> tuple[Floats, Floats]:
    """x(theta) on (left, right) and |dx/dtheta|: logarithmic where the bulk spans decades."""
    if bulk.left > 0 and bulk.right > 4 * bulk.left:
        middle, half = math.log(bulk.left * bulk.right) / 2, math.log(bulk.right / bulk.left) / 2
        x = np.exp(middle + half * np.cos(theta))
        return x, x * half * np.sin(theta)
    middle, half = (bulk.left + bulk.right) / 2, (bulk.right - bulk.left) / 2
    return middle + half * np.cos(theta), half * np.sin(theta)
