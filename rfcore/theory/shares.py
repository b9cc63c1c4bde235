"""Which part of the spectrum carries which part of the drop of the train loss."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.model import RandomFeatureModel
from rfcore.theory._equations import Parameters, parameters
from rfcore.theory._traces import solved_above, t_train
from rfcore.theory.support import Bulk, support

Floats = npt.NDArray[np.float64]
START, LARGEST = 48, 98_304  # points per bulk: many where two bulks all but touch
TOLERANCE = 1e-10
ROUND_OFF = 1e-6  # a change that stays, below this, is round-off: of a drop of 1e-13, say


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
    found = support(model).bulks
    ends = [bulk.above_floor for bulk in found]
    answer = []
    for k, bulk in enumerate(found):
        if bulk.left + mu == 0:
            values, error = _from_zero(par, bulk)
        else:
            below = ends[k - 1][1] if k else 0.0
            above = ends[k + 1][0] if k + 1 < len(ends) else math.inf
            values, error = _around(par, mu, bulk, below, above)
        answer.append(Share(bulk, bulk.mass, float(values[0]), float(values[0] / values[1]), error))
    return tuple(answer)


def _around(par: Parameters, mu: float, bulk: Bulk, below: float, above: float) -> tuple[Floats, float]:
    """int of the weight times (f, f/(x + mu)) over a bulk, by a closed path in the complex plane.

    With u = log(z - floor), or log(z + mu) for a bulk that begins at the floor, the path is the ellipse
    around the bulk with its ends as foci, half as large (in the exponent) as the first that meets another
    bulk or the end of the strip |Im u| < pi; the poles of f are not in it.  The midpoint rule then converges
    geometrically, whatever the density does within the bulk.
    """
    low, high = bulk.above_floor
    shift = par.floor + mu if bulk.hard else 0.0

    def u(y: float) -> float:
        return math.log1p(y / shift) if shift else math.log(y)

    middle, half = (u(high) + u(low)) / 2, (u(high) - u(low)) / 2
    room = [math.asinh(math.pi / half)]
    room += [math.acosh((middle - u(below)) / half)] if below > 0 else []
    room += [math.acosh((u(above) - middle) / half)] if above < math.inf else []
    size = complex(min(room) / 2)

    def integral(points: int) -> Floats:
        angle = size + 1j * (np.arange(points) + 0.5) * math.pi / points
        path = middle + half * np.cosh(angle)
        y = shift * np.expm1(path) if shift else np.exp(path)
        at = y + par.floor + mu
        slope = (y + shift) * half * np.sinh(angle)
        drop = t_train(par, solved_above(par, y)) * (at + mu) / at**2 * slope
        return np.asarray(-np.sum([drop, drop / at], axis=-1).real / points)

    return _settled(integral, bulk)


def _from_zero(par: Parameters, bulk: Bulk) -> tuple[Floats, float]:
    """The same on the axis, for a bulk that begins at 0, without a ridge: a path would meet the pole of f.

    The drop begins as x^(-1/2), so its mean of 1/x is infinite.
    """

    def integral(points: int) -> Floats:
        theta = (np.arange(points) + 0.5) * math.pi / points
        x = bulk.right * (1 + np.cos(theta)) / 2
        weight = t_train(par, solved_above(par, x.astype(np.complex128))).imag
        return np.array([np.sum(weight / x * bulk.right / 2 * np.sin(theta)) / points, math.inf])

    return _settled(integral, bulk)


def _settled(integral: Callable[[int], Floats], bulk: Bulk) -> tuple[Floats, float]:
    """The integral with as many points as it needs or as round-off allows, and its last relative change."""
    points, last, before = START, integral(START // 2), math.inf
    while points <= LARGEST:
        value = integral(points)
        finite = np.isfinite(value)
        error = float(np.max(np.abs(value[finite] / last[finite] - 1)))
        if error < TOLERANCE or before / 2 < error < ROUND_OFF:
            return value, error
        points, last, before = 2 * points, value, error
    raise RuntimeError(f"the quadrature over the bulk [{bulk.left}, {bulk.right}] has not settled")
