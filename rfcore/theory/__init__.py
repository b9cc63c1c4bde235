"""Answers at d = infinity: numpy and scipy, no randomness."""

from rfcore.theory.derivations import Saddle, replica_action, replica_gradient, replica_saddle
from rfcore.theory.dynamics import loss_curves
from rfcore.theory.minimizer import minimizer
from rfcore.theory.pencil import Pencil, PencilSolution, pencil, solve_pencil
from rfcore.theory.resolvent import Resolvent, density, resolvent
from rfcore.theory.shares import Share, shares
from rfcore.theory.support import Atom, Bulk, Support, support
from rfcore.theory.timescales import Timescales, timescales

__all__ = [
    "Atom",
    "Bulk",
    "Pencil",
    "PencilSolution",
    "Resolvent",
    "Saddle",
    "Share",
    "Support",
    "Timescales",
    "density",
    "loss_curves",
    "minimizer",
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
