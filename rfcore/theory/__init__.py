"""Answers at d = infinity: numpy and scipy, no randomness."""

from rfcore.answers import ModeCurves
from rfcore.theory.asymptotic import ThirdBulk, TwoBulks, third_bulk, two_bulks
from rfcore.theory.class_times import ClassTimes, class_times
from rfcore.theory.conditional import class_kls, class_loss_curves, class_minimizers
from rfcore.theory.decomposition import Decomposition, decomposition
from rfcore.theory.derivations import (
    Saddle,
    reduced_action,
    replica_action,
    replica_gradient,
    replica_saddle,
)
from rfcore.theory.elliptical import scale_curves
from rfcore.theory.integrated import IntegratedError, integrated_score_error
from rfcore.theory.inverse_map import RealCurve, real_curve
from rfcore.theory.linear import KL, renormalized_noise, restricted
from rfcore.theory.linear_filters import OptimalStopping, OracleFilter, oracle_filter
from rfcore.theory.linear_maps import (
    MapMoments,
    denoiser_moments,
    generated_covariance,
    power_moments,
    sampling_map_moments,
    split_agreement,
)
from rfcore.theory.linear_optimal import OptimalNoise, Optimum, optimal_noise
from rfcore.theory.linear_sampler import StoppedSampler, stopped_sampler
from rfcore.theory.linear_spectrum import SpectralRule, spectral_rule
from rfcore.theory.linear_variance import VarianceFactors, variance_factors
from rfcore.theory.operator_valued import Pencil, Semicircle, covariance_map, semicircle, two_point
from rfcore.theory.partition import LogPartition, ReplicatedMoment, log_partition, replicated_moment
from rfcore.theory.pencil import (
    PencilSolution,
    PencilTraces,
    loss_pencil,
    pencil,
    pencil_traces,
    solve_pencil,
)
from rfcore.theory.quantiles import quantiles
from rfcore.theory.resolvent import Resolvent, density, resolvent
from rfcore.theory.ridge import OptimalRidge, optimal_ridge, ridge_slope
from rfcore.theory.shares import Share, shares
from rfcore.theory.sharing import Sharing, sharing
from rfcore.theory.stochastic import critical_batch
from rfcore.theory.support import Atom, Bulk, Support, support
from rfcore.theory.timescales import Timescales, timescales
from rfcore.theory.transition import Transition, bulk_transition
from rfcore.theory.verbs import kl, loss_curves, minimizer, mode_curves, optimal_stopping
from rfcore.theory.wide import WideMinimizer, wide_minimizer

__all__ = [
    "Atom",
    "Bulk",
    "ClassTimes",
    "Decomposition",
    "IntegratedError",
    "KL",
    "LogPartition",
    "MapMoments",
    "ModeCurves",
    "OptimalNoise",
    "OptimalRidge",
    "OptimalStopping",
    "Optimum",
    "OracleFilter",
    "Pencil",
    "PencilSolution",
    "PencilTraces",
    "RealCurve",
    "ReplicatedMoment",
    "Resolvent",
    "Saddle",
    "Semicircle",
    "Share",
    "Sharing",
    "SpectralRule",
    "StoppedSampler",
    "Support",
    "ThirdBulk",
    "Timescales",
    "Transition",
    "TwoBulks",
    "VarianceFactors",
    "WideMinimizer",
    "bulk_transition",
    "class_kls",
    "class_loss_curves",
    "class_minimizers",
    "class_times",
    "covariance_map",
    "critical_batch",
    "decomposition",
    "denoiser_moments",
    "density",
    "generated_covariance",
    "integrated_score_error",
    "kl",
    "log_partition",
    "loss_curves",
    "loss_pencil",
    "minimizer",
    "mode_curves",
    "optimal_noise",
    "optimal_ridge",
    "optimal_stopping",
    "oracle_filter",
    "pencil",
    "pencil_traces",
    "power_moments",
    "quantiles",
    "real_curve",
    "reduced_action",
    "renormalized_noise",
    "replica_action",
    "replica_gradient",
    "replica_saddle",
    "replicated_moment",
    "resolvent",
    "restricted",
    "ridge_slope",
    "sampling_map_moments",
    "scale_curves",
    "semicircle",
    "shares",
    "sharing",
    "solve_pencil",
    "spectral_rule",
    "split_agreement",
    "stopped_sampler",
    "support",
    "third_bulk",
    "timescales",
    "two_bulks",
    "two_point",
    "variance_factors",
    "wide_minimizer",
]


def __dir__() -> list[str]:
    return sorted(__all__)  # what completion offers
