"""Answers at finite d: draw a network and data, and measure.  Torch, float64, any device, seeded.

The same verbs and result types as :mod:`rfcore.theory`.  Sizes are rounded, p = round(psi_p d) and
n = round(psi_n d) or round(d/gamma): draw the theory line at the realised question, :func:`realized`.
"""

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import Array
from rfcore.model import RandomFeatureModel
from rfcore.simulation import descent, dynamics
from rfcore.simulation import features as _features
from rfcore.simulation.adam import AdamRun, adam, preconditioned, relaxation
from rfcore.simulation.batch_moments import expected_loss_curves
from rfcore.simulation.conditional import class_kls, class_loss_curves, class_minimizers
from rfcore.simulation.decomposition import decomposition
from rfcore.simulation.features import Moments, moments
from rfcore.simulation.integrated import integrated_score_error
from rfcore.simulation.lanczos import Spectrum, TraceEstimate, spectrum
from rfcore.simulation.linear_draws import restricted
from rfcore.simulation.linear_filters import optimal_noise, optimal_stopping, oracle_filter
from rfcore.simulation.linear_flow import stopped_sampler
from rfcore.simulation.linear_maps import (
    Estimate,
    denoiser_moments,
    generated_covariance,
    power_moments,
    sampling_map_moments,
    split_agreement,
    variance_factors,
)
from rfcore.simulation.options import DrawOptions, SetOptions
from rfcore.simulation.partition import log_partition
from rfcore.simulation.pencil import DrawnPencil, draw_pencil
from rfcore.simulation.ridge import optimal_ridge
from rfcore.simulation.scales import scale_curves
from rfcore.simulation.setting import setting
from rfcore.simulation.shares import shares
from rfcore.simulation.verbs import kl, loss_curves, minimizer, mode_curves, realized

__all__ = [
    "AdamRun",
    "DrawOptions",
    "DrawnPencil",
    "Estimate",
    "Moments",
    "SetOptions",
    "Spectrum",
    "TraceEstimate",
    "adam",
    "class_kls",
    "class_loss_curves",
    "class_minimizers",
    "decomposition",
    "denoiser_moments",
    "descent",
    "draw_pencil",
    "dynamics",
    "eigenvalues",
    "expected_loss_curves",
    "features",
    "generated_covariance",
    "integrated_score_error",
    "kl",
    "log_partition",
    "loss_curves",
    "minimizer",
    "mode_curves",
    "moments",
    "optimal_noise",
    "optimal_ridge",
    "optimal_stopping",
    "oracle_filter",
    "power_moments",
    "preconditioned",
    "realized",
    "relaxation",
    "restricted",
    "sampling_map_moments",
    "scale_curves",
    "shares",
    "spectrum",
    "split_agreement",
    "stopped_sampler",
    "variance_factors",
]


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

    Returns (p,), p = round(psi_p d).  Source: Bonnaire et al. (2025), sec. 3.

    >>> x = rf.simulation.eigenvalues(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1), d=16, seed=0)
    >>> x.shape, bool(x.min() > 0)
    ((64,), True)
    """
    U = _features.training(setting(model, d, seed, features, device, x))[0]
    return np.asarray(torch.linalg.eigvalsh(U).cpu().numpy())


def __dir__() -> list[str]:
    return sorted(__all__)  # what completion offers
