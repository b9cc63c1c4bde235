"""Why two models differ: the variance of the denoiser in its three factors, and the crossed term."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, of_kind
from rfcore.model import LinearModel
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory._kappa import real_kappa

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VarianceFactors:
    """n Var(v . D x) = scaling (anisotropy inhomogeneity + crossed), see :func:`variance_factors`.

    scaled_variance : (...) n Var(v . D x); scaling : kappa^2/(1 - df2/n), to be divided by n
    anisotropy : (...) v^T A v; inhomogeneity : (...) x^T A x; crossed : (...) (v^T A x)^2
    error : residual of the equation for kappa, or the round-off of a simulation
    standard_error : of scaled_variance over draws, for a simulation; a simulation has no factors (nan)

    >>> model = rf.LinearModel(0.5, 1.0, rf.Covariance([4.0, 0.25]))
    >>> factors = rf.theory.variance_factors(model, direction=[1.0, 0.0], point=[0.0, 1.0])
    >>> print(f"{factors.scaled_variance:.4f} {factors.product:.4f} {factors.crossed:.1f}")
    0.0294 0.0294 0.0
    """

    scaled_variance: Floats
    scaling: float
    anisotropy: Floats
    inhomogeneity: Floats
    crossed: Floats
    error: float
    standard_error: Floats | None = None

    @property
    def product(self) -> Floats:
        """n Var without the crossed term, scaling anisotropy inhomogeneity."""
        return np.asarray(self.scaling * self.anisotropy * self.inhomogeneity)


def variance_factors(model: LinearModel, direction: npt.ArrayLike, point: npt.ArrayLike) -> VarianceFactors:
    """Variance over training sets of the denoiser D = S (S + c)^-1 at input x, along direction v.

        n Var(v . D x) = kappa^2/(1 - df2/n) [(v^T A v)(x^T A x) + (v^T A x)^2]

    with A = Sigma (Sigma + kappa)^-2.

    anisotropy: lambda_k/(lambda_k + kappa)^2 along mode k, largest at lambda = kappa; inhomogeneity: the
    same form of the input; scaling: 1/n, and the approach to interpolation in 1 - df2/n = 1/kappa'.
    The published proposition has the product alone; the crossed term is of the same order where v and x
    share a mode and doubles the variance of u_k . D u_k.

    direction, point : v and x, (..., K) coordinates (of x from mu) along one unit eigenvector of each atom:
    for a law with one atom per dimension, in the eigenbasis of Sigma.  They broadcast.
    Raises ValueError for another last axis than K.
    Source: Wang, Zavatone-Veth and Pehlevan (2026) for the product; the crossed term is chapter 12.

    >>> model = rf.LinearModel(0.5, 1.0, rf.Covariance([4.0, 0.25]))
    >>> factors = rf.theory.variance_factors(model, direction=[1.0, 0.0], point=[1.0, 0.0])
    >>> print(f"{factors.scaled_variance / factors.product:.3f}")  # the crossed term doubles it
    2.000
    """
    of_kind("model", model, LinearModel)
    gaussian_only(model)
    lam, w, gamma = model.covariance.eigenvalues, model.covariance.weights, model.gamma
    v, x = coordinates("direction", direction, lam.size), coordinates("point", point, lam.size)
    kappa = float(real_kappa(model.covariance, gamma, np.array(model.c)))
    ratio, a = lam / (lam + kappa), lam / (lam + kappa) ** 2
    load = gamma * float(w @ ratio)
    scaling = kappa**2 / (1 - gamma * float(w @ ratio**2))
    residual = abs(kappa * (1 - load) - model.c) / (kappa * (1 + load))
    anisotropy, inhomogeneity = np.asarray(v**2 @ a), np.asarray(x**2 @ a)
    crossed = np.asarray(np.sum(v * x * a, axis=-1) ** 2)
    total = scaling * (anisotropy * inhomogeneity + crossed)
    return VarianceFactors(total, scaling, anisotropy, inhomogeneity, crossed, residual)


def coordinates(name: str, value: npt.ArrayLike, size: int) -> Floats:
    """Vectors (..., size)."""
    array = finite_array(name, value)
    if array.ndim < 1 or array.shape[-1] != size:
        raise ValueError(f"{name} has shape {array.shape}, which is not allowed: (..., {size}), one per atom")
    return array
