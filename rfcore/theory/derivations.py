"""The replica-symmetric action and its saddle point, as a program.

The solver of :mod:`rfcore.theory.resolvent` is not used, so that agreement with it is a test of both.
Fluctuations around the saddle, and moments at finite size, are in :mod:`rfcore.theory.partition`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import root

from rfcore.checks import finite_array, of_kind, refuse
from rfcore.model import RandomFeatureModel

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Saddle:
    """Saddle point of the replica-symmetric action at real z < 0.

    q, r, s : overlaps phi.phi/p, phi^T M Sigma M^T phi/p, phi^T M M^T phi/p
    r_hat, s_hat : their conjugates (alpha^2 chi_1 and zeta b^2 at the saddle)
    action : Phi = (1/p) log det(U - z)
    gradient : largest |dPhi/d log x| over the order parameters x

    >>> saddle = rf.theory.replica_saddle(rf.RandomFeatureModel(4, 2, 0.1), z=-1.0)
    >>> print(f"q = {saddle.q:.4f}, action {saddle.action:.4f}", saddle.gradient < 1e-10)
    q = 0.8524, action 0.2236 True
    """

    z: float
    q: float
    r: float
    s: float
    r_hat: float
    s_hat: float
    action: float
    gradient: float


def _order(order: npt.ArrayLike) -> Array:
    values = finite_array("order", order, ndim=1)
    if values.shape != (5,) or values.min() <= 0:
        raise refuse("order", values.tolist(), "five numbers > 0: q, r, s, r_hat, s_hat")
    return values


def replica_action(model: RandomFeatureModel, z: float, order: npt.ArrayLike) -> float:
    """The replica-symmetric action Phi(q, r, s, r_hat, s_hat); its stationary value is (1/p) log det(U - z).

        Phi = -log q - z q - 1 + (1/psi_p) <log(1 + psi_p q (s_hat + r_hat lambda))> - s_hat s - r_hat r
              + (psi_n/psi_p) [log(1 + t_C + t_D/m) + (m - 1) log(1 + t_D/m)]

    with t_C = (psi_p/psi_n)(v^2 q + alpha^2 r), t_D = (psi_p/psi_n)(s^2 q + b^2 s); at m = infinity the
    bracket is log(1 + t_C) + t_D.

    Source: chapter 6 of the book.

    z : real number < 0;  order : (5,), q, r, s, r_hat, s_hat, each > 0
    Returns one number.  Raises ValueError for an order that is not five numbers > 0.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> print(f"{rf.theory.replica_action(model, -1.0, [0.6, 0.5, 0.5, 0.1, 0.1]):.4f}")
    0.2879
    """
    of_kind("model", model, RandomFeatureModel)
    q, r, s, r_hat, s_hat = _order(order)
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    t_c, t_d = _loads(model, q, r, s)
    m = model.noise_draws
    noise = t_d if math.isinf(m) else (m - 1) * math.log1p(t_d / m)
    samples = model.psi_n / model.psi_p * (math.log1p(t_c + t_d / m) + noise)
    network = float(w @ np.log1p(model.psi_p * q * (s_hat + r_hat * lam))) / model.psi_p
    return float(-math.log(q) - z * q - 1 + network - s_hat * s - r_hat * r + samples)


def reduced_action(
    model: RandomFeatureModel,
    z: npt.ArrayLike,
    q: npt.ArrayLike,
    chi_1: npt.ArrayLike,
    chi_2: npt.ArrayLike = 1.0,
) -> Array:
    """The action after r, s and the conjugates are eliminated; at real z < 0 its minimum is that of Phi.

        Phi = -log q + q (-z + chi_1 v^2 + zeta s^2) - 1 + (1/psi_p) <log(1 + kappa psi_p q)>
              + (psi_n/psi_p) [chi_1 - 1 - log chi_1 + (m - 1)(chi_2 - 1 - log chi_2)]

    with zeta = chi_1/m + (1 - 1/m) chi_2 and kappa = zeta b^2 + chi_1 alpha^2 lambda.  At m = infinity
    chi_2 = zeta = 1 whatever is given; at m = 1 chi_2 has no effect.

    z : real numbers;  q, chi_1, chi_2 : numbers > 0; all broadcast
    Source: chapter 6 of the book.

    Returns an array of the common shape.  Raises ValueError unless q, chi_1, chi_2 > 0.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> here = rf.theory.resolvent(model, -1.0)
    >>> action = rf.theory.reduced_action(model, -1.0, here.q.real, here.chi_1.real)
    >>> print(f"{action:.6f} {rf.theory.replica_saddle(model, -1.0).action:.6f}")
    0.223564 0.223564
    """
    of_kind("model", model, RandomFeatureModel)
    q, chi_1, chi_2 = (np.asarray(x, dtype=float) for x in (q, chi_1, chi_2))
    for name, x in (("q", q), ("chi_1", chi_1), ("chi_2", chi_2)):
        if not np.all(x > 0):
            raise refuse(name, float(x.min()), "numbers > 0")
    c, m = model.constants, model.noise_draws
    few = not math.isinf(m)
    zeta = chi_1 / m + (1 - 1 / m) * chi_2 if few else np.ones(())
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    alpha2 = math.exp(-2 * model.t) * c.a**2
    kappa = (zeta * c.b**2)[..., None] + chi_1[..., None] * (alpha2 * lam)
    network = np.log1p(kappa * (model.psi_p * q)[..., None]) @ w / model.psi_p
    samples = chi_1 - 1 - np.log(chi_1) + ((m - 1) * (chi_2 - 1 - np.log(chi_2)) if few else 0.0)
    energy = q * (-np.asarray(z, dtype=float) + chi_1 * c.v2 + zeta * c.s2)
    return np.asarray(-np.log(q) + energy - 1 + network + model.psi_n / model.psi_p * samples)


def replica_gradient(model: RandomFeatureModel, z: float, order: npt.ArrayLike) -> Array:
    """x dPhi/dx for the five order parameters x = q, r, s, r_hat, s_hat.

    z, order : as for :func:`replica_action`, which raises the same errors

    Returns (5,).  Raises ValueError for an order that is not five numbers > 0.
    Source: chapter 6 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> s = rf.theory.replica_saddle(model, -1.0)
    >>> slope = rf.theory.replica_gradient(model, -1.0, [s.q, s.r, s.s, s.r_hat, s.s_hat])
    >>> bool(np.abs(slope).max() < 1e-10)
    True
    """
    of_kind("model", model, RandomFeatureModel)
    return _gradient(model, z, _order(order))


def _gradient(model: RandomFeatureModel, z: float, order: Array) -> Array:
    q, r, s, r_hat, s_hat = order
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    c, m = model.constants, model.noise_draws
    t_c, t_d = _loads(model, q, r, s)
    kappa = s_hat + r_hat * lam
    field = w / (1 + model.psi_p * q * kappa)
    signal = 1 / (1 + t_c + t_d / m)
    noise = signal / m + (1 - 1 / m) / (1 + t_d / m)
    alpha2 = math.exp(-2 * model.t) * c.a**2
    return np.array(
        [
            -1 - z * q + q * float(field @ kappa) + q * (c.v2 * signal + c.s2 * noise),
            r * (alpha2 * signal - r_hat),
            s * (c.b**2 * noise - s_hat),
            r_hat * (q * float(field @ lam) - r),
            s_hat * (q * float(field.sum()) - s),
        ]
    )


def replica_saddle(model: RandomFeatureModel, z: float) -> Saddle:
    """Solve grad Phi = 0 at real z < 0 in the logarithms of the order parameters.

    Follows the saddle from |z| so large that U does not matter; each step is scipy's hybrid Powell
    method on the gradient.  Raises ValueError for z >= 0, RuntimeError if a step fails.

    Source: chapter 6 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> print(f"{rf.theory.replica_saddle(model, -1.0).q:.6f}")
    0.852372
    >>> print(f"{rf.theory.resolvent(model, -1.0).q.real:.6f}")
    0.852372
    """
    of_kind("model", model, RandomFeatureModel)
    if not (math.isfinite(z) and z < 0):
        raise refuse("z", z, "a finite number < 0")
    c, cov = model.constants, model.covariance
    scale = c.v2 + c.s2 + c.b**2 + c.a**2 * float(cov.eigenvalues.max()) * (1 + model.psi_p)
    steps = np.geomspace(max(1e3 * scale, -z), -z, max(2, int(4 * math.log10(max(1e3 * scale / -z, 10)))))
    x = np.log([1 / steps[0], cov.variance / steps[0], 1 / steps[0], math.exp(-2 * model.t) * c.a**2, c.b**2])
    for depth in steps:
        x = root(lambda y, at=-depth: _gradient(model, at, np.exp(y)), x, tol=1e-14).x
    order = np.exp(x)
    gradient = float(np.max(np.abs(replica_gradient(model, z, order))))
    if gradient > 1e-9:
        raise RuntimeError(f"no saddle point found at z = {z!r} of {model!r} (gradient {gradient:.1e})")
    q, r, s, r_hat, s_hat = map(float, order)
    return Saddle(z, q, r, s, r_hat, s_hat, replica_action(model, z, order), gradient)


def _loads(model: RandomFeatureModel, q: float, r: float, s: float) -> tuple[float, float]:
    c, ratio = model.constants, model.psi_p / model.psi_n
    alpha2 = math.exp(-2 * model.t) * c.a**2
    return ratio * (c.v2 * q + alpha2 * r), ratio * (c.s2 * q + c.b**2 * s)
