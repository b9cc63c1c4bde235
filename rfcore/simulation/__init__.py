"""Answers at finite d: draw a network and data, and measure.  Torch, float64, any device, seeded.

The same verbs and result types as :mod:`rfcore.theory`.  p = round(psi_p d) and n = round(psi_n d): draw
the theory line at the realised ratios, :func:`realized`.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import LossCurves, Minimizer
from rfcore.checks import Array
from rfcore.model import RandomFeatureModel
from rfcore.simulation import descent, dynamics
from rfcore.simulation import features as _features
from rfcore.simulation.features import Moments, moments
from rfcore.simulation.setting import setting, sizes

__all__ = [
    "Moments",
    "descent",
    "dynamics",
    "eigenvalues",
    "features",
    "loss_curves",
    "minimizer",
    "moments",
    "realized",
]


def realized(model: RandomFeatureModel, d: int) -> RandomFeatureModel:
    """The question that a simulation at dimension d really asks: psi_p = p/d, psi_n = n/d with whole p, n."""
    p, n = sizes(model, d)
    return dataclasses.replace(model, psi_p=p / d, psi_n=n / d)


def eigenvalues(
    model: RandomFeatureModel,
    d: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
) -> Array:
    """The p eigenvalues of U (without ridge), ascending, for one draw at dimension d.

    features : "nonlinear", the true network, or "gaussian", its Gaussian equivalent
    x : training points (n, d) in place of Gaussian data with covariance diag(quantiles(d))

    Raises ValueError for sizes that do not fit, and where the noise average does not converge.
    """
    U = _features.training(setting(model, d, seed, features, device, x))[0]
    return np.asarray(torch.linalg.eigvalsh(U).cpu().numpy())


def loss_curves(
    model: RandomFeatureModel,
    tau: npt.ArrayLike,
    d: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    x_test: npt.ArrayLike | None = None,
) -> LossCurves:
    """Losses at the times tau of gradient flow dA/dtau = -d^2 grad L, for one draw at dimension d.

    x, x_test : training points (n, d) and test points (N, d) in place of Gaussian data
    """
    return dynamics.loss_curves(moments(model, d, seed, features, device, x, x_test), tau, model.ridge)


def minimizer(
    model: RandomFeatureModel,
    d: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    x_test: npt.ArrayLike | None = None,
) -> Minimizer:
    """The losses at tau = infinity, for one draw at dimension d."""
    return dynamics.minimizer(moments(model, d, seed, features, device, x, x_test), model.ridge)
