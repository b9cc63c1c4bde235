"""Answers at d = infinity: numpy and scipy, no randomness."""

from rfcore.theory.decomposition import Decomposition, decomposition
from rfcore.theory.derivations import Saddle, replica_action, replica_gradient, replica_saddle
from rfcore.theory.dynamics import loss_curves
from rfcore.theory.integrated import IntegratedError, integrated_score_error
from rfcore.theory.minimizer import minimizer
from rfcore.theory.pencil import Pencil, PencilSolution, pencil, solve_pencil
from rfcore.theory.resolvent import Resolvent, density, resolvent
from rfcore.theory.ridge import OptimalRidge, optimal_ridge
from rfcore.theory.shares import Share, shares
from rfcore.theory.support import Atom, Bulk, Support, support
from rfcore.theory.timescales import Timescales, timescales

__all__ = [
    "Atom",
    "Bulk",
    "Decomposition",
    "IntegratedError",
    "OptimalRidge",
    "Pencil",
    "PencilSolution",
    "Resolvent",
    "Saddle",
    "Share",
    "Support",
    "Timescales",
    "decomposition",
    "density",
    "integrated_score_error",
    "loss_curves",
    "minimizer",
    "optimal_ridge",
    "pencil",
    "replica_action",
    "replica_gradient",
    "replica_saddle",
    "resolvent",
    "shares",
    "solve_pencil",
    "support",
    "timescales",
]
