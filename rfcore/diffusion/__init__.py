"""The diffusion process itself: exact scores, the empirical score, samplers, and when they collapse.

>>> import numpy as np, rfcore as rf
>>> score = rf.diffusion.GaussianScore(mean=[0.0, 1.0], covariance=np.diag([4.0, 0.25]))
>>> x = score.draw(2000, t=3.0, seed=0)
>>> y = rf.diffusion.sample(score, x, np.linspace(3.0, 0.01, 101), "heun")
>>> y.shape
(2000, 2)

Nothing here imports torch; the sampler takes torch tensors all the same.
"""

from rfcore.diffusion.collapse import (
    ArgmaxLaw,
    FiniteSizeLaw,
    argmax_law,
    collapse_time,
    excess_entropy,
    finite_size_law,
    gaussian_collapse_time,
    information,
    speciation_cloning,
    speciation_time,
)
from rfcore.diffusion.gaussian_flow import FlowMoments, moments, step_law, strong_error, wrong_start
from rfcore.diffusion.guidance import (
    GuidedMoments,
    GuidedScore,
    decision_times,
    guided_classes,
    guided_moments,
    tilted_classes,
)
from rfcore.diffusion.guided_density import guided_density
from rfcore.diffusion.memorization import (
    Estimate,
    MemorizedFraction,
    WeightStatistics,
    memorized_fraction,
    weight_statistics,
)
from rfcore.diffusion.process import (
    denoised,
    flow_drift,
    flow_factor,
    forward,
    mode_variance,
    noise_variance,
    predicted_noise,
    reverse_drift,
    reverse_kernel,
    signal,
)
from rfcore.diffusion.samplers import METHODS, STOCHASTIC, coefficients, sample, step, trajectory
from rfcore.diffusion.scores import EmpiricalScore, GaussianScore, MixtureScore

__all__ = [
    "ArgmaxLaw",
    "EmpiricalScore",
    "Estimate",
    "FiniteSizeLaw",
    "FlowMoments",
    "GaussianScore",
    "GuidedMoments",
    "GuidedScore",
    "METHODS",
    "MemorizedFraction",
    "MixtureScore",
    "STOCHASTIC",
    "WeightStatistics",
    "argmax_law",
    "coefficients",
    "collapse_time",
    "decision_times",
    "denoised",
    "excess_entropy",
    "finite_size_law",
    "flow_drift",
    "flow_factor",
    "forward",
    "gaussian_collapse_time",
    "guided_classes",
    "guided_density",
    "guided_moments",
    "information",
    "memorized_fraction",
    "mode_variance",
    "moments",
    "noise_variance",
    "predicted_noise",
    "reverse_drift",
    "reverse_kernel",
    "sample",
    "signal",
    "speciation_cloning",
    "speciation_time",
    "step",
    "step_law",
    "strong_error",
    "tilted_classes",
    "trajectory",
    "weight_statistics",
    "wrong_start",
]


def __dir__() -> list[str]:
    return sorted(__all__)  # what completion offers
